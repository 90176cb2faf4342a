/* Adapters that leave as files: merged into a model, or alone as llama.cpp reads them; and such
 * files read again, sound ones and bad ones. */
#include "support.h"

#include <math.h>

#include "../src/adapter_source.h"
#include "../src/gguf.h"
#include "../src/quant.h"

static const char gguf_path[] = "check_export_adapter.tmp.gguf";
static const char again_path[] = "check_export_adapter.tmp.again.gguf";
static const char adapter_path[] = "check_export_adapter.tmp.lora.gguf";
static const char folder_path[] = "check_export_adapter.tmp.folder";

static int clean(void **state)
{
    (void)state;
    discard(gguf_path);
    discard(again_path);
    discard(adapter_path);
    discard(folder_path);
    return 0;
}

static const struct {
    const char *model, *adapter;
} pairs[] = {
    {"fixtures/ernie-tiny", "adapters/ernie-all-r8"},
    {"fixtures/ernie-tiny", "adapters/ernie-qv-r4-rslora"},
    {"fixtures/ernie-tiny", "adapters/ernie-patterns"},
    {"fixtures/ernie-tiny", "adapters/ernie-regex"},
    {"fixtures/ernie-tiny-untied-bias", "adapters/ernie-all-r8"},
    {"fixtures/llama-tiny", "adapters/llama-all-r4"},
    {"fixtures/llama-tiny", "adapters/llama-qk-r8-bin"},
};

static struct ink_model *open_plain(const char *path)
{
    return open_model_at(path, 2, NULL);
}

/* As the program opens what it does not compute with. */
static struct ink_model *open_to_look(const char *path)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    const struct ink_model_options options = {
        .threads = 2, .weight_type = INK_WEIGHTS_NATIVE, .without_weights = true};
    assert_ok(ink_model_open(&m, path, &options, &error));
    return m;
}

static struct ink_adapter *open_adapter(struct ink_model *m, const char *path, float scale)
{
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    assert_ok(ink_adapter_open(&a, m, path, scale, &error));
    return a;
}

static void merge_to(struct ink_model *m, const char *adapter, float scale, const char *path,
                     const char *type)
{
    struct ink_error error = {0};
    struct ink_adapter *a = open_adapter(m, adapter, scale);
    discard(path);
    assert_ok(ink_export_merged(m, a, path, type, NULL, NULL, &error));
    ink_adapter_close(a);
}

static void export_adapter(const struct ink_model *m, const char *adapter, const char *path,
                           const char *type)
{
    struct ink_error error = {0};
    assert_ok(ink_export_adapter(m, adapter, path, type, NULL, NULL, &error));
}

/* ---------------------------------------------------------------------------------------- logits
 */

enum { n_tokens = 24 };

struct logits {
    float *values;
    size_t n;
};

/* With the adapter `path` (NULL: none). */
static struct logits logits_of(struct ink_model *m, const char *path, float scale)
{
    struct ink_error error = {0};
    int32_t ids[n_probe];
    const size_t v = (size_t)ink_model_get_info(m)->vocab_size;
    struct ink_adapter *a = path ? open_adapter(m, path, scale) : NULL;
    struct ink_session *s = open_session(m, INK_KV_F32);
    fill_probe(ids, (int)v);
    assert_ok(ink_session_set_adapter(s, a, &error));
    const struct logits out = {eval_all(m, s, ids, n_tokens, n_tokens), n_tokens * v};
    ink_session_close(s);
    ink_adapter_close(a);
    return out;
}

/* Largest distance, relative to the largest of `wanted`. Frees `got`. */
static double distance(struct logits got, const struct logits *wanted)
{
    double worst = 0, largest = 0;
    assert_true(got.n == wanted->n);
    for (size_t i = 0; i < got.n; i++) {
        assert_true(isfinite(got.values[i]));
        worst = fmax(worst, fabs((double)got.values[i] - (double)wanted->values[i]));
        largest = fmax(largest, fabs((double)wanted->values[i]));
    }
    free(got.values);
    return worst / largest;
}

static double distance_of_model(const char *path, const struct logits *wanted)
{
    struct ink_model *m = open_plain(path);
    const double d = distance(logits_of(m, NULL, 1), wanted);
    ink_model_close(m);
    return d;
}

/* ---------------------------------------------------------------------------------------- merged
 */

