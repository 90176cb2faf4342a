/* LoRA adapters against PEFT's goldens (tests/ref/make_lora_goldens.py), and the same bits with
 * adapters as without: for any threads, chunks, levels, and neighbours in a batch. */
#include "support.h"

#include "../src/adapter.h"

#include <math.h>

static struct ink_adapter *open_adapter(struct ink_model *m, const char *name, float scale)
{
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    char path[128];
    snprintf(path, sizeof path, "adapters/%s", name);
    assert_ok(ink_adapter_open(&a, m, shared_path(path), scale, &error));
    return a;
}

static struct ink_session *open_with(struct ink_model *m, const struct ink_adapter *a,
                                     enum ink_kv_type type)
{
    struct ink_error error = {0};
    struct ink_session *s = open_session(m, type);
    assert_ok(ink_session_set_adapter(s, a, &error));
    return s;
}

/* Logits of all ids [n] with adapter a (NULL: none). */
static float *eval_with(struct ink_model *m, const struct ink_adapter *a, enum ink_kv_type type,
                        const int32_t *ids, int n, int chunk)
{
    struct ink_session *s = open_with(m, a, type);
    float *logits = eval_all(m, s, ids, n, chunk);
    ink_session_close(s);
    return logits;
}

static float largest_distance(const float *a, const float *b, size_t n)
{
    float most = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmaxf(most, fabsf(a[i] - b[i]));
    }
    return most;
}

static int argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

static void assert_same_bits(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0) {
            fail_msg("value %d differs: %.9g and %.9g", (int)i, (double)a[i], (double)b[i]);
        }
    }
}

/* ------------------------------------------------------------------------------------- goldens */

struct golden {
    char model[64];
    int32_t *ids; /* [n] */
    int n;
    struct ink_weights tensors;
    const float *logits; /* [n, V] */
};

static void open_golden(struct golden *g, const char *name)
{
    struct ink_error error = {0};
    char path[128];
    snprintf(path, sizeof path, "adapters/%s/golden.json", name);
    cJSON *root = read_json(shared_path(path));
    snprintf(g->model, sizeof g->model, "fixtures/%s", ink_json_get(root, "model")->valuestring);
    g->ids = ids_of(ink_json_get(root, "ids"), &g->n);
    cJSON_Delete(root);
    snprintf(path, sizeof path, "adapters/%s/golden.safetensors", name);
    assert_ok(ink_weights_open(&g->tensors, shared_path(path), &error));
    g->logits = ink_weights_find(&g->tensors, "logits")->data;
}

static void close_golden(struct golden *g)
{
    free(g->ids);
    ink_weights_close(&g->tensors);
}

static void check_golden(const char *name, int rank, int n_targets)
{
    struct golden g;
    open_golden(&g, name);
    struct ink_model *m = open_model_at(shared_path(g.model), 2, NULL);
    struct ink_adapter *a = open_adapter(m, name, 1);
    const struct ink_adapter_info *info = ink_adapter_get_info(a);
    const int v = ink_model_get_info(m)->vocab_size;
    const size_t n = (size_t)g.n * (size_t)v;
    assert_int_equal(info->rank, rank);
    assert_int_equal(info->n_targets, n_targets);
    assert_true(info->bytes > 0);
    assert_non_null(strstr(info->path, name));
    float *with = eval_with(m, a, INK_KV_F32, g.ids, g.n, g.n);
    float *without = eval_with(m, NULL, INK_KV_F32, g.ids, g.n, g.n);
    const float distance = largest_distance(with, g.logits, n);
    printf("# %s: %g from PEFT's logits, which are %g from the model's\n", name, (double)distance,
           (double)largest_distance(without, g.logits, n));
    assert_true(distance < 1e-3f);
    assert_true(largest_distance(without, g.logits, n) > 1);
    for (int t = 0; t < g.n; t++) {
        const size_t row = (size_t)t * (size_t)v;
        assert_int_equal(argmax(with + row, v), argmax(g.logits + row, v));
    }
    free(with);
    free(without);
    ink_adapter_close(a);
    ink_model_close(m);
    close_golden(&g);
}

static void logits_are_those_of_peft(void **state)
{
    (void)state;
    check_golden("ernie-all-r8", 8, 21);
    check_golden("ernie-qv-r4-rslora", 4, 6);
    check_golden("ernie-patterns", 8, 6);
    check_golden("ernie-regex", 4, 4);
    check_golden("llama-all-r4", 4, 21);
    check_golden("llama-qk-r8-bin", 8, 6);
}

