#include "pack.h"

#include "quant.h"

#include <math.h>
#include <string.h>

enum { group_rows = INK_Q8_GROUP, block_values = INK_Q8_BLOCK };

static uint16_t read_u16(const unsigned char *x)
{
    return (uint16_t)(x[0] | x[1] << 8);
}

void ink_pack_q8_0(const struct ink_kernels *kernels, void *group, const void *rows,
                   size_t row_bytes, int n_rows, int cols)
{
    /* adds 128 to each byte, or nothing */
    const uint32_t offset = (uint32_t)kernels->q8_offset * 0x01010101u;
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
                four ^= offset;
                memcpy(out, &four, sizeof four);
            }
        }
    }
}

void ink_unpack_q8_row(const struct ink_kernels *kernels, float *y, const void *group, int row,
                       int cols)
{
    int n_blocks = cols / block_values;
    const unsigned char *scales = group, *values = scales + (size_t)n_blocks * group_rows * 2;
    for (int i = 0; i < cols; i++) {
        int b = i / block_values, k = i % block_values / 4;
        const unsigned char *scale = scales + 2 * (b * group_rows + row);
        const unsigned char *four =
            values + ((size_t)b * block_values + (size_t)(4 * k)) * group_rows;
        y[i] = ink_f32_from_f16(read_u16(scale)) *
               (float)(signed char)(four[4 * row + i % 4] ^ kernels->q8_offset);
    }
}

/* |w| of each row, and of its lower bits l, from sums of squares in units of the scales.
 * screen_q8's sums may be off by 8 units in each block, whose |a| is at least 127 d: as if l's were
 * longer. */
static void row_lengths(const struct ink_kernels *kernels, double *l, const int32_t *left,
                        double *w, const int32_t *all, const unsigned char *scales, int n_blocks)
{
    for (int r = 0; r < group_rows; r++) {
        l[r] = w[r] = 0;
    }
    for (int b = 0; b < n_blocks; b++, left += group_rows, all += group_rows) {
        float scale[group_rows];
        kernels->f32_from_f16(scale, scales + (size_t)(2 * group_rows) * (size_t)b, group_rows);
        for (int r = 0; r < group_rows; r++) {
            double square = (double)scale[r] * (double)scale[r];
            double rest = sqrt(left[r]) / 2 + 8.0 / 127;
            l[r] += rest * rest * square;
            w[r] += all[r] * square;
        }
    }
    for (int r = 0; r < group_rows; r++) {
        l[r] = sqrt(l[r]);
        w[r] = sqrt(w[r]);
    }
}

void ink_split_q8(const struct ink_kernels *kernels, void *planes, float *rest, int32_t *scratch,
                  const void *group, int cols)
{
    int n_blocks = cols / block_values;
    int32_t *left = scratch, *all = scratch + (size_t)n_blocks * group_rows;
    double l[group_rows], w[group_rows];
    kernels->split_q8(planes, left, all, group, cols);
    row_lengths(kernels, l, left, w, all, group, n_blocks);
    /* Rounding: n_blocks + 1 times 2^-24 of the sum of all terms, which is at most |w| |a|, in
     * either product; twice that, because |upper plane| is at most |w| + |rest|. */
    double rounding = 4.0 * (n_blocks + 2) * 0x1p-24;
    for (int r = 0; r < group_rows; r++) {
        rest[r] = (float)((l[r] + rounding * (l[r] + w[r])) * (1 + 1e-6));
    }
}
