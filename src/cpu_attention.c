#include "cpu_internal.h"

#include <math.h>
#include <string.h>

/* A session's cache: for each layer K, V, and the scales of both; each holds one array for each
 * key/value head, laid out as struct ink_kv_view says. Behind it lies attention's working memory,
 * of which a pass uses that of its first row's session, except for the spans. */
struct ink_kv {
    enum ink_kv_type type;
    size_t key_bytes, value_bytes, scale_bytes; /* of one head */
    size_t layer_bytes;
    int n_kv_heads, n_layers;
    size_t positions;   /* room, in whole groups */
    size_t lane_floats; /* what one lane works in: scores, two partial results */
    size_t span_floats; /* a span's partial results for one piece of the heads, SPLIT_ROWS rows */
    char *data;
    float *lanes; /* [threads, lane_floats] */
    float *spans; /* [spans, pieces, span_floats]: this session's */
};

/* Rows of a session whose spans may be dealt out to lanes one by one. */
enum { SPLIT_ROWS = 4 };

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

static size_t value_size(enum ink_kv_type type)
{
    return type == INK_KV_F32 ? 4 : type == INK_KV_Q8 ? 1 : 2;
}

/* Heads of one key/value head's group that are taken together. */
static int heads_at_once(const struct ink_backend_shape *s)
{
    int group = s->n_heads / s->n_kv_heads;
    return group < INK_ATTENTION_QUERIES ? group : INK_ATTENTION_QUERIES;
}

/* A row's or a run's pieces of work. */
static int pieces_of_run(const struct ink_backend_shape *s)
{
    int group = s->n_heads / s->n_kv_heads, heads = heads_at_once(s);
    return s->n_kv_heads * ((group + heads - 1) / heads);
}

/* Queries taken together: fewer where a head is so wide that their results would leave the caches.
 */
static int queries_at_once(const struct ink_backend_shape *s)
{
    int heads = heads_at_once(s), fit = 256 * INK_ATTENTION_QUERIES / s->head_dim;
    int rows = (fit < INK_ATTENTION_QUERIES ? fit : INK_ATTENTION_QUERIES) / heads;
    return heads * (rows > 1 ? rows : 1);
}

/* ------------------------------------------------------------------------------------- KV cache */

/* Everything of a cache but its pointers; the bytes of `data`, 0 where they are too many to count.
 */
static uint64_t plan(struct ink_kv *kv, const struct ink_backend *b, int n_positions,
                     enum ink_kv_type type)
{
    const struct ink_backend_shape *s = &b->shape;
    size_t dim = (size_t)s->head_dim, positions = round_up((size_t)n_positions, 2 * INK_KV_GROUP);
    size_t heads = (size_t)s->n_kv_heads;
    uint64_t layer, lanes, spans, bytes;
    *kv = (struct ink_kv){.type = type, .n_kv_heads = s->n_kv_heads};
    kv->n_layers = s->n_layers;
    kv->positions = positions;
    if (!ink_mul_u64(&layer, positions * 2 * 4, heads * round_up(dim, 16)) || layer > SIZE_MAX) {
        return 0; /* f32, the largest, decides for all */
    }
    kv->key_bytes = positions * dim * value_size(type);
    kv->value_bytes = positions * round_up(dim, 16) * value_size(type);
    kv->scale_bytes = type == INK_KV_Q8 ? positions * sizeof(float) : 0;
    kv->layer_bytes = (kv->key_bytes + kv->value_bytes + 2 * kv->scale_bytes) * heads;
    kv->lane_floats = INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK +
                      2 * ink_attention_partial_floats(queries_at_once(s), s->head_dim);
    kv->span_floats = SPLIT_ROWS * ink_attention_partial_floats(heads_at_once(s), s->head_dim);
    uint64_t n_spans = (positions + INK_ATTENTION_SPAN - 1) / INK_ATTENTION_SPAN;
    return ink_mul_u64(&bytes, kv->layer_bytes, (uint64_t)s->n_layers) &&
                   ink_mul_u64(&lanes, kv->lane_floats * sizeof(float), (uint64_t)b->n_threads) &&
                   ink_mul_u64(&spans, kv->span_floats * sizeof(float),
                               n_spans * (uint64_t)pieces_of_run(s)) &&
                   ink_add_u64(&bytes, bytes, lanes) && ink_add_u64(&bytes, bytes, spans)
               ? bytes
               : 0;
}

