#include "model.h"

#include "chat.h"
#include "file.h"
#include "quant.h"
#include "sync.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------ weights by their role */

enum dimension { ONE, HIDDEN, QUERY_WIDTH, KEY_WIDTH, INTERMEDIATE, VOCABULARY };
enum presence { ALWAYS, WITH_ATTENTION_BIAS, WITH_MLP_BIAS, WITHOUT_TIED_HEAD };

struct role_entry {
    struct ink_tensor_role role;
    size_t offset; /* in struct ink_layer, or in struct ink_model */
    enum dimension rows, cols;
    enum presence presence;
};

#define IN_LAYER(member) offsetof(struct ink_layer, member)
#define IN_MODEL(member) offsetof(struct ink_model, member)

static const struct role_entry first_roles[] = {
    {{"model.embed_tokens.weight", "token_embd.weight"},
     IN_MODEL(embedding),
     VOCABULARY,
     HIDDEN,
     ALWAYS},
};

/* clang-format off */
static const struct role_entry layer_roles[] = {
    {{"model.layers.%d.input_layernorm.weight", "blk.%d.attn_norm.weight"},
     IN_LAYER(attention_norm), ONE, HIDDEN, ALWAYS},
    {{"model.layers.%d.self_attn.q_proj.weight", "blk.%d.attn_q.weight"},
     IN_LAYER(query), QUERY_WIDTH, HIDDEN, ALWAYS},
    {{"model.layers.%d.self_attn.q_proj.bias", "blk.%d.attn_q.bias"},
     IN_LAYER(query_bias), ONE, QUERY_WIDTH, WITH_ATTENTION_BIAS},
    {{"model.layers.%d.self_attn.k_proj.weight", "blk.%d.attn_k.weight"},
     IN_LAYER(key), KEY_WIDTH, HIDDEN, ALWAYS},
    {{"model.layers.%d.self_attn.k_proj.bias", "blk.%d.attn_k.bias"},
     IN_LAYER(key_bias), ONE, KEY_WIDTH, WITH_ATTENTION_BIAS},
    {{"model.layers.%d.self_attn.v_proj.weight", "blk.%d.attn_v.weight"},
     IN_LAYER(value), KEY_WIDTH, HIDDEN, ALWAYS},
    {{"model.layers.%d.self_attn.v_proj.bias", "blk.%d.attn_v.bias"},
     IN_LAYER(value_bias), ONE, KEY_WIDTH, WITH_ATTENTION_BIAS},
    {{"model.layers.%d.self_attn.o_proj.weight", "blk.%d.attn_output.weight"},
     IN_LAYER(output), HIDDEN, QUERY_WIDTH, ALWAYS},
    {{"model.layers.%d.self_attn.o_proj.bias", "blk.%d.attn_output.bias"},
     IN_LAYER(output_bias), ONE, HIDDEN, WITH_ATTENTION_BIAS},
    {{"model.layers.%d.post_attention_layernorm.weight", "blk.%d.ffn_norm.weight"},
     IN_LAYER(mlp_norm), ONE, HIDDEN, ALWAYS},
    {{"model.layers.%d.mlp.gate_proj.weight", "blk.%d.ffn_gate.weight"},
     IN_LAYER(gate), INTERMEDIATE, HIDDEN, ALWAYS},
    {{"model.layers.%d.mlp.gate_proj.bias", "blk.%d.ffn_gate.bias"},
     IN_LAYER(gate_bias), ONE, INTERMEDIATE, WITH_MLP_BIAS},
    {{"model.layers.%d.mlp.up_proj.weight", "blk.%d.ffn_up.weight"},
     IN_LAYER(up), INTERMEDIATE, HIDDEN, ALWAYS},
    {{"model.layers.%d.mlp.up_proj.bias", "blk.%d.ffn_up.bias"},
     IN_LAYER(up_bias), ONE, INTERMEDIATE, WITH_MLP_BIAS},
    {{"model.layers.%d.mlp.down_proj.weight", "blk.%d.ffn_down.weight"},
     IN_LAYER(down), HIDDEN, INTERMEDIATE, ALWAYS},
    {{"model.layers.%d.mlp.down_proj.bias", "blk.%d.ffn_down.bias"},
     IN_LAYER(down_bias), ONE, HIDDEN, WITH_MLP_BIAS},
};
/* clang-format on */

