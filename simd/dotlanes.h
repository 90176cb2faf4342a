/* The int8 products of the levels whose dot product takes four columns of one token from a lane:
 * Q8_BLOCK_DOTS of int8.h, with one load of activations for 16 columns. The level has defined
 *
 *   Q8_OFFSET
 *   vw, vw_load(p)             4 columns of 4 packed rows
 *   vi_dot_lane(acc, vw, int8x16_t, lane)   acc + the products with that lane; lane is a constant
 */
#ifndef INK_DOTLANES_H
#define INK_DOTLANES_H

#define Q8_BLOCK_DOTS lane_products

INLINE void lane_products(vi *acc, const unsigned char *values, size_t ldx, const int32_t *starts,
                          const unsigned char *w, size_t group_bytes, int n_parts, int n_tokens)
{
    (void)group_bytes; /* one group */
    UNROLL
    for (int i = 0; i < n_tokens * n_parts; i++) {
        int32_t start = 0;
        if (Q8_OFFSET)
            memcpy(&start, (const unsigned char *)starts + (size_t)(i / n_parts) * ldx, 4);
        acc[i] = vi_set1(start);
    }
    int8x16_t x[Q8_TOKENS];
    UNROLL
    for (int k = 0; k < INK_Q8_BLOCK / 4; k++) {
        vw rows[V_PARTS];
        FENCE_LOADS;
        UNROLL
        for (int i = 0; i < n_parts; i++)
            rows[i] = vw_load(w + k * 64 + i * 16);
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            if (k % 4 == 0)
                x[t] = vld1q_s8((const void *)(values + (size_t)t * ldx + k * 4));
            UNROLL
            for (int i = 0; i < n_parts; i++)
                acc[t * n_parts + i] = vi_dot_lane(acc[t * n_parts + i], rows[i], x[t], k % 4);
        }
    }
}

#endif
