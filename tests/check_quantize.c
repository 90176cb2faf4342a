/* Quantising: what it reports against a plain recomputation from the two files, the same for any
 * threads; what it refuses; and the comparison of two models against formulas over all logits. */
#include "bad_weights.h"

#include "../src/quant.h"

#include <math.h>

static const char scratch[] = "check_quantize.tmp";
static const char gguf_path[] = "check_quantize.tmp/x.gguf";
static const char other_path[] = "check_quantize.tmp/y.gguf";
static const char folder_path[] = "check_quantize.tmp/model";
static const char stories[] = "data/stories260K/as-ernie45";

static int set_up(void **state)
{
    (void)state;
    ink_remove_folder(folder_path);
    ink_remove_folder(scratch);
    return ink_make_folder(scratch, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    ink_remove_folder(folder_path);
    ink_remove_folder(scratch);
    return 0;
}

static struct ink_model *open_to_look(const char *path, int threads)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    struct ink_model_options options = {.threads = threads, .without_weights = true};
    assert_ok(ink_model_open(&m, path, &options, &error));
    return m;
}

static struct ink_model *open_native(const char *path, int threads)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    struct ink_model_options options = {.threads = threads, .weight_type = INK_WEIGHTS_NATIVE};
    assert_ok(ink_model_open(&m, path, &options, &error));
    return m;
}

static void assert_same_files(const char *a, const char *b)
{
    struct ink_error error = {0};
    struct ink_mapping x, y;
    assert_ok(ink_map_file(&x, a, &error));
    assert_ok(ink_map_file(&y, b, &error));
    assert_true(x.size == y.size);
    assert_memory_equal(x.data, y.data, (size_t)x.size);
    ink_unmap_file(&x);
    ink_unmap_file(&y);
}

/* ----------------------------------------------------------------------------------- the report */

struct seen {
    struct ink_weights before, after;
    bool rows_move; /* the order of rows changes in some tensors: only their sums are the same */
    int n, n_kept;
    double errors, squares;
};

static float *widen(const struct ink_tensor *t)
{
    float *out = malloc(ink_tensor_count(t) * sizeof *out);
    ink_dequantize(out, t->data, t->type, ink_tensor_count(t));
    return out;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * fabs(a) + 1e-300;
}

static void see(void *context, const struct ink_quantized *q)
{
    struct seen *s = context;
    const struct ink_tensor *a = ink_weights_find(&s->before, q->source_name);
    const struct ink_tensor *b = ink_weights_find(&s->after, q->name);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(q->type, ink_type_facts(b->type)->name);
    assert_string_equal(q->source_type, ink_type_facts(a->type)->name);
    assert_true(q->n_bytes == b->n_bytes && q->source_bytes == a->n_bytes);
    assert_int_equal(q->n_dims, b->n_dims);
    assert_true(q->shape[0] == b->shape[0]);
    float *x = widen(a), *y = widen(b);
    double squares = 0, errors = 0, most = 0;
    for (uint64_t i = 0; i < ink_tensor_count(a); i++) {
        double d = (double)x[i] - (double)y[i];
        squares += (double)x[i] * (double)x[i];
        errors += d * d;
        most = fabs(d) > most ? fabs(d) : most;
    }
    free(x);
    free(y);
    bool moved = s->rows_move && (strstr(q->name, "attn_q") || strstr(q->name, "attn_k"));
    if (!is_near(squares, q->squares) ||
        (!moved && (!is_near(errors, q->errors) || fabs(most - q->max_error) > 1e-7 * most))) {
        fail_msg("%s: %g %g %g, reported %g %g %g", q->name, squares, errors, most, q->squares,
                 q->errors, q->max_error);
    }
    bool fits = q->shape[q->n_dims - 1] % 32 == 0;
    assert_true(q->is_kept == (q->n_dims > 1 && !fits));
    assert_string_equal(q->type, q->n_dims == 1 ? "F32" : fits ? "Q8_0" : q->source_type);
    s->n++;
    s->n_kept += q->is_kept;
    s->errors += q->errors;
    s->squares += q->squares;
}

