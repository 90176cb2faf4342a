/* The sampler against transformers' distributions, and its draw against itself. */
#include "support.h"

#include "../src/fixedmath.h"
#include "../src/model.h"

#include <math.h>

/* The sampler needs no more of a model than its vocabulary size. */
static struct ink_sampler *open_sampler(int v, const struct ink_sampling *settings)
{
    static struct ink_model model;
    struct ink_error error = {0};
    struct ink_sampler *s = NULL;
    model.architecture.vocab_size = v;
    assert_ok(ink_sampler_open(&s, &model, settings, &error));
    return s;
}

static float number(const cJSON *object, const char *key)
{
    return (float)ink_json_get(object, key)->valuedouble;
}

static void accept_ids(struct ink_sampler *s, const cJSON *ids, bool is_prompt)
{
    int n;
    int32_t *tokens = ids_of(ids, &n);
    ink_sampler_accept(s, tokens, n, is_prompt);
    free(tokens);
}

/* Frequencies of many draws against the probabilities: within 5 standard deviations, and never an
 * id of probability 0. */
static void check_case(const cJSON *c)
{
    enum { draws = 4000 };
    const cJSON *set = ink_json_get(c, "settings");
    struct ink_sampling settings = {.temperature = number(set, "temperature"),
                                    .top_k = (int)number(set, "top_k"),
                                    .top_p = number(set, "top_p"),
                                    .repetition_penalty = number(set, "repetition_penalty"),
                                    .presence_penalty = number(set, "presence_penalty"),
                                    .frequency_penalty = number(set, "frequency_penalty"),
                                    .seed = 42};
    int v, n;
    double *numbers = numbers_of(ink_json_get(c, "logits"), &v);
    double *wanted = numbers_of(ink_json_get(c, "probabilities"), &n);
    float *logits = calloc((size_t)v, sizeof *logits);
    int *count = calloc((size_t)v, sizeof *count);
    for (int i = 0; i < v; i++) {
        logits[i] = (float)numbers[i];
    }
    struct ink_sampler *s = open_sampler(v, &settings);
    accept_ids(s, ink_json_get(c, "prompt"), true);
    accept_ids(s, ink_json_get(c, "answer"), false);
    for (int i = 0; i < draws; i++) {
        count[ink_sampler_choose(s, logits)]++;
    }
    for (int i = 0; i < v; i++) {
        double sigma = sqrt(draws * wanted[i] * (1 - wanted[i])) + 1e-3;
        bool tied_at_the_edge = settings.top_k == 1; /* we take the lowest id of a tie */
        if (!tied_at_the_edge && fabs(count[i] - draws * wanted[i]) > 5 * sigma + 0.5) {
            fail_msg("id %d drawn %d times, probability %g", i, count[i], wanted[i]);
        }
        if (wanted[i] == 0 && count[i] > 0) {
            fail_msg("id %d drawn %d times, probability 0", i, count[i]);
        }
    }
    ink_sampler_close(s);
    free(count);
    free(logits);
    free(numbers);
    free(wanted);
}

static void as_transformers(void **state)
{
    (void)state;
    cJSON *cases = read_json(shared_path("sampler_golden.json"));
    for (const cJSON *c = cases->child; c; c = c->next) {
        check_case(c);
    }
    cJSON_Delete(cases);
}

static void same_draw_for_a_seed(void **state)
{
    (void)state;
    /* the first ids of seed 1 over equal logits, computed apart in Python */
    static const int wanted[8] = {566, 745, 971, 444, 444, 762, 877, 523};
    static float logits[1000];
    struct ink_sampling settings = {
        .temperature = 1, .top_p = 1, .repetition_penalty = 1, .seed = 1};
    struct ink_sampler *s = open_sampler(1000, &settings);
    int got[8];
    for (int i = 0; i < 8; i++) {
        got[i] = ink_sampler_choose(s, logits);
    }
    for (int i = 0; i < 8; i++) {
        if (got[i] != wanted[i]) {
            fail_msg("%d %d %d %d %d %d %d %d", got[0], got[1], got[2], got[3], got[4], got[5],
                     got[6], got[7]);
        }
    }
    ink_sampler_close(s);
}

static void odd_logits(void **state)
{
    (void)state;
    struct ink_sampling settings = {
        .temperature = 0.7f, .top_k = 5, .top_p = 0.9f, .repetition_penalty = 1};
    struct ink_sampler *s = open_sampler(4, &settings);
    float nans[4] = {NAN, NAN, 1, NAN}, all_nan[4] = {NAN, NAN, NAN, NAN};
    float infinite[4] = {0, INFINITY, 0, -INFINITY};
    assert_int_equal(ink_sampler_choose(s, nans), 2);
    assert_int_equal(ink_sampler_choose(s, all_nan), -1);
    assert_int_equal(ink_sampler_choose(s, infinite), 1);
    ink_sampler_close(s);
}

static void settings_out_of_range(void **state)
{
    (void)state;
    static struct ink_model model = {.architecture = {.vocab_size = 4}};
    const struct ink_sampling good = {.temperature = 1, .top_p = 1, .repetition_penalty = 1};
    struct ink_sampling bad[6] = {good, good, good, good, good, good};
    bad[0].temperature = -1;
    bad[1].temperature = NAN;
    bad[2].top_p = 1.5f;
    bad[3].top_k = -1;
    bad[4].repetition_penalty = 0;
    bad[5].presence_penalty = INFINITY;
    for (size_t i = 0; i < 6; i++) {
        struct ink_sampler *s;
        struct ink_error error = {0};
        assert_int_equal(ink_sampler_open(&s, &model, &bad[i], &error), INK_ERROR_ARGUMENT);
        assert_null(s);
    }
}

static void fixed_math_is_accurate(void **state)
{
    (void)state;
    for (double x = -700; x < 700; x += 0.0737) {
        assert_true(fabs(ink_fixed_exp(x) / exp(x) - 1) < 4.5e-16);
    }
    for (double x = 1e-300; x < 1e300; x *= 1.0173) {
        assert_true(fabs(ink_fixed_log(x) - log(x)) < 5e-16 * fmax(fabs(log(x)), 1e-3));
    }
    for (double x = 0; x < 1048576; x += 1.913) {
        double s, c;
        ink_fixed_sincos(x, &s, &c);
        assert_true(fabs(s - sin(x)) < 4.5e-16 && fabs(c - cos(x)) < 4.5e-16);
    }
    for (uint64_t n = 0; n < 500000; n = n * 9 / 8 + 1) {
        const double power = pow(0.999, (double)n);
        assert_true(fabs(ink_fixed_power(0.999, n) / power - 1) < 2.3e-16 * (double)(n + 1));
    }
    assert_true(isinf(ink_fixed_log(HUGE_VAL)) && isinf(ink_fixed_log(0)) &&
                isnan(ink_fixed_log((double)NAN)));
    assert_true(ink_fixed_exp(0) == 1 && ink_fixed_exp(-1e9) == 0 && isinf(ink_fixed_exp(1e9)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_transformers),
        cmocka_unit_test(same_draw_for_a_seed),
        cmocka_unit_test(odd_logits),
        cmocka_unit_test(settings_out_of_range),
        cmocka_unit_test(fixed_math_is_accurate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
