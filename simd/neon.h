/* 16 lanes in four q registers: the vector of the neon, dotprod and i8mm levels. */
#ifndef INK_NEON_H
#define INK_NEON_H

#include <arm_neon.h>

enum {
    V_PARTS = 4,
    TILE_ROWS = 2, /* 24 accumulators, 2 weights, 1 token of 32 registers */
    TILE_TOKENS = 3,
    GEMM_ROWS = 6, /* 24 accumulators, 4 of a panel, 1 broadcast */
    GEMM_PANELS = 1
};

typedef float32x4_t vp;
typedef struct {
    vp p[V_PARTS];
} v16;

/* Byte loads, because a pointer to weights need not be aligned. */
INLINE vp vp_load(const void *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

INLINE vp vp_load_bf16(const void *p)
{
    uint16x4_t a = vreinterpret_u16_u8(vld1_u8(p));
    return vreinterpretq_f32_u32(vshll_n_u16(a, 16));
}

INLINE vp vp_load_f16(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE vp vp_load_i8(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    int16x8_t a = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(a)));
}

INLINE vp vp_load_pairs(const float *p)
{
    float32x2_t a = vld1_f32(p);
    return vcombine_f32(vdup_lane_f32(a, 0), vdup_lane_f32(a, 1));
}

INLINE vp vp_keep(vp a)
{
    __asm__ volatile("" : "+w"(a) : : "memory");
    return a;
}

INLINE void vp_store(float *p, vp a)
{
    vst1q_f32(p, a);
}

INLINE void vp_store_f16(uint16_t *p, vp a)
{
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a)));
}

/* Each value rounded to bf16 in the upper half of its place; the lower half is anything. */
INLINE uint32x4_t round_bf16(vp a)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(a);
    const uint32x4_t last = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(bits, vaddq_u32(last, vdupq_n_u32(0x7fff)));
    return vbslq_u32(vceqq_f32(a, a), up, vorrq_u32(bits, vdupq_n_u32(0x400000)));
}

INLINE void vp_store_bf16(void *p, vp a)
{
    vst1_u8(p, vreinterpret_u8_u16(vshrn_n_u32(round_bf16(a), 16)));
}

INLINE vp vp_pair_bf16(vp first, vp second)
{
    return vreinterpretq_f32_u32(vsriq_n_u32(round_bf16(second), round_bf16(first), 16));
}

INLINE vp vp_first_bf16(vp pairs)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(pairs), 16));
}

INLINE vp vp_second_bf16(vp pairs)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(pairs), vdupq_n_u32(0xffff0000)));
}

INLINE vp vp_set1(float s)
{
    return vdupq_n_f32(s);
}

INLINE vp vp_add(vp a, vp b)
{
    return vaddq_f32(a, b);
}

INLINE vp vp_sub(vp a, vp b)
{
    return vsubq_f32(a, b);
}

INLINE vp vp_mul(vp a, vp b)
{
    return vmulq_f32(a, b);
}

INLINE vp vp_div(vp a, vp b)
{
    return vdivq_f32(a, b);
}

INLINE vp vp_sqrt(vp a)
{
    return vsqrtq_f32(a);
}

INLINE vp vp_fma(vp a, vp b, vp c)
{
    return vfmaq_f32(c, a, b);
}

/* Not fmax, which knows its own rule for NaN and for the sign of zero. */
INLINE vp vp_max(vp a, vp b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

INLINE vp vp_select_le(vp a, vp b, vp yes, vp no)
{
    return vbslq_f32(vcleq_f32(a, b), yes, no);
}

INLINE vp vp_scale2(vp a, vp z)
{
    uint32x4_t k = vshlq_n_u32(vreinterpretq_u32_f32(z), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a), k));
}

INLINE vp vp_swap_pairs(vp a)
{
    return vrev64q_f32(a);
}

INLINE float v_tree_sum(v16 a)
{
    vp t4 = vaddq_f32(vaddq_f32(a.p[0], a.p[2]), vaddq_f32(a.p[1], a.p[3]));
    float32x2_t t2 = vadd_f32(vget_low_f32(t4), vget_high_f32(t4));
    return vget_lane_f32(t2, 0) + vget_lane_f32(t2, 1);
}

INLINE float v_tree_max(v16 a)
{
    vp t4 = vp_max(vp_max(a.p[0], a.p[2]), vp_max(a.p[1], a.p[3]));
    float t[4];
    vst1q_f32(t, t4);
    const float t0 = t[0] > t[2] ? t[0] : t[2], t1 = t[1] > t[3] ? t[1] : t[3];
    return t0 > t1 ? t0 : t1;
}

INLINE void v_tree_sums(float *y, const v16 *a, int n)
{
    UNROLL
    for (int i = 0; i < n; i++)
        y[i] = v_tree_sum(a[i]);
}

/* y [4, 4] (+)= xᵀ */
INLINE void turn_4x4(float *y, size_t ldy, const float *x, size_t ldx, int adds)
{
    const float32x4x2_t a = vtrnq_f32(vld1q_f32(x), vld1q_f32(x + ldx));
    const float32x4x2_t b = vtrnq_f32(vld1q_f32(x + 2 * ldx), vld1q_f32(x + 3 * ldx));
    const float32x4_t rows[4] = {
        vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0])),
        vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1])),
        vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0])),
        vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1])),
    };
    UNROLL
    for (int i = 0; i < 4; i++) {
        float *to = y + (size_t)i * ldy;
        vst1q_f32(to, adds ? vaddq_f32(vld1q_f32(to), rows[i]) : rows[i]);
    }
}

typedef int32x4_t vi;
typedef struct {
    vi p[V_PARTS];
} v16i;

INLINE vi vi_set1(int32_t i)
{
    return vdupq_n_s32(i);
}

INLINE vi vi_add(vi a, vi b)
{
    return vaddq_s32(a, b);
}

INLINE vi vi_max(vi a, vi b)
{
    return vmaxq_s32(a, b);
}

INLINE vi vi_abs_bits(vp a)
{
    return vreinterpretq_s32_f32(vabsq_f32(a));
}

INLINE vi vi_round(vp a)
{
    return vcvtnq_s32_f32(a);
}

INLINE vp vp_from_vi(vi a)
{
    return vcvtq_f32_s32(a);
}

INLINE int32_t vi_sum(v16i a)
{
    return vaddvq_s32(vaddq_s32(vaddq_s32(a.p[0], a.p[2]), vaddq_s32(a.p[1], a.p[3])));
}

INLINE int32_t vi_most(v16i a)
{
    return vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.p[0], a.p[2]), vmaxq_s32(a.p[1], a.p[3])));
}

/* 16 activations as int8, in order. */
enum { Q8_VALUE_BYTES = 1 };

INLINE void q8_store(unsigned char *p, v16i a)
{
    int16x8_t low = vcombine_s16(vmovn_s32(a.p[0]), vmovn_s32(a.p[1]));
    int16x8_t high = vcombine_s16(vmovn_s32(a.p[2]), vmovn_s32(a.p[3]));
    vst1q_s8((int8_t *)(void *)p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}

#endif
