/* The neon level. Every aarch64 has it. */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#define LEVEL_NAME "neon"
#define LEVEL_TABLE ink_kernels_level_neon

#include "neon.h"

enum { Q8_OFFSET = 128, Q8_TOKENS = 3, Q8_GROUPS = 1 };

typedef struct {
    int16x8_t low, high; /* rows 0, 1 and rows 2, 3 */
} vw;
typedef int16x4_t vx;

INLINE vw vw_load(const unsigned char *p)
{
    const uint8x16_t bytes = vld1q_u8(p);
    return (vw){vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))),
                vreinterpretq_s16_u16(vmovl_high_u8(bytes))};
}

INLINE vx vx_load(const unsigned char *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return vget_low_s16(vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(x))));
}

INLINE vi vi_dot(vi acc, vw w, vx x)
{
    const int32x4_t r01 =
        vpaddq_s32(vmull_s16(vget_low_s16(w.low), x), vmull_s16(vget_high_s16(w.low), x));
    const int32x4_t r23 =
        vpaddq_s32(vmull_s16(vget_low_s16(w.high), x), vmull_s16(vget_high_s16(w.high), x));
    return vaddq_s32(acc, vpaddq_s32(r01, r23));
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_neon = {.name = NULL};

#endif
