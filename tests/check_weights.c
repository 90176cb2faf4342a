/* Opening good files: every container, the same values from each. */
#include "support.h"

#include "../src/gguf.h"
#include "../src/quant.h"

static void opens(struct ink_weights *w, const char *name, const char *format)
{
    struct ink_error error = {0};
    assert_ok(ink_weights_open(w, shared_path(name), &error));
    assert_string_equal(w->format, format);
    for (int i = 0; i < w->n_tensors; i++) {
        assert_ptr_equal(ink_weights_find(w, w->tensors[i].name), &w->tensors[i]);
    }
    assert_null(ink_weights_find(w, "no such tensor"));
    assert_null(ink_weights_find(w, ""));
}

static void opens_one(const char *name, const char *format, int n_tensors)
{
    struct ink_weights w;
    opens(&w, name, format);
    assert_int_equal(w.n_tensors, n_tensors);
    ink_weights_close(&w);
}

static void opens_shipped_models(void **state)
{
    (void)state;
    opens_one("data/stories260K/as-ernie45", "safetensors", 47);
}

static void opens_every_fixture(void **state)
{
    (void)state;
    opens_one("fixtures/ernie-tiny", "safetensors", 29);
    opens_one("fixtures/ernie-tiny-f32", "safetensors", 29);
    opens_one("fixtures/ernie-tiny-sharded", "safetensors sharded", 29);
    opens_one("fixtures/ernie-tiny-bin", "pytorch", 29);
    opens_one("fixtures/ernie-tiny-untied-bias", "safetensors", 51);
    opens_one("fixtures/ernie-micro", "safetensors", 20);
    opens_one("fixtures/llama-tiny", "safetensors", 29);
}

/* A file named itself, whatever it is. */
static void opens_single_files(void **state)
{
    (void)state;
    opens_one("fixtures/ernie-tiny/golden_forward.safetensors", "safetensors", 2);
    opens_one("fixtures/ernie-tiny-bin/pytorch_model.bin", "pytorch", 29);
}

static void compare_tensor(const struct ink_tensor *a, const struct ink_tensor *b)
{
    assert_non_null(b);
    assert_int_equal(a->n_dims, b->n_dims);
    assert_memory_equal(a->shape, b->shape, sizeof a->shape);
    uint64_t n = ink_tensor_count(a);
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    ink_dequantize(x, a->data, a->type, n);
    ink_dequantize(y, b->data, b->type, n);
    assert_memory_equal(x, y, n * sizeof *x);
    free(x);
    free(y);
}

static void holds_the_same_values_in_every_container(void **state)
{
    (void)state;
    static const struct {
        const char *name, *format;
    } others[] = {{"fixtures/ernie-tiny-f32", "safetensors"},
                  {"fixtures/ernie-tiny-sharded", "safetensors sharded"},
                  {"fixtures/ernie-tiny-bin", "pytorch"}};
    for (size_t i = 0; i < INK_COUNT(others); i++) {
        struct ink_weights a, b;
        opens(&a, "fixtures/ernie-tiny", "safetensors");
        opens(&b, others[i].name, others[i].format);
        assert_int_equal(a.n_tensors, b.n_tensors);
        for (int j = 0; j < a.n_tensors; j++) {
            compare_tensor(&a.tensors[j], ink_weights_find(&b, a.tensors[j].name));
        }
        ink_weights_close(&a);
        ink_weights_close(&b);
    }
}

/* Files that torch.save wrote: of a module, of parameters, with shared and sliced storages,
 * sharded; the values are in the safetensors file beside them. */
static void reads_what_torch_writes(void **state)
{
    (void)state;
    static const char *const names[] = {"weights/module.bin", "weights/parameters.bin",
                                        "weights/views.bin", "weights/sharded-bin"};
    struct ink_weights truth;
    opens(&truth, "weights/torch.safetensors", "safetensors");
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct ink_weights w;
        opens(&w, names[i], i == 3 ? "pytorch sharded" : "pytorch");
        assert_true(w.n_tensors > 0);
        for (int j = 0; j < w.n_tensors; j++) {
            compare_tensor(&w.tensors[j], ink_weights_find(&truth, w.tensors[j].name));
        }
        ink_weights_close(&w);
    }
    ink_weights_close(&truth);
}

