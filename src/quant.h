/* Block-quantised types of GGUF: widening to float, and rounding to Q8_0.
 * Layouts: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and its block definitions. */
#ifndef INK_QUANT_H
#define INK_QUANT_H

#include "tensor.h"

/* Scalar conversions; exact widening, round-to-nearest-even narrowing (NaN stays NaN). */
float ink_f32_from_f16(uint16_t h);
float ink_f32_from_bf16(uint16_t b);
uint16_t ink_f16_from_f32(float f);
uint16_t ink_bf16_from_f32(float f);

/* y[n] = the n values that `x`, of any enum ink_type and any alignment, stands for. n is a multiple
 * of the type's block_values. Each value is computed as ggml's reference does, in float32. */
void ink_dequantize(float *y, const void *x, enum ink_type type, uint64_t n);
/* The same, by the kernels where they have one for the type. */
struct ink_kernels;
void ink_widen(const struct ink_kernels *kernels, float *y, const void *x, enum ink_type type,
               size_t n);

/* n values, a multiple of 32, to Q8_0 blocks (2 + 32 bytes each): d = max|x| / 127 stored as f16,
 * q = round-half-away-from-zero(x * (1 / d)) with the float32 d, as ggml's reference does. Where
 * that is not within -127..127 (x holds NaN or infinity, or 1 / d overflows), q is 0. */
void ink_quantize_q8_0(void *y, const float *x, uint64_t n);

/* x[n] as F32, F16, BF16 or Q8_0 (n is then a multiple of 32), as they lie in files: little-endian.
 * y has any alignment. Returns the number of bytes. */
size_t ink_narrow(void *y, const float *x, enum ink_type type, uint64_t n);

#endif
