#include "adapter.h"

#include "adapter_config.h"
#include "quant.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The matrices that an adapter may change, as PEFT calls them. */
static const struct {
    const char *module;
    size_t offset;  /* in struct ink_layer */
    bool has_pairs; /* rows are rotary pairs */
} matrices[] = {
    {"self_attn.q_proj", offsetof(struct ink_layer, query), true},
    {"self_attn.k_proj", offsetof(struct ink_layer, key), true},
    {"self_attn.v_proj", offsetof(struct ink_layer, value), false},
    {"self_attn.o_proj", offsetof(struct ink_layer, output), false},
    {"mlp.gate_proj", offsetof(struct ink_layer, gate), false},
    {"mlp.up_proj", offsetof(struct ink_layer, up), false},
    {"mlp.down_proj", offsetof(struct ink_layer, down), false},
};

struct opening {
    struct ink_adapter *adapter;
    struct ink_adapter_config config;
    struct ink_weights weights;
    char *config_path, *weights_path;
    bool *used; /* [weights.n_tensors] */
    float scale;
    size_t n_floats; /* of adapter->memory, used so far */
};

/* One matrix of the model, by turns. */
struct place {
    int layer, index; /* index: in matrices[] */
    const struct ink_weight *weight;
    struct ink_low_rank *term;
    char module[64]; /* "model.layers.0.self_attn.q_proj" */
    const struct ink_tensor *a, *b;
};

typedef int place_visitor(struct opening *o, struct place *p, struct ink_error *error);

static int visit_places(struct opening *o, place_visitor *visit, struct ink_error *error)
{
    const struct ink_model *m = o->adapter->model;
    int status = INK_OK;
    for (int i = 0; i < m->architecture.n_layers; i++) {
        for (int j = 0; j < INK_ADAPTED_MATRICES && status == INK_OK; j++) {
            const char *layer = (const char *)&m->layers[i];
            struct place p = {.layer = i, .index = j};
            p.weight = (const struct ink_weight *)(const void *)(layer + matrices[j].offset);
            p.term = &o->adapter->matrices[p.weight->adapted - 1];
            snprintf(p.module, sizeof p.module, "model.layers.%d.%s", i, matrices[j].module);
            status = visit(o, &p, error);
        }
    }
    return status;
}

/* -------------------------------------------------------------------------------------- tensors */

/* "lora_A.weight" or, with the adapter's name as PEFT has it in memory, "lora_A.default.weight". */
static const struct ink_tensor *find_tensor(const struct opening *o, const struct place *p,
                                            char which, char *name, size_t size)
{
    snprintf(name, size, "base_model.model.%s.lora_%c.default.weight", p->module, which);
    const struct ink_tensor *t = ink_weights_find(&o->weights, name);
    if (!t) {
        snprintf(name, size, "base_model.model.%s.lora_%c.weight", p->module, which);
        t = ink_weights_find(&o->weights, name);
    }
    if (t) {
        o->used[t - o->weights.tensors] = true;
    }
    return t;
}

/* Both tensors, or neither where they need not be. */
static int find_pair(struct opening *o, struct place *p, bool must_be, struct ink_error *error)
{
    char a_name[160], b_name[160];
    p->a = find_tensor(o, p, 'A', a_name, sizeof a_name);
    p->b = find_tensor(o, p, 'B', b_name, sizeof b_name);
    if ((must_be || p->a || p->b) && !(p->a && p->b)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", o->weights_path,
                        p->a ? b_name : a_name);
    }
    return INK_OK;
}

static int check_shape(const struct opening *o, const struct ink_tensor *t, int rows, int cols,
                       struct ink_error *error)
{
    const struct ink_type_facts *facts = ink_type_facts(t->type);
    if (facts->block_values != 1) { /* a GGUF file by that name */
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %s, which is not supported",
                        o->weights_path, t->name, facts->name);
    }
    if (t->n_dims != 2) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %d dimensions, not 2",
                        o->weights_path, t->name, t->n_dims);
    }
    if (t->shape[0] != rows || t->shape[1] != cols) {
        return ink_fail(
            error, INK_ERROR_INPUT, "%s: tensor \"%s\" is %lld x %lld, rank and model say %d x %d",
            o->weights_path, t->name, (long long)t->shape[0], (long long)t->shape[1], rows, cols);
    }
    return INK_OK;
}

static int padded_rows(const struct place *p)
{
    return (p->weight->rows + 15) / 16 * 16;
}

/* rows * cols floats that begin at a cache line. */
static void count_floats(struct opening *o, int rows, int cols)
{
    o->n_floats += ((size_t)rows * (size_t)cols + 15) / 16 * 16;
}

static float *take_floats(struct opening *o, int rows, int cols)
{
    float *at = o->adapter->memory + o->n_floats;
    count_floats(o, rows, cols);
    return at;
}

