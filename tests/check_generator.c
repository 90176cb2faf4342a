/* Answers of a generator, with guesses and without, against a loop of one token after another. */
#include "support.h"

#include "../src/model.h"

enum { MOST = 400 };

struct written {
    int32_t ids[MOST];
    int n, length; /* tokens, and what the session has read in the end */
    enum ink_generated end;
    uint64_t n_drafted, n_accepted;
};

struct question {
    const int32_t *prompt;
    int n_prompt, max_new_tokens, n_positions;
    struct ink_sampling sampling;
};

static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};

/* As simple as it can be. */
static void write_plainly(struct written *out, struct ink_model *m, const struct question *q)
{
    struct ink_error error = {0};
    struct ink_session *session;
    struct ink_sampler *sampler;
    float *logits = malloc((size_t)m->architecture.vocab_size * sizeof *logits);
    assert_ok(ink_session_open(&session, m, q->n_positions, INK_KV_F16, &error));
    assert_ok(ink_sampler_open(&sampler, m, &q->sampling, &error));
    ink_sampler_accept(sampler, q->prompt, q->n_prompt, true);
    struct ink_step step = {session, q->prompt, q->n_prompt, 1, logits, NULL, 0};
    out->n = 0;
    for (;;) {
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        int32_t token = ink_sampler_choose(sampler, logits);
        if (ink_is_end_token(m, token)) {
            out->end = INK_GENERATED_STOP;
            break;
        }
        ink_sampler_accept(sampler, &token, 1, false);
        out->ids[out->n++] = token;
        if (out->n == q->max_new_tokens ||
            ink_session_length(session) == ink_session_capacity(session)) {
            out->end = INK_GENERATED_LENGTH;
            break;
        }
        step.tokens = &out->ids[out->n - 1];
        step.n_tokens = 1;
    }
    out->length = ink_session_length(session);
    ink_session_close(session);
    ink_sampler_close(sampler);
    free(logits);
}

static void evaluate(struct ink_model *m, struct ink_generator *g, double seconds)
{
    struct ink_error error = {0};
    struct ink_step step;
    ink_generator_prepare(g, 7, &step);
    int length = ink_session_length(step.session);
    assert_true(length + step.n_tokens <= ink_session_capacity(step.session));
    assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    ink_generator_done(g, seconds * (3 + step.n_tokens));
}

