/* Keys and values that are kept and put back, and the likelihoods of tokens. */
#include "support.h"

#include "../src/model.h"

#include <math.h>

enum { PROMPT = 3 * INK_BLOCK + 5, ANSWER = 24 };

static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};
static const char *const models[] = {"fixtures/ernie-tiny", "fixtures/llama-tiny",
                                     "fixtures/odd-one-kv"};
static const enum ink_kv_type kv_types[] = {INK_KV_F16, INK_KV_F32, INK_KV_Q8};

static struct ink_generator *open_generator(struct ink_model *m, enum ink_kv_type type)
{
    struct ink_error error = {0};
    struct ink_generator *g;
    const struct ink_generator_options options = {.n_positions = 160, .kv_type = type};
    assert_ok(ink_generator_open(&g, m, &options, &error));
    return g;
}

/* Ids of the answer, and the bits of the logits before its first token in `first` [V]. */
static void finish(struct ink_model *m, struct ink_generator *g, int32_t *ids, float *first)
{
    struct ink_error error = {0};
    struct ink_step step;
    enum ink_generated what;
    int32_t token;
    int n = 0;
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        if (what == INK_GENERATED_TOKEN) {
            ids[n++] = token;
            continue;
        }
        ink_generator_prepare(g, 50, &step);
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        if (n == 0 && step.n_logits > 0) {
            memcpy(first, step.logits, (size_t)m->architecture.vocab_size * sizeof *first);
        }
        ink_generator_done(g, 0);
    }
    while (n < ANSWER) {
        ids[n++] = -1;
    }
}

static void start(struct ink_generator *g, const int32_t *prompt)
{
    struct ink_error error = {0};
    assert_ok(ink_generator_start(g, prompt, PROMPT, &greedy, ANSWER, &error));
}

static void check_copies(struct ink_model *m, enum ink_kv_type type)
{
    size_t v = (size_t)m->architecture.vocab_size;
    float *wanted = malloc(v * sizeof *wanted), *got = malloc(v * sizeof *got);
    int32_t prompt[n_probe], wanted_ids[ANSWER], got_ids[ANSWER];
    fill_probe(prompt, (int)v);
    struct ink_generator *a = open_generator(m, type), *b = open_generator(m, type);
    start(a, prompt);
    finish(m, a, wanted_ids, wanted);
    const struct ink_session *read = ink_generator_session(a);
    char *block = malloc((size_t)ink_session_block_bytes(read));
    for (int n = 1; n <= 3; n++) {
        int32_t other[n_probe] = {0};
        start(b, other); /* something else before it */
        finish(m, b, got_ids, got);
        start(b, prompt);
        for (int i = 0; i < n; i++) {
            ink_session_read_block(read, block, i);
            assert_true(ink_generator_put_block(b, block, i));
            assert_false(ink_generator_put_block(b, block, i)); /* is there */
        }
        assert_false(ink_generator_put_block(b, block, 3)); /* holds the last token */
        assert_int_equal(ink_generator_unread(b), PROMPT - n * INK_BLOCK);
        finish(m, b, got_ids, got);
        assert_memory_equal(got, wanted, v * sizeof *wanted);
        assert_memory_equal(got_ids, wanted_ids, sizeof wanted_ids);
    }
    free(block);
    free(wanted);
    free(got);
    ink_generator_close(a);
    ink_generator_close(b);
}

static void test_copies(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(models); i++) {
        struct ink_model *m = open_model_at(shared_path(models[i]), 2, NULL);
        for (size_t k = 0; k < INK_COUNT(kv_types); k++) {
            check_copies(m, kv_types[k]);
        }
        ink_model_close(m);
    }
}

static void test_blocks_out_of_order(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[0]), 1, NULL);
    struct ink_generator *g = open_generator(m, INK_KV_F16);
    int32_t prompt[n_probe], ids[ANSWER];
    float *logits = malloc((size_t)m->architecture.vocab_size * sizeof *logits);
    fill_probe(prompt, m->architecture.vocab_size);
    char *block = calloc(1, (size_t)ink_session_block_bytes(ink_generator_session(g)));
    assert_false(ink_generator_put_block(g, block, 0)); /* nothing was started */
    start(g, prompt);
    assert_false(ink_generator_put_block(g, block, 1)); /* block 0 is missing */
    assert_false(ink_generator_put_block(g, block, -1));
    finish(m, g, ids, logits);
    int n;
    const int32_t *text = ink_generator_text(g, &n);
    assert_int_equal(ink_generator_shared(g, text, n), n - 1); /* the last is never read */
    assert_memory_equal(text, prompt, PROMPT * sizeof *prompt);
    prompt[40]++;
    assert_int_equal(ink_generator_shared(g, prompt, PROMPT), 40);
    free(block);
    free(logits);
    ink_generator_close(g);
    ink_model_close(m);
}

/* log softmax in double, by libm. */
static double reference_logprob(const float *logits, int v, int id)
{
    double best = -INFINITY, sum = 0;
    for (int i = 0; i < v; i++) {
        best = logits[i] > best ? (double)logits[i] : best;
    }
    for (int i = 0; i < v; i++) {
        sum += exp((double)logits[i] - best);
    }
    return (double)logits[id] - best - log(sum);
}

static void test_logprobs(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path(models[0]), 2, NULL);
    struct ink_generator *g = open_generator(m, INK_KV_F16);
    int v = m->architecture.vocab_size, n_seen = 0;
    int32_t prompt[n_probe], token;
    fill_probe(prompt, v);
    const struct ink_sampling warm = {.temperature = 1.5f, .top_p = 1, .repetition_penalty = 1.3f};
    assert_ok(ink_generator_start(g, prompt, PROMPT, &warm, ANSWER, &error));
    assert_int_equal(ink_generator_want_logprobs(g, INK_MAX_LOGPROBS + 1, &error),
                     INK_ERROR_ARGUMENT);
    assert_ok(ink_generator_want_logprobs(g, 5, &error));
    float *raw = malloc((size_t)v * sizeof *raw);
    enum ink_generated what;
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        struct ink_step step;
        if (what == INK_GENERATED_NOTHING) {
            ink_generator_prepare(g, 512, &step);
            assert_int_equal(step.n_best, 0);
            assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
            memcpy(raw, step.logits, (size_t)v * sizeof *raw);
            ink_generator_done(g, 0);
            continue;
        }
        struct ink_logprob chosen, top[INK_MAX_LOGPROBS];
        assert_int_equal(ink_generator_logprobs(g, &chosen, top), 5);
        assert_int_equal(chosen.token, token);
        assert_true(fabs(chosen.logprob - reference_logprob(raw, v, token)) < 1e-5);
        for (int i = 0; i < 5; i++) {
            assert_true(fabs(top[i].logprob - reference_logprob(raw, v, top[i].token)) < 1e-5);
            assert_true(i == 0 || top[i].logprob <= top[i - 1].logprob);
        }
        int better = 0;
        for (int i = 0; i < v; i++) {
            better += raw[i] > raw[top[4].token];
        }
        assert_in_range(better, 0, 4);
        n_seen++;
    }
    assert_true(n_seen > 0);
    free(raw);
    ink_generator_close(g);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_blocks_out_of_order),
        cmocka_unit_test(test_logprobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
