/* SHA-256 against the examples of FIPS 180-4 and NIST's byte-oriented vectors, whole and in parts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../src/sha256.h"

#include <stdlib.h>
#include <string.h>

static void check(const void *bytes, size_t n, size_t part, const char *expected)
{
    struct ink_sha256 s;
    char hex[65];
    ink_sha256_start(&s);
    for (size_t at = 0; at < n; at += part) {
        ink_sha256_add(&s, (const char *)bytes + at, n - at < part ? n - at : part);
    }
    ink_sha256_finish(&s, hex);
    assert_string_equal(hex, expected);
}

static void test_vectors(void **state)
{
    static const struct {
        const char *text, *hash;
    } vectors[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
         "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
        {"\xbd", "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b"},
        {"\xc9\x8c\x8e\x55", "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const size_t n = strlen(vectors[i].text);
        check(vectors[i].text, n, 1, vectors[i].hash);
        check(vectors[i].text, n, 13, vectors[i].hash);
        check(vectors[i].text, n, n + 1, vectors[i].hash);
    }
}

/* Lengths around the end of a block, of zeros; from NIST's SHA256 additional examples. */
static void test_padding(void **state)
{
    static const struct {
        size_t n;
        const char *hash;
    } vectors[] = {
        {55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"},
        {56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"},
        {57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"},
        {64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"},
        {1000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"},
        {1000000, "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"},
    };
    unsigned char *zeros = calloc(1000000, 1);
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check(zeros, vectors[i].n, vectors[i].n, vectors[i].hash);
        check(zeros, vectors[i].n, 37, vectors[i].hash);
    }
    memset(zeros, 'a', 1000000);
    check(zeros, 1000000, 4096, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_padding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
