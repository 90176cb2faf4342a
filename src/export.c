#include "export.h"

#include "adapter_source.h"
#include "quant.h"

#include <string.h>

/* ------------------------------------------------------------------------------ what to write */

struct planner {
    struct ink_export *export;
    const struct ink_model *copy; /* the model whose weights are visited */
};

/* Types that safetensors has. */
static bool is_plain(enum ink_type type)
{
    return type == INK_TYPE_F32 || type == INK_TYPE_F16 || type == INK_TYPE_BF16;
}

/* Hugging Face folders have no block types. Their values widen to float32 without loss, and to
 * nothing smaller: exactness goes before size. */
static enum ink_type native_matrix_type(const struct ink_export *e, enum ink_type type)
{
    return e->to_gguf || is_plain(type) ? type : INK_TYPE_F32;
}

static enum ink_type matrix_type(const struct ink_export *e, const struct ink_tensor *t)
{
    const int width = ink_type_facts(e->type)->block_values;
    const bool fits = t->shape[t->n_dims - 1] % width == 0;
    return e->is_native || !fits ? native_matrix_type(e, t->type) : e->type;
}

static float narrow_and_back(float x, enum ink_type type)
{
    return type == INK_TYPE_BF16  ? ink_f32_from_bf16(ink_bf16_from_f32(x))
           : type == INK_TYPE_F16 ? ink_f32_from_f16(ink_f16_from_f32(x))
                                  : x;
}

/* Does float vector t hold only values that `type` holds too? */
static bool survives(const struct ink_tensor *t, enum ink_type type)
{
    const uint64_t n = ink_tensor_count(t);
    const size_t size = (size_t)ink_type_facts(t->type)->block_bytes;
    for (uint64_t i = 0; i < n; i++) {
        float x;
        ink_dequantize(&x, (const char *)t->data + i * size, t->type, 1);
        if (!(narrow_and_back(x, type) == x)) {
            return false;
        }
    }
    return true;
}

/* llama.cpp needs float32 vectors. In folders they have the matrices' type, as transformers writes
 * them; where that would lose something and nobody asked for it, they stay float32. */
static enum ink_type vector_type(const struct ink_export *e, const struct ink_tensor *t)
{
    if (e->to_gguf) {
        return INK_TYPE_F32;
    }
    if (!e->is_native) {
        return e->type;
    }
    const enum ink_type type = native_matrix_type(e, e->model->layers[0].down.tensor->type);
    return is_plain(t->type) && survives(t, type) ? type : INK_TYPE_F32;
}

static bool has_rotary_pairs(const struct ink_model *m, const struct ink_weight *w, int layer)
{
    const struct ink_layer *l = layer >= 0 ? &m->layers[layer] : NULL;
    return l && (w == &l->query || w == &l->key || w == &l->query_bias || w == &l->key_bias);
}

/* What the adapter adds to a weight; NULL: nothing. */
static const struct ink_low_rank *term_of(const struct ink_export *e, const struct ink_weight *w)
{
    const struct ink_low_rank *term =
        e->merged && w->adapted ? &e->merged->matrices[w->adapted - 1] : NULL;
    return term && term->rank > 0 ? term : NULL;
}

static int fail_merged_type(const struct ink_export *e, const struct ink_export_item *item,
                            struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_ARGUMENT,
                    "%s: tensor \"%s\" is %s, which cannot be written again once an adapter is "
                    "merged into it; give a type (f32, bf16, f16, q8_0)",
                    e->model->path, item->tensor->name, ink_type_facts(item->type)->name);
}

static int add_item(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                    int layer, struct ink_error *error)
{
    struct planner *p = context;
    struct ink_export *e = p->export;
    const struct ink_architecture *a = &p->copy->architecture;
    const bool half_pairs = !e->to_gguf && a->is_llama;
    struct ink_export_item *item = &e->items[e->n_items++];
    ink_model_tensor_name(item->name, sizeof item->name,
                          e->to_gguf ? role->gguf_name : role->hf_name, layer);
    item->tensor = w->tensor;
    item->is_vector = w->is_vector;
    item->type = w->is_vector ? vector_type(e, w->tensor) : matrix_type(e, w->tensor);
    item->term = term_of(e, w);
    item->factor = 1;
    const bool permute = half_pairs != a->rope_half && has_rotary_pairs(p->copy, w, layer);
    item->head_dim = permute ? a->head_dim : 0;
    item->n_bytes = ink_type_bytes(item->type, ink_tensor_count(w->tensor));
    e->total += item->n_bytes;
    return item->term && !is_plain(item->type) && item->type != INK_TYPE_Q8_0
               ? fail_merged_type(e, item, error)
               : INK_OK;
}

