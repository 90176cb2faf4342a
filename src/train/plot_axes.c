#include "plot_internal.h"

#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint32_t grid_colour = 0xE4E4E4, frame_colour = 0x999999;
static const double logarithmic_from = 1000; /* times the least loss */

double ink_plot_x_of(const struct ink_plot_axes *a, double step)
{
    return INK_PLOT_LEFT + (INK_PLOT_RIGHT - INK_PLOT_LEFT) * step / a->last_step;
}

double ink_plot_y_of(const struct ink_plot_axes *a, double loss)
{
    const double at = a->is_logarithmic ? log10(loss) : loss;
    return INK_PLOT_BOTTOM - (INK_PLOT_BOTTOM - INK_PLOT_TOP) * (at - a->low) / (a->high - a->low);
}

static void widen(struct ink_plot_axes *a, const struct ink_plot_curve *c)
{
    for (int i = 0; i < c->n; i++) {
        a->last_step = fmax(a->last_step, c->steps[i]);
        a->low = fmin(a->low, c->losses[i]); /* fmin passes over NaN */
        a->high = fmax(a->high, c->losses[i]);
    }
}

void ink_plot_choose_axes(struct ink_plot_axes *a, const struct ink_plot_curve *train,
                          const struct ink_plot_curve *validation)
{
    *a = (struct ink_plot_axes){0, (double)INFINITY, -(double)INFINITY, false};
    widen(a, train);
    widen(a, validation);
    if (!(a->low <= a->high)) {
        a->low = 0;
        a->high = 1;
    }
    if (a->last_step <= 0) {
        a->last_step = 1;
    }
    const double least = a->low;
    a->is_logarithmic = least > 0 && a->high > logarithmic_from * least;
    if (a->is_logarithmic) {
        a->low = log10(a->low);
        a->high = log10(a->high);
    }
    const double range = a->high - a->low;
    const double margin =
        range > 1e-12 * fabs(a->high) ? 0.06 * range : fmax(fabs(a->high) / 2, 1e-9);
    a->high += margin;
    a->low -= margin;
    if (least >= 0 && !a->is_logarithmic && a->low < 0) {
        a->low = 0;
    }
}

/* The least of 1, 2, 5 times a power of ten that is not below x. */
static double round_up(double x)
{
    const double power = pow(10, floor(log10(x)));
    const double first = x / power;
    return power * (first <= 1.0000001 ? 1 : first <= 2.0000001 ? 2 : first <= 5.0000001 ? 5 : 10);
}

/* 3.1e6 */
static void print_exponent(char *out, size_t size, double value, int places)
{
    char digits[32];
    snprintf(digits, sizeof digits, "%.*e", places, value);
    const size_t n = strcspn(digits, "e");
    snprintf(out, size, "%.*se%d", (int)n, digits, atoi(digits + n + 1));
}

/* A tick's text: as many places as the distance between ticks has, exponents where those are many.
 */
static void print_tick(char *out, size_t size, double value, double step)
{
    const int places = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    if (fabs(value) < step / 1000) {
        snprintf(out, size, "0");
    } else if (places > 5 || fabs(value) >= 1e6) {
        print_exponent(out, size, value,
                       (int)fmax(0, floor(log10(fabs(value))) - floor(log10(step) + 1e-9)));
    } else {
        snprintf(out, size, "%.*f", places, value);
    }
    ink_number_use_point(out);
}

static void add_loss_tick(struct ink_plot_drawing *d, double y, const char *text)
{
    if (y >= INK_PLOT_TOP - 0.5 && y <= INK_PLOT_BOTTOM + 0.5) {
        ink_plot_add_line(d, INK_PLOT_LEFT, y, INK_PLOT_RIGHT, y, grid_colour, 1);
        ink_plot_add_number(d, INK_PLOT_END, INK_PLOT_LEFT - 9, y + 4.5, text);
    }
}

static void add_linear_ticks(struct ink_plot_drawing *d, const struct ink_plot_axes *a)
{
    const double step = round_up((a->high - a->low) / 9);
    char text[32];
    for (double i = ceil(a->low / step); i * step <= a->high && !d->failed; i++) {
        print_tick(text, sizeof text, i * step, step);
        add_loss_tick(d, ink_plot_y_of(a, i * step), text);
    }
}

/* Powers of ten, not more than nine of them; with 2 and 5 between where they are few. */
static void add_logarithmic_ticks(struct ink_plot_drawing *d, const struct ink_plot_axes *a)
{
    static const double between[] = {1, 2, 5};
    const double step = ceil((a->high - a->low) / 9);
    const int n_between = a->high - a->low < 4 ? 3 : 1;
    char text[32];
    for (double power = floor(a->low / step) * step; power <= a->high; power += step) {
        for (int i = 0; i < n_between; i++) {
            const double value = between[i] * pow(10, power);
            print_tick(text, sizeof text, value, value);
            add_loss_tick(d, ink_plot_y_of(a, value), text);
        }
    }
}

static void add_step_ticks(struct ink_plot_drawing *d, const struct ink_plot_axes *a)
{
    const double step = fmax(1, round_up(a->last_step / 8));
    char text[32];
    for (double i = 0; i * step <= a->last_step && !d->failed; i++) {
        const double x = ink_plot_x_of(a, i * step);
        snprintf(text, sizeof text, "%.0f", i * step);
        ink_plot_add_line(d, x, INK_PLOT_TOP, x, INK_PLOT_BOTTOM, grid_colour, 1);
        ink_plot_add_number(d, INK_PLOT_CENTRE, x, INK_PLOT_BOTTOM + 20, text);
    }
}

void ink_plot_add_frame(struct ink_plot_drawing *d, const struct ink_plot_axes *a)
{
    add_step_ticks(d, a);
    if (a->is_logarithmic) {
        add_logarithmic_ticks(d, a);
    } else {
        add_linear_ticks(d, a);
    }
    ink_plot_add_line(d, INK_PLOT_LEFT, INK_PLOT_BOTTOM, INK_PLOT_RIGHT, INK_PLOT_BOTTOM,
                      frame_colour, 1);
    ink_plot_add_line(d, INK_PLOT_LEFT, INK_PLOT_TOP, INK_PLOT_LEFT, INK_PLOT_BOTTOM, frame_colour,
                      1);
    ink_plot_add_label(d, INK_PLOT_CENTRE, (INK_PLOT_LEFT + INK_PLOT_RIGHT) / 2.0,
                       INK_PLOT_HEIGHT - 16, "Step", 14);
    ink_plot_add_label(d, INK_PLOT_UP, 22, (INK_PLOT_TOP + INK_PLOT_BOTTOM) / 2.0,
                       a->is_logarithmic ? "Loss (logarithmic)" : "Loss", 14);
}