/* Folder and GGUF file, from folder and GGUF file. */
static void check_merged(const char *model, const char *adapter)
{
    struct ink_error error = {0};
    struct ink_model *m = open_plain(model);
    struct logits wanted = logits_of(m, adapter, 0.5f);
    assert_true(distance(logits_of(m, NULL, 1), &wanted) > 0.05);
    assert_ok(ink_export(m, again_path, NULL, NULL, NULL, &error));
    ink_model_close(m);
    const char *sources[] = {model, again_path};
    for (size_t i = 0; i < INK_COUNT(sources); i++) {
        m = open_to_look(sources[i]);
        merge_to(m, adapter, 0.5f, folder_path, "f32");
        merge_to(m, adapter, 0.5f, gguf_path, "f32");
        ink_model_close(m);
        const double in_folder = distance_of_model(folder_path, &wanted);
        const double in_gguf = distance_of_model(gguf_path, &wanted);
        printf("# %s: merged is %.2g and %.2g away\n", adapter, in_folder, in_gguf);
        assert_true(in_folder < 1e-5 && in_gguf < 1e-5);
    }
    free(wanted.values);
}

static void merged_is_the_same_as_at_run_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        check_merged(shared_path(pairs[i].model), shared_path(pairs[i].adapter));
    }
}

/* Each type is the float32 sum, rounded once; what no adapter touches is as without. */
static void check_rounded(struct ink_model *m, const struct ink_weights *sums, const char *type)
{
    struct ink_error error = {0};
    struct ink_weights got;
    static unsigned char bytes[224 * 640 * 4];
    merge_to(m, shared_path("adapters/ernie-qv-r4-rslora"), 1, again_path, type);
    assert_ok(ink_weights_open(&got, again_path, &error));
    assert_int_equal(got.n_tensors, sums->n_tensors);
    for (int i = 0; i < got.n_tensors; i++) {
        const struct ink_tensor *t = &got.tensors[i], *sum = ink_weights_find(sums, t->name);
        const size_t n = (size_t)ink_tensor_count(t);
        assert_true(n * 4 <= sizeof bytes);
        assert_int_equal(ink_narrow(bytes, sum->data, t->type, n), t->n_bytes);
        assert_memory_equal(bytes, t->data, (size_t)t->n_bytes);
    }
    ink_weights_close(&got);
}

static void types(void **state)
{
    static const char *const names[] = {"f32", "bf16", "f16", "q8_0", NULL};
    struct ink_error error = {0};
    struct ink_weights sums, plain;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    (void)state;
    merge_to(m, shared_path("adapters/ernie-qv-r4-rslora"), 1, gguf_path, "f32");
    assert_ok(ink_weights_open(&sums, gguf_path, &error));
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        check_rounded(m, &sums, names[i]);
    }
    assert_ok(ink_export(m, again_path, "f32", NULL, NULL, &error));
    assert_ok(ink_weights_open(&plain, again_path, &error));
    for (int i = 0; i < plain.n_tensors; i++) {
        const struct ink_tensor *t = &plain.tensors[i], *u = ink_weights_find(&sums, t->name);
        const bool changed = strstr(t->name, "attn_q.") || strstr(t->name, "attn_v.");
        assert_int_equal(memcmp(t->data, u->data, (size_t)t->n_bytes) != 0, changed);
    }
    ink_weights_close(&plain);
    ink_weights_close(&sums);
    ink_model_close(m);
}

/* int8 weights take an adapter too, and stay int8. */
static void into_int8(void **state)
{
    struct ink_error error = {0};
    const char *adapter = shared_path("adapters/ernie-all-r8");
    (void)state;
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    struct logits wanted = logits_of(m, adapter, 1);
    assert_ok(ink_export(m, gguf_path, "q8_0", NULL, NULL, &error));
    ink_model_close(m);
    m = open_to_look(gguf_path);
    merge_to(m, adapter, 1, again_path, NULL);
    merge_to(m, adapter, 1, folder_path, NULL);
    ink_model_close(m);
    m = open_plain(again_path);
    assert_string_equal(ink_model_get_info(m)->weight_type, "Q8_0");
    assert_true(distance(logits_of(m, NULL, 1), &wanted) < 0.2);
    ink_model_close(m);
    assert_true(distance_of_model(folder_path, &wanted) < 0.2);
    free(wanted.values);
}

/* ----------------------------------------------------------------------------------------- alone
 */

