/* The int8 kernels of kernels.h: quantise activations, and products with Q8_0 weights packed 16
 * rows side by side, so that a lane owns a row and no sum crosses lanes. Included by body.h.
 *
 * The level has defined, beside what lanes.h needs:
 *
 *   vi                        L int32; vi_set1(i), vi_max(a, b), vi_add(a, b)
 *   vi_abs_bits(vp)           the bits of |a|, which as integers order like |a|, NaN above all
 *   vi_round(vp)              to nearest even; |a| <= 127.5
 *   vp_from_vi(a)             exact for |a| < 2^24
 *   vi_sum(v16i), vi_most(v16i)   over all 16 lanes
 *   vw, vw_load(p)            4 columns of L packed rows, 4 L bytes
 *   vx, vx_load(p)            4 quantised activations, 4 Q8_VALUE_BYTES bytes, for all lanes
 *   vi_dot(acc, vw, vx)       acc + the products' sum in each lane, exact; the weights are too
 *                             great by Q8_OFFSET
 *   Q8_OFFSET                 what packed bytes exceed their weights by: 128, for products with
 *                             bytes that have no sign, or 0
 *   q8_store(p, v16i)         16 activations in the order that vx_load wants
 *   Q8_TOKENS, Q8_GROUPS      a tile's accumulators, tokens by 16-row groups
 *
 * and may define, as macros,
 *
 *   Q8_PARTS                  vp of rows in a tile of two and more tokens, a divisor of V_PARTS,
 *                             where whole groups would not fit the registers
 *   Q8_FETCH                  bytes of weights to ask for ahead where they are read once, 2048 if
 *                             not said; more (as measured) without a dot product of bytes, where
 *                             the processor itself looks less far ahead
 *   Q8_ONE_PASS               up to so many tokens, 8 at most, go through the weights together,
 *                             each block in strips of Q8_TOKENS or less, where memory gives more
 *                             when it is read from end to end; Q8_TOKENS if not said
 *   Q8_BLOCK_DOTS             its own q8_block_dots; then vw, vx, vi_dot are not needed
 *   Q8_TILE, Q8_TILE_UNIT     its own q8_tile for two and more tokens, and the number of tokens
 *                             that one of more would cost as much as
 *   Q8_START                  what a block's accumulators start with: q8_start(v16i), of the sums
 *                             of columns i and i + 16; -Q8_OFFSET times all of them if not said
 *   Q8_UPPER_DOTS             products with the upper plane as it lies, where that is less work
 *                             than with bytes made of it: upper_dots(acc, values, ldx, starts,
 *                             high, part, n_tokens): acc[t] = the integer products of a block's
 *                             values and the rows of vp `part` of `high`, its upper plane
 *   Q8_LOWER_TWICE            what it takes the lower three bits for, doubled; 8 if not said */

#ifndef Q8_PARTS
#define Q8_PARTS (Q8_GROUPS * V_PARTS)
#endif
#ifndef Q8_ONE_PASS
#define Q8_ONE_PASS Q8_TOKENS
#endif
#ifndef Q8_FETCH
#define Q8_FETCH 2048
#endif
#ifndef Q8_TILE
#define Q8_TILE q8_tile
#define Q8_TILE_UNIT 1
#endif
#ifndef Q8_LOWER_TWICE
#define Q8_LOWER_TWICE 8
#endif
#ifndef Q8_START
#define Q8_START(sums) (-Q8_OFFSET * vi_sum(sums))
#endif

enum { Q8_BLOCK = INK_Q8_BLOCK, MAX_Q8_TOKENS = 8, MAX_Q8_PARTS = 2 * V_PARTS };

/* A quantised row: values, then the scale of each block, then what each block's accumulators start
 * with. */
struct q8_row {
    const unsigned char *values;
    const float *scales;
    const int32_t *starts;
};

INLINE struct q8_row q8_row_at(const unsigned char *row, int cols)
{
    struct q8_row r = {.values = row};
    r.scales = (const float *)(const void *)(row + (size_t)cols * Q8_VALUE_BYTES);
    r.starts = (const int32_t *)(const void *)(r.scales + cols / Q8_BLOCK);
    return r;
}