static const struct role_entry last_roles[] = {
    {{"model.norm.weight", "output_norm.weight"}, IN_MODEL(final_norm), ONE, HIDDEN, ALWAYS},
    {{"lm_head.weight", "output.weight"}, IN_MODEL(head), VOCABULARY, HIDDEN, WITHOUT_TIED_HEAD},
};

static int dimension(const struct ink_architecture *a, enum dimension d)
{
    switch (d) {
    case HIDDEN:
        return a->hidden_size;
    case QUERY_WIDTH:
        return a->n_heads * a->head_dim;
    case KEY_WIDTH:
        return a->n_kv_heads * a->head_dim;
    case INTERMEDIATE:
        return a->intermediate_size;
    case VOCABULARY:
        return a->vocab_size;
    default:
        return 1;
    }
}

static bool is_present(const struct ink_architecture *a, enum presence p)
{
    switch (p) {
    case WITH_ATTENTION_BIAS:
        return a->attention_bias;
    case WITH_MLP_BIAS:
        return a->mlp_bias;
    case WITHOUT_TIED_HEAD:
        return !a->tied_head;
    default:
        return true;
    }
}

static int visit_roles(struct ink_model *m, void *base, const struct role_entry *roles, size_t n,
                       int layer, ink_weight_visitor *visit, void *context, struct ink_error *error)
{
    int status = INK_OK, adapted = layer * INK_ADAPTED_MATRICES;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        struct ink_weight *w = (struct ink_weight *)(void *)((char *)base + roles[i].offset);
        if (!is_present(&m->architecture, roles[i].presence)) {
            continue;
        }
        w->rows = dimension(&m->architecture, roles[i].rows);
        w->cols = dimension(&m->architecture, roles[i].cols);
        w->is_vector = roles[i].rows == ONE;
        w->adapted = layer < 0 || w->is_vector ? 0 : ++adapted;
        status = visit(context, w, &roles[i].role, layer, error);
    }
    return status;
}

int ink_model_visit_weights(struct ink_model *m, ink_weight_visitor *visit, void *context,
                            struct ink_error *error)
{
    int status = visit_roles(m, m, first_roles, INK_COUNT(first_roles), -1, visit, context, error);
    for (int i = 0; i < m->architecture.n_layers && status == INK_OK; i++) {
        status = visit_roles(m, &m->layers[i], layer_roles, INK_COUNT(layer_roles), i, visit,
                             context, error);
    }
    if (status == INK_OK) {
        status = visit_roles(m, m, last_roles, INK_COUNT(last_roles), -1, visit, context, error);
    }
    return status;
}

void ink_model_tensor_name(char *out, size_t n, const char *pattern, int layer)
{
    const char *number = strstr(pattern, "%d");
    if (number) {
        snprintf(out, n, "%.*s%d%s", (int)(number - pattern), pattern, layer, number + 2);
    } else {
        snprintf(out, n, "%s", pattern);
    }
}

/* ------------------------------------------------------------------------------ finding tensors */

struct loader {
    struct ink_model *model;
    bool *used; /* [n_tensors] */
    bool check_values;
};

static bool has_shape(const struct ink_tensor *t, const struct ink_weight *w)
{
    return w->is_vector ? t->n_dims == 1 && t->shape[0] == w->cols
                        : t->n_dims == 2 && t->shape[0] == w->rows && t->shape[1] == w->cols;
}

static int fail_shape(const struct ink_model *m, const struct ink_tensor *t,
                      const struct ink_weight *w, struct ink_error *error)
{
    char have[64], want[64];
    snprintf(have, sizeof have, t->n_dims == 1 ? "%lld" : "%lld x %lld", (long long)t->shape[0],
             (long long)t->shape[1]);
    if (t->n_dims > 2) {
        snprintf(have, sizeof have, "%d-D", t->n_dims);
    }
    snprintf(want, sizeof want, w->is_vector ? "%.0d%d" : "%d x %d", w->is_vector ? 0 : w->rows,
             w->cols);
    return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is %s, the configuration says %s",
                    m->path, t->name, have, want);
}

