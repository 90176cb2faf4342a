/* The tensors of a model that is yet to be trained. */
#include "model.h"

#include <string.h>

/* Keeps every count of bytes, with moments and gradients, far from 2^64. */
static const uint64_t max_values = (uint64_t)1 << 40;

struct making {
    struct ink_model *model;
    const char *path;
    uint64_t n_values;
};

static int make_tensor(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                       int layer, struct ink_error *error)
{
    struct making *m = context;
    char name[128];
    const int64_t matrix[] = {w->rows, w->cols};
    const uint64_t n_values = (uint64_t)w->rows * (uint64_t)w->cols;
    m->n_values += n_values;
    if (m->n_values > max_values) {
        return ink_fail(error, INK_ERROR_LIMIT, "%s: more than %llu weights are not supported",
                        m->path, (unsigned long long)max_values);
    }
    ink_model_tensor_name(name, sizeof name, role->hf_name, layer);
    return ink_weights_add(&m->model->weights, name, strlen(name), INK_TYPE_F32,
                           w->is_vector ? matrix + 1 : matrix, w->is_vector ? 1 : 2, NULL,
                           n_values * sizeof(float), m->path, error);
}

int ink_model_make_tensors(struct ink_model *m, const char *path, struct ink_error *error)
{
    struct making making = {m, path, 0};
    m->layers = ink_calloc((size_t)m->architecture.n_layers, sizeof *m->layers);
    if (!m->layers) {
        return ink_fail_memory(error, (uint64_t)m->architecture.n_layers * sizeof *m->layers);
    }
    m->weights.format = "configuration";
    int status = ink_model_visit_weights(m, make_tensor, &making, error);
    return status == INK_OK ? ink_weights_build_index(&m->weights, path, error) : status;
}
