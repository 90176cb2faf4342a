#include "export.h"

#include "quant.h"
#include "threads.h"

#include <math.h>
#include <string.h>

/* Largest finite value of each type that can overflow when written. Q8_0 holds its scale as f16. */
static float limit_of(enum ink_type type)
{
    return type == INK_TYPE_F16 ? 65504.0f : type == INK_TYPE_Q8_0 ? 127.0f * 65504.0f : INFINITY;
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

/* ---------------------------------------------------------------------------------- one piece */

/* Values at..at+n of the new tensor. */
struct piece {
    uint64_t at, n;
    unsigned char *bytes; /* as they are written */
    size_t n_bytes;
    uint64_t n_good; /* values before the first that the type cannot hold */
    float bad_value;
    struct ink_export_loss loss;
};

/* Pieces that are converted in parallel, then written. */
struct batch {
    const struct ink_export *export;
    const struct ink_export_item *item;
    struct piece pieces[INK_EXPORT_BATCH];
    int n_pieces;
};

/* Where row r of the new file lies in the old one. Rotary pairs are (2i, 2i+1) in ERNIE and GGUF,
 * (i, i + d/2) in Llama folders. */
static uint64_t source_row(const struct ink_export *e, uint64_t r, uint64_t head_dim)
{
    const uint64_t half = head_dim / 2, i = r % head_dim, first = r - i;
    const uint64_t to_half = i < half ? 2 * i : 2 * (i - half) + 1;
    return first + (e->to_half_pairs ? to_half : i % 2 * half + i / 2);
}

/* Of values at..at+n, those that follow one another in the old file too; *from is where. */
static uint64_t source_run(const struct batch *b, uint64_t at, uint64_t n, uint64_t *from)
{
    const struct ink_tensor *t = b->item->tensor;
    const uint64_t head_dim = (uint64_t)b->item->head_dim;
    if (head_dim == 0) {
        *from = at;
        return n;
    }
    const uint64_t width = ink_tensor_count(t) / (uint64_t)t->shape[0], column = at % width;
    *from = source_row(b->export, at / width, head_dim) * width + column;
    return n < width - column ? n : width - column;
}

/* values[n], which lie at `at` in W [rows, cols], become those of W + B A: the sum in double, so
 * that every machine rounds alike, and once. */
static void add_term(float *values, const struct ink_low_rank *term, uint64_t cols, uint64_t at,
                     uint64_t n)
{
    enum { step = 512 };
    double sums[step];
    for (uint64_t i = 0, count; i < n; i += count) {
        const uint64_t row = (at + i) / cols, column = (at + i) % cols;
        const float *b = term->b + row / 16 * 16 * (uint64_t)term->rank + row % 16;
        count = n - i < cols - column ? n - i : cols - column;
        count = count < step ? count : step;
        for (uint64_t j = 0; j < count; j++) {
            sums[j] = (double)values[i + j];
        }
        for (int k = 0; k < term->rank; k++) {
            const float *a = term->a + (uint64_t)k * cols + column;
            const double weight = (double)b[k * 16];
            for (uint64_t j = 0; j < count; j++) {
                sums[j] += weight * (double)a[j];
            }
        }
        for (uint64_t j = 0; j < count; j++) {
            values[i + j] = (float)sums[j];
        }
    }
}

static void load_values(const struct batch *b, const struct piece *p, float *values)
{
    const struct ink_export_item *item = b->item;
    const uint64_t cols = (uint64_t)item->tensor->shape[item->tensor->n_dims - 1];
    uint64_t from;
    for (uint64_t i = 0, run; i < p->n; i += run) {
        run = source_run(b, p->at + i, p->n - i, &from);
        unpack(values + i, item->tensor, from, run);
        if (item->term) {
            add_term(values + i, item->term, cols, from, run);
        }
    }
    for (uint64_t i = 0; i < p->n && item->factor != 1; i++) {
        values[i] = (float)((double)values[i] * item->factor);
    }
}

static void copy_bytes(const struct batch *b, struct piece *p)
{
    const struct ink_tensor *t = b->item->tensor;
    const struct ink_type_facts *facts = ink_type_facts(t->type);
    const uint64_t width = (uint64_t)facts->block_values, size = (uint64_t)facts->block_bytes;
    uint64_t from;
    p->n_bytes = 0;
    for (uint64_t i = 0, run; i < p->n; i += run) {
        run = source_run(b, p->at + i, p->n - i, &from);
        memcpy(p->bytes + p->n_bytes, (const char *)t->data + from / width * size,
               (size_t)(run / width * size));
        p->n_bytes += (size_t)(run / width * size);
    }
}

/* Where they are not refused, NaN and infinity pass where the type has them; a value must not
 * silently become one. */
static bool holds(const struct batch *b, struct piece *p, const float *values)
{
    const float limit = limit_of(b->item->type);
    const bool finite = b->export->is_finite || b->item->term || b->item->type == INK_TYPE_Q8_0;
    for (p->n_good = 0; p->n_good < p->n; p->n_good++) {
        const float x = values[p->n_good];
        if (isfinite(x) ? fabsf(x) > limit : finite) {
            p->bad_value = x;
            return false;
        }
    }
    return true;
}

/* Eight sums of each kind in a fixed order: quick, and the same on every machine. */
static void add_loss(struct ink_export_loss *loss, const float *before, const float *after,
                     uint64_t n)
{
    double squares[8] = {0}, errors[8] = {0};
    float most = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double x = (double)before[i], difference = (double)after[i] - x;
        squares[i % 8] += x * x;
        errors[i % 8] += difference * difference;
        most = fabsf((float)difference) > most ? fabsf((float)difference) : most;
    }
    for (int i = 0; i < 8; i++) {
        loss->squares += squares[i];
        loss->errors += errors[i];
    }
    loss->max_error = (double)most > loss->max_error ? (double)most : loss->max_error;
}

