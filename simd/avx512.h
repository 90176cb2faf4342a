/* 16 lanes in one zmm register: the vector of the avx512, avx512-vnni and avx512-bf16 levels, the
 * last of which has defined LEVEL_HAS_BF16. */
#ifndef INK_AVX512_H
#define INK_AVX512_H

#include "sse.h"

enum {
    V_PARTS = 1,
    TILE_ROWS = 4, /* 24 accumulators, 4 weights, 1 token of 32 registers */
    TILE_TOKENS = 6,
    GEMM_ROWS = 8, /* 16 accumulators, 2 of panels; broadcasts come with the multiply-adds */
    GEMM_PANELS = 2
};

typedef __m512 vp;
typedef struct {
    vp p[V_PARTS];
} v16;

INLINE vp vp_load(const void *p)
{
    return _mm512_loadu_ps(p);
}

INLINE vp vp_load_bf16(const void *p)
{
    __m512i a = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(a, 16));
}

INLINE vp vp_load_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

INLINE vp vp_load_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

INLINE vp vp_load_pairs(const float *p)
{
    const __m512i twice = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);
    return _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(p)));
}

INLINE vp vp_keep(vp a)
{
    return a;
}

INLINE void vp_store(float *p, vp a)
{
    _mm512_storeu_ps(p, a);
}

INLINE void vp_store_f16(uint16_t *p, vp a)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

#if defined(LEVEL_HAS_BF16)

#define HAS_BF16_DOT 1

INLINE void vp_store_bf16(void *p, vp a)
{
    _mm256_storeu_si256((__m256i *)p, (__m256i)_mm512_cvtneps_pbh(a));
}

INLINE vp vp_pair_bf16(vp first, vp second)
{
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(second, first);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, both));
}

INLINE vp vp_dot_bf16(vp a, vp b, vp sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#else

/* Each value rounded to bf16 in the upper half of its place; the lower half is anything. */
INLINE __m512i round_bf16(vp a)
{
    const __m512i bits = _mm512_castps_si512(a);
    const __m512i last = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(up, is_nan, bits, _mm512_set1_epi32(0x400000));
}

INLINE void vp_store_bf16(void *p, vp a)
{
    const __m512i upper = _mm512_srli_epi32(round_bf16(a), 16);
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(upper));
}

INLINE vp vp_pair_bf16(vp first, vp second)
{
    const __m512i lower = _mm512_srli_epi32(round_bf16(first), 16);
    return _mm512_castsi512_ps(_mm512_mask_mov_epi16(lower, 0xaaaaaaaa, round_bf16(second)));
}

INLINE vp vp_first_bf16(vp pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(pairs), 16));
}

INLINE vp vp_second_bf16(vp pairs)
{
    return _mm512_castsi512_ps(
        _mm512_and_si512(_mm512_castps_si512(pairs), _mm512_set1_epi32((int)0xffff0000)));
}

#endif

INLINE vp vp_set1(float s)
{
    return _mm512_set1_ps(s);
}

INLINE vp vp_add(vp a, vp b)
{
    return _mm512_add_ps(a, b);
}

INLINE vp vp_sub(vp a, vp b)
{
    return _mm512_sub_ps(a, b);
}

INLINE vp vp_mul(vp a, vp b)
{
    return _mm512_mul_ps(a, b);
}

INLINE vp vp_div(vp a, vp b)
{
    return _mm512_div_ps(a, b);
}

INLINE vp vp_sqrt(vp a)
{
    return _mm512_sqrt_ps(a);
}

INLINE vp vp_fma(vp a, vp b, vp c)
{
    return _mm512_fmadd_ps(a, b, c);
}

INLINE vp vp_max(vp a, vp b)
{
    return _mm512_max_ps(a, b);
}

INLINE vp vp_select_le(vp a, vp b, vp yes, vp no)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LE_OQ), no, yes);
}

