#include "export.h"

#include "json.h"
#include "system.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int ink_export_put_file(const char *folder, const char *name, const void *bytes, size_t n,
                        struct ink_error *error)
{
    struct ink_writer w = {0};
    char *path = ink_path_join(folder, name);
    int status = path ? ink_writer_open(&w, path, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status = ink_writer_put(&w, bytes, n, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&w, error);
    }
    ink_writer_close(&w);
    ink_free(path);
    return status;
}

int ink_export_copy_file(const struct ink_export *e, const char *folder, const char *name,
                         bool *copied, struct ink_error *error)
{
    struct ink_mapping file = {0};
    char *path = ink_path_join(e->model->path, name);
    int status = path ? INK_OK : ink_fail_memory(error, strlen(e->model->path));
    const bool exists = path && ink_path_kind(path) == INK_PATH_FILE;
    if (exists) {
        status = ink_map_file(&file, path, error);
        if (status == INK_OK) {
            status = ink_export_put_file(folder, name, file.data, (size_t)file.size, error);
        }
        ink_unmap_file(&file);
    }
    if (copied) {
        *copied = exists;
    }
    ink_free(path);
    return status;
}

/* ---------------------------------------------------------------------------------- config.json */

void ink_export_use_point(char *number)
{
    static const char digits[] = "+-0123456789e";
    char *point = number + strspn(number, digits);
    const char *rest = point + strcspn(point, digits);
    if (rest > point) {
        *point++ = '.';
        memmove(point, rest, strlen(rest) + 1);
    }
}

/* strtof would want the locale's point. At most nine digits and a modest exponent: exact enough to
 * tell floats apart. */
static float read_back(const char *text)
{
    const bool negative = *text == '-';
    double value = 0, power = 1;
    int exponent = 0;
    bool after_point = false;
    for (text += negative; *text && *text != 'e'; text++) {
        if (*text == '.') {
            after_point = true;
        } else {
            value = value * 10 + (*text - '0');
            exponent -= after_point;
        }
    }
    exponent += *text == 'e' ? atoi(text + 1) : 0;
    for (int i = 0; i < abs(exponent); i++) {
        power *= 10;
    }
    value = exponent < 0 ? value / power : value * power;
    return (float)(negative ? -value : value);
}

/* 1e-05, not 9.99999975e-06. */
void ink_export_format_float(char out[INK_EXPORT_NUMBER], float value)
{
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(out, INK_EXPORT_NUMBER, "%.*g", digits, (double)value);
        ink_export_use_point(out);
        if (read_back(out) == value) {
            break;
        }
    }
    if (!strpbrk(out, ".e")) { /* "1.0": configuration classes want a float */
        strcat(out, ".0");
    }
}

static void put_float(struct ink_string *s, const char *key, float value)
{
    char text[INK_EXPORT_NUMBER];
    ink_export_format_float(text, value);
    ink_string_printf(s, "  \"%s\": %s,\n", key, text);
}

static void put_int(struct ink_string *s, const char *key, int value)
{
    ink_string_printf(s, "  \"%s\": %d,\n", key, value);
}

static void put_bool(struct ink_string *s, const char *key, bool value)
{
    ink_string_printf(s, "  \"%s\": %s,\n", key, value ? "true" : "false");
}

static void put_token(struct ink_string *s, const char *key, int id)
{
    if (id >= 0) {
        put_int(s, key, id);
    } else { /* said, or the configuration classes' own default would count */
        ink_string_printf(s, "  \"%s\": null,\n", key);
    }
}

static void put_end_tokens(struct ink_string *s, const struct ink_architecture *a)
{
    if (a->n_end_tokens < 2) {
        put_token(s, "eos_token_id", a->n_end_tokens == 1 ? a->end_tokens[0] : -1);
        return;
    }
    ink_string_puts(s, "  \"eos_token_id\": [");
    for (int i = 0; i < a->n_end_tokens; i++) {
        ink_string_printf(s, "%s%d", i ? ", " : "", (int)a->end_tokens[i]);
    }
    ink_string_puts(s, "],\n");
}

