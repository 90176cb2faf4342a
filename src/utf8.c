#include "utf8.h"

#include <string.h>

/* Table 3-7 of the Unicode Standard: the range of the second byte depends on the first. */
static int sequence_length(unsigned char lead, unsigned char *low, unsigned char *high)
{
    *low = 0x80;
    *high = 0xBF;
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        *low = lead == 0xE0 ? 0xA0 : 0x80;
        *high = lead == 0xED ? 0x9F : 0xBF;
        return 3;
    }
    if (lead >= 0xF0 && lead <= 0xF4) {
        *low = lead == 0xF0 ? 0x90 : 0x80;
        *high = lead == 0xF4 ? 0x8F : 0xBF;
        return 4;
    }
    return 0;
}

int ink_utf8_decode(const char *s, size_t n, uint32_t *c)
{
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    const unsigned char *b = (const unsigned char *)s;
    unsigned char low, high;
    int length = sequence_length(b[0], &low, &high);
    if (length == 0) {
        return 0;
    }
    uint32_t value = b[0] & lead_mask[length];
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= n) {
            return -1;
        }
        if (b[i] < low || b[i] > high) {
            return 0;
        }
        value = value << 6 | (b[i] & 0x3F);
        low = 0x80;
        high = 0xBF;
    }
    if (c) {
        *c = value;
    }
    return length;
}

size_t ink_utf8_valid_prefix(const char *s, size_t n)
{
    size_t at = 0;
    while (at < n) {
        int length = ink_utf8_decode(s + at, n - at, NULL);
        if (length <= 0) {
            break;
        }
        at += (size_t)length;
    }
    return at;
}

int ink_utf8_encode(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        if (c >= 0xD800 && c <= 0xDFFF) {
            return 0;
        }
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3F));
        out[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    if (c > 0x10FFFF) {
        return 0;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3F));
    out[2] = (char)(0x80 | (c >> 6 & 0x3F));
    out[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

static const char replacement[] = "\xEF\xBF\xBD";

/* One byte more. The held bytes are always the start of a well-formed character. */
static void push_byte(struct ink_utf8_assembler *a, struct ink_string *out, unsigned char byte)
{
    a->held[a->n_held] = byte;
    int length = ink_utf8_decode((const char *)a->held, (size_t)a->n_held + 1, NULL);
    if (length > 0) {
        ink_string_append(out, (const char *)a->held, (size_t)length);
        a->n_held = 0;
    } else if (length < 0) {
        a->n_held++;
    } else if (a->n_held > 0) { /* what was held is one ill-formed part; the byte starts anew */
        ink_string_append(out, replacement, 3);
        a->n_held = 0;
        push_byte(a, out, byte);
    } else {
        ink_string_append(out, replacement, 3);
    }
}

void ink_utf8_push(struct ink_utf8_assembler *a, struct ink_string *out, const char *bytes,
                   size_t n)
{
    size_t at = 0;
    while (at < n) {
        size_t whole = a->n_held == 0 ? ink_utf8_valid_prefix(bytes + at, n - at) : 0;
        if (whole > 0) {
            ink_string_append(out, bytes + at, whole);
            at += whole;
        } else {
            push_byte(a, out, (unsigned char)bytes[at++]);
        }
    }
}

void ink_utf8_flush(struct ink_utf8_assembler *a, struct ink_string *out)
{
    if (a->n_held > 0) {
        ink_string_append(out, replacement, 3);
        a->n_held = 0;
    }
}
