#include "cpu_internal.h"

#include "rope.h"
#include "system.h"

#include <string.h>

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
    ink_cpu_head_settle((struct cpu *)b, batch->n_outputs);
}

static void sync_lanes(const struct ink_lane *l)
{
    ink_threads_barrier(l->team, l->count);
}

static void positions(const struct ink_lane *l)
{
    const struct cpu *c = ink_cpu_of(l);
    int half = c->base.shape.head_dim / 2, begin, end;
    ink_cpu_share(l, l->batch->n_rows, 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        ink_rope_angles(c->cosines + (size_t)r * (size_t)half, c->sines + (size_t)r * (size_t)half,
                        l->batch->positions[r], c->inverse_frequency, c->base.shape.head_dim);
    }
}

static int buffer_rows(const struct ink_lane *l, enum ink_buffer buffer)
{
    return buffer == INK_SELECTED ? l->batch->n_outputs : l->batch->n_rows;
}

static void norm(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in,
                 const struct ink_weight *gain, float eps)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end;
    ink_cpu_share(l, buffer_rows(l, in), 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        c->kernels->rmsnorm(ink_cpu_row(c, out, r), ink_cpu_row(c, in, r), gain->data, gain->cols,
                            eps);
        ink_cpu_written(c, out, r, 0, c->width[out]);
    }
}

static void swiglu(const struct ink_lane *l, enum ink_buffer gate, enum ink_buffer up)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end;
    ink_cpu_share(l, c->width[gate], INK_COLUMN_GRAIN, &begin, &end);
    for (int r = 0; r < l->batch->n_rows && begin < end; r++) {
        float *g = ink_cpu_row(c, gate, r) + begin;
        c->kernels->swiglu(g, g, ink_cpu_row(c, up, r) + begin, end - begin);
        ink_cpu_written(c, gate, r, begin, end);
    }
}

static void select_rows(const struct ink_lane *l, enum ink_buffer out, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    int begin, end;
    /* By columns, and rows rise: none is overwritten in place before it was read. */
    ink_cpu_share(l, c->width[out], INK_COLUMN_GRAIN, &begin, &end);
    for (int i = 0; i < l->batch->n_outputs; i++) {
        memmove(ink_cpu_row(c, out, i) + begin,
                ink_cpu_row(c, in, l->batch->output_rows[i]) + begin,
                (size_t)(end - begin) * sizeof(float));
    }
}

static void tap(const struct ink_lane *l, int layer, enum ink_buffer in)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    int begin, end;
    if (!b->hidden) {
        return;
    }
    ink_cpu_share(l, b->n_rows, 1, &begin, &end);
    for (int r = begin; r < end; r++) {
        if (b->hidden[r]) {
            memcpy(b->hidden[r] + b->hidden_stride[r] * (size_t)layer, ink_cpu_row(c, in, r),
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
            ink_free_aligned(c->quantized[i]);
        }
        ink_free_aligned(c->arena);
        ink_free(c->loads);
        ink_free_aligned(c->groups);
        ink_free_aligned(c->least);
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

/* Rows of int8 beside a buffer that matrices read, each from a cache line's start. */
static bool allocate_quantized(struct cpu *c, enum ink_buffer buffer)
{
    int width = c->width[buffer];
    if (width % INK_Q8_BLOCK != 0) {
        return true; /* no matrix that reads it is packed */
    }
    size_t bytes = ink_q8_row_bytes(width, c->kernels->q8_value_bytes);
    c->quantized_bytes[buffer] = (bytes + 63) / 64 * 64;
    uint64_t all = (uint64_t)c->quantized_bytes[buffer] * (uint64_t)c->base.shape.max_rows;
    c->base.scratch_bytes += all;
    c->quantized[buffer] = all < SIZE_MAX ? ink_alloc_aligned((size_t)all) : NULL;
    return c->quantized[buffer] != NULL;
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
    ok = ok && allocate_quantized(c, INK_NORMED) && allocate_quantized(c, INK_ATTENTION) &&
         allocate_quantized(c, INK_GATE) && allocate_quantized(c, INK_SELECTED);
    c->score_size = (size_t)(s->n_heads / s->n_kv_heads) * INK_ATTENTION_BLOCK;
    return ok && allocate(c, &c->inverse_frequency, half) &&
           allocate(c, &c->cosines, rows * half) && allocate(c, &c->sines, rows * half) &&
           allocate(c, &c->scores, (uint64_t)c->score_size * (uint64_t)c->base.n_threads);
}

static const struct ink_backend verbs = {
    .name = "cpu",
    .close = close_cpu,
    .owned_bytes = ink_cpu_owned_bytes,
    .reserve = ink_cpu_reserve,
    .prepare = ink_cpu_prepare,
    .load = ink_cpu_load,
    .kv_bytes = ink_cpu_kv_bytes,
    .kv_open = ink_cpu_kv_open,
    .kv_close = ink_cpu_kv_close,
    .kv_copy_bytes = ink_cpu_kv_copy_bytes,
    .kv_read = ink_cpu_kv_read,
    .kv_write = ink_cpu_kv_write,
    .run = run,
    .sync = sync_lanes,
    .positions = positions,
    .embed = ink_cpu_embed,
    .norm = norm,
    .matmul = ink_cpu_matmul,
    .matmul_add = ink_cpu_matmul_add,
    .rotate = ink_cpu_rotate,
    .store = ink_cpu_store,
    .attend = ink_cpu_attend,
    .swiglu = swiglu,
    .select = select_rows,
    .head = ink_cpu_head,
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
    threads = threads > 0 ? threads : ink_system_cores();
    threads = threads < INK_MAX_THREADS ? threads : INK_MAX_THREADS;
    c->base.n_threads = ink_threads_are_available() ? threads : 1;
    c->kernels = kernels;
    if (!allocate_buffers(c)) {
        int status = ink_fail_memory(error, c->base.scratch_bytes);
        close_cpu(&c->base);
        return status;
    }
    ink_rope_frequencies(c->inverse_frequency, shape->rope_theta, shape->head_dim);
    *out = &c->base;
    return INK_OK;
}