static void check_report(const char *name, bool rows_move, int n_kept)
{
    struct ink_error error = {0};
    const char *path = shared_path(name);
    struct seen first = {.rows_move = rows_move};
    for (int threads = 1; threads <= 3; threads++) {
        struct seen s = {.rows_move = rows_move};
        struct ink_model *m = open_to_look(path, threads);
        assert_ok(ink_export(m, other_path, "q8_0", NULL, NULL, &error));
        assert_ok(ink_weights_open(&s.before, path, &error));
        assert_ok(ink_weights_open(&s.after, other_path, &error));
        assert_ok(ink_quantize(m, gguf_path, NULL, see, NULL, &s, &error));
        ink_model_close(m);
        ink_weights_close(&s.before);
        assert_int_equal(s.n, s.after.n_tensors);
        assert_int_equal(s.n_kept, n_kept);
        ink_weights_close(&s.after);
        assert_same_files(gguf_path, other_path);
        first = threads == 1 ? s : first;
        assert_true(s.errors == first.errors && s.squares == first.squares);
    }
    double loss = sqrt(first.errors / first.squares);
    assert_true(n_kept > 3 || (loss > 0.003 && loss < 0.007));
}

static void test_report(void **state)
{
    (void)state;
    check_report(stories, false, 5);
    check_report("fixtures/ernie-tiny", false, 0);
    check_report("fixtures/ernie-tiny-bin", false, 0);
    check_report("fixtures/ernie-tiny-sharded", false, 0);
    check_report("fixtures/ernie-tiny-untied-bias", false, 0);
    check_report("fixtures/llama-tiny", true, 0);
}

static void test_odd_widths_stay(void **state)
{
    (void)state;
    check_report("fixtures/odd-llama", true, 2 + 2 * 7);
    check_report("fixtures/odd-f16", false, 2 + 3 * 7);
}

/* Three million values in one tensor: several batches. */
static void test_large_tensor(void **state)
{
    (void)state;
    check_report("fixtures/ernie-micro", false, 0);
}

static void count_bytes(void *context, const struct ink_quantized *q)
{
    *(double *)context += q->errors;
    assert_string_equal(q->source_type, q->type);
}

/* What is Q8_0 already goes through as it is. */
static void test_again(void **state)
{
    struct ink_error error = {0};
    double errors = 0;
    (void)state;
    struct ink_model *m = open_to_look(shared_path(stories), 1);
    assert_ok(ink_quantize(m, gguf_path, "q8_0", NULL, NULL, NULL, &error));
    ink_model_close(m);
    m = open_to_look(gguf_path, 1);
    assert_ok(ink_quantize(m, other_path, "q8_0", count_bytes, NULL, &errors, &error));
    ink_model_close(m);
    assert_true(errors == 0);
    assert_same_files(gguf_path, other_path);
}

/* ---------------------------------------------------------------------------------- refusals */

