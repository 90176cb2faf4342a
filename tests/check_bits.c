/* The bits themselves, the same on every machine, with every compiler and at every level: hashes of
 * logits and of tokens. A change of these numbers is a change of the arithmetic: say so in MODEL.md
 * and the commit. */
#include "support.h"

#include "../src/kernels.h"

/* Many tokens at once. */
static uint64_t hash_of_probe(struct ink_model *m)
{
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    int32_t ids[n_probe];
    fill_probe(ids, (int)v);
    struct ink_session *s = open_session(m, INK_KV_F16);
    float *logits = eval_all(m, s, ids, n_probe, n_probe);
    uint64_t hash = hash_start;
    hash_words(&hash, logits, n_probe * v);
    free(logits);
    ink_session_close(s);
    return hash;
}

enum { n_prompt = 9, n_new = 48 };

static int32_t best_of(const float *logits, size_t v)
{
    size_t best = 0;
    for (size_t i = 1; i < v; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    return (int32_t)best;
}

/* One token after another: of each the id and all logits. Returns how many came before an end. */
static int write_greedily(int32_t *ids, uint64_t *hash, struct ink_model *m)
{
    struct ink_error error = {0};
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    float *logits = malloc(v * sizeof *logits);
    struct ink_session *s = open_session(m, INK_KV_F16);
    struct ink_step step = {s, ids, n_prompt, 1, logits, NULL, 0};
    int n = 0;
    *hash = hash_start;
    for (; n < n_new; n++) {
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        const int32_t token = best_of(logits, v);
        hash_words(hash, logits, v);
        hash_words(hash, &token, 1);
        if (ink_is_end_token(m, token)) {
            break;
        }
        step.tokens = ids + n_prompt + n;
        step.n_tokens = 1;
        ids[n_prompt + n] = token;
    }
    ink_session_close(s);
    free(logits);
    return n;
}

/* A generator guesses ahead and looks at no more of the head than it must. */
static void assert_generated(struct ink_model *m, const int32_t *ids, int n)
{
    static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};
    static const struct ink_generator_options options = {n_prompt + n_new, INK_KV_F16,
                                                         INK_MAX_DRAFT, true};
    struct ink_error error = {0};
    struct ink_generator *g;
    enum ink_generated what;
    int32_t token;
    int n_taken = 0;
    assert_ok(ink_generator_open(&g, m, &options, &error));
    assert_ok(ink_generator_start(g, ids, n_prompt, &greedy, n_new, &error));
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        struct ink_step step;
        if (what == INK_GENERATED_TOKEN) {
            assert_true(n_taken < n);
            assert_int_equal(token, ids[n_prompt + n_taken++]);
            continue;
        }
        ink_generator_prepare(g, 512, &step);
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        ink_generator_done(g, 0);
    }
    assert_int_equal(n_taken, n);
    ink_generator_close(g);
}

struct recorded {
    const char *model;
    enum ink_weight_type type;
    uint64_t probe, greedy;
};

static void check_bits(const struct recorded *recorded, size_t n_recorded)
{
    bool same = true;
    for (const struct recorded *r = recorded; r < recorded + n_recorded; r++) {
        struct ink_model *m = open_model_as(shared_path(r->model), 2, NULL, r->type);
        int32_t ids[n_probe];
        uint64_t hash;
        same &= is_recorded(hash_of_probe(m), r->probe, r->model, "150 tokens");
        fill_probe(ids, ink_model_get_info(m)->vocab_size);
        const int n = write_greedily(ids, &hash, m);
        same &= is_recorded(hash, r->greedy, r->model, "greedy");
        assert_true(n > 0);
        assert_generated(m, ids, n);
        ink_model_close(m);
    }
    assert_true(same);
}

static void shipped_models(void **state)
{
    static const struct recorded recorded[] = {
        {"fixtures/ernie-tiny", INK_WEIGHTS_NATIVE, 0x3ABC7BF65A52F804u, 0xF7FA79787D3FC3D0u},
        {"fixtures/ernie-tiny-untied-bias", INK_WEIGHTS_NATIVE, 0xF6189E2F860D8716u,
         0x537584BC01C0327Cu},
        {"fixtures/llama-tiny", INK_WEIGHTS_NATIVE, 0x47D4DFC0081A1C8Cu, 0xFEC74043CF9309F1u},
        {"fixtures/odd-f16", INK_WEIGHTS_NATIVE, 0x866173DCEF063BB9u, 0x1580EEE7F7CD9DA1u},
        {"data/stories260K/as-ernie45", INK_WEIGHTS_NATIVE, 0xA884295180C0AF33u,
         0x27478FC26D1EDA0Fu},
        {"fixtures/ernie-tiny", INK_WEIGHTS_Q8_0, 0x9F4E2EE86FEE6AF1u, 0x1FDCA4E7DA1C369Eu},
        {"fixtures/llama-tiny", INK_WEIGHTS_Q8_0, 0x4EC7A1131BCB016Fu, 0x70E1E33EDBD41C07u},
        /* widths that no block divides stay float */
        {"fixtures/odd-f16", INK_WEIGHTS_Q8_0, 0x866173DCEF063BB9u, 0x1580EEE7F7CD9DA1u},
        {"data/stories260K/as-ernie45", INK_WEIGHTS_Q8_0, 0x736CA9B6BBCC5A1Eu, 0xB1C3858B8B133CB2u},
    };
    (void)state;
    check_bits(recorded, INK_COUNT(recorded));
}

static void full_vocabulary(void **state)
{
    static const struct recorded recorded[] = {
        {"fixtures/ernie-micro", INK_WEIGHTS_NATIVE, 0xA17FC3BF161DB39Bu, 0x9926CE0644BFA118u},
        {"fixtures/ernie-micro", INK_WEIGHTS_Q8_0, 0xE7C0A8C06995A654u, 0x1A7FCB370DD7470Du},
    };
    (void)state;
    check_bits(recorded, INK_COUNT(recorded));
}

/* The level that is chosen without being named; who runs this may know which one that must be. */
static void level_is_the_best(void **state)
{
    const char *known = getenv("INKSTONE_TEST_LEVEL"), *best = NULL;
    for (int i = 0; ink_kernels_at(i); i++) {
        best = ink_kernels_at(i)->name;
    }
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    assert_string_equal(ink_model_get_info(m)->cpu_level, known && *known ? known : best);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_is_the_best),
        cmocka_unit_test(shipped_models),
        cmocka_unit_test(full_vocabulary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
