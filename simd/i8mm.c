/* The i8mm level: neon with byte matrix products (Armv8.6). */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_MATMUL_INT8)

#define LEVEL_NAME "i8mm"
#define LEVEL_TABLE ink_kernels_level_i8mm

#include "neon.h"

enum { Q8_OFFSET = 128, Q8_TOKENS = 4, Q8_GROUPS = 1 };

typedef uint8x16_t vw;
typedef int8x16_t vx;

INLINE vw vw_load(const unsigned char *p)
{
    return vld1q_u8(p);
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return vreinterpretq_s8_s32(vdupq_n_s32(x));
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    return vusdotq_s32(acc, w, x);
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_i8mm = {.name = NULL};

#endif
