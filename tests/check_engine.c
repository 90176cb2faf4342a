/* The engine against PyTorch's goldens, and its promise of the same bits (those of other machines:
 * check_bits). */
#include "support.h"

#include <math.h>

/* ------------------------------------------------------------------------------------- goldens */

static double log_sum_exp(const float *x, int n)
{
    double best = -INFINITY, sum = 0;
    for (int i = 0; i < n; i++) {
        best = x[i] > best ? x[i] : best;
    }
    for (int i = 0; i < n; i++) {
        sum += exp(x[i] - best);
    }
    return best + log(sum);
}

static int argmax(const float *x, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

static void assert_close(double got, double wanted, double tolerance, const char *what, int i)
{
    if (!(fabs(got - wanted) <= tolerance)) {
        fail_msg("%s %d: %.7f, golden %.7f", what, i, got, wanted);
    }
}

/* The k best ids of x, the best first. */
static void top_ids(int *out, const float *x, int n, int k)
{
    for (int j = 0; j < k; j++) {
        int best = -1;
        for (int i = 0; i < n; i++) {
            bool taken = false;
            for (int t = 0; t < j; t++) {
                taken |= out[t] == i;
            }
            best = !taken && (best < 0 || x[i] > x[best]) ? i : best;
        }
        out[j] = best;
    }
}

static void check_top8(const float *logits, int v, const cJSON *ids, const cJSON *values)
{
    int top[8], n;
    double *wanted = numbers_of(ids, &n), *wanted_values = numbers_of(values, &n);
    top_ids(top, logits, v, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(top[i], (int)wanted[i]);
        assert_close(logits[top[i]], wanted_values[i], 1e-3, "top-8 logit", i);
    }
    free(wanted);
    free(wanted_values);
}

static void check_greedy(struct ink_model *m, struct ink_session *s, const float *last,
                         const cJSON *golden)
{
    struct ink_error error = {0};
    int n, v = ink_model_get_info(m)->vocab_size;
    int32_t *wanted = ids_of(golden, &n);
    float *logits = malloc((size_t)v * sizeof *logits);
    memcpy(logits, last, (size_t)v * sizeof *logits);
    for (int i = 0; i < n; i++) {
        int32_t token = argmax(logits, v);
        assert_int_equal(token, wanted[i]);
        struct ink_step step = {s, &token, 1, 1, logits, NULL, 0};
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    }
    free(logits);
    free(wanted);
}

/* golden_forward.json of `golden` against the model in folder `name`. */
static void check_model(const char *name, const char *golden)
{
    char file[256];
    snprintf(file, sizeof file, "fixtures/%s/golden_forward.json", golden);
    cJSON *g = read_json(shared_path(file));
    snprintf(file, sizeof file, "fixtures/%s", name);
    struct ink_model *m = open_model_at(shared_path(file), 2, NULL);
    struct ink_session *s = open_session(m, INK_KV_F32);
    int n, count, v = ink_model_get_info(m)->vocab_size;
    int32_t *ids = ids_of(ink_json_get(g, "ids"), &n);
    double *sums = numbers_of(ink_json_get(g, "logsumexp"), &count);
    double *best = numbers_of(ink_json_get(g, "argmax"), &count);
    assert_int_equal(n, count);
    float *logits = eval_all(m, s, ids, n, n);
    for (int t = 0; t < n; t++) {
        const float *row = logits + (size_t)t * (size_t)v;
        assert_int_equal(argmax(row, v), (int)best[t]);
        assert_close(log_sum_exp(row, v), sums[t], 2e-4, "logsumexp at", t);
    }
    const float *last = logits + (size_t)(n - 1) * (size_t)v;
    check_top8(last, v, ink_json_get(g, "last_top8_ids"), ink_json_get(g, "last_top8_logits"));
    check_greedy(m, s, last, ink_json_get(g, "greedy_24"));
    free(logits);
    free(ids);
    free(sums);
    free(best);
    cJSON_Delete(g);
    ink_session_close(s);
    ink_model_close(m);
}

static void ernie_tiny(void **state)
{
    (void)state;
    check_model("ernie-tiny", "ernie-tiny");
}

static void ernie_tiny_f32(void **state)
{
    (void)state;
    check_model("ernie-tiny-f32", "ernie-tiny");
}

static void ernie_tiny_sharded(void **state)
{
    (void)state;
    check_model("ernie-tiny-sharded", "ernie-tiny");
}

static void ernie_tiny_bin(void **state)
{
    (void)state;
    check_model("ernie-tiny-bin", "ernie-tiny");
}

static void untied_head_and_biases(void **state)
{
    (void)state;
    check_model("ernie-tiny-untied-bias", "ernie-tiny-untied-bias");
}

static void llama_layout(void **state)
{
    (void)state;
    check_model("llama-tiny", "llama-tiny");
}

static void odd_dimensions(void **state)
{
    (void)state;
    check_model("odd-one-kv", "odd-one-kv");
    check_model("odd-f16", "odd-f16");
    check_model("odd-llama", "odd-llama");
}

static void full_vocabulary(void **state)
{
    (void)state;
    check_model("ernie-micro", "ernie-micro");
}

/* ------------------------------------------------------------------- hidden states, all logits */

static const float *golden_tensor(const struct ink_weights *w, const char *name)
{
    const struct ink_tensor *t = w->tensors;
    while (t < w->tensors + w->n_tensors && strcmp(t->name, name) != 0) {
        t++;
    }
    assert_true(t < w->tensors + w->n_tensors);
    assert_int_equal(t->type, INK_TYPE_F32);
    return t->data;
}

/* golden_forward.safetensors holds logits [T, V] and hidden states [L + 1, T, H]; its last state
 * is the one after the final norm, which the logits cover. */
static void check_hidden(const char *name)
{
    struct ink_error error = {0};
    char file[256];
    snprintf(file, sizeof file, "fixtures/%s/golden_forward.json", name);
    cJSON *g = read_json(shared_path(file));
    snprintf(file, sizeof file, "fixtures/%s/golden_forward.safetensors", name);
    const char *tensors = shared_path(file);
    struct ink_weights w = {.format = "safetensors"};
    w.files = calloc(1, sizeof *w.files);
    w.n_files = 1;
    assert_ok(ink_map_file(&w.files[0], tensors, &error));
    assert_ok(ink_safetensors_read(&w, &w.files[0], tensors, &error));
    snprintf(file, sizeof file, "fixtures/%s", name);
    struct ink_model *m = open_model_at(shared_path(file), 1, NULL);
    const struct ink_model_info *info = ink_model_get_info(m);
    struct ink_session *s = open_session(m, INK_KV_F32);
    int n;
    int32_t *ids = ids_of(ink_json_get(g, "ids"), &n);
    size_t v = (size_t)info->vocab_size, h = (size_t)info->hidden_size;
    size_t states = (size_t)info->n_layers * (size_t)n * h;
    float *logits = malloc((size_t)n * v * sizeof *logits);
    float *hidden = malloc((states + (size_t)n * h) * sizeof *hidden);
    struct ink_step step = {s, ids, n, n, logits, hidden, 0};
    assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
    const float *golden_hidden = golden_tensor(&w, "hidden_states");
    const float *golden_logits = golden_tensor(&w, "logits");
    for (size_t i = 0; i < states; i++) {
        assert_close(hidden[i], golden_hidden[i], 1e-3, "hidden value", (int)i);
    }
    for (size_t i = 0; i < (size_t)n * v; i++) {
        assert_close(logits[i], golden_logits[i], 1e-3, "logit", (int)i);
    }
    free(logits);
    free(hidden);
    free(ids);
    cJSON_Delete(g);
    ink_session_close(s);
    ink_model_close(m);
    ink_unmap_file(&w.files[0]);
    for (int i = 0; i < w.n_tensors; i++) {
        ink_free(w.tensors[i].name);
    }
    ink_free(w.tensors);
    free(w.files);
}

static void hidden_states(void **state)
{
    (void)state;
    check_hidden("ernie-tiny");
    check_hidden("ernie-tiny-untied-bias");
    check_hidden("llama-tiny");
}

/* ----------------------------------------------------------------------------------- stories260K
 */

static void check_story(struct ink_model *m, const cJSON *golden, enum ink_kv_type type)
{
    struct ink_session *s = open_session(m, type);
    int n, v = ink_model_get_info(m)->vocab_size;
    int32_t *ids = ids_of(ink_json_get(golden, "ids"), &n);
    float *logits = eval_all(m, s, ids, n, 1);
    int t = 0;
    double tolerance = type == INK_KV_F32 ? 2e-4 : type == INK_KV_F16 ? 5e-2 : 0.5;
    for (const cJSON *step = ink_json_get(golden, "steps")->child; step; step = step->next, t++) {
        const float *row = logits + (size_t)t * (size_t)v;
        if (type == INK_KV_F32) {
            check_top8(row, v, ink_json_get(step, "top8_ids"), ink_json_get(step, "top8_logits"));
        }
        assert_close(log_sum_exp(row, v), ink_json_get(step, "logsumexp")->valuedouble, tolerance,
                     "logsumexp at", t);
        if (type != INK_KV_Q8 && t + 1 < n &&
            t >= cJSON_GetArraySize(ink_json_get(golden, "prompt_ids")) - 1) {
            assert_int_equal(argmax(row, v), ids[t + 1]); /* it was the greedy choice */
        }
    }
    free(logits);
    free(ids);
    ink_session_close(s);
}

static void stories_word_for_word(void **state)
{
    (void)state;
    cJSON *goldens = read_json(shared_path("data/stories260K/golden_greedy_fp64.json"));
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 2, NULL);
    for (const cJSON *g = goldens->child; g; g = g->next) {
        struct ink_error error = {0};
        int n;
        int32_t *ids = ids_of(ink_json_get(g, "ids"), &n);
        check_story(m, g, INK_KV_F32);
        check_story(m, g, INK_KV_F16);
        check_story(m, g, INK_KV_Q8);
        char *text;
        size_t n_text;
        assert_ok(ink_detokenize(m, &text, &n_text, ids, (size_t)n, false, &error));
        assert_string_equal(text, ink_json_get(g, "text")->valuestring);
        ink_free(text);
        free(ids);
    }
    cJSON_Delete(goldens);
    ink_model_close(m);
}

