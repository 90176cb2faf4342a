#include "cli.h"
#include "json.h"
#include "output.h"

#include <stddef.h>

enum { DEFAULT_CONTEXT = 4096, NAME_COLUMN = 24 };

/* Everything that is told about a model. */
struct facts {
    struct ink_model_info info;
    int bos, ctx;
    uint64_t kv_f16, kv_f32, kv_q8, writing; /* bytes that running with ctx takes */
    uint64_t total_f16, total_f32, total_q8;
};

enum kind {
    KIND_TEXT,  /* const char * */
    KIND_INT,   /* int */
    KIND_COUNT, /* uint64_t */
    KIND_BYTES, /* uint64_t */
    KIND_FLOAT, /* float */
    KIND_BOOL,  /* bool */
    KIND_PAIRS, /* bool: which elements RoPE turns together */
    KIND_ID,    /* int, below zero: none */
};

struct fact {
    const char *label, *key; /* for a person; in JSON. Label NULL: only in JSON */
    enum kind kind;
    size_t offset; /* in struct facts */
};

#define AT(field) offsetof(struct facts, field)
static const struct fact model_facts[] = {
    {"model", "path", KIND_TEXT, AT(info.path)},
    {"format", "format", KIND_TEXT, AT(info.format)},
    {"architecture", "architecture", KIND_TEXT, AT(info.architecture)},
    {"weights", "weight_type", KIND_TEXT, AT(info.weight_type)},
    {"parameters", "n_parameters", KIND_COUNT, AT(info.n_parameters)},
    {"layers", "n_layers", KIND_INT, AT(info.n_layers)},
    {"hidden size", "hidden_size", KIND_INT, AT(info.hidden_size)},
    {"MLP size", "intermediate_size", KIND_INT, AT(info.intermediate_size)},
    {"query heads", "n_heads", KIND_INT, AT(info.n_heads)},
    {"key/value heads", "n_kv_heads", KIND_INT, AT(info.n_kv_heads)},
    {"head size", "head_dim", KIND_INT, AT(info.head_dim)},
    {"vocabulary", "vocab_size", KIND_INT, AT(info.vocab_size)},
    {"longest context", "max_positions", KIND_INT, AT(info.max_positions)},
    {"RoPE base", "rope_theta", KIND_FLOAT, AT(info.rope_theta)},
    {"RoPE pairs", "rope_half", KIND_PAIRS, AT(info.rope_half)},
    {"norm epsilon", "norm_eps", KIND_FLOAT, AT(info.norm_eps)},
    {"head is the embedding", "tied_head", KIND_BOOL, AT(info.tied_head)},
    {"biases", "has_bias", KIND_BOOL, AT(info.has_bias)},
    {"tokenizer", "has_tokenizer", KIND_BOOL, AT(info.has_tokenizer)},
    {"chat template", "has_chat_template", KIND_BOOL, AT(info.has_chat_template)},
    {"text begins with id", "bos_token", KIND_ID, AT(bos)},
    {NULL, "warning", KIND_TEXT, AT(info.warning)}, /* a person has it on stderr */
    {"CPU level", "cpu_level", KIND_TEXT, AT(info.cpu_level)},
    {"threads", "threads", KIND_INT, AT(info.threads)},
};
static const struct fact memory_facts[] = {
    {"memory for a context of", "ctx", KIND_INT, AT(ctx)},
    {"  weights, mapped", "mapped_bytes", KIND_BYTES, AT(info.mapped_bytes)},
    {"  weights, loaded", "loaded_bytes", KIND_BYTES, AT(info.loaded_bytes)},
    {"  working memory", "scratch_bytes", KIND_BYTES, AT(info.scratch_bytes)},
    {"  KV cache, f16", "kv_f16_bytes", KIND_BYTES, AT(kv_f16)},
    {"  KV cache, f32", "kv_f32_bytes", KIND_BYTES, AT(kv_f32)},
    {"  KV cache, q8", "kv_q8_bytes", KIND_BYTES, AT(kv_q8)},
    {"  choosing tokens", "generator_bytes", KIND_BYTES, AT(writing)},
    {"  total with f16", "total_f16_bytes", KIND_BYTES, AT(total_f16)},
    {"  total with f32", "total_f32_bytes", KIND_BYTES, AT(total_f32)},
    {"  total with q8", "total_q8_bytes", KIND_BYTES, AT(total_q8)},
};

static struct facts collect(const struct ink_model *model, const struct ink_options *o)
{
    struct facts f = {.info = *ink_model_get_info(model), .bos = (int)ink_bos_token(model)};
    int most = f.info.max_positions;
    f.ctx = most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
    f.ctx = ink_options_has(o, INK_OPTION_CTX_INSPECT) ? o->ctx : f.ctx;
    f.kv_f16 = ink_session_bytes(model, f.ctx, INK_KV_F16);
    f.kv_f32 = ink_session_bytes(model, f.ctx, INK_KV_F32);
    f.kv_q8 = ink_session_bytes(model, f.ctx, INK_KV_Q8);
    const struct ink_generator_options options = {
        .n_positions = f.ctx, .kv_type = INK_KV_F16, .max_draft = INK_MAX_DRAFT};
    f.writing = ink_generator_bytes(model, &options) - f.kv_f16;
    uint64_t fixed = f.info.mapped_bytes + f.info.loaded_bytes + f.info.scratch_bytes + f.writing;
    f.total_f16 = fixed + f.kv_f16;
    f.total_f32 = fixed + f.kv_f32;
    f.total_q8 = fixed + f.kv_q8;
    return f;
}