/* Is it a target, and are its tensors what they should be? */
static int plan_place(struct opening *o, struct place *p, struct ink_error *error)
{
    const enum ink_adapter_choice choice =
        ink_adapter_config_choose(&o->config, p->module, p->layer);
    int status = choice == INK_ADAPTER_LEAVES
                     ? INK_OK
                     : find_pair(o, p, choice == INK_ADAPTER_TARGETS, error);
    if (status != INK_OK || !p->a) {
        return status;
    }
    struct ink_adapter_info *info = &o->adapter->info;
    const int rank = ink_adapter_config_rank(&o->config, p->module);
    status = check_shape(o, p->a, rank, p->weight->cols, error);
    if (status == INK_OK) {
        status = check_shape(o, p->b, p->weight->rows, rank, error);
    }
    p->term->rank = rank;
    info->n_targets++;
    info->rank = rank > info->rank ? rank : info->rank;
    count_floats(o, rank, p->weight->cols);
    count_floats(o, rank, padded_rows(p));
    count_floats(o, rank, INK_MAX_ROWS);
    return status;
}

static int fail_values(const struct opening *o, const struct ink_tensor *t, uint64_t n_bad,
                       struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %llu values that are not finite",
                    o->weights_path, t->name, (unsigned long long)n_bad);
}

/* Where row r of the model's matrix lies in B. PEFT's adapters are of folders; GGUF files of Llama
 * models have the halves of their rotary pairs side by side, which in folders lie D/2 apart. */
static int source_row(const struct opening *o, const struct place *p, int r)
{
    const struct ink_architecture *a = &o->adapter->model->architecture;
    if (!matrices[p->index].has_pairs || !a->is_llama || a->rope_half) {
        return r;
    }
    const int i = r % a->head_dim;
    return r - i + i % 2 * (a->head_dim / 2) + i / 2;
}

/* B [rows, rank] scaled, 16 rows side by side. Scaled in double, so that a value is rounded once.
 */
static uint64_t load_b(struct opening *o, const struct place *p, float *out)
{
    const double scale = ink_adapter_config_scale(&o->config, p->module) * (double)o->scale;
    const int rank = p->term->rank, rows = p->weight->rows;
    const size_t row_bytes = (size_t)rank * (size_t)ink_type_facts(p->b->type)->block_bytes;
    float row[INK_MAX_RANK];
    uint64_t n_bad = 0;
    for (int r = 0; r < rows; r++) {
        const char *from = (const char *)p->b->data + row_bytes * (size_t)source_row(o, p, r);
        ink_dequantize(row, from, p->b->type, (uint64_t)rank);
        for (int k = 0; k < rank; k++) {
            const float value = (float)((double)row[k] * scale);
            n_bad += !isfinite(value);
            out[((size_t)(r / 16) * (size_t)rank + (size_t)k) * 16 + (size_t)(r % 16)] = value;
        }
    }
    return n_bad;
}

static int load_place(struct opening *o, struct place *p, struct ink_error *error)
{
    const int rank = p->term->rank, cols = p->weight->cols;
    uint64_t n_bad = 0;
    if (rank == 0) {
        return INK_OK;
    }
    int status = find_pair(o, p, true, error);
    if (status != INK_OK) {
        return status;
    }
    float *a = take_floats(o, rank, cols);
    ink_dequantize(a, p->a->data, p->a->type, (uint64_t)rank * (uint64_t)cols);
    for (size_t i = 0; i < (size_t)rank * (size_t)cols; i++) {
        n_bad += !isfinite(a[i]);
    }
    if (n_bad) {
        return fail_values(o, p->a, n_bad, error);
    }
    float *b = take_floats(o, rank, padded_rows(p));
    n_bad = load_b(o, p, b);
    if (n_bad) {
        return fail_values(o, p->b, n_bad, error);
    }
    p->term->a = a;
    p->term->b = b;
    p->term->product = take_floats(o, rank, INK_MAX_ROWS);
    return INK_OK;
}

/* --------------------------------------------------------------------------------------- checks */

/* Does a name of target_modules mean any matrix? */
static bool means_something(const struct ink_model *m, const char *name)
{
    char module[64];
    for (int i = 0; i < m->architecture.n_layers; i++) {
        for (size_t j = 0; j < INK_COUNT(matrices); j++) {
            snprintf(module, sizeof module, "model.layers.%d.%s", i, matrices[j].module);
            if (ink_adapter_name_matches(name, module)) {
                return true;
            }
        }
    }
    return false;
}

static int check_config(const struct opening *o, struct ink_error *error)
{
    const struct ink_model *m = o->adapter->model;
    const int n_layers = m->architecture.n_layers;
    const cJSON *layers = o->config.layers, *item;
    cJSON_ArrayForEach(item, o->config.targets)
    {
        if (!means_something(m, item->valuestring)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: \"%s\": \"%s\" is no matrix that an adapter can change in %s",
                            o->config_path, "target_modules", item->valuestring, m->path);
        }
    }
    for (item = cJSON_IsArray(layers) ? layers->child : layers; item;
         item = item == layers ? NULL : item->next) {
        if (!(item->valuedouble >= 0 && item->valuedouble < n_layers)) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %d to %d",
                            o->config_path, "layers_to_transform", item->valuedouble, 0,
                            n_layers - 1);
        }
    }
    return INK_OK;
}