/* Q8_BLOCK values -> q; returns the scale, and what accumulators start with. */
INLINE float quantize_block(unsigned char *q, int32_t *start, const float *x)
{
    const v16 a = v_load(x), b = v_load(x + 16);
    v16i most;
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        most.p[p] = vi_max(vi_abs_bits(a.p[p]), vi_abs_bits(b.p[p]));
    const int32_t bits = vi_most(most);
    float largest;
    memcpy(&largest, &bits, sizeof largest);
    /* Below 2^-100 all is 0; infinity and NaN make the scale NaN, and with it every product. */
    const int usable = bits >= 0x0d800000 && bits < 0x7f800000;
    const v16 inverse = v_set1(usable ? 127.0f / largest : 0.0f);
    v16i qa, qb, both;
    UNROLL
    for (int p = 0; p < V_PARTS; p++) {
        qa.p[p] = usable ? vi_round(vp_mul(a.p[p], inverse.p[p])) : vi_set1(0);
        qb.p[p] = usable ? vi_round(vp_mul(b.p[p], inverse.p[p])) : vi_set1(0);
        both.p[p] = vi_add(qa.p[p], qb.p[p]);
    }
    q8_store(q, qa);
    q8_store(q + 16 * Q8_VALUE_BYTES, qb);
    *start = Q8_START(both);
    return usable ? largest * (1.0f / 127.0f) : bits < 0x7f800000 ? 0.0f : NAN;
}

static void quantize_q8(void *out, const float *x, int cols, int begin, int end)
{
    unsigned char *q = out;
    float *scales = (float *)(void *)(q + (size_t)cols * Q8_VALUE_BYTES);
    int32_t *starts = (int32_t *)(void *)(scales + cols / Q8_BLOCK);
    for (int b = begin / Q8_BLOCK; b < end / Q8_BLOCK; b++) {
        scales[b] = quantize_block(q + (size_t)b * Q8_BLOCK * Q8_VALUE_BYTES, &starts[b],
                                   x + (size_t)b * Q8_BLOCK);
    }
}

/* A weight's magnitude a in steps of d, halves away from zero: the nearest even, and one more where
 * that was half a step less. What is no int8 is 0. */
INLINE v16 weight_steps(v16 x, v16 inverse)
{
    const v16 none = v_set1(0.0f), half = v_set1(0.5f);
    v16 a = v_mul(x, inverse), nearest;
    a = v_max(a, v_sub(none, a));
    a = v_select_le(a, v_set1(0x1.fdfffep6f), a, none); /* the last float below 127.5 */
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        nearest.p[p] = vp_from_vi(vi_round(a.p[p]));
    a = v_add(nearest, v_select_le(half, v_sub(a, nearest), v_set1(1.0f), none));
    return v_select_le(none, x, a, v_sub(none, a));
}

/* ggml's Q8_0 of 32 weights: d = max |x| / 127 as f16, bytes by the d before that rounding. */
static void round_q8_block(unsigned char *y, const float *x)
{
    const v16 none = v_set1(0.0f), a = v_load(x), b = v_load(x + 16);
    v16 most = v_max(v_max(a, v_sub(none, a)), none);
    most = v_max(v_max(b, v_sub(none, b)), most); /* a NaN leaves what was there */
    const float d = v_tree_max(most) / 127.0f;
    const v16 inverse = v_set1(d != 0.0f ? 1.0f / d : 0.0f);
    float steps[32];
    v_store(steps, weight_steps(a, inverse));
    v_store(steps + 16, weight_steps(b, inverse));
    uint16_t scale[16];
    v16 scales = v_set1(d);
    UNROLL
    for (int p = 0; p < V_PARTS; p++)
        vp_store_f16(scale + p * V_LANES, scales.p[p]);
    y[0] = (unsigned char)(scale[0] & 255);
    y[1] = (unsigned char)(scale[0] >> 8);
    for (int i = 0; i < 32; i++)
        y[2 + i] = (unsigned char)(signed char)(int)steps[i];
}