static void answer(struct written *out, struct ink_model *m, struct ink_generator *g,
                   const struct question *q)
{
    struct ink_error error = {0};
    int32_t token;
    assert_ok(
        ink_generator_start(g, q->prompt, q->n_prompt, &q->sampling, q->max_new_tokens, &error));
    out->n = 0;
    while ((out->end = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        if (out->end == INK_GENERATED_TOKEN) {
            out->ids[out->n++] = token;
        } else {
            evaluate(m, g, 0.01);
        }
    }
    assert_int_equal(ink_generator_take(g, &token), out->end);
    ink_generator_count_drafts(g, &out->n_drafted, &out->n_accepted);
    out->length = ink_session_length(ink_generator_session(g));
}

static struct ink_generator *open_generator(struct ink_model *m, int n_positions, int max_draft,
                                            bool always)
{
    struct ink_error error = {0};
    struct ink_generator *g;
    const struct ink_generator_options options = {n_positions, INK_KV_F16, max_draft, always};
    assert_ok(ink_generator_open(&g, m, &options, &error));
    return g;
}

static void assert_same(const struct written *got, const struct written *wanted)
{
    assert_int_equal(got->n, wanted->n);
    assert_memory_equal(got->ids, wanted->ids, (size_t)wanted->n * sizeof *wanted->ids);
    assert_int_equal(got->end, wanted->end);
    assert_int_equal(got->length, wanted->length);
}

static const struct {
    int most;
    bool always;
} ways[] = {{0, false}, {1, true}, {3, true}, {INK_MAX_DRAFT, true}, {INK_MAX_DRAFT, false}};

/* What an emulated processor leaves out: guesses are whole numbers, and the same everywhere. */
static int rarely(void)
{
    return is_emulated() ? 5 : 1;
}

/* The question in every way; returns how many guesses were right. */
static uint64_t check(struct ink_model *m, const struct question *q)
{
    static struct written wanted, got;
    uint64_t accepted = 0;
    write_plainly(&wanted, m, q);
    for (size_t i = 0; i < INK_COUNT(ways); i++) {
        struct ink_generator *g = open_generator(m, q->n_positions, ways[i].most, ways[i].always);
        for (int again = 0; again < 2; again++) {
            answer(&got, m, g, q);
            assert_same(&got, &wanted);
            assert_true(got.n_accepted <= got.n_drafted);
            assert_true(ways[i].most > 0 || got.n_drafted == 0);
            accepted += got.n_accepted;
        }
        ink_generator_close(g);
    }
    return accepted;
}

/* --------------------------------------------------------------------------------------- models */

static const char *const models[] = {"data/stories260K/as-ernie45", "fixtures/llama-tiny",
                                     "fixtures/odd-llama"};

static void fill(int32_t *ids, int n, int vocab, int period)
{
    uint32_t state = 7;
    for (int i = 0; i < n; i++) {
        state = state * 1664525u + 1013904223u;
        ids[i] =
            i < period ? (int32_t)((state >> 8) % (uint32_t)(vocab - 10)) + 5 : ids[i - period];
    }
}

static int longest(const struct ink_model *m)
{
    return m->architecture.max_positions < 256 ? m->architecture.max_positions : 256;
}

static void same_tokens_for_all_settings(void **state)
{
    (void)state;
    const struct ink_sampling settings[] = {
        greedy,
        {.top_p = 1, .repetition_penalty = 1.3F},
        {.temperature = 0.8F, .top_k = 40, .top_p = 0.95F, .repetition_penalty = 1, .seed = 3},
        {.temperature = 1, .top_p = 0.7F, .repetition_penalty = 1.1F, .seed = 99},
        {.temperature = 0.3F,
         .top_p = 1,
         .repetition_penalty = 1,
         .presence_penalty = 0.5F,
         .frequency_penalty = 0.2F,
         .seed = 12345},
        {.temperature = 50, .top_p = 1, .repetition_penalty = 1, .seed = 8},
    };
    for (size_t i = 0; i < INK_COUNT(models); i++) {
        uint64_t accepted = 0;
        for (int threads = 1; threads <= 2; threads++) {
            struct ink_model *m = open_model_at(shared_path(models[i]), threads, NULL);
            int32_t prompt[64];
            for (int period = 4; period <= (threads == 1 ? 64 : 4);
                 period *= 4) { /* 64: no repetition */
                fill(prompt, 40, m->architecture.vocab_size, period);
                for (size_t s = 0; s < INK_COUNT(settings);
                     s += threads == 1 && !is_emulated() ? 1 : 3) {
                    struct question q = {prompt, 40, 60, longest(m), settings[s]};
                    accepted += check(m, &q);
                }
            }
            ink_model_close(m);
        }
        assert_true(accepted > 10);
    }
}

/* max_new_tokens and the end of the context fall on every place of a guess. */
static void limits_inside_a_guess(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[0]), 1, NULL);
    int32_t prompt[60];
    fill(prompt, 60, m->architecture.vocab_size, 3);
    for (int n = 1; n < 30; n += rarely()) {
        struct question q = {prompt, 60, n, 256, greedy};
        check(m, &q);
    }
    for (int n = 60; n < 90; n += rarely()) {
        struct question q = {prompt, 60, MOST, n, greedy};
        check(m, &q);
    }
    ink_model_close(m);
}

/* Tokens of a repetitive answer become the end token in turn. */
static void end_tokens_inside_a_guess(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[1]), 1, NULL);
    static struct written whole;
    int32_t prompt[40];
    fill(prompt, 40, m->architecture.vocab_size, 3);
    struct question q = {prompt, 40, 60, longest(m), greedy};
    write_plainly(&whole, m, &q);
    struct ink_architecture *a = &m->architecture;
    uint64_t accepted = 0;
    for (int i = 0; i < whole.n; i += 2 * rarely()) {
        a->n_end_tokens = 1;
        a->end_tokens[0] = whole.ids[i];
        accepted += check(m, &q);
    }
    /* the same inside a text that is guessed right: sampled, so that it does not end at once */
    for (int seed = 0; seed < 12; seed += rarely()) {
        q.sampling = (struct ink_sampling){
            .temperature = 0.1F, .top_p = 1, .repetition_penalty = 1, .seed = (uint64_t)seed};
        a->end_tokens[0] = prompt[seed % 3];
        accepted += check(m, &q);
    }
    assert_true(accepted > 0);
    ink_model_close(m);
}

/* One generator for a conversation: prompts that go on from one another, are cut, forgotten, asked
 * again, and answers that were stopped in the middle of a guess. */
