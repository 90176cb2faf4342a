/* The avx512-vnni level: avx512 with byte products. */
#include "level.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__) && \
    defined(__AVX512DQ__) && defined(__AVX512VNNI__)

#define LEVEL_NAME "avx512-vnni"
#define LEVEL_TABLE ink_kernels_level_avx512_vnni

#include "avx512.h"

enum { Q8_OFFSET = 128, Q8_VALUE_BYTES = 1, Q8_TOKENS = 8, Q8_GROUPS = 2 };

typedef vi vw, vx;

INLINE vw vw_load(const unsigned char *p)
{
    return _mm512_loadu_si512(p);
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    vx a = _mm512_set1_epi32(x);
    __asm__("" : "+v"(a)); /* one load, not one for each group */
    return a;
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    return _mm512_dpbusd_epi32(acc, w, x);
}

INLINE void q8_store(unsigned char *p, v16i a)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(a.p[0]));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx512_vnni = {.name = NULL};

#endif