static void measure(struct piece *p, const float *values, enum ink_type type)
{
    enum { step = 1024 }; /* a multiple of every block size */
    const struct ink_type_facts *facts = ink_type_facts(type);
    float back[step];
    p->loss = (struct ink_export_loss){0};
    for (uint64_t i = 0; i < p->n; i += step) {
        const uint64_t count = p->n - i < step ? p->n - i : step;
        const uint64_t block = i / (uint64_t)facts->block_values;
        ink_dequantize(back, p->bytes + block * (uint64_t)facts->block_bytes, type, count);
        add_loss(&p->loss, values + i, back, count);
    }
}

static void convert(const struct batch *b, struct piece *p, float *values)
{
    const struct ink_export_item *item = b->item;
    const enum ink_type type = item->type;
    const bool same = type == item->tensor->type && !item->term && item->factor == 1;
    p->n_good = p->n;
    if (same) {
        copy_bytes(b, p);
    }
    if (!same || b->export->is_finite) {
        load_values(b, p, values);
        if (!holds(b, p, values)) {
            return;
        }
    }
    if (!same) {
        p->n_bytes = ink_narrow(p->bytes, values, type, p->n);
    }
    if (b->export->is_quantizing) {
        measure(p, values, type);
    }
}

/* -------------------------------------------------------------------------------- the whole item
 */

static void convert_share(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct batch *b = context;
    (void)team;
    for (int i = lane; i < b->n_pieces; i += n_lanes) {
        convert(b, &b->pieces[i], b->export->values + (size_t)lane * INK_EXPORT_PIECE);
    }
}

/* Pieces of values at..n, as many as fit. */
static void cut(struct batch *b, uint64_t at, uint64_t n)
{
    b->n_pieces = 0;
    for (; b->n_pieces < INK_EXPORT_BATCH && at < n; at += INK_EXPORT_PIECE) {
        unsigned char *bytes =
            b->export->packed + (size_t)b->n_pieces * INK_EXPORT_PIECE * sizeof(float);
        b->pieces[b->n_pieces++] = (struct piece){
            .at = at, .n = n - at < INK_EXPORT_PIECE ? n - at : INK_EXPORT_PIECE, .bytes = bytes};
    }
}

