/* UTF-8: every scalar value, every way to cut a character, and Python's errors="replace". */
#include "support.h"

#include "../src/utf8.h"

/* The same, written down anew from the definition. */
static int encode_plainly(char out[4], uint32_t c)
{
    const int n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned lead[5] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (int i = n - 1; i > 0; i--) {
        out[i] = (char)(0x80 + c % 64);
        c /= 64;
    }
    out[0] = (char)(lead[n] + c);
    return n;
}

static void test_every_scalar(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char plain[4], out[4];
        uint32_t again = 0;
        const int n = encode_plainly(plain, c);
        if (c >= 0xD800 && c <= 0xDFFF) {
            assert_int_equal(ink_utf8_encode(out, c), 0);
            assert_int_equal(ink_utf8_decode(plain, 3, &again), 0);
            continue;
        }
        if (ink_utf8_encode(out, c) != n || memcmp(plain, out, (size_t)n) != 0 ||
            ink_utf8_decode(out, (size_t)n, &again) != n || again != c) {
            fail_msg("U+%04X", (unsigned)c);
        }
        for (int cut = 1; cut < n; cut++) {
            if (ink_utf8_decode(out, (size_t)cut, NULL) != -1) {
                fail_msg("U+%04X cut to %d bytes", (unsigned)c, cut);
            }
        }
    }
    char out[4];
    assert_int_equal(ink_utf8_encode(out, 0x110000), 0);
    assert_int_equal(ink_utf8_encode(out, UINT32_MAX), 0);
}

/* Bytes [n] cut where `cuts` has a bit, give `expected`. */
static void check_cuts(const char *bytes, size_t n, unsigned cuts, const char *expected,
                       size_t n_expected)
{
    struct ink_utf8_assembler assembler = {.n_held = 0};
    struct ink_string out = {0};
    size_t start = 0;
    for (size_t i = 1; i <= n; i++) {
        if (i == n || (cuts >> (i - 1) & 1)) {
            ink_utf8_push(&assembler, &out, bytes + start, i - start);
            start = i;
            assert_int_equal(ink_utf8_valid_prefix(out.data ? out.data : "", out.length),
                             out.length);
        }
    }
    ink_utf8_flush(&assembler, &out);
    assert_int_equal(assembler.n_held, 0);
    if (out.length != n_expected ||
        (n_expected > 0 && memcmp(out.data, expected, n_expected) != 0)) {
        fail_msg("other text for cuts %x of %d bytes that start with %02x", cuts, (int)n,
                 (unsigned char)bytes[0]);
    }
    ink_string_free(&out);
}

static void test_every_cut(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        char bytes[4];
        const int n = ink_utf8_encode(bytes, c);
        for (unsigned cuts = 0; n > 0 && cuts < 1u << (n - 1); cuts++) {
            check_cuts(bytes, (size_t)n, cuts, bytes, (size_t)n);
        }
    }
}

static size_t from_hex(char *out, const char *hex)
{
    size_t n = 0;
    for (unsigned byte; *hex && sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        out[n++] = (char)byte;
    }
    return n;
}

static void test_replacement(void **state)
{
    cJSON *root = read_json(shared_path("utf8_golden.json"));
    const cJSON *entry;
    (void)state;
    assert_true(cJSON_GetArraySize(root) > 1000);
    cJSON_ArrayForEach(entry, root)
    {
        char bytes[128], text[512];
        const size_t n = from_hex(bytes, ink_json_get(entry, "bytes")->valuestring);
        const size_t n_text = from_hex(text, ink_json_get(entry, "text")->valuestring);
        for (unsigned cuts = 0; cuts < 64; cuts++) {
            check_cuts(bytes, n, cuts * 0x41041u, text, n_text);
        }
        check_cuts(bytes, n, UINT32_MAX, text, n_text);
    }
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_scalar),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_replacement),
    };
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