/* --------------------------------------------------------------------------------------- text */

static void append_value(struct ink_string *out, enum kind kind, const void *value)
{
    switch (kind) {
    case KIND_TEXT:
        ink_string_puts(out, *(const char *const *)value);
        break;
    case KIND_INT:
        ink_string_printf(out, "%d", *(const int *)value);
        break;
    case KIND_COUNT:
        ink_string_printf(out, "%llu", (unsigned long long)*(const uint64_t *)value);
        break;
    case KIND_BYTES:
        ink_string_printf(out, "%.1f MiB", (double)*(const uint64_t *)value / 1048576);
        break;
    case KIND_FLOAT:
        ink_output_number(out, (double)*(const float *)value);
        break;
    case KIND_BOOL:
        ink_string_puts(out, ink_text(*(const bool *)value ? "yes" : "no"));
        break;
    case KIND_PAIRS:
        ink_string_puts(out, *(const bool *)value ? "i, i + d/2" : "2i, 2i + 1");
        break;
    case KIND_ID:
        if (*(const int *)value < 0) {
            ink_string_puts(out, ink_text("none"));
        } else {
            ink_string_printf(out, "%d", *(const int *)value);
        }
        break;
    }
}

static void list_facts(struct ink_string *out, const struct facts *facts, const struct fact *list,
                       size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].label) {
            ink_output_pad(out, ink_text(list[i].label), NAME_COLUMN);
            append_value(out, list[i].kind, (const char *)facts + list[i].offset);
            ink_string_puts(out, "\n");
        }
    }
}

static void append_shape(struct ink_string *out, const int64_t *shape, int n_dims,
                         const char *separator)
{
    for (int d = 0; d < n_dims; d++) {
        ink_string_printf(out, "%s%lld", d ? separator : "", (long long)shape[d]);
    }
}

static int tensor_text(void *context, const char *name, const char *type, const int64_t *shape,
                       int n_dims, uint64_t n_bytes)
{
    struct ink_string *out = context, dims = {0};
    append_shape(&dims, shape, n_dims, " x ");
    ink_output_pad(out, name, 52);
    ink_string_puts(out, " ");
    ink_output_pad(out, type, 6);
    ink_string_puts(out, " ");
    ink_output_pad(out, dims.data ? dims.data : "", 20);
    ink_string_printf(out, " %llu\n", (unsigned long long)n_bytes);
    ink_string_free(&dims);
    return out->failed;
}

/* --------------------------------------------------------------------------------------- JSON */

static void append_facts(struct ink_string *out, const struct facts *facts, const struct fact *list,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const char *key = list[i].key;
        const void *value = (const char *)facts + list[i].offset;
        switch (list[i].kind) {
        case KIND_TEXT:
            ink_output_json_string(out, key, *(const char *const *)value);
            break;
        case KIND_COUNT:
        case KIND_BYTES:
            ink_output_json_integer(out, key, *(const uint64_t *)value);
            break;
        case KIND_FLOAT:
            ink_output_json_number(out, key, (double)*(const float *)value);
            break;
        case KIND_BOOL:
        case KIND_PAIRS:
            ink_output_json_bool(out, key, *(const bool *)value);
            break;
        case KIND_INT:
        case KIND_ID:
            ink_output_key(out, key);
            ink_string_printf(out, "%d", *(const int *)value);
            break;
        }
    }
}

static int tensor_json(void *context, const char *name, const char *type, const int64_t *shape,
                       int n_dims, uint64_t n_bytes)
{
    struct ink_string *out = context;
    ink_string_puts(out, out->length > 0 && out->data[out->length - 1] == '[' ? "{" : ", {");
    ink_output_json_string(out, "name", name);
    ink_output_json_string(out, "type", type);
    ink_output_key(out, "shape");
    ink_string_puts(out, "[");
    append_shape(out, shape, n_dims, ", ");
    ink_string_puts(out, "]");
    ink_output_json_integer(out, "bytes", n_bytes);
    ink_string_puts(out, "}");
    return out->failed;
}

static void describe_text(struct ink_string *out, const struct ink_model *model,
                          const struct facts *facts, bool tensors)
{
    list_facts(out, facts, model_facts, INK_COUNT(model_facts));
    list_facts(out, facts, memory_facts, INK_COUNT(memory_facts));
    if (tensors) {
        ink_string_puts(out, "\n");
        ink_model_visit_tensors(model, tensor_text, out);
    }
}

static void describe_json(struct ink_string *out, const struct ink_model *model,
                          const struct facts *facts, bool tensors)
{
    ink_string_puts(out, "{");
    append_facts(out, facts, model_facts, INK_COUNT(model_facts));
    ink_output_key(out, "memory");
    ink_string_puts(out, "{");
    append_facts(out, facts, memory_facts, INK_COUNT(memory_facts));
    ink_string_puts(out, "}");
    if (tensors) {
        ink_output_key(out, "tensors");
        ink_string_puts(out, "[");
        ink_model_visit_tensors(model, tensor_json, out);
        ink_string_puts(out, "]");
    }
    ink_string_puts(out, "}\n");
}

int ink_command_inspect(const struct ink_options *o, struct ink_error *error)
{
    struct ink_model *model;
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, true, error);
    if (status != INK_OK) {
        return status;
    }
    struct facts facts = collect(model, o);
    struct ink_string out = {0};
    (o->json ? describe_json : describe_text)(&out, model, &facts, o->tensors);
    status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    ink_model_close(model);
    return status;
}