static int fail_not_finite(const struct batch *b, struct ink_error *error)
{
    const struct ink_tensor *t = b->item->tensor;
    const uint64_t n = ink_tensor_count(t);
    float *values = b->export->values;
    uint64_t bad = 0, first = 0;
    for (uint64_t at = 0; at < n; at += INK_EXPORT_PIECE) {
        const uint64_t count = n - at < INK_EXPORT_PIECE ? n - at : INK_EXPORT_PIECE;
        unpack(values, t, at, count);
        for (uint64_t i = 0; i < count; i++) {
            if (!isfinite(values[i])) {
                first = bad++ ? first : at + i;
            }
        }
    }
    if (bad == 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: with the adapter, tensor \"%s\" has values that are not finite",
                        b->export->source_path, t->name);
    }
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: tensor \"%s\" has %llu values that are not finite (first at %llu)",
                    b->export->source_path, t->name, (unsigned long long)bad,
                    (unsigned long long)first);
}

static int fail_value(const struct batch *b, float value, struct ink_error *error)
{
    return isfinite(value) ? ink_fail(error, INK_ERROR_INPUT,
                                      "%s: tensor \"%s\" has the value %g, which %s cannot hold",
                                      b->export->source_path, b->item->tensor->name, (double)value,
                                      ink_type_facts(b->item->type)->name)
                           : fail_not_finite(b, error);
}

static int report_progress(struct ink_export *e, uint64_t n_bytes, struct ink_error *error)
{
    e->done += n_bytes;
    return e->progress && e->progress(e->context, e->done, e->total) != 0
               ? ink_fail(error, INK_ERROR_CANCELLED, "%s: cancelled", e->out_path)
               : INK_OK;
}

static int put_batch(struct ink_export *e, struct ink_writer *w, const struct batch *b,
                     struct ink_export_loss *loss, struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < b->n_pieces && status == INK_OK; i++) {
        const struct piece *p = &b->pieces[i];
        status = p->n_good < p->n ? fail_value(b, p->bad_value, error)
                                  : ink_writer_put(w, p->bytes, p->n_bytes, error);
        if (status == INK_OK) {
            status = report_progress(e, p->n_bytes, error);
        }
        loss->squares += p->loss.squares;
        loss->errors += p->loss.errors;
        loss->max_error = p->loss.max_error > loss->max_error ? p->loss.max_error : loss->max_error;
    }
    return status;
}

/* Where rows change order within a head, a batch reads all of the heads that it touches. */
static void release(const struct batch *b)
{
    const struct ink_tensor *t = b->item->tensor;
    const struct piece *last = &b->pieces[b->n_pieces - 1];
    const uint64_t head = ink_tensor_count(t) / (uint64_t)t->shape[0] * (uint64_t)b->item->head_dim;
    uint64_t begin = b->pieces[0].at, end = last->at + last->n;
    begin -= head > 0 ? begin % head : 0;
    begin = ink_type_bytes(t->type, begin);
    end = ink_type_bytes(t->type, end);
    ink_release_mapped((const char *)t->data + begin, (size_t)(end - begin));
}

int ink_export_put_item(struct ink_export *e, struct ink_writer *w,
                        const struct ink_export_item *item, struct ink_error *error)
{
    const uint64_t n = ink_tensor_count(item->tensor);
    struct batch b = {.export = e, .item = item};
    struct ink_export_loss loss = {0};
    int status = INK_OK;
    for (uint64_t at = 0; at < n && status == INK_OK; at += INK_EXPORT_BATCH * INK_EXPORT_PIECE) {
        cut(&b, at, n);
        ink_threads_run(b.n_pieces < e->n_lanes ? b.n_pieces : e->n_lanes, convert_share, &b);
        status = put_batch(e, w, &b, &loss, error);
        release(&b);
    }
    if (status == INK_OK && e->is_quantizing) {
        ink_export_report_item(e, item, &loss);
    }
    return status;
}
