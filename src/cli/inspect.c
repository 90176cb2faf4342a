#include "cli.h"
#include "json.h"
#include "output.h"

#include <stdio.h>

enum { DEFAULT_CONTEXT = 4096, NAME_COLUMN = 24 };

/* Bytes that running the model with a context takes. */
struct memory {
    int ctx;
    uint64_t kv_f16, kv_f32, total_f16, total_f32;
};

static struct memory plan_memory(const struct ink_model *model, const struct ink_options *o)
{
    const struct ink_model_info *info = ink_model_get_info(model);
    int most = info->max_positions;
    int fallback = most < DEFAULT_CONTEXT ? most : DEFAULT_CONTEXT;
    struct memory m = {.ctx = ink_options_has(o, INK_OPTION_CTX_INSPECT) ? o->ctx : fallback};
    m.kv_f16 = ink_session_bytes(model, m.ctx, INK_KV_F16);
    m.kv_f32 = ink_session_bytes(model, m.ctx, INK_KV_F32);
    uint64_t fixed = info->mapped_bytes + info->loaded_bytes + info->scratch_bytes;
    m.total_f16 = fixed + m.kv_f16;
    m.total_f32 = fixed + m.kv_f32;
    return m;
}

/* --------------------------------------------------------------------------------------- text */

static void put_line(struct ink_string *out, const char *name, const char *value)
{
    ink_output_pad(out, ink_text(name), NAME_COLUMN);
    ink_string_printf(out, "%s\n", value);
}

static void put_count(struct ink_string *out, const char *name, uint64_t value)
{
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put_line(out, name, text);
}

static void put_number(struct ink_string *out, const char *name, double value)
{
    ink_output_pad(out, ink_text(name), NAME_COLUMN);
    ink_output_number(out, value);
    ink_string_puts(out, "\n");
}

static void put_yes(struct ink_string *out, const char *name, bool yes)
{
    put_line(out, name, ink_text(yes ? "yes" : "no"));
}

static void put_bytes(struct ink_string *out, const char *name, uint64_t n)
{
    char text[64];
    snprintf(text, sizeof text, "%.1f MiB", (double)n / 1048576);
    put_line(out, name, text);
}

