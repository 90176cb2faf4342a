/* Export: folders to GGUF and back, in every type. Where a type loses nothing, logits are compared
 * bit for bit; the rows of rotary pairs, the tokenizer and the refusals have tests of their own. */
#include "support.h"

#include <locale.h>
#include <math.h>

#include "../src/export.h"
#include "../src/number.h"

static const char *const fixtures[] = {
    "fixtures/ernie-tiny",
    "fixtures/ernie-tiny-sharded",
    "fixtures/ernie-tiny-bin",
    "fixtures/llama-tiny",
    "fixtures/ernie-tiny-untied-bias",
    "fixtures/odd-llama",
    "fixtures/odd-f16",
    "fixtures/odd-one-kv",
    "data/stories260K/as-ernie45",
};

static const char gguf_path[] = "check_export.tmp.gguf";
static const char again_path[] = "check_export.tmp.again.gguf";
static const char folder_path[] = "check_export.tmp.folder";
static const char copy_path[] = "check_export.tmp.copy";

static int clean(void **state)
{
    (void)state;
    discard(gguf_path);
    discard(again_path);
    discard(folder_path);
    discard(copy_path);
    return 0;
}

static struct ink_model *open_plain(const char *path)
{
    return open_model_at(path, 1, NULL);
}

static void export_to(const struct ink_model *m, const char *path, const char *type)
{
    struct ink_error error = {0};
    discard(path);
    assert_ok(ink_export(m, path, type, NULL, NULL, &error));
}

enum { n_tokens = 12 };

static float *logits_of(struct ink_model *m)
{
    int32_t ids[n_tokens];
    const int n_vocab = ink_model_get_info(m)->vocab_size;
    for (int i = 0; i < n_tokens; i++) {
        ids[i] = (i * 37 + 11) % n_vocab;
    }
    struct ink_session *s = open_session(m, INK_KV_F32);
    float *logits = eval_all(m, s, ids, n_tokens, n_tokens);
    ink_session_close(s);
    return logits;
}

/* The exported model's logits against `expected`: how far off, relative to the largest. */
static double difference(const char *path, const float *expected)
{
    struct ink_model *m = open_plain(path);
    const size_t n = (size_t)n_tokens * (size_t)ink_model_get_info(m)->vocab_size;
    float *logits = logits_of(m);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        assert_true(isfinite(logits[i]));
        worst = fmax(worst, fabs((double)logits[i] - (double)expected[i]));
        largest = fmax(largest, fabs((double)expected[i]));
    }
    const bool same = memcmp(logits, expected, n * sizeof *logits) == 0;
    free(logits);
    ink_model_close(m);
    return same ? 0 : worst > 0 ? worst / largest : 1e-30;
}

static void assert_same_tensors(const char *a_path, const char *b_path)
{
    struct ink_error error = {0};
    struct ink_weights a, b;
    assert_ok(ink_weights_open(&a, a_path, &error));
    assert_ok(ink_weights_open(&b, b_path, &error));
    assert_int_equal(a.n_tensors, b.n_tensors);
    for (int i = 0; i < a.n_tensors; i++) {
        const struct ink_tensor *t = &a.tensors[i], *u = ink_weights_find(&b, t->name);
        assert_non_null(u);
        assert_int_equal(t->type, u->type);
        assert_true(t->n_bytes == u->n_bytes);
        assert_memory_equal(t->data, u->data, (size_t)t->n_bytes);
    }
    ink_weights_close(&a);
    ink_weights_close(&b);
}

static void check_types(const struct ink_model *m, const float *expected)
{
    static const struct {
        const char *name;
        double loss; /* of a type that is not the file's own, for these models */
    } types[] = {{"native", 0}, {"f32", 0}, {"bf16", 0.05}, {"f16", 0.01}, {"q8_0", 0.2}};
    const char *own = ink_model_get_info(m)->weight_type;
    /* the same weights, but the sums of query times key run in another order */
    const double reordered = ink_model_get_info(m)->rope_half ? 1e-5 : 0;
    for (size_t i = 0; i < INK_COUNT(types); i++) {
        const bool exact = types[i].loss == 0 || (types[i].name[0] == 'b' && own[0] == 'B') ||
                           (strcmp(types[i].name, "f16") == 0 && strcmp(own, "F16") == 0);
        export_to(m, gguf_path, types[i].name);
        assert_true(difference(gguf_path, expected) <= (exact ? reordered : types[i].loss));
        if (strcmp(types[i].name, "q8_0") != 0) {
            export_to(m, folder_path, types[i].name);
            assert_true(difference(folder_path, expected) <= (exact ? 0 : types[i].loss));
        }
    }
}

