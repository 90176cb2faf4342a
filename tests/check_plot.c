/* Loss curves: what the SVG holds, and that nothing lies outside it, for all kinds of losses. How
 * they look is for people: tests/train_files draws them. */
#include "support.h"

#include "../src/train/plot.h"

#include <math.h>

static void add(struct ink_history *h, enum ink_history_kind kind, int64_t step, double loss)
{
    struct ink_error error = {0};
    struct ink_history_row row = {kind, step, 0, {0}};
    row.values[kind == INK_HISTORY_EVAL ? INK_HISTORY_EVAL_LOSS : INK_HISTORY_LOSS] = loss;
    assert_ok(ink_history_add(h, &row, &error));
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text++) {
        n++;
    }
    return n;
}

/* Every number of an attribute is finite and in the picture. */
static void assert_inside(const char *svg)
{
    static const char *const lists[] = {" points=\"", " cx=\"", " cy=\"", " x=\"", " y=\""};
    for (size_t i = 0; i < INK_COUNT(lists); i++) {
        for (const char *at = svg; (at = strstr(at, lists[i])) != NULL;) {
            at += strlen(lists[i]);
            while (*at && *at != '"') {
                char *end;
                const double x = strtod(at, &end);
                if (end == at || !(x >= 0 && x <= 800)) {
                    fail_msg("%.40s", at);
                }
                at = end + strspn(end, " ,");
            }
        }
    }
    assert_int_equal(count(svg, "nan") + count(svg, "inf"), 0);
}

static char *draw(const struct ink_history *h)
{
    struct ink_string out = {0};
    ink_plot_print_svg(h, &out);
    assert_false(out.failed);
    assert_inside(out.data);
    return out.data;
}

static void words(void **state)
{
    (void)state;
    struct ink_history h = {0};
    char *svg = draw(&h);
    assert_non_null(strstr(svg, ">No loss has been logged yet<"));
    ink_free(svg);
    add(&h, INK_HISTORY_TRAIN, 10, 2.5);
    svg = draw(&h);
    assert_non_null(strstr(svg, "<title>Training loss</title>"));
    assert_null(strstr(svg, "smoothed"));
    assert_int_equal(count(svg, "<circle"), 2); /* and its legend's */
    ink_free(svg);
    add(&h, INK_HISTORY_TRAIN, 20, 2.0);
    add(&h, INK_HISTORY_EVAL, 20, 2.25);
    ink_set_language("zh");
    svg = draw(&h);
    ink_set_language("en");
    assert_non_null(strstr(svg, "<title>训练损失与验证损失</title>"));
    assert_non_null(strstr(svg, ">训练损失（平滑）<"));
    assert_non_null(strstr(svg, ">训练步数<"));
    ink_free(svg);
    ink_history_close(&h);
}

static double at_random(void)
{
    static uint32_t x = 7;
    x = x * 1664525u + 1013904223u;
    return (double)(x >> 8) / (1 << 24);
}

/* Losses of every size and sign, with gaps; steps in no order (a run that was resumed). */
static void all_kinds(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct ink_history h = {0};
        const int n = (int)(at_random() * (i % 100 ? 30 : 8000));
        const double base = pow(10, at_random() * 80 - 40), spread = at_random() * 20;
        const double sign = i % 5 ? 1 : -1, shift = i % 7 ? 0 : base * 1e6;
        for (int j = 0; j < n; j++) {
            const double loss = at_random() < 0.1
                                    ? (double)(j % 2 ? NAN : INFINITY)
                                    : shift + sign * base * pow(10, at_random() * spread);
            add(&h, j % 10 ? INK_HISTORY_TRAIN : INK_HISTORY_EVAL, (int64_t)(at_random() * 1e7),
                loss);
        }
        ink_free(draw(&h));
        ink_history_close(&h);
    }
}

/* The least y of a polyline. */
static double highest_of(const char *points)
{
    double least = 1000;
    assert_non_null(points);
    for (points = strchr(points, '"') + 1; *points && *points != '"';) {
        char *comma, *end;
        strtod(points, &comma);
        const double y = strtod(comma + 1, &end);
        least = y < least ? y : least;
        points = end + strspn(end, " ");
    }
    return least;
}

/* So many points that they share columns: the file stays small, and the extremes are in it. */
static void many_points(void **state)
{
    (void)state;
    struct ink_history h = {0};
    for (int i = 1; i <= 200000; i++) {
        add(&h, INK_HISTORY_TRAIN, i, i == 77777 ? 9.0 : 1 + at_random());
    }
    char *svg = draw(&h);
    assert_true(strlen(svg) < 150000);
    assert_true(highest_of(strstr(strstr(svg, "stroke-opacity"), " points=")) <
                100); /* where 9.0 is */
    ink_free(svg);
    ink_history_close(&h);
}

static void files(void **state)
{
    (void)state;
    static const unsigned char start[] = {0x89, 'P', 'N',  'G',  13,  10,  26,   10,
                                          0,    0,   0,    13,   'I', 'H', 'D',  'R',
                                          0,    0,   0x03, 0x20, 0,   0,   0x01, 0xF4};
    struct ink_error error = {0};
    struct ink_history h = {0};
    struct ink_mapping file;
    add(&h, INK_HISTORY_TRAIN, 1, 2);
    add(&h, INK_HISTORY_TRAIN, 2, 1);
    add(&h, INK_HISTORY_EVAL, 2, 1.5);
    assert_ok(ink_make_folder("check_plot.tmp", &error));
    assert_ok(ink_plot_write(&h, "check_plot.tmp", &error));
    assert_int_equal(ink_path_kind("check_plot.tmp/loss_curve.svg"), INK_PATH_FILE);
    if (ink_plot_has_png()) {
        assert_ok(ink_map_file(&file, "check_plot.tmp/loss_curve.png", &error));
        assert_true(file.size > 5000);
        assert_memory_equal(file.data, start, sizeof start);
        ink_unmap_file(&file);
    } else {
        printf("# SKIP: no loss_curve.png, built without pangocairo\n");
        assert_int_equal(ink_path_kind("check_plot.tmp/loss_curve.png"), INK_PATH_NONE);
    }
    ink_fail_allocation(0, false);
    assert_ok(ink_plot_write(&h, "check_plot.tmp", &error));
    const long total = ink_fail_allocation(0, false);
    for (long n = 1; n <= total; n++) {
        ink_fail_allocation(n, false);
        const int status = ink_plot_write(&h, "check_plot.tmp", &error);
        ink_fail_allocation(0, false);
        assert_int_equal(status, INK_ERROR_MEMORY);
    }
    ink_remove_folder("check_plot.tmp");
    assert_int_equal(ink_plot_write(&h, "check_plot.tmp", &error), INK_ERROR_SYSTEM);
    ink_history_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),
        cmocka_unit_test(all_kinds),
        cmocka_unit_test(many_points),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
