#include "plot_internal.h"

#include "file.h"

#include <math.h>

static const uint32_t train_colour = 0x1F6FB4, validation_colour = 0xD9541E,
                      paper_colour = 0xFFFFFF;
static const double largest_loss = 1e30; /* beyond it is as good as infinite */

/* ------------------------------------------------------------------------------------- curves */

static double clean(double loss)
{
    return fabs(loss) <= largest_loss ? loss : (double)NAN;
}

static bool take_curve(struct ink_plot_curve *c, const struct ink_history *h,
                       enum ink_history_kind kind, int value)
{
    *c = (struct ink_plot_curve){0};
    c->steps = ink_calloc((size_t)h->n_rows, sizeof *c->steps);
    c->losses = ink_calloc((size_t)h->n_rows, sizeof *c->losses);
    for (int i = 0; i < h->n_rows && c->steps && c->losses; i++) {
        if (h->rows[i].kind == kind) {
            c->steps[c->n] = (double)h->rows[i].step;
            c->losses[c->n] = clean(h->rows[i].values[value]);
            c->n_finite += isfinite(c->losses[c->n]) ? 1 : 0;
            c->n++;
        }
    }
    return c->steps && c->losses;
}

static void free_curve(struct ink_plot_curve *c)
{
    ink_free(c->steps);
    ink_free(c->losses);
}

/* Each loss becomes the mean of all, weighted by w^distance: a line that neither lags behind (as a
 * running mean does) nor is cut at the ends. w is such that a hundredth of the curve to each side
 * counts. Along a logarithmic axis logarithms are averaged. Two sweeps, each of which sums one
 * side. */
static void smooth(const struct ink_plot_curve *c, double *work, bool is_logarithmic)
{
    const double w = 1 - 1 / (1 + c->n_finite / 100.0);
    double sum = 0, weight = 0;
    for (int i = 0; i < c->n; i++) {
        if (isfinite(c->losses[i])) {
            c->losses[i] = is_logarithmic ? log10(c->losses[i]) : c->losses[i];
            sum = w * sum + c->losses[i];
            weight = w * weight + 1;
            work[2 * i] = sum;
            work[2 * i + 1] = weight;
        }
    }
    sum = weight = 0;
    for (int i = c->n - 1; i >= 0; i--) {
        if (isfinite(c->losses[i])) {
            const double loss = c->losses[i];
            const double mean = (work[2 * i] + sum) / (work[2 * i + 1] + weight);
            c->losses[i] = is_logarithmic ? pow(10, mean) : mean;
            sum = w * (sum + loss);
            weight = w * (weight + 1);
        }
    }
}

/* ------------------------------------------------------------------------------------- on axes */

/* The points of one column of pixels, of which so many look the same as four: the first, the least,
 * the greatest, the last. */
struct column {
    double x, first, least, greatest, last;
    int n;
};

static void end_column(struct ink_plot_drawing *d, struct column *c)
{
    if (c->n > 0) {
        ink_plot_add_point(d, c->x, c->first);
    }
    if (c->n > 2) {
        ink_plot_add_point(d, c->x, c->least);
        ink_plot_add_point(d, c->x, c->greatest);
    }
    if (c->n > 1) {
        ink_plot_add_point(d, c->x, c->last);
    }
    c->n = 0;
}

static void add_to_column(struct ink_plot_drawing *d, struct column *c, double x, double y,
                          double width)
{
    if (c->n > 0 && fabs(x - c->x) >= width) {
        end_column(d, c);
    }
    if (c->n == 0) {
        *c = (struct column){x, y, y, y, y, 0};
    }
    c->least = fmin(c->least, y);
    c->greatest = fmax(c->greatest, y);
    c->last = y;
    c->n++;
}

