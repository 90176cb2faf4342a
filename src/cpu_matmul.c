/* The verbs of the CPU backend that read matrices. */
#include "cpu_internal.h"

#include "pack.h"
#include "quant.h"

#include <string.h>

const char *ink_cpu_joined_group(const struct ink_lane *l, const struct ink_weight *w, int row)
{
    const struct cpu *c = ink_cpu_of(l);
    if (!w->rest) {
        return ink_cpu_group(w, row);
    }
    char *group = c->groups + c->group_bytes * (size_t)l->index;
    c->kernels->join_q8(group, ink_cpu_group(w, row), w->cols);
    return group;
}

void ink_cpu_embed(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *table)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end;
    ink_cpu_share(l, l->batch->n_rows, 1, &begin, &end);
    size_t row_bytes = (size_t)table->cols * (table->type == INK_TYPE_F32 ? 4 : 2);
    for (int r = begin; r < end; r++) {
        int token = l->batch->tokens[r];
        float *row = ink_cpu_row(c, out, r);
        if (table->is_packed) {
            ink_unpack_q8_row(c->kernels, row, ink_cpu_joined_group(l, table, token),
                              token % INK_Q8_GROUP, table->cols);
        } else {
            ink_widen(c->kernels, row, (const char *)table->data + row_bytes * (size_t)token,
                      table->type, (size_t)table->cols);
        }
    }
}

void ink_cpu_multiply_columns(const struct cpu *c, float *y, size_t ldy, enum ink_buffer in,
                              int row, int n, const struct ink_weight *w, int begin, int end)
{
    const struct ink_kernels *k = c->kernels;
    if (w->is_packed) {
        k->matmul_q8(y, ldy, ink_cpu_quantized_row(c, in, row), c->quantized_bytes[in], n,
                     ink_cpu_group(w, begin), end - begin, w->cols, NULL);
        return;
    }
    size_t value = w->type == INK_TYPE_F32 ? 4 : 2;
    const char *rows = (const char *)w->data + value * (size_t)begin * (size_t)w->cols;
    (w->type == INK_TYPE_F32   ? k->matmul_f32
     : w->type == INK_TYPE_F16 ? k->matmul_f16
                               : k->matmul_bf16)(y, ldy, ink_cpu_row(c, in, row), (size_t)w->cols,
                                                 n, rows, end - begin, w->cols);
}

/* y[n, ldy] columns += v (a bias, or NULL) */
static void add_bias(float *y, size_t ldy, int n, const struct ink_weight *bias, int begin, int end)
{
    const float *v = bias->tensor ? bias->data : NULL;
    for (int r = 0; v && r < n; r++) {
        float *row = y + (size_t)r * ldy;
        for (int i = begin; i < end; i++) {
            row[i] += v[i];
        }
    }
}

void ink_cpu_matmul(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                    const struct ink_weight *bias, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end, n = l->batch->n_rows;
    size_t ldy = (size_t)c->width[out];
    ink_cpu_project(l, w, in);
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    while (ink_cpu_take(&loop, &begin, &end)) {
        ink_cpu_multiply_columns(c, c->buffers[out] + begin, ldy, in, 0, n, w, begin, end);
        add_bias(c->buffers[out], ldy, n, bias, begin, end);
        ink_cpu_adapt(l, c->buffers[out], ldy, w, begin, end);
    }
}

/* Columns of y [n, ldy] += x */
static void add_columns(float *y, const float *x, size_t ldy, int n, int begin, int end)
{
    for (int r = 0; r < n; r++, y += ldy, x += ldy) {
        for (int i = begin; i < end; i++) {
            y[i] += x[i];
        }
    }
}

/* The product goes through INK_NORMED, which is free where residuals are added. */
void ink_cpu_matmul_add(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                        const struct ink_weight *bias, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end, n = l->batch->n_rows;
    size_t ldy = (size_t)c->width[out];
    float *product = c->buffers[INK_NORMED];
    ink_cpu_project(l, w, in);
    const struct ink_loop loop = ink_cpu_loop(l, w->rows);
    while (ink_cpu_take(&loop, &begin, &end)) {
        ink_cpu_multiply_columns(c, product + begin, ldy, in, 0, n, w, begin, end);
        add_bias(product, ldy, n, bias, begin, end);
        ink_cpu_adapt(l, product, ldy, w, begin, end);
        add_columns(c->buffers[out], product, ldy, n, begin, end);
    }
}