INLINE vp vp_scale2(vp a, vp z)
{
    __m512i k = _mm512_slli_epi32(_mm512_castps_si512(z), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), k));
}

INLINE vp vp_swap_pairs(vp a)
{
    return _mm512_permute_ps(a, 0xb1);
}

INLINE float v_tree_sum(v16 a)
{
    __m256 t8 = _mm256_add_ps(_mm512_castps512_ps256(a.p[0]), _mm512_extractf32x8_ps(a.p[0], 1));
    __m128 t4 = _mm_add_ps(_mm256_castps256_ps128(t8), _mm256_extractf128_ps(t8, 1));
    __m128 t2 = _mm_add_ps(t4, _mm_movehl_ps(t4, t4));
    return _mm_cvtss_f32(_mm_add_ss(t2, _mm_movehdup_ps(t2)));
}

INLINE float v_tree_max(v16 a)
{
    __m256 t8 = _mm256_max_ps(_mm512_castps512_ps256(a.p[0]), _mm512_extractf32x8_ps(a.p[0], 1));
    __m128 t4 = _mm_max_ps(_mm256_castps256_ps128(t8), _mm256_extractf128_ps(t8, 1));
    __m128 t2 = _mm_max_ps(t4, _mm_movehl_ps(t4, t4));
    return _mm_cvtss_f32(_mm_max_ss(t2, _mm_movehdup_ps(t2)));
}

/* Four trees side by side: the result of a[i] ends in 128-bit lane i. */
INLINE void tree_sum4(float *y, const v16 *a)
{
    __m512 u0 = _mm512_shuffle_f32x4(a[0].p[0], a[1].p[0], 0x44);
    __m512 u1 = _mm512_shuffle_f32x4(a[0].p[0], a[1].p[0], 0xee);
    __m512 w0 = _mm512_shuffle_f32x4(a[2].p[0], a[3].p[0], 0x44);
    __m512 w1 = _mm512_shuffle_f32x4(a[2].p[0], a[3].p[0], 0xee);
    __m512 u = _mm512_add_ps(u0, u1), w = _mm512_add_ps(w0, w1);
    __m512 t4 = _mm512_add_ps(_mm512_shuffle_f32x4(u, w, 0x88), _mm512_shuffle_f32x4(u, w, 0xdd));
    __m512 t2 = _mm512_add_ps(t4, _mm512_permute_ps(t4, 0x4e));
    __m512 t1 = _mm512_add_ps(t2, _mm512_permute_ps(t2, 0xb1));
    const __m512i firsts = _mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12);
    _mm_storeu_ps(y, _mm512_castps512_ps128(_mm512_permutexvar_ps(firsts, t1)));
}

INLINE void v_tree_sums(float *y, const v16 *a, int n)
{
    int i = 0;
    UNROLL
    for (; i + 4 <= n; i += 4)
        tree_sum4(y + i, a + i);
    UNROLL
    for (; i < n; i++)
        y[i] = v_tree_sum(a[i]);
}

typedef __m512i vi;
typedef struct {
    vi p[V_PARTS];
} v16i;

INLINE vi vi_set1(int32_t i)
{
    return _mm512_set1_epi32(i);
}

INLINE vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

INLINE vi vi_max(vi a, vi b)
{
    return _mm512_max_epi32(a, b);
}

INLINE vi vi_abs_bits(vp a)
{
    return _mm512_and_si512(_mm512_castps_si512(a), _mm512_set1_epi32(0x7fffffff));
}

INLINE vi vi_round(vp a)
{
    return _mm512_cvtps_epi32(a);
}

INLINE vp vp_from_vi(vi a)
{
    return _mm512_cvtepi32_ps(a);
}

INLINE int32_t vi_sum(v16i a)
{
    return _mm512_reduce_add_epi32(a.p[0]);
}

INLINE int32_t vi_most(v16i a)
{
    return _mm512_reduce_max_epi32(a.p[0]);
}

#endif