static void check_round_trip(const char *path)
{
    struct ink_model *m = open_plain(path);
    float *expected = logits_of(m);
    check_types(m, expected);
    export_to(m, gguf_path, NULL);
    struct ink_model *from_gguf = open_plain(gguf_path);
    assert_string_equal(ink_model_get_info(from_gguf)->architecture,
                        ink_model_get_info(m)->architecture);
    assert_false(ink_model_get_info(from_gguf)->rope_half);
    export_to(from_gguf, folder_path, NULL);
    assert_true(difference(folder_path, expected) == 0);
    struct ink_model *from_folder = open_plain(folder_path);
    assert_true(ink_model_get_info(from_folder)->rope_half == ink_model_get_info(m)->rope_half);
    export_to(from_folder, again_path, NULL);
    assert_same_tensors(gguf_path, again_path);
    /* to its own kind too */
    ink_model_close(from_folder);
    export_to(m, folder_path, NULL);
    assert_true(difference(folder_path, expected) == 0);
    export_to(from_gguf, again_path, NULL);
    assert_same_tensors(gguf_path, again_path);
    ink_model_close(from_gguf);
    ink_model_close(m);
    free(expected);
}

static void test_round_trips(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(fixtures); i++) {
        check_round_trip(shared_path(fixtures[i]));
    }
}

/* A quantised file keeps its blocks in GGUF, and becomes float32 in a folder, to the bit. */
static void test_from_quantised(void **state)
{
    (void)state;
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    export_to(m, gguf_path, "q8_0");
    ink_model_close(m);
    m = open_plain(gguf_path);
    assert_string_equal(ink_model_get_info(m)->weight_type, "Q8_0");
    export_to(m, again_path, NULL);
    assert_same_tensors(gguf_path, again_path);
    export_to(m, folder_path, NULL);
    export_to(m, again_path, "f32");
    ink_model_close(m);
    m = open_plain(folder_path); /* runs in float32, the file in int8: compare weights */
    export_to(m, gguf_path, NULL);
    assert_same_tensors(gguf_path, again_path);
    ink_model_close(m);
}

/* In GGUF row 2j of a head is row j of the Llama folder, and row 2j + 1 is row j + d/2. */
static void test_rotary_rows(void **state)
{
    struct ink_error error = {0};
    struct ink_weights a, b;
    (void)state;
    const char *path = shared_path("fixtures/llama-tiny");
    struct ink_model *m = open_plain(path);
    export_to(m, gguf_path, NULL);
    assert_ok(ink_weights_open(&a, path, &error));
    assert_ok(ink_weights_open(&b, gguf_path, &error));
    const struct ink_tensor *q = ink_weights_find(&a, "model.layers.1.self_attn.q_proj.weight");
    const struct ink_tensor *v = ink_weights_find(&a, "model.layers.1.self_attn.v_proj.weight");
    const struct ink_tensor *new_q = ink_weights_find(&b, "blk.1.attn_q.weight");
    const struct ink_tensor *new_v = ink_weights_find(&b, "blk.1.attn_v.weight");
    const int d = ink_model_get_info(m)->head_dim;
    const size_t row = (size_t)q->n_bytes / (size_t)q->shape[0];
    for (int r = 0; r < (int)q->shape[0]; r++) {
        const int source = r / d * d + r % d / 2 + r % 2 * (d / 2);
        assert_memory_equal((const char *)new_q->data + (size_t)r * row,
                            (const char *)q->data + (size_t)source * row, row);
    }
    assert_memory_equal(v->data, new_v->data, (size_t)v->n_bytes);
    ink_weights_close(&a);
    ink_weights_close(&b);
    ink_model_close(m);
}

/* ------------------------------------------------------------------------------------ tokenizer */