/* Widen the tensor piece by piece and look at every value. */
static int check_finite(const struct ink_model *m, const struct ink_tensor *t,
                        struct ink_error *error)
{
    enum { piece = 256 * 16 }; /* a multiple of every block size */
    uint64_t n = ink_tensor_count(t), bad = 0, first = 0;
    float values[piece];
    for (uint64_t at = 0; at < n; at += piece) {
        uint64_t count = n - at < piece ? n - at : piece;
        uint64_t byte = ink_type_bytes(t->type, at);
        ink_dequantize(values, (const char *)t->data + byte, t->type, count);
        for (uint64_t i = 0; i < count; i++) {
            if (!isfinite(values[i])) {
                first = bad++ ? first : at + i;
            }
        }
    }
    if (bad) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%s\" has %llu values that are not finite (first at %llu)",
                        m->path, t->name, (unsigned long long)bad, (unsigned long long)first);
    }
    return INK_OK;
}

/* Find the weight's tensor and hold its shape against the configuration. */
static int bind_weight(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                       int layer, struct ink_error *error)
{
    struct loader *loader = context;
    struct ink_model *m = loader->model;
    char name[128];
    ink_model_tensor_name(name, sizeof name, m->weights.gguf ? role->gguf_name : role->hf_name,
                          layer);
    const struct ink_tensor *t = ink_weights_find(&m->weights, name);
    if (!t) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", m->path, name);
    }
    if (!has_shape(t, w)) {
        return fail_shape(m, t, w, error);
    }
    loader->used[t - m->weights.tensors] = true;
    w->tensor = t;
    m->info.n_parameters += ink_tensor_count(t);
    return loader->check_values ? check_finite(m, t, error) : INK_OK;
}

static int count_weight(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                        int layer, struct ink_error *error)
{
    struct ink_model *m = context;
    uint64_t bytes = m->backend->owned_bytes(m->backend, w);
    (void)role;
    (void)layer;
    (void)error;
    m->info.loaded_bytes += bytes;
    m->info.mapped_bytes += bytes ? 0 : w->tensor->n_bytes;
    if (!w->is_vector && (w != &m->embedding || m->architecture.tied_head)) {
        m->info.token_bytes += bytes ? bytes : w->tensor->n_bytes;
    }
    return INK_OK;
}

static int prepare_weight(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                          int layer, struct ink_error *error)
{
    struct ink_model *m = context;
    (void)role;
    (void)layer;
    return m->backend->prepare(m->backend, w, error);
}

/* Memory is counted and compared with what is free before the first byte is taken. */
static int place_weights(struct ink_model *m, struct ink_error *error)
{
    uint64_t needed = m->info.loaded_bytes, free_bytes = ink_system_free_memory();
    if (needed > free_bytes) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: the weights need %.1f MiB, and %.1f MiB are free", m->path,
                        (double)needed / 1048576, (double)free_bytes / 1048576);
    }
    m->has_weights = true;
    int status = m->backend->reserve(m->backend, needed, error);
    return status == INK_OK ? ink_model_visit_weights(m, prepare_weight, m, error) : status;
}

/* Tensors that old exporters leave in a file and that change nothing. */
static bool is_harmless(const struct ink_model *m, const char *name)
{
    static const char buffer[] = ".rotary_emb.inv_freq";
    size_t n = strlen(name), tail = sizeof buffer - 1;
    bool tied_copy = m->architecture.tied_head && strcmp(name, "lm_head.weight") == 0;
    return tied_copy || (n > tail && strcmp(name + n - tail, buffer) == 0);
}

static int refuse_unknown_tensors(const struct ink_model *m, const bool *used,
                                  struct ink_error *error)
{
    for (int i = 0; i < m->weights.n_tensors; i++) {
        const char *name = m->weights.tensors[i].name;
        if (!used[i] && !is_harmless(m, name)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: tensor \"%s\" has no place in this architecture", m->path, name);
        }
    }
    return INK_OK;
}

/* Before any memory is taken for them: are all weights there, and no others? */
static int bind_weights(struct ink_model *m, bool check_values, struct ink_error *error)
{
    if (!m->layers) {
        m->layers = ink_calloc((size_t)m->architecture.n_layers, sizeof *m->layers);
    }
    bool *used = ink_calloc((size_t)m->weights.n_tensors, sizeof *used);
    int status = m->layers && used ? INK_OK : ink_fail_memory(error, sizeof *m->layers);
    struct loader loader = {m, used, check_values};
    if (status == INK_OK) {
        status = ink_model_visit_weights(m, bind_weight, &loader, error);
    }
    if (status == INK_OK) {
        status = refuse_unknown_tensors(m, used, error);
    }
    ink_free(used);
    return status;
}

