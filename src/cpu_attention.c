#include "cpu_internal.h"

#include <math.h>
#include <string.h>

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

uint64_t ink_cpu_kv_bytes(const struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    const struct ink_backend_shape *s = &b->shape;
    uint64_t value = type == INK_KV_F16 ? 2 : 4;
    return value * 2 * (uint64_t)s->n_layers * (uint64_t)s->n_kv_heads * (uint64_t)s->head_dim *
               (uint64_t)n_positions +
           sizeof(struct ink_kv);
}

struct ink_kv *ink_cpu_kv_open(struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    const struct ink_backend_shape *s = &b->shape;
    uint64_t bytes = ink_cpu_kv_bytes(b, n_positions, type);
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

void ink_cpu_kv_close(struct ink_kv *kv)
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
void ink_cpu_rotate_and_store(const struct ink_lane *l, int layer)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_backend_shape *s = &c->base.shape;
    void (*rotate)(float *, const float *, const float *, int) =
        s->rope_half ? c->kernels->rope_half : c->kernels->rope_interleaved;
    int d = s->head_dim, per_row = s->n_heads + s->n_kv_heads, begin, end;
    ink_cpu_share(l, l->batch->n_rows * per_row, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        int r = i / per_row, h = i % per_row;
        const float *cosine = c->cosines + (size_t)r * (size_t)(d / 2);
        const float *sine = c->sines + (size_t)r * (size_t)(d / 2);
        if (h < s->n_heads) {
            rotate(ink_cpu_row(c, INK_QUERY, r) + (size_t)h * (size_t)d, cosine, sine, d);
            continue;
        }
        h -= s->n_heads;
        const struct ink_kv *kv = l->batch->kv[r];
        float *key = ink_cpu_row(c, INK_KEY, r) + (size_t)h * (size_t)d;
        rotate(key, cosine, sine, d);
        store(c, kv, kv_keys(kv, layer, h), l->batch->positions[r], key);
        store(c, kv, kv_values(kv, layer, h), l->batch->positions[r],
              ink_cpu_row(c, INK_VALUE, r) + (size_t)h * (size_t)d);
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

void ink_cpu_attend(const struct ink_lane *l, int layer)
{
    const struct cpu *c = ink_cpu_of(l);
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
            ink_cpu_row(c, INK_ATTENTION, r) + offset, ink_cpu_row(c, INK_QUERY, r) + offset, group,
            view, l->batch->positions[r] + 1, d, scale, scores);
    }
}
