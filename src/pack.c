#include "pack.h"

#include "kernels.h"
#include "quant.h"

#include <math.h>
#include <string.h>

enum { group_rows = INK_Q8_GROUP, block_values = INK_Q8_BLOCK };

static uint16_t read_u16(const unsigned char *x)
{
    return (uint16_t)(x[0] | x[1] << 8);
}

void ink_pack_q8_0(void *group, const void *rows, size_t row_bytes, int n_rows, int cols)
{
    int n_blocks = cols / block_values;
    unsigned char *scales = group, *values = scales + (size_t)n_blocks * group_rows * 2;
    for (int r = 0; r < group_rows; r++) {
        const unsigned char *block = (const unsigned char *)rows + row_bytes * (size_t)r;
        for (int b = 0; b < n_blocks; b++, block += 2 + block_values) {
            unsigned char *scale = scales + 2 * (b * group_rows + r);
            unsigned char *out = values + ((size_t)b * group_rows * block_values + (size_t)(4 * r));
            scale[0] = r < n_rows ? block[0] : 0;
            scale[1] = r < n_rows ? block[1] : 0;
            for (int k = 0; k < block_values / 4; k++, out += (size_t)4 * group_rows) {
                uint32_t four = 0;
                if (r < n_rows) {
                    memcpy(&four, block + 2 + (size_t)(4 * k), sizeof four);
                }
                four ^= 0x80808080u;
                memcpy(out, &four, sizeof four);
            }
        }
    }
}

void ink_unpack_q8_row(float *y, const void *group, int row, int cols)
{
    int n_blocks = cols / block_values;
    const unsigned char *scales = group, *values = scales + (size_t)n_blocks * group_rows * 2;
    for (int i = 0; i < cols; i++) {
        int b = i / block_values, k = i % block_values / 4;
        const unsigned char *scale = scales + 2 * (b * group_rows + row);
        const unsigned char *four =
            values + ((size_t)b * block_values + (size_t)(4 * k)) * group_rows;
        y[i] = ink_f32_from_f16(read_u16(scale)) * (float)((int)four[4 * row + i % 4] - 128);
    }
}

/* Loops over the 64 bytes of a step have no branches, and become vector instructions. */
enum { step_bytes = 4 * group_rows, block_steps = block_values / 4 };

static void split_block(unsigned char *restrict high, unsigned char *restrict low,
                        const unsigned char *restrict block)
{
    memset(high, 0, INK_Q8_HIGH);
    memset(low, 0, INK_Q8_LOW);
    for (int k = 0; k < block_steps; k++) {
        const unsigned char *step = block + (size_t)(k * step_bytes);
        unsigned char *nibbles = high + (size_t)(k / 2 * step_bytes);
        unsigned char *pairs = low + (size_t)(k / 4 * step_bytes);
        unsigned char *bit3 = high + (size_t)(4 * step_bytes),
                      *bit0 = low + (size_t)(2 * step_bytes);
        int down = k % 2 ? 4 : 0, pair = k % 4 * 2;
        for (int i = 0; i < step_bytes; i++) {
            unsigned byte = step[i];
            nibbles[i] |= (unsigned char)((byte & 0xf0u) >> down);
            bit3[i] |= (unsigned char)((byte >> 3 & 1u) << k);
            pairs[i] |= (unsigned char)((byte >> 1 & 3u) << pair);
            bit0[i] |= (unsigned char)((byte & 1u) << k);
        }
    }
}

/* Squares of what is left out of each row's block, and of the block, in units of its scale. */
static void add_squares(const unsigned char *restrict block, const unsigned char *scales,
                        double *left, double *all)
{
    int left_units[step_bytes] = {0}, all_units[step_bytes] = {0};
    for (int k = 0; k < block_steps; k++) {
        for (int i = 0; i < step_bytes; i++) {
            int byte = block[k * step_bytes + i], rest = (byte & 7) - 4;
            left_units[i] += rest * rest;
            all_units[i] += (byte - 128) * (byte - 128);
        }
    }
    for (int r = 0; r < group_rows; r++) {
        double scale = (double)ink_f32_from_f16(read_u16(scales + 2 * r)), square = scale * scale;
        const int *l = left_units + 4 * r, *a = all_units + 4 * r;
        left[r] += (l[0] + l[1] + l[2] + l[3]) * square;
        all[r] += (a[0] + a[1] + a[2] + a[3]) * square;
    }
}

void ink_split_q8(void *planes, float *rest, const void *group, int cols)
{
    int n_blocks = cols / block_values;
    const unsigned char *scales = group, *values = scales + (size_t)n_blocks * group_rows * 2;
    unsigned char *high = (unsigned char *)planes + (size_t)n_blocks * group_rows * 2;
    unsigned char *low = high + (size_t)n_blocks * INK_Q8_HIGH;
    double left[16] = {0}, all[16] = {0};
    memcpy(planes, scales, (size_t)n_blocks * group_rows * 2);
    for (int b = 0; b < n_blocks; b++) {
        const unsigned char *block = values + (size_t)b * group_rows * block_values;
        split_block(high + (size_t)b * INK_Q8_HIGH, low + (size_t)b * INK_Q8_LOW, block);
        add_squares(block, scales + (size_t)(2 * b * group_rows), left, all);
    }
    /* Rounding: n_blocks + 1 times 2^-24 of the sum of all terms, which is at most |w| |a|, in
     * either product; twice that, because |upper plane| is at most |w| + |rest|. */
    double rounding = 4.0 * (n_blocks + 2) * 0x1p-24;
    for (int r = 0; r < group_rows; r++) {
        double l = sqrt(left[r]), w = sqrt(all[r]);
        rest[r] = (float)((l + rounding * (l + w)) * (1 + 1e-6));
    }
}