uint64_t ink_cpu_kv_bytes(const struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    struct ink_kv kv;
    uint64_t bytes = plan(&kv, b, n_positions, type);
    return bytes ? bytes + sizeof kv : UINT64_MAX;
}

struct ink_kv *ink_cpu_kv_open(struct ink_backend *b, int n_positions, enum ink_kv_type type)
{
    struct ink_kv *kv = ink_calloc(1, sizeof *kv);
    uint64_t bytes = kv ? plan(kv, b, n_positions, type) : 0;
    if (bytes == 0 || bytes > SIZE_MAX) {
        ink_free(kv);
        return NULL;
    }
    kv->data = ink_alloc_aligned((size_t)bytes);
    if (!kv->data) {
        ink_free(kv);
        return NULL;
    }
    kv->lanes = (float *)(void *)(kv->data + kv->layer_bytes * (size_t)b->shape.n_layers);
    kv->spans = kv->lanes + kv->lane_floats * (size_t)b->n_threads;
    return kv;
}

void ink_cpu_kv_close(struct ink_kv *kv)
{
    if (kv) {
        ink_free_aligned(kv->data);
        ink_free(kv);
    }
}

/* The arrays of a cache follow one another: for each layer, keys of each head, values of each head,
 * scales. In each of them the bytes of a position stand in whole groups, so that a run of groups is
 * one piece of memory. Positions begin..begin+n-1 of all of them: from `in`, if it is not NULL,
 * else to `out`. */
static void copy_positions(const struct ink_kv *kv, char *out, const char *in, int begin, int n)
{
    size_t heads = (size_t)kv->n_kv_heads, at = 0;
    const size_t sizes[] = {kv->key_bytes, kv->value_bytes, kv->scale_bytes, kv->scale_bytes};
    for (size_t layer = 0; layer < (size_t)kv->n_layers; layer++) {
        char *array = kv->data + kv->layer_bytes * layer;
        for (size_t i = 0; i < INK_COUNT(sizes); i++) {
            size_t each = sizes[i] / kv->positions;
            for (size_t head = 0; head < heads; head++) {
                char *piece = array + each * (size_t)begin;
                size_t length = each * (size_t)n;
                memcpy(in ? piece : out + at, in ? in + at : piece, length);
                array += sizes[i];
                at += length;
            }
        }
    }
}

uint64_t ink_cpu_kv_copy_bytes(const struct ink_kv *kv, int n)
{
    return (uint64_t)(kv->layer_bytes / kv->positions) * (uint64_t)kv->n_layers * (uint64_t)n;
}

void ink_cpu_kv_read(const struct ink_kv *kv, void *out, int begin, int n)
{
    copy_positions(kv, out, NULL, begin, n);
}

void ink_cpu_kv_write(struct ink_kv *kv, const void *in, int begin, int n)
{
    copy_positions(kv, NULL, in, begin, n);
}

/* One head's arrays of a layer. */
struct head {
    char *keys, *values;
    float *key_scales, *value_scales;
};

static struct head head_of(const struct ink_kv *kv, int layer, int index)
{
    size_t heads = (size_t)kv->n_kv_heads, i = (size_t)index;
    char *keys = kv->data + kv->layer_bytes * (size_t)layer;
    char *values = keys + kv->key_bytes * heads, *scales = values + kv->value_bytes * heads;
    return (struct head){
        keys + kv->key_bytes * i,
        values + kv->value_bytes * i,
        (float *)(void *)(scales + kv->scale_bytes * i),
        (float *)(void *)(scales + kv->scale_bytes * (heads + i)),
    };
}

/* x[n] as values of the cache: of a row's 16 values at a time, but for int8 the whole row. */
static float narrow(const struct cpu *c, enum ink_kv_type type, void *out, const float *x, int n)
{
    switch (type) {
    case INK_KV_F32:
        memcpy(out, x, (size_t)n * sizeof *x);
        return 1.0f;
    case INK_KV_Q8:
        return c->kernels->i8_from_f32(out, x, n);
    default:
        c->kernels->f16_from_f32(out, x, (size_t)n);
        return 1.0f;
    }
}