/* The adapter as a file, beside both kinds of files of its model. */
static void check_alone(const char *model, const char *adapter)
{
    static const struct {
        const char *type;
        double loss;
    } tried[] = {{NULL, 1e-5}, {"f32", 1e-5}, {"f16", 0.01}, {"bf16", 0.05}};
    struct ink_error error = {0};
    struct ink_model *m = open_plain(model), *gguf;
    struct logits wanted = logits_of(m, adapter, 0.75f);
    assert_ok(ink_export(m, gguf_path, NULL, NULL, NULL, &error));
    gguf = open_plain(gguf_path);
    for (size_t i = 0; i < INK_COUNT(tried); i++) {
        export_adapter(i % 2 ? m : gguf, adapter, adapter_path, tried[i].type);
        assert_true(distance(logits_of(m, adapter_path, 0.75f), &wanted) < tried[i].loss);
        assert_true(distance(logits_of(gguf, adapter_path, 0.75f), &wanted) < tried[i].loss);
    }
    merge_to(gguf, adapter_path, 0.75f, folder_path, "f32");
    ink_model_close(gguf);
    ink_model_close(m);
    assert_true(distance_of_model(folder_path, &wanted) < 0.05); /* the adapter is bf16 */
    free(wanted.values);
}

static void alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        check_alone(shared_path(pairs[i].model), shared_path(pairs[i].adapter));
    }
}

static double alpha_in_file(const char *path, int n_tensors, enum ink_type type)
{
    struct ink_error error = {0};
    struct ink_weights w;
    struct ink_gguf_string text;
    double alpha = -1;
    assert_ok(ink_weights_open(&w, path, &error));
    assert_ok(ink_gguf_get_float(w.gguf, "adapter.lora.alpha", -1e9, 1e9, true, &alpha, &error));
    assert_ok(ink_gguf_get_string(w.gguf, "general.name", true, &text, &error));
    assert_true(text.n > 0);
    assert_int_equal(w.n_tensors, n_tensors);
    for (int i = 0; i < n_tensors; i++) {
        assert_true(w.tensors[i].type == type || strstr(w.tensors[i].name, "lora_b"));
    }
    ink_weights_close(&w);
    return alpha;
}

/* Numbers stay what they are where one alpha says it all; B takes what it cannot say. */
static void alphas(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    const char *all = shared_path("adapters/ernie-all-r8");
    export_adapter(m, all, adapter_path, NULL);
    assert_true(alpha_in_file(adapter_path, 42, INK_TYPE_BF16) == 16);
    struct ink_weights file, folder;
    char path[1100];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors", all);
    assert_ok(ink_weights_open(&file, adapter_path, &error));
    assert_ok(ink_weights_open(&folder, path, &error));
    const struct ink_tensor *b = ink_weights_find(&file, "blk.1.ffn_down.weight.lora_b");
    const struct ink_tensor *same =
        ink_weights_find(&folder, "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight");
    assert_int_equal(b->shape[0], 96);
    assert_int_equal(b->shape[1], 8);
    assert_true(b->type == same->type && b->n_bytes == same->n_bytes);
    assert_memory_equal(b->data, same->data, (size_t)b->n_bytes);
    ink_weights_close(&file);
    ink_weights_close(&folder);
    export_adapter(m, shared_path("adapters/ernie-qv-r4-rslora"), adapter_path, NULL);
    assert_true(alpha_in_file(adapter_path, 12, INK_TYPE_F32) == 16); /* 8 sqrt(4) */
    export_adapter(m, shared_path("adapters/ernie-patterns"), adapter_path, NULL);
    assert_true(alpha_in_file(adapter_path, 12, INK_TYPE_F16) == 8);
    assert_ok(ink_weights_open(&file, adapter_path, &error));
    assert_int_equal(ink_weights_find(&file, "blk.0.attn_q.weight.lora_b")->type, INK_TYPE_F16);
    assert_int_equal(ink_weights_find(&file, "blk.0.attn_output.weight.lora_b")->type,
                     INK_TYPE_F32); /* alpha 3 in place of 8 */
    ink_weights_close(&file);
    ink_model_close(m);
}

/* A file may be made of a file. */
static void from_a_file(void **state)
{
    struct ink_error error = {0};
    struct ink_mapping a, b;
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/llama-tiny"));
    export_adapter(m, shared_path("adapters/llama-all-r4"), adapter_path, NULL);
    export_adapter(m, adapter_path, "check_export_adapter.tmp.again.gguf", NULL);
    assert_ok(ink_map_file(&a, adapter_path, &error));
    assert_ok(ink_map_file(&b, again_path, &error));
    const size_t n_data = 30000; /* names differ */
    assert_true(a.size > n_data && b.size > n_data);
    assert_memory_equal(a.data + a.size - n_data, b.data + b.size - n_data, n_data);
    ink_unmap_file(&a);
    ink_unmap_file(&b);
    ink_model_close(m);
}

