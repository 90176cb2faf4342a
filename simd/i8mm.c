/* The i8mm level: neon with byte matrix products (Armv8.6). One token takes dot products; two make
 * the matrix that a product of two rows by two tokens wants. */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON) && defined(__ARM_FEATURE_MATMUL_INT8)

#define LEVEL_NAME "i8mm"
#define LEVEL_TABLE ink_kernels_level_i8mm

#include "neon.h"

enum { Q8_OFFSET = 128, Q8_TOKENS = 6, Q8_GROUPS = 1 };
#define Q8_PARTS 2 /* 12 products and 12 sums of 2 x 2, 4 weights, 2 pairs of tokens */

typedef uint8x16_t vw;

INLINE vw vw_load(const unsigned char *p)
{
    return vld1q_u8(p);
}

INLINE vi vi_dot_lane(vi acc, vw w, int8x16_t x, int lane)
{
    switch (lane) {
    case 0:
        return vusdotq_laneq_s32(acc, w, x, 0);
    case 1:
        return vusdotq_laneq_s32(acc, w, x, 1);
    case 2:
        return vusdotq_laneq_s32(acc, w, x, 2);
    default:
        return vusdotq_laneq_s32(acc, w, x, 3);
    }
}

#include "dotlanes.h"

#define Q8_TILE pair_tile
#define Q8_TILE_UNIT 2

enum { MAX_PAIRS = Q8_TOKENS / 2, PARTS = 2 * Q8_PARTS }; /* a part: two rows */

/* 8 columns of two tokens. */
INLINE int8x16_t pair_of_columns(const unsigned char *p, size_t ldx)
{
    const uint8x16_t a = vcombine_u8(vld1_u8(p), vdup_n_u8(0));
    return vreinterpretq_s8_u64(
        vld1q_lane_u64((const void *)(p + ldx), vreinterpretq_u64_u8(a), 1));
}

INLINE vi pair_of_words(const unsigned char *p, size_t ldx)
{
    int32x2_t a = vld1_dup_s32((const void *)p);
    a = vld1_lane_s32((const void *)(p + ldx), a, 1);
    return vcombine_s32(a, a);
}

/* 8 columns of rows 0, 1; 2, 3; ... of 8. */
INLINE void load_row_pairs(uint8x16_t *rows, const unsigned char *w)
{
    UNROLL
    for (int i = 0; i < Q8_PARTS; i++) {
        const uint32x4_t a = vreinterpretq_u32_u8(vld1q_u8(w + i * 16));
        const uint32x4_t b = vreinterpretq_u32_u8(vld1q_u8(w + 64 + i * 16));
        rows[2 * i] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
        rows[2 * i + 1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
    }
}

/* acc[u * PARTS + i]: row 0, row 1 of part i by token 0, token 1 of pair u. */
INLINE void pair_products(vi *acc, const unsigned char *values, size_t ldx,
                          const unsigned char *starts, const unsigned char *w, int n_tokens)
{
    UNROLL
    for (int i = 0; i < (n_tokens + 1) / 2 * PARTS; i++) {
        const int t = i / PARTS * 2;
        acc[i] = pair_of_words(starts + (size_t)t * ldx, t + 1 < n_tokens ? ldx : 0);
    }
    UNROLL
    for (int k = 0; k < INK_Q8_BLOCK / 8; k++) {
        uint8x16_t rows[PARTS];
        FENCE_LOADS;
        load_row_pairs(rows, w + k * 128);
        UNROLL
        for (int u = 0; u < (n_tokens + 1) / 2; u++) {
            const size_t other = 2 * u + 1 < n_tokens ? ldx : 0;
            const int8x16_t x = pair_of_columns(values + (size_t)(2 * u) * ldx + k * 8, other);
            UNROLL
            for (int i = 0; i < PARTS; i++)
                acc[u * PARTS + i] = vusmmlaq_s32(acc[u * PARTS + i], rows[i], x);
        }
    }
}

/* q8_tile of int8.h for 8 rows and two and more tokens, the last of them twice if it has no other.
 */
INLINE void pair_tile(float *y, size_t ldy, const unsigned char *x, size_t ldx,
                      const unsigned char *w, int cols, struct q8_ahead ahead, int first,
                      int n_parts, int n_tokens)
{
    (void)n_parts; /* Q8_PARTS */
    const int n_blocks = cols / INK_Q8_BLOCK;
    const unsigned char *d = x + cols, *starts = d + (size_t)n_blocks * 4;
    const unsigned char *data = w + (size_t)n_blocks * 32 + (size_t)first * 16;
    w += (size_t)first * 8;
    vp sum[MAX_PAIRS * PARTS];
    UNROLL
    for (int i = 0; i < (n_tokens + 1) / 2 * PARTS; i++)
        sum[i] = vp_set1(0.0f);
    for (int b = 0; b < n_blocks; b++) {
        vi acc[MAX_PAIRS * PARTS];
        const unsigned char *block = data + (size_t)b * (16 * INK_Q8_BLOCK);
        if (ahead.fetch) {
            UNROLL
            for (int i = 0; i < 8; i++)
                PREFETCH(block + ahead.fetch + (size_t)(i * 64));
        }
        pair_products(acc, x + (size_t)b * INK_Q8_BLOCK, ldx, starts + (size_t)b * 4, block,
                      n_tokens);
        vp scales[PARTS];
        FENCE_LOADS;
        UNROLL
        for (int i = 0; i < Q8_PARTS; i++) {
            const vp rows = vp_load_f16(w + (size_t)b * 32 + (size_t)i * 8);
            scales[2 * i] = vzip1q_f32(rows, rows);
            scales[2 * i + 1] = vzip2q_f32(rows, rows);
        }
        UNROLL
        for (int i = 0; i < (n_tokens + 1) / 2 * PARTS; i++) {
            const int t = i / PARTS * 2;
            const vi bits =
                pair_of_words(d + (size_t)t * ldx + (size_t)b * 4, t + 1 < n_tokens ? ldx : 0);
            sum[i] = vp_fma(vp_mul(vp_from_vi(acc[i]), scales[i % PARTS]),
                            vreinterpretq_f32_s32(bits), sum[i]);
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int i = 0; i < Q8_PARTS; i++) {
            const vp a = sum[t / 2 * PARTS + 2 * i], c = sum[t / 2 * PARTS + 2 * i + 1];
            vp_store(y + (size_t)t * ldy + i * 4, t % 2 ? vuzp2q_f32(a, c) : vuzp1q_f32(a, c));
        }
    }
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_i8mm = {.name = NULL};

#endif
