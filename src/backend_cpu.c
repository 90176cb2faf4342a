#include "backend.h"

#include "fixedmath.h"
#include "kernels.h"
#include "quant.h"
#include "system.h"
#include "threads.h"

#include <math.h>
#include <string.h>

struct cpu {
    struct ink_backend base;
    const struct ink_kernels *kernels;
    float *buffers[INK_BUFFER_COUNT]; /* [max_rows, width[i]] each */
    int width[INK_BUFFER_COUNT];
    float *inverse_frequency; /* [D / 2] */
    float *cosines, *sines;   /* [max_rows, D / 2]: of each row's position */
    float *scores;            /* [threads, score_size] */
    size_t score_size;
};

/* K and V of one layer lie one after the other, each [n_kv_heads, n_positions, D]. */
struct ink_kv {
    enum ink_kv_type type;
    int n_positions;
    size_t head_bytes;  /* one head's rows */
    size_t layer_bytes; /* K and V of a layer */
    int n_kv_heads;
    size_t row_bytes;
    char *data;
};

/* Output columns are handed to lanes in groups of this many, so that two lanes never write to the
 * same cache line. */
enum { column_grain = 16 };

static struct cpu *cpu_of(const struct ink_lane *l)
{
    return (struct cpu *)l->backend;
}

static float *row_of(const struct cpu *c, enum ink_buffer buffer, int row)
{
    return c->buffers[buffer] + (size_t)row * (size_t)c->width[buffer];
}

static void share(const struct ink_lane *l, int n, int grain, int *begin, int *end)
{
    ink_threads_share(l->index, l->count, n, grain, begin, end);
}

/* ------------------------------------------------------------------------------------- weights */

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

static uint64_t owned_bytes(const struct ink_backend *b, const struct ink_weight *w)
{
    (void)b;
    return is_float_type(w->tensor->type) && !w->is_vector
               ? 0
               : (uint64_t)w->rows * (uint64_t)w->cols * sizeof(float);
}