static void test_wrong_arguments(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_to_look(shared_path(stories), 1);
    assert_int_equal(ink_quantize(m, gguf_path, "q9", NULL, NULL, NULL, &error),
                     INK_ERROR_ARGUMENT);
    assert_non_null(strstr(error.message, "(q8_0)"));
    assert_int_equal(ink_quantize(m, gguf_path, "f32", NULL, NULL, NULL, &error),
                     INK_ERROR_ARGUMENT);
    assert_int_equal(ink_quantize(m, folder_path, "q8_0", NULL, NULL, NULL, &error),
                     INK_ERROR_ARGUMENT);
    assert_int_equal(ink_quantize(m, "", "q8_0", NULL, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    assert_int_equal(ink_path_kind(gguf_path), INK_PATH_NONE);
    ink_model_close(m);
}

static void copy_file(const char *from, const char *name, struct ink_string *out)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    char *path = ink_path_join(from, name);
    out->length = 0;
    assert_ok(ink_map_file(&file, path, &error));
    ink_string_append(out, (const char *)file.data, (size_t)file.size);
    ink_unmap_file(&file);
    ink_free(path);
    path = ink_path_join(folder_path, name);
    write_file(path, out);
    ink_free(path);
}

/* A copy of stories260K in which one tensor has `n` values of these bits, from `first` on. */
static void make_damaged(const char *tensor, uint64_t first, int n, uint32_t bits)
{
    struct ink_error error = {0};
    struct ink_string bytes = {0};
    struct ink_weights w;
    const char *from = shared_path(stories);
    ink_make_folder(folder_path, NULL);
    copy_file(from, "config.json", &bytes);
    copy_file(from, "tokenizer.model", &bytes);
    copy_file(from, "model.safetensors", &bytes);
    assert_ok(ink_weights_open(&w, from, &error));
    const struct ink_tensor *t = ink_weights_find(&w, tensor);
    size_t at = (size_t)((const unsigned char *)t->data - w.files[0].data);
    for (int i = 0; i < n; i++) {
        const char value[4] = {(char)bits, (char)(bits >> 8), (char)(bits >> 16),
                               (char)(bits >> 24)};
        patch(&bytes, at + 4 * ((size_t)first + (size_t)i), value, 4);
    }
    ink_weights_close(&w);
    write_file("check_quantize.tmp/model/model.safetensors", &bytes);
    ink_string_free(&bytes);
}

static void test_not_finite(void **state)
{
    static const struct {
        const char *tensor;
        uint64_t first;
        int n;
        uint32_t bits;
        const char *says;
    } cases[] = {
        {"model.embed_tokens.weight", 32767, 1, 0x7FC00000, "has 1 values"},
        {"model.layers.3.self_attn.v_proj.weight", 5, 70, 0x7F800000, "has 70 values"},
        {"model.layers.1.mlp.down_proj.weight", 0, 3, 0xFF800000, "has 3 values"}, /* kept */
        {"model.norm.weight", 63, 1, 0xFFC00001, "first at 63"},
        {"model.layers.0.mlp.up_proj.weight", 9, 2, 0x7F7FFFFF, "has the value 3.40282e+38"},
    };
    struct ink_error error = {0};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        make_damaged(cases[i].tensor, cases[i].first, cases[i].n, cases[i].bits);
        struct ink_model *m = open_to_look(folder_path, 2);
        assert_int_equal(ink_quantize(m, gguf_path, NULL, NULL, NULL, NULL, &error),
                         INK_ERROR_INPUT);
        if (!strstr(error.message, cases[i].tensor) || !strstr(error.message, cases[i].says)) {
            fail_msg("%s: \"%s\"", cases[i].tensor, error.message);
        }
        assert_int_equal(ink_path_kind(gguf_path), INK_PATH_NONE);
        ink_model_close(m);
    }
}

static int stop_at(void *context, uint64_t done, uint64_t total)
{
    return done >= total / 100 * *(const uint64_t *)context;
}

static void test_cancel(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_to_look(shared_path(stories), 1);
    for (uint64_t part = 0; part <= 100; part += 25) {
        assert_int_equal(ink_quantize(m, gguf_path, NULL, NULL, stop_at, &part, &error),
                         INK_ERROR_CANCELLED);
        assert_int_equal(ink_path_kind(gguf_path), INK_PATH_NONE);
    }
    ink_model_close(m);
}

/* ----------------------------------------------------------------------------------- divergence */

struct expected {
    double loss[2], kl, most, agreement;
    int n;
};

/* In double precision with the C library, over the logits of a window at once. */
static void add_position(struct expected *e, const float *a, const float *b, int vocab, int target)
{
    const float *rows[2] = {a, b};
    double all[2], kl = 0;
    int best[2] = {0};
    for (int r = 0; r < 2; r++) {
        double sum = 0;
        for (int i = 0; i < vocab; i++) {
            best[r] = rows[r][i] > rows[r][best[r]] ? i : best[r];
        }
        for (int i = 0; i < vocab; i++) {
            sum += exp((double)rows[r][i] - (double)rows[r][best[r]]);
        }
        all[r] = (double)rows[r][best[r]] + log(sum);
        e->loss[r] += all[r] - (double)rows[r][target];
    }
    for (int i = 0; i < vocab; i++) {
        double p = (double)a[i] - all[0], q = (double)b[i] - all[1];
        kl += exp(p) * (p - q);
    }
    e->kl += kl;
    e->most = kl > e->most ? kl : e->most;
    e->agreement += best[0] == best[1];
    e->n++;
}

