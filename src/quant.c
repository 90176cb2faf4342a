#include "quant.h"

#include "kernels.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------ scalars */

static float float_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of_float(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

/* The exponent's bias changes by a multiplication, which is exact and normalises subnormals; what
 * was infinity or NaN gets its exponent back. Without branches, so that loops vectorise. */
static inline float widen_f16(uint32_t h)
{
    float magnitude = float_of_bits((h & 0x7FFF) << 13) * 0x1p112f;
    uint32_t special = (h & 0x7C00) == 0x7C00 ? 0x7F800000 : 0;
    return float_of_bits(bits_of_float(magnitude) | special | (h & 0x8000) << 16);
}

float ink_f32_from_f16(uint16_t h)
{
    return widen_f16(h);
}

float ink_f32_from_bf16(uint16_t b)
{
    return float_of_bits((uint32_t)b << 16);
}

/* bits >> shift, rounded to nearest, ties to even. 1 <= shift <= 31. */
static uint32_t shift_right_rounded(uint32_t bits, int shift)
{
    uint32_t half = 1u << (shift - 1);
    return (bits + (half - 1) + (bits >> shift & 1)) >> shift;
}

uint16_t ink_f16_from_f32(float f)
{
    uint32_t bits = bits_of_float(f);
    uint32_t sign = bits >> 16 & 0x8000;
    uint32_t magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) { /* NaN: quiet, with what fits of its payload */
        return (uint16_t)(sign | 0x7E00 | (magnitude >> 13 & 0x3FF));
    }
    if (magnitude >= 0x477FF000) { /* 65520 and up round to infinity */
        return (uint16_t)(sign | 0x7C00);
    }
    if (magnitude >= 0x38800000) { /* normal: 2^-14 and up; a carry moves into the exponent */
        return (uint16_t)(sign | (shift_right_rounded(magnitude, 13) - (112u << 10)));
    }
    if (magnitude < 0x33000000) { /* below half of the smallest subnormal */
        return (uint16_t)sign;
    }
    uint32_t fraction = (magnitude & 0x7FFFFF) | 0x800000;
    return (uint16_t)(sign | shift_right_rounded(fraction, 126 - (int)(magnitude >> 23)));
}

uint16_t ink_bf16_from_f32(float f)
{
    uint32_t bits = bits_of_float(f);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

/* ------------------------------------------------------------------------------------- blocks */

/* Each function widens one block at x into y. */

static float read_f16(const unsigned char *x)
{
    return widen_f16(ink_read_u16(x));
}

/* f16 d, int8 q[32] */
static void widen_q8_0(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    for (int i = 0; i < 32; i++) {
        y[i] = (float)(signed char)x[2 + i] * d;
    }
}

/* f16 d, 16 bytes: low nibbles are elements 0..15, high nibbles 16..31 */
static void widen_q4_0(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)((x[2 + i] & 15) - 8) * d;
        y[i + 16] = (float)((x[2 + i] >> 4) - 8) * d;
    }
}

/* f16 d, f16 m, nibbles as in q4_0 */
static void widen_q4_1(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    float m = read_f16(x + 2);
    for (int i = 0; i < 16; i++) {
        y[i] = (float)(x[4 + i] & 15) * d + m;
        y[i + 16] = (float)(x[4 + i] >> 4) * d + m;
    }
}

