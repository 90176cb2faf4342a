/* The avx-vnni level: avx2 with its own byte products. */
#include "level.h"

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__AVXVNNI__)

#define LEVEL_NAME "avx-vnni"
#define LEVEL_TABLE ink_kernels_level_avx_vnni

#include "avx2.h"

enum { Q8_OFFSET = 128, Q8_VALUE_BYTES = 1, Q8_TOKENS = 4, Q8_GROUPS = 1 };

typedef vi vw;

INLINE vw vw_load(const unsigned char *p)
{
    return _mm256_loadu_si256((const void *)p);
}

INLINE vx vx_load(const unsigned char *p)
{
    return four_bytes(p);
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    return _mm256_dpbusd_avx_epi32(acc, w, x);
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_avx_vnni = {.name = NULL};

#endif