/* ----------------------------------------------------------------------------------- arithmetic */

/* Put W + B A in the place of every matrix that the adapter changes, in float32; freed by
 * `merged`. */
static int merge(struct ink_model *m, const struct ink_adapter *a, float **merged)
{
    static const size_t offsets[] = {
        offsetof(struct ink_layer, query), offsetof(struct ink_layer, key),
        offsetof(struct ink_layer, value), offsetof(struct ink_layer, output),
        offsetof(struct ink_layer, gate),  offsetof(struct ink_layer, up),
        offsetof(struct ink_layer, down)};
    int n = 0;
    for (int i = 0; i < m->architecture.n_layers; i++) {
        for (size_t j = 0; j < INK_COUNT(offsets); j++) {
            struct ink_weight *w =
                (struct ink_weight *)(void *)((char *)&m->layers[i] + offsets[j]);
            const struct ink_low_rank *t = &a->matrices[w->adapted - 1];
            if (t->rank == 0) {
                continue;
            }
            const uint16_t *old = w->data;
            float *new = malloc((size_t)w->rows * (size_t)w->cols * sizeof *new);
            assert_int_equal(w->type, INK_TYPE_BF16);
            for (int r = 0; r < w->rows; r++) {
                for (int c = 0; c < w->cols; c++) {
                    const size_t at = (size_t)r * (size_t)w->cols + (size_t)c;
                    const uint32_t bits = (uint32_t)old[at] << 16;
                    float value;
                    memcpy(&value, &bits, sizeof value);
                    double sum = (double)value;
                    for (int k = 0; k < t->rank; k++) {
                        sum += (double)t->b[(r / 16 * t->rank + k) * 16 + r % 16] *
                               (double)t->a[(size_t)k * (size_t)w->cols + (size_t)c];
                    }
                    new[at] = (float)sum;
                }
            }
            w->data = new;
            w->type = INK_TYPE_F32;
            merged[n++] = new;
        }
    }
    return n;
}

static void merged_is_the_same_as_at_run_time(void **state)
{
    static const char *const names[] = {"ernie-all-r8", "ernie-qv-r4-rslora", "llama-all-r4"};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct golden g;
        open_golden(&g, names[i]);
        struct ink_model *m = open_model_at(shared_path(g.model), 1, NULL);
        struct ink_adapter *a = open_adapter(m, names[i], 0.5f);
        const size_t n = (size_t)g.n * (size_t)ink_model_get_info(m)->vocab_size;
        float *merged[64], *apart = eval_with(m, a, INK_KV_F32, g.ids, g.n, g.n);
        const int n_merged = merge(m, a, merged);
        float *together = eval_with(m, NULL, INK_KV_F32, g.ids, g.n, g.n), largest = 0;
        for (size_t j = 0; j < n; j++) {
            largest = fmaxf(largest, fabsf(apart[j]));
        }
        const float distance = largest_distance(apart, together, n);
        printf("# %s: merged is %g away, logits reach %g\n", names[i], (double)distance,
               (double)largest);
        assert_true(distance < 1e-5f * largest);
        for (int j = 0; j < n_merged; j++) {
            free(merged[j]);
        }
        free(apart);
        free(together);
        ink_adapter_close(a);
        ink_model_close(m);
        close_golden(&g);
    }
}

/* GGUF files of Llama models have their rotary pairs side by side: B's rows go along. */
static void llama_in_gguf(void **state)
{
    static const char *const names[] = {"llama-all-r4", "llama-qk-r8-bin"};
    struct ink_error error = {0};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct golden g;
        open_golden(&g, names[i]);
        struct ink_model *folder = open_model_at(shared_path(g.model), 1, NULL);
        remove("check_adapter.tmp.gguf");
        assert_ok(ink_export(folder, "check_adapter.tmp.gguf", NULL, NULL, NULL, &error));
        struct ink_model *m = open_model_at("check_adapter.tmp.gguf", 1, NULL);
        struct ink_adapter *a = open_adapter(m, names[i], 1);
        assert_true(ink_model_get_info(folder)->rope_half);
        assert_false(ink_model_get_info(m)->rope_half);
        float *got = eval_with(m, a, INK_KV_F32, g.ids, g.n, g.n);
        const size_t n = (size_t)g.n * (size_t)ink_model_get_info(m)->vocab_size;
        assert_true(largest_distance(got, g.logits, n) < 1e-3f);
        free(got);
        ink_adapter_close(a);
        ink_model_close(m);
        ink_model_close(folder);
        remove("check_adapter.tmp.gguf");
        close_golden(&g);
    }
}

