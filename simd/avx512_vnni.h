/* Byte products of the avx512-vnni and avx512-bf16 levels: what int8.h needs beside avx512.h. */
#ifndef INK_AVX512_VNNI_H
#define INK_AVX512_VNNI_H

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

#endif