/* ------------------------------------------------------------------------------------- refusals */

static void refuses(const struct ink_model *m, const struct ink_adapter *a, const char *path,
                    const char *type, int code, const char *says)
{
    struct ink_error error = {0};
    const int status = ink_export_merged(m, a, path, type, NULL, NULL, &error);
    if (status != code || error.code != code || !strstr(error.message, says)) {
        fail_msg("status %d, \"%s\" (wanted %d, \"%s\")", status, error.message, code, says);
    }
}

static void refuses_alone(const struct ink_model *m, const char *adapter, const char *path,
                          const char *type, int code, const char *says)
{
    struct ink_error error = {0};
    const int status = ink_export_adapter(m, adapter, path, type, NULL, NULL, &error);
    if (status != code || error.code != code || !strstr(error.message, says)) {
        fail_msg("status %d, \"%s\" (wanted %d, \"%s\")", status, error.message, code, says);
    }
}

static void bad_merges(void **state)
{
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    struct ink_model *other = open_to_look(shared_path("fixtures/ernie-tiny"));
    struct ink_adapter *a = open_adapter(m, shared_path("adapters/ernie-all-r8"), 1e6f);
    refuses(other, a, gguf_path, NULL, INK_ERROR_ARGUMENT, "for another model");
    refuses(m, a, gguf_path, "f16", INK_ERROR_INPUT, "which F16 cannot hold");
    refuses(m, a, gguf_path, "q4_9", INK_ERROR_ARGUMENT, "unknown type");
    refuses(m, a, folder_path, "q8_0", INK_ERROR_ARGUMENT, "a folder cannot hold");
    ink_adapter_close(a);
    a = open_adapter(m, shared_path("adapters/ernie-all-r8"), 1e3f);
    a->memory[0] = 3e38f; /* of the first A: finite, as its products with B are not */
    refuses(m, a, folder_path, NULL, INK_ERROR_INPUT, "with the adapter, tensor \"model.layers.0");
    ink_adapter_close(a);
    export_adapter(m, shared_path("adapters/ernie-all-r8"), adapter_path, NULL);
    a = open_adapter(m, adapter_path, 1);
    refuses(m, a, adapter_path, NULL, INK_ERROR_ARGUMENT, "is the adapter that is being read");
    for (int i = 0; i < other->weights.n_tensors; i++) { /* as in a file of llama-quantize */
        other->weights.tensors[i].type = INK_TYPE_Q4_0;
    }
    struct ink_adapter *b = open_adapter(other, adapter_path, 1);
    refuses(other, b, gguf_path, NULL, INK_ERROR_ARGUMENT,
            "is Q4_0, which cannot be written again");
    ink_adapter_close(a);
    ink_adapter_close(b);
    ink_model_close(m);
    ink_model_close(other);
    assert_int_equal(ink_path_kind(gguf_path), INK_PATH_NONE);
    assert_int_equal(ink_path_kind(folder_path), INK_PATH_NONE);
}

static void bad_exports(void **state)
{
    const char *adapter = shared_path("adapters/ernie-all-r8");
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    refuses_alone(m, adapter, folder_path, NULL, INK_ERROR_ARGUMENT, "written as a GGUF file");
    refuses_alone(m, adapter, adapter_path, "q8_0", INK_ERROR_ARGUMENT, "cannot have type q8_0");
    refuses_alone(m, adapter, adapter_path, "q4_k", INK_ERROR_ARGUMENT, "unknown type \"q4_k\"");
    refuses_alone(m, adapter, "", NULL, INK_ERROR_ARGUMENT, "no name to write to");
    refuses_alone(m, adapter, "check_export_adapter.tmp.none/x.gguf", NULL, INK_ERROR_SYSTEM, "");
    refuses_alone(m, "/no/such", adapter_path, NULL, INK_ERROR_INPUT, "adapter_config.json");
    struct ink_model *other = open_to_look(shared_path("fixtures/odd-one-kv"));
    refuses_alone(other, adapter, adapter_path, NULL, INK_ERROR_INPUT, "rank and model say");
    ink_model_close(other);
    assert_int_equal(ink_path_kind(adapter_path), INK_PATH_NONE);
    export_adapter(m, adapter, adapter_path, NULL);
    refuses_alone(m, adapter_path, adapter_path, NULL, INK_ERROR_ARGUMENT,
                  "is the adapter that is being read");
    ink_model_close(m);
}