/* On int8 weights an adapter comes out about as it does on floats. */
static void int8_weights(void **state)
{
    struct golden g;
    (void)state;
    open_golden(&g, "ernie-all-r8");
    struct ink_model *m = open_model_as(shared_path(g.model), 2, NULL, INK_WEIGHTS_Q8_0);
    struct ink_adapter *a = open_adapter(m, "ernie-all-r8", 1);
    const int v = ink_model_get_info(m)->vocab_size;
    float *got = eval_with(m, a, INK_KV_F32, g.ids, g.n, g.n);
    double squares = 0, errors = 0;
    for (size_t i = 0; i < (size_t)g.n * (size_t)v; i++) {
        const double error = (double)got[i] - (double)g.logits[i];
        squares += (double)g.logits[i] * (double)g.logits[i];
        errors += error * error;
    }
    printf("# relative error of logits with int8 weights: %g\n", sqrt(errors / squares));
    assert_true(sqrt(errors / squares) < 0.1);
    free(got);
    ink_adapter_close(a);
    ink_model_close(m);
    close_golden(&g);
}

/* ------------------------------------------------------------------------------------ same bits */

enum { n_sessions = 5 };

/* Of session i: its adapter (0: none), tokens before the batch, and in it. Neighbours with one
 * adapter, and one without between two. */
static const int adapter_of[n_sessions] = {1, 0, 2, 1, 1};
static const int first_of[n_sessions] = {0, 3, 40, 10, 5};
static const int before_of[n_sessions] = {5, 1, 30, 0, 9};
static const int with_of[n_sessions] = {1, 60, 7, 90, 1};
static const char *const adapter_names[] = {"ernie-all-r8", "ernie-qv-r4-rslora"};

/* [session]: logits of its tokens in the batch. */
struct results {
    float *logits[n_sessions];
};

static void free_results(struct results *r)
{
    for (int i = 0; i < n_sessions; i++) {
        free(r->logits[i]);
    }
}

static struct results eval_alone(struct ink_model *m, struct ink_adapter *const *adapters,
                                 const int32_t *ids, int chunk)
{
    struct results out;
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    for (int i = 0; i < n_sessions; i++) {
        const int n = before_of[i] + with_of[i];
        float *all = eval_with(m, adapters[adapter_of[i]], INK_KV_F16, ids + first_of[i], n, chunk);
        out.logits[i] = malloc((size_t)with_of[i] * v * sizeof *all);
        memcpy(out.logits[i], all + (size_t)before_of[i] * v, (size_t)with_of[i] * v * sizeof *all);
        free(all);
    }
    return out;
}

/* The last `most` logits of each session. */
static struct results eval_together(struct ink_model *m, struct ink_adapter *const *adapters,
                                    const int32_t *ids, int most)
{
    struct ink_error error = {0};
    struct results out;
    struct ink_step steps[n_sessions];
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    for (int i = 0; i < n_sessions; i++) {
        struct ink_session *s = open_with(m, adapters[adapter_of[i]], INK_KV_F16);
        const int32_t *at = ids + first_of[i];
        if (before_of[i] > 0) {
            free(eval_all(m, s, at, before_of[i], 2));
        }
        const int n_logits = with_of[i] < most ? with_of[i] : most;
        out.logits[i] = malloc((size_t)n_logits * v * sizeof(float));
        steps[i] = (struct ink_step){.session = s,
                                     .tokens = at + before_of[i],
                                     .n_tokens = with_of[i],
                                     .n_logits = n_logits,
                                     .logits = out.logits[i]};
    }
    assert_ok(ink_eval(m, steps, n_sessions, NULL, NULL, &error));
    for (int i = 0; i < n_sessions; i++) {
        ink_session_close(steps[i].session);
    }
    return out;
}

/* `a` has the last `most` logits of each session, b all. */
static void assert_same_results(const struct results *a, const struct results *b, size_t v,
                                int most)
{
    for (int i = 0; i < n_sessions; i++) {
        const int n_logits = with_of[i] < most ? with_of[i] : most;
        assert_same_bits(a->logits[i], b->logits[i] + (size_t)(with_of[i] - n_logits) * v,
                         (size_t)n_logits * v);
    }
}

