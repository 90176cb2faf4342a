#include "architecture.h"

#include "file.h"
#include "json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Widest matrix side that is accepted. It keeps every product of two sides below 2^63. */
enum { max_width = 1 << 24 };

/* ------------------------------------------------------------------------------ common checks */

static int check_shape(const struct ink_architecture *a, const char *path, struct ink_error *error)
{
    if (a->n_heads % a->n_kv_heads != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: %d query heads cannot share %d key/value heads evenly", path,
                        a->n_heads, a->n_kv_heads);
    }
    if (a->head_dim % 2 != 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: head_dim %d is odd; rotation needs pairs",
                        path, a->head_dim);
    }
    if ((int64_t)a->n_heads * a->head_dim > max_width) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: %d heads of %d are wider than %d", path,
                        a->n_heads, a->head_dim, max_width);
    }
    return INK_OK;
}

static void set_defaults(struct ink_architecture *a)
{
    *a = (struct ink_architecture){.bos_token = -1, .pad_token = -1};
    a->sampling =
        (struct ink_sampling){.temperature = 0, .top_k = 0, .top_p = 1, .repetition_penalty = 1};
}

static bool has_end_token(const struct ink_architecture *a, int token)
{
    for (int i = 0; i < a->n_end_tokens; i++) {
        if (a->end_tokens[i] == token) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------- config.json */

static int unsupported(const char *path, const char *key, const char *value,
                       struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %s, which is not supported", path, key,
                    value);
}

/* The first of "architectures", else "model_type". */
static int read_kind(struct ink_architecture *a, const cJSON *root, const char *path,
                     struct ink_error *error)
{
    const cJSON *list = ink_json_get(root, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? list->child : NULL;
    const char *name = NULL;
    int status = INK_OK;
    if (first && cJSON_IsString(first)) {
        name = first->valuestring;
    } else if (list) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", path, "architectures",
                        ink_text("a list of names"));
    } else {
        status = ink_json_get_string(root, "model_type", true, &name, path, error);
    }
    if (status != INK_OK) {
        return status;
    }
    a->is_llama = strcmp(name, "LlamaForCausalLM") == 0 || strcmp(name, "llama") == 0;
    if (!a->is_llama && strcmp(name, "Ernie4_5_ForCausalLM") != 0 &&
        strcmp(name, "Ernie4_5ForCausalLM") != 0 && strcmp(name, "ernie4_5") != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: architecture %s is not supported (Ernie4_5ForCausalLM, "
                        "Ernie4_5_ForCausalLM and LlamaForCausalLM are)",
                        path, name);
    }
    a->rope_half = a->is_llama;
    return INK_OK;
}

static int read_sizes(struct ink_architecture *a, const cJSON *root, const char *path,
                      struct ink_error *error)
{
    a->max_positions = 4096;
    const struct {
        const char *key;
        int max;
        bool required;
        int *out;
    } sizes[] = {
        {"vocab_size", max_width, true, &a->vocab_size},
        {"hidden_size", max_width, true, &a->hidden_size},
        {"intermediate_size", max_width, true, &a->intermediate_size},
        {"num_hidden_layers", INK_MAX_LAYERS, true, &a->n_layers},
        {"num_attention_heads", 65536, true, &a->n_heads},
        {"num_key_value_heads", 65536, false, &a->n_kv_heads},
        {"head_dim", 65536, false, &a->head_dim},
        {"max_position_embeddings", INK_MAX_POSITIONS, false, &a->max_positions},
    };
    for (size_t i = 0; i < INK_COUNT(sizes); i++) {
        int status = ink_json_get_int(root, sizes[i].key, 1, sizes[i].max, sizes[i].required,
                                      sizes[i].out, path, error);
        if (status != INK_OK) {
            return status;
        }
    }
    a->n_kv_heads = a->n_kv_heads ? a->n_kv_heads : a->n_heads;
    if (a->head_dim == 0) {
        if (a->hidden_size % a->n_heads != 0) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: without head_dim, hidden_size %d must be a multiple of "
                            "num_attention_heads %d",
                            path, a->hidden_size, a->n_heads);
        }
        a->head_dim = a->hidden_size / a->n_heads;
    }
    return check_shape(a, path, error);
}