/* Lines between gaps; a point alone between two gaps is a dot. */
static void add_curve(struct ink_plot_drawing *d, const struct ink_plot_axes *a,
                      const struct ink_plot_curve *c, uint32_t colour, double opacity,
                      double line_width)
{
    const double width = c->n > 4 * (INK_PLOT_RIGHT - INK_PLOT_LEFT) ? 1 : 0;
    struct column column = {0};
    for (int i = 0; i < c->n && !d->failed; i++) {
        const bool is_there = isfinite(c->losses[i]);
        const bool begins = is_there && (i == 0 || !isfinite(c->losses[i - 1]));
        const bool ends = is_there && (i + 1 == c->n || !isfinite(c->losses[i + 1]));
        const double x = ink_plot_x_of(a, c->steps[i]),
                     y = is_there ? ink_plot_y_of(a, c->losses[i]) : 0;
        if (begins && ends) {
            ink_plot_add_dot(d, x, y, colour, line_width + 1);
            continue;
        }
        if (begins) {
            ink_plot_add_shape(d, INK_PLOT_LINE, colour, opacity, line_width);
        }
        if (is_there) {
            add_to_column(d, &column, x, y, width);
        }
        if (ends) {
            end_column(d, &column);
        }
    }
}

/* Validation losses are few: each is marked, unless the marks would run together. */
static void add_marks(struct ink_plot_drawing *d, const struct ink_plot_axes *a,
                      const struct ink_plot_curve *c)
{
    for (int i = 0; i < c->n && c->n <= 100; i++) {
        if (isfinite(c->losses[i])) {
            ink_plot_add_dot(d, ink_plot_x_of(a, c->steps[i]), ink_plot_y_of(a, c->losses[i]),
                             validation_colour, 4);
        }
    }
}

struct entry {
    const char *english;
    uint32_t colour;
    double opacity, width;
    bool has_mark;
};

enum { legend_width = 212, legend_row = 22 };

/* How much of the lines drawn so far from shape `first` on lies in a box, in samples. */
static int count_inside(const struct ink_plot_drawing *d, int first, double x, double y,
                        double height)
{
    enum { samples = 16 };
    int n = 0;
    for (int i = first; i < d->n_shapes; i++) {
        const struct ink_plot_point *p = d->points + d->shapes[i].first_point;
        for (int j = 0; j < d->shapes[i].n_points * samples; j++) {
            const int next = j / samples + (j / samples + 1 < d->shapes[i].n_points);
            const double t = (double)(j % samples) / samples;
            const double px = p[j / samples].x * (1 - t) + p[next].x * t;
            const double py = p[j / samples].y * (1 - t) + p[next].y * t;
            n += px > x && px < x + legend_width && py > y && py < y + height;
        }
    }
    return n;
}

/* In the corner where it hides least of the curves, which begin with shape `first`. */
static struct ink_plot_point place_legend(const struct ink_plot_drawing *d, int first,
                                          double height)
{
    const double to_right = INK_PLOT_RIGHT - legend_width - 8, to_left = INK_PLOT_LEFT + 10;
    const double up = INK_PLOT_TOP + 6, down = INK_PLOT_BOTTOM - height - 8;
    const struct ink_plot_point corners[] = {
        {to_right, up}, {to_left, down}, {to_left, up}, {to_right, down}};
    int best = 0, least = -1;
    for (int i = 0; i < 4; i++) {
        const int n = count_inside(d, first, corners[i].x, corners[i].y, height);
        if (least < 0 || n < least) {
            best = i;
            least = n;
        }
    }
    return corners[best];
}

static void add_legend(struct ink_plot_drawing *d, int first, const struct entry *entries, int n)
{
    const double height = 10 + legend_row * n;
    const struct ink_plot_point at = place_legend(d, first, height);
    ink_plot_add_shape(d, INK_PLOT_BOX, paper_colour, 0.85, 0);
    ink_plot_add_point(d, at.x, at.y);
    ink_plot_add_point(d, at.x + legend_width, at.y + height);
    for (int i = 0; i < n; i++) {
        const double middle = at.y + 16 + legend_row * i;
        ink_plot_add_shape(d, INK_PLOT_LINE, entries[i].colour, entries[i].opacity,
                           entries[i].width);
        ink_plot_add_point(d, at.x + 10, middle);
        ink_plot_add_point(d, at.x + 38, middle);
        if (entries[i].has_mark) {
            ink_plot_add_dot(d, at.x + 24, middle, entries[i].colour, 4);
        }
        ink_plot_add_label(d, INK_PLOT_TEXT, at.x + 48, middle + 4.5, entries[i].english, 13);
    }
}

static void add_train(struct ink_plot_drawing *d, const struct ink_plot_axes *a,
                      const struct ink_plot_curve *train)
{
    double *work = ink_calloc((size_t)train->n, 2 * sizeof *work);
    d->failed |= !work;
    if (!d->failed) {
        add_curve(d, a, train, train_colour, 0.45, 1.2);
        smooth(train, work, a->is_logarithmic);
        add_curve(d, a, train, train_colour, 1, 2.2);
    }
    ink_free(work);
}

