/* The 16 lanes of kernels.h over a level's vectors, and exp on them.
 *
 * The file that includes this one has defined, with L = V_LANES = 16 / V_PARTS:
 *
 *   vp                           a vector of L floats: one "part" of the 16 lanes
 *   v16                          struct { vp p[V_PARTS]; }, lane i in part i / L
 *   vp_load(p)                   L floats, any alignment
 *   vp_load_bf16(p) _f16(p)      L half-width values widened exactly, any alignment
 *   vp_load_i8(p)                L signed bytes, likewise
 *   vp_load_pairs(p)             p[0], p[0], p[1], p[1], ...: L / 2 floats, each twice
 *   vp_keep(a)                   a, which the compiler should hold in a register
 *   vp_store(p, a)               any alignment
 *   vp_store_f16 _bf16(p, a)     L half-width values, rounded to nearest even
 *   vp_pair_bf16(a, b)           L such pairs, each in the place of a float, a's in its lower half
 *   vp_first_bf16(p) _second_bf16(p)  a and b of the pairs, as floats
 *   vp_dot_bf16(p, q, sum)       as below, if HAS_BF16_DOT is defined, as 1
 *   vp_set1(s)
 *   vp_add sub mul div(a, b), vp_sqrt(a), vp_fma(a, b, c), vp_max(a, b) = a > b ? a : b
 *   vp_select_le(a, b, yes, no)  a <= b ? yes : no in each lane
 *   vp_scale2(a, z)              bits(a) + (bits(z) << 23): a * 2^k for k in z's low mantissa bits
 *   vp_swap_pairs(a)             a[1], a[0], a[3], a[2], ...
 *   v_tree_sum(a), v_tree_max(a) the tree of kernels.h
 *   v_tree_sums(y, a, n)         y[i] = v_tree_sum(a[i]), n a constant
 *   turn_4x4(y, ldy, x, ldx, adds)  y [4, 4] (+)= the transpose of x */
#ifndef INK_LANES_H
#define INK_LANES_H

enum { V_LANES = 16 / V_PARTS };

enum type { TYPE_F32, TYPE_BF16, TYPE_F16, TYPE_I8 };

INLINE size_t type_size(enum type type)
{
    return type == TYPE_F32 ? 4 : type == TYPE_I8 ? 1 : 2;
}

INLINE vp vp_load_type(const unsigned char *p, enum type type)
{
    return type == TYPE_F32    ? vp_load((const void *)p)
           : type == TYPE_BF16 ? vp_load_bf16(p)
           : type == TYPE_I8   ? vp_load_i8(p)
                               : vp_load_f16(p);
}

INLINE v16 v_load_type(const unsigned char *x, enum type type)
{
    v16 a;
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_load_type(x + (size_t)p * V_LANES * type_size(type), type);
    return a;
}

INLINE v16 v_load(const float *x)
{
    return v_load_type((const unsigned char *)x, TYPE_F32);
}

INLINE void v_store(float *y, v16 a)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        vp_store(y + p * V_LANES, a.p[p]);
}

/* The first n < 16 lanes, the rest +0, touching nothing beyond them. */
INLINE v16 v_load_type_n(const unsigned char *x, int n, enum type type)
{
    unsigned char whole[64] = {0};
    memcpy(whole, x, (size_t)n * type_size(type));
    return v_load_type(whole, type);
}

INLINE v16 v_load_n(const float *x, int n)
{
    return v_load_type_n((const unsigned char *)x, n, TYPE_F32);
}

INLINE void v_store_n(float *y, v16 a, int n)
{
    float whole[16];
    v_store(whole, a);
    memcpy(y, whole, (size_t)n * sizeof *y);
}

INLINE v16 v_set1(float s)
{
    v16 a;
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_set1(s);
    return a;
}

INLINE v16 v_add(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_add(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_sub(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_sub(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_mul(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_mul(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_div(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_div(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_sqrt(v16 a)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_sqrt(a.p[p]);
    return a;
}

INLINE v16 v_fma(v16 a, v16 b, v16 c)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        c.p[p] = vp_fma(a.p[p], b.p[p], c.p[p]);
    return c;
}

/* The definition of gemm_bf16 in kernels.h for a pair. */
#if !defined(HAS_BF16_DOT)
#define HAS_BF16_DOT 0
INLINE vp vp_dot_bf16(vp a, vp b, vp sum)
{
    sum = vp_fma(vp_second_bf16(a), vp_second_bf16(b), sum);
    return vp_fma(vp_first_bf16(a), vp_first_bf16(b), sum);
}
#endif

INLINE v16 v_dot_bf16(v16 a, v16 b, v16 sum)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        sum.p[p] = vp_dot_bf16(a.p[p], b.p[p], sum.p[p]);
    return sum;
}

INLINE v16 v_pair_bf16(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_pair_bf16(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_max(v16 a, v16 b)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_max(a.p[p], b.p[p]);
    return a;
}

INLINE v16 v_select_le(v16 a, v16 b, v16 yes, v16 no)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        no.p[p] = vp_select_le(a.p[p], b.p[p], yes.p[p], no.p[p]);
    return no;
}

INLINE v16 v_scale2(v16 a, v16 z)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_scale2(a.p[p], z.p[p]);
    return a;
}

INLINE v16 v_swap_pairs(v16 a)
{
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_swap_pairs(a.p[p]);
    return a;
}

INLINE v16 v_load_pairs(const float *x)
{
    v16 a;
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        a.p[p] = vp_load_pairs(x + p * V_LANES / 2);
    return a;
}

/* exp(x) within 1.1 ulp for -87.33 < x <= 88.72; 0 at and below -87.33, +inf above 88.72, exactly 1
 * at 0, NaN for NaN. x = k ln 2 + r, with k read off the low bits of x log2(e) + 1.5 * 2^23; the
 * thresholds keep 2^k times the polynomial a normal number, so that adding k to its exponent field
 * is an exact product. */
INLINE v16 ink_exp(v16 x)
{
    const v16 magic = v_set1(0x1.8p23f);
    v16 z = v_fma(x, v_set1(0x1.715476p0f), magic);
    v16 k = v_sub(z, magic);
    v16 r = v_fma(k, v_set1(-0x1.62e43p-1f), x);
    r = v_fma(k, v_set1(0x1.05c61p-29f), r);

    v16 e = v_set1(0x1.6a4d14p-10f);
    e = v_fma(e, r, v_set1(0x1.12398ap-7f));
    e = v_fma(e, r, v_set1(0x1.5558bp-5f));
    e = v_fma(e, r, v_set1(0x1.555492p-3f));
    e = v_fma(e, r, v_set1(0x1.fffffcp-2f));
    e = v_fma(e, r, v_set1(1.0f));
    e = v_fma(e, r, v_set1(1.0f));
    e = v_scale2(e, z);

    e = v_select_le(x, v_set1(-87.33f), v_set1(0.0f), e);
    return v_select_le(x, v_set1(88.72f), e, v_add(x, v_set1(INFINITY)));
}

#endif