static void conversations(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[0]), 1, NULL);
    static struct written wanted, got;
    static int32_t text[MOST];
    struct ink_error error = {0};
    for (size_t w = 0; w < INK_COUNT(ways); w++) {
        struct ink_generator *g = open_generator(m, 256, ways[w].most, ways[w].always);
        int n = 12;
        fill(text, n, m->architecture.vocab_size, 5);
        for (int turn = 0; turn < (is_emulated() ? 8 : 24); turn++) {
            struct question q = {text, n, 20, 256, greedy};
            q.sampling.temperature = turn % 3 == 0 ? 0.5F : 0;
            q.sampling.seed = (uint64_t)turn;
            write_plainly(&wanted, m, &q);
            if (turn % 4 == 3) { /* stopped after a few tokens */
                int32_t token;
                int taken = 0;
                assert_ok(ink_generator_start(g, text, n, &q.sampling, 20, &error));
                while (taken < turn / 4 + 1 && taken < wanted.n) {
                    if (ink_generator_take(g, &token) == INK_GENERATED_TOKEN) {
                        assert_int_equal(token, wanted.ids[taken++]);
                    } else {
                        evaluate(m, g, 0);
                    }
                }
                ink_generator_stop(g);
                assert_int_equal(ink_session_length(ink_generator_session(g)), n + taken - 1);
                assert_int_equal(ink_generator_take(g, &token), INK_GENERATED_STOP);
            }
            answer(&got, m, g, &q);
            assert_same(&got, &wanted);
            memcpy(text + n, got.ids, (size_t)got.n * sizeof *text);
            n += turn % 5 == 4 ? -n / 2 : got.n; /* go on, or go back */
            n = n < 12 ? 12 : n > 200 ? 40 : n;
        }
        ink_generator_close(g);
    }
    ink_model_close(m);
}

/* An evaluation that was cancelled may be done again. */
static int cancel(void *context)
{
    int *calls = context;
    return ++*calls % 2;
}

static void cancelled_evaluations(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[1]), 1, NULL);
    static struct written wanted;
    int32_t prompt[30], token;
    fill(prompt, 30, m->architecture.vocab_size, 4);
    struct question q = {prompt, 30, 40, longest(m), greedy};
    write_plainly(&wanted, m, &q);
    struct ink_generator *g = open_generator(m, q.n_positions, INK_MAX_DRAFT, true);
    struct ink_error error = {0};
    assert_ok(ink_generator_start(g, prompt, 30, &greedy, 40, &error));
    int calls = 0, n = 0;
    for (enum ink_generated what;
         (what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING;) {
        if (what == INK_GENERATED_TOKEN) {
            assert_int_equal(token, wanted.ids[n++]);
            continue;
        }
        struct ink_step step;
        ink_generator_prepare(g, 16, &step);
        int status = ink_eval(m, &step, 1, cancel, &calls, &error);
        if (status == INK_OK) {
            ink_generator_done(g, 0.01);
        } else {
            assert_int_equal(status, INK_ERROR_CANCELLED);
        }
    }
    assert_int_equal(n, wanted.n);
    ink_generator_close(g);
    ink_model_close(m);
}

static void wrong_arguments(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[1]), 1, NULL);
    struct ink_error error = {0};
    struct ink_generator *g;
    struct ink_generator_options options = {16, INK_KV_F16, INK_MAX_DRAFT + 1, false};
    assert_int_equal(ink_generator_open(&g, m, &options, &error), INK_ERROR_ARGUMENT);
    assert_null(g);
    g = open_generator(m, 16, 4, false);
    int32_t prompt[17] = {1, 2, 3}, token;
    assert_int_equal(ink_generator_take(g, &token), INK_GENERATED_LENGTH); /* not begun */
    assert_int_equal(ink_generator_start(g, prompt, 17, &greedy, 5, &error), INK_ERROR_LIMIT);
    assert_int_equal(ink_generator_start(g, prompt, 0, &greedy, 5, &error), INK_ERROR_LIMIT);
    assert_int_equal(ink_generator_start(g, prompt, 3, &greedy, 0, &error), INK_ERROR_LIMIT);
    ink_generator_close(g);
    ink_generator_close(NULL);
    ink_model_close(m);
}

/* ink_generator_bytes is what is allocated: nothing more is in the loop, and no allocation fails
 * badly on the way. */
static void memory(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path(models[1]), 1, NULL);
    struct ink_error error = {0};
    struct ink_generator_options options = {64, INK_KV_F16, 8, false};
    struct ink_generator *g;
    int32_t prompt[8], token;
    fill(prompt, 8, m->architecture.vocab_size, 2);
    for (long n = 1;; n++) {
        ink_fail_allocation(n, false);
        int status = ink_generator_open(&g, m, &options, &error);
        if (status == INK_OK) {
            status = ink_generator_start(g, prompt, 8, &greedy, 5, &error);
        }
        ink_fail_allocation(0, false);
        if (status == INK_OK) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
        ink_generator_close(g);
    }
    enum ink_generated what;
    ink_fail_allocation(0, false);
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        if (what == INK_GENERATED_NOTHING) {
            evaluate(m, g, 0.01);
        }
    }
    assert_int_equal(ink_fail_allocation(0, false), 0);
    ink_generator_close(g);
    options.max_draft = 0;
    assert_true(ink_generator_bytes(m, &options) > ink_session_bytes(m, 64, INK_KV_F16));
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_tokens_for_all_settings),
        cmocka_unit_test(limits_inside_a_guess),
        cmocka_unit_test(end_tokens_inside_a_guess),
        cmocka_unit_test(conversations),
        cmocka_unit_test(cancelled_evaluations),
        cmocka_unit_test(wrong_arguments),
        cmocka_unit_test(memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