/* transformers 5 writes rope_parameters, earlier ones rope_theta and rope_scaling. */
static int read_rope(struct ink_architecture *a, const cJSON *root, const char *path,
                     struct ink_error *error)
{
    a->rope_theta = a->is_llama ? 10000.0f : 500000.0f;
    int status =
        ink_json_get_float(root, "rope_theta", 1, 1e12, false, &a->rope_theta, path, error);
    static const char *const keys[] = {"rope_parameters", "rope_scaling"};
    for (size_t i = 0; i < INK_COUNT(keys) && status == INK_OK; i++) {
        const cJSON *rope = ink_json_get(root, keys[i]);
        if (!rope) {
            continue;
        }
        if (!cJSON_IsObject(rope)) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", path, keys[i],
                            ink_text("an object"));
        }
        const char *type = "default";
        status = ink_json_get_string(rope, "type", false, &type, path, error);
        if (status == INK_OK) {
            status = ink_json_get_string(rope, "rope_type", false, &type, path, error);
        }
        if (status == INK_OK && strcmp(type, "default") != 0) {
            return unsupported(path, "rope_type", type, error);
        }
        if (status == INK_OK) {
            status =
                ink_json_get_float(rope, "rope_theta", 1, 1e12, false, &a->rope_theta, path, error);
        }
    }
    return status;
}

/* Settings that would change the arithmetic and that we do not have. */
static int refuse_foreign_features(const cJSON *root, const char *path, struct ink_error *error)
{
    static const char *const switches[] = {"quantization_config", "rope_3d",
                                           "moe_num_experts",     "num_experts",
                                           "fuse_attn_qkv",       "fuse_ffn"};
    for (size_t i = 0; i < INK_COUNT(switches); i++) {
        const cJSON *item = ink_json_get(root, switches[i]);
        bool off = !item || cJSON_IsFalse(item) || (cJSON_IsNumber(item) && item->valuedouble == 0);
        if (!off) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is set, which is not supported",
                            path, switches[i]);
        }
    }
    const char *activation = "silu";
    int status = ink_json_get_string(root, "hidden_act", false, &activation, path, error);
    if (status == INK_OK && strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0) {
        return unsupported(path, "hidden_act", activation, error);
    }
    float compression = 1;
    if (status == INK_OK) {
        status =
            ink_json_get_float(root, "compression_ratio", 0, 1e6, false, &compression, path, error);
    }
    if (status == INK_OK && compression != 1) {
        return unsupported(path, "compression_ratio", "not 1", error);
    }
    return status;
}

static int read_switches(struct ink_architecture *a, const cJSON *root, const char *path,
                         struct ink_error *error)
{
    bool bias = false;
    a->tied_head = !a->is_llama; /* the defaults of both configuration classes */
    a->norm_eps = a->is_llama ? 1e-6f : 1e-5f;
    int status =
        ink_json_get_float(root, "rms_norm_eps", 1e-12, 1, false, &a->norm_eps, path, error);
    if (status == INK_OK) {
        status = ink_json_get_bool(root, "tie_word_embeddings", false, &a->tied_head, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_bool(root, "use_bias", false, &bias, path, error);
    }
    a->attention_bias = a->mlp_bias = bias && !a->is_llama;
    if (status == INK_OK && a->is_llama) {
        status = ink_json_get_bool(root, "attention_bias", false, &a->attention_bias, path, error);
    }
    if (status == INK_OK && a->is_llama) {
        status = ink_json_get_bool(root, "mlp_bias", false, &a->mlp_bias, path, error);
    }
    return status;
}

/* One id or a list of ids. -1 (how some files say "none") and null are none. */
static int read_end_tokens(struct ink_architecture *a, const cJSON *root, const char *path,
                           struct ink_error *error)
{
    const cJSON *item = ink_json_get(root, "eos_token_id");
    if (!item) {
        return INK_OK;
    }
    bool is_list = cJSON_IsArray(item);
    for (const cJSON *id = is_list ? item->child : item; id; id = is_list ? id->next : NULL) {
        if (!cJSON_IsNumber(id) || id->valuedouble != floor(id->valuedouble) ||
            id->valuedouble < -1 || id->valuedouble >= a->vocab_size) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: \"eos_token_id\" is not an id or a list of ids below %d", path,
                            a->vocab_size);
        }
        if (id->valuedouble < 0 || has_end_token(a, (int)id->valuedouble)) {
            continue;
        }
        if (a->n_end_tokens == INK_MAX_END_TOKENS) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: more than %d ids in \"eos_token_id\"",
                            path, INK_MAX_END_TOKENS);
        }
        a->end_tokens[a->n_end_tokens++] = (int32_t)id->valuedouble;
    }
    return INK_OK;
}