static void assert_same_ids(const struct ink_model *a, const struct ink_model *b)
{
    static const char *const texts[] = {
        "Once upon a time",
        "  two  spaces ",
        "ERNIE 是百度的语言模型，2024 年😀\n\n",
        "<s>a</s><mask:1>|<x>",
        "User: hi<|end_of_sentence|>\nAssistant: ",
        "<|LOC_3|><unk>\t123\n",
    };
    for (size_t i = 0; i < 2 * INK_COUNT(texts); i++) {
        struct ink_error error = {0};
        int32_t *x = NULL, *y = NULL;
        size_t n_x, n_y;
        const char *text = texts[i / 2];
        assert_ok(ink_tokenize(a, &x, &n_x, text, strlen(text), i % 2, &error));
        assert_ok(ink_tokenize(b, &y, &n_y, text, strlen(text), i % 2, &error));
        assert_int_equal(n_x, n_y);
        assert_memory_equal(x, y, n_x * sizeof *x);
        ink_free(x);
        ink_free(y);
    }
    assert_int_equal(ink_model_get_info(a)->has_chat_template,
                     ink_model_get_info(b)->has_chat_template);
    assert_int_equal(ink_bos_token(a), ink_bos_token(b));
    for (int32_t id = 0; id < ink_model_get_info(a)->vocab_size; id++) {
        assert_int_equal(ink_is_end_token(a, id), ink_is_end_token(b, id));
    }
}

static void check_tokenizer(const char *path)
{
    struct ink_model *m = open_plain(path), *copy;
    export_to(m, gguf_path, NULL);
    copy = open_plain(gguf_path);
    assert_same_ids(m, copy);
    export_to(copy, folder_path, NULL); /* its files are made from what GGUF says */
    ink_model_close(copy);
    copy = open_plain(folder_path);
    assert_same_ids(m, copy);
    ink_model_close(copy);
    export_to(m, folder_path, NULL); /* its files are copies */
    copy = open_plain(folder_path);
    assert_same_ids(m, copy);
    ink_model_close(copy);
    ink_model_close(m);
}

static void test_tokenizer_stories(void **state)
{
    (void)state;
    check_tokenizer(shared_path("data/stories260K/as-ernie45"));
}

static void test_tokenizer_ernie(void **state)
{
    (void)state;
    check_tokenizer(shared_path("fixtures/ernie-micro"));
}

/* A tokenizer from elsewhere travels along; weights alone make a file that opens. */
static void test_other_tokenizer(void **state)
{
    struct ink_error error = {0};
    struct ink_model *m, *copy;
    (void)state;
    struct ink_model_options options = {
        .threads = 1, .tokenizer_dir = shared_path("data/stories260K/as-ernie45")};
    assert_ok(ink_model_open(&m, shared_path("fixtures/llama-tiny"), &options, &error));
    export_to(m, gguf_path, NULL);
    copy = open_plain(gguf_path);
    assert_true(ink_model_get_info(copy)->has_tokenizer);
    assert_same_ids(m, copy);
    ink_model_close(copy);
    export_to(m, folder_path, NULL);
    copy = open_plain(folder_path);
    assert_same_ids(m, copy);
    ink_model_close(copy);
    ink_model_close(m);
    options = (struct ink_model_options){.threads = 1, .without_tokenizer = true};
    assert_ok(ink_model_open(&m, shared_path("fixtures/llama-tiny"), &options, &error));
    export_to(m, gguf_path, NULL);
    copy = open_plain(gguf_path);
    assert_false(ink_model_get_info(copy)->has_tokenizer);
    ink_model_close(copy);
    ink_model_close(m);
}

/* ----------------------------------------------------------------------------------- generation */

static void assert_same_generation(const struct ink_model *m, const char *path)
{
    struct ink_model *copy = open_plain(path);
    const struct ink_architecture *a = &m->architecture, *b = &copy->architecture;
    assert_int_equal(a->n_end_tokens, b->n_end_tokens);
    assert_memory_equal(a->end_tokens, b->end_tokens,
                        (size_t)a->n_end_tokens * sizeof *a->end_tokens);
    assert_true(a->sampling.temperature == b->sampling.temperature);
    assert_true(a->sampling.top_p == b->sampling.top_p);
    assert_int_equal(a->sampling.top_k, b->sampling.top_k);
    assert_true(a->sampling.repetition_penalty == b->sampling.repetition_penalty);
    assert_true(a->sampling.presence_penalty == b->sampling.presence_penalty);
    assert_true(a->sampling.frequency_penalty == b->sampling.frequency_penalty);
    ink_model_close(copy);
}

