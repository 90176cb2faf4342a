/* The dotprod level: neon with byte products (Armv8.2). */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)

#define LEVEL_NAME "dotprod"
#define LEVEL_TABLE ink_kernels_level_dotprod

#include "neon.h"

enum { Q8_OFFSET = 0, Q8_TOKENS = 4, Q8_GROUPS = 1 };

typedef int8x16_t vw;
typedef int8x16_t vx;

INLINE vw vw_load(const unsigned char *p)
{
    return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128)));
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return vreinterpretq_s8_s32(vdupq_n_s32(x));
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    return vdotq_s32(acc, w, x);
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_dotprod = {.name = NULL};

#endif