/* Visiting writes into the weights, and other threads may be reading them: visit a copy. It has the
 * weights and what the visitor looks at, no more: ink_eval in another thread writes into the rest.
 */
static int plan(struct ink_export *e, struct ink_error *error)
{
    const size_t n_layers = (size_t)e->model->architecture.n_layers;
    const size_t n_items = (size_t)e->model->weights.n_tensors;
    struct ink_model *copy = ink_calloc(1, sizeof *copy);
    struct ink_layer *layers = ink_calloc(n_layers, sizeof *layers);
    e->items = ink_calloc(n_items, sizeof *e->items);
    int status = INK_OK;
    if (!copy || !layers || !e->items) {
        status = ink_fail_memory(error, n_items * sizeof *e->items);
    } else {
        memcpy(layers, e->model->layers, n_layers * sizeof *layers);
        copy->architecture = e->model->architecture;
        copy->embedding = e->model->embedding;
        copy->final_norm = e->model->final_norm;
        copy->head = e->model->head;
        copy->layers = layers;
        e->to_half_pairs = !e->to_gguf;
        struct planner p = {e, copy};
        status = ink_model_visit_weights(copy, add_item, &p, error);
    }
    ink_free(layers);
    ink_free(copy);
    return status;
}

static int take_buffers(struct ink_export *e, struct ink_error *error)
{
    const size_t n_packed = (size_t)INK_EXPORT_BATCH * INK_EXPORT_PIECE;
    e->n_lanes =
        e->model->info.threads < INK_EXPORT_BATCH ? e->model->info.threads : INK_EXPORT_BATCH;
    e->values = ink_calloc((size_t)e->n_lanes * INK_EXPORT_PIECE, sizeof *e->values);
    e->packed = ink_calloc(n_packed, sizeof(float));
    return e->values && e->packed ? INK_OK : ink_fail_memory(error, n_packed * sizeof(float));
}

/* ------------------------------------------------------------------------------------- checking */

static int check_type(const struct ink_export *e, struct ink_error *error)
{
    const bool is_q8 = !e->is_native && e->type == INK_TYPE_Q8_0;
    if (e->adapter && !e->to_gguf) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: an adapter is written as a GGUF file; give a name that ends in "
                        "\".gguf\"",
                        e->out_path);
    }
    if (e->adapter && is_q8) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: an adapter cannot have type q8_0 (native, f32, bf16, f16)",
                        e->out_path);
    }
    if (is_q8 && !e->to_gguf) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: a folder cannot hold type q8_0; give a name that ends in "
                        "\".gguf\"",
                        e->out_path);
    }
    return INK_OK;
}

static int read_type(struct ink_export *e, const char *name, struct ink_error *error)
{
    static const struct {
        const char *name;
        enum ink_type type;
    } types[] = {
        {"f32", INK_TYPE_F32},
        {"bf16", INK_TYPE_BF16},
        {"f16", INK_TYPE_F16},
        {"q8_0", INK_TYPE_Q8_0},
    };
    bool found = e->is_native = !name || strcmp(name, "native") == 0;
    for (size_t i = 0; i < INK_COUNT(types) && !found; i++) {
        if (strcmp(name, types[i].name) == 0) {
            e->type = types[i].type;
            found = true;
        }
    }
    return found ? check_type(e, error)
                 : ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: unknown type \"%s\" (native, f32, bf16, f16, q8_0)", e->out_path,
                            name);
}

/* The model, or one of its files under another name. */
static bool is_model(const struct ink_export *e)
{
    const struct ink_weights *w = &e->model->weights;
    bool found = ink_path_is_same(e->out_path, e->model->path);
    for (int i = 0; i < w->n_files && !found; i++) {
        found = ink_mapping_is_of(&w->files[i], e->out_path);
    }
    return found;
}

