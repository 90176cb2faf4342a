#include "adapter_source.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The matrices that an adapter may change, as PEFT and GGUF call them. */
static const struct {
    const char *module, *gguf_name;
    size_t offset;  /* in struct ink_layer */
    bool has_pairs; /* rows are rotary pairs */
} matrices[INK_ADAPTED_MATRICES] = {
    {"self_attn.q_proj", "attn_q", offsetof(struct ink_layer, query), true},
    {"self_attn.k_proj", "attn_k", offsetof(struct ink_layer, key), true},
    {"self_attn.v_proj", "attn_v", offsetof(struct ink_layer, value), false},
    {"self_attn.o_proj", "attn_output", offsetof(struct ink_layer, output), false},
    {"mlp.gate_proj", "ffn_gate", offsetof(struct ink_layer, gate), false},
    {"mlp.up_proj", "ffn_up", offsetof(struct ink_layer, up), false},
    {"mlp.down_proj", "ffn_down", offsetof(struct ink_layer, down), false},
};

struct module_name {
    char text[64]; /* "model.layers.0.self_attn.q_proj" */
};

static struct module_name module_name(int layer, int kind)
{
    struct module_name name;
    snprintf(name.text, sizeof name.text, "model.layers.%d.%s", layer, matrices[kind].module);
    return name;
}

void ink_adapter_gguf_name(char *out, size_t n, const struct ink_adapter_place *p, char which)
{
    snprintf(out, n, "blk.%d.%s.weight.lora_%c", p->layer, matrices[p->kind].gguf_name, which);
}

bool ink_adapter_has_pairs(const struct ink_adapter_place *p)
{
    return matrices[p->kind].has_pairs;
}

int ink_adapter_source_row(const struct ink_adapter_source *s, const struct ink_adapter_place *p,
                           int r)
{
    const struct ink_architecture *a = &s->model->architecture;
    const bool has_half_pairs = a->is_llama && !s->is_gguf;
    if (!ink_adapter_has_pairs(p) || has_half_pairs == a->rope_half) {
        return r;
    }
    const int i = r % a->head_dim, half = a->head_dim / 2;
    if (has_half_pairs) {
        return r - i + i % 2 * half + i / 2;
    }
    return r - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/* -------------------------------------------------------------------------------------- tensors */

const struct ink_tensor *ink_adapter_use_tensor(struct ink_adapter_source *s, const char *name)
{
    const struct ink_tensor *t = ink_weights_find(&s->weights, name);
    if (t) {
        s->used[t - s->weights.tensors] = true;
    }
    return t;
}

int ink_adapter_open_weights(struct ink_adapter_source *s, struct ink_error *error)
{
    int status = ink_weights_open(&s->weights, s->weights_path, error);
    if (status == INK_OK) {
        s->used = ink_calloc((size_t)s->weights.n_tensors, sizeof *s->used);
        status = s->used ? INK_OK : ink_fail_memory(error, (uint64_t)s->weights.n_tensors);
    }
    return status;
}

static int find_weights(struct ink_adapter_source *s, struct ink_error *error)
{
    static const char *const names[] = {"adapter_model.safetensors", "adapter_model.bin"};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        ink_free(s->weights_path);
        s->weights_path = ink_path_join(s->path, names[i]);
        if (!s->weights_path) {
            return ink_fail_memory(error, strlen(s->path));
        }
        if (ink_path_kind(s->weights_path) != INK_PATH_NONE) {
            return INK_OK;
        }
    }
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: no weights of an adapter in this folder "
                    "(adapter_model.safetensors or adapter_model.bin)",
                    s->path);
}

/* "lora_A.weight" or, with the adapter's name as PEFT has it in memory, "lora_A.default.weight". */
static const struct ink_tensor *find_tensor(struct ink_adapter_source *s, const char *module,
                                            char which, char *name, size_t size)
{
    snprintf(name, size, "base_model.model.%s.lora_%c.default.weight", module, which);
    const struct ink_tensor *t = ink_adapter_use_tensor(s, name);
    if (!t) {
        snprintf(name, size, "base_model.model.%s.lora_%c.weight", module, which);
        t = ink_adapter_use_tensor(s, name);
    }
    return t;
}