/* -------------------------------------------------------------------------------------- bad files
 */

/* adapter_path with the n bytes that begin `skip` after the first `key` replaced, opened. */
static void refuses_patched(struct ink_model *m, const char *key, size_t skip, const void *bytes,
                            size_t n, const char *says)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    struct ink_writer w;
    struct ink_adapter *a = NULL;
    size_t at = 0;
    assert_ok(ink_map_file(&file, adapter_path, &error));
    while (memcmp(file.data + at, key, strlen(key)) != 0) {
        at++;
        assert_true(at + strlen(key) + skip + n < file.size);
    }
    at += strlen(key) + skip;
    assert_ok(ink_writer_open(&w, again_path, &error));
    assert_ok(ink_writer_put(&w, file.data, at, &error));
    assert_ok(ink_writer_put(&w, bytes, n, &error));
    assert_ok(ink_writer_put(&w, file.data + at + n, (size_t)file.size - at - n, &error));
    assert_ok(ink_writer_commit(&w, &error));
    ink_writer_close(&w);
    ink_unmap_file(&file);
    const int status = ink_adapter_open(&a, m, again_path, 1, &error);
    if (status != INK_ERROR_INPUT || a || !strstr(error.message, again_path) ||
        !strstr(error.message, says)) {
        fail_msg("%s: status %d, \"%s\" (wanted \"%s\")", key, status, error.message, says);
    }
}

static void bad_files(void **state)
{
    static const char q_a[] = "blk.1.attn_q.weight.lora_a", v_b[] = "blk.2.attn_v.weight.lora_b";
    const float nan_value = NAN;
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    export_adapter(m, shared_path("adapters/ernie-qv-r4-rslora"), adapter_path, "f32");
    /* after the key: its type, the string's length */
    refuses_patched(m, "general.type", 12, "ADAPTER", 7, "\"general.type\" is \"ADAPTER\"");
    refuses_patched(m, "adapter.type", 12, "lorb", 4, "\"adapter.type\" is \"lorb\"");
    refuses_patched(m, "adapter.type", 12, "\xff\xfe\0\n", 4, "\"adapter.type\" is");
    refuses_patched(m, "general.architecture", 12, "ernie4_6", 8,
                    "\"general.architecture\" is \"ernie4_6\", not \"ernie4_5\"");
    refuses_patched(m, "general.typ", 0, "o", 1, "\"general.type\" is missing");
    refuses_patched(m, "adapter.lora.alpha", 4, &nan_value, 4, "\"adapter.lora.alpha\"");
    refuses_patched(m, "blk.1.attn_q.weight.lora_", 0, "c", 1, "lora_a\" is missing");
    refuses_patched(m, "blk.1.attn_q.weight.", 0, "LORA_A", 6, "lora_a\" is missing");
    /* after the name: the number of dimensions, the dimensions */
    refuses_patched(m, q_a, 4 + 8, "\xd0\7", 2, ""); /* rank 2000: more than there are data */
    refuses_patched(m, v_b, 4, "\2\0\0\0\0\0\0\0", 8, "rank and model say 64 x 4");
    refuses_patched(m, v_b, 4 + 8, "\40", 1, "is 32 x 4, rank and model say 64 x 4");
    refuses_patched(m, q_a, 4, "\100\0\0\0\0\0\0\0\6", 9, "is 6 x 64, rank and model say 6 x 96");
    ink_model_close(m);
    /* another model, and files of other kinds */
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    m = open_to_look(shared_path("fixtures/llama-tiny"));
    assert_int_equal(ink_adapter_open(&a, m, adapter_path, 1, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "is \"ernie4_5\", not \"llama\""));
    assert_ok(ink_export(m, gguf_path, NULL, NULL, NULL, &error));
    assert_int_equal(ink_adapter_open(&a, m, gguf_path, 1, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "\"general.type\" is \"model\", not \"adapter\""));
    char path[1100];
    snprintf(path, sizeof path, "%s/adapter_model.safetensors",
             shared_path("adapters/llama-all-r4"));
    assert_int_equal(ink_adapter_open(&a, m, path, 1, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "neither an adapter's folder nor a GGUF file"));
    /* and the file is no model */
    struct ink_model *none = NULL;
    assert_int_equal(ink_model_open(&none, adapter_path, NULL, &error), INK_ERROR_INPUT);
    ink_model_close(m);
}

static void put_byte(FILE *file, long at, int byte)
{
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fputc(byte, file), byte);
    assert_int_equal(fflush(file), 0);
}

