#include "lora.h"

#include "quant.h"
#include "random.h"
#include "weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const targets[INK_ADAPTED_MATRICES] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

const char *ink_lora_target_name(int i)
{
    return i >= 0 && i < INK_ADAPTED_MATRICES ? targets[i] : NULL;
}

double ink_lora_scale(const struct ink_lora_settings *s)
{
    return s->use_rslora ? s->alpha / sqrt(s->rank) : s->alpha / s->rank;
}

/* ------------------------------------------------------------------------------------- opening */

struct making {
    const struct ink_lora_settings *settings;
    struct ink_parameters *parameters; /* NULL: only count */
    uint64_t floats, random;
    int n;
};

static bool is_target(const struct ink_weight *w, const struct ink_lora_settings *s)
{
    return w->adapted > 0 && (s->targets >> (w->adapted - 1) % INK_ADAPTED_MATRICES & 1) != 0;
}

static int add_pair(struct making *m, const struct ink_weight *w, const char *module,
                    struct ink_error *error)
{
    char name[320];
    const int rank = m->settings->rank;
    struct ink_parameters *p = m->parameters;
    snprintf(name, sizeof name, "base_model.model.%s.lora_A.weight", module);
    int status = ink_parameters_add(p, name, rank, w->cols, w, error);
    if (status == INK_OK) {
        struct ink_parameter *a = &p->list[p->n - 1];
        const float most = 1.0f / sqrtf((float)w->cols);
        for (size_t i = 0; i < (size_t)rank * (size_t)w->cols; i++) {
            a->value[i] = most * (float)ink_random_signed(&m->random);
        }
        snprintf(name, sizeof name, "base_model.model.%s.lora_B.weight", module);
        status = ink_parameters_add(p, name, w->rows, rank, w, error);
    }
    return status;
}

static int visit(void *context, struct ink_weight *w, const struct ink_tensor_role *role, int layer,
                 struct ink_error *error)
{
    static const char tail[] = ".weight";
    struct making *m = context;
    char module[256];
    if (!is_target(w, m->settings)) {
        return INK_OK;
    }
    const uint64_t rank = (uint64_t)m->settings->rank;
    m->floats += ink_parameters_padded(rank * (uint64_t)w->cols) +
                 ink_parameters_padded(rank * (uint64_t)w->rows);
    m->n += 2;
    if (!m->parameters) {
        return INK_OK;
    }
    ink_model_tensor_name(module, sizeof module, role->hf_name, layer);
    module[strlen(module) - (sizeof tail - 1)] = 0;
    return add_pair(m, w, module, error);
}

uint64_t ink_lora_floats(const struct ink_model *model, const struct ink_lora_settings *settings)
{
    struct making m = {.settings = settings};
    ink_model_visit_weights((struct ink_model *)model, visit, &m, NULL);
    return m.floats;
}

int ink_lora_open(struct ink_parameters **out, struct ink_model *model,
                  const struct ink_lora_settings *settings, struct ink_error *error)
{
    struct making m = {.settings = settings, .random = settings->seed};
    *out = NULL;
    ink_model_visit_weights(model, visit, &m, NULL);
    int status = ink_parameters_new(&m.parameters, m.n, m.floats, m.floats, error);
    if (status == INK_OK) {
        status = ink_model_visit_weights(model, visit, &m, error);
    }
    if (status != INK_OK) {
        ink_parameters_close(m.parameters);
        return status;
    }
    *out = m.parameters;
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- loading */

static int load_one(struct ink_parameter *one, const struct ink_weights *weights, const char *path,
                    struct ink_error *error)
{
    const struct ink_tensor *t = ink_weights_find(weights, one->name);
    const int rows = one->matrix.rows, cols = one->matrix.cols;
    if (!t) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", path, one->name);
    }
    if (t->n_dims != 2) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %d dimensions, not 2", path,
                        t->name, t->n_dims);
    }
    if (t->shape[0] != rows || t->shape[1] != cols) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%s\" is %lld x %lld, rank and model say %d x %d", path,
                        t->name, (long long)t->shape[0], (long long)t->shape[1], rows, cols);
    }
    ink_dequantize(one->value, t->data, t->type, ink_tensor_count(t));
    return INK_OK;
}

int ink_lora_load(struct ink_parameters *lora, const char *folder, struct ink_error *error)
{
    struct ink_weights weights = {0};
    struct ink_string path = {0};
    ink_string_puts(&path, folder);
    ink_string_puts(&path, "/adapter_model.safetensors");
    int status = path.failed ? ink_fail_memory(error, strlen(folder))
                             : ink_weights_open(&weights, path.data, error);
    for (int i = 0; i < lora->n && status == INK_OK; i++) {
        status = load_one(&lora->list[i], &weights, path.data, error);
    }
    for (int i = 0; i < weights.n_tensors && status == INK_OK; i++) {
        const char *name = weights.tensors[i].name;
        if (!ink_parameters_find_name(lora, name)) {
            status =
                ink_fail(error, INK_ERROR_INPUT,
                         "%s: tensor \"%s\" belongs to no matrix that is trained", path.data, name);
        }
    }
    ink_weights_close(&weights);
    ink_string_free(&path);
    return status;
}