static int prepare(struct ink_backend *b, struct ink_weight *w, struct ink_error *error)
{
    const struct cpu *c = (const struct cpu *)b;
    uint64_t bytes = owned_bytes(b, w);
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

static void release(struct ink_backend *b, struct ink_weight *w)
{
    (void)b;
    ink_free_aligned(w->owned);
    w->owned = NULL;
    w->data = NULL;
}

/* ------------------------------------------------------------------------------------- KV cache */

static uint64_t kv_bytes(const struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    const struct ink_backend_shape *s = &b->shape;
    uint64_t value = type == INK_KV_F16 ? 2 : 4;
    return value * 2 * (uint64_t)s->n_layers * (uint64_t)s->n_kv_heads * (uint64_t)s->head_dim *
               (uint64_t)n_positions +
           sizeof(struct ink_kv);
}

static struct ink_kv *kv_open(struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    const struct ink_backend_shape *s = &b->shape;
    uint64_t bytes = kv_bytes(b, n_positions, type);
    struct ink_kv *kv = bytes < SIZE_MAX ? ink_calloc(1, sizeof *kv) : NULL;
    if (!kv) {
        return NULL;
    }
    kv->type = type;
    kv->n_positions = n_positions;
    kv->n_kv_heads = s->n_kv_heads;
    kv->row_bytes = (size_t)s->head_dim * (type == INK_KV_F16 ? 2 : 4);
    kv->head_bytes = kv->row_bytes * (size_t)n_positions;
    kv->layer_bytes = 2 * kv->head_bytes * (size_t)s->n_kv_heads;
    kv->data = ink_alloc_aligned((size_t)bytes - sizeof *kv);
    if (!kv->data) {
        ink_free(kv);
        return NULL;
    }
    return kv;
}

static void kv_close(struct ink_kv *kv)
{
    if (kv) {
        ink_free_aligned(kv->data);
        ink_free(kv);
    }
}

static char *kv_keys(const struct ink_kv *kv, int layer, int head)
{
    return kv->data + kv->layer_bytes * (size_t)layer + kv->head_bytes * (size_t)head;
}

static char *kv_values(const struct ink_kv *kv, int layer, int head)
{
    return kv_keys(kv, layer, kv->n_kv_heads + head);
}

/* ---------------------------------------------------------------------------------------- verbs */

struct run {
    struct ink_backend *backend;
    const struct ink_batch *batch;
    ink_pass_function *pass;
    const void *context;
};

static void run_lane(void *context, struct ink_team *team, int index, int count)
{
    const struct run *r = context;
    struct ink_lane lane = {r->backend, r->batch, team, index, count};
    r->pass(&lane, r->context);
}

static void run(struct ink_backend *b, const struct ink_batch *batch, ink_pass_function *pass,
                const void *context)
{
    struct run r = {b, batch, pass, context};
    ink_threads_run(b->n_threads, run_lane, &r);
}

static void sync_lanes(const struct ink_lane *l)
{
    ink_threads_barrier(l->team, l->count);
}

static void positions(const struct ink_lane *l)
{
    const struct cpu *c = cpu_of(l);
    int half = c->base.shape.head_dim / 2, begin, end;
    share(l, l->batch->n_rows, 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        float *cosine = c->cosines + (size_t)r * (size_t)half;
        float *sine = c->sines + (size_t)r * (size_t)half;
        for (int j = 0; j < half; j++) {
            /* float32, as the original computes angles */
            float angle = (float)l->batch->positions[r] * c->inverse_frequency[j];
            double s, co;
            ink_fixed_sincos(angle, &s, &co);
            sine[j] = (float)s;
            cosine[j] = (float)co;
        }
    }
}

static void embed(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *table)
{
    const struct cpu *c = cpu_of(l);
    int begin, end;
    share(l, l->batch->n_rows, 1, &begin, &end);
    size_t row_bytes = (size_t)table->cols * (table->type == INK_TYPE_F32 ? 4 : 2);
    for (int r = begin; r < end; r++) {
        const char *row = (const char *)table->data + row_bytes * (size_t)l->batch->tokens[r];
        widen(c, row_of(c, out, r), row, table->type, (size_t)table->cols);
    }
}

static int buffer_rows(const struct ink_lane *l, enum ink_buffer buffer)
{
    return buffer == INK_SELECTED ? l->batch->n_outputs : l->batch->n_rows;
}

static void norm(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in,
                 const struct ink_weight *gain, float eps)
{
    const struct cpu *c = cpu_of(l);
    int begin, end;
    share(l, buffer_rows(l, in), 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        c->kernels->rmsnorm(row_of(c, out, r), row_of(c, in, r), gain->data, gain->cols, eps);
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

static void matmul(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                   const struct ink_weight *bias, enum ink_buffer in)
{
    const struct cpu *c = cpu_of(l);
    int begin, end, n = l->batch->n_rows;
    size_t ldy = (size_t)c->width[out];
    share(l, w->rows, column_grain, &begin, &end);
    multiply_columns(c, c->buffers[out], ldy, c->buffers[in], n, w, begin, end);
    add_bias(c->buffers[out], ldy, n, bias, begin, end);
}

/* The product goes through INK_NORMED, which is free where residuals are added. */
static void matmul_add(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                       const struct ink_weight *bias, enum ink_buffer in)
{
    const struct cpu *c = cpu_of(l);
    int begin, end, n = l->batch->n_rows;
    size_t ldy = (size_t)c->width[out];
    float *product = c->buffers[INK_NORMED];
    share(l, w->rows, column_grain, &begin, &end);
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

static void store(const struct cpu *c, const struct ink_kv *kv, char *rows, int position,
                  const float *x)
{
    char *out = rows + kv->row_bytes * (size_t)position;
    if (kv->type == INK_KV_F16) {
        c->kernels->f16_from_f32((uint16_t *)(void *)out, x, (size_t)c->base.shape.head_dim);
    } else {
        memcpy(out, x, kv->row_bytes);
    }
}

/* Work is one head of one row: query heads first, then key/value heads. */
static void rotate_and_store(const struct ink_lane *l, int layer)
{
    const struct cpu *c = cpu_of(l);
    const struct ink_backend_shape *s = &c->base.shape;
    void (*rotate)(float *, const float *, const float *, int) =
        s->rope_half ? c->kernels->rope_half : c->kernels->rope_interleaved;
    int d = s->head_dim, per_row = s->n_heads + s->n_kv_heads, begin, end;
    share(l, l->batch->n_rows * per_row, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        int r = i / per_row, h = i % per_row;
        const float *cosine = c->cosines + (size_t)r * (size_t)(d / 2);
        const float *sine = c->sines + (size_t)r * (size_t)(d / 2);
        if (h < s->n_heads) {
            rotate(row_of(c, INK_QUERY, r) + (size_t)h * (size_t)d, cosine, sine, d);
            continue;
        }
        h -= s->n_heads;
        const struct ink_kv *kv = l->batch->kv[r];
        float *key = row_of(c, INK_KEY, r) + (size_t)h * (size_t)d;
        rotate(key, cosine, sine, d);
        store(c, kv, kv_keys(kv, layer, h), l->batch->positions[r], key);
        store(c, kv, kv_values(kv, layer, h), l->batch->positions[r],
              row_of(c, INK_VALUE, r) + (size_t)h * (size_t)d);
    }
}

/* Query heads taken together: all that share a key/value head, unless there would be fewer pieces
 * of work than lanes (one decoded row). The result does not depend on it. */
static int heads_per_piece(const struct ink_lane *l, const struct ink_backend_shape *s)
{
    int group = s->n_heads / s->n_kv_heads;
    int pieces = l->batch->n_rows * s->n_kv_heads;
    while (pieces < l->count && group % 2 == 0) {
        group /= 2;
        pieces *= 2;
    }
    return group;
}

static void attend(const struct ink_lane *l, int layer)
{
    const struct cpu *c = cpu_of(l);
    const struct ink_backend_shape *s = &c->base.shape;
    int d = s->head_dim, group = heads_per_piece(l, s), per_row = s->n_heads / group;
    int shared_by = s->n_heads / s->n_kv_heads;
    float scale = 1.0f / sqrtf((float)d);
    float *scores = c->scores + c->score_size * (size_t)l->index;
    int n = l->batch->n_rows * per_row;
    /* Taken in turns: later rows of a prompt look back farther, so equal runs would not balance. */
    for (int i = l->index; i < n; i += l->count) {
        int r = i / per_row, first = i % per_row * group, kv_head = first / shared_by;
        const struct ink_kv *kv = l->batch->kv[r];
        struct ink_kv_view view = {kv_keys(kv, layer, kv_head), kv_values(kv, layer, kv_head)};
        size_t offset = (size_t)first * (size_t)d;
        (kv->type == INK_KV_F16 ? c->kernels->attend_f16 : c->kernels->attend_f32)(
            row_of(c, INK_ATTENTION, r) + offset, row_of(c, INK_QUERY, r) + offset, group, view,
            l->batch->positions[r] + 1, d, scale, scores);
    }
}

static void swiglu(const struct ink_lane *l, enum ink_buffer gate, enum ink_buffer up)
{
    const struct cpu *c = cpu_of(l);
    int begin, end;
    share(l, c->width[gate], column_grain, &begin, &end);
    for (int r = 0; r < l->batch->n_rows && begin < end; r++) {
        float *g = row_of(c, gate, r) + begin;
        c->kernels->swiglu(g, g, row_of(c, up, r) + begin, end - begin);
    }
}

static void select_rows(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in)
{
    const struct cpu *c = cpu_of(l);
    int begin, end;
    share(l, l->batch->n_outputs, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        memcpy(row_of(c, out, i), row_of(c, in, l->batch->output_rows[i]),
               (size_t)c->width[out] * sizeof(float));
    }
}

static void head(const struct ink_lane *l, const struct ink_weight *w)
{
    const struct cpu *c = cpu_of(l);
    float *const *logits = l->batch->logits;
    int begin, end, n = l->batch->n_outputs;
    share(l, w->rows, column_grain, &begin, &end);
    for (int i = 0; i < n;) { /* rows that are neighbours in the caller's memory go together */
        int run_length = 1;
        while (i + run_length < n &&
               logits[i + run_length] == logits[i] + (size_t)run_length * (size_t)w->rows) {
            run_length++;
        }
        multiply_columns(c, logits[i], (size_t)w->rows, row_of(c, INK_SELECTED, i), run_length, w,
                         begin, end);
        i += run_length;
    }
}

static void tap(const struct ink_lane *l, int layer, enum ink_buffer in)
{
    const struct cpu *c = cpu_of(l);
    const struct ink_batch *b = l->batch;
    int begin, end;
    if (!b->hidden) {
        return;
    }
    share(l, b->n_rows, 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        if (b->hidden[r]) {
            memcpy(b->hidden[r] + b->hidden_stride[r] * (size_t)layer, row_of(c, in, r),
                   (size_t)c->width[in] * sizeof(float));
        }
    }
}

/* --------------------------------------------------------------------------------- open, close */

static void close_cpu(struct ink_backend *b)
{
    struct cpu *c = (struct cpu *)b;
    if (c) {
        for (int i = 0; i < INK_BUFFER_COUNT; i++) {
            ink_free_aligned(c->buffers[i]);
        }
        ink_free_aligned(c->inverse_frequency);
        ink_free_aligned(c->cosines);
        ink_free_aligned(c->sines);
        ink_free_aligned(c->scores);
        ink_free(c);
    }
}

static bool allocate(struct cpu *c, float **out, uint64_t n)
{
    c->base.scratch_bytes += n * sizeof(float);
    *out = n < SIZE_MAX / sizeof(float) ? ink_alloc_aligned((size_t)n * sizeof(float)) : NULL;
    return *out != NULL;
}

static bool allocate_buffers(struct cpu *c)
{
    const struct ink_backend_shape *s = &c->base.shape;
    int heads = s->n_heads * s->head_dim, kv_heads = s->n_kv_heads * s->head_dim;
    const int width[INK_BUFFER_COUNT] = {
        [INK_RESIDUAL] = s->hidden_size,
        [INK_NORMED] = s->hidden_size,
        [INK_QUERY] = heads,
        [INK_KEY] = kv_heads,
        [INK_VALUE] = kv_heads,
        [INK_ATTENTION] = heads,
        [INK_GATE] = s->intermediate_size,
        [INK_UP] = s->intermediate_size,
        [INK_SELECTED] = s->hidden_size,
    };
    memcpy(c->width, width, sizeof width);
    uint64_t rows = (uint64_t)s->max_rows, half = (uint64_t)s->head_dim / 2;
    bool ok = true;
    for (int i = 0; i < INK_BUFFER_COUNT; i++) {
        ok = ok && allocate(c, &c->buffers[i], rows * (uint64_t)c->width[i]);
    }
    c->score_size = (size_t)(s->n_heads / s->n_kv_heads) * INK_ATTENTION_BLOCK;
    return ok && allocate(c, &c->inverse_frequency, half) &&
           allocate(c, &c->cosines, rows * half) && allocate(c, &c->sines, rows * half) &&
           allocate(c, &c->scores, (uint64_t)c->score_size * (uint64_t)c->base.n_threads);
}

/* 1 / theta^(2j / D), each step rounded to float32 as the original does. */
static void fill_frequencies(struct cpu *c)
{
    const struct ink_backend_shape *s = &c->base.shape;
    double log_theta = ink_fixed_log(s->rope_theta);
    for (int j = 0; j < s->head_dim / 2; j++) {
        float exponent = (float)(2 * j) / (float)s->head_dim;
        c->inverse_frequency[j] = 1.0f / (float)ink_fixed_exp(exponent * log_theta);
    }
}

static const struct ink_backend verbs = {
    .name = "cpu",
    .close = close_cpu,
    .owned_bytes = owned_bytes,
    .prepare = prepare,
    .release = release,
    .kv_bytes = kv_bytes,
    .kv_open = kv_open,
    .kv_close = kv_close,
    .run = run,
    .sync = sync_lanes,
    .positions = positions,
    .embed = embed,
    .norm = norm,
    .matmul = matmul,
    .matmul_add = matmul_add,
    .rotate_and_store = rotate_and_store,
    .attend = attend,
    .swiglu = swiglu,
    .select = select_rows,
    .head = head,
    .tap = tap,
};

int ink_backend_open_cpu(struct ink_backend **out, const struct ink_backend_shape *shape,
                         const char *level, int threads, struct ink_error *error)
{
    *out = NULL;
    const struct ink_kernels *kernels = ink_kernels_find(level);
    if (!kernels) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "this build or CPU has no level \"%s\" (see inkstone doctor)", level);
    }
    struct cpu *c = ink_calloc(1, sizeof *c);
    if (!c) {
        return ink_fail_memory(error, sizeof *c);
    }
    c->base = verbs;
    c->base.shape = *shape;
    c->base.level = kernels->name;
    threads = threads < INK_MAX_THREADS ? threads : INK_MAX_THREADS;
    c->base.n_threads = !ink_threads_are_available() ? 1
                        : threads > 0                ? threads
                                                     : ink_system_cores();
    c->kernels = kernels;
    if (!allocate_buffers(c)) {
        int status = ink_fail_memory(error, c->base.scratch_bytes);
        close_cpu(&c->base);
        return status;
    }
    fill_frequencies(c);
    *out = &c->base;
    return INK_OK;
}
