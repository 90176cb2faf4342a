/* The attention kernels of kernels.h; part of body.h.
 *
 * A query is one head of one row. ATTEND_QUERIES of them share every load of K and V: scores keep
 * lanes for positions, values for dimensions, so that no sum crosses lanes. */
#ifndef INK_ATTENTION_H
#define INK_ATTENTION_H

enum {
    ATTEND_QUERIES =
        V_PARTS == 1 ? 8 : 4,           /* a tile's accumulators: 8 x 2 zmm, 4 x 2 ymm, 4 x 4 q */
    ATTEND_VECS = V_PARTS == 1 ? 2 : 1, /* v16s of positions or dimensions */
    GROUP = INK_KV_GROUP,
    BLOCK = INK_ATTENTION_BLOCK,
    MAX_QUERIES = INK_ATTENTION_QUERIES
};

/* What the blocks so far have come to, for each query; out is [queries, out_width(head_dim)]. */
struct partial {
    float *max, *sum, *out; /* m, l, o of kernels.h */
};

/* The latest block's m and l, then what merging multiplies both sides by. */
struct block {
    float max[MAX_QUERIES], sum[MAX_QUERIES];
    float keep[MAX_QUERIES], take[MAX_QUERIES]; /* f, g of kernels.h */
};

INLINE size_t out_width(int head_dim)
{
    return ((size_t)head_dim + 15) / 16 * 16;
}

INLINE struct partial partial_at(float *p, int n_queries)
{
    const int n = (n_queries + 15) / 16 * 16;
    return (struct partial){p, p + n, p + 2 * n};
}

/* acc[n] += x[n] * by */
INLINE void multiply_add(v16 *acc, const v16 *x, vp by, int n)
{
    UNROLL
    for (int i = 0; i < n; i++) {
        UNROLL
        for (int p = 0; p < V_PARTS; p++)
            acc[i].p[p] = vp_fma(x[i].p[p], by, acc[i].p[p]);
    }
}

/* A hint, so p may lie anywhere. */
INLINE void fetch(uintptr_t p, size_t bytes)
{
    UNROLL
    for (size_t i = 0; i < bytes; i += 64)
        PREFETCH(p + i);
}

/* s[h * BLOCK + t] = score of query h with position t of ATTEND_VECS groups; meanwhile the next
 * ones are fetched. */
INLINE void score_tile(float *s, const float *const *queries, const unsigned char *k,
                       const float *k_scales, int head_dim, float scale, enum type type)
{
    const size_t step = GROUP * type_size(type), group_bytes = (size_t)head_dim * step;
    const uintptr_t next = (uintptr_t)k + ATTEND_VECS * group_bytes;
    const float *q[ATTEND_QUERIES];
    v16 acc[ATTEND_QUERIES][ATTEND_VECS];
    UNROLL
    for (int h = 0; h < ATTEND_QUERIES; h++) {
        q[h] = queries[h];
        UNROLL
        for (int i = 0; i < ATTEND_VECS; i++)
            acc[h][i] = v_set1(0.0f);
    }
    for (size_t d = 0; d < (size_t)head_dim; d += 2) {
        UNROLL
        for (size_t i = 0; i < ATTEND_VECS; i++)
            fetch(next + i * group_bytes + d * step, 2 * step);
        UNROLL
        for (size_t e = 0; e < 2; e++) {
            v16 key[ATTEND_VECS];
            UNROLL
            for (size_t i = 0; i < ATTEND_VECS; i++)
                key[i] = v_load_type(k + i * group_bytes + (d + e) * step, type);
            UNROLL
            for (int h = 0; h < ATTEND_QUERIES; h++)
                multiply_add(acc[h], key, vp_set1(q[h][d + e]), ATTEND_VECS);
        }
    }
    UNROLL
    for (int i = 0; i < ATTEND_VECS; i++) {
        v16 by = v_set1(scale);
        if (type == TYPE_I8)
            by = v_mul(v_load(k_scales + GROUP * i), by);
        UNROLL
        for (int h = 0; h < ATTEND_QUERIES; h++)
            v_store(s + h * BLOCK + GROUP * i, v_mul(acc[h][i], by));
    }
}