static void reads_vocabularies(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_weights w;
    struct ink_gguf_string model = {0};
    int64_t bos = -1;
    opens(&w, "data/gguf-vocab/ggml-vocab-llama-spm.gguf", "gguf");
    assert_int_equal(w.n_tensors, 0);
    int64_t n = ink_gguf_array_length(w.gguf, "tokenizer.ggml.tokens");
    assert_int_equal(n, 32000);
    struct ink_gguf_string *tokens = calloc((size_t)n, sizeof *tokens);
    float *scores = calloc((size_t)n, sizeof *scores);
    int32_t *types = calloc((size_t)n, sizeof *types);
    assert_ok(ink_gguf_get_strings(w.gguf, "tokenizer.ggml.tokens", tokens, n, &error));
    assert_ok(ink_gguf_get_floats(w.gguf, "tokenizer.ggml.scores", scores, n, &error));
    assert_ok(ink_gguf_get_ints(w.gguf, "tokenizer.ggml.token_type", types, n, &error));
    assert_memory_equal(tokens[1].data, "<s>", 3);
    assert_true(scores[300] <= 0);
    assert_int_equal(types[1], 3);
    assert_ok(ink_gguf_get_string(w.gguf, "tokenizer.ggml.model", true, &model, &error));
    assert_memory_equal(model.data, "llama", 5);
    assert_ok(
        ink_gguf_get_int(w.gguf, "tokenizer.ggml.bos_token_id", 0, 31999, true, &bos, &error));
    assert_int_equal(bos, 1);
    free(tokens);
    free(scores);
    free(types);
    ink_weights_close(&w);
    opens(&w, "data/gguf-vocab/ggml-vocab-baichuan.gguf", "gguf");
    assert_int_equal(ink_gguf_array_length(w.gguf, "tokenizer.ggml.tokens"), 64000);
    ink_weights_close(&w);
}

/* weights/kinds.gguf: a key of every type. */
static void reads_every_kind_of_value(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_weights w;
    opens(&w, "weights/kinds.gguf", "gguf");
    const struct ink_gguf *g = w.gguf;
    static const struct {
        const char *key;
        int64_t value;
    } integers[] = {
        {"u8", 200},         {"i8", -100},         {"u16", 60000},          {"i16", -30000},
        {"u32", 4000000000}, {"i32", -2000000000}, {"i64", -5000000000000}, {"u64", 5000000000000}};
    for (size_t i = 0; i < INK_COUNT(integers); i++) {
        int64_t v = 0;
        assert_ok(ink_gguf_get_int(g, integers[i].key, INT64_MIN, INT64_MAX, true, &v, &error));
        assert_true(v == integers[i].value);
        assert_int_equal(ink_gguf_get_int(g, integers[i].key, 0, 1, true, &v, &error),
                         INK_ERROR_INPUT);
    }
    double f = 0;
    bool b = false;
    int32_t ints[3];
    float floats[2];
    int64_t v = 7;
    assert_ok(ink_gguf_get_float(g, "f32", -9, 9, true, &f, &error));
    assert_true(f == 1.5);
    assert_ok(ink_gguf_get_float(g, "f64", -9, 9, true, &f, &error));
    assert_true(f == -2.25);
    assert_ok(ink_gguf_get_bool(g, "yes", true, &b, &error));
    assert_true(b);
    assert_ok(ink_gguf_get_ints(g, "ints", ints, 3, &error));
    assert_int_equal(ints[0] + ints[1] + ints[2], 0);
    assert_ok(ink_gguf_get_floats(g, "floats", floats, 2, &error));
    assert_true(floats[1] == -0.5f);
    assert_int_equal(ink_gguf_array_length(g, "words"), 2);
    assert_int_equal(ink_gguf_array_length(g, "u8"), -1);
    assert_int_equal(ink_gguf_array_length(g, "none"), -1);
    assert_int_equal(ink_gguf_get_ints(g, "words", ints, 2, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_gguf_get_ints(g, "ints", ints, 2, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_gguf_get_floats(g, "ints", floats, 3, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_gguf_get_bool(g, "u8", true, &b, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_gguf_get_float(g, "nan", -9, 9, true, &f, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_gguf_get_int(g, "none", 0, 9, true, &v, &error), INK_ERROR_INPUT);
    assert_ok(ink_gguf_get_int(g, "none", 0, 9, false, &v, &error));
    assert_int_equal(v, 7);
    const struct ink_tensor *t = ink_weights_find(&w, "matrix");
    assert_non_null(t);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->shape[1], 3);
    ink_weights_close(&w);
}

/* Whatever allocation fails: that is what the caller hears, and nothing leaks (under ASan). */
static void survives_any_failing_allocation(void **state)
{
    (void)state;
    static const char *const names[] = {"weights/module.bin", "weights/sharded-bin",
                                        "weights/torch.safetensors", "weights/kinds.gguf"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        const char *path = shared_path(names[i]);
        int status = INK_ERROR_MEMORY;
        for (long n = 1; status != INK_OK; n++) {
            struct ink_error error = {0};
            struct ink_weights w;
            ink_fail_allocation(n, n % 2 == 0);
            status = ink_weights_open(&w, path, &error);
            ink_fail_allocation(0, false);
            ink_weights_close(&w);
            if (status != INK_OK && status != INK_ERROR_MEMORY) {
                fail_msg("%s, allocation %ld: %s", names[i], n, error.message);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_shipped_models),
        cmocka_unit_test(opens_every_fixture),
        cmocka_unit_test(opens_single_files),
        cmocka_unit_test(holds_the_same_values_in_every_container),
        cmocka_unit_test(reads_what_torch_writes),
        cmocka_unit_test(reads_vocabularies),
        cmocka_unit_test(reads_every_kind_of_value),
        cmocka_unit_test(survives_any_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
