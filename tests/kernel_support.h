/* What the tests of kernels share: memory that shows what a kernel touches, random and extreme
 * values, and a walk over the levels that this CPU can run. */
#ifndef INK_TEST_KERNEL_SUPPORT_H
#define INK_TEST_KERNEL_SUPPORT_H

#if defined(__unix__) || defined(__APPLE__)
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu.h"
#include "kernels.h"

/* ink_exp and fma1 as the C level has them. */
#include "../simd/level.h"

#include "../simd/scalar.h"

#include "../simd/lanes.h"

/* Memory. An input ends where a page ends and the next one cannot be read; an output lies between
 * canaries, which the comparison of whole slots checks. */

enum { SLOT_BYTES = 1 << 20, SLOTS = 6, CANARY = 64 };

static unsigned char *slots[SLOTS];

#if defined(__unix__) || defined(__APPLE__)

static inline unsigned char *slot_new(void)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *p =
        mmap(NULL, SLOT_BYTES + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + SLOT_BYTES, page, PROT_NONE), 0);
    return p;
}

#else

static inline unsigned char *slot_new(void)
{
    unsigned char *p = malloc(SLOT_BYTES);
    assert_non_null(p);
    return p;
}

#endif

/* `bytes` bytes that end `before_end` bytes before the slot does. */
static inline void *input(int slot, size_t bytes, size_t before_end)
{
    assert_true(bytes + before_end <= SLOT_BYTES);
    if (!slots[slot])
        slots[slot] = slot_new();
    return slots[slot] + SLOT_BYTES - bytes - before_end;
}

struct output {
    unsigned char *base;
    void *data; /* also char * : base + CANARY */
    size_t bytes;
};

static inline struct output output_new(size_t bytes)
{
    struct output out = {.base = malloc(bytes + 2 * CANARY), .bytes = bytes};
    assert_non_null(out.base);
    memset(out.base, 0xa5, bytes + 2 * CANARY);
    out.data = out.base + CANARY;
    return out;
}

static inline void assert_canaries(const struct output *out)
{
    for (size_t i = 0; i < CANARY; i++) {
        assert_int_equal(out->base[i], 0xa5);
        assert_int_equal(out->base[CANARY + out->bytes + i], 0xa5);
    }
}

static inline int same_float(float a, float b)
{
    return bits_of(a) == bits_of(b) || (isnan(a) && isnan(b));
}

/* Floats of two outputs, canaries and gaps included; frees `got`. */
static inline void assert_same(const char *what, const struct output *got,
                               const struct output *want)
{
    const float *g = got->data, *w = want->data;
    assert_canaries(got);
    assert_int_equal(got->bytes, want->bytes);
    for (size_t i = 0; i < got->bytes / sizeof *g; i++)
        if (!same_float(g[i], w[i]))
            fail_msg("%s: element %zu of %zu is %a, should be %a", what, i, got->bytes / sizeof *g,
                     (double)g[i], (double)w[i]);
    free(got->base);
}

/* Values. */

static uint64_t random_state = 1;

static inline uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    uint64_t x = random_state ^ random_state >> 33;
    return (uint32_t)((x * 0xff51afd7ed558ccdu) >> 32);
}

static inline int random_int(int low, int high)
{
    return low + (int)(random_bits() % (uint32_t)(high - low + 1));
}

enum kind { KIND_UNIT, KIND_WIDE, KIND_TINY, KIND_HUGE, KIND_EXTREME, KINDS };

static inline float random_float(enum kind kind)
{
    static const float extremes[] = {0.0f,    -0.0f,    0x1p-149f, -0x1p-149f, FLT_MIN, -FLT_MIN,
                                     FLT_MAX, -FLT_MAX, INFINITY,  -INFINITY,  NAN,     1.0f,
                                     -1.0f,   88.73f,   -88.0f,    -104.0f,    1e-3f,   700.0f};
    const float unit = (float)(int32_t)random_bits() * 0x1p-31f;
    switch (kind) {
    case KIND_WIDE:
        return ldexpf(unit, random_int(-20, 20));
    case KIND_TINY: /* products fall among the denormals, or to a zero of either sign */
        return random_int(0, 7) == 0 ? copysignf(0.0f, unit) : ldexpf(unit, random_int(-149, -60));
    case KIND_HUGE:
        return ldexpf(unit, random_int(50, 128));
    case KIND_EXTREME:
        if (random_int(0, 15) == 0)
            return float_of(random_bits());
        return random_int(0, 15)
                   ? unit
                   : extremes[random_int(0, (int)(sizeof extremes / sizeof extremes[0]) - 1)];
    default:
        return unit;
    }
}

/* A bf16 or f16 pattern of the kind; for f16, about as large as a half can be. */
static inline uint16_t random_half(enum kind kind, enum type type)
{
    if (type == TYPE_BF16)
        return (uint16_t)(bits_of(random_float(kind)) >> 16);
    const uint16_t sign_mantissa = (uint16_t)(random_bits() & 0x83ffu);
    static const int lowest[KINDS] = {10, 5, 0, 25, 0}, highest[KINDS] = {14, 20, 1, 30, 31};
    return (uint16_t)(sign_mantissa | random_int(lowest[kind], highest[kind]) << 10);
}

static inline void fill_floats(float *x, size_t n, enum kind kind)
{
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(kind);
}

static inline void fill_type(unsigned char *w, size_t n, enum kind kind, enum type type)
{
    for (size_t i = 0; i < n; i++) {
        const float f = random_float(kind);
        const uint16_t h = type == TYPE_F32 ? 0 : random_half(kind, type);
        memcpy(w + i * type_size(type), type == TYPE_F32 ? (const void *)&f : (const void *)&h,
               type_size(type));
    }
}

/* The value of an f16 pattern, from its definition. */
static inline double value_of_f16(uint16_t h)
{
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double sign = h & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31)
        return mantissa ? (double)NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24));
}

static inline double value_of_type(const unsigned char *w, size_t i, enum type type)
{
    float f;
    uint16_t h;
    if (type == TYPE_F32) {
        memcpy(&f, w + 4 * i, sizeof f);
        return (double)f;
    }
    memcpy(&h, w + 2 * i, sizeof h);
    return type == TYPE_F16 ? value_of_f16(h) : (double)float_of((uint32_t)h << 16);
}

/* Levels. */

#define FOR_EACH_LEVEL(level, first) \
    for (const struct ink_kernels *level = ink_kernels_at(first); level; level = next_level(level))

static inline const struct ink_kernels *next_level(const struct ink_kernels *level)
{
    for (int i = 0;; i++)
        if (ink_kernels_at(i) == level)
            return ink_kernels_at(i + 1);
}

#endif
