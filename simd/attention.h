/* The attention kernels of kernels.h; part of body.h. */
#ifndef INK_ATTENTION_H
#define INK_ATTENTION_H

enum {
    HEADS_AT_ONCE = 16 /* heads whose softmax state attention keeps on its stack */
};

/* Scores are a matmul whose rows are positions and whose tokens are heads. */

struct softmax {
    float max, sum, fade; /* m, l, f of kernels.h */
};

static void pad16(float *s, int n, float value)
{
    for (; n % 16 != 0; n++)
        s[n] = value;
}

/* Scores [n <= INK_ATTENTION_BLOCK] of one head become its weights e_t, in place. */
static void softmax_block(struct softmax *state, float *s, int n, float scale, int first)
{
    v16 most = v_set1(-INFINITY), sum = v_set1(0.0f);
    pad16(s, n, 0.0f);
    for (int t = 0; t < n; t += 16)
        v_store(s + t, v_mul(v_load(s + t), v_set1(scale)));
    pad16(s, n, -INFINITY);
    for (int t = 0; t < n; t += 16)
        most = v_max(most, v_load(s + t));

    const float block_max = v_tree_max(most);
    const float max = state->max > block_max ? state->max : block_max;
    float fade[16];
    v_store(fade, ink_exp(v_set1(state->max - max)));
    for (int t = 0; t < n; t += 16)
        v_store(s + t, ink_exp(v_sub(v_load(s + t), v_set1(max))));
    pad16(s, n, 0.0f);
    for (int t = 0; t < n; t += 16)
        sum = v_add(sum, v_load(s + t));

    state->fade = first ? 0.0f : fade[0];
    v_store(fade, v_fma(v_set1(state->sum), v_set1(state->fade), v_set1(v_tree_sum(sum))));
    state->sum = fade[0];
    state->max = max;
}

/* out[h][d] = out[h][d] * fade[h] + sum over t of e[h][t] * v[t][d], for n_heads x (16 n_vecs). */
INLINE void value_tile(float *out, const struct softmax *state, const float *e,
                       const unsigned char *v, int n, int head_dim, enum type type, int n_heads,
                       int n_vecs)
{
    const size_t size = type_size(type), row_bytes = (size_t)head_dim * size;
    v16 acc[VALUE_HEADS][VALUE_VECS];
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        UNROLL
        for (int k = 0; k < n_vecs; k++)
            acc[h][k] = v_mul(v_load(out + h * head_dim + 16 * k), v_set1(state[h].fade));
    }
    for (int t = 0; t < n; t++, v += row_bytes) {
        vp weight[VALUE_HEADS];
        UNROLL
        for (int h = 0; h < n_heads; h++)
            weight[h] = vp_set1(e[h * INK_ATTENTION_BLOCK + t]);
        UNROLL
        for (int i = 0; i < n_vecs * V_PARTS; i++) {
            vp value = vp_load_type(v + (size_t)i * V_LANES * size, type);
            UNROLL
            for (int h = 0; h < n_heads; h++)
                acc[h][i / V_PARTS].p[i % V_PARTS] =
                    vp_fma(weight[h], value, acc[h][i / V_PARTS].p[i % V_PARTS]);
        }
    }
    UNROLL
    for (int h = 0; h < n_heads; h++) {
        UNROLL
        for (int k = 0; k < n_vecs; k++)
            v_store(out + h * head_dim + 16 * k, acc[h][k]);
    }
}

/* The last head_dim mod 16 dimensions of one head. */
INLINE void value_rest(float *out, const struct softmax *state, const float *e,
                       const unsigned char *v, int n, int head_dim, enum type type, int n_dims)
{
    v16 acc = v_mul(v_load_n(out, n_dims), v_set1(state->fade));
    for (int t = 0; t < n; t++) {
        v16 value = v_load_type_n(v + (size_t)t * (size_t)head_dim * type_size(type), n_dims, type);
        acc = v_fma(v_set1(e[t]), value, acc);
    }
    v_store_n(out, acc, n_dims);
}

INLINE void value_heads(float *out, const struct softmax *state, const float *e,
                        const unsigned char *v, int n, int head_dim, enum type type, int n_heads)
{
    const size_t size = type_size(type);
    int d = 0;
    for (; d + 16 * VALUE_VECS <= head_dim; d += 16 * VALUE_VECS)
        value_tile(out + d, state, e, v + (size_t)d * size, n, head_dim, type, n_heads, VALUE_VECS);
    for (; d + 16 <= head_dim; d += 16)
        value_tile(out + d, state, e, v + (size_t)d * size, n, head_dim, type, n_heads, 1);
    for (int h = 0; d < head_dim && h < n_heads; h++)
        value_rest(out + h * head_dim + d, state + h, e + h * INK_ATTENTION_BLOCK,
                   v + (size_t)d * size, n, head_dim, type, head_dim - d);
}

INLINE void attend_heads(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                         int head_dim, float scale, float *scores, enum type type)
{
    const size_t row_bytes = (size_t)head_dim * type_size(type);
    struct softmax state[HEADS_AT_ONCE];
    for (int h = 0; h < n_heads; h++)
        state[h] = (struct softmax){.max = -INFINITY};
    memset(out, 0, (size_t)n_heads * (size_t)head_dim * sizeof *out);

    for (int t = 0; t < n_pos; t += INK_ATTENTION_BLOCK) {
        const int n = n_pos - t < INK_ATTENTION_BLOCK ? n_pos - t : INK_ATTENTION_BLOCK;
        const unsigned char *k = (const unsigned char *)kv.k + (size_t)t * row_bytes;
        const unsigned char *v = (const unsigned char *)kv.v + (size_t)t * row_bytes;
        (type == TYPE_F32 ? matmul_f32 : matmul_f16)(scores, INK_ATTENTION_BLOCK, q,
                                                     (size_t)head_dim, n_heads, k, n, head_dim);
        for (int h = 0; h < n_heads; h++)
            softmax_block(&state[h], scores + h * INK_ATTENTION_BLOCK, n, scale, t == 0);
        int h = 0;
        for (; h + VALUE_HEADS <= n_heads; h += VALUE_HEADS)
            value_heads(out + h * head_dim, state + h, scores + h * INK_ATTENTION_BLOCK, v, n,
                        head_dim, type, VALUE_HEADS);
        for (; h < n_heads; h++)
            value_heads(out + h * head_dim, state + h, scores + h * INK_ATTENTION_BLOCK, v, n,
                        head_dim, type, 1);
    }

    for (int h = 0; h < n_heads; h++)
        for (int d = 0; d < head_dim; d++)
            out[h * head_dim + d] /= state[h].sum;
}

INLINE void attend(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                   int head_dim, float scale, float *scores, enum type type)
{
    for (int h = 0; h < n_heads; h += HEADS_AT_ONCE)
        attend_heads(out + h * head_dim, q + h * head_dim,
                     n_heads - h < HEADS_AT_ONCE ? n_heads - h : HEADS_AT_ONCE, kv, n_pos, head_dim,
                     scale, scores, type);
}

static void attend_f32(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores)
{
    attend(out, q, n_heads, kv, n_pos, head_dim, scale, scores, TYPE_F32);
}

static void attend_f16(float *out, const float *q, int n_heads, struct ink_kv_view kv, int n_pos,
                       int head_dim, float scale, float *scores)
{
    attend(out, q, n_heads, kv, n_pos, head_dim, scale, scores, TYPE_F16);
}

#endif