static int read_config(struct ink_architecture *a, const cJSON *root, const char *path,
                       struct ink_error *error)
{
    int status = read_kind(a, root, path, error);
    if (status == INK_OK) {
        status = refuse_foreign_features(root, path, error);
    }
    if (status == INK_OK) {
        status = read_sizes(a, root, path, error);
    }
    if (status == INK_OK) {
        status = read_rope(a, root, path, error);
    }
    if (status == INK_OK) {
        status = read_switches(a, root, path, error);
    }
    if (status == INK_OK) {
        status = read_end_tokens(a, root, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_int(root, "bos_token_id", -1, a->vocab_size - 1, false, &a->bos_token,
                                  path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_int(root, "pad_token_id", -1, a->vocab_size - 1, false, &a->pad_token,
                                  path, error);
    }
    return status;
}

/* ---------------------------------------------------------------------- generation_config.json */

static int read_generation_config(struct ink_architecture *a, const cJSON *root, const char *path,
                                  struct ink_error *error)
{
    struct ink_sampling *s = &a->sampling;
    bool do_sample = false;
    s->temperature = 1;
    int status = ink_json_get_bool(root, "do_sample", false, &do_sample, path, error);
    const struct {
        const char *key;
        double min, max;
        float *out;
    } settings[] = {
        {"temperature", 0, 1000, &s->temperature},
        {"top_p", 0, 1, &s->top_p},
        {"repetition_penalty", 1e-3, 1000, &s->repetition_penalty},
        {"presence_penalty", -1000, 1000, &s->presence_penalty},
        {"frequency_penalty", -1000, 1000, &s->frequency_penalty},
    };
    for (size_t i = 0; i < INK_COUNT(settings) && status == INK_OK; i++) {
        status = ink_json_get_float(root, settings[i].key, settings[i].min, settings[i].max, false,
                                    settings[i].out, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_int(root, "top_k", -1, max_width, false, &s->top_k, path, error);
    }
    s->top_k = s->top_k < 0 ? 0 : s->top_k; /* how vLLM's files say "off" */
    if (status == INK_OK && ink_json_get(root, "eos_token_id")) {
        a->n_end_tokens = 0; /* this file's count, not config.json's, as in transformers */
        status = read_end_tokens(a, root, path, error);
    }
    if (!do_sample) {
        s->temperature = 0;
    }
    return status;
}

typedef int config_reader(struct ink_architecture *a, const cJSON *root, const char *path,
                          struct ink_error *error);

static int read_file(struct ink_architecture *a, const char *path, config_reader *reader,
                     struct ink_error *error)
{
    cJSON *root = NULL;
    int status = ink_json_read_file(&root, path, error);
    if (status == INK_OK) {
        status = reader(a, root, path, error);
    }
    cJSON_Delete(root);
    return status;
}

static int read_json(struct ink_architecture *a, const char *folder, const char *name,
                     bool required, config_reader *reader, struct ink_error *error)
{
    char *path = ink_path_join(folder, name);
    if (!path) {
        return ink_fail_memory(error, strlen(folder));
    }
    const bool is_due = required || ink_path_kind(path) != INK_PATH_NONE;
    int status = is_due ? read_file(a, path, reader, error) : INK_OK;
    ink_free(path);
    return status;
}

int ink_architecture_read_folder(struct ink_architecture *out, const char *folder,
                                 struct ink_error *error)
{
    set_defaults(out);
    int status = read_json(out, folder, "config.json", true, read_config, error);
    if (status == INK_OK) {
        status =
            read_json(out, folder, "generation_config.json", false, read_generation_config, error);
    }
    return status;
}

static int read_new_config(struct ink_architecture *a, const cJSON *root, const char *path,
                           struct ink_error *error)
{
    int status = read_config(a, root, path, error);
    a->initializer_range = 0.02f;
    return status == INK_OK ? ink_json_get_float(root, "initializer_range", 1e-9, 1000, false,
                                                 &a->initializer_range, path, error)
                            : status;
}

int ink_architecture_read_new(struct ink_architecture *out, const char *path,
                              struct ink_error *error)
{
    char *folder = ink_path_folder(path);
    if (!folder) {
        return ink_fail_memory(error, strlen(path));
    }
    set_defaults(out);
    int status = read_file(out, path, read_new_config, error);
    if (status == INK_OK) {
        status =
            read_json(out, folder, "generation_config.json", false, read_generation_config, error);
    }
    ink_free(folder);
    return status;
}

/* ----------------------------------------------------------------------------------------- GGUF */

struct gguf_keys {
    const struct ink_gguf *gguf;
    const char *prefix; /* "ernie4_5" or "llama" */
    const char *path;
    struct ink_error *error;
};

static int get_size(const struct gguf_keys *k, const char *name, int max, bool required, int *out)
{
    char key[96];
    int64_t value = *out;
    snprintf(key, sizeof key, "%s.%s", k->prefix, name);
    int status = ink_gguf_get_int(k->gguf, key, 1, max, required, &value, k->error);
    *out = (int)value;
    return status;
}

static int get_float(const struct gguf_keys *k, const char *name, double min, double max,
                     bool required, float *out)
{
    char key[96];
    double value = *out;
    snprintf(key, sizeof key, "%s.%s", k->prefix, name);
    int status = ink_gguf_get_float(k->gguf, key, min, max, required, &value, k->error);
    *out = (float)value;
    return status;
}

static int get_token(const struct gguf_keys *k, const char *name, int vocab_size, int *out)
{
    int64_t value = *out;
    int status = ink_gguf_get_int(k->gguf, name, 0, vocab_size - 1, false, &value, k->error);
    *out = (int)value;
    return status;
}

static int read_gguf_kind(struct ink_architecture *a, struct gguf_keys *k)
{
    struct ink_gguf_string name = {0};
    int status = ink_gguf_get_string(k->gguf, "general.architecture", true, &name, k->error);
    if (status != INK_OK) {
        return status;
    }
    a->is_llama = name.n == 5 && memcmp(name.data, "llama", 5) == 0;
    if (!a->is_llama && !(name.n == 8 && memcmp(name.data, "ernie4_5", 8) == 0)) {
        return ink_fail(k->error, INK_ERROR_INPUT,
                        "%s: architecture \"%.*s\" is not supported (ernie4_5 and llama are)",
                        k->path, (int)(name.n < 64 ? name.n : 64), name.data);
    }
    k->prefix = a->is_llama ? "llama" : "ernie4_5";
    a->rope_half = false; /* converters permute llama's query and key rows into pairs */
    return INK_OK;
}

static int read_gguf_sizes(struct ink_architecture *a, const struct gguf_keys *k)
{
    int key_length = 0, value_length = 0, rope_dims = 0;
    const struct {
        const char *name;
        int max;
        bool required;
        int *out;
    } sizes[] = {
        {"embedding_length", max_width, true, &a->hidden_size},
        {"feed_forward_length", max_width, true, &a->intermediate_size},
        {"block_count", INK_MAX_LAYERS, true, &a->n_layers},
        {"attention.head_count", 65536, true, &a->n_heads},
        {"attention.head_count_kv", 65536, false, &a->n_kv_heads},
        {"attention.key_length", 65536, false, &key_length},
        {"attention.value_length", 65536, false, &value_length},
        {"rope.dimension_count", 65536, false, &rope_dims},
        {"context_length", INK_MAX_POSITIONS, true, &a->max_positions},
    };
    for (size_t i = 0; i < INK_COUNT(sizes); i++) {
        int status = get_size(k, sizes[i].name, sizes[i].max, sizes[i].required, sizes[i].out);
        if (status != INK_OK) {
            return status;
        }
    }
    a->n_kv_heads = a->n_kv_heads ? a->n_kv_heads : a->n_heads;
    a->head_dim = key_length                         ? key_length
                  : a->hidden_size % a->n_heads == 0 ? a->hidden_size / a->n_heads
                                                     : 0;
    if (a->head_dim == 0 || (value_length && value_length != a->head_dim) ||
        (rope_dims && rope_dims != a->head_dim)) {
        return ink_fail(k->error, INK_ERROR_INPUT,
                        "%s: key length %d, value length %d and rotary dimensions %d must agree",
                        k->path, a->head_dim, value_length, rope_dims);
    }
    return check_shape(a, k->path, k->error);
}

static int refuse_gguf_rope_scaling(const struct gguf_keys *k)
{
    char key[96];
    struct ink_gguf_string type = {"none", 4};
    snprintf(key, sizeof key, "%s.rope.scaling.type", k->prefix);
    int status = ink_gguf_get_string(k->gguf, key, false, &type, k->error);
    if (status == INK_OK && !(type.n == 4 && memcmp(type.data, "none", 4) == 0)) {
        return ink_fail(k->error, INK_ERROR_INPUT, "%s: \"%s\" is set, which is not supported",
                        k->path, key);
    }
    return status;
}

/* Our own keys: what generation_config.json says and GGUF has no key for (export_gguf.c). */
static int read_gguf_extras(struct ink_architecture *a, const struct gguf_keys *k)
{
    static const char ends_key[] = "inkstone.end_tokens";
    const struct gguf_keys own = {k->gguf, "inkstone.sampling", k->path, k->error};
    struct ink_sampling *s = &a->sampling;
    const struct {
        const char *name;
        double min, max;
        float *out;
    } settings[] = {
        {"temperature", 0, 1000, &s->temperature},
        {"top_p", 0, 1, &s->top_p},
        {"repetition_penalty", 1e-3, 1000, &s->repetition_penalty},
        {"presence_penalty", -1000, 1000, &s->presence_penalty},
        {"frequency_penalty", -1000, 1000, &s->frequency_penalty},
    };
    int64_t top_k = 0;
    int status =
        ink_gguf_get_int(k->gguf, "inkstone.sampling.top_k", 0, max_width, false, &top_k, k->error);
    s->top_k = (int)top_k;
    for (size_t i = 0; i < INK_COUNT(settings) && status == INK_OK; i++) {
        status = get_float(&own, settings[i].name, settings[i].min, settings[i].max, false,
                           settings[i].out);
    }
    const int64_t n = ink_gguf_array_length(k->gguf, ends_key);
    bool is_list = n >= 0 && n <= INK_MAX_END_TOKENS;
    struct ink_gguf_string other = {0};
    if (status != INK_OK ||
        (n < 0 && ink_gguf_get_string(k->gguf, ends_key, false, &other, NULL) == INK_OK &&
         !other.data)) { /* no such key */
        return status;
    }
    if (is_list) {
        a->n_end_tokens = 0; /* all of them: the one or two of llama.cpp's keys are among these */
        status = ink_gguf_get_ints(k->gguf, ends_key, a->end_tokens, n, k->error);
    }
    for (int64_t i = 0; i < n && is_list && status == INK_OK; i++) {
        const int32_t id = a->end_tokens[i];
        is_list = id >= 0 && id < a->vocab_size;
        if (is_list && !has_end_token(a, id)) {
            a->end_tokens[a->n_end_tokens++] = id;
        }
    }
    return status != INK_OK || is_list
               ? status
               : ink_fail(k->error, INK_ERROR_INPUT,
                          "%s: \"inkstone.end_tokens\" is not a list of at most %d ids below %d",
                          k->path, INK_MAX_END_TOKENS, a->vocab_size);
}

int ink_architecture_read_gguf(struct ink_architecture *out, const struct ink_gguf *gguf,
                               int vocab_size, const char *path, struct ink_error *error)
{
    set_defaults(out);
    struct gguf_keys k = {gguf, "", path, error};
    out->vocab_size = vocab_size;
    int status = read_gguf_kind(out, &k);
    if (status == INK_OK) {
        status = read_gguf_sizes(out, &k);
    }
    out->rope_theta = 10000.0f;
    if (status == INK_OK) {
        status = get_float(&k, "rope.freq_base", 1, 1e12, false, &out->rope_theta);
    }
    if (status == INK_OK) {
        status = get_float(&k, "attention.layer_norm_rms_epsilon", 1e-12, 1, true, &out->norm_eps);
    }
    if (status == INK_OK) {
        status = refuse_gguf_rope_scaling(&k);
    }
    if (status == INK_OK) {
        status = get_token(&k, "tokenizer.ggml.bos_token_id", vocab_size, &out->bos_token);
    }
    if (status == INK_OK) {
        status = get_token(&k, "tokenizer.ggml.padding_token_id", vocab_size, &out->pad_token);
    }
    int ends[2] = {-1, -1};
    if (status == INK_OK) {
        status = get_token(&k, "tokenizer.ggml.eos_token_id", vocab_size, &ends[0]);
    }
    if (status == INK_OK) {
        status = get_token(&k, "tokenizer.ggml.eot_token_id", vocab_size, &ends[1]);
    }
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0 && !has_end_token(out, ends[i])) {
            out->end_tokens[out->n_end_tokens++] = ends[i];
        }
    }
    return status == INK_OK ? read_gguf_extras(out, &k) : status;
}