/* Scores [n] of one query become weights e_t, for TYPE_I8 times V's scales; m and l of the block.
 */
INLINE void softmax_block(float *s, int n, const float *v_scales, float *max, float *sum,
                          enum type type)
{
    v16 most = v_set1(-INFINITY), total = v_set1(0.0f);
    for (int t = n; t % 16 != 0; t++)
        s[t] = -INFINITY;
    for (int t = 0; t < n; t += 16)
        most = v_max(most, v_load(s + t));
    *max = v_tree_max(most);
    most = v_set1(*max);
    for (int t = 0; t < n; t += 16) {
        v16 e = ink_exp(v_sub(v_load(s + t), most));
        total = v_add(total, e);
        v_store(s + t, type == TYPE_I8 ? v_mul(e, v_load(v_scales + t)) : e);
    }
    *sum = v_tree_sum(total);
}

/* Merge m and l of n queries; what the outputs must be multiplied by is left in b. */
static void merge_sums(struct partial p, struct block *b, int n)
{
    for (int i = 0; i < n; i += 16) {
        const v16 old = v_load(p.max + i), new = v_load(b->max + i), max = v_max(old, new);
        const v16 keep = ink_exp(v_sub(old, max)), take = ink_exp(v_sub(new, max));
        v_store(b->keep + i, keep);
        v_store(b->take + i, take);
        v_store(p.sum + i, v_fma(v_load(p.sum + i), keep, v_mul(v_load(b->sum + i), take)));
        v_store(p.max + i, max);
    }
}

/* One position's values for all queries of a tile. */
INLINE void value_step(v16 acc[ATTEND_QUERIES][ATTEND_VECS], const float *e, const unsigned char *v,
                       enum type type, int n_vecs)
{
    v16 value[ATTEND_VECS];
    UNROLL
    for (int i = 0; i < n_vecs; i++)
        value[i] = v_load_type(v + (size_t)i * GROUP * GROUP * type_size(type), type);
    UNROLL
    for (int h = 0; h < ATTEND_QUERIES; h++)
        multiply_add(acc[h], value, vp_set1(e[h * BLOCK]), n_vecs);
}

/* ATTEND_QUERIES queries by n_vecs v16s of dimensions, over n[h] positions each, rising with h;
 * meanwhile the values `ahead` bytes on are fetched. */
INLINE void value_tile(float *out, size_t width, const float *keep, const float *take,
                       const float *e, const unsigned char *v, size_t ahead, const int *n,
                       int is_first, enum type type, int n_vecs)
{
    const size_t step = GROUP * type_size(type), group_bytes = width * step;
    v16 acc[ATTEND_QUERIES][ATTEND_VECS];
    UNROLL
    for (int h = 0; h < ATTEND_QUERIES; h++) {
        UNROLL
        for (int i = 0; i < n_vecs; i++)
            acc[h][i] = v_set1(0.0f);
    }
    int t = 0;
    for (; t + GROUP <= n[0]; t += GROUP, v += group_bytes) {
        const uintptr_t next = (uintptr_t)v + ahead;
        for (size_t u = 0; u < GROUP; u += 2) {
            UNROLL
            for (size_t i = 0; i < (size_t)n_vecs; i++)
                fetch(next + i * GROUP * step + u * step, 2 * step);
            value_step(acc, e + t + u, v + u * step, type, n_vecs);
            value_step(acc, e + t + u + 1, v + (u + 1) * step, type, n_vecs);
        }
    }
    for (int u = t; u < n[0]; u++)
        value_step(acc, e + u, v + (size_t)(u - t) * step, type, n_vecs);
    /* Positions that only later rows see, where a tile has several rows. */
    for (int u = n[0]; u < n[ATTEND_QUERIES - 1]; u++) {
        const unsigned char *row =
            v + (size_t)((u - t) / GROUP) * group_bytes + (size_t)(u % GROUP) * step;
        UNROLL
        for (int h = 1; h < ATTEND_QUERIES; h++) {
            if (u >= n[h])
                continue;
            UNROLL
            for (int i = 0; i < n_vecs; i++)
                acc[h][i] = v_fma(v_set1(e[h * BLOCK + u]),
                                  v_load_type(row + (size_t)i * GROUP * step, type), acc[h][i]);
        }
    }
    UNROLL
    for (int h = 0; h < ATTEND_QUERIES; h++) {
        UNROLL
        for (int i = 0; i < n_vecs; i++) {
            float *o = out + (size_t)h * width + GROUP * i;
            v_store(o, is_first
                           ? acc[h][i]
                           : v_fma(v_load(o), v_set1(keep[h]), v_mul(acc[h][i], v_set1(take[h]))));
        }
    }
}