static int check_tensors(const struct opening *o, struct ink_error *error)
{
    for (int i = 0; i < o->weights.n_tensors; i++) {
        if (!o->used[i]) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: tensor \"%s\" is not of a matrix that the configuration targets",
                            o->weights_path, o->weights.tensors[i].name);
        }
    }
    if (o->adapter->info.n_targets == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: the adapter changes nothing in %s",
                        o->config_path, o->adapter->model->path);
    }
    return INK_OK;
}

/* -------------------------------------------------------------------------------------- opening */

static int open_weights(struct opening *o, const char *folder, struct ink_error *error)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapter_model.bin"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        ink_free(o->weights_path);
        o->weights_path = ink_path_join(folder, names[i]);
        if (!o->weights_path) {
            return ink_fail_memory(error, strlen(folder));
        }
        if (ink_path_kind(o->weights_path) != INK_PATH_NONE) {
            break;
        }
        if (i + 1 == INK_COUNT(names)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: no weights of an adapter in this folder "
                            "(adapter_model.safetensors or adapter_model.bin)",
                            folder);
        }
    }
    int status = ink_weights_open(&o->weights, o->weights_path, error);
    if (status == INK_OK) {
        o->used = ink_calloc((size_t)o->weights.n_tensors, sizeof *o->used);
        status = o->used ? INK_OK : ink_fail_memory(error, (uint64_t)o->weights.n_tensors);
    }
    return status;
}

static int take_memory(struct opening *o, struct ink_error *error)
{
    struct ink_adapter_info *info = &o->adapter->info;
    const uint64_t needed = (uint64_t)o->n_floats * sizeof(float);
    const uint64_t free_bytes = ink_system_free_memory();
    if (needed > free_bytes || needed > SIZE_MAX) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: the weights need %.1f MiB, and %.1f MiB are free", info->path,
                        (double)needed / 1048576, (double)free_bytes / 1048576);
    }
    info->bytes += needed;
    o->adapter->memory = ink_alloc_aligned((size_t)needed);
    o->n_floats = 0;
    return o->adapter->memory ? INK_OK : ink_fail_memory(error, needed);
}

static int open_parts(struct opening *o, const char *path, struct ink_error *error)
{
    struct ink_adapter *a = o->adapter;
    const int n_places = a->model->architecture.n_layers * INK_ADAPTED_MATRICES;
    a->path = ink_strdup(path);
    a->matrices = ink_calloc((size_t)n_places, sizeof *a->matrices);
    o->config_path = ink_path_join(path, "adapter_config.json");
    a->info = (struct ink_adapter_info){.path = a->path, .scale = o->scale};
    a->info.bytes = sizeof *a + (uint64_t)n_places * sizeof *a->matrices;
    if (!a->path || !a->matrices || !o->config_path) {
        return ink_fail_memory(error, a->info.bytes);
    }
    int status = ink_adapter_config_read(&o->config, o->config_path, INK_MAX_RANK, n_places, error);
    if (status == INK_OK) {
        status = check_config(o, error);
    }
    if (status == INK_OK) {
        status = open_weights(o, path, error);
    }
    if (status == INK_OK) {
        status = visit_places(o, plan_place, error);
    }
    if (status == INK_OK) {
        status = check_tensors(o, error);
    }
    if (status == INK_OK) {
        status = take_memory(o, error);
    }
    return status == INK_OK ? visit_places(o, load_place, error) : status;
}

int ink_adapter_open(struct ink_adapter **out, struct ink_model *model, const char *path,
                     float scale, struct ink_error *error)
{
    *out = NULL;
    if (!isfinite(scale)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: the scale is not a finite number", path);
    }
    struct ink_adapter *a = ink_calloc(1, sizeof *a);
    if (!a) {
        return ink_fail_memory(error, sizeof *a);
    }
    a->model = model;
    struct opening o = {.adapter = a, .scale = scale};
    int status = open_parts(&o, path, error);
    ink_adapter_config_close(&o.config);
    ink_weights_close(&o.weights);
    ink_free(o.config_path);
    ink_free(o.weights_path);
    ink_free(o.used);
    if (status != INK_OK) {
        ink_adapter_close(a);
        return status;
    }
    *out = a;
    return INK_OK;
}

void ink_adapter_close(struct ink_adapter *adapter)
{
    if (adapter) {
        ink_free_aligned(adapter->memory);
        ink_free(adapter->matrices);
        ink_free(adapter->path);
        ink_free(adapter);
    }
}

const struct ink_adapter_info *ink_adapter_get_info(const struct ink_adapter *adapter)
{
    return &adapter->info;
}
