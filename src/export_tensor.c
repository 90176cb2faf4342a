#include "export.h"

#include "quant.h"

#include <math.h>
#include <string.h>

/* Largest finite value of each type that can overflow when written. Q8_0 holds its scale as f16. */
static float limit_of(enum ink_type type)
{
    return type == INK_TYPE_F16 ? 65504.0f : type == INK_TYPE_Q8_0 ? 127.0f * 65504.0f : INFINITY;
}

/* NaN and infinity pass where the type has them; a value must not silently become one. */
static int check_range(const struct ink_export *e, const struct ink_export_item *item, uint64_t n,
                       struct ink_error *error)
{
    const float limit = limit_of(item->type);
    for (uint64_t i = 0; i < n && limit < INFINITY; i++) {
        const float x = e->values[i];
        if (isfinite(x) ? fabsf(x) > limit : item->type == INK_TYPE_Q8_0) {
            return ink_fail(
                error, INK_ERROR_INPUT, "%s: tensor \"%s\" has the value %g, which %s cannot hold",
                e->model->path, item->tensor->name, (double)x, ink_type_facts(item->type)->name);
        }
    }
    return INK_OK;
}

static void put_u16(unsigned char *to, uint16_t x)
{
    to[0] = (unsigned char)x;
    to[1] = (unsigned char)(x >> 8);
}

static void put_f32(unsigned char *to, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_u16(to, (uint16_t)bits);
    put_u16(to + 2, (uint16_t)(bits >> 16));
}

/* values [n] as `type`; returns the number of bytes. */
static size_t pack(unsigned char *to, const float *values, enum ink_type type, uint64_t n)
{
    const struct ink_type_facts *facts = ink_type_facts(type);
    if (type == INK_TYPE_Q8_0) {
        ink_quantize_q8_0(to, values, n);
    }
    for (uint64_t i = 0; i < n && type != INK_TYPE_Q8_0; i++) {
        if (type == INK_TYPE_F32) {
            put_f32(to + 4 * i, values[i]);
        } else {
            put_u16(to + 2 * i, type == INK_TYPE_F16 ? ink_f16_from_f32(values[i])
                                                     : ink_bf16_from_f32(values[i]));
        }
    }
    return (size_t)(n / (uint64_t)facts->block_values * (uint64_t)facts->block_bytes);
}

/* Values at..at+n of the source. A vector's elements may be asked for one by one, even where its
 * type has blocks. */
static void unpack(float *values, const struct ink_tensor *t, uint64_t at, uint64_t n)
{
    const struct ink_type_facts *facts = ink_type_facts(t->type);
    const uint64_t width = (uint64_t)facts->block_values, rest = at % width;
    const char *from = (const char *)t->data + at / width * (uint64_t)facts->block_bytes;
    if (n % width == 0) {
        ink_dequantize(values, from, t->type, n);
    } else {
        float block[256];
        ink_dequantize(block, from, t->type, width);
        memcpy(values, block + rest, (size_t)n * sizeof *values);
    }
}

static int report(struct ink_export *e, uint64_t n_bytes, struct ink_error *error)
{
    e->done += n_bytes;
    return e->progress && e->progress(e->context, e->done, e->total) != 0
               ? ink_fail(error, INK_ERROR_CANCELLED, "%s: cancelled", e->out_path)
               : INK_OK;
}

/* n source values from `at` on. Those of one type go through as bytes. */
static int put_values(struct ink_export *e, struct ink_writer *w,
                      const struct ink_export_item *item, uint64_t at, uint64_t n,
                      struct ink_error *error)
{
    const struct ink_type_facts *facts = ink_type_facts(item->tensor->type);
    int status = INK_OK;
    while (n > 0 && status == INK_OK) {
        const uint64_t count = n < INK_EXPORT_PIECE ? n : INK_EXPORT_PIECE;
        const uint64_t block = at / (uint64_t)facts->block_values;
        const void *bytes = (const char *)item->tensor->data + block * (uint64_t)facts->block_bytes;
        size_t n_bytes =
            (size_t)(count / (uint64_t)facts->block_values) * (size_t)facts->block_bytes;
        if (item->type != item->tensor->type) {
            unpack(e->values, item->tensor, at, count);
            status = check_range(e, item, count, error);
            n_bytes = pack(e->packed, e->values, item->type, count);
            bytes = e->packed;
        }
        if (status == INK_OK) {
            status = ink_writer_put(w, bytes, n_bytes, error);
        }
        if (status == INK_OK) {
            status = report(e, n_bytes, error);
        }
        at += count;
        n -= count;
    }
    return status;
}

/* Where row r of the new file lies in the old one. Rotary pairs are (2i, 2i+1) in ERNIE and GGUF,
 * (i, i + d/2) in Llama folders. */
static uint64_t source_row(const struct ink_export *e, uint64_t r, uint64_t head_dim)
{
    const uint64_t half = head_dim / 2, i = r % head_dim, first = r - i;
    const uint64_t to_half = i < half ? 2 * i : 2 * (i - half) + 1;
    return first + (e->to_half_pairs ? to_half : i % 2 * half + i / 2);
}

int ink_export_put_item(struct ink_export *e, struct ink_writer *w,
                        const struct ink_export_item *item, struct ink_error *error)
{
    const uint64_t n = ink_tensor_count(item->tensor);
    if (item->head_dim == 0) {
        return put_values(e, w, item, 0, n, error);
    }
    const uint64_t rows = (uint64_t)item->tensor->shape[0], width = n / rows;
    int status = INK_OK;
    for (uint64_t r = 0; r < rows && status == INK_OK; r++) {
        const uint64_t row = source_row(e, r, (uint64_t)item->head_dim);
        status = put_values(e, w, item, row * width, width, error);
    }
    return status;
}