static const char *torch_name(const struct ink_export *e)
{
    enum ink_type type = e->items[0].type;
    for (int i = 1; i < e->n_items; i++) { /* a mixed file loses nothing in float32 only */
        type = e->items[i].type == type ? type : INK_TYPE_F32;
    }
    return type == INK_TYPE_BF16 ? "bfloat16" : type == INK_TYPE_F16 ? "float16" : "float32";
}

static void put_config(const struct ink_export *e, struct ink_string *out)
{
    const struct ink_architecture *a = &e->model->architecture;
    ink_string_printf(out, "{\n  \"architectures\": [\n    \"%s\"\n  ],\n",
                      a->is_llama ? "LlamaForCausalLM" : "Ernie4_5ForCausalLM");
    put_token(out, "bos_token_id", a->bos_token);
    put_end_tokens(out, a);
    put_token(out, "pad_token_id", a->pad_token);
    ink_string_puts(out, "  \"hidden_act\": \"silu\",\n");
    put_int(out, "hidden_size", a->hidden_size);
    put_int(out, "intermediate_size", a->intermediate_size);
    put_int(out, "max_position_embeddings", a->max_positions);
    ink_string_printf(out, "  \"model_type\": \"%s\",\n", a->is_llama ? "llama" : "ernie4_5");
    put_int(out, "num_attention_heads", a->n_heads);
    put_int(out, "num_key_value_heads", a->n_kv_heads);
    put_int(out, "head_dim", a->head_dim);
    put_int(out, "num_hidden_layers", a->n_layers);
    put_float(out, "rms_norm_eps", a->norm_eps);
    put_float(out, "rope_theta", a->rope_theta);
    put_bool(out, "tie_word_embeddings", a->tied_head);
    if (a->is_llama) {
        put_bool(out, "attention_bias", a->attention_bias);
        put_bool(out, "mlp_bias", a->mlp_bias);
    } else {
        put_bool(out, "use_bias", a->attention_bias);
    }
    put_bool(out, "use_cache", true);
    put_int(out, "vocab_size", a->vocab_size);
    ink_string_printf(out, "  \"torch_dtype\": \"%s\"\n}\n", torch_name(e));
}

/* ----------------------------------------------------------------------- generation_config.json
 */

bool ink_export_has_sampling(const struct ink_export *e)
{
    const struct ink_sampling *s = &e->model->architecture.sampling;
    return s->temperature != 0 || s->top_k != 0 || s->top_p != 1 || s->repetition_penalty != 1 ||
           s->presence_penalty != 0 || s->frequency_penalty != 0;
}

static void put_generation_config(const struct ink_export *e, struct ink_string *out)
{
    const struct ink_architecture *a = &e->model->architecture;
    const struct ink_sampling *s = &a->sampling;
    ink_string_puts(out, "{\n");
    put_token(out, "bos_token_id", a->bos_token);
    put_end_tokens(out, a);
    put_token(out, "pad_token_id", a->pad_token);
    put_bool(out, "do_sample", s->temperature > 0);
    if (s->temperature > 0) { /* greedy has none */
        put_float(out, "temperature", s->temperature);
    }
    put_float(out, "top_p", s->top_p);
    put_float(out, "repetition_penalty", s->repetition_penalty);
    put_float(out, "presence_penalty", s->presence_penalty);
    put_float(out, "frequency_penalty", s->frequency_penalty);
    ink_string_printf(out, "  \"top_k\": %d\n}\n", s->top_k);
}

/* ----------------------------------------------------------------------------- model.safetensors
 */

static const char *safetensors_name(enum ink_type type)
{
    return type == INK_TYPE_BF16 ? "BF16" : type == INK_TYPE_F16 ? "F16" : "F32";
}

/* float32 first: where types are mixed, every tensor then starts at a multiple of its size. */
static int sort_by_type(struct ink_export *e, struct ink_error *error)
{
    struct ink_export_item *sorted = ink_calloc((size_t)e->n_items, sizeof *sorted);
    int n = 0;
    if (!sorted) {
        return ink_fail_memory(error, (uint64_t)e->n_items * sizeof *sorted);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < e->n_items; i++) {
            if ((e->items[i].type == INK_TYPE_F32) == (pass == 0)) {
                sorted[n++] = e->items[i];
            }
        }
    }
    ink_free(e->items);
    e->items = sorted;
    return INK_OK;
}

