/* Loading: all weights that the CPU backend does not use where they lie, in one parallel region.
 * Rows are handed out in portions, groups of INK_Q8_GROUP, and a portion's part of the file is let
 * go when it has been read: memory holds the weights once. */
#include "cpu_internal.h"

#include "file.h"
#include "pack.h"
#include "quant.h"

#include <float.h>
#include <math.h>

enum { portion_bytes = 1 << 20 };

struct loading {
    const struct cpu *c;
    ink_beside_function *beside;
    void *context;
    char *scratch; /* [lanes, scratch_bytes] */
    size_t scratch_bytes;
    atomic_int next; /* portion */
};

/* ------------------------------------------------------------------------------------ one group */

static uint64_t count_bad(const float *x, int n)
{
    uint64_t bad = 0;
    for (int i = 0; i < n; i++) {
        bad += !(fabsf(x[i]) <= FLT_MAX);
    }
    return bad;
}

/* Rows of any type through floats to Q8_0 blocks in `scratch`. */
static const char *round_rows(const struct cpu *c, struct ink_cpu_load *load, char *scratch,
                              const char *rows, int n_rows)
{
    int cols = load->weight->cols;
    size_t q8_bytes = (size_t)(cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    float *row = (float *)(void *)(scratch + q8_bytes * INK_Q8_GROUP);
    for (int r = 0; r < n_rows; r++) {
        ink_widen(c->kernels, row, rows + load->row_bytes * (size_t)r, load->weight->tensor->type,
                  (size_t)cols);
        uint64_t bad = count_bad(row, cols);
        if (bad) {
            atomic_fetch_add(&load->n_bad, bad);
        }
        c->kernels->round_q8(scratch + q8_bytes * (size_t)r, row, (size_t)cols);
    }
    return scratch;
}

/* Scratch of a lane: rounded rows and one row of floats, or ink_split_q8's; then a packed group. */
static size_t scratch_bytes(const struct ink_weight *w)
{
    return (size_t)w->cols * sizeof(float) + 2 * ink_q8_group_bytes(w->cols);
}

static void pack_group(const struct cpu *c, struct ink_cpu_load *load, char *scratch,
                       const char *rows, int group, int n_rows)
{
    const struct ink_weight *w = load->weight;
    size_t packed_bytes = ink_q8_group_bytes(w->cols);
    if (w->tensor->type != INK_TYPE_Q8_0) {
        rows = round_rows(c, load, scratch, rows, n_rows);
    }
    char *out = load->out + packed_bytes * (size_t)group;
    char *packed = w->rest ? scratch + scratch_bytes(w) - packed_bytes : out;
    size_t row_bytes = (size_t)(w->cols / INK_Q8_BLOCK) * (INK_Q8_BLOCK + 2);
    ink_pack_q8_0(c->kernels, packed, rows, row_bytes, n_rows, w->cols);
    if (w->rest) {
        size_t all = packed_bytes * (size_t)ink_cpu_group_count(w);
        float *rest = (float *)(void *)(load->out + all) + (size_t)group * INK_Q8_GROUP;
        ink_split_q8(c->kernels, out, rest, (int32_t *)(void *)scratch, packed, w->cols);
    }
}

static void load_group(const struct cpu *c, struct ink_cpu_load *load, char *scratch, int group)
{
    const struct ink_weight *w = load->weight;
    int first = group * INK_Q8_GROUP, left = w->rows - first;
    int n_rows = left < INK_Q8_GROUP ? left : INK_Q8_GROUP;
    const char *rows = (const char *)w->tensor->data + load->row_bytes * (size_t)first;
    if (w->is_packed) {
        pack_group(c, load, scratch, rows, group, n_rows);
    } else {
        size_t before = (size_t)first * (size_t)w->cols;
        ink_widen(c->kernels, (float *)(void *)load->out + before, rows, w->tensor->type,
                  (size_t)n_rows * (size_t)w->cols);
    }
}

/* ------------------------------------------------------------------------------------- all of them
 */

static void load_portion(const struct cpu *c, struct ink_cpu_load *load, char *scratch, int portion)
{
    const struct ink_weight *w = load->weight;
    int n = ink_cpu_group_count(w), begin = portion * load->portion;
    int end = n - begin < load->portion ? n : begin + load->portion;
    for (int g = begin; g < end; g++) {
        load_group(c, load, scratch, g);
    }
    int first = begin * INK_Q8_GROUP;
    int last = end * INK_Q8_GROUP < w->rows ? end * INK_Q8_GROUP : w->rows;
    ink_release_mapped((const char *)w->tensor->data + load->row_bytes * (size_t)first,
                       load->row_bytes * (size_t)(last - first));
}

static void load_portions(void *context, struct ink_team *team, int lane, int n_lanes)
{
    struct loading *l = context;
    char *scratch = l->scratch + l->scratch_bytes * (size_t)lane;
    struct ink_cpu_load *load = l->c->loads, *end = load + l->c->n_loads;
    int portion;
    (void)team;
    (void)n_lanes;
    if (lane == 0 && l->beside) {
        l->beside(l->context);
    }
    while (load < end) {
        portion = atomic_fetch_add(&l->next, 1);
        while (load < end && portion >= load->first_portion + load->n_portions) {
            load++;
        }
        if (load < end) {
            load_portion(l->c, load, scratch, portion - load->first_portion);
        }
    }
}

/* Cut the weights into portions. */
static void plan(struct loading *l)
{
    int n = 0;
    for (int i = 0; i < l->c->n_loads; i++) {
        struct ink_cpu_load *load = &l->c->loads[i];
        const struct ink_weight *w = load->weight;
        load->row_bytes = (size_t)ink_type_bytes(w->tensor->type, (uint64_t)w->cols);
        load->portion = (int)(portion_bytes / (load->row_bytes * INK_Q8_GROUP)) + 1;
        load->first_portion = n;
        load->n_portions = (ink_cpu_group_count(w) + load->portion - 1) / load->portion;
        n += load->n_portions;
        size_t bytes = (scratch_bytes(w) + 63) / 64 * 64;
        l->scratch_bytes = w->is_packed && bytes > l->scratch_bytes ? bytes : l->scratch_bytes;
    }
}

static int find_bad(const struct cpu *c, const char *path, struct ink_error *error)
{
    for (int i = 0; i < c->n_loads; i++) {
        if (c->loads[i].n_bad) {
            return ink_fail(
                error, INK_ERROR_INPUT, "%s: tensor \"%s\" has %llu values that are not finite",
                path, c->loads[i].weight->tensor->name, (unsigned long long)c->loads[i].n_bad);
        }
    }
    return INK_OK;
}

int ink_cpu_load(struct ink_backend *b, const char *path, ink_beside_function *beside,
                 void *context, struct ink_error *error)
{
    struct cpu *c = (struct cpu *)b;
    struct loading l = {.c = c, .beside = beside, .context = context};
    plan(&l);
    l.scratch = ink_alloc_aligned(l.scratch_bytes * (size_t)b->n_threads + 64);
    if (!l.scratch) {
        return ink_fail_memory(error, l.scratch_bytes * (uint64_t)b->n_threads);
    }
    ink_threads_run(b->n_threads, load_portions, &l);
    ink_free_aligned(l.scratch);
    int status = find_bad(c, path, error);
    ink_free(c->loads);
    c->loads = NULL;
    c->n_loads = c->loads_room = 0;
    return status;
}