/* One arrangement against what was wanted (NULL logits: it is what is wanted). */
static void same_bits_at(const char *path, enum ink_weight_type type, const char *level,
                         int threads, int chunk, struct results *wanted)
{
    struct ink_model_options options = {.cpu_level = level, .threads = threads};
    struct ink_model *m = NULL;
    struct ink_error error = {0};
    if (ink_model_open(&m, path, &options, &error) == INK_ERROR_ARGUMENT) {
        return; /* this CPU has no such level */
    }
    assert_non_null(m);
    print_message("# %s, %d threads\n", ink_model_get_info(m)->cpu_level, threads);
    ink_model_close(m);
    m = open_model_as(path, threads, level, type);
    struct ink_adapter *adapters[] = {NULL, open_adapter(m, adapter_names[0], 1),
                                      open_adapter(m, adapter_names[1], 0.75f)};
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    int32_t ids[n_probe];
    fill_probe(ids, (int)v);
    struct results alone = eval_alone(m, adapters, ids, chunk);
    static const int most[] = {n_probe, 3, 1};
    for (size_t i = 0; i < INK_COUNT(most); i++) {
        struct results together = eval_together(m, adapters, ids, most[i]);
        assert_same_results(&together, &alone, v, most[i]);
        free_results(&together);
    }
    if (wanted->logits[0]) {
        assert_same_results(&alone, wanted, v, n_probe);
        free_results(&alone);
    } else {
        *wanted = alone;
    }
    ink_adapter_close(adapters[1]);
    ink_adapter_close(adapters[2]);
    ink_model_close(m);
}

static void same_bits_of(enum ink_weight_type type)
{
    static const struct {
        const char *level;
        int threads, chunk;
    } tried[] = {
        {NULL, 1, n_probe},     {NULL, 2, 7},        {NULL, 3, 64},      {NULL, 8, 1},
        {"c", 1, 64},           {"neon", 2, 33},     {"dotprod", 2, 33}, {"i8mm", 2, 33},
        {"avx2", 3, 33},        {"avx-vnni", 2, 33}, {"avx512", 2, 33},  {"avx512-vnni", 2, 33},
        {"avx512-bf16", 2, 33},
    };
    char path[1024]; /* shared_path's own is short-lived */
    snprintf(path, sizeof path, "%s", shared_path("fixtures/ernie-tiny"));
    struct results wanted = {{NULL}};
    const size_t n = is_emulated() ? 3 : INK_COUNT(tried);
    for (size_t i = 0; i < n; i++) {
        same_bits_at(path, type, tried[i].level, tried[i].threads, tried[i].chunk, &wanted);
    }
    free_results(&wanted);
}

static void same_bits_in_every_arrangement(void **state)
{
    (void)state;
    same_bits_of(INK_WEIGHTS_NATIVE);
    same_bits_of(INK_WEIGHTS_Q8_0);
}

/* More tokens than a pass has rows. */
static void same_bits_over_several_passes(void **state)
{
    enum { n_long = 2 * INK_MAX_ROWS + 9 };
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 2, NULL);
    struct ink_adapter *a = open_adapter(m, "ernie-all-r8", 1);
    const int v = ink_model_get_info(m)->vocab_size;
    int32_t ids[n_long];
    for (int i = 0; i < n_long; i++) {
        ids[i] = i * 7919 % v;
    }
    float *at_once = eval_with(m, a, INK_KV_F16, ids, n_long, n_long);
    float *in_parts = eval_with(m, a, INK_KV_F16, ids, n_long, 100);
    assert_same_bits(at_once, in_parts, (size_t)n_long * (size_t)v);
    free(at_once);
    free(in_parts);
    ink_adapter_close(a);
    ink_model_close(m);
}

/* Scale 0 is the model without, but for the sign of zeros. */
static void scale_zero_changes_nothing(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 2, NULL);
    struct ink_adapter *a = open_adapter(m, "ernie-all-r8", 0);
    const int v = ink_model_get_info(m)->vocab_size;
    int32_t ids[n_probe];
    fill_probe(ids, v);
    float *with = eval_with(m, a, INK_KV_F32, ids, n_probe, n_probe);
    float *without = eval_with(m, NULL, INK_KV_F32, ids, n_probe, n_probe);
    assert_true(largest_distance(with, without, (size_t)n_probe * (size_t)v) == 0);
    free(with);
    free(without);
    ink_adapter_close(a);
    ink_model_close(m);
}

/* --------------------------------------------------------------------------------------- misuse */