static void put_file(const char *folder, const char *name, const char *text)
{
    struct ink_error error = {0};
    assert_ok(ink_write_file(folder, name, text, strlen(text), &error));
}

/* Fields of config.json that mean nothing to inkstone go with the weights; those that are no longer
 * true of them do not. */
static void test_other_fields(void **state)
{
    (void)state;
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    export_to(m, folder_path, NULL);
    ink_model_close(m);
    char *path = ink_path_join(folder_path, "config.json");
    cJSON *config = read_json(path);
    ink_free(path);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "torch_dtype");
    cJSON_AddStringToObject(config, "dtype", "bfloat16");
    cJSON_AddStringToObject(config, "\xe7\xa0\x9a \"name\"", "\xe5\xa2\xa8\n");
    cJSON_AddNumberToObject(config, "initializer_range", 0.02);
    cJSON_AddNullToObject(config, "pretraining");
    cJSON_AddItemToObject(config, "id2label", cJSON_Parse("{\"0\": [true, {}]}"));
    cJSON_AddItemToObject(config, "rope_parameters", cJSON_Parse("{\"rope_theta\": 500000}"));
    cJSON_AddItemToObject(config, "auto_map", cJSON_Parse("{\"AutoModel\": \"code.Model\"}"));
    char *text = cJSON_Print(config);
    put_file(folder_path, "config.json", text);
    cJSON_free(text);
    m = open_plain(folder_path);
    export_to(m, copy_path, "f32");
    ink_model_close(m);
    path = ink_path_join(copy_path, "config.json");
    cJSON *copy = read_json(path);
    ink_free(path);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "dtype");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "auto_map");
    cJSON_DeleteItemFromObjectCaseSensitive(config, "rope_parameters");
    cJSON_AddStringToObject(config, "torch_dtype", "float32");
    assert_true(cJSON_Compare(copy, config, true));
    assert_int_equal(cJSON_GetArraySize(copy), cJSON_GetArraySize(config));
    cJSON_Delete(copy);
    cJSON_Delete(config);
}

/* All that generation_config.json says passes through GGUF and comes back as such a file. */
static void check_generation(const char *text, int n_end_tokens, float temperature)
{
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    export_to(m, folder_path, NULL);
    ink_model_close(m);
    char *path = ink_path_join(folder_path, "generation_config.json");
    put_file(folder_path, "generation_config.json", text);
    m = open_plain(folder_path);
    assert_int_equal(m->architecture.n_end_tokens, n_end_tokens);
    assert_true(m->architecture.sampling.temperature == temperature);
    export_to(m, gguf_path, NULL);
    assert_same_generation(m, gguf_path);
    ink_model_close(m);
    m = open_plain(gguf_path);
    export_to(m, folder_path, NULL);
    assert_int_equal(ink_path_kind(path), INK_PATH_FILE);
    assert_same_generation(m, folder_path);
    assert_int_equal(m->architecture.n_end_tokens, n_end_tokens);
    assert_true(m->architecture.sampling.temperature == temperature);
    ink_model_close(m);
    ink_free(path);
}

static void test_generation(void **state)
{
    (void)state;
    check_generation("{\"do_sample\": true, \"temperature\": 0.8, \"top_p\": 0.7, \"top_k\": 20, "
                     "\"repetition_penalty\": 1.05, \"presence_penalty\": -0.25, "
                     "\"frequency_penalty\": 1e-3, \"eos_token_id\": [2, 5, 7, 639, 3]}",
                     5, 0.8f);
    check_generation("{\"top_p\": 0.3, \"eos_token_id\": [2, 5]}", 2, 0);
    check_generation("{\"do_sample\": true}", 1, 1);
    /* greedy and nothing more: no file */
    char *path = ink_path_join(folder_path, "generation_config.json");
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    export_to(m, gguf_path, NULL);
    ink_model_close(m);
    m = open_plain(gguf_path);
    export_to(m, folder_path, NULL);
    assert_int_equal(ink_path_kind(path), INK_PATH_NONE);
    ink_model_close(m);
    ink_free(path);
}