/* 16 values, or fewer at a row's end, to their places: `step` values apart. */
static void spread(char *out, const char *x, int n, size_t step, size_t size)
{
    for (int i = 0; i < n; i++) {
        memcpy(out + (size_t)i * step * size, x + (size_t)i * size, size);
    }
}

/* Row `x` is overwritten where int8 is made of it: in place, because a row has no bound but memory.
 */
static float store(const struct cpu *c, enum ink_kv_type type, char *out, size_t step,
                   size_t next_16, float *x)
{
    int dim = c->base.shape.head_dim;
    size_t size = value_size(type);
    float scale = type == INK_KV_Q8 ? narrow(c, type, x, x, dim) : 1.0f;
    for (int d = 0; d < dim; d += 16, out += next_16 * size) {
        int n = dim - d < 16 ? dim - d : 16;
        char narrowed[64];
        if (type == INK_KV_Q8) {
            memcpy(narrowed, (const char *)x + d, (size_t)n);
        } else {
            narrow(c, type, narrowed, x + d, n);
        }
        spread(out, narrowed, n, step, size);
    }
    return scale;
}

static void store_row(const struct cpu *c, const struct ink_kv *kv, int layer, int index,
                      int position, float *key, float *value)
{
    struct head head = head_of(kv, layer, index);
    size_t at = (size_t)position % INK_KV_GROUP, first = (size_t)position - at;
    size_t dim = (size_t)c->base.shape.head_dim, size = value_size(kv->type);
    char *keys = head.keys + (first * dim + at) * size;
    char *values = head.values + (first * round_up(dim, 16) + at * 16) * size;
    float key_scale = store(c, kv->type, keys, INK_KV_GROUP, INK_KV_GROUP * 16, key);
    float value_scale = store(c, kv->type, values, 1, INK_KV_GROUP * 16, value);
    if (kv->type == INK_KV_Q8) {
        head.key_scales[position] = key_scale;
        head.value_scales[position] = value_scale;
    }
}

/* Rotates head h of row r in `buffer`; returns where it is. */
static float *rotate_head(const struct cpu *c, enum ink_buffer buffer, int r, int h)
{
    const size_t d = (size_t)c->base.shape.head_dim, half = d / 2;
    float *head = ink_cpu_row(c, buffer, r) + (size_t)h * d;
    (c->base.shape.rope_half ? c->kernels->rope_half : c->kernels->rope_interleaved)(
        head, c->cosines + (size_t)r * half, c->sines + (size_t)r * half, (int)d);
    return head;
}

void ink_cpu_rotate(const struct ink_lane *l)
{
    const struct cpu *c = ink_cpu_of(l);
    int heads = c->base.shape.n_heads, begin, end;
    ink_cpu_share(l, l->batch->n_rows * heads, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        rotate_head(c, INK_QUERY, i / heads, i % heads);
    }
}

void ink_cpu_store(const struct ink_lane *l, int layer)
{
    const struct cpu *c = ink_cpu_of(l);
    int d = c->base.shape.head_dim, heads = c->base.shape.n_kv_heads, begin, end;
    ink_cpu_share(l, l->batch->n_rows * heads, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        int r = i / heads, h = i % heads;
        store_row(c, l->batch->kv[r], layer, h, l->batch->positions[r],
                  rotate_head(c, INK_KEY, r, h),
                  ink_cpu_row(c, INK_VALUE, r) + (size_t)h * (size_t)d);
    }
}

/* ------------------------------------------------------------------------------------ attention */

/* How the batch is cut: every lane comes to the same plan. A piece of work is a run of neighbouring
 * rows (of one session, their last positions in one block), a key/value head, and some of the heads
 * that share it; and if `split`, one span of positions. */
struct cut {
    int rows;  /* a run's, at most: it begins where the position is a multiple of this */
    int heads; /* of a piece */
    int pieces_of_run;
    bool split;
};

/* Rows that follow row r in its run, r included. */
static int run_length(const struct ink_batch *b, int r, int rows)
{
    int n = 1, room = rows - b->positions[r] % rows;
    while (n < room && r + n < b->n_rows && b->kv[r + n] == b->kv[r] &&
           b->positions[r + n] == b->positions[r] + n) {
        n++;
    }
    return n;
}

