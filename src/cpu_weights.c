#include "cpu_internal.h"

#include "quant.h"

#include <string.h>

static void widen(const struct cpu *c, float *out, const void *data, enum ink_type type, size_t n)
{
    switch (type) {
    case INK_TYPE_F32:
        memcpy(out, data, n * sizeof *out);
        break;
    case INK_TYPE_F16:
        c->kernels->f32_from_f16(out, data, n);
        break;
    case INK_TYPE_BF16:
        c->kernels->f32_from_bf16(out, data, n);
        break;
    default:
        ink_dequantize(out, data, type, n);
        break;
    }
}

static bool is_float_type(enum ink_type type)
{
    return type == INK_TYPE_F32 || type == INK_TYPE_F16 || type == INK_TYPE_BF16;
}

uint64_t ink_cpu_owned_bytes(const struct ink_backend *b, const struct ink_weight *w)
{
    (void)b;
    return is_float_type(w->tensor->type) && !w->is_vector
               ? 0
               : (uint64_t)w->rows * (uint64_t)w->cols * sizeof(float);
}

int ink_cpu_prepare(struct ink_backend *b, struct ink_weight *w, struct ink_error *error)
{
    const struct cpu *c = (const struct cpu *)b;
    uint64_t bytes = ink_cpu_owned_bytes(b, w);
    w->type = w->tensor->type;
    w->data = w->tensor->data;
    if (bytes == 0) {
        return INK_OK;
    }
    w->owned = bytes < SIZE_MAX ? ink_alloc_aligned((size_t)bytes) : NULL;
    if (!w->owned) {
        return ink_fail_memory(error, bytes);
    }
    widen(c, w->owned, w->data, w->type, (size_t)bytes / sizeof(float));
    w->data = w->owned;
    w->type = INK_TYPE_F32;
    return INK_OK;
}

void ink_cpu_release(struct ink_backend *b, struct ink_weight *w)
{
    (void)b;
    ink_free_aligned(w->owned);
    w->owned = NULL;
    w->data = NULL;
}

void ink_cpu_embed(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *table)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end;
    ink_cpu_share(l, l->batch->n_rows, 1, &begin, &end);
    size_t row_bytes = (size_t)table->cols * (table->type == INK_TYPE_F32 ? 4 : 2);
    for (int r = begin; r < end; r++) {
        const char *row = (const char *)table->data + row_bytes * (size_t)l->batch->tokens[r];
        widen(c, ink_cpu_row(c, out, r), row, table->type, (size_t)table->cols);
    }
}

/* y[n, ldy], columns begin..end-1 = x[n, cols] · w^T */
static void multiply_columns(const struct cpu *c, float *y, size_t ldy, const float *x, int n,
                             const struct ink_weight *w, int begin, int end)
{
    const struct ink_kernels *k = c->kernels;
    size_t value = w->type == INK_TYPE_F32 ? 4 : 2;
    const char *rows = (const char *)w->data + value * (size_t)begin * (size_t)w->cols;
    (w->type == INK_TYPE_F32 ? k->matmul_f32
     : w->type == INK_TYPE_F16
         ? k->matmul_f16
         : k->matmul_bf16)(y + begin, ldy, x, (size_t)w->cols, n, rows, end - begin, w->cols);
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
    ink_cpu_share(l, w->rows, INK_COLUMN_GRAIN, &begin, &end);
    multiply_columns(c, c->buffers[out], ldy, c->buffers[in], n, w, begin, end);
    add_bias(c->buffers[out], ldy, n, bias, begin, end);
}

/* The product goes through INK_NORMED, which is free where residuals are added. */
void ink_cpu_matmul_add(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                        const struct ink_weight *bias, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end, n = l->batch->n_rows;
    size_t ldy = (size_t)c->width[out];
    float *product = c->buffers[INK_NORMED];
    ink_cpu_share(l, w->rows, INK_COLUMN_GRAIN, &begin, &end);
    multiply_columns(c, product, ldy, c->buffers[in], n, w, begin, end);
    add_bias(product, ldy, n, bias, begin, end);
    for (int r = 0; r < n; r++) {
        float *sum = c->buffers[out] + (size_t)r * ldy;
        const float *term = product + (size_t)r * ldy;
        for (int i = begin; i < end; i++) {
            sum[i] += term[i];
        }
    }
}

void ink_cpu_head(const struct ink_lane *l, const struct ink_weight *w)
{
    const struct cpu *c = ink_cpu_of(l);
    float *const *logits = l->batch->logits;
    int begin, end, n = l->batch->n_outputs;
    ink_cpu_share(l, w->rows, INK_COLUMN_GRAIN, &begin, &end);
    for (int i = 0; i < n;) { /* rows that are neighbours in the caller's memory go together */
        int run_length = 1;
        while (i + run_length < n &&
               logits[i + run_length] == logits[i] + (size_t)run_length * (size_t)w->rows) {
            run_length++;
        }
        multiply_columns(c, logits[i], (size_t)w->rows, ink_cpu_row(c, INK_SELECTED, i), run_length,
                         w, begin, end);
        i += run_length;
    }
}