static bool is_adapter(const struct ink_export *e)
{
    const char *path = e->adapter ? e->adapter->weights_path : e->merged ? e->merged->path : NULL;
    return path && ink_path_is_same(e->out_path, path);
}

static int check_target(const struct ink_export *e, struct ink_error *error)
{
    const enum ink_path_kind kind = ink_path_kind(e->out_path);
    if (is_model(e)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: is the model that is being read",
                        e->out_path);
    }
    if (is_adapter(e)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: is the adapter that is being read",
                        e->out_path);
    }
    if (kind != INK_PATH_NONE && !(e->to_gguf && kind == INK_PATH_FILE)) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: exists already", e->out_path);
    }
    return INK_OK;
}

/* What the target's format cannot say. */
static int check_model(const struct ink_export *e, struct ink_error *error)
{
    const struct ink_architecture *a = &e->model->architecture;
    const struct ink_tokenizer *t = e->model->tokenizer;
    if (!e->to_gguf && !a->is_llama && a->attention_bias != a->mlp_bias) {
        return ink_fail(
            error, INK_ERROR_INPUT,
            "%s: has biases in attention or MLP only; an ERNIE folder says \"use_bias\" "
            "for both",
            e->model->path);
    }
    /* GGUF's "llama" vocabulary means BPE to every reader: a unigram model's ids would change. */
    if (e->to_gguf && t && strcmp(ink_tokenizer_get_facts(t)->model_type, "bpe") != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: the tokenizer is a unigram model, which GGUF cannot hold (open the "
                        "model without its tokenizer to write the weights alone)",
                        e->model->path);
    }
    return INK_OK;
}

static size_t length_without_slashes(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return n;
}

static int write_model(struct ink_export *e, struct ink_error *error)
{
    int status = check_model(e, error);
    if (status == INK_OK) {
        status = plan(e, error);
    }
    if (status == INK_OK) {
        status = e->to_gguf ? ink_export_write_gguf(e, error) : ink_export_write_folder(e, error);
    }
    return status;
}

static int write_adapter(struct ink_export *e, struct ink_error *error)
{
    int status = ink_export_plan_adapter(e, error);
    return status == INK_OK ? ink_export_write_adapter(e, error) : status;
}

static int check_and_write(struct ink_export *e, const char *type, struct ink_error *error)
{
    int status = *e->out_path
                     ? read_type(e, type, error)
                     : ink_fail(error, INK_ERROR_ARGUMENT, "%s: no name to write to", e->out_path);
    if (status == INK_OK) {
        status = check_target(e, error);
    }
    if (status == INK_OK) {
        status = take_buffers(e, error);
    }
    if (status == INK_OK) {
        status = e->adapter ? write_adapter(e, error) : write_model(e, error);
    }
    return status;
}

int ink_export_run(struct ink_export *e, const char *out_path, const char *type,
                   struct ink_error *error)
{
    const size_t n = length_without_slashes(out_path);
    char *path = ink_strndup(out_path, n);
    if (!path) {
        return ink_fail_memory(error, n);
    }
    e->out_path = path;
    e->to_gguf = n > 5 && strcmp(path + n - 5, ".gguf") == 0;
    const int status = check_and_write(e, type, error);
    ink_free(e->items);
    ink_free(e->values);
    ink_free(e->packed);
    ink_free(path);
    return status;
}

int ink_export(const struct ink_model *model, const char *out_path, const char *type,
               ink_progress_function *progress, void *context, struct ink_error *error)
{
    return ink_export_merged(model, NULL, out_path, type, progress, context, error);
}

int ink_export_merged(const struct ink_model *model, const struct ink_adapter *adapter,
                      const char *out_path, const char *type, ink_progress_function *progress,
                      void *context, struct ink_error *error)
{
    struct ink_export e = {.model = model,
                           .merged = adapter,
                           .source_path = model->path,
                           .progress = progress,
                           .context = context};
    if (adapter && adapter->model != model) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the adapter was opened for another model",
                        adapter->path);
    }
    return ink_export_run(&e, out_path, type, error);
}