static void describe_text(struct ink_string *out, const struct ink_model *model,
                          const struct memory *m)
{
    const struct ink_model_info *i = ink_model_get_info(model);
    put_line(out, "model", i->path);
    put_line(out, "format", i->format);
    put_line(out, "architecture", i->architecture);
    put_line(out, "weights", i->weight_type);
    put_count(out, "parameters", i->n_parameters);
    put_count(out, "layers", (uint64_t)i->n_layers);
    put_count(out, "hidden size", (uint64_t)i->hidden_size);
    put_count(out, "MLP size", (uint64_t)i->intermediate_size);
    put_count(out, "query heads", (uint64_t)i->n_heads);
    put_count(out, "key/value heads", (uint64_t)i->n_kv_heads);
    put_count(out, "head size", (uint64_t)i->head_dim);
    put_count(out, "vocabulary", (uint64_t)i->vocab_size);
    put_count(out, "longest context", (uint64_t)i->max_positions);
    put_number(out, "RoPE base", (double)i->rope_theta);
    put_line(out, "RoPE pairs", i->rope_half ? "i, i + d/2" : "2i, 2i + 1");
    put_number(out, "norm epsilon", (double)i->norm_eps);
    put_yes(out, "head is the embedding", i->tied_head);
    put_yes(out, "biases", i->has_bias);
    put_yes(out, "tokenizer", i->has_tokenizer);
    put_yes(out, "chat template", i->has_chat_template);
    if (ink_bos_token(model) >= 0) {
        put_count(out, "text begins with id", (uint64_t)ink_bos_token(model));
    } else {
        put_line(out, "text begins with id", ink_text("none"));
    }
    put_line(out, "CPU level", i->cpu_level);
    put_count(out, "threads", (uint64_t)i->threads);
    put_count(out, "memory for a context of", (uint64_t)m->ctx);
    put_bytes(out, "  weights, mapped", i->mapped_bytes);
    put_bytes(out, "  weights, loaded", i->loaded_bytes);
    put_bytes(out, "  working memory", i->scratch_bytes);
    put_bytes(out, "  KV cache, f16", m->kv_f16);
    put_bytes(out, "  KV cache, f32", m->kv_f32);
    put_bytes(out, "  total with f16", m->total_f16);
    put_bytes(out, "  total with f32", m->total_f32);
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

static void append_model(struct ink_string *out, const struct ink_model_info *i)
{
    ink_output_json_string(out, "path", i->path);
    ink_output_json_string(out, "format", i->format);
    ink_output_json_string(out, "architecture", i->architecture);
    ink_output_json_string(out, "weight_type", i->weight_type);
    ink_output_json_integer(out, "n_parameters", i->n_parameters);
    ink_output_json_integer(out, "n_layers", (uint64_t)i->n_layers);
    ink_output_json_integer(out, "hidden_size", (uint64_t)i->hidden_size);
    ink_output_json_integer(out, "intermediate_size", (uint64_t)i->intermediate_size);
    ink_output_json_integer(out, "n_heads", (uint64_t)i->n_heads);
    ink_output_json_integer(out, "n_kv_heads", (uint64_t)i->n_kv_heads);
    ink_output_json_integer(out, "head_dim", (uint64_t)i->head_dim);
    ink_output_json_integer(out, "vocab_size", (uint64_t)i->vocab_size);
    ink_output_json_integer(out, "max_positions", (uint64_t)i->max_positions);
    ink_output_json_number(out, "rope_theta", (double)i->rope_theta);
    ink_output_json_bool(out, "rope_half", i->rope_half);
    ink_output_json_number(out, "norm_eps", (double)i->norm_eps);
    ink_output_json_bool(out, "tied_head", i->tied_head);
    ink_output_json_bool(out, "has_bias", i->has_bias);
    ink_output_json_bool(out, "has_tokenizer", i->has_tokenizer);
    ink_output_json_bool(out, "has_chat_template", i->has_chat_template);
    ink_output_json_string(out, "warning", i->warning);
    ink_output_json_string(out, "cpu_level", i->cpu_level);
    ink_output_json_integer(out, "threads", (uint64_t)i->threads);
}

static void append_memory(struct ink_string *out, const struct ink_model_info *i,
                          const struct memory *m)
{
    ink_output_key(out, "memory");
    ink_string_puts(out, "{");
    ink_output_json_integer(out, "ctx", (uint64_t)m->ctx);
    ink_output_json_integer(out, "mapped_bytes", i->mapped_bytes);
    ink_output_json_integer(out, "loaded_bytes", i->loaded_bytes);
    ink_output_json_integer(out, "scratch_bytes", i->scratch_bytes);
    ink_output_json_integer(out, "kv_f16_bytes", m->kv_f16);
    ink_output_json_integer(out, "kv_f32_bytes", m->kv_f32);
    ink_output_json_integer(out, "total_f16_bytes", m->total_f16);
    ink_output_json_integer(out, "total_f32_bytes", m->total_f32);
    ink_string_puts(out, "}");
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

static void describe_json(struct ink_string *out, const struct ink_model *model,
                          const struct memory *m, bool tensors)
{
    ink_string_puts(out, "{");
    append_model(out, ink_model_get_info(model));
    ink_output_key(out, "bos_token");
    ink_string_printf(out, "%d", (int)ink_bos_token(model));
    append_memory(out, ink_model_get_info(model), m);
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
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, error);
    if (status != INK_OK) {
        return status;
    }
    struct memory memory = plan_memory(model, o);
    struct ink_string out = {0};
    if (o->json) {
        describe_json(&out, model, &memory, o->tensors);
    } else {
        describe_text(&out, model, &memory);
        if (o->tensors) {
            ink_string_puts(&out, "\n");
            ink_model_visit_tensors(model, tensor_text, &out);
        }
    }
    status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    ink_model_close(model);
    return status;
}
