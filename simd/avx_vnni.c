/* The avx-vnni level: avx2 with its own byte products. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__AVXVNNI__)

#define LEVEL_NAME "avx-vnni"
#define LEVEL_TABLE ink_kernels_level_avx_vnni

#include "avx2.h"

enum { Q8_OFFSET = 128, Q8_VALUE_BYTES = 1, Q8_TOKENS = 4, Q8_GROUPS = 1 };

typedef vi vw, vx;

INLINE vw vw_load(const unsigned char *p)
{
    return _mm256_loadu_si256((const void *)p);
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    return _mm256_dpbusd_avx_epi32(acc, w, x);
}

INLINE void q8_store(unsigned char *p, v16i a)
{
    __m256i pairs = _mm256_packs_epi32(a.p[0], a.p[1]); /* 0-3, 8-11, 4-7, 12-15 */
    pairs = _mm256_permute4x64_epi64(pairs, 0xd8);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi16(_mm256_castsi256_si128(pairs),
                                                           _mm256_extracti128_si256(pairs, 1)));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx_vnni = {.name = NULL};

#endif
