/* Widening of every block type, and rounding, against the gguf package and PyTorch, bit for bit. */
#include "support.h"

#include "../src/quant.h"

#include <math.h>

static struct ink_weights blocks, expected;

/* Opens them for the first test that wants them; skips it where they are not. */
static void need_goldens(void)
{
    struct ink_error error = {0};
    if (!blocks.files) {
        assert_ok(ink_weights_open(&blocks, shared_path("weights/quant.gguf"), &error));
        assert_ok(ink_weights_open(&expected, shared_path("weights/quant.safetensors"), &error));
    }
}

static int close_goldens(void **state)
{
    (void)state;
    ink_weights_close(&blocks);
    ink_weights_close(&expected);
    return 0;
}

static uint32_t bits_of(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static const struct ink_tensor *golden(const char *name)
{
    const struct ink_tensor *t = ink_weights_find(&expected, name);
    assert_non_null(t);
    return t;
}

static void widens_as_the_reference(void **state)
{
    (void)state;
    need_goldens();
    for (int type = 0; type < INK_TYPE_COUNT; type++) {
        const char *name = ink_type_facts((enum ink_type)type)->name;
        const struct ink_tensor *t = ink_weights_find(&blocks, name);
        assert_non_null(t);
        assert_int_equal(t->type, type);
        uint64_t n = ink_tensor_count(t);
        assert_int_equal(n, ink_tensor_count(golden(name)));
        float *y = malloc(n * sizeof *y);
        ink_dequantize(y, t->data, t->type, n);
        for (uint64_t i = 0; i < n; i++) {
            uint32_t wanted = ink_read_u32((const char *)golden(name)->data + 4 * i);
            if (bits_of(y[i]) != wanted) {
                fail_msg("%s[%d]: %08x, not %08x", name, (int)i, bits_of(y[i]), wanted);
            }
        }
        free(y);
    }
}

static void rounds_to_q8_0_as_the_reference(void **state)
{
    (void)state;
    need_goldens();
    const struct ink_tensor *t = ink_weights_find(&blocks, "rounded");
    const struct ink_tensor *x = golden("narrow");
    assert_non_null(t);
    uint64_t n = ink_tensor_count(x);
    float *in = malloc(n * sizeof *in);
    unsigned char *out = malloc(t->n_bytes);
    memcpy(in, x->data, n * sizeof *in);
    ink_quantize_q8_0(out, in, n);
    for (uint64_t i = 0; i < t->n_bytes; i++) {
        uint64_t block = i / 34;
        if (block == 672 / 32 && i % 34 >= 2) {
            assert_int_equal(out[i], 0); /* 1 / d overflows: the reference is undefined */
        } else if (out[i] != ((const unsigned char *)t->data)[i]) {
            fail_msg("block %d byte %d: %d, not %d", (int)block, (int)(i % 34), out[i],
                     ((const unsigned char *)t->data)[i]);
        }
    }
    free(in);
    free(out);
}

static void narrows_as_the_reference(void **state)
{
    (void)state;
    need_goldens();
    const struct ink_tensor *x = golden("narrow");
    const char *half = golden("narrow.f16")->data, *brain = golden("narrow.bf16")->data;
    for (uint64_t i = 0; i < ink_tensor_count(x); i++) {
        float f;
        memcpy(&f, (const char *)x->data + 4 * i, sizeof f);
        assert_int_equal(ink_f16_from_f32(f), ink_read_u16(half + 2 * i));
        assert_int_equal(ink_bf16_from_f32(f), ink_read_u16(brain + 2 * i));
    }
}

static void converts_every_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
        float f = ink_f32_from_f16((uint16_t)h);
        if (exponent == 31 && fraction) {
            assert_true(isnan(f));
            assert_true(isnan(ink_f32_from_f16(ink_f16_from_f32(f))));
            continue;
        }
        double magnitude = exponent == 31 ? (double)INFINITY
                           : exponent     ? ldexp(1024 + fraction, exponent - 25)
                                          : ldexp(fraction, -24);
        assert_true(fabs((double)f) == magnitude && !signbit(f) == !(h >> 15));
        assert_int_equal(ink_f16_from_f32(f), h);
    }
}

static void converts_every_bf16(void **state)
{
    (void)state;
    for (uint32_t b = 0; b < 65536; b++) {
        float f = ink_f32_from_bf16((uint16_t)b);
        assert_int_equal(bits_of(f), b << 16);
        if (!isnan(f)) {
            assert_int_equal(ink_bf16_from_f32(f), b);
        } else {
            assert_true(isnan(ink_f32_from_bf16(ink_bf16_from_f32(f))));
        }
    }
}

static void rounds_what_cannot_be_rounded(void **state)
{
    (void)state;
    const float odd[] = {NAN, INFINITY, -INFINITY, 1e-45f, -1e-40f, 3.4e38f, 0};
    for (size_t i = 0; i < INK_COUNT(odd); i++) {
        float x[32] = {0};
        unsigned char y[34];
        x[3] = odd[i];
        x[4] = -odd[i];
        ink_quantize_q8_0(y, x, 32);
        assert_int_not_equal(y[2 + 3], 0x80); /* never -128 */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widens_as_the_reference),
        cmocka_unit_test(rounds_to_q8_0_as_the_reference),
        cmocka_unit_test(narrows_as_the_reference),
        cmocka_unit_test(converts_every_half),
        cmocka_unit_test(converts_every_bf16),
        cmocka_unit_test(rounds_what_cannot_be_rounded),
    };
    return cmocka_run_group_tests(tests, NULL, close_goldens);
}