static struct expected expect(struct ink_model *models[2], const int32_t *ids, int n, int window)
{
    struct expected e = {.n = 0};
    int vocab = ink_model_get_info(models[0])->vocab_size, bos = ink_bos_token(models[0]);
    int32_t *sequence = malloc((size_t)(window + 1) * sizeof *sequence);
    for (int at = 0; at < n; at += window) {
        int count = n - at < window ? n - at : window, length = count + (bos >= 0);
        float *logits[2];
        sequence[0] = bos;
        memcpy(sequence + (bos >= 0), ids + at, (size_t)count * sizeof *ids);
        for (int r = 0; r < 2; r++) {
            struct ink_session *s = open_session(models[r], INK_KV_F32);
            logits[r] = eval_all(models[r], s, sequence, length, length);
            ink_session_close(s);
        }
        for (int i = 0; i + 1 < length; i++) {
            size_t row = (size_t)i * (size_t)vocab;
            add_position(&e, logits[0] + row, logits[1] + row, vocab, sequence[i + 1]);
        }
        free(logits[0]);
        free(logits[1]);
    }
    free(sequence);
    return e;
}

static void assert_close(const char *what, double got, double wanted)
{
    if (!(fabs(got - wanted) <= 1e-9 * (fabs(wanted) + 0.001))) {
        fail_msg("%s: %.15g, wanted %.15g", what, got, wanted);
    }
}

/* Float against quantised, with and without a begin token, in full and cut windows. */
static void check_divergence(const char *name, int n, int window, double most_kl)
{
    struct ink_error error = {0};
    struct ink_divergence d, again;
    struct ink_model *models[2];
    models[0] = open_native(shared_path(name), 1);
    assert_ok(ink_quantize(models[0], gguf_path, NULL, NULL, NULL, NULL, &error));
    models[1] = open_native(gguf_path, 1);
    int vocab = ink_model_get_info(models[0])->vocab_size;
    int32_t ids[700];
    for (int i = 0; i < n; i++) {
        ids[i] = (int32_t)((uint64_t)i * i * 7919 % (uint64_t)(vocab - 3)) + 3;
    }
    assert_ok(ink_measure_divergence(&d, models[0], models[1], ids, (size_t)n, window, NULL, NULL,
                                     &error));
    struct expected e = expect(models, ids, n, d.window);
    assert_true(d.has_begin_token == (ink_bos_token(models[0]) >= 0));
    assert_int_equal(d.n_tokens, e.n);
    for (int r = 0; r < 2; r++) {
        assert_close("loss", d.loss[r], e.loss[r] / e.n);
        assert_close("perplexity", d.perplexity[r], exp(e.loss[r] / e.n));
    }
    assert_close("KL", d.kl_mean, e.kl / e.n);
    assert_close("largest KL", d.kl_max, e.most);
    assert_close("agreement", d.agreement, e.agreement / e.n);
    assert_true(d.kl_99 <= d.kl_max && d.kl_99 > 0 && d.kl_mean < most_kl);
    print_message("# %s, Q8_0: perplexity %+.3f %%, KL %.2e (99 %%: %.2e, most %.2e), same best "
                  "%.2f %% of %d\n",
                  name, 100 * (d.perplexity[1] / d.perplexity[0] - 1), d.kl_mean, d.kl_99, d.kl_max,
                  100 * d.agreement, e.n);
    ink_model_close(models[0]);
    models[0] = open_native(shared_path(name), 3); /* the same bits for other threads */
    assert_ok(ink_measure_divergence(&again, models[0], models[1], ids, (size_t)n, window, NULL,
                                     NULL, &error));
    assert_memory_equal(&d.loss, &again.loss, sizeof d.loss);
    assert_true(d.kl_mean == again.kl_mean && d.kl_99 == again.kl_99 && d.kl_max == again.kl_max);
    ink_model_close(models[0]);
    ink_model_close(models[1]);
}

