#include "export_files.h"

#include "json.h"
#include "number.h"

#include <string.h>

/* ---------------------------------------------------------------------------------- config.json */

static void put_float(struct ink_string *s, const char *key, float value)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_float(text, value);
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

static const char *torch_name(enum ink_type type)
{
    return type == INK_TYPE_BF16 ? "bfloat16" : type == INK_TYPE_F16 ? "float16" : "float32";
}

/* Fields of the base's config.json that are not true of what is written: its types, quantisation
 * and place, code that is not copied, what wrote it; and other names for fields of ours. */
static bool is_outdated(const char *key)
{
    static const char *const keys[] = {
        "dtype",           "quantization_config", "_name_or_path",       "auto_map",
        "rope_parameters", "rope_scaling",        "transformers_version"};
    for (size_t i = 0; i < INK_COUNT(keys); i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void append_field(struct ink_string *out, const cJSON *field)
{
    char *value = cJSON_PrintUnformatted(field);
    if (!value) {
        out->failed = true;
        return;
    }
    ink_string_puts(out, ",\n  ");
    ink_json_append_string(out, field->string, strlen(field->string));
    ink_string_printf(out, ": %s", value);
    cJSON_free(value);
}

/* `out` lacks its last brace: what the model's configuration says and it does not. Nothing where
 * that file can no longer be read or is no configuration: a checkpoint is worth more. */
static void put_other_fields(const struct ink_model *m, struct ink_string *out)
{
    struct ink_string whole = {0};
    cJSON *ours = NULL, *base = NULL, *field;
    ink_string_printf(&whole, "%s}", out->failed ? "{" : out->data);
    ours = whole.failed ? NULL : cJSON_ParseWithLength(whole.data, whole.length);
    const int status = ours ? ink_json_read_file(&base, m->config, NULL) : INK_ERROR_MEMORY;
    out->failed |= status == INK_ERROR_MEMORY;
    cJSON_ArrayForEach(field, base)
    {
        if (!cJSON_GetObjectItemCaseSensitive(ours, field->string) && !is_outdated(field->string)) {
            append_field(out, field);
        }
    }
    cJSON_Delete(base);
    cJSON_Delete(ours);
    ink_string_free(&whole);
}

static void put_config(const struct ink_model *m, enum ink_type type, struct ink_string *out)
{
    const struct ink_architecture *a = &m->architecture;
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
    ink_string_printf(out, "  \"torch_dtype\": \"%s\"", torch_name(type));
    if (m->config) {
        put_other_fields(m, out);
    }
    ink_string_puts(out, "\n}\n");
}

/* ----------------------------------------------------------------------- generation_config.json
 */

bool ink_export_has_sampling(const struct ink_model *m)
{
    const struct ink_sampling *s = &m->architecture.sampling;
    return s->temperature != 0 || s->top_k != 0 || s->top_p != 1 || s->repetition_penalty != 1 ||
           s->presence_penalty != 0 || s->frequency_penalty != 0;
}

static void put_generation_config(const struct ink_model *m, enum ink_type type,
                                  struct ink_string *out)
{
    const struct ink_architecture *a = &m->architecture;
    const struct ink_sampling *s = &a->sampling;
    (void)type;
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

/* ----------------------------------------------------------------------------------- the folder */

int ink_export_copy_file(const struct ink_model *m, const char *folder, const char *name,
                         bool *copied, struct ink_error *error)
{
    struct ink_mapping file = {0};
    char *path = ink_path_join(m->path, name);
    int status = path ? INK_OK : ink_fail_memory(error, strlen(m->path));
    const bool exists = path && ink_path_kind(path) == INK_PATH_FILE;
    if (exists) {
        status = ink_map_file(&file, path, error);
        if (status == INK_OK) {
            status = ink_write_file(folder, name, file.data, (size_t)file.size, error);
        }
        ink_unmap_file(&file);
    }
    if (copied) {
        *copied = exists;
    }
    ink_free(path);
    return status;
}

typedef void config_maker(const struct ink_model *m, enum ink_type type, struct ink_string *out);

static int write_config(const struct ink_model *m, enum ink_type type, const char *folder,
                        const char *name, config_maker *put, struct ink_error *error)
{
    struct ink_string text = {0};
    put(m, type, &text);
    int status = text.failed ? ink_fail_memory(error, text.length)
                             : ink_write_file(folder, name, text.data, text.length, error);
    ink_string_free(&text);
    return status;
}

int ink_export_put_files(const struct ink_model *m, enum ink_type type, const char *folder,
                         struct ink_error *error)
{
    static const char generation[] = "generation_config.json";
    int status = write_config(m, type, folder, "config.json", put_config, error);
    if (status == INK_OK && !m->weights.gguf) {
        status = ink_export_copy_file(m, folder, generation, NULL, error);
    } else if (status == INK_OK && ink_export_has_sampling(m)) {
        status = write_config(m, type, folder, generation, put_generation_config, error);
    }
    if (status == INK_OK && m->tokenizer) {
        status = ink_export_put_tokenizer(m, folder, error);
    }
    return status;
}