static void put_header(struct ink_export *e, struct ink_string *s)
{
    uint64_t offset = 0;
    ink_string_puts(s, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < e->n_items; i++) {
        struct ink_export_item *item = &e->items[i];
        const struct ink_tensor *t = item->tensor;
        ink_string_printf(s, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", item->name,
                          safetensors_name(item->type));
        for (int d = 0; d < t->n_dims; d++) {
            ink_string_printf(s, "%s%lld", d ? "," : "", (long long)t->shape[d]);
        }
        item->offset = offset;
        offset += item->n_bytes;
        ink_string_printf(s, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)item->offset,
                          (unsigned long long)offset);
    }
    ink_string_puts(s, "}");
    ink_string_append(s, "       ", (8 - s->length % 8) % 8);
}

static int put_safetensors(struct ink_export *e, struct ink_writer *w, struct ink_error *error)
{
    struct ink_string header = {0};
    unsigned char length[8];
    put_header(e, &header);
    for (int i = 0; i < 8; i++) {
        length[i] = (unsigned char)((uint64_t)header.length >> 8 * i);
    }
    int status = header.failed ? ink_fail_memory(error, header.length)
                               : ink_writer_put(w, length, sizeof length, error);
    if (status == INK_OK) {
        status = ink_writer_put(w, header.data, header.length, error);
    }
    ink_string_free(&header);
    for (int i = 0; i < e->n_items && status == INK_OK; i++) {
        status = ink_export_put_item(e, w, &e->items[i], error);
    }
    return status;
}

static int write_weights(struct ink_export *e, const char *folder, struct ink_error *error)
{
    struct ink_writer w = {0};
    char *path = ink_path_join(folder, "model.safetensors");
    int status = path ? sort_by_type(e, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status = ink_writer_open(&w, path, error);
    }
    if (status == INK_OK) {
        status = put_safetensors(e, &w, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&w, error);
    }
    ink_writer_close(&w);
    ink_free(path);
    return status;
}

/* ----------------------------------------------------------------------------------- the folder */

typedef void config_maker(const struct ink_export *e, struct ink_string *out);

static int write_config(const struct ink_export *e, const char *folder, const char *name,
                        config_maker *put, struct ink_error *error)
{
    struct ink_string text = {0};
    put(e, &text);
    int status = text.failed ? ink_fail_memory(error, text.length)
                             : ink_export_put_file(folder, name, text.data, text.length, error);
    ink_string_free(&text);
    return status;
}

static int write_files(struct ink_export *e, const char *folder, struct ink_error *error)
{
    static const char generation[] = "generation_config.json";
    int status = write_config(e, folder, "config.json", put_config, error);
    if (status == INK_OK && !e->model->weights.gguf) {
        status = ink_export_copy_file(e, folder, generation, NULL, error);
    } else if (status == INK_OK && ink_export_has_sampling(e)) {
        status = write_config(e, folder, generation, put_generation_config, error);
    }
    if (status == INK_OK && e->model->tokenizer) {
        status = ink_export_put_tokenizer(e, folder, error);
    }
    return status == INK_OK ? write_weights(e, folder, error) : status;
}

/* A name beside the target that is not taken: two exports at once must not share a folder. */
static char *temporary_name(const struct ink_export *e)
{
    const size_t size = strlen(e->out_path) + 48;
    char *name = ink_malloc(size);
    for (unsigned i = 0; name; i++) {
        const uint64_t seed = (uint64_t)(ink_system_seconds() * 1e9) ^ (uint64_t)(uintptr_t)name;
        snprintf(name, size, "%s.tmp-%08lx%u", e->out_path,
                 (unsigned long)(seed * 0x9E3779B97F4A7C15u >> 32), i);
        if (ink_path_kind(name) == INK_PATH_NONE) {
            break;
        }
    }
    return name;
}

int ink_export_write_folder(struct ink_export *e, struct ink_error *error)
{
    char *folder = temporary_name(e);
    if (!folder) {
        return ink_fail_memory(error, strlen(e->out_path));
    }
    int status = ink_make_folder(folder, error);
    if (status == INK_OK) {
        status = write_files(e, folder, error);
        if (status == INK_OK) {
            status = ink_rename_folder(folder, e->out_path, error);
        }
        if (status != INK_OK) {
            ink_remove_folder(folder);
        }
    }
    ink_free(folder);
    return status;
}