/* Both tensors, or neither where they need not be. */
static int find_pair(struct ink_adapter_source *s, struct ink_adapter_place *p, const char *module,
                     bool must_be, struct ink_error *error)
{
    char a_name[160], b_name[160];
    p->a = find_tensor(s, module, 'A', a_name, sizeof a_name);
    p->b = find_tensor(s, module, 'B', b_name, sizeof b_name);
    if ((must_be || p->a || p->b) && !(p->a && p->b)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", s->weights_path,
                        p->a ? b_name : a_name);
    }
    return INK_OK;
}

static int check_shape(const struct ink_adapter_source *s, const struct ink_tensor *t, int rows,
                       int cols, struct ink_error *error)
{
    const struct ink_type_facts *facts = ink_type_facts(t->type);
    if (facts->block_values != 1 && !s->is_gguf) { /* a GGUF file by that name */
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %s, which is not supported",
                        s->weights_path, t->name, facts->name);
    }
    if (t->n_dims != 2) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %d dimensions, not 2",
                        s->weights_path, t->name, t->n_dims);
    }
    if (t->shape[0] != rows || t->shape[1] != cols) {
        return ink_fail(
            error, INK_ERROR_INPUT, "%s: tensor \"%s\" is %lld x %lld, rank and model say %d x %d",
            s->weights_path, t->name, (long long)t->shape[0], (long long)t->shape[1], rows, cols);
    }
    return INK_OK;
}

/* Are the tensors of a place what they should be? */
static int check_place(struct ink_adapter_source *s, const struct ink_adapter_place *p,
                       struct ink_error *error)
{
    if (p->rank == 0) {
        return INK_OK;
    }
    int status = check_shape(s, p->a, p->rank, p->weight->cols, error);
    if (status == INK_OK) {
        status = check_shape(s, p->b, p->weight->rows, p->rank, error);
    }
    s->n_targets++;
    s->rank = p->rank > s->rank ? p->rank : s->rank;
    return status;
}

static int check_tensors(const struct ink_adapter_source *s, struct ink_error *error)
{
    for (int i = 0; i < s->weights.n_tensors; i++) {
        const char *name = s->weights.tensors[i].name;
        if (!s->used[i] && s->is_gguf) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: tensor \"%s\" is not of a matrix that an adapter can change in %s",
                            s->weights_path, name, s->model->path);
        }
        if (!s->used[i]) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: tensor \"%s\" is not of a matrix that the configuration targets",
                            s->weights_path, name);
        }
    }
    if (s->n_targets == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: the adapter changes nothing in %s",
                        s->config_path, s->model->path);
    }
    return INK_OK;
}

/* --------------------------------------------------------------------------------- configuration
 */

/* Does a name of target_modules mean any matrix? */
static bool means_something(const struct ink_model *m, const char *name)
{
    for (int layer = 0; layer < m->architecture.n_layers; layer++) {
        for (int kind = 0; kind < INK_ADAPTED_MATRICES; kind++) {
            const struct module_name module = module_name(layer, kind);
            if (ink_adapter_name_matches(name, module.text)) {
                return true;
            }
        }
    }
    return false;
}

static int check_config(const struct ink_adapter_source *s, struct ink_error *error)
{
    const int n_layers = s->model->architecture.n_layers;
    const cJSON *layers = s->config.layers, *item;
    cJSON_ArrayForEach(item, s->config.targets)
    {
        if (!means_something(s->model, item->valuestring)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: \"%s\": \"%s\" is no matrix that an adapter can change in %s",
                            s->config_path, "target_modules", item->valuestring, s->model->path);
        }
    }
    for (item = cJSON_IsArray(layers) ? layers->child : layers; item;
         item = item == layers ? NULL : item->next) {
        if (!(item->valuedouble >= 0 && item->valuedouble < n_layers)) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %d to %d",
                            s->config_path, "layers_to_transform", item->valuedouble, 0,
                            n_layers - 1);
        }
    }
    return INK_OK;
}