/* Each byte before the data is another: an adapter, or an error that names the file. */
static void every_byte_of_the_head(void **state)
{
    static const int changes[] = {0x01, 0x20, 0x80, 0xFF};
    static unsigned char head[2000];
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    export_adapter(m, shared_path("adapters/ernie-qv-r4-rslora"), adapter_path, "bf16");
    FILE *file = fopen(adapter_path, "r+b");
    assert_non_null(file);
    const long n_head = (long)fread(head, 1, sizeof head, file), most = is_emulated() ? 200 : 1200;
    assert_true(n_head > most);
    for (long at = 0; at < most; at++) {
        for (size_t i = 0; i < INK_COUNT(changes); i++) {
            struct ink_error error = {0};
            struct ink_adapter *a = NULL;
            put_byte(file, at, head[at] ^ changes[i]);
            const int status = ink_adapter_open(&a, m, adapter_path, 1, &error);
            if (status != INK_OK &&
                (status != INK_ERROR_INPUT || a || !strstr(error.message, adapter_path))) {
                fail_msg("byte %ld: status %d, \"%s\"", at, status, error.message);
            }
            ink_adapter_close(a);
        }
        put_byte(file, at, head[at]);
    }
    fclose(file);
    ink_model_close(m);
}

/* ----------------------------------------------------------------------------- memory, stopping */

static int stop(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done > total / 2;
}

static void cancelled(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    const char *path = shared_path("adapters/ernie-all-r8");
    struct ink_adapter *a = open_adapter(m, path, 1);
    assert_int_equal(ink_export_merged(m, a, folder_path, NULL, stop, NULL, &error),
                     INK_ERROR_CANCELLED);
    assert_int_equal(ink_export_adapter(m, path, adapter_path, NULL, stop, NULL, &error),
                     INK_ERROR_CANCELLED);
    assert_int_equal(ink_path_kind(folder_path), INK_PATH_NONE);
    assert_int_equal(ink_path_kind(adapter_path), INK_PATH_NONE);
    ink_adapter_close(a);
    ink_model_close(m);
}

/* Open the adapter, merge it and write it, which fails at the n-th allocation. */
static int use_adapter(struct ink_model *m, const char *path, long n)
{
    struct ink_error error = {0};
    struct ink_adapter *a = NULL;
    ink_fail_allocation(n, false);
    int status = ink_adapter_open(&a, m, path, 1, &error);
    if (status == INK_OK) {
        status = ink_export_merged(m, a, gguf_path, NULL, NULL, NULL, &error);
    }
    if (status == INK_OK) {
        status = ink_export_adapter(m, path, again_path, NULL, NULL, NULL, &error);
    }
    ink_fail_allocation(0, false);
    ink_adapter_close(a);
    assert_int_equal(error.code, status);
    return status;
}

static void every_allocation(void **state)
{
    (void)state;
    struct ink_model *m = open_to_look(shared_path("fixtures/ernie-tiny"));
    export_adapter(m, shared_path("adapters/ernie-qv-r4-rslora"), adapter_path, NULL);
    const char *paths[] = {shared_path("adapters/ernie-qv-r4-rslora"), adapter_path};
    for (size_t i = 0; i < INK_COUNT(paths); i++) {
        long n = 1;
        int status = INK_ERROR_MEMORY;
        for (; status != INK_OK && n < 10000; n++) {
            discard(gguf_path);
            discard(again_path);
            status = use_adapter(m, paths[i], n);
            assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
        }
        assert_int_equal(status, INK_OK);
        assert_true(n > 50);
    }
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merged_is_the_same_as_at_run_time, clean, clean),
        cmocka_unit_test_setup_teardown(types, clean, clean),
        cmocka_unit_test_setup_teardown(into_int8, clean, clean),
        cmocka_unit_test_setup_teardown(alone, clean, clean),
        cmocka_unit_test_setup_teardown(alphas, clean, clean),
        cmocka_unit_test_setup_teardown(from_a_file, clean, clean),
        cmocka_unit_test_setup_teardown(bad_merges, clean, clean),
        cmocka_unit_test_setup_teardown(bad_exports, clean, clean),
        cmocka_unit_test_setup_teardown(bad_files, clean, clean),
        cmocka_unit_test_setup_teardown(every_byte_of_the_head, clean, clean),
        cmocka_unit_test_setup_teardown(cancelled, clean, clean),
        cmocka_unit_test_setup_teardown(every_allocation, clean, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
