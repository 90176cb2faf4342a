#include "parameters.h"

#include "quant.h"
#include "system.h"

enum { NAME_BYTES = 256, ALIGNMENT = 16 };

static uint64_t padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct count {
    uint64_t floats;
    int n;
};

static int count_one(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                     int layer, struct ink_error *error)
{
    struct count *c = context;
    (void)role;
    (void)layer;
    (void)error;
    c->floats += padded((uint64_t)w->rows * (uint64_t)w->cols);
    c->n++;
    return INK_OK;
}

static struct count count_all(const struct ink_model *model)
{
    struct count c = {0};
    ink_model_visit_weights((struct ink_model *)model, count_one, &c, NULL);
    return c;
}

uint64_t ink_parameters_floats(const struct ink_model *model)
{
    return count_all(model).floats;
}

static int add_one(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                   int layer, struct ink_error *error)
{
    struct ink_parameters *p = context;
    struct ink_parameter *one = &p->list[p->n];
    char name[NAME_BYTES];
    uint64_t n = (uint64_t)w->rows * (uint64_t)w->cols;
    ink_model_tensor_name(name, sizeof name, role->hf_name, layer);
    *one = (struct ink_parameter){.rows = w->rows,
                                  .cols = w->cols,
                                  .is_vector = w->is_vector,
                                  .value = p->values + p->n_values,
                                  .gradient = p->gradients ? p->gradients + p->n_values : NULL,
                                  .weight = w,
                                  .name = ink_strdup(name)};
    if (!one->name) {
        return ink_fail_memory(error, sizeof name);
    }
    ink_dequantize(one->value, w->tensor->data, w->tensor->type, n);
    p->n_values += padded(n);
    p->n++;
    return INK_OK;
}

static float *allocate(uint64_t floats, struct ink_error *error)
{
    uint64_t bytes;
    float *p = ink_mul_u64(&bytes, floats, sizeof *p) && bytes < SIZE_MAX
                   ? ink_alloc_aligned((size_t)bytes)
                   : NULL;
    if (!p) {
        ink_fail_memory(error, floats * sizeof *p);
    } else {
        ink_system_prefer_large_pages(p, (size_t)bytes);
    }
    return p;
}

int ink_parameters_open(struct ink_parameters **out, struct ink_model *model, bool with_gradients,
                        struct ink_error *error)
{
    struct count c = count_all(model);
    struct ink_parameters *p = ink_calloc(1, sizeof *p);
    *out = NULL;
    if (!p) {
        return ink_fail_memory(error, sizeof *p);
    }
    int status = INK_OK;
    p->list = ink_calloc((size_t)c.n, sizeof *p->list);
    if (!p->list) {
        status = ink_fail_memory(error, (uint64_t)c.n * sizeof *p->list);
    }
    if (status == INK_OK && !(p->values = allocate(c.floats, error))) {
        status = INK_ERROR_MEMORY;
    }
    if (status == INK_OK && with_gradients && !(p->gradients = allocate(c.floats, error))) {
        status = INK_ERROR_MEMORY;
    }
    if (status == INK_OK) {
        status = ink_model_visit_weights(model, add_one, p, error);
    }
    if (status != INK_OK) {
        ink_parameters_close(p);
        return status;
    }
    *out = p;
    return INK_OK;
}

void ink_parameters_close(struct ink_parameters *p)
{
    if (!p) {
        return;
    }
    for (int i = 0; i < p->n; i++) {
        ink_free(p->list[i].name);
    }
    ink_free(p->list);
    ink_free_aligned(p->values);
    ink_free_aligned(p->gradients);
    ink_free(p);
}

struct ink_parameter *ink_parameters_find(const struct ink_parameters *p,
                                          const struct ink_weight *weight)
{
    for (int i = 0; i < p->n; i++) {
        if (p->list[i].weight == weight) {
            return &p->list[i];
        }
    }
    return NULL;
}
