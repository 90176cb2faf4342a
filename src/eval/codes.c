#include "codes.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

void ink_codes_push(struct ink_codes *codes, uint32_t c)
{
    if (codes->failed) {
        return;
    }
    if (codes->n == codes->capacity) {
        const size_t capacity = codes->capacity ? 2 * codes->capacity : 64;
        uint32_t *data = ink_realloc(codes->data, capacity, sizeof *data);
        if (!data) {
            codes->failed = true;
            return;
        }
        codes->data = data;
        codes->capacity = capacity;
    }
    codes->data[codes->n++] = c;
}

void ink_codes_append(struct ink_codes *codes, const char *text, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes;) {
        uint32_t c;
        const int length = ink_utf8_decode(text + at, n_bytes - at, &c);
        ink_codes_push(codes, length > 0 ? c : 0xFFFD);
        at += length > 0 ? (size_t)length : 1;
    }
}

void ink_codes_write(struct ink_string *out, const struct ink_codes *codes)
{
    for (size_t i = 0; i < codes->n; i++) {
        char bytes[4];
        ink_string_append(out, bytes, (size_t)ink_utf8_encode(bytes, codes->data[i]));
    }
    out->failed = out->failed || codes->failed;
}

void ink_codes_free(struct ink_codes *codes)
{
    ink_free(codes->data);
    *codes = (struct ink_codes){0};
}

bool ink_code_is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

bool ink_code_is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

uint32_t ink_code_lower(uint32_t c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* -------------------------------------------------------------------------------------- words */

struct word {
    const uint32_t *text;
    size_t n;
    int32_t *id; /* where its number goes */
};

/* Any order will do in which equal words are neighbours. */
static int compare_words(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->n != y->n) {
        return x->n < y->n ? -1 : 1;
    }
    return memcmp(x->text, y->text, x->n * sizeof *x->text);
}

/* The word at or after *at: its length, 0 at the end of the text; *at is where it starts. */
static size_t find_word(const struct ink_codes *text, size_t *at)
{
    while (*at < text->n && ink_code_is_space(text->data[*at])) {
        ++*at;
    }
    size_t end = *at;
    while (end < text->n && !ink_code_is_space(text->data[end])) {
        end++;
    }
    return end - *at;
}

static size_t count_words(const struct ink_codes *text)
{
    size_t n = 0;
    for (size_t at = 0, length; (length = find_word(text, &at)) > 0; at += length) {
        n++;
    }
    return n;
}

/* Room for the words of `text`, and where they stand into list. */
static bool list_words(struct ink_words *out, struct word *list, const struct ink_codes *text,
                       size_t n)
{
    out->n = n;
    out->ids = ink_calloc(n, sizeof *out->ids);
    if (!out->ids) {
        return false;
    }
    for (size_t i = 0, at = 0; i < n; i++) {
        const size_t length = find_word(text, &at);
        list[i] = (struct word){text->data + at, length, out->ids + i};
        at += length;
    }
    return true;
}

static void number_words(struct word *list, size_t n)
{
    if (n > 0) {
        qsort(list, n, sizeof *list, compare_words);
    }
    int32_t next = -1;
    for (size_t i = 0; i < n; i++) {
        next += i == 0 || compare_words(&list[i - 1], &list[i]) != 0;
        *list[i].id = next;
    }
}

int ink_words_number(struct ink_words *a, struct ink_words *b, const struct ink_codes *text_a,
                     const struct ink_codes *text_b, struct ink_error *error)
{
    const size_t n_a = count_words(text_a), n_b = count_words(text_b);
    struct word *list = ink_calloc(n_a + n_b, sizeof *list);
    *a = *b = (struct ink_words){0};
    const bool is_whole = !text_a->failed && !text_b->failed && list &&
                          list_words(a, list, text_a, n_a) &&
                          list_words(b, list + n_a, text_b, n_b);
    if (is_whole) {
        number_words(list, n_a + n_b);
    } else {
        ink_free(a->ids);
        ink_free(b->ids);
        *a = *b = (struct ink_words){0};
    }
    ink_free(list);
    return is_whole ? INK_OK : ink_fail_memory(error, (n_a + n_b) * sizeof *list);
}
