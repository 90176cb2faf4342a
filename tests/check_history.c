/* trainer_state.json, against files that Python's json and transformers wrote
 * (tests/ref/make_train_goldens.py); and doubles as Python's repr writes them. */
#include "support.h"

#include "../src/number.h"
#include "../src/train/history.h"

#include <math.h>

static struct ink_history read_golden(const char *name)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    struct ink_history h;
    const char *path = shared_path(name);
    assert_ok(ink_map_file(&file, path, &error));
    assert_ok(ink_history_parse(&h, (const char *)file.data, (size_t)file.size, path, &error));
    ink_unmap_file(&file);
    return h;
}

/* What transformers wrote is read, and written again byte for byte. */
static void the_file_of_transformers(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_mapping file;
    struct ink_string text = {0};
    struct ink_history h = read_golden("train/state.json");
    assert_int_equal(h.n_rows, 64);
    assert_int_equal(h.step, 60);
    assert_int_equal(h.best_step, 40);
    assert_true(h.is_finished);
    assert_int_equal(h.rows[63].kind, INK_HISTORY_FINAL);
    assert_true(isnan(h.rows[3].values[INK_HISTORY_LOSS]));
    assert_true(h.rows[4].values[INK_HISTORY_LOSS] == -(double)INFINITY);
    assert_true(signbit(h.rows[5].values[INK_HISTORY_LEARNING_RATE]));
    ink_history_print(&h, &text);
    assert_ok(ink_map_file(&file, shared_path("train/state.json"), &error));
    assert_int_equal(text.length, file.size);
    assert_memory_equal(text.data, file.data, text.length);
    ink_unmap_file(&file);
    ink_string_free(&text);
    ink_history_close(&h);
}

/* Metrics that we do not keep, integers for floats, missing values; "NaN" inside a string. */
static void other_versions(void **state)
{
    (void)state;
    struct ink_history h = read_golden("train/more.json");
    assert_int_equal(h.n_rows, 2);
    assert_true(h.rows[0].values[INK_HISTORY_LOSS] == 2);
    assert_true(h.rows[1].values[INK_HISTORY_EVAL_LOSS] == 1.5);
    assert_int_equal(h.rows[1].step, 3);
    assert_int_equal(h.best_step, 0);
    assert_int_equal(h.max_steps, 9);
    ink_history_close(&h);
}

static void written_and_read(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_history h = {.logging_steps = 10}, again;
    struct ink_string a = {0}, b = {0};
    for (int i = 1; i <= 300; i++) {
        const struct ink_history_row row = {
            i % 3 ? INK_HISTORY_TRAIN : INK_HISTORY_EVAL, i, i / 7.0, {1.0 / i, 2e-5 / i, sqrt(i)}};
        assert_ok(ink_history_add(&h, &row, &error));
    }
    assert_int_equal(h.best_step, 300);
    h.step = 300;
    assert_ok(ink_history_write(&h, ".", &error));
    assert_ok(ink_history_read(&again, ".", &error));
    remove("trainer_state.json");
    ink_history_print(&h, &a);
    ink_history_print(&again, &b);
    assert_string_equal(a.data, b.data);
    ink_history_cut(&again, 100);
    assert_int_equal(again.n_rows, 100);
    assert_int_equal(again.rows[99].step, 100);
    ink_string_free(&a);
    ink_string_free(&b);
    ink_history_close(&h);
    ink_history_close(&again);
}

/* A NaN is never the best; a later, smaller loss is, and has no checkpoint yet. */
static void the_best(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_history h = {0};
    const double losses[] = {(double)NAN, 2, 3, 1, (double)NAN};
    const int best[] = {0, 2, 2, 4, 4};
    for (int i = 0; i < 5; i++) {
        const struct ink_history_row row = {INK_HISTORY_EVAL, i + 1, i, {losses[i]}};
        assert_ok(ink_history_add(&h, &row, &error));
        assert_int_equal(h.best_step, best[i]);
        if (i == 1) {
            h.best_checkpoint = ink_strdup("out/checkpoint-2");
        }
    }
    assert_null(h.best_checkpoint);
    ink_history_close(&h);
}

static void bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"", "x: not valid JSON: the text ends too early (byte 0)"},
        {"[]", "x: not a JSON object"},
        {"{}", "x: \"log_history\" is not a list of objects"},
        {"{\"log_history\": [1]}", "x: \"log_history\" is not a list of objects"},
        {"{\"log_history\": [{\"loss\": \"a\"}]}", "x: \"loss\" is not a number"},
        {"{\"log_history\": [{\"loss\": 1, \"step\": 1.5}]}", "x: \"step\" is not an integer"},
        {"{\"log_history\": [{\"loss\": 1, \"step\": -1}]}",
         "x: \"step\" is -1, allowed are 0 to 9.0072e+15"},
        {"{\"log_history\": [], \"global_step\": NaN}", "x: \"global_step\" is not an integer"},
        {"{\"log_history\": [], \"best_model_checkpoint\": 5}",
         "x: \"best_model_checkpoint\" is not a string"},
        {"{\"log_history\": [], \"epoch\": Nan}",
         "x: not valid JSON: an unexpected character (byte 29)"},
    };
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        struct ink_history h;
        assert_int_equal(ink_history_parse(&h, cases[i].text, strlen(cases[i].text), "x", &error),
                         INK_ERROR_INPUT);
        assert_string_equal(error.message, cases[i].message);
        assert_null(h.rows);
    }
}

static void every_allocation(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_history h = read_golden("train/state.json"), again;
    struct ink_string text = {0};
    ink_history_print(&h, &text);
    ink_fail_allocation(0, false);
    assert_ok(ink_history_parse(&again, text.data, text.length, "x", &error));
    ink_history_close(&again);
    assert_ok(ink_history_write(&h, ".", &error));
    const long total = ink_fail_allocation(0, false);
    for (long n = 1; n <= total; n++) {
        ink_fail_allocation(n, false);
        int status = ink_history_parse(&again, text.data, text.length, "x", &error);
        ink_history_close(&again);
        if (status == INK_OK) {
            status = ink_history_write(&h, ".", &error);
        }
        ink_fail_allocation(0, false);
        assert_int_equal(status, INK_ERROR_MEMORY);
    }
    remove("trainer_state.json");
    ink_string_free(&text);
    ink_history_close(&h);
}

/* Lines "BITS TEXT". */
static void hold_lines(const char *name, bool is_rounded)
{
    char line[128], text[INK_NUMBER_SIZE];
    FILE *f = fopen(shared_path(name), "r");
    int n = 0;
    for (; f && fgets(line, sizeof line, f); n++) {
        char *rest;
        const uint64_t bits = strtoull(line, &rest, 16);
        double value;
        memcpy(&value, &bits, sizeof value);
        rest[strcspn(rest, "\n")] = '\0';
        ink_number_from_double(text, is_rounded ? ink_number_round(value, 4) : value);
        assert_string_equal(text, rest + 1);
    }
    assert_true(n > 200);
    fclose(f);
}

static void numbers_as_python_writes_them(void **state)
{
    (void)state;
    hold_lines("train/numbers.txt", false);
    hold_lines("train/rounded.txt", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_as_python_writes_them),
        cmocka_unit_test(the_file_of_transformers),
        cmocka_unit_test(other_versions),
        cmocka_unit_test(written_and_read),
        cmocka_unit_test(the_best),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(every_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