/* ------------------------------------------------------------------------------------- opening */

/* What a GGUF file says by the tensors it has: vocabulary, tied head, biases. */
static int read_gguf_architecture(struct ink_model *m, struct ink_error *error)
{
    const struct ink_tensor *table = ink_weights_find(&m->weights, "token_embd.weight");
    if (!table || table->n_dims != 2 || table->shape[0] > 1 << 24) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", m->path,
                        "token_embd.weight");
    }
    int status = ink_architecture_read_gguf(&m->architecture, m->weights.gguf, (int)table->shape[0],
                                            m->path, error);
    m->architecture.tied_head = !ink_weights_find(&m->weights, "output.weight");
    m->architecture.attention_bias = ink_weights_find(&m->weights, "blk.0.attn_q.bias") != NULL;
    m->architecture.mlp_bias = ink_weights_find(&m->weights, "blk.0.ffn_gate.bias") != NULL;
    return status;
}

static int open_backend(struct ink_model *m, const struct ink_model_options *options,
                        struct ink_error *error)
{
    const struct ink_architecture *a = &m->architecture;
    struct ink_backend_shape shape = {
        .hidden_size = a->hidden_size,
        .intermediate_size = a->intermediate_size,
        .n_layers = a->n_layers,
        .n_heads = a->n_heads,
        .n_kv_heads = a->n_kv_heads,
        .head_dim = a->head_dim,
        .weight_type = options->weight_type,
        .max_rows = INK_MAX_ROWS,
        .rope_theta = a->rope_theta,
        .rope_half = a->rope_half,
    };
    return ink_backend_open_cpu(&m->backend, &shape, options->cpu_level, options->threads, error);
}

/* How GGUF files say that they have none. */
static bool is_no_tokenizer(struct ink_gguf_string kind)
{
    return (kind.n == 8 && memcmp(kind.data, "no_vocab", 8) == 0) ||
           (kind.n == 4 && memcmp(kind.data, "none", 4) == 0);
}

/* A model without tokenizer files opens all the same: ids and logits need none. */
static int open_tokenizer(struct ink_model *m, const struct ink_model_options *options,
                          struct ink_error *error)
{
    int vocab_size = m->architecture.vocab_size, status = INK_OK;
    if (options->without_tokenizer) {
        return INK_OK;
    }
    if (m->weights.gguf && !options->tokenizer_dir) {
        struct ink_gguf_string kind = {0};
        status = ink_gguf_get_string(m->weights.gguf, "tokenizer.ggml.model", false, &kind, error);
        return status != INK_OK || kind.n == 0 || is_no_tokenizer(kind)
                   ? status
                   : ink_tokenizer_open_gguf(&m->tokenizer, m->weights.gguf, vocab_size, m->path,
                                             error);
    }
    const char *folder = options->tokenizer_dir ? options->tokenizer_dir : m->path;
    char *file = ink_path_join(folder, "tokenizer.model");
    if (!file) {
        return ink_fail_memory(error, strlen(folder));
    }
    if (options->tokenizer_dir || ink_path_kind(file) != INK_PATH_NONE) {
        status = ink_tokenizer_open_folder(&m->tokenizer, folder, vocab_size, error);
    }
    ink_free(file);
    return status;
}

struct tokenizer_opening {
    struct ink_model *model;
    const struct ink_model_options *options;
    int status;
    struct ink_error error;
};

static void open_tokenizer_beside(void *context)
{
    struct tokenizer_opening *o = context;
    o->status = open_tokenizer(o->model, o->options, &o->error);
}

/* The tokenizer, which is work for one thread, while the others read the weights. Then what was
 * read of the files leaves memory: vocabularies are large, and copied. */