static void sessions_change_adapters_only_when_empty(void **state)
{
    struct ink_error error = {0};
    int32_t ids[] = {5, 6, 7};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    struct ink_model *other = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    struct ink_adapter *a = open_adapter(m, adapter_names[0], 1);
    struct ink_adapter *foreign = open_adapter(other, adapter_names[0], 1);
    struct ink_session *s = open_with(m, a, INK_KV_F16);
    assert_ptr_equal(ink_session_adapter(s), a);
    assert_int_equal(ink_session_set_adapter(s, foreign, &error), INK_ERROR_ARGUMENT);
    struct ink_step step = {.session = s, .tokens = ids, .n_tokens = 3};
    assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    assert_int_equal(ink_session_set_adapter(s, NULL, &error), INK_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "cannot change"));
    assert_ok(ink_session_set_adapter(s, a, &error));
    assert_ptr_equal(ink_session_adapter(s), a);
    ink_session_truncate(s, 0);
    assert_ok(ink_session_set_adapter(s, NULL, &error));
    assert_null(ink_session_adapter(s));
    ink_session_close(s);
    ink_adapter_close(a);
    ink_adapter_close(foreign);
    ink_adapter_close(NULL);
    ink_model_close(m);
    ink_model_close(other);
}

/* Greedy tokens of an answer to ids [n]: up to n_out. */
static int write_answer(struct ink_model *m, struct ink_generator *g, const int32_t *ids, int n,
                        int32_t *out, int n_out)
{
    static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};
    struct ink_error error = {0};
    enum ink_generated what;
    int32_t token;
    int taken = 0;
    assert_ok(ink_generator_start(g, ids, n, &greedy, n_out, &error));
    while ((what = ink_generator_take(g, &token)) <= INK_GENERATED_NOTHING) {
        struct ink_step step;
        if (what == INK_GENERATED_TOKEN) {
            out[taken++] = token;
            continue;
        }
        ink_generator_prepare(g, 512, &step);
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        ink_generator_done(g, 0);
    }
    return taken;
}

/* One that changes adapters between answers writes what a new one would. */
static void generator_forgets_when_the_adapter_changes(void **state)
{
    enum { n_prompt = 20, n_new = 24 };
    static const struct ink_generator_options options = {64, INK_KV_F16, INK_MAX_DRAFT, true};
    static const int order[] = {0, 1, 2, 1, 0};
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 2, NULL);
    struct ink_adapter *adapters[] = {NULL, open_adapter(m, adapter_names[0], 1),
                                      open_adapter(m, adapter_names[1], 1)};
    struct ink_generator *g, *fresh;
    int32_t ids[n_probe], got[n_new], wanted[n_new];
    fill_probe(ids, ink_model_get_info(m)->vocab_size);
    assert_ok(ink_generator_open(&g, m, &options, &error));
    for (size_t i = 0; i < INK_COUNT(order); i++) {
        assert_ok(ink_generator_set_adapter(g, adapters[order[i]], &error));
        assert_int_equal(ink_session_length(ink_generator_session(g)), 0);
        assert_ok(ink_generator_open(&fresh, m, &options, &error));
        assert_ok(ink_generator_set_adapter(fresh, adapters[order[i]], &error));
        const int n = write_answer(m, g, ids, n_prompt, got, n_new);
        assert_int_equal(write_answer(m, fresh, ids, n_prompt, wanted, n_new), n);
        assert_memory_equal(got, wanted, (size_t)n * sizeof *got);
        ink_generator_close(fresh);
        const int length = ink_session_length(ink_generator_session(g));
        assert_ok(ink_generator_set_adapter(g, adapters[order[i]], &error)); /* no change */
        assert_int_equal(ink_session_length(ink_generator_session(g)), length);
    }
    /* in the middle of an answer */
    static const struct ink_sampling greedy = {.top_p = 1, .repetition_penalty = 1};
    int32_t token;
    assert_ok(ink_generator_start(g, ids, n_prompt, &greedy, n_new, &error));
    assert_ok(ink_generator_set_adapter(g, adapters[2], &error));
    assert_int_equal(ink_generator_take(g, &token), INK_GENERATED_STOP);
    ink_generator_close(g);
    ink_adapter_close(adapters[1]);
    ink_adapter_close(adapters[2]);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_are_those_of_peft),
        cmocka_unit_test(merged_is_the_same_as_at_run_time),
        cmocka_unit_test(llama_in_gguf),
        cmocka_unit_test(int8_weights),
        cmocka_unit_test(same_bits_in_every_arrangement),
        cmocka_unit_test(same_bits_over_several_passes),
        cmocka_unit_test(scale_zero_changes_nothing),
        cmocka_unit_test(sessions_change_adapters_only_when_empty),
        cmocka_unit_test(generator_forgets_when_the_adapter_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
