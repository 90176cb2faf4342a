/* Q8_0 weights rearranged for the int8 kernels: packed groups of 16 rows, and groups in two planes.
 * kernels.h has the layouts. */
#ifndef INK_PACK_H
#define INK_PACK_H

#include "common.h"
#include "kernels.h"

/* INK_Q8_GROUP rows of Q8_0 blocks, `row_bytes` apart, to one packed group of
 * ink_q8_group_bytes(cols) (kernels.h): for each block the 16 rows' f16 scales; then for each
 * block, for each 4 columns, the rows' 4 bytes one after the other, as value + q8_offset. Rows from
 * n_rows on are zeros. */
void ink_pack_q8_0(const struct ink_kernels *kernels, void *group, const void *rows,
                   size_t row_bytes, int n_rows, int cols);

/* A packed group as two planes (kernels.h), and for each of its rows the length of what the upper
 * plane leaves out: with a row of int8 activations a, products of the whole row and of the upper
 * plane with a, as matmul_q8 and screen_q8 compute them, differ by at most rest[r] * |a|.
 * scratch: 2 * INK_Q8_GROUP * cols / INK_Q8_BLOCK values. */
void ink_split_q8(const struct ink_kernels *kernels, void *planes, float *rest, int32_t *scratch,
                  const void *group, int cols);

/* One row of a packed group as floats: y[cols], as ink_dequantize gives them. */
void ink_unpack_q8_row(const struct ink_kernels *kernels, float *y, const void *group, int row,
                       int cols);

#endif
