/* Whole models whose parts do not fit together: tensor sets (list A1), GGUF metadata (list A2). */
#include "bad_weights.h"

#include <math.h>

/* A model of V 8, H 4, I 6, one layer, 2 heads of 2 on 1. */
static const char config[] =
    "{\"architectures\": [\"Ernie4_5ForCausalLM\"], \"vocab_size\": 8, \"hidden_size\": 4,"
    " \"intermediate_size\": 6, \"num_hidden_layers\": 1, \"num_attention_heads\": 2,"
    " \"num_key_value_heads\": 1, \"head_dim\": 2, \"eos_token_id\": 2, \"tie_word_embeddings\": "
    "%s}";

static const struct part {
    const char *hf_name, *gguf_name;
    int rows, cols; /* rows 0: a vector */
} parts[] = {
    {"model.embed_tokens.weight", "token_embd.weight", 8, 4},
    {"model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", 0, 4},
    {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", 4, 4},
    {"model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight", 2, 4},
    {"model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight", 2, 4},
    {"model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight", 4, 4},
    {"model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", 0, 4},
    {"model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", 6, 4},
    {"model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", 6, 4},
    {"model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", 4, 6},
    {"model.norm.weight", "output_norm.weight", 0, 4},
};

static char folder[512];

static int make_scratch(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/inkstone-model-%.0f", tmp ? tmp : "/tmp",
             ink_system_seconds() * 1e6);
    return ink_make_folder(folder, NULL);
}

static int remove_scratch(void **state)
{
    (void)state;
    ink_remove_folder(folder);
    return 0;
}

static const char *in_folder(const char *name)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put_text(const char *name, const char *text)
{
    struct ink_string s = {0};
    ink_string_puts(&s, text);
    write_file(in_folder(name), &s);
    ink_string_free(&s);
}

static void put_floats(struct ink_string *s, int n, float value)
{
    for (int i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        put_u32(s, bits);
    }
}

static int values_of(const struct part *p)
{
    return (p->rows ? p->rows : 1) * p->cols;
}

/* How one test spoils the set of tensors. */
struct damage {
    const char *without;   /* leave this one out */
    const char *transpose; /* swap rows and columns of this one */
    const char *extra;     /* add one of this name, [4, 4] */
    const char *poison;    /* this one is full of... */
    float value;           /* ...this */
    bool untied;
};

static bool is(const char *a, const char *b)
{
    return a && strcmp(a, b) == 0;
}

static void write_folder(const struct damage *d)
{
    struct ink_string header = {0}, data = {0}, file = {0};
    char text[1024];
    snprintf(text, sizeof text, config, d->untied ? "false" : "true");
    put_text("config.json", text);
    const struct part extra = {d->extra, NULL, 4, 4};
    ink_string_puts(&header, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i <= INK_COUNT(parts); i++) {
        const struct part *p = i < INK_COUNT(parts) ? &parts[i] : &extra;
        if (!p->hf_name || is(d->without, p->hf_name)) {
            continue;
        }
        bool swap = is(d->transpose, p->hf_name);
        char shape[48];
        snprintf(shape, sizeof shape, p->rows ? "%d,%d" : "%d",
                 swap || !p->rows ? p->cols : p->rows, swap ? p->rows : p->cols);
        size_t begin = data.length;
        put_floats(&data, values_of(p), is(d->poison, p->hf_name) ? d->value : 0.5f);
        ink_string_printf(&header,
                          ",\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%d,%d]}",
                          p->hf_name, shape, (int)begin, (int)data.length);
    }
    ink_string_puts(&header, "}");
    put_u64(&file, header.length);
    ink_string_append(&file, header.data, header.length);
    ink_string_append(&file, data.data, data.length);
    write_file(in_folder("model.safetensors"), &file);
    ink_string_free(&header);
    ink_string_free(&data);
    ink_string_free(&file);
}

/* Open `path`; with `says`, it must fail like that. */
static void open_it(const char *path, bool check, const char *what, const char *says)
{
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    struct ink_model_options options = {.threads = 1, .check_weights = check};
    uint64_t memory = ink_system_peak_memory();
    double start = cpu_seconds();
    int status = ink_model_open(&m, path, &options, &error);
    if (!says && status != INK_OK) {
        fail_msg("%s: %s", what, error.message);
    }
    if (says && (status != INK_ERROR_INPUT || m || !strstr(error.message, says))) {
        fail_msg("%s: status %d, \"%s\" (wanted: \"%s\")", what, status, error.message, says);
    }
    assert_true(cpu_seconds() - start < time_limit());
    assert_true(IS_SANITIZED || ink_system_peak_memory() - memory < 64u << 20);
    ink_model_close(m);
}