static void round_q8(void *out, const float *x, size_t n)
{
    unsigned char *y = out;
    for (size_t i = 0; i < n; i += Q8_BLOCK, y += 2 + Q8_BLOCK)
        round_q8_block(y, x + i);
}

#ifndef Q8_BLOCK_DOTS
#define Q8_BLOCK_DOTS q8_block_dots

/* acc[t * n_parts + i] = the integer products of a block's values and the i-th vp of rows. */
INLINE void q8_block_dots(vi *acc, const unsigned char *values, size_t ldx, const int32_t *starts,
                          const unsigned char *w, size_t group_bytes, int n_parts, int n_tokens)
{
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        int32_t start = 0;
        if (Q8_OFFSET)
            memcpy(&start, (const unsigned char *)starts + (size_t)t * ldx, sizeof start);
        UNROLL
        for (int i = 0; i < n_parts; i++)
            acc[t * n_parts + i] = vi_set1(start);
    }
    UNROLL
    for (int k = 0; k < Q8_BLOCK / 4; k++) {
        vw weights[MAX_Q8_PARTS];
        UNROLL
        for (int i = 0; i < n_parts; i++)
            weights[i] = vw_load(w + (size_t)(i / V_PARTS) * group_bytes +
                                 (size_t)(k * V_PARTS + i % V_PARTS) * V_LANES * 4);
        UNROLL
        for (int t = 0; t < n_tokens; t++) {
            const vx x = vx_load(values + (size_t)t * ldx + (size_t)k * 4 * Q8_VALUE_BYTES);
            UNROLL
            for (int i = 0; i < n_parts; i++)
                acc[t * n_parts + i] = vi_dot(acc[t * n_parts + i], weights[i], x);
        }
    }
}
#endif

INLINE void q8_fetch_next(const unsigned char *block, struct q8_ahead ahead, int n_groups,
                          size_t group_bytes)
{
    for (int g = 0; g < n_groups; g++)
        for (int line = ahead.from; line < ahead.to; line++)
            PREFETCH((uintptr_t)block + ahead.next + (size_t)g * group_bytes + (size_t)line * 64);
}

/* The scale of block b of the quantised row that begins `offset` bytes after `row`. */
INLINE vp q8_scale_at(struct q8_row row, size_t b, size_t offset)
{
    float scale;
    memcpy(&scale, (const unsigned char *)(row.scales + b) + offset, sizeof scale);
    return vp_set1(scale);
}

/* A block's products added to what those before it gave. */
INLINE vp q8_add_scaled(vp sum, vi products, vp dw, vp d)
{
    return vp_fma(vp_mul(vp_from_vi(products), dw), d, sum);
}

/* sum[t * n_parts + i] = fma of block b's products with the scales, for rows that begin `offset`
 * bytes after `row` and are ldx apart. */
INLINE void q8_add_block(vp *sum, struct q8_row row, size_t offset, size_t ldx, int b,
                         const unsigned char *block, const unsigned char *scales,
                         size_t group_bytes, int n_parts, int n_tokens)
{
    vi acc[MAX_Q8_TOKENS * MAX_Q8_PARTS];
    vp dw[MAX_Q8_PARTS];
    const unsigned char *starts = (const unsigned char *)(row.starts + b) + offset;
    Q8_BLOCK_DOTS(acc, row.values + offset + (size_t)b * Q8_BLOCK * Q8_VALUE_BYTES, ldx,
                  (const int32_t *)(const void *)starts, block, group_bytes, n_parts, n_tokens);
    UNROLL
    for (int i = 0; i < n_parts; i++)
        dw[i] = vp_load_f16(scales + (size_t)(i / V_PARTS) * group_bytes +
                            (size_t)(i % V_PARTS) * V_LANES * 2);
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        const vp d = q8_scale_at(row, (size_t)b, offset + (size_t)t * ldx);
        UNROLL
        for (int i = 0; i < n_parts; i++)
            sum[t * n_parts + i] =
                q8_add_scaled(sum[t * n_parts + i], acc[t * n_parts + i], dw[i], d);
    }
}

