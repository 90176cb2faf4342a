/* The neon level. Every aarch64 has it. */
#include "level.h"

#if defined(__aarch64__) && defined(__ARM_NEON)

#define LEVEL_NAME "neon"
#define LEVEL_TABLE ink_kernels_level_neon

#include "neon.h"

enum { Q8_OFFSET = 0, Q8_TOKENS = 4, Q8_GROUPS = 1 };
#define Q8_PARTS 2

/* clang would see that both halves are the same, and then find no use for smull2. */
#ifdef __clang__
#define KEEP(x) __asm__("" : "+w"(x))
#else
#define KEEP(x) ((void)(x))
#endif

/* Columns 0, 1 and columns 2, 3 of eight rows as they are, or of a token for all rows. */
struct columns {
    int8x16_t c01, c23;
};

INLINE struct columns columns_of_rows(const unsigned char *w)
{
    const int16x8x2_t a = vld2q_s16((const void *)w);
    return (struct columns){vreinterpretq_s8_s16(a.val[0]), vreinterpretq_s8_s16(a.val[1])};
}

INLINE struct columns columns_of_token(const unsigned char *p)
{
    const int16x8x2_t a = vld2q_dup_s16((const void *)p);
    struct columns x = {vreinterpretq_s8_s16(a.val[0]), vreinterpretq_s8_s16(a.val[1])};
    KEEP(x.c01);
    KEEP(x.c23);
    return x;
}

/* Two products of -128..127 by -127..127 fit in 16 bits, three would not. */
INLINE void add_products(vi *acc, struct columns w, struct columns x)
{
    int16x8_t low = vmull_s8(vget_low_s8(w.c01), vget_low_s8(x.c01));
    int16x8_t high = vmull_high_s8(w.c01, x.c01);
    low = vmlal_s8(low, vget_low_s8(w.c23), vget_low_s8(x.c23));
    high = vmlal_high_s8(high, w.c23, x.c23);
    acc[0] = vpadalq_s16(acc[0], low);
    acc[1] = vpadalq_s16(acc[1], high);
    KEEP(acc[0]);
    KEEP(acc[1]);
}

#define Q8_BLOCK_DOTS byte_products

/* q8_block_dots of int8.h, 4 columns at a time. */
INLINE void byte_products(vi *acc, const unsigned char *values, size_t ldx, const int32_t *starts,
                          const unsigned char *w, size_t group_bytes, int n_parts, int n_tokens)
{
    (void)starts;
    (void)group_bytes;
    UNROLL
    for (int i = 0; i < n_tokens * n_parts; i++)
        acc[i] = vi_set1(0);
    UNROLL
    for (int k = 0; k < INK_Q8_BLOCK; k += 4) {
        struct columns rows[V_PARTS / 2];
        FENCE_LOADS;
        UNROLL
        for (int i = 0; i < n_parts / 2; i++)
            rows[i] = columns_of_rows(w + k * 16 + i * 32);
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            const struct columns x = columns_of_token(values + (size_t)t * ldx + k);
            UNROLL
            for (int i = 0; i < n_parts / 2; i++)
                add_products(acc + t * n_parts + 2 * i, rows[i], x);
        }
    }
}

#include "body.h"

#else

const struct ink_kernels ink_kernels_level_neon = {.name = NULL};

#endif