static void folder_gives(struct damage d, bool check, const char *what, const char *says)
{
    write_folder(&d);
    open_it(folder, check, what, says);
}

static void tensor_sets(void **state)
{
    (void)state;
    folder_gives((struct damage){0}, false, "the good one", NULL);
    folder_gives((struct damage){0}, true, "the good one, checked", NULL);
    for (size_t i = 0; i < INK_COUNT(parts); i++) {
        folder_gives((struct damage){.without = parts[i].hf_name}, false, "one missing",
                     parts[i].hf_name);
        if (parts[i].rows && parts[i].rows != parts[i].cols) {
            folder_gives((struct damage){.transpose = parts[i].hf_name}, false, "one transposed",
                         parts[i].hf_name);
        }
    }
    folder_gives((struct damage){.untied = true}, false, "untied without head", "lm_head.weight");
    folder_gives((struct damage){.extra = "model.layers.1.mlp.up_proj.weight"}, false, "one more",
                 "model.layers.1.mlp.up_proj.weight");
    folder_gives((struct damage){.extra = "lm_head.weight"}, false, "a head though tied", NULL);
    folder_gives((struct damage){.extra = "model.layers.0.self_attn.rotary_emb.inv_freq"}, false,
                 "an old buffer", NULL);
    open_it(in_folder("model.safetensors"), false, "weights alone", "config.json");
}

static void values_that_are_not_finite(void **state)
{
    (void)state;
    static const char name[] = "model.layers.0.mlp.down_proj.weight";
    static const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < INK_COUNT(values); i++) {
        struct damage d = {.poison = name, .value = values[i]};
        folder_gives(d, false, "not looked at", NULL);
        folder_gives(d, true, "looked at", name);
        folder_gives(d, true, "counted", "24 values");
    }
}

