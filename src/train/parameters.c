#include "parameters.h"

#include "file.h"
#include "quant.h"
#include "system.h"

#include <string.h>

enum { NAME_BYTES = 256, ALIGNMENT = 16 };

uint64_t ink_parameters_padded(uint64_t n)
{
    return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static uint64_t values_of(const struct ink_weight *w)
{
    return (uint64_t)w->rows * (uint64_t)w->cols;
}

static bool is_rounded(const struct ink_weight *w, enum ink_base base)
{
    return base == INK_BASE_INT8 && !w->is_vector && w->cols % INK_Q8_BLOCK == 0 &&
           w->tensor->type != INK_TYPE_Q8_0;
}

static bool is_widened(const struct ink_weight *w, enum ink_base base)
{
    return base == INK_BASE_TRAINED || base == INK_BASE_FACTORS || w->is_vector;
}

static bool has_gradient(const struct ink_weight *w, enum ink_base base)
{
    return base == INK_BASE_TRAINED || (base == INK_BASE_FACTORS && w->is_vector);
}

/* ------------------------------------------------------------------------------------ counting */

struct count {
    enum ink_base base;
    uint64_t floats, gradients, int8;
    int n;
};

static int count_one(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                     int layer, struct ink_error *error)
{
    struct count *c = context;
    (void)role;
    (void)layer;
    (void)error;
    c->floats += is_widened(w, c->base) ? ink_parameters_padded(values_of(w)) : 0;
    c->gradients += has_gradient(w, c->base) ? ink_parameters_padded(values_of(w)) : 0;
    c->int8 += is_rounded(w, c->base) ? ink_type_bytes(INK_TYPE_Q8_0, values_of(w)) : 0;
    c->n++;
    return INK_OK;
}

static struct count count_all(const struct ink_model *model, enum ink_base base)
{
    struct count c = {.base = base};
    ink_model_visit_weights((struct ink_model *)model, count_one, &c, NULL);
    return c;
}

uint64_t ink_parameters_bytes(const struct ink_model *model, enum ink_base base)
{
    const struct count c = count_all(model, base);
    return (c.floats + c.gradients) * sizeof(float) + c.int8;
}

/* -------------------------------------------------------------------------------------- making */

void *ink_parameters_allocate(uint64_t bytes, struct ink_error *error)
{
    void *p = bytes < SIZE_MAX ? ink_alloc_aligned((size_t)bytes) : NULL;
    if (!p) {
        ink_fail_memory(error, bytes);
    } else {
        ink_system_prefer_large_pages(p, (size_t)bytes);
    }
    return p;
}

int ink_parameters_new(struct ink_parameters **out, int n, uint64_t n_values, uint64_t n_gradients,
                       struct ink_error *error)
{
    struct ink_parameters *p = ink_calloc(1, sizeof *p);
    int status = p ? INK_OK : ink_fail_memory(error, sizeof *p);
    *out = NULL;
    if (status == INK_OK && !(p->list = ink_calloc((size_t)n, sizeof *p->list))) {
        status = ink_fail_memory(error, (uint64_t)n * sizeof *p->list);
    }
    if (status == INK_OK &&
        !(p->values = ink_parameters_allocate(n_values * sizeof(float), error))) {
        status = INK_ERROR_MEMORY;
    }
    if (status == INK_OK && n_gradients > 0 &&
        !(p->gradients = ink_parameters_allocate(n_gradients * sizeof(float), error))) {
        status = INK_ERROR_MEMORY;
    }
    if (status != INK_OK) {
        ink_parameters_close(p);
        return status;
    }
    *out = p;
    return INK_OK;
}

/* One without values. */
static struct ink_parameter *append(struct ink_parameters *p, const char *name, int rows, int cols,
                                    const struct ink_weight *weight, struct ink_error *error)
{
    struct ink_parameter *one = &p->list[p->n];
    *one = (struct ink_parameter){
        .name = ink_strdup(name), .matrix = {.rows = rows, .cols = cols}, .weight = weight};
    if (!one->name) {
        ink_fail_memory(error, NAME_BYTES);
        return NULL;
    }
    p->n++;
    return one;
}

static void give_values(struct ink_parameters *p, struct ink_parameter *one, bool with_gradient)
{
    const uint64_t n =
        ink_parameters_padded((uint64_t)one->matrix.rows * (uint64_t)one->matrix.cols);
    one->matrix.values = one->value = p->values + p->n_values;
    p->n_values += n;
    if (with_gradient) {
        one->gradient = p->gradients + p->n_gradients;
        p->n_gradients += n;
    }
}

int ink_parameters_add(struct ink_parameters *p, const char *name, int rows, int cols,
                       const struct ink_weight *weight, struct ink_error *error)
{
    struct ink_parameter *one = append(p, name, rows, cols, weight, error);
    if (!one) {
        return INK_ERROR_MEMORY;
    }
    give_values(p, one, p->gradients != NULL);
    return INK_OK;
}

/* ------------------------------------------------------------------------------- of a model */

struct making {
    struct ink_parameters *parameters;
    enum ink_base base;
    unsigned char *int8; /* where the next matrix goes */
};

/* The weight as Q8_0, row by row. */
static int round_matrix(struct making *m, struct ink_parameter *one, struct ink_error *error)
{
    const struct ink_weight *w = one->weight;
    const size_t row_bytes = (size_t)ink_type_bytes(w->tensor->type, (uint64_t)w->cols);
    const size_t out_bytes = (size_t)ink_type_bytes(INK_TYPE_Q8_0, (uint64_t)w->cols);
    float *row = ink_malloc((size_t)w->cols * sizeof *row);
    if (!row) {
        return ink_fail_memory(error, (uint64_t)w->cols * sizeof *row);
    }
    one->matrix.data = m->int8;
    one->matrix.type = INK_TYPE_Q8_0;
    for (size_t r = 0; r < (size_t)w->rows; r++) {
        ink_dequantize(row, (const char *)w->tensor->data + r * row_bytes, w->tensor->type,
                       (uint64_t)w->cols);
        ink_quantize_q8_0(m->int8 + r * out_bytes, row, (uint64_t)w->cols);
    }
    ink_release_mapped(w->tensor->data, (size_t)w->rows * row_bytes);
    m->int8 += (size_t)w->rows * out_bytes;
    ink_free(row);
    return INK_OK;
}

static int make_one(void *context, struct ink_weight *w, const struct ink_tensor_role *role,
                    int layer, struct ink_error *error)
{
    struct making *m = context;
    char name[NAME_BYTES];
    ink_model_tensor_name(name, sizeof name, role->hf_name, layer);
    struct ink_parameter *one = append(m->parameters, name, w->rows, w->cols, w, error);
    if (!one) {
        return INK_ERROR_MEMORY;
    }
    one->is_vector = w->is_vector;
    one->matrix.data = w->tensor->data;
    one->matrix.type = w->tensor->type;
    if (is_widened(w, m->base)) {
        give_values(m->parameters, one, has_gradient(w, m->base));
        if (w->tensor->data) { /* else a new model: initial.h */
            ink_dequantize(one->value, w->tensor->data, w->tensor->type, values_of(w));
            ink_release_mapped(w->tensor->data, (size_t)w->tensor->n_bytes);
        }
    } else if (is_rounded(w, m->base)) {
        return round_matrix(m, one, error);
    }
    return INK_OK;
}

int ink_parameters_open(struct ink_parameters **out, struct ink_model *model, enum ink_base base,
                        struct ink_error *error)
{
    const struct count c = count_all(model, base);
    struct ink_parameters *p;
    int status = ink_parameters_new(&p, c.n, c.floats, c.gradients, error);
    *out = NULL;
    if (status != INK_OK) {
        return status;
    }
    if (c.int8 > 0 && !(p->int8 = ink_parameters_allocate(c.int8, error))) {
        status = INK_ERROR_MEMORY;
    }
    struct making making = {p, base, p->int8};
    if (status == INK_OK) {
        status = ink_model_visit_weights(model, make_one, &making, error);
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
    ink_free_aligned(p->int8);
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

struct ink_parameter *ink_parameters_find_name(const struct ink_parameters *p, const char *name)
{
    for (int i = 0; i < p->n; i++) {
        if (strcmp(p->list[i].name, name) == 0) {
            return &p->list[i];
        }
    }
    return NULL;
}