/* ----------------------------------------------------------------------------------- same bits */

static void assert_same_bits(const float *a, const float *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (memcmp(&a[i], &b[i], sizeof *a) != 0) {
            fail_msg("value %d differs: %.9g and %.9g", (int)i, (double)a[i], (double)b[i]);
        }
    }
}

/* Every arrangement at the best level; at the others one is enough. An emulated processor has no
 * time for all: there, two by two. */
static void same_bits_in_every_arrangement(const char *path, const char *level,
                                           enum ink_weight_type type, bool all, const int32_t *ids,
                                           const float *wanted)
{
    static const int threads[] = {3, 1, 2, 8}, chunks[] = {7, 1, 64, n_probe};
    const size_t most = !all ? 1 : is_emulated() ? 2 : 4;
    for (size_t i = 0; i < most; i++) {
        struct ink_model *m = open_model_as(path, threads[i], level, type);
        size_t n = (size_t)n_probe * (size_t)ink_model_get_info(m)->vocab_size;
        for (size_t j = 0; j < most; j++) {
            struct ink_session *s = open_session(m, INK_KV_F16);
            float *got = eval_all(m, s, ids, n_probe, chunks[j]);
            assert_same_bits(got, wanted, n);
            free(got);
            ink_session_close(s);
        }
        ink_model_close(m);
    }
}

