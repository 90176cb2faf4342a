/* The weights of the CPU backend: used where they lie in the file, widened, or rounded to int8 and
 * packed for the kernels. */
#include "cpu_internal.h"

#include "file.h"
#include "pack.h"
#include "quant.h"
#include "system.h"

#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

void ink_cpu_widen(const struct cpu *c, float *out, const void *data, enum ink_type type, size_t n)
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

static bool is_packed(const struct ink_backend *b, const struct ink_weight *w)
{
    return !w->is_vector && w->cols % INK_Q8_BLOCK == 0 &&
           (w->tensor->type == INK_TYPE_Q8_0 || b->shape.weight_type != INK_WEIGHTS_NATIVE);
}

static int group_count(const struct ink_weight *w)
{
    return (w->rows + INK_Q8_GROUP - 1) / INK_Q8_GROUP;
}

uint64_t ink_cpu_owned_bytes(const struct ink_backend *b, const struct ink_weight *w)
{
    uint64_t bytes = 0;
    if (is_packed(b, w)) {
        bytes = (uint64_t)group_count(w) * ink_q8_group_bytes(w->cols) +
                (w->is_head ? (uint64_t)group_count(w) * INK_Q8_GROUP * sizeof(float) : 0);
    } else if (w->is_vector || !is_float_type(w->tensor->type)) {
        bytes = (uint64_t)w->rows * (uint64_t)w->cols * sizeof(float);
    }
    return (bytes + 63) / 64 * 64;
}

/* One piece of memory for all weights: in large pages the processor finds its way through them with
 * fewer looks at page tables. */
