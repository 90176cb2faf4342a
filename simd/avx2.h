/* 16 lanes in two ymm registers: the vector of the avx2 and avx-vnni levels. Needs FMA and F16C. */
#ifndef INK_AVX2_H
#define INK_AVX2_H

#include "sse.h"

enum {
    V_PARTS = 2,
    TILE_ROWS = 2, /* 12 accumulators, 2 weights, 1 token of 16 registers */
    TILE_TOKENS = 3,
    GEMM_ROWS = 6, /* 12 accumulators, 2 of a panel, 1 broadcast */
    GEMM_PANELS = 1
};

typedef __m256 vp;
typedef struct {
    vp p[V_PARTS];
} v16;

INLINE vp vp_load(const void *p)
{
    return _mm256_loadu_ps(p);
}

INLINE vp vp_load_bf16(const void *p)
{
    __m256i a = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(a, 16));
}

INLINE vp vp_load_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

INLINE vp vp_load_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

INLINE vp vp_load_pairs(const float *p)
{
    const __m256i twice = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
    return _mm256_permutevar8x32_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), twice);
}

/* Without this gcc loads a token's values again for each of its multiply-adds. */
INLINE vp vp_keep(vp a)
{
    __asm__("" : "+x"(a));
    return a;
}

INLINE void vp_store(float *p, vp a)
{
    _mm256_storeu_ps(p, a);
}

INLINE void vp_store_f16(uint16_t *p, vp a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

/* Each value rounded to bf16 in the upper half of its place; the lower half is anything. */
INLINE __m256i round_bf16(vp a)
{
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i last = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(up, quiet, is_nan);
}

INLINE void vp_store_bf16(void *p, vp a)
{
    const __m256i upper = _mm256_srli_epi32(round_bf16(a), 16);
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(upper, upper), 0x08);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(words));
}

INLINE vp vp_pair_bf16(vp first, vp second)
{
    const __m256i lower = _mm256_srli_epi32(round_bf16(first), 16);
    return _mm256_castsi256_ps(_mm256_blend_epi16(lower, round_bf16(second), 0xaa));
}

INLINE vp vp_first_bf16(vp pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(pairs), 16));
}

INLINE vp vp_second_bf16(vp pairs)
{
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_castps_si256(pairs), _mm256_set1_epi32((int)0xffff0000)));
}

INLINE vp vp_set1(float s)
{
    return _mm256_set1_ps(s);
}

INLINE vp vp_add(vp a, vp b)
{
    return _mm256_add_ps(a, b);
}

INLINE vp vp_sub(vp a, vp b)
{
    return _mm256_sub_ps(a, b);
}

INLINE vp vp_mul(vp a, vp b)
{
    return _mm256_mul_ps(a, b);
}

INLINE vp vp_div(vp a, vp b)
{
    return _mm256_div_ps(a, b);
}

INLINE vp vp_sqrt(vp a)
{
    return _mm256_sqrt_ps(a);
}

INLINE vp vp_fma(vp a, vp b, vp c)
{
    return _mm256_fmadd_ps(a, b, c);
}

INLINE vp vp_max(vp a, vp b)
{
    return _mm256_max_ps(a, b);
}

INLINE vp vp_select_le(vp a, vp b, vp yes, vp no)
{
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LE_OQ));
}

INLINE vp vp_scale2(vp a, vp z)
{
    __m256i k = _mm256_slli_epi32(_mm256_castps_si256(z), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), k));
}

INLINE vp vp_swap_pairs(vp a)
{
    return _mm256_permute_ps(a, 0xb1);
}

INLINE float v_tree_sum(v16 a)
{
    __m256 t8 = _mm256_add_ps(a.p[0], a.p[1]);
    __m128 t4 = _mm_add_ps(_mm256_castps256_ps128(t8), _mm256_extractf128_ps(t8, 1));
    __m128 t2 = _mm_add_ps(t4, _mm_movehl_ps(t4, t4));
    return _mm_cvtss_f32(_mm_add_ss(t2, _mm_movehdup_ps(t2)));
}

INLINE float v_tree_max(v16 a)
{
    __m256 t8 = _mm256_max_ps(a.p[0], a.p[1]);
    __m128 t4 = _mm_max_ps(_mm256_castps256_ps128(t8), _mm256_extractf128_ps(t8, 1));
    __m128 t2 = _mm_max_ps(t4, _mm_movehl_ps(t4, t4));
    return _mm_cvtss_f32(_mm_max_ss(t2, _mm_movehdup_ps(t2)));
}

INLINE void v_tree_sums(float *y, const v16 *a, int n)
{
    UNROLL
    for (int i = 0; i < n; i++)
        y[i] = v_tree_sum(a[i]);
}

typedef __m256i vi;
typedef struct {
    vi p[V_PARTS];
} v16i;

INLINE vi vi_set1(int32_t i)
{
    return _mm256_set1_epi32(i);
}

INLINE vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

INLINE vi vi_max(vi a, vi b)
{
    return _mm256_max_epi32(a, b);
}

INLINE vi vi_abs_bits(vp a)
{
    return _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7fffffff));
}

INLINE vi vi_round(vp a)
{
    return _mm256_cvtps_epi32(a);
}

INLINE vp vp_from_vi(vi a)
{
    return _mm256_cvtepi32_ps(a);
}

INLINE int32_t vi_sum(v16i a)
{
    __m256i t8 = _mm256_add_epi32(a.p[0], a.p[1]);
    __m128i t4 = _mm_add_epi32(_mm256_castsi256_si128(t8), _mm256_extracti128_si256(t8, 1));
    __m128i t2 = _mm_add_epi32(t4, _mm_shuffle_epi32(t4, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(t2, _mm_shuffle_epi32(t2, 0xb1)));
}

INLINE int32_t vi_most(v16i a)
{
    __m256i t8 = _mm256_max_epi32(a.p[0], a.p[1]);
    __m128i t4 = _mm_max_epi32(_mm256_castsi256_si128(t8), _mm256_extracti128_si256(t8, 1));
    __m128i t2 = _mm_max_epi32(t4, _mm_shuffle_epi32(t4, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(t2, _mm_shuffle_epi32(t2, 0xb1)));
}

/* What the levels over this vector have in common of int8.h: activations are bytes. */
typedef vi vx;

INLINE vx four_bytes(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

INLINE void q8_store(unsigned char *p, v16i a)
{
    __m256i pairs = _mm256_packs_epi32(a.p[0], a.p[1]); /* 0-3, 8-11, 4-7, 12-15 */
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi16(_mm256_castsi256_si128(pairs),
                                                           _mm256_extracti128_si256(pairs, 1)));
}

#endif