static void same_bits_of(const char *path, enum ink_weight_type type)
{
    static const char *const levels[] = {"c",        "neon",   "dotprod",     "i8mm",       "avx2",
                                         "avx-vnni", "avx512", "avx512-vnni", "avx512-bf16"};
    struct ink_model *m = open_model_as(path, 1, NULL, type), *other;
    int32_t ids[n_probe];
    fill_probe(ids, ink_model_get_info(m)->vocab_size);
    struct ink_session *s = open_session(m, INK_KV_F16);
    float *wanted = eval_all(m, s, ids, n_probe, n_probe);
    for (size_t l = 0; l < INK_COUNT(levels); l++) {
        struct ink_model_options options = {.cpu_level = levels[l], .threads = 1};
        if (ink_model_open(&other, path, &options, NULL) != INK_OK) {
            continue; /* this CPU has no such level */
        }
        ink_model_close(other);
        bool best = strcmp(levels[l], ink_model_get_info(m)->cpu_level) == 0;
        if (is_emulated() && !best) {
            continue; /* check_bits runs on a processor of each level */
        }
        same_bits_in_every_arrangement(path, levels[l], type, best, ids, wanted);
    }
    free(wanted);
    ink_session_close(s);
    ink_model_close(m);
}

static void same_bits_for_threads_chunks_and_levels(void **state)
{
    (void)state;
    static const char *const names[] = {"fixtures/ernie-tiny", "fixtures/ernie-tiny-untied-bias",
                                        "fixtures/llama-tiny", "data/stories260K/as-ernie45",
                                        "fixtures/odd-one-kv", "fixtures/odd-f16"};
    for (size_t k = 0; k < INK_COUNT(names); k++) {
        same_bits_of(shared_path(names[k]), INK_WEIGHTS_NATIVE);
        same_bits_of(shared_path(names[k]), INK_WEIGHTS_Q8_0);
    }
    same_bits_of(shared_path("fixtures/ernie-micro"), INK_WEIGHTS_Q8_0);
}

