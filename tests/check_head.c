/* Logits of which only the best are wanted, against all of them. */
#include "support.h"

#include <math.h>

enum { MOST_OUTPUTS = 17, LENGTH = 20 };

static int falling(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x < y) - (x > y);
}

/* The n-th best of v logits. */
static float nth_best(const float *logits, int v, int n)
{
    float *sorted = malloc((size_t)v * sizeof *sorted);
    memcpy(sorted, logits, (size_t)v * sizeof *sorted);
    qsort(sorted, (size_t)v, sizeof *sorted, falling);
    float best = sorted[n - 1];
    free(sorted);
    return best;
}

/* At or above the n-th best the same bits; below it the same or minus infinity. */
static void assert_best(const float *got, const float *all, int v, int n)
{
    float least = nth_best(all, v, n < v ? n : v);
    for (int i = 0; i < v; i++) {
        if (memcmp(&got[i], &all[i], sizeof *got) != 0 &&
            (all[i] >= least || got[i] != -INFINITY)) {
            fail_msg("logit %d is %g, not %g (%d best, the least is %g)", i, (double)got[i],
                     (double)all[i], n, (double)least);
        }
    }
}

static void check_best(struct ink_model *m, int n_outputs, int n_best)
{
    struct ink_error error = {0};
    int v = ink_model_get_info(m)->vocab_size;
    int32_t ids[LENGTH];
    for (int i = 0; i < LENGTH; i++) {
        ids[i] = (i * 7919 + n_outputs) % v;
    }
    struct ink_session *s = open_session(m, INK_KV_F16);
    float *all = eval_all(m, s, ids, LENGTH, LENGTH);
    float *got = malloc((size_t)n_outputs * (size_t)v * sizeof *got);
    ink_session_truncate(s, 0);
    struct ink_step step = {s, ids, LENGTH, n_outputs, got, NULL, n_best};
    assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    for (int i = 0; i < n_outputs; i++) {
        assert_best(got + (size_t)i * (size_t)v, all + (size_t)(LENGTH - n_outputs + i) * (size_t)v,
                    v, n_best > 0 ? n_best : v);
    }
    free(got);
    free(all);
    ink_session_close(s);
}

static void best_logits_are_those_of_the_whole_head(void **state)
{
    (void)state;
    /* the last is not in the repository, and the test is skipped there without it */
    static const char *const names[] = {"fixtures/ernie-tiny", "fixtures/ernie-tiny-untied-bias",
                                        "fixtures/odd-llama",  "fixtures/odd-f16",
                                        "fixtures/odd-one-kv", "data/stories260K/as-ernie45",
                                        "fixtures/ernie-micro"};
    static const int outputs[] = {1, 8, MOST_OUTPUTS - 1, MOST_OUTPUTS};
    static const int best[] = {1, INK_MAX_BEST, 0, 500};
    for (size_t k = 0; k < INK_COUNT(names); k++) {
        const char *path = shared_path(names[k]);
        for (size_t i = 0; i < INK_COUNT(outputs) * INK_COUNT(best); i++) {
            /* each its own model: screening that does not pay is left out for a while */
            struct ink_model *m = open_model_as(path, i % 2 ? 1 : 3, NULL, INK_WEIGHTS_Q8_0);
            check_best(m, outputs[i / INK_COUNT(best)], best[i % INK_COUNT(best)]);
            ink_model_close(m);
        }
    }
}

/* The full vocabulary, one token at a time: groups are left unread, and counted. */
static void screening_saves_reading(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m =
        open_model_as(shared_path("fixtures/ernie-micro"), 2, NULL, INK_WEIGHTS_Q8_0);
    int v = ink_model_get_info(m)->vocab_size;
    float *logits = malloc((size_t)v * sizeof *logits);
    struct ink_session *s = open_session(m, INK_KV_F16);
    struct ink_head_statistics before, after;
    struct ink_step unseen = {s, (const int32_t[]){1, 2}, 2, 0, NULL, NULL, 1};
    assert_ok(ink_eval(m, &unseen, 1, NULL, NULL, &error)); /* nothing is wanted of the head */
    ink_model_get_head_statistics(m, &before);
    assert_int_equal(before.screened, 0);
    for (int32_t token = 1; token <= 20; token++) {
        struct ink_step step = {s, &token, 1, 1, logits, NULL, 1};
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    }
    ink_model_get_head_statistics(m, &after);
    printf("# of %.0f groups of the head %.0f were read whole\n", (double)after.screened,
           (double)after.read_whole);
    assert_true(after.screened > 0 && after.read_whole > 0);
    assert_true(after.read_whole <= after.screened);
    struct ink_step bad = {s, (const int32_t[]){1}, 1, 1, logits, NULL, -1};
    assert_int_equal(ink_eval(m, &bad, 1, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    free(logits);
    ink_session_close(s);
    ink_model_close(m);
}

static void what_a_choice_depends_on(void **state)
{
    (void)state;
    struct ink_sampling s = {.temperature = 0, .top_p = 1, .repetition_penalty = 1};
    assert_int_equal(ink_sampling_needs(&s), 1);
    s.temperature = 0.7f;
    assert_int_equal(ink_sampling_needs(&s), 0);
    s.top_k = 40;
    assert_int_equal(ink_sampling_needs(&s), 40);
    s.top_k = INK_MAX_BEST + 1;
    assert_int_equal(ink_sampling_needs(&s), 0);
    s.top_k = 5;
    s.presence_penalty = 0.5f;
    assert_int_equal(ink_sampling_needs(&s), 0);
}

/* Sampling among the best, draw for draw. */
static void choices_are_the_same(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m =
        open_model_as(shared_path("data/stories260K/as-ernie45"), 2, NULL, INK_WEIGHTS_Q8_0);
    int v = ink_model_get_info(m)->vocab_size;
    float *all = malloc((size_t)v * sizeof *all), *best = malloc((size_t)v * sizeof *best);
    struct ink_session *a = open_session(m, INK_KV_F16), *b = open_session(m, INK_KV_F16);
    struct ink_sampling sampling = {
        .temperature = 0.9f, .top_k = 20, .top_p = 0.95f, .repetition_penalty = 1, .seed = 7};
    struct ink_sampler *one, *two;
    assert_ok(ink_sampler_open(&one, m, &sampling, &error));
    assert_ok(ink_sampler_open(&two, m, &sampling, &error));
    int32_t token = 1;
    for (int i = 0; i < 100; i++) {
        struct ink_step whole = {a, &token, 1, 1, all, NULL, 0};
        struct ink_step part = {b, &token, 1, 1, best, NULL, ink_sampling_needs(&sampling)};
        assert_ok(ink_eval(m, &whole, 1, NULL, NULL, &error));
        assert_ok(ink_eval(m, &part, 1, NULL, NULL, &error));
        int32_t chosen = ink_sampler_choose(one, all);
        assert_int_equal(ink_sampler_choose(two, best), chosen);
        token = chosen;
    }
    ink_sampler_close(one);
    ink_sampler_close(two);
    ink_session_close(a);
    ink_session_close(b);
    free(all);
    free(best);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_logits_are_those_of_the_whole_head),
        cmocka_unit_test(screening_saves_reading),
        cmocka_unit_test(what_a_choice_depends_on),
        cmocka_unit_test(choices_are_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
