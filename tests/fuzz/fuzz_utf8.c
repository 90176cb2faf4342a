/* Bytes put together to characters: however they are cut, the same text, and always UTF-8. */
#include "../../src/utf8.h"

#include <stdlib.h>
#include <string.h>

/* The bytes behind the first, in pieces of 1 + (first byte) % 7; 0: in one piece. */
static struct ink_string assemble(const char *bytes, size_t n, size_t step)
{
    struct ink_utf8_assembler assembler = {.n_held = 0};
    struct ink_string out = {0};
    for (size_t at = 0; at < n; at += step) {
        ink_utf8_push(&assembler, &out, bytes + at, n - at < step ? n - at : step);
    }
    ink_utf8_flush(&assembler, &out);
    ink_string_puts(&out, "");
    return out;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    if (n < 1) {
        return 0;
    }
    const char *bytes = (const char *)data + 1;
    n--;
    struct ink_string whole = assemble(bytes, n, n ? n : 1);
    struct ink_string parts = assemble(bytes, n, 1 + data[0] % 7u);
    if (whole.length != parts.length || memcmp(whole.data, parts.data, whole.length) != 0 ||
        ink_utf8_valid_prefix(whole.data, whole.length) != whole.length) {
        abort();
    }
    if (ink_utf8_valid_prefix(bytes, n) == n &&
        (whole.length != n || (n > 0 && memcmp(whole.data, bytes, n) != 0))) {
        abort();
    }
    for (size_t at = 0; at < n; at++) {
        uint32_t c;
        char again[4];
        const int length = ink_utf8_decode(bytes + at, n - at, &c);
        if (length > 0 && (ink_utf8_encode(again, c) != length ||
                           memcmp(again, bytes + at, (size_t)length) != 0)) {
            abort();
        }
    }
    ink_string_free(&whole);
    ink_string_free(&parts);
    return 0;
}