static int load(struct ink_model *m, const struct ink_model_options *options,
                struct ink_error *error)
{
    (m->architecture.tied_head ? &m->embedding : &m->head)->is_head = true;
    int status = ink_model_visit_weights(m, count_weight, m, error);
    if (status == INK_OK && options->without_weights) {
        return open_tokenizer(m, options, error);
    }
    if (status == INK_OK) {
        status = place_weights(m, error);
    }
    struct tokenizer_opening opening = {.model = m, .options = options, .status = INK_OK};
    if (status == INK_OK) {
        status = m->backend->load(m->backend, m->path, open_tokenizer_beside, &opening, error);
    }
    if (status == INK_OK && opening.status != INK_OK) {
        status = opening.status;
        if (error) {
            *error = opening.error;
        }
    }
    for (int i = 0; i < m->weights.n_files && status == INK_OK; i++) {
        ink_release_mapped(m->weights.files[i].data, (size_t)m->weights.files[i].size);
    }
    return status;
}

static const char *matrix_type(const struct ink_model *m)
{
    return ink_type_facts(m->layers[0].down.tensor->type)->name;
}

static bool is_float(enum ink_type type)
{
    return type == INK_TYPE_F32 || type == INK_TYPE_F16 || type == INK_TYPE_BF16;
}

static void fill_info(struct ink_model *m)
{
    const struct ink_architecture *a = &m->architecture;
    struct ink_model_info *i = &m->info;
    i->path = m->path;
    i->format = m->weights.format;
    i->architecture = a->is_llama ? "llama" : "ernie4_5";
    i->weight_type = matrix_type(m);
    i->cpu_level = m->backend->level;
    i->threads = m->backend->n_threads;
    i->vocab_size = a->vocab_size;
    i->hidden_size = a->hidden_size;
    i->intermediate_size = a->intermediate_size;
    i->n_layers = a->n_layers;
    i->n_heads = a->n_heads;
    i->n_kv_heads = a->n_kv_heads;
    i->head_dim = a->head_dim;
    i->max_positions = a->max_positions;
    i->rope_theta = a->rope_theta;
    i->norm_eps = a->norm_eps;
    i->rope_half = a->rope_half;
    i->tied_head = a->tied_head;
    i->has_bias = a->attention_bias || a->mlp_bias;
    i->scratch_bytes = m->backend->scratch_bytes + sizeof m->arrays;
    i->arithmetic = is_float(m->layers[0].down.type) ? "float32" : "int8";
    i->has_tokenizer = m->tokenizer != NULL;
    const char *template =
        m->tokenizer ? ink_tokenizer_get_facts(m->tokenizer)->chat_template : NULL;
    i->has_chat_template = template && ink_chat_is_supported(m->tokenizer);
    m->warning = template ? ink_chat_template_difference(template) : NULL;
    i->warning = m->warning;
}

/* Architecture and tensors: those of files. */
static int open_files(struct ink_model *m, struct ink_error *error)
{
    /* a folder's configuration first: it is small, and most mistakes show there */
    bool is_folder = ink_path_kind(m->path) == INK_PATH_FOLDER;
    int status =
        is_folder ? ink_architecture_read_folder(&m->architecture, m->path, error) : INK_OK;
    if (status == INK_OK && is_folder) {
        m->config = ink_path_join(m->path, "config.json");
        status = m->config ? INK_OK : ink_fail_memory(error, strlen(m->path));
    }
    if (status == INK_OK) {
        status = ink_weights_open(&m->weights, m->path, error);
    }
    if (status == INK_OK && !is_folder && !m->weights.gguf) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: weights alone are no model; name the folder with its config.json",
                        m->path);
    }
    return status == INK_OK && m->weights.gguf ? read_gguf_architecture(m, error) : status;
}

/* Those that a configuration says. */
static int open_config(struct ink_model *m, const char *config, struct ink_error *error)
{
    m->config = ink_strdup(config);
    int status = m->config ? ink_architecture_read_new(&m->architecture, config, error)
                           : ink_fail_memory(error, strlen(config));
    return status == INK_OK ? ink_model_make_tensors(m, config, error) : status;
}