/* Is it a target, and where are its tensors? */
static int read_place(struct ink_adapter_source *s, struct ink_adapter_place *p,
                      struct ink_error *error)
{
    const struct module_name module = module_name(p->layer, p->kind);
    const enum ink_adapter_choice choice =
        ink_adapter_config_choose(&s->config, module.text, p->layer);
    int status = choice == INK_ADAPTER_LEAVES
                     ? INK_OK
                     : find_pair(s, p, module.text, choice == INK_ADAPTER_TARGETS, error);
    if (status == INK_OK && p->a) {
        p->rank = ink_adapter_config_rank(&s->config, module.text);
        p->scale = ink_adapter_config_scale(&s->config, module.text);
    }
    return status;
}

static int open_folder(struct ink_adapter_source *s, struct ink_error *error)
{
    s->config_path = ink_path_join(s->path, "adapter_config.json");
    if (!s->config_path) {
        return ink_fail_memory(error, strlen(s->path));
    }
    int status =
        ink_adapter_config_read(&s->config, s->config_path, INK_MAX_RANK, s->n_places, error);
    if (status == INK_OK) {
        status = check_config(s, error);
    }
    if (status == INK_OK) {
        status = find_weights(s, error);
    }
    if (status == INK_OK) {
        status = ink_adapter_open_weights(s, error);
    }
    s->alpha = (double)s->config.alpha * (s->config.use_rslora ? sqrt((double)s->config.rank) : 1);
    return status;
}

/* -------------------------------------------------------------------------------------- opening */

static int make_places(struct ink_adapter_source *s, struct ink_error *error)
{
    const int n_layers = s->model->architecture.n_layers;
    s->n_places = n_layers * INK_ADAPTED_MATRICES;
    s->places = ink_calloc((size_t)s->n_places, sizeof *s->places);
    if (!s->places) {
        return ink_fail_memory(error, (uint64_t)s->n_places * sizeof *s->places);
    }
    for (int layer = 0; layer < n_layers; layer++) {
        for (int kind = 0; kind < INK_ADAPTED_MATRICES; kind++) {
            const char *at = (const char *)&s->model->layers[layer] + matrices[kind].offset;
            const struct ink_weight *weight = (const struct ink_weight *)(const void *)at;
            s->places[weight->adapted - 1] =
                (struct ink_adapter_place){.weight = weight, .layer = layer, .kind = kind};
        }
    }
    return INK_OK;
}

int ink_adapter_source_open(struct ink_adapter_source *out, const struct ink_model *model,
                            const char *path, struct ink_error *error)
{
    *out = (struct ink_adapter_source){
        .model = model, .path = path, .is_gguf = ink_path_kind(path) == INK_PATH_FILE};
    int status = make_places(out, error);
    if (status == INK_OK) {
        status = out->is_gguf ? ink_adapter_open_gguf(out, error) : open_folder(out, error);
    }
    for (int i = 0; i < out->n_places && status == INK_OK; i++) {
        struct ink_adapter_place *p = &out->places[i];
        status = out->is_gguf ? ink_adapter_read_gguf(out, p, error) : read_place(out, p, error);
        if (status == INK_OK) {
            status = check_place(out, p, error);
        }
    }
    return status == INK_OK ? check_tensors(out, error) : status;
}

void ink_adapter_source_close(struct ink_adapter_source *s)
{
    ink_adapter_config_close(&s->config);
    ink_weights_close(&s->weights);
    ink_free(s->config_path);
    ink_free(s->weights_path);
    ink_free(s->places);
    ink_free(s->used);
    *s = (struct ink_adapter_source){0};
}