/* A copy of the GGUF file with the bytes after the first `key` replaced is refused, naming it. */
static void check_bad_extra(const char *key, size_t skip_bytes, const void *value, size_t n)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    struct ink_writer w;
    struct ink_model *m = NULL;
    size_t at = 0;
    assert_ok(ink_map_file(&file, gguf_path, &error));
    while (memcmp(file.data + at, key, strlen(key)) != 0) {
        at++;
        assert_true(at + strlen(key) + skip_bytes + n < file.size);
    }
    at += strlen(key) + skip_bytes;
    assert_ok(ink_writer_open(&w, again_path, &error));
    assert_ok(ink_writer_put(&w, file.data, at, &error));
    assert_ok(ink_writer_put(&w, value, n, &error));
    assert_ok(ink_writer_put(&w, file.data + at + n, (size_t)file.size - at - n, &error));
    assert_ok(ink_writer_commit(&w, &error));
    ink_writer_close(&w);
    ink_unmap_file(&file);
    assert_int_equal(ink_model_open(&m, again_path, NULL, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, key));
}

static void test_bad_generation(void **state)
{
    (void)state;
    check_generation("{\"do_sample\": true, \"top_k\": 20, \"eos_token_id\": [2, 5, 7]}", 3, 1);
    const float values[] = {NAN, -1, 1e9f};
    const int32_t ids[] = {-1, 640, INT32_MAX};
    for (size_t i = 0; i < 3; i++) { /* after the type, or the types and the length */
        check_bad_extra("inkstone.sampling.temperature", 4, &values[i], 4);
        check_bad_extra("inkstone.sampling.top_p", 4, &values[i], 4);
        check_bad_extra("inkstone.sampling.repetition_penalty", 4, &values[i], 4);
        check_bad_extra("inkstone.end_tokens", 20, &ids[i], 4);
    }
    check_bad_extra("inkstone.sampling.top_k", 4, &ids[0], 4);
    check_bad_extra("inkstone.end_tokens", 4, (const int32_t[]){6}, 4); /* floats */
    const char scalar[] = "\10\0\0\0\20\0\0\0\0\0\0\0sixteen letters."; /* a text */
    check_bad_extra("inkstone.end_tokens", 0, scalar, sizeof scalar - 1);
}

static void assert_number(float value, const char *expected)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_float(text, value);
    assert_string_equal(text, expected);
}

static void assert_numbers(void)
{
    assert_number(1e-5f, "1e-05");
    assert_number(1, "1.0");
    assert_number(0, "0.0");
    assert_number(-0.25f, "-0.25");
    assert_number(0.8f, "0.8");
    assert_number(500000, "5e+05");
    assert_number(16777215, "16777215.0");
    assert_number(0.1f + 0.2f, "0.3");
    assert_number(1.0000001f, "1.0000001");
}

/* Numbers of config.json have a point where the locale has a comma. */
static void test_numbers(void **state)
{
    static const char *const locales[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "ru_RU.UTF-8", "German"};
    char comma[] = "0,25",
         arabic[] = "-1\xd9\xab"
                    "5e-07",
         point[] = "1.5", whole[] = "12";
    (void)state;
    assert_numbers();
    for (size_t i = 0; i < INK_COUNT(locales); i++) {
        if (setlocale(LC_NUMERIC, locales[i])) {
            assert_numbers();
        }
    }
    setlocale(LC_NUMERIC, "C");
    ink_number_use_point(comma);
    assert_string_equal(comma, "0.25");
    ink_number_use_point(arabic);
    assert_string_equal(arabic, "-1.5e-07");
    ink_number_use_point(point);
    assert_string_equal(point, "1.5");
    ink_number_use_point(whole);
    assert_string_equal(whole, "12");
}

/* ------------------------------------------------------------------------------------- refusals */

static void assert_refused(const struct ink_model *m, const char *path, const char *type, int code)
{
    struct ink_error error = {0};
    assert_int_equal(ink_export(m, path, type, NULL, NULL, &error), code);
    assert_int_equal(error.code, code);
    assert_non_null(strchr(error.message, ':'));
}