/* The last rows of the text once more, of which only the last few have outputs; `end` is behind the
 * logits of all. */
static void some_outputs_far_along(struct ink_model *m, struct ink_session *s, const int32_t *ids,
                                   int n, const float *end)
{
    static const int with[] = {3, 40, 600, 600}, outputs[] = {1, 4, 3, 80};
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    struct ink_error error = {0};
    for (size_t i = 0; i < INK_COUNT(with); i++) {
        float *got = malloc((size_t)outputs[i] * v * sizeof *got);
        struct ink_step step = {s, ids + n - with[i], with[i], outputs[i], got, NULL, 0};
        ink_session_truncate(s, n - with[i]);
        assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        assert_same_bits(got, end - (size_t)outputs[i] * v, (size_t)outputs[i] * v);
        free(got);
    }
}

/* Contexts of several spans: dealt out to many threads, or not; rows alone or together. */
static void same_bits_far_along_of(const char *path, enum ink_kv_type type)
{
    enum { n_long = 1100 };
    struct ink_error error = {0};
    static const int threads[] = {1, 2, 3, 7}, chunks[] = {n_long, 128, 33, 64};
    int32_t ids[n_long];
    float *wanted = NULL;
    for (size_t i = 0; i < INK_COUNT(threads); i += is_emulated() ? 2 : 1) {
        struct ink_model *m = open_model_at(path, threads[i], NULL);
        int v = ink_model_get_info(m)->vocab_size;
        for (int t = 0; t < n_long; t++) {
            ids[t] = t * 7919 % v;
        }
        /* The end of the text: one row a call, a few (some across a block's end), and many. */
        struct ink_session *s = open_session(m, type);
        if (i % 2 == 1) { /* without logits, in passes of all the rows that one takes */
            struct ink_step step = {.session = s, .tokens = ids, .n_tokens = 1018};
            assert_ok(ink_eval(m, &step, 1, NULL, NULL, &error));
        } else {
            free(eval_all(m, s, ids, 1018, chunks[i]));
        }
        float *got = eval_all(m, s, ids + 1018, n_long - 1018, i == 0 ? 82 : (int)i);
        wanted = wanted ? wanted : got;
        assert_same_bits(got, wanted, (size_t)(n_long - 1018) * (size_t)v);
        some_outputs_far_along(m, s, ids, n_long, wanted + (size_t)(n_long - 1018) * (size_t)v);
        if (got != wanted) {
            free(got);
        }
        ink_session_close(s);
        ink_model_close(m);
    }
    free(wanted);
}

static void same_bits_far_along(void **state)
{
    (void)state;
    same_bits_far_along_of(shared_path("fixtures/ernie-tiny"), INK_KV_F16);
    same_bits_far_along_of(shared_path("fixtures/ernie-tiny"), INK_KV_Q8);
    same_bits_far_along_of(shared_path("fixtures/odd-one-kv"), INK_KV_F32);
}

/* Three sessions at different places, read together, against each alone; of session i the last
 * outputs[i] logits are wanted, and the next token's, which sees what all layers left. */
static void same_bits_alone_or_in_a_batch_of(enum ink_weight_type type, const int outputs[3])
{
    struct ink_error error = {0};
    struct ink_model *m = open_model_as(shared_path("fixtures/ernie-tiny"), 2, NULL, type);
    size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    int32_t ids[n_probe];
    fill_probe(ids, (int)v);
    static const int first[3] = {0, 3, 40}, before[3] = {5, 1, 30}, with[3] = {2, 90, 7};
    struct ink_step steps[3], next[3];
    float *alone[3], *together[3];
    for (int i = 0; i < 3; i++) {
        const int32_t *tokens = ids + first[i];
        int n = before[i] + with[i];
        struct ink_session *s = open_session(m, INK_KV_F16);
        alone[i] = eval_all(m, s, tokens, n + 1, n + 1);
        ink_session_close(s);
        s = open_session(m, INK_KV_F16);
        free(eval_all(m, s, tokens, before[i], 2));
        together[i] = malloc((size_t)(outputs[i] + 1) * v * sizeof(float));
        float *last = together[i] + (size_t)outputs[i] * v;
        steps[i] =
            (struct ink_step){s, tokens + before[i], with[i], outputs[i], together[i], NULL, 0};
        next[i] = (struct ink_step){s, tokens + n, 1, 1, last, NULL, 0};
    }
    assert_ok(ink_eval(m, steps, 3, NULL, NULL, &error));
    assert_ok(ink_eval(m, next, 3, NULL, NULL, &error));
    for (int i = 0; i < 3; i++) {
        int n = before[i] + with[i];
        assert_same_bits(together[i], alone[i] + (size_t)(n - outputs[i]) * v,
                         (size_t)(outputs[i] + 1) * v);
        assert_int_equal(ink_session_length(steps[i].session), n + 1);
        free(alone[i]);
        free(together[i]);
        ink_session_close(steps[i].session);
    }
    ink_model_close(m);
}