/* The model of files at m->path, or that of a configuration, which is in the folder m->path. */
static int open_parts(struct ink_model *m, const char *config,
                      const struct ink_model_options *options, struct ink_error *error)
{
    m->lock = ink_mutex_new();
    m->trie = ink_calloc(1, sizeof *m->trie);
    if (m->trie) {
        m->trie->lock = ink_mutex_new();
    }
    if (!m->path || !m->lock || !m->trie || !m->trie->lock) {
        return ink_fail_memory(error, sizeof *m);
    }
    int status = config ? open_config(m, config, error) : open_files(m, error);
    if (status == INK_OK) {
        status = bind_weights(m, options->check_weights, error);
    }
    if (status == INK_OK) {
        status = open_backend(m, options, error);
    }
    if (status == INK_OK) {
        status = load(m, options, error);
    }
    if (status == INK_OK) {
        fill_info(m);
    }
    return status;
}

/* `path` is taken over. */
static int open_model(struct ink_model **out, char *path, const char *config,
                      const struct ink_model_options *options, struct ink_error *error)
{
    *out = NULL;
    struct ink_model *m = ink_calloc(1, sizeof *m);
    if (!m) {
        ink_free(path);
        return ink_fail_memory(error, sizeof *m);
    }
    m->path = path;
    int status = open_parts(m, config, options, error);
    if (status != INK_OK) {
        ink_model_close(m);
        return status;
    }
    *out = m;
    return INK_OK;
}

int ink_model_open(struct ink_model **out, const char *path,
                   const struct ink_model_options *options, struct ink_error *error)
{
    static const struct ink_model_options defaults;
    return open_model(out, ink_strdup(path), NULL, options ? options : &defaults, error);
}

int ink_model_open_new(struct ink_model **out, const char *config,
                       const struct ink_model_options *options, struct ink_error *error)
{
    struct ink_model_options o = *options;
    o.without_weights = true;
    o.check_weights = false;
    return open_model(out, ink_path_folder(config), config, &o, error);
}

void ink_model_close(struct ink_model *m)
{
    if (!m) {
        return;
    }
    if (m->backend) {
        m->backend->close(m->backend);
    }
    if (m->trie && m->trie->close) {
        m->trie->close(m->trie->data);
    }
    if (m->trie) {
        ink_mutex_free(m->trie->lock);
    }
    ink_free(m->trie);
    ink_tokenizer_close(m->tokenizer);
    ink_weights_close(&m->weights);
    ink_mutex_free(m->lock);
    ink_free(m->layers);
    ink_free(m->warning);
    ink_free(m->config);
    ink_free(m->path);
    ink_free(m);
}

/* -------------------------------------------------------------------------------------- looking */

void ink_model_get_head_statistics(const struct ink_model *model, struct ink_head_statistics *out)
{
    *out = model->backend->head_statistics;
}

const struct ink_model_info *ink_model_get_info(const struct ink_model *model)
{
    return &model->info;
}

int ink_model_visit_tensors(const struct ink_model *model, ink_tensor_visitor *visit, void *context)
{
    int status = 0;
    for (int i = 0; i < model->weights.n_tensors && status == 0; i++) {
        const struct ink_tensor *t = &model->weights.tensors[i];
        status =
            visit(context, t->name, ink_type_facts(t->type)->name, t->shape, t->n_dims, t->n_bytes);
    }
    return status;
}

const struct ink_tokenizer *ink_model_tokenizer(const struct ink_model *m)
{
    return m->tokenizer;
}

/* The configuration's end tokens, and in ERNIE the marks around a chat's turns. */
bool ink_model_is_end_token(const struct ink_model *m, int32_t token)
{
    const struct ink_architecture *a = &m->architecture;
    for (int i = 0; i < a->n_end_tokens; i++) {
        if (a->end_tokens[i] == token) {
            return true;
        }
    }
    if (!m->tokenizer || token < 0) {
        return false;
    }
    const struct ink_tokenizer_facts *f = ink_tokenizer_get_facts(m->tokenizer);
    return (a->n_end_tokens == 0 && token == f->eos_id) ||
           (ink_chat_is_supported(m->tokenizer) && (token == f->cls_id || token == f->sep_id));
}

int32_t ink_model_plain_end_token(const struct ink_model *m)
{
    const int32_t eos = ink_tokenizer_get_facts(m->tokenizer)->eos_id;
    const bool stops = m->architecture.n_end_tokens == 0 || ink_model_is_end_token(m, eos);
    const int32_t token = stops ? eos : m->architecture.end_tokens[0];
    return token > 0 ? token : 0;
}