static int count_runs(const struct ink_batch *b, int rows, int *longest, int *most_spans)
{
    int n = 0;
    *longest = *most_spans = 0;
    for (int r = 0, length; r < b->n_rows; r += length, n++) {
        length = run_length(b, r, rows);
        int spans = (b->positions[r] + length - 1) / INK_ATTENTION_SPAN + 1;
        *longest = length > *longest ? length : *longest;
        *most_spans = spans > *most_spans ? spans : *most_spans;
    }
    return n;
}

/* Each session's rows, all of them, fit the memory of its spans. */
static bool may_split(const struct ink_batch *b)
{
    for (int r = 0, n = 1; r + 1 < b->n_rows; r++) {
        n = b->kv[r + 1] == b->kv[r] ? n + 1 : 1;
        if (n > SPLIT_ROWS) {
            return false;
        }
    }
    return true;
}

/* Long runs load K and V less often; more and shorter ones keep all lanes busy. */
static struct cut cut_batch(const struct ink_lane *l)
{
    const struct ink_backend_shape *s = &l->backend->shape;
    int longest, spans, pieces;
    struct cut cut = {.rows = 1, .heads = heads_at_once(s), .pieces_of_run = pieces_of_run(s)};
    while (cut.rows * 2 * cut.heads <= queries_at_once(s) && cut.rows * 2 <= INK_ATTENTION_BLOCK) {
        cut.rows *= 2;
    }
    pieces = count_runs(l->batch, cut.rows, &longest, &spans) * cut.pieces_of_run;
    if (pieces % l->count != 0 && pieces < 4 * l->count && spans > 1 && may_split(l->batch)) {
        cut.split = true;
        cut.rows = SPLIT_ROWS < cut.rows ? SPLIT_ROWS : cut.rows;
        return cut;
    }
    while (pieces < 4 * l->count && cut.rows > 1 && longest > 1) {
        cut.rows /= 2;
        pieces = count_runs(l->batch, cut.rows, &longest, &spans) * cut.pieces_of_run;
    }
    return cut;
}

/* Piece `index` of the run of n rows from row r. */
static struct ink_attention piece_of(const struct cpu *c, const struct ink_batch *b, int layer,
                                     const struct cut *cut, int r, int n, int index)
{
    const struct ink_backend_shape *s = &c->base.shape;
    int group = s->n_heads / s->n_kv_heads, per_head = cut->pieces_of_run / s->n_kv_heads;
    int first = index % per_head * cut->heads; /* head in its group */
    int kv_head = index / per_head;
    size_t offset = ((size_t)kv_head * (size_t)group + (size_t)first) * (size_t)s->head_dim;
    struct head head = head_of(b->kv[r], layer, kv_head);
    return (struct ink_attention){
        .kv = {head.keys, head.values, head.key_scales, head.value_scales},
        .q = ink_cpu_row(c, INK_QUERY, r) + offset,
        .out = ink_cpu_row(c, INK_ATTENTION, r) + offset,
        .row_stride = (size_t)c->width[INK_QUERY],
        .n_rows = n,
        .n_heads = group - first < cut->heads ? group - first : cut->heads,
        .n_pos = b->positions[r] + 1,
        .head_dim = s->head_dim,
        .scale = 1.0f / sqrtf((float)s->head_dim),
    };
}

static void attend_span(const struct cpu *c, enum ink_kv_type type, float *partial,
                        const struct ink_attention *a, int begin, float *scores)
{
    (type == INK_KV_F32  ? c->kernels->attend_f32
     : type == INK_KV_Q8 ? c->kernels->attend_q8
                         : c->kernels->attend_f16)(partial, a, begin, scores);
}

/* The piece's result, and its int8 where no block of that lies across two heads. */
static void finish(const struct cpu *c, const struct ink_attention *a, int r, float *total)
{
    c->kernels->attend_finish(a, total);
    if (a->head_dim % INK_Q8_BLOCK != 0) {
        return;
    }
    int begin = (int)(a->out - ink_cpu_row(c, INK_ATTENTION, r));
    for (int i = 0; i < a->n_rows; i++) {
        ink_cpu_written(c, INK_ATTENTION, r + i, begin, begin + a->n_heads * a->head_dim);
    }
}

