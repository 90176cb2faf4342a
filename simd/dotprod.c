/* The dotprod level: neon with byte products (Armv8.2). */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)

#define LEVEL_NAME "dotprod"
#define LEVEL_TABLE ink_kernels_level_dotprod

#include "neon.h"

enum { Q8_OFFSET = 0, Q8_TOKENS = 4, Q8_GROUPS = 1 };
#define Q8_PARTS 2 /* 8 products, 8 sums, 4 tokens, 2 weights */

typedef int8x16_t vw;

INLINE vw vw_load(const unsigned char *p)
{
    return vld1q_s8((const void *)p);
}

INLINE vi vi_dot_lane(vi acc, vw w, int8x16_t x, int lane)
{
    switch (lane) {
    case 0:
        return vdotq_laneq_s32(acc, w, x, 0);
    case 1:
        return vdotq_laneq_s32(acc, w, x, 1);
    case 2:
        return vdotq_laneq_s32(acc, w, x, 2);
    default:
        return vdotq_laneq_s32(acc, w, x, 3);
    }
}

#include "dotlanes.h"

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_dotprod = {.name = NULL};

#endif