static void test_targets(void **state)
{
    (void)state;
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    export_to(m, folder_path, NULL);
    assert_refused(m, folder_path, NULL, INK_ERROR_SYSTEM); /* there already */
    assert_refused(m, "check_export.tmp.folder///", NULL, INK_ERROR_SYSTEM);
    assert_refused(m, m->path, NULL, INK_ERROR_ARGUMENT);
    assert_refused(m, gguf_path, "q4_9", INK_ERROR_ARGUMENT);
    assert_refused(m, "check_export.tmp.other", "q8_0", INK_ERROR_ARGUMENT);
    assert_refused(m, "", NULL, INK_ERROR_ARGUMENT);
    assert_refused(m, "check_export.tmp.none/x.gguf", NULL, INK_ERROR_SYSTEM);
    assert_refused(m, "check_export.tmp.none/x", NULL, INK_ERROR_SYSTEM);
    assert_int_equal(ink_path_kind(gguf_path), INK_PATH_NONE);
    assert_int_equal(ink_path_kind("check_export.tmp.other"), INK_PATH_NONE);
    struct ink_error error = {0};
    assert_ok(ink_export(m, gguf_path, "f32", NULL, NULL, &error));
    assert_ok(ink_export(m, gguf_path, "q8_0", NULL, NULL, &error)); /* replaced */
    ink_model_close(m);
    m = open_plain(gguf_path);
    assert_string_equal(ink_model_get_info(m)->weight_type, "Q8_0");
    assert_refused(m, gguf_path, "f32", INK_ERROR_ARGUMENT);
    ink_model_close(m);
}

struct counting {
    uint64_t done, total;
    int calls, stop_at;
};

static int count(void *context, uint64_t done, uint64_t total)
{
    struct counting *c = context;
    assert_true(done > c->done && done <= total);
    c->done = done;
    c->total = total;
    return ++c->calls == c->stop_at;
}

static void test_progress_and_cancel(void **state)
{
    static const char *const paths[] = {gguf_path, folder_path};
    (void)state;
    struct ink_model *m = open_plain(shared_path("fixtures/ernie-tiny"));
    for (size_t i = 0; i < INK_COUNT(paths); i++) {
        struct ink_error error = {0};
        struct counting c = {.stop_at = 7};
        assert_int_equal(ink_export(m, paths[i], "f32", count, &c, &error), INK_ERROR_CANCELLED);
        assert_int_equal(c.calls, 7);
        assert_int_equal(ink_path_kind(paths[i]), INK_PATH_NONE);
        c = (struct counting){0};
        assert_ok(ink_export(m, paths[i], "f32", count, &c, &error));
        assert_true(c.done == c.total && c.total == 4 * ink_model_get_info(m)->n_parameters);
    }
    ink_model_close(m);
}

/* Every allocation fails once: an error, and no target. */
static void test_memory(void **state)
{
    static const char *const paths[] = {gguf_path, folder_path};
    (void)state;
    struct ink_model *m = open_plain(shared_path("data/stories260K/as-ernie45"));
    for (size_t i = 0; i < INK_COUNT(paths); i++) {
        int status = INK_ERROR_MEMORY, n = 1;
        for (; status != INK_OK && n < 10000; n++) {
            struct ink_error error = {0};
            ink_fail_allocation(n, false);
            status = ink_export(m, paths[i], NULL, NULL, NULL, &error);
            ink_fail_allocation(0, false);
            assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
            /* what is there is whole: the last allocation of all comes after the renaming */
            if (ink_path_kind(paths[i]) != INK_PATH_NONE) {
                ink_model_close(open_plain(paths[i]));
                discard(paths[i]);
            } else {
                assert_int_not_equal(status, INK_OK);
            }
        }
        assert_true(n > 5);
        assert_int_equal(status, INK_OK);
    }
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trips, clean, clean),
        cmocka_unit_test_setup_teardown(test_from_quantised, clean, clean),
        cmocka_unit_test_setup_teardown(test_rotary_rows, clean, clean),
        cmocka_unit_test_setup_teardown(test_tokenizer_stories, clean, clean),
        cmocka_unit_test_setup_teardown(test_tokenizer_ernie, clean, clean),
        cmocka_unit_test_setup_teardown(test_other_tokenizer, clean, clean),
        cmocka_unit_test_setup_teardown(test_other_fields, clean, clean),
        cmocka_unit_test_setup_teardown(test_generation, clean, clean),
        cmocka_unit_test_setup_teardown(test_bad_generation, clean, clean),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test_setup_teardown(test_targets, clean, clean),
        cmocka_unit_test_setup_teardown(test_progress_and_cancel, clean, clean),
        cmocka_unit_test_setup_teardown(test_memory, clean, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
