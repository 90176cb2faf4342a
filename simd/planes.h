/* Packed groups in two planes (kernels.h): split, joined, and multiplied by the upper one alone.
 * Included by body.h after int8.h, whose Q8_UPPER_DOTS and Q8_LOWER_TWICE it uses. */

/* The bytes of one step (4 columns of 16 rows) are split and joined as they lie, so this is the
 * same for every width of vector; the loops over them have no branches, and become vectors. */
enum { STEP_BYTES = 64, BLOCK_STEPS = Q8_BLOCK / 4 };

/* Planes hold weights + 128, packed bytes weights + Q8_OFFSET. */
static const uint64_t plane_sign = Q8_OFFSET ? 0 : 0x8080808080808080u;

/* Bits `from`... of each byte to `to`..., where `mask` has them; none else. Whole words are
 * shifted, which every vector unit can, and what crosses into the next byte is masked. */
INLINE uint64_t move_bits(uint64_t word, int from, int to, unsigned mask)
{
    return (from < to ? word << (to - from) : word >> (from - to)) & mask * 0x0101010101010101u;
}

INLINE uint64_t load_word(const unsigned char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

INLINE void store_word(unsigned char *p, uint64_t word)
{
    memcpy(p, &word, sizeof word);
}

/* A block's planes, as kernels.h has them, from its bytes. */
INLINE void split_block(unsigned char *restrict high, unsigned char *restrict low,
                        const unsigned char *restrict block)
{
    for (int i = 0; i < STEP_BYTES; i += 8) {
        uint64_t nibbles[BLOCK_STEPS / 2] = {0}, pairs[BLOCK_STEPS / 4] = {0}, bit3 = 0, bit0 = 0;
        UNROLL
        for (int k = 0; k < BLOCK_STEPS; k++) {
            const uint64_t word = load_word(block + STEP_BYTES * k + i) ^ plane_sign;
            nibbles[k / 2] |= move_bits(word, 4, k % 2 ? 0 : 4, k % 2 ? 0x0f : 0xf0);
            bit3 |= move_bits(word, 3, k, 1u << k);
            pairs[k / 4] |= move_bits(word, 1, k % 4 * 2, 3u << k % 4 * 2);
            bit0 |= move_bits(word, 0, k, 1u << k);
        }
        UNROLL
        for (int j = 0; j < BLOCK_STEPS / 2; j++)
            store_word(high + STEP_BYTES * j + i, nibbles[j]);
        UNROLL
        for (int j = 0; j < BLOCK_STEPS / 4; j++)
            store_word(low + STEP_BYTES * j + i, pairs[j]);
        store_word(high + STEP_BYTES * (BLOCK_STEPS / 2) + i, bit3);
        store_word(low + STEP_BYTES * (BLOCK_STEPS / 4) + i, bit0);
    }
}

INLINE void square_sums(int32_t *restrict left, int32_t *restrict all,
                        const unsigned char *restrict block)
{
    uint16_t rests[STEP_BYTES] = {0};
    int32_t wholes[STEP_BYTES] = {0};
    for (int k = 0; k < BLOCK_STEPS; k++) {
        for (int i = 0; i < STEP_BYTES; i++) {
            const int16_t byte = block[k * STEP_BYTES + i];
            const int16_t rest = (int16_t)(2 * (byte & 7) - Q8_LOWER_TWICE);
            const int16_t value = Q8_OFFSET ? (int16_t)(byte - 128) : (signed char)byte;
            rests[i] = (uint16_t)(rests[i] + rest * rest);
            wholes[i] += (int32_t)value * value;
        }
    }
    for (int r = 0; r < 16; r++) {
        left[r] = rests[4 * r] + rests[4 * r + 1] + rests[4 * r + 2] + rests[4 * r + 3];
        all[r] = wholes[4 * r] + wholes[4 * r + 1] + wholes[4 * r + 2] + wholes[4 * r + 3];
    }
}

static void split_q8(void *planes, int32_t *left, int32_t *all, const void *group, int cols)
{
    const size_t n_blocks = (size_t)(cols / Q8_BLOCK);
    const unsigned char *block = (const unsigned char *)group + n_blocks * 32;
    unsigned char *high = (unsigned char *)planes + n_blocks * 32;
    unsigned char *low = high + n_blocks * INK_Q8_HIGH;
    memcpy(planes, group, n_blocks * 32);
    for (size_t b = 0; b < n_blocks; b++, block += BLOCK_STEPS * STEP_BYTES) {
        split_block(high + b * INK_Q8_HIGH, low + b * INK_Q8_LOW, block);
        square_sums(left + 16 * b, all + 16 * b, block);
    }
}

INLINE void join_block(unsigned char *restrict out, const unsigned char *restrict high,
                       const unsigned char *restrict low, int whole)
{
    for (int i = 0; i < STEP_BYTES; i += 8) {
        const uint64_t bit3 = load_word(high + STEP_BYTES * (BLOCK_STEPS / 2) + i);
        const uint64_t bit0 = load_word(low + STEP_BYTES * (BLOCK_STEPS / 4) + i);
        UNROLL
        for (int k = 0; k < BLOCK_STEPS; k++) {
            const uint64_t nibbles = load_word(high + STEP_BYTES * (k / 2) + i);
            const uint64_t pairs = load_word(low + STEP_BYTES * (k / 4) + i);
            const uint64_t rest = whole
                                      ? move_bits(pairs, k % 4 * 2, 1, 6) | move_bits(bit0, k, 0, 1)
                                      : 4 * 0x0101010101010101u;
            const uint64_t upper =
                move_bits(nibbles, k % 2 ? 0 : 4, 4, 0xf0) | move_bits(bit3, k, 3, 8);
            store_word(out + STEP_BYTES * k + i, (upper | rest) ^ plane_sign);
        }
    }
}

/* The next group follows this one: what will be read of its upper plane at block b. */
INLINE void fetch_upper(const unsigned char *planes, size_t n_blocks, size_t b)
{
    const unsigned char *next = planes + n_blocks * 16 * (2 + Q8_BLOCK);
    PREFETCH(next + b * 32);
    UNROLL
    for (int i = 0; i < INK_Q8_HIGH; i += 64)
        PREFETCH(next + n_blocks * 32 + b * INK_Q8_HIGH + i);
}

/* `whole` is a constant where this is inlined. */
INLINE void join_group(unsigned char *group, const unsigned char *planes, size_t n_blocks,
                       int whole)
{
    const unsigned char *high = planes + n_blocks * 32, *low = high + n_blocks * INK_Q8_HIGH;
    memcpy(group, planes, n_blocks * 32);
    for (size_t b = 0; b < n_blocks; b++) {
        if (!whole)
            fetch_upper(planes, n_blocks, b);
        join_block(group + n_blocks * 32 + b * 512, high + b * INK_Q8_HIGH, low + b * INK_Q8_LOW,
                   whole);
    }
}

static void join_q8(void *group, const void *planes, int cols)
{
    join_group(group, planes, (size_t)(cols / Q8_BLOCK), 1);
}

#ifdef Q8_UPPER_DOTS
/* n_tokens x 16 results; n_tokens is a constant where this is inlined. */
INLINE void screen_tile(float *y, size_t ldy, const unsigned char *x, size_t ldx,
                        const unsigned char *planes, int cols, int n_tokens)
{
    const size_t n_blocks = (size_t)(cols / Q8_BLOCK);
    const struct q8_row row = q8_row_at(x, cols);
    const unsigned char *high = planes + n_blocks * 32;
    vp sum[MAX_Q8_TOKENS * V_PARTS];
    UNROLL
    for (int i = 0; i < n_tokens * V_PARTS; i++)
        sum[i] = vp_set1(0.0f);
    for (size_t b = 0; b < n_blocks; b++) {
        fetch_upper(planes, n_blocks, b);
        for (int p = 0; p < V_PARTS; p++) {
            vi acc[MAX_Q8_TOKENS];
            Q8_UPPER_DOTS(acc, row.values + b * Q8_BLOCK * Q8_VALUE_BYTES, ldx, row.starts + b,
                          high + b * INK_Q8_HIGH, p, n_tokens);
            const vp scales = vp_load_f16(planes + b * 32 + (size_t)p * V_LANES * 2);
            UNROLL
            for (int t = 0; t < n_tokens; t++)
                sum[t * V_PARTS + p] = q8_add_scaled(sum[t * V_PARTS + p], acc[t], scales,
                                                     q8_scale_at(row, b, (size_t)t * ldx));
        }
    }
    UNROLL
    for (int t = 0; t < n_tokens; t++) {
        UNROLL
        for (int p = 0; p < V_PARTS; p++)
            vp_store(y + (size_t)t * ldy + (size_t)p * V_LANES, sum[t * V_PARTS + p]);
    }
}

INLINE void screen_some_tokens(float *y, size_t ldy, const unsigned char *x, size_t ldx, int n,
                               const unsigned char *planes, int cols)
{
    switch (n) {
    case 1:
        screen_tile(y, ldy, x, ldx, planes, cols, 1);
        break;
    case 2:
        screen_tile(y, ldy, x, ldx, planes, cols, 2);
        break;
    case 3:
        screen_tile(y, ldy, x, ldx, planes, cols, 3);
        break;
    case 4:
        screen_tile(y, ldy, x, ldx, planes, cols, 4);
        break;
    case 5:
        screen_tile(y, ldy, x, ldx, planes, cols, 5);
        break;
    case 6:
        screen_tile(y, ldy, x, ldx, planes, cols, 6);
        break;
    case 7:
        screen_tile(y, ldy, x, ldx, planes, cols, 7);
        break;
    default:
        screen_tile(y, ldy, x, ldx, planes, cols, 8);
        break;
    }
}

static void screen_q8(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *planes,
                      int cols, void *scratch)
{
    (void)scratch;
    for (int t = 0; t < n; t += 8)
        screen_some_tokens(y + (size_t)t * ldy, ldy, (const unsigned char *)x + (size_t)t * ldx,
                           ldx, n - t < 8 ? n - t : 8, planes, cols);
}
#else
static void screen_q8(float *y, size_t ldy, const void *x, size_t ldx, int n, const void *planes,
                      int cols, void *scratch)
{
    join_group(scratch, planes, (size_t)(cols / Q8_BLOCK), 0);
    matmul_q8(y, ldy, x, ldx, n, scratch, INK_Q8_GROUP, cols, scratch);
}
#endif