static void same_bits_alone_or_in_a_batch(void **state)
{
    (void)state;
    static const int outputs[][3] = {{2, 90, 7}, {1, 0, 3}, {0, 0, 0}, {0, 90, 1}, {2, 1, 0}};
    for (size_t i = 0; i < INK_COUNT(outputs); i++) {
        same_bits_alone_or_in_a_batch_of(INK_WEIGHTS_NATIVE, outputs[i]);
        same_bits_alone_or_in_a_batch_of(INK_WEIGHTS_Q8_0, outputs[i]);
    }
}

/* Going back and reading something else leaves no trace. */
static void truncated_session_is_as_new(void **state)
{
    (void)state;
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    int32_t ids[n_probe];
    fill_probe(ids, (int)v);
    struct ink_session *s = open_session(m, INK_KV_F16);
    free(eval_all(m, s, ids + 50, 60, 60));
    ink_session_truncate(s, 0);
    float *got = eval_all(m, s, ids, 20, 20);
    ink_session_close(s);
    s = open_session(m, INK_KV_F16);
    float *wanted = eval_all(m, s, ids, 20, 20);
    assert_same_bits(got, wanted, 20 * v);
    free(got);
    free(wanted);
    ink_session_close(s);
    ink_model_close(m);
}

/* ----------------------------------------------------------------------------------- misuse */

static int refuse(void *context)
{
    return ++*(int *)context > 1;
}

static void misuse_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m = open_model_at(shared_path("fixtures/ernie-tiny"), 1, NULL);
    int v = ink_model_get_info(m)->vocab_size;
    struct ink_session *s = NULL;
    assert_int_equal(ink_session_open(&s, m, 4097, INK_KV_F16, &error), INK_ERROR_LIMIT);
    assert_non_null(strstr(error.message, "4097"));
    assert_int_equal(ink_session_open(&s, m, -1, INK_KV_F16, &error), INK_ERROR_LIMIT);
    assert_ok(ink_session_open(&s, m, 600, INK_KV_F16, &error));
    int32_t many[700] = {0}, bad[2] = {1, v};
    float *logits = malloc((size_t)v * sizeof *logits);
    struct ink_step too_long = {s, many, 601, 0, NULL, NULL, 0},
                    bad_id = {s, bad, 2, 1, logits, NULL, 0};
    struct ink_step good = {s, many, 2, 1, logits, NULL, 0},
                    nothing = {s, many, 0, 0, NULL, NULL, 0};
    assert_int_equal(ink_eval(m, &too_long, 1, NULL, NULL, &error), INK_ERROR_LIMIT);
    assert_non_null(strstr(error.message, "601"));
    assert_int_equal(ink_eval(m, &bad_id, 1, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    assert_int_equal(ink_eval(m, &nothing, 1, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    struct ink_step twice[2] = {good, good};
    assert_int_equal(ink_eval(m, twice, 2, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    int calls = 0;
    struct ink_step two_passes = {s, many, 600, 0, NULL, NULL, 0};
    assert_int_equal(ink_eval(m, &two_passes, 1, refuse, &calls, &error), INK_ERROR_CANCELLED);
    assert_int_equal(ink_session_length(s), 0);
    assert_ok(ink_eval(m, &good, 1, NULL, NULL, &error));
    assert_int_equal(ink_session_length(s), 2);
    free(logits);
    ink_session_close(s);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ernie_tiny),
        cmocka_unit_test(ernie_tiny_f32),
        cmocka_unit_test(ernie_tiny_sharded),
        cmocka_unit_test(ernie_tiny_bin),
        cmocka_unit_test(untied_head_and_biases),
        cmocka_unit_test(llama_layout),
        cmocka_unit_test(odd_dimensions),
        cmocka_unit_test(full_vocabulary),
        cmocka_unit_test(hidden_states),
        cmocka_unit_test(stories_word_for_word),
        cmocka_unit_test(same_bits_for_threads_chunks_and_levels),
        cmocka_unit_test(same_bits_far_along),
        cmocka_unit_test(same_bits_alone_or_in_a_batch),
        cmocka_unit_test(truncated_session_is_as_new),
        cmocka_unit_test(misuse_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