/* The training losses are smoothed in their place. */
static void add_curves(struct ink_plot_drawing *d, const struct ink_plot_axes *a,
                       const struct ink_plot_curve *train, const struct ink_plot_curve *validation)
{
    struct entry entries[3];
    const int first = d->n_shapes;
    int n = 0;
    if (train->n_finite == 1) {
        add_curve(d, a, train, train_colour, 1, 3);
        entries[n++] = (struct entry){"Training loss", train_colour, 1, 2.2, true};
    } else if (train->n_finite > 1) {
        add_train(d, a, train);
        entries[n++] = (struct entry){"Training loss", train_colour, 0.45, 1.2, false};
        entries[n++] = (struct entry){"Training loss, smoothed", train_colour, 1, 2.2, false};
    }
    if (validation->n_finite > 0) {
        add_curve(d, a, validation, validation_colour, 1, 2.2);
        add_marks(d, a, validation);
        entries[n++] = (struct entry){"Validation loss", validation_colour, 1, 2.2, true};
    }
    if (n == 0) {
        ink_plot_add_label(d, INK_PLOT_CENTRE, (INK_PLOT_LEFT + INK_PLOT_RIGHT) / 2.0,
                           (INK_PLOT_TOP + INK_PLOT_BOTTOM) / 2.0, "No loss has been logged yet",
                           16);
    } else if (!d->failed) {
        add_legend(d, first, entries, n);
    }
}

/* ---------------------------------------------------------------------------------- the picture */

static void lay_out(struct ink_plot_drawing *d, const struct ink_history *h)
{
    struct ink_plot_curve train, validation;
    struct ink_plot_axes axes;
    *d = (struct ink_plot_drawing){0};
    const bool has_train = take_curve(&train, h, INK_HISTORY_TRAIN, INK_HISTORY_LOSS);
    const bool has_validation = take_curve(&validation, h, INK_HISTORY_EVAL, INK_HISTORY_EVAL_LOSS);
    d->failed = !has_train || !has_validation;
    if (!d->failed) {
        d->title = validation.n_finite == 0 ? "Training loss"
                   : train.n_finite == 0    ? "Validation loss"
                                            : "Training and validation loss";
        ink_plot_choose_axes(&axes, &train, &validation);
        ink_plot_add_shape(d, INK_PLOT_BOX, paper_colour, 1, 0);
        ink_plot_add_point(d, 0, 0);
        ink_plot_add_point(d, INK_PLOT_WIDTH, INK_PLOT_HEIGHT);
        ink_plot_add_label(d, INK_PLOT_CENTRE, (INK_PLOT_LEFT + INK_PLOT_RIGHT) / 2.0, 32, d->title,
                           18);
        ink_plot_add_frame(d, &axes);
        add_curves(d, &axes, &train, &validation);
    }
    free_curve(&train);
    free_curve(&validation);
}

static void free_drawing(struct ink_plot_drawing *d)
{
    ink_free(d->shapes);
    ink_free(d->points);
}

void ink_plot_print_svg(const struct ink_history *h, struct ink_string *out)
{
    struct ink_plot_drawing d;
    lay_out(&d, h);
    ink_plot_draw_svg(&d, out);
    free_drawing(&d);
}

static int write_text(const struct ink_string *text, const char *folder, const char *name,
                      struct ink_error *error)
{
    return text->failed ? ink_fail_memory(error, text->length)
                        : ink_write_file(folder, name, text->data, text->length, error);
}

int ink_plot_write(const struct ink_history *h, const char *folder, struct ink_error *error)
{
    struct ink_plot_drawing d;
    struct ink_string svg = {0}, png = {0};
    lay_out(&d, h);
    ink_plot_draw_svg(&d, &svg);
    int status = write_text(&svg, folder, "loss_curve.svg", error);
    if (status == INK_OK) {
        status = ink_plot_print_png(&d, &png, error);
    }
    if (status == INK_OK && ink_plot_has_png()) {
        status = write_text(&png, folder, "loss_curve.png", error);
    }
    ink_string_free(&svg);
    ink_string_free(&png);
    free_drawing(&d);
    return status;
}
