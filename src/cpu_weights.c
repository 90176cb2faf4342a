/* The weights of the CPU backend: used where they lie in the file, widened, or rounded to int8 and
 * packed for the kernels. Here each gets its place; cpu_load.c fills it. */
#include "cpu_internal.h"

#include "quant.h"
#include "system.h"

#include <string.h>

static bool is_float_type(enum ink_type type)
{
    return type == INK_TYPE_F32 || type == INK_TYPE_F16 || type == INK_TYPE_BF16;
}

static bool is_packed(const struct ink_backend *b, const struct ink_weight *w)
{
    return !w->is_vector && w->cols % INK_Q8_BLOCK == 0 &&
           (w->tensor->type == INK_TYPE_Q8_0 || b->shape.weight_type != INK_WEIGHTS_NATIVE);
}

uint64_t ink_cpu_owned_bytes(const struct ink_backend *b, const struct ink_weight *w)
{
    uint64_t bytes = 0;
    if (is_packed(b, w)) {
        bytes = (uint64_t)ink_cpu_group_count(w) * ink_q8_group_bytes(w->cols) +
                (w->is_head ? (uint64_t)ink_cpu_group_count(w) * INK_Q8_GROUP * sizeof(float) : 0);
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

static int remember(struct cpu *c, const struct ink_weight *w, char *out, struct ink_error *error)
{
    if (c->n_loads == c->loads_room) {
        int room = 2 * c->loads_room + 64;
        struct ink_cpu_load *more = ink_realloc(c->loads, (size_t)room, sizeof *more);
        if (!more) {
            return ink_fail_memory(error, (uint64_t)room * sizeof *more);
        }
        c->loads = more;
        c->loads_room = room;
    }
    c->loads[c->n_loads++] = (struct ink_cpu_load){.weight = w, .out = out};
    return INK_OK;
}

int ink_cpu_prepare(struct ink_backend *b, struct ink_weight *w, struct ink_error *error)
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
    w->is_packed = is_packed(b, w);
    w->type = w->is_packed ? INK_TYPE_Q8_0 : INK_TYPE_F32;
    c->has_packed = c->has_packed || w->is_packed;
    if (w->is_packed && w->is_head) {
        size_t packed = ink_q8_group_bytes(w->cols);
        w->rest = (const float *)(const void *)(out + packed * (size_t)ink_cpu_group_count(w));
        c->group_bytes = (packed + 63) / 64 * 64;
        c->groups = ink_alloc_aligned(c->group_bytes * (size_t)b->n_threads);
        c->least = ink_alloc_aligned(sizeof *c->least * (size_t)b->n_threads);
        if (!c->groups || !c->least) {
            return ink_fail_memory(error,
                                   (c->group_bytes + sizeof *c->least) * (uint64_t)b->n_threads);
        }
    }
    return remember(c, w, out, error);
}