/* All spans, one after the other. */
static void attend_piece(const struct cpu *c, enum ink_kv_type type, const struct ink_attention *a,
                         int r, float *memory)
{
    int queries = a->n_rows * a->n_heads, seen = a->n_pos + a->n_rows - 1;
    float *total = memory + INK_ATTENTION_QUERIES * INK_ATTENTION_BLOCK;
    float *later = total + ink_attention_partial_floats(queries, a->head_dim);
    attend_span(c, type, total, a, 0, memory);
    for (int t = INK_ATTENTION_SPAN; t < seen; t += INK_ATTENTION_SPAN) {
        attend_span(c, type, later, a, t, memory);
        c->kernels->attend_merge(total, later, queries, a->head_dim);
    }
    finish(c, a, r, total);
}

/* The lane that piece i of the batch falls to. Later runs of a prompt look back farther: turns that
 * go back and forth give every lane its share of those, and turns that go round each its heads. */
static bool is_mine(const struct ink_lane *l, const struct cut *cut, int i)
{
    int at = i % l->count;
    bool goes_back = cut->pieces_of_run % l->count != 0 && i / l->count % 2 == 1;
    return l->index == (goes_back ? l->count - 1 - at : at);
}

static void attend_whole(const struct ink_lane *l, int layer, const struct cut *cut, float *memory)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    for (int r = 0, n, i = 0; r < b->n_rows; r += n) {
        n = run_length(b, r, cut->rows);
        for (int piece = 0; piece < cut->pieces_of_run; piece++, i++) {
            if (is_mine(l, cut, i)) {
                struct ink_attention a = piece_of(c, b, layer, cut, r, n, piece);
                attend_piece(c, b->kv[r]->type, &a, r, memory);
            }
        }
    }
}

/* Where span 0 of a piece of the run at row r goes, and `step` floats behind it span 1. */
static float *spans_of(const struct ink_batch *b, const struct cut *cut, int r, int piece,
                       size_t *step)
{
    const struct ink_kv *kv = b->kv[r];
    size_t row = 0; /* of the session's */
    while (r > 0 && b->kv[r - 1] == kv) {
        r--;
        row++;
    }
    *step = kv->span_floats * (size_t)cut->pieces_of_run;
    return kv->spans + kv->span_floats * (size_t)piece + kv->span_floats / SPLIT_ROWS * row;
}

/* Every span of every piece, or with `merge` what comes of them. */
static void attend_split(const struct ink_lane *l, int layer, const struct cut *cut, float *scores,
                         bool merge)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_batch *b = l->batch;
    for (int r = 0, n, i = 0; r < b->n_rows; r += n) {
        n = run_length(b, r, cut->rows);
        int n_spans = (b->positions[r] + n - 1) / INK_ATTENTION_SPAN + 1;
        for (int piece = 0; piece < cut->pieces_of_run; piece++) {
            size_t step;
            float *spans = spans_of(b, cut, r, piece, &step);
            struct ink_attention a = piece_of(c, b, layer, cut, r, n, piece);
            for (int t = 0; t < n_spans && !merge; t++, i++) {
                if (i % l->count == l->index) {
                    attend_span(c, b->kv[r]->type, spans + step * (size_t)t, &a,
                                t * INK_ATTENTION_SPAN, scores);
                }
            }
            if (!merge || i++ % l->count != l->index) {
                continue;
            }
            for (int t = 1; t < n_spans; t++) {
                c->kernels->attend_merge(spans, spans + step * (size_t)t, n * a.n_heads,
                                         a.head_dim);
            }
            finish(c, &a, r, spans);
        }
    }
}

void ink_cpu_attend(const struct ink_lane *l, int layer)
{
    const struct cpu *c = ink_cpu_of(l);
    const struct ink_kv *first = l->batch->kv[0];
    float *memory = first->lanes + first->lane_floats * (size_t)l->index;
    struct cut cut = cut_batch(l);
    if (cut.split) {
        attend_split(l, layer, &cut, memory, false);
        l->backend->sync(l);
        attend_split(l, layer, &cut, memory, true);
    } else {
        attend_whole(l, layer, &cut, memory);
    }
    if (c->has_packed && c->base.shape.head_dim % INK_Q8_BLOCK != 0) {
        int begin, end;
        l->backend->sync(l);
        ink_cpu_share(l, l->batch->n_rows, 1, &begin, &end);
        for (int r = begin; r < end; r++) {
            ink_cpu_written(c, INK_ATTENTION, r, 0, c->width[INK_ATTENTION]);
        }
    }
}