/* For commands that only look, a model opens without loading anything. */
static void without_weights(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_model *m = NULL;
    struct ink_session *s = NULL;
    struct ink_model_options options = {.threads = 1, .without_weights = true};
    write_folder(&(struct damage){0});
    assert_ok(ink_model_open(&m, folder, &options, &error));
    assert_ok(ink_session_open(&s, m, 4, INK_KV_F32, &error));
    assert_true(ink_model_get_info(m)->mapped_bytes > 0);
    int32_t id = 1;
    struct ink_step step = {s, &id, 1, 0, NULL, NULL, 0};
    assert_int_equal(ink_eval(m, &step, 1, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    ink_session_close(s);
    ink_model_close(m);
}

/* ---------------------------------------------------------------------------------------- GGUF */

enum { U32 = 4, F32 = 6, STRING = 8, ARRAY = 9 };

static void put_gguf_string(struct ink_string *s, const char *text)
{
    put_u64(s, strlen(text));
    ink_string_puts(s, text);
}

/* A metadata pair as it should be. */
static const struct pair {
    const char *key;
    int type;
    uint32_t number;
    float real;
    const char *text;
} pairs[] = {
    {"general.architecture", STRING, 0, 0, "ernie4_5"},
    {"ernie4_5.context_length", U32, 64, 0, NULL},
    {"ernie4_5.embedding_length", U32, 4, 0, NULL},
    {"ernie4_5.block_count", U32, 1, 0, NULL},
    {"ernie4_5.feed_forward_length", U32, 6, 0, NULL},
    {"ernie4_5.attention.head_count", U32, 2, 0, NULL},
    {"ernie4_5.attention.head_count_kv", U32, 1, 0, NULL},
    {"ernie4_5.attention.key_length", U32, 2, 0, NULL},
    {"ernie4_5.attention.layer_norm_rms_epsilon", F32, 0, 1e-5f, NULL},
    {"ernie4_5.rope.freq_base", F32, 0, 10000, NULL},
};

static void put_pair(struct ink_string *s, const struct pair *p)
{
    put_gguf_string(s, p->key);
    put_u32(s, (uint32_t)p->type);
    if (p->type == STRING) {
        put_gguf_string(s, p->text);
    } else if (p->type == F32) {
        put_floats(s, 1, p->real);
    } else {
        put_u32(s, p->number);
    }
}

static void put_gguf_tensors(struct ink_string *s)
{
    uint64_t offset = 0;
    for (size_t i = 0; i < INK_COUNT(parts); i++) {
        put_gguf_string(s, parts[i].gguf_name);
        put_u32(s, parts[i].rows ? 2 : 1);
        put_u64(s, (uint64_t)parts[i].cols);
        if (parts[i].rows) {
            put_u64(s, (uint64_t)parts[i].rows);
        }
        put_u32(s, 0); /* F32 */
        put_u64(s, offset);
        offset += ((uint64_t)values_of(&parts[i]) * 4 + 31) / 32 * 32;
    }
    put_bytes(s, 0, (32 - s->length % 32) % 32);
    for (size_t i = 0; i < INK_COUNT(parts); i++) {
        put_floats(s, values_of(&parts[i]), 0.5f);
        put_bytes(s, 0, (32 - s->length % 32) % 32);
    }
}

/* A GGUF with `replacement` in place of the pair of its key (type 0: without it), or beside them.
 */
static void gguf_gives(const struct pair *replacement, const char *what, const char *says)
{
    struct ink_string body = {0}, s = {0};
    uint64_t n = 0;
    bool used = false;
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        bool mine = replacement && strcmp(replacement->key, pairs[i].key) == 0;
        used |= mine;
        if (!mine || replacement->type) {
            put_pair(&body, mine ? replacement : &pairs[i]);
            n++;
        }
    }
    if (replacement && !used) {
        put_pair(&body, replacement);
        n++;
    }
    ink_string_puts(&s, "GGUF");
    put_u32(&s, 3);
    put_u64(&s, INK_COUNT(parts));
    put_u64(&s, n);
    ink_string_append(&s, body.data, body.length);
    put_gguf_tensors(&s);
    write_file(in_folder("m.gguf"), &s);
    open_it(in_folder("m.gguf"), true, what, says);
    ink_string_free(&body);
    ink_string_free(&s);
}

static void gguf_metadata(void **state)
{
    (void)state;
    gguf_gives(NULL, "the good one", NULL);
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        const char *key = pairs[i].key;
        bool optional =
            strstr(key, "head_count_kv") || strstr(key, "key_length") || strstr(key, "freq_base");
        gguf_gives(&(struct pair){key, 0, 0, 0, NULL}, key,
                   optional && !strstr(key, "_kv") ? NULL : "m.gguf");
        gguf_gives(&(struct pair){key, ARRAY + 3, 0, 0, NULL}, "a pair cut short", "m.gguf");
        if (pairs[i].type == U32) {
            gguf_gives(&(struct pair){key, STRING, 0, 0, "1"}, key, key);
            gguf_gives(&(struct pair){key, F32, 0, 1.5f, NULL}, key, key);
            gguf_gives(&(struct pair){key, U32, 0, 0, NULL}, key, key);
            gguf_gives(&(struct pair){key, U32, 0x7FFFFFFF, 0, NULL}, key, key);
        } else if (pairs[i].type == F32) {
            gguf_gives(&(struct pair){key, F32, 0, 0, NULL}, key, key);
            gguf_gives(&(struct pair){key, F32, 0, NAN, NULL}, key, key);
            gguf_gives(&(struct pair){key, F32, 0, INFINITY, NULL}, key, key);
            gguf_gives(&(struct pair){key, STRING, 0, 0, "x"}, key, key);
        }
    }
    gguf_gives(&(struct pair){"ernie4_5.attention.head_count_kv", U32, 3, 0, NULL}, "3 for 2", "3");
    gguf_gives(&(struct pair){"ernie4_5.attention.head_count", U32, 4, 0, NULL}, "too wide",
               "attn_q");
    gguf_gives(&(struct pair){"ernie4_5.attention.key_length", U32, 3, 0, NULL}, "odd", "3");
    gguf_gives(&(struct pair){"ernie4_5.block_count", U32, 2, 0, NULL}, "a layer more", "blk.1");
    gguf_gives(&(struct pair){"ernie4_5.rope.scaling.type", STRING, 0, 0, "yarn"}, "scaled",
               "rope");
    gguf_gives(&(struct pair){"general.architecture", STRING, 0, 0, "qwen3"}, "another", "qwen3");
    gguf_gives(&(struct pair){"tokenizer.ggml.eos_token_id", U32, 8, 0, NULL}, "eos = V", "eos");
    gguf_gives(&(struct pair){"tokenizer.ggml.bos_token_id", U32, 0xFFFFFFFF, 0, NULL}, "bos",
               "bos");
    gguf_gives(&(struct pair){"tokenizer.ggml.model", STRING, 0, 0, "gpt2"}, "not ours",
               "tokenizer.ggml.model");
    gguf_gives(&(struct pair){"tokenizer.ggml.model", STRING, 0, 0, "llama"}, "no tokens",
               "tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensor_sets),
        cmocka_unit_test(values_that_are_not_finite),
        cmocka_unit_test(without_weights),
        cmocka_unit_test(gguf_metadata),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