/* n_tokens x (n_parts V_LANES) results, from row `first` V_LANES of the group at w. */
INLINE void q8_tile(float *y, size_t ldy, const unsigned char *x, size_t ldx,
                    const unsigned char *w, int cols, struct q8_ahead ahead, int first, int n_parts,
                    int n_tokens)
{
    const size_t group_bytes = ink_q8_group_bytes(cols);
    const int n_groups = (n_parts + V_PARTS - 1) / V_PARTS, n_blocks = cols / Q8_BLOCK;
    const int n_strips = (n_tokens + Q8_TOKENS - 1) / Q8_TOKENS;
    const int strip = (n_tokens + n_strips - 1) / n_strips;
    const struct q8_row row = q8_row_at(x, cols);
    const unsigned char *data = w + (size_t)n_blocks * 32 + (size_t)first * V_LANES * 4;
    w += (size_t)first * V_LANES * 2;
    vp sum[MAX_Q8_TOKENS * MAX_Q8_PARTS];
    UNROLL
    for (int i = 0; i < n_tokens * n_parts; i++)
        sum[i] = vp_set1(0.0f);
    for (int b = 0; b < n_blocks; b++) {
        const unsigned char *block = data + (size_t)b * (16 * Q8_BLOCK);
        if (ahead.fetch) {
            /* past these groups' end the next ones' begin */
            const size_t over =
                b + (int)(ahead.fetch / 512) < n_blocks ? 0 : (size_t)(n_groups - 1);
            const unsigned char *there = block + ahead.fetch + over * group_bytes;
            UNROLL
            for (int i = 0; i < 8 * n_groups; i++)
                PREFETCH(there + (size_t)(i / 8) * group_bytes + (size_t)(i % 8 * 64));
        } else if (ahead.next) {
            q8_fetch_next(block, ahead, n_groups, group_bytes);
        }
        UNROLL
        for (int t = 0; t < n_tokens; t += strip) {
            if (t > 0)
                FENCE_LOADS; /* else weights stay on the stack for it */
            q8_add_block(sum + t * n_parts, row, (size_t)t * ldx, ldx, b, block, w + (size_t)b * 32,
                         group_bytes, n_parts, n_tokens - t < strip ? n_tokens - t : strip);
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int i = 0; i < n_parts; i++)
            vp_store(y + (size_t)t * ldy + (size_t)i * V_LANES, sum[t * n_parts + i]);
    }
}

/* All rows of n_groups groups; n_groups and n_tokens are constants where this is inlined. */
INLINE void q8_tiles(float *y, size_t ldy, const unsigned char *x, size_t ldx,
                     const unsigned char *w, int cols, struct q8_ahead ahead, int n_groups,
                     int n_tokens)
{
    const int all = n_groups * V_PARTS;
    if (n_tokens == 1)
        q8_tile(y, ldy, x, ldx, w, cols, ahead, 0, all, 1);
    else if (Q8_PARTS >= V_PARTS)
        Q8_TILE(y, ldy, x, ldx, w, cols, ahead, 0, all, n_tokens);
    else
        for (int i = 0; i < all; i += Q8_PARTS)
            Q8_TILE(y + i * V_LANES, ldy, x, ldx, w, cols, i ? (struct q8_ahead){0} : ahead, i,
                    Q8_PARTS, n_tokens);
}

/* 5 to Q8_ONE_PASS tokens; n_groups is a constant where this is inlined. */
INLINE void q8_more_tokens(float *y, size_t ldy, const unsigned char *x, size_t ldx, int n_tokens,
                           const unsigned char *w, int cols, struct q8_ahead ahead, int n_groups)
{
    switch (n_tokens) {
    case 5:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, Q8_ONE_PASS < 5 ? 1 : 5);
        break;
    case 6:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, Q8_ONE_PASS < 6 ? 1 : 6);
        break;
    case 7:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, Q8_ONE_PASS < 7 ? 1 : 7);
        break;
    default:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, Q8_ONE_PASS < 8 ? 1 : 8);
        break;
    }
}