static void test_divergence(void **state)
{
    (void)state;
    check_divergence("fixtures/ernie-tiny", 300, 100, 0.05);
    check_divergence("fixtures/ernie-tiny-untied-bias", 257, 256, 0.05);
    check_divergence("fixtures/llama-tiny", 201, 67, 0.05); /* ends with a window of none */
    check_divergence(stories, 700, 512, 0.05);
}

static void test_float_fixtures(void **state)
{
    static const char *const names[] = {"fixtures/ernie-tiny-f32", "fixtures/ernie-micro"};
    (void)state;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        check_divergence(names[i], 120, 100, 0.05);
    }
}

/* English that the model knows: what is lost must not matter. */
static void test_stories(void **state)
{
    struct ink_error error = {0};
    struct ink_divergence d;
    struct ink_mapping text;
    int32_t *ids;
    size_t n;
    (void)state;
    struct ink_model *a = open_native(shared_path(stories), 2), *b;
    struct ink_model_options options = {.threads = 2};
    assert_ok(ink_quantize(a, gguf_path, NULL, NULL, NULL, NULL, &error));
    assert_ok(ink_model_open(&b, gguf_path, &options, &error)); /* as it will be run */
    assert_ok(ink_map_file(&text, shared_path("stories.txt"), &error));
    assert_ok(ink_tokenize(a, &ids, &n, (const char *)text.data, (size_t)text.size, false, &error));
    assert_ok(ink_measure_divergence(&d, a, b, ids, n, 512, NULL, NULL, &error));
    print_message("# stories260K: perplexity %.4f, Q8_0 %.4f (%+.3f %%); KL %.2e (99 %%: %.2e, "
                  "most %.2e), same best %.2f %% of %d\n",
                  d.perplexity[0], d.perplexity[1], 100 * (d.perplexity[1] / d.perplexity[0] - 1),
                  d.kl_mean, d.kl_99, d.kl_max, 100 * d.agreement, (int)d.n_tokens);
    assert_true(d.perplexity[0] > 3 && d.perplexity[0] < 5);
    assert_true(fabs(d.perplexity[1] / d.perplexity[0] - 1) < 0.005);
    assert_true(d.agreement > 0.96 && d.kl_mean < 0.005);
    ink_free(ids);
    ink_unmap_file(&text);
    ink_model_close(a);
    ink_model_close(b);
}

static void test_itself(void **state)
{
    struct ink_error error = {0};
    struct ink_divergence d;
    int32_t ids[40];
    (void)state;
    struct ink_model *m = open_native(shared_path("fixtures/ernie-tiny"), 1);
    for (int i = 0; i < 40; i++) {
        ids[i] = 5 + i;
    }
    assert_ok(ink_measure_divergence(&d, m, m, ids, 40, 512, NULL, NULL, &error));
    assert_true(d.kl_mean == 0 && d.kl_99 == 0 && d.kl_max == 0 && d.agreement == 1);
    assert_true(d.loss[0] == d.loss[1]);
    assert_int_equal(d.n_tokens, 39 + d.has_begin_token);
    ink_model_close(m);
}

static void refuses_measure(struct ink_model *a, struct ink_model *b, const int32_t *ids, size_t n,
                            int window, int code, const char *says)
{
    struct ink_error error = {0};
    struct ink_divergence d;
    int status = ink_measure_divergence(&d, a, b, ids, n, window, NULL, NULL, &error);
    if (status != code || !strstr(error.message, says)) {
        fail_msg("%d, \"%s\" (wanted %d, \"%s\")", status, error.message, code, says);
    }
}