/* One block of positions for all queries of a. */
INLINE void attend_block(struct partial p, const struct ink_attention *a, int begin, int is_first,
                         float *scores, enum type type)
{
    const int n_queries = a->n_rows * a->n_heads;
    const size_t size = type_size(type), width = out_width(a->head_dim), at = (size_t)begin;
    const unsigned char *k = (const unsigned char *)a->kv.k + at * (size_t)a->head_dim * size;
    const unsigned char *v = (const unsigned char *)a->kv.v + at * width * size;
    const float *k_scales = type == TYPE_I8 ? a->kv.k_scales + begin : NULL;
    const float *v_scales = type == TYPE_I8 ? a->kv.v_scales + begin : NULL;
    const float *q[MAX_QUERIES + ATTEND_QUERIES];
    int n[MAX_QUERIES + ATTEND_QUERIES], most = 0;
    struct block b = {{0}, {0}, {0}, {0}};
    for (int i = 0; i < n_queries + ATTEND_QUERIES; i++) {
        const int last = i < n_queries ? i : n_queries - 1, row = last / a->n_heads;
        const int left = a->n_pos + row - begin;
        n[i] = most = left < BLOCK ? left : BLOCK;
        q[i] =
            a->q + (size_t)row * a->row_stride + (size_t)(last % a->n_heads) * (size_t)a->head_dim;
    }

    for (int t = 0; t < most; t += GROUP * ATTEND_VECS)
        for (int i = 0; i < n_queries; i += ATTEND_QUERIES)
            score_tile(scores + i * BLOCK + t, q + i, k + (size_t)t * (size_t)a->head_dim * size,
                       type == TYPE_I8 ? k_scales + t : NULL, a->head_dim, a->scale, type);
    for (int i = 0; i < n_queries; i++)
        softmax_block(scores + i * BLOCK, n[i], v_scales, &b.max[i], &b.sum[i], type);
    if (is_first) {
        memcpy(p.max, b.max, (size_t)n_queries * sizeof *p.max);
        memcpy(p.sum, b.sum, (size_t)n_queries * sizeof *p.sum);
    } else {
        merge_sums(p, &b, n_queries);
    }

    /* Next after these dimensions come others of this block, or the next block's first. */
    const size_t wide = GROUP * ATTEND_VECS;
    for (size_t d = 0; d < width;) {
        const size_t left = width - d, vecs = left >= wide ? wide : GROUP;
        const size_t ahead = left > vecs ? vecs * GROUP * size : (BLOCK * width - d * GROUP) * size;
        for (int i = 0; i < n_queries; i += ATTEND_QUERIES) {
            float *out = p.out + (size_t)i * width + d;
            const unsigned char *tile = v + d * GROUP * size;
            if (vecs == wide)
                value_tile(out, width, b.keep + i, b.take + i, scores + i * BLOCK, tile, ahead,
                           n + i, is_first, type, ATTEND_VECS);
            else
                value_tile(out, width, b.keep + i, b.take + i, scores + i * BLOCK, tile, ahead,
                           n + i, is_first, type, 1);
        }
        d += vecs;
    }
}

