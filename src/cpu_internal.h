/* What the files of the CPU backend share: its state, and the verbs that backend_cpu.c puts into
 * its table. backend.h says what each verb does. */
#ifndef INK_CPU_INTERNAL_H
#define INK_CPU_INTERNAL_H

#include "backend.h"
#include "kernels.h"
#include "threads.h"

#include <stdatomic.h>

/* A weight that is not used where it lies. cpu_load.c fills in all but the first two. */
struct ink_cpu_load {
    const struct ink_weight *weight;
    char *out;
    size_t row_bytes;              /* in the file */
    int portion;                   /* groups of rows */
    int first_portion, n_portions; /* counted over all weights */
    _Atomic uint64_t n_bad;        /* values that are not finite */
};

enum { INK_SCREENED_AT_ONCE = 16 }; /* outputs; their floats are a cache line */

struct cpu {
    struct ink_backend base;
    const struct ink_kernels *kernels;
    float *buffers[INK_BUFFER_COUNT]; /* [max_rows, width[i]] each */
    int width[INK_BUFFER_COUNT];
    /* The same rows as int8, of buffers that packed matrices multiply; NULL: none do. */
    char *quantized[INK_BUFFER_COUNT];
    size_t quantized_bytes[INK_BUFFER_COUNT]; /* of a row */
    bool has_packed;
    char *groups;       /* [threads, group_bytes]: a lane's packed group, joined from planes */
    size_t group_bytes; /* of the widest matrix that has planes, in whole cache lines */
    /* [threads]: what a lane knows the wanted logits of each output not to be below */
    float (*least)[INK_SCREENED_AT_ONCE];
    _Atomic uint64_t screened, read_whole; /* groups of this pass */
    int plain_passes;                      /* to do without screening, because it did not pay */
    char *arena;                           /* weights that are not used where they lie */
    size_t arena_used;
    struct ink_cpu_load *loads; /* between prepare and load */
    int n_loads, loads_room;
    float *inverse_frequency; /* [D / 2] */
    float *cosines, *sines;   /* [max_rows, D / 2]: of each row's position */
    float *scores;            /* [threads, score_size] */
    size_t score_size;
};

/* Output columns are handed to lanes in groups of this many: whole blocks of int8, and two lanes
 * never write to the same cache line. */
enum { INK_COLUMN_GRAIN = INK_Q8_BLOCK };

static inline struct cpu *ink_cpu_of(const struct ink_lane *l)
{
    return (struct cpu *)l->backend;
}

static inline float *ink_cpu_row(const struct cpu *c, enum ink_buffer buffer, int row)
{
    return c->buffers[buffer] + (size_t)row * (size_t)c->width[buffer];
}

static inline void ink_cpu_share(const struct ink_lane *l, int n, int grain, int *begin, int *end)
{
    ink_threads_share(l->index, l->count, n, grain, begin, end);
}

/* A loop over n output columns, dealt out as lanes get on (threads.h). */
static inline struct ink_loop ink_cpu_loop(const struct ink_lane *l, int n)
{
    return ink_loop_begin(l->team, l->index, l->count, n, INK_COLUMN_GRAIN);
}

/* The next columns for this lane: [*begin, *end). Not so many that others would wait long for a
 * lane that loses its processor. */
static inline bool ink_cpu_take(const struct ink_loop *loop, int *begin, int *end)
{
    return ink_loop_take(loop, 64 * INK_COLUMN_GRAIN, begin, end);
}

static inline char *ink_cpu_quantized_row(const struct cpu *c, enum ink_buffer buffer, int row)
{
    return c->quantized[buffer] + c->quantized_bytes[buffer] * (size_t)row;
}

/* Columns begin..end-1 (multiples of INK_COLUMN_GRAIN) of a row are written: make their int8, if a
 * matrix will want it. A verb that writes NORMED, ATTENTION, GATE or SELECTED calls this. */
static inline void ink_cpu_written(const struct cpu *c, enum ink_buffer buffer, int row, int begin,
                                   int end)
{
    if (c->has_packed && c->quantized[buffer]) {
        c->kernels->quantize_q8(ink_cpu_quantized_row(c, buffer, row), ink_cpu_row(c, buffer, row),
                                c->width[buffer], begin, end);
    }
}

/* cpu_weights.c */
uint64_t ink_cpu_owned_bytes(const struct ink_backend *b, const struct ink_weight *w);
int ink_cpu_reserve(struct ink_backend *b, uint64_t bytes, struct ink_error *error);
int ink_cpu_prepare(struct ink_backend *b, struct ink_weight *w, struct ink_error *error);

static inline int ink_cpu_group_count(const struct ink_weight *w)
{
    return (w->rows + INK_Q8_GROUP - 1) / INK_Q8_GROUP;
}

/* cpu_load.c */
int ink_cpu_load(struct ink_backend *b, const char *path, ink_beside_function *beside,
                 void *context, struct ink_error *error);

/* cpu_matmul.c */
void ink_cpu_embed(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *table);
void ink_cpu_matmul(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                    const struct ink_weight *bias, enum ink_buffer in);
void ink_cpu_matmul_add(const struct ink_lane *l, enum ink_buffer out, const struct ink_weight *w,
                        const struct ink_weight *bias, enum ink_buffer in);
/* y[n, ldy] = columns begin..end-1 of rows row..row+n-1 of `in` · w^T; w without planes */
void ink_cpu_multiply_columns(const struct cpu *c, float *y, size_t ldy, enum ink_buffer in,
                              int row, int n, const struct ink_weight *w, int begin, int end);

static inline const char *ink_cpu_group(const struct ink_weight *w, int row)
{
    return (const char *)w->data + ink_q8_group_bytes(w->cols) * (size_t)(row / INK_Q8_GROUP);
}

/* A group of w as matmul_q8 wants it, in the lane's own memory if w has planes. */
const char *ink_cpu_joined_group(const struct ink_lane *l, const struct ink_weight *w, int row);

/* cpu_adapter.c */
/* Before w · in: A x, for the rows that have an adapter; if any has, a barrier follows. */
void ink_cpu_project(const struct ink_lane *l, const struct ink_weight *w, enum ink_buffer in);
/* After it: y[rows of the batch, ldy], columns begin..end-1 += B (A x). */
void ink_cpu_adapt(const struct ink_lane *l, float *y, size_t ldy, const struct ink_weight *w,
                   int begin, int end);

/* cpu_head.c */
/* After a pass: what screening saved, and whether the next pass does it again. */
void ink_cpu_head_settle(struct cpu *c, int n_outputs);
void ink_cpu_head(const struct ink_lane *l, const struct ink_weight *w);

/* cpu_attention.c */
uint64_t ink_cpu_kv_bytes(const struct ink_backend *b, int n_positions, enum ink_kv_type type);
struct ink_kv *ink_cpu_kv_open(struct ink_backend *b, int n_positions, enum ink_kv_type type);
void ink_cpu_kv_close(struct ink_kv *kv);
uint64_t ink_cpu_kv_copy_bytes(const struct ink_kv *kv, int n);
void ink_cpu_kv_read(const struct ink_kv *kv, void *out, int begin, int n);
void ink_cpu_kv_write(struct ink_kv *kv, const void *in, int begin, int n);
void ink_cpu_rotate(const struct ink_lane *l);
void ink_cpu_store(const struct ink_lane *l, int layer);
void ink_cpu_attend(const struct ink_lane *l, int layer);

#endif