/* f16 d, u32 of fifth bits (bit i is element i), nibbles as in q4_0 */
static void widen_q5_0(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    uint32_t high = ink_read_u32(x + 2);
    for (int i = 0; i < 16; i++) {
        int first = (x[6 + i] & 15) | (int)(high >> i & 1) << 4;
        int second = x[6 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        y[i] = (float)(first - 16) * d;
        y[i + 16] = (float)(second - 16) * d;
    }
}

static void widen_q5_1(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    float m = read_f16(x + 2);
    uint32_t high = ink_read_u32(x + 4);
    for (int i = 0; i < 16; i++) {
        int first = (x[8 + i] & 15) | (int)(high >> i & 1) << 4;
        int second = x[8 + i] >> 4 | (int)(high >> (i + 16) & 1) << 4;
        y[i] = (float)first * d + m;
        y[i + 16] = (float)second * d + m;
    }
}

/* The 12 bytes hold eight 6-bit scales and eight 6-bit minima: 0..3 in the low six bits of bytes
 * 0..3 and 4..7; of 4..7 the low four bits in bytes 8..11, the high two on top of bytes 0..7. */
static void unpack_scale_min(int *scale, int *min, const unsigned char *packed, int i)
{
    if (i < 4) {
        *scale = packed[i] & 63;
        *min = packed[i + 4] & 63;
    } else {
        *scale = (packed[i + 4] & 15) | packed[i - 4] >> 6 << 4;
        *min = packed[i + 4] >> 4 | packed[i] >> 6 << 4;
    }
}

/* f16 d, f16 dmin, 12 bytes of scales, 128 bytes: each 32 bytes hold 32 + 32 elements */
static void widen_q4_k(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    float dmin = read_f16(x + 2);
    for (int i = 0; i < 8; i++) { /* 32 elements each */
        const unsigned char *q = x + 16 + i / 2 * 32;
        int scale, min, shift = i % 2 * 4;
        unpack_scale_min(&scale, &min, x + 4, i);
        float a = d * (float)scale;
        float b = dmin * (float)min;
        for (int j = 0; j < 32; j++) {
            y[32 * i + j] = a * (float)(q[j] >> shift & 15) - b;
        }
    }
}

/* as q4_k, with 32 bytes of fifth bits before the nibbles: bit i of byte j is element 32 i + j */
static void widen_q5_k(float *y, const unsigned char *x)
{
    float d = read_f16(x);
    float dmin = read_f16(x + 2);
    const unsigned char *high = x + 16;
    for (int i = 0; i < 8; i++) {
        const unsigned char *q = x + 48 + i / 2 * 32;
        int scale, min, shift = i % 2 * 4;
        unpack_scale_min(&scale, &min, x + 4, i);
        float a = d * (float)scale;
        float b = dmin * (float)min;
        for (int j = 0; j < 32; j++) {
            int value = (q[j] >> shift & 15) | (high[j] >> i & 1) << 4;
            y[32 * i + j] = a * (float)value - b;
        }
    }
}

/* 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, f16 d. Each half of 128 elements
 * is four runs of 32: run k takes nibble k / 2 of low bytes 32 (k % 2).., pair k of the high. */
static void widen_q6_k(float *y, const unsigned char *x)
{
    float d = read_f16(x + 208);
    for (int i = 0; i < 8; i++) {
        int half = i / 4, run = i % 4;
        const unsigned char *low = x + 64 * half + 32 * (run % 2);
        const unsigned char *high = x + 128 + 32 * half;
        for (int j = 0; j < 32; j++) {
            int q = (low[j] >> (run / 2 * 4) & 15) | (high[j] >> (2 * run) & 3) << 4;
            float scale = d * (float)(signed char)x[192 + 2 * i + j / 16];
            y[32 * i + j] = scale * (float)(q - 32);
        }
    }
}

typedef void widen_function(float *y, const unsigned char *x);

static widen_function *const widen[INK_TYPE_COUNT] = {
    [INK_TYPE_Q8_0] = widen_q8_0, [INK_TYPE_Q4_0] = widen_q4_0, [INK_TYPE_Q4_1] = widen_q4_1,
    [INK_TYPE_Q5_0] = widen_q5_0, [INK_TYPE_Q5_1] = widen_q5_1, [INK_TYPE_Q4_K] = widen_q4_k,
    [INK_TYPE_Q5_K] = widen_q5_k, [INK_TYPE_Q6_K] = widen_q6_k,
};

/* Not ink_read_u16: a call for each element would keep the compiler from vectorising. */
static uint32_t inline_u16(const unsigned char *x)
{
    return x[0] | (uint32_t)x[1] << 8;
}

static void widen_scalars(float *y, const unsigned char *x, enum ink_type type, uint64_t n)
{
    if (type == INK_TYPE_F32) {
        for (uint64_t i = 0; i < n; i++) {
            y[i] = float_of_bits(inline_u16(x + 4 * i) | inline_u16(x + 4 * i + 2) << 16);
        }
    } else if (type == INK_TYPE_BF16) {
        for (uint64_t i = 0; i < n; i++) {
            y[i] = float_of_bits(inline_u16(x + 2 * i) << 16);
        }
    } else {
        for (uint64_t i = 0; i < n; i++) {
            y[i] = widen_f16(inline_u16(x + 2 * i));
        }
    }
}

void ink_dequantize(float *y, const void *x, enum ink_type type, uint64_t n)
{
    const struct ink_type_facts *facts = ink_type_facts(type);
    const unsigned char *block = x;
    if (facts->block_values == 1) {
        widen_scalars(y, block, type, n);
        return;
    }
    for (uint64_t i = 0; i < n; i += (uint64_t)facts->block_values) {
        widen[type](y + i, block);
        block += facts->block_bytes;
    }
}

/* --------------------------------------------------------------------------------- to q8_0 */

/* x * inverse, rounded half away from zero. 1 / d overflows for a subnormal d, whose f16 is 0
 * anyway; with NaN or infinity in x nothing sensible can be stored. Either way the product may be
 * no int8: then 0. */
static signed char quantize_value(float x, float inverse)
{
    float a = fabsf(x * inverse);
    float bounded = a < 127.5f ? a : 0;
    int q = (int)bounded;
    q += bounded - (float)q >= 0.5f;
    return (signed char)(x < 0 ? -q : q);
}

static void quantize_block_q8_0(unsigned char *y, const float *x)
{
    float largest = 0;
    for (int i = 0; i < 32; i++) {
        largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    }
    float d = largest / 127;
    float inverse = d != 0 ? 1 / d : 0;
    uint16_t h = ink_f16_from_f32(d);
    y[0] = (unsigned char)(h & 255);
    y[1] = (unsigned char)(h >> 8);
    for (int i = 0; i < 32; i++) {
        y[2 + i] = (unsigned char)quantize_value(x[i], inverse);
    }
}

void ink_quantize_q8_0(void *y, const float *x, uint64_t n)
{
    unsigned char *block = y;
    for (uint64_t i = 0; i < n; i += 32, block += 34) {
        quantize_block_q8_0(block, x + i);
    }
}

/* --------------------------------------------------------------------------------- any type */

static void put_u16(unsigned char *to, uint32_t x)
{
    to[0] = (unsigned char)x;
    to[1] = (unsigned char)(x >> 8);
}

size_t ink_narrow(void *y, const float *x, enum ink_type type, uint64_t n)
{
    const struct ink_type_facts *facts = ink_type_facts(type);
    unsigned char *to = y;
    if (type == INK_TYPE_Q8_0) {
        ink_quantize_q8_0(to, x, n);
    }
    for (uint64_t i = 0; i < n && type != INK_TYPE_Q8_0; i++) {
        if (type == INK_TYPE_F32) {
            const uint32_t bits = bits_of_float(x[i]);
            put_u16(to + 4 * i, bits);
            put_u16(to + 4 * i + 2, bits >> 16);
        } else {
            put_u16(to + 2 * i,
                    type == INK_TYPE_F16 ? ink_f16_from_f32(x[i]) : ink_bf16_from_f32(x[i]));
        }
    }
    return (size_t)(n / (uint64_t)facts->block_values * (uint64_t)facts->block_bytes);
}

void ink_widen(const struct ink_kernels *kernels, float *y, const void *x, enum ink_type type,
               size_t n)
{
    switch (type) {
    case INK_TYPE_F32:
        memcpy(y, x, n * sizeof *y);
        break;
    case INK_TYPE_F16:
        kernels->f32_from_f16(y, x, n);
        break;
    case INK_TYPE_BF16:
        kernels->f32_from_bf16(y, x, n);
        break;
    case INK_TYPE_Q8_0:
        kernels->f32_from_q8_0(y, x, n);
        break;
    default:
        ink_dequantize(y, x, type, n);
        break;
    }
}