INLINE void attend(float *partial, const struct ink_attention *a, int begin, float *scores,
                   enum type type)
{
    const struct partial p = partial_at(partial, a->n_rows * a->n_heads);
    const int last = a->n_pos + a->n_rows - 1;
    const int end = last - begin < INK_ATTENTION_SPAN ? last : begin + INK_ATTENTION_SPAN;
    for (int t = begin; t < end; t += BLOCK)
        attend_block(p, a, t, t == begin, scores, type);
}

static void attend_f32(float *partial, const struct ink_attention *a, int begin, float *scores)
{
    attend(partial, a, begin, scores, TYPE_F32);
}

static void attend_f16(float *partial, const struct ink_attention *a, int begin, float *scores)
{
    attend(partial, a, begin, scores, TYPE_F16);
}

static void attend_q8(float *partial, const struct ink_attention *a, int begin, float *scores)
{
    attend(partial, a, begin, scores, TYPE_I8);
}

static void attend_merge(float *partial, const float *later, int n_queries, int head_dim)
{
    const struct partial p = partial_at(partial, n_queries);
    const size_t width = out_width(head_dim);
    const int n16 = (n_queries + 15) / 16 * 16;
    struct block b;
    memcpy(b.max, later, (size_t)n16 * sizeof *later);
    memcpy(b.sum, later + n16, (size_t)n16 * sizeof *later);
    merge_sums(p, &b, n_queries);
    for (int i = 0; i < n_queries; i++) {
        float *o = p.out + (size_t)i * width;
        const float *x = later + 2 * n16 + (size_t)i * width;
        for (size_t d = 0; d < width; d += 16)
            v_store(o + d, v_fma(v_load(o + d), v_set1(b.keep[i]),
                                 v_mul(v_load(x + d), v_set1(b.take[i]))));
    }
}

static void attend_finish(const struct ink_attention *a, float *partial)
{
    const struct partial p = partial_at(partial, a->n_rows * a->n_heads);
    const size_t width = out_width(a->head_dim);
    for (int i = 0; i < a->n_rows * a->n_heads; i++) {
        float *y = a->out + (size_t)(i / a->n_heads) * a->row_stride +
                   (size_t)(i % a->n_heads) * (size_t)a->head_dim;
        float *o = p.out + (size_t)i * width;
        for (size_t d = 0; d < width; d += 16)
            v_store(o + d, v_div(v_load(o + d), v_set1(p.sum[i])));
        memcpy(y, o, (size_t)a->head_dim * sizeof *y);
    }
}

static float i8_from_f32(int8_t *y, const float *x, int n)
{
    v16i most;
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        most.p[p] = vi_set1(0);
    for (int i = 0; i < n; i += 16) {
        const v16 a = v_load_n(x + i, n - i < 16 ? n - i : 16);
        UNROLL
        for (int p = 0; p < V_PARTS; p++)
            most.p[p] = vi_max(most.p[p], vi_abs_bits(a.p[p]));
    }
    const int32_t bits = vi_most(most);
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    if (bits < 0x0d800000 || bits >= 0x7f800000) { /* below 2^-100; infinity or NaN */
        memset(y, 0, (size_t)n);
        return bits < 0x7f800000 ? 0.0f : NAN;
    }
    /* The low bits of 1.5 * 2^23 + z are those of the integer nearest to z. */
    const v16 inverse = v_set1(127.0f / largest), magic = v_set1(0x1.8p23f);
    for (int i = 0; i < n; i += 16) {
        const int left = n - i < 16 ? n - i : 16;
        float z[16];
        v_store(z, v_fma(v_load_n(x + i, left), inverse, magic));
        for (int j = 0; j < left; j++) {
            uint32_t z_bits;
            memcpy(&z_bits, &z[j], sizeof z_bits);
            y[i + j] = (int8_t)(z_bits & 0xff);
        }
    }
    return largest * (1.0f / 127.0f);
}

#endif
