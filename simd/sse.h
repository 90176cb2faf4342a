/* What all levels of x86 have in common. */
#ifndef INK_SSE_H
#define INK_SSE_H

#include <immintrin.h>

/* y [4, 4] (+)= xᵀ */
INLINE void turn_4x4(float *y, size_t ldy, const float *x, size_t ldx, int adds)
{
    __m128 r[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        r[i] = _mm_loadu_ps(x + (size_t)i * ldx);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    UNROLL
    for (int i = 0; i < 4; i++) {
        float *to = y + (size_t)i * ldy;
        _mm_storeu_ps(to, adds ? _mm_add_ps(_mm_loadu_ps(to), r[i]) : r[i]);
    }
}

#endif