static void test_divergence_refuses(void **state)
{
    struct ink_error error = {0};
    struct ink_divergence d;
    int32_t ids[64] = {0}, bad[64] = {0};
    uint64_t part = 50;
    (void)state;
    struct ink_model *a = open_native(shared_path("fixtures/ernie-tiny"), 1);
    struct ink_model *b = open_native(shared_path(stories), 1);
    bad[63] = 640;
    refuses_measure(a, b, ids, 64, 512, INK_ERROR_ARGUMENT, "has 512 tokens, but");
    refuses_measure(a, a, ids, 15, 512, INK_ERROR_INPUT, "at least 16 are needed");
    refuses_measure(a, a, ids, 0, 512, INK_ERROR_INPUT, "at least 16 are needed");
    refuses_measure(a, a, bad, 64, 512, INK_ERROR_ARGUMENT, "640 is not in 0 to 639");
    refuses_measure(a, a, ids, 64, 1, INK_ERROR_ARGUMENT, "too short");
    refuses_measure(a, a, ids, 64, -5, INK_ERROR_ARGUMENT, "too short");
    assert_int_equal(ink_measure_divergence(&d, a, a, ids, 64, 16, stop_at, &part, &error),
                     INK_ERROR_CANCELLED);
    ink_model_close(a);
    ink_model_close(b);
    make_damaged("model.norm.weight", 0, 1, 0x7FC00000);
    a = open_native(folder_path, 1);
    refuses_measure(a, a, ids, 64, 16, INK_ERROR_INPUT, "are not numbers");
    ink_model_close(a);
}

/* ---------------------------------------------------------------------------------- allocations */

static int quantise_and_measure(struct ink_model *m, const int32_t *ids, struct ink_error *error)
{
    struct ink_divergence d;
    int status = ink_quantize(m, gguf_path, NULL, NULL, NULL, NULL, error);
    return status == INK_OK ? ink_measure_divergence(&d, m, m, ids, 20, 8, NULL, NULL, error)
                            : status;
}

static void test_allocations(void **state)
{
    int32_t ids[20] = {0};
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_native(shared_path(stories), 2);
    ink_fail_allocation(0, false);
    assert_ok(quantise_and_measure(m, ids, &error));
    long total = ink_fail_allocation(0, false);
    assert_true(total > 10);
    for (long n = 1; n <= total; n++) {
        ink_fail_allocation(n, true);
        int status = quantise_and_measure(m, ids, &error);
        ink_fail_allocation(0, false);
        assert_int_equal(status, INK_ERROR_MEMORY);
    }
    ink_model_close(m);
}

/* ---------------------------------------------------------------------------------- mapped files
 */

static void test_mapped_files(void **state)
{
    struct ink_error error = {0};
    struct ink_mapping file, none = {0};
    struct ink_string bytes = {0};
    (void)state;
    put_bytes(&bytes, 'x', 100000);
    write_file(gguf_path, &bytes);
    write_file(other_path, &bytes);
    assert_ok(ink_map_file(&file, gguf_path, &error));
    assert_true(ink_mapping_is_of(&file, gguf_path));
    assert_true(ink_mapping_is_of(&file, "check_quantize.tmp/../check_quantize.tmp/x.gguf"));
    assert_false(ink_mapping_is_of(&file, other_path));
    assert_false(ink_mapping_is_of(&file, "check_quantize.tmp/no"));
    assert_false(ink_mapping_is_of(&none, gguf_path));
    ink_release_mapped(file.data + 77, 50001);
    ink_release_mapped(file.data, 100000);
    ink_release_mapped(file.data, 0);
    assert_memory_equal(file.data, bytes.data, 100000);
    ink_unmap_file(&file);
    ink_string_free(&bytes);
}

#define QUANTIZE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        QUANTIZE_TEST(test_report),          QUANTIZE_TEST(test_odd_widths_stay),
        QUANTIZE_TEST(test_large_tensor),    QUANTIZE_TEST(test_again),
        QUANTIZE_TEST(test_wrong_arguments), QUANTIZE_TEST(test_not_finite),
        QUANTIZE_TEST(test_cancel),          QUANTIZE_TEST(test_divergence),
        QUANTIZE_TEST(test_float_fixtures),  QUANTIZE_TEST(test_stories),
        QUANTIZE_TEST(test_itself),          QUANTIZE_TEST(test_divergence_refuses),
        QUANTIZE_TEST(test_allocations),     QUANTIZE_TEST(test_mapped_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