int ink_cpu_reserve(struct ink_backend *b, uint64_t bytes, struct ink_error *error)
{
    struct cpu *c = (struct cpu *)b;
    c->arena = bytes > 0 && bytes < SIZE_MAX ? ink_alloc_aligned((size_t)bytes) : NULL;
    if (bytes > 0 && !c->arena) {
        return ink_fail_memory(error, bytes);
    }
    if (c->arena) {
        ink_system_prefer_large_pages(c->arena, (size_t)bytes);
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- packing */

/* Groups are handed out in portions, and a portion's part of the file is let go when it has been
 * read: memory holds the weights once. */
struct packing {
    const struct cpu *c;
    const struct ink_weight *w;
    char *out;
    float *rest;      /* NULL: not in planes */
    size_t row_bytes; /* in the file */
    int portion;      /* groups */
    char *scratch;    /* [lanes, scratch_bytes] */
    size_t scratch_bytes;
    atomic_int next; /* group */
    _Atomic uint64_t n_bad;
};

enum { portion_bytes = 1 << 20 };

static uint64_t count_bad(const float *x, int n)
{
    uint64_t bad = 0;
    for (int i = 0; i < n; i++) {
        bad += !(fabsf(x[i]) <= FLT_MAX);
    }
    return bad;
}

/* Rows of any type through floats to Q8_0 blocks in `scratch`. */
static const char *round_rows(struct packing *p, char *scratch, const char *rows, int n_rows)
{
    int cols = p->w->cols;
    size_t q8_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    float *row = (float *)(void *)(scratch + q8_bytes * INK_Q8_GROUP);
    for (int r = 0; r < n_rows; r++) {
        ink_cpu_widen(p->c, row, rows + p->row_bytes * (size_t)r, p->w->tensor->type, (size_t)cols);
        uint64_t bad = count_bad(row, cols);
        if (bad) {
            atomic_fetch_add(&p->n_bad, bad);
        }
        p->c->kernels->round_q8(scratch + q8_bytes * (size_t)r, row, (size_t)cols);
    }
    return scratch;
}

static void pack_group(struct packing *p, char *scratch, int group)
{
    int cols = p->w->cols, first = group * INK_Q8_GROUP, left = p->w->rows - first;
    int n_rows = left < INK_Q8_GROUP ? left : INK_Q8_GROUP;
    size_t row_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    const char *rows = (const char *)p->w->tensor->data + p->row_bytes * (size_t)first;
    if (p->w->tensor->type != INK_TYPE_Q8_0) {
        rows = round_rows(p, scratch, rows, n_rows);
    }
    char *out = p->out + ink_q8_group_bytes(cols) * (size_t)group;
    char *packed = p->rest ? scratch + p->scratch_bytes - ink_q8_group_bytes(cols) : out;
    ink_pack_q8_0(packed, rows, row_bytes, n_rows, cols);
    if (p->rest) {
        ink_split_q8(p->c->kernels, out, p->rest + first, (int32_t *)(void *)scratch, packed, cols);
    }
}

static void pack_portions(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct packing *p = context;
    (void)team;
    (void)n_lanes;
    char *scratch = p->scratch + p->scratch_bytes * (size_t)lane;
    int n = group_count(p->w), first;
    while ((first = atomic_fetch_add(&p->next, p->portion)) < n) {
        int end = first + p->portion < n ? first + p->portion : n;
        for (int g = first; g < end; g++) {
            pack_group(p, scratch, g);
        }
        int rows = (end * INK_Q8_GROUP < p->w->rows ? end * INK_Q8_GROUP : p->w->rows);
        ink_release_mapped((const char *)p->w->tensor->data +
                               p->row_bytes * (size_t)(first * INK_Q8_GROUP),
                           p->row_bytes * (size_t)(rows - first * INK_Q8_GROUP));
    }
}

static int pack(struct cpu *c, struct ink_weight *w, char *out, const char *path,
                struct ink_error *error)
{
    const struct ink_type_facts *facts = ink_type_facts(w->tensor->type);
    struct packing p = {.c = c, .w = w, .out = out};
    p.row_bytes = (size_t)(w->cols / facts->block_values) * (size_t)facts->block_bytes;
    p.portion = (int)(portion_bytes / (p.row_bytes * INK_Q8_GROUP)) + 1;
    p.scratch_bytes = (size_t)w->cols * sizeof(float) + 2 * ink_q8_group_bytes(w->cols);
    if (w->is_head) {
        w->rest = p.rest =
            (float *)(void *)(out + ink_q8_group_bytes(w->cols) * (size_t)group_count(w));
        c->group_bytes = (ink_q8_group_bytes(w->cols) + 63) / 64 * 64;
        c->groups = ink_alloc_aligned(c->group_bytes * (size_t)c->base.n_threads);
        if (!c->groups) {
            return ink_fail_memory(error, c->group_bytes * (uint64_t)c->base.n_threads);
        }
    }
    p.scratch = ink_calloc((size_t)c->base.n_threads, p.scratch_bytes);
    if (!p.scratch) {
        return ink_fail_memory(error, p.scratch_bytes * (uint64_t)c->base.n_threads);
    }
    ink_threads_run(c->base.n_threads, pack_portions, &p);
    ink_free(p.scratch);
    if (p.n_bad) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tensor \"%s\" has %llu values that are not finite", path,
                        w->tensor->name, (unsigned long long)p.n_bad);
    }
    w->is_packed = true;
    w->type = INK_TYPE_Q8_0;
    c->has_packed = true;
    return INK_OK;
}

int ink_cpu_prepare(struct ink_backend *b, struct ink_weight *w, const char *path,
                    struct ink_error *error)
{
    struct cpu *c = (struct cpu *)b;
    uint64_t bytes = ink_cpu_owned_bytes(b, w);
    w->type = w->tensor->type;
    w->data = w->tensor->data;
    if (bytes == 0) {
        return INK_OK;
    }
    char *out = c->arena + c->arena_used;
    c->arena_used += (size_t)bytes;
    w->data = out;
    if (is_packed(b, w)) {
        return pack(c, w, out, path, error);
    }
    ink_cpu_widen(c, (float *)(void *)out, w->tensor->data, w->type,
                  (size_t)w->rows * (size_t)w->cols);
    w->type = INK_TYPE_F32;
    return INK_OK;
}