/* More than Q8_TOKENS in one pass. Apart, so that other tiles have the registers for themselves. */
static OUTLINE void q8_strips(float *y, size_t ldy, const unsigned char *x, size_t ldx, int n,
                              const unsigned char *w, int cols, int n_groups, size_t next)
{
    const struct q8_ahead ahead = {.fetch = next ? 0 : Q8_FETCH, .next = next, .to = next ? 8 : 0};
    if (n_groups == 1)
        q8_more_tokens(y, ldy, x, ldx, n, w, cols, ahead, 1);
    else
        q8_more_tokens(y, ldy, x, ldx, n, w, cols, ahead, Q8_GROUPS);
}

/* n_tokens <= Q8_TOKENS tokens; n_groups is a constant where this is inlined. */
INLINE void q8_some_tokens(float *y, size_t ldy, const unsigned char *x, size_t ldx, int n_tokens,
                           const unsigned char *w, int cols, struct q8_ahead ahead, int n_groups)
{
    switch (n_tokens) {
    case 1:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, 1);
        break;
    case 2:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, 2);
        break;
    case 3:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, 3);
        break;
    case 4:
        q8_tiles(y, ldy, x, ldx, w, cols, ahead, n_groups, 4);
        break;
    default:
        if (Q8_TOKENS > 4)
            q8_more_tokens(y, ldy, x, ldx, n_tokens, w, cols, ahead, n_groups);
        break;
    }
}

/* All tokens against n_groups groups, which stay in the first-level cache meanwhile, while the next
 * ones come, which are at `next` or follow (NULL). */
INLINE void q8_groups(float *y, size_t ldy, const unsigned char *x, size_t ldx, int n,
                      const unsigned char *w, int cols, int n_groups, const unsigned char *next)
{
    const size_t distance = next ? (size_t)((uintptr_t)next - (uintptr_t)w)
                                 : (size_t)n_groups * ink_q8_group_bytes(cols);
    const int passes = (n + Q8_TOKENS - 1) / Q8_TOKENS;
    if (Q8_ONE_PASS > Q8_TOKENS && n > Q8_TOKENS && n <= Q8_ONE_PASS) {
        q8_strips(y, ldy, x, ldx, n, w, cols, n_groups, next ? distance : 0);
        return;
    }
    for (int t = 0, pass = 0; t < n; pass++) {
        const int tiles = (n - t + Q8_TOKENS - 1) / Q8_TOKENS;
        int n_tokens = (n - t + tiles - 1) / tiles;
        if (n_tokens < n - t)
            n_tokens += n_tokens % Q8_TILE_UNIT;
        const struct q8_ahead one = {.fetch = Q8_FETCH};
        const struct q8_ahead several = {
            .next = distance, .from = 8 * pass / passes, .to = 8 * (pass + 1) / passes};
        q8_some_tokens(y + (size_t)t * ldy, ldy, x + (size_t)t * ldx, ldx, n_tokens, w, cols,
                       passes == 1 && !next ? one : several, n_groups);
        t += n_tokens;
    }
}

static void matmul_q8(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *w,
                      int rows, int cols, const void *next)
{
    const size_t group_bytes = ink_q8_group_bytes(cols);
    const unsigned char *group = w;
    int r = 0;
    /* One token takes one group after the other: memory is read fastest from end to end. */
    for (; n > 1 && r + 16 * Q8_GROUPS <= rows;
         r += 16 * Q8_GROUPS, group += Q8_GROUPS * group_bytes)
        q8_groups(y + r, ldy, x, ldx, n, group, cols, Q8_GROUPS,
                  r + 16 * Q8_GROUPS < rows ? NULL : next);
    for (; r + 16 <= rows; r += 16, group += group_bytes)
        q8_groups(y + r, ldy, x, ldx, n, group, cols, 1, r + 16 < rows ? NULL : next);
    for (int t = 0; r < rows && t < n; t++) {
        float whole[16];
        q8_groups(whole, 16, (const unsigned char *)x + (size_t)t * ldx, ldx, 1, group, cols, 1,
                  next);
        memcpy(y + (size_t)t * ldy + r, whole, (size_t)(rows - r) * sizeof *y);
    }
}
