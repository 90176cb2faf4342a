#include "match.h"

#include <string.h>

/* Both ends of the text, without white space. */
static void strip(const struct ink_codes *text, size_t *from, size_t *to)
{
    *from = 0;
    *to = text->n;
    while (*from < *to && ink_code_is_space(text->data[*from])) {
        ++*from;
    }
    while (*to > *from && ink_code_is_space(text->data[*to - 1])) {
        --*to;
    }
}

static bool is_same(const struct ink_codes *a, const struct ink_codes *b)
{
    size_t from_a, to_a, from_b, to_b;
    strip(a, &from_a, &to_a);
    strip(b, &from_b, &to_b);
    const size_t n = to_a - from_a;
    return n == to_b - from_b &&
           (n == 0 || memcmp(a->data + from_a, b->data + from_b, n * sizeof *a->data) == 0);
}

int ink_match_raw(bool *is, const char *a, size_t n_a, const char *b, size_t n_b,
                  struct ink_error *error)
{
    struct ink_codes texts[2] = {{0}, {0}};
    ink_codes_append(&texts[0], a, n_a);
    ink_codes_append(&texts[1], b, n_b);
    const bool failed = texts[0].failed || texts[1].failed;
    *is = !failed && is_same(&texts[0], &texts[1]);
    ink_codes_free(&texts[0]);
    ink_codes_free(&texts[1]);
    return failed ? ink_fail_memory(error, n_a + n_b) : INK_OK;
}

static uint32_t fold(uint32_t c)
{
    if (c == 0x3002 || c == 0xFF61) {
        return '.';
    }
    return ink_code_lower(c >= 0xFF01 && c <= 0xFF5E ? c - 0xFF01 + '!' : c);
}

static bool is_end_mark(uint32_t c)
{
    return c < 0x80 && c != 0 && strchr(".,;:!? ", (int)c);
}

void ink_match_normalise(struct ink_codes *out, const char *text, size_t n_bytes)
{
    struct ink_codes codes = {0};
    const size_t start = out->n;
    bool has_gap = false;
    ink_codes_append(&codes, text, n_bytes);
    for (size_t i = 0; i < codes.n; i++) {
        const uint32_t c = fold(codes.data[i]);
        if (ink_code_is_space(c)) {
            has_gap = true;
            continue;
        }
        if (has_gap && out->n > start && out->data[out->n - 1] < 0x80 && c < 0x80) {
            ink_codes_push(out, ' ');
        }
        ink_codes_push(out, c);
        has_gap = false;
    }
    while (out->n > start && is_end_mark(out->data[out->n - 1])) {
        out->n--;
    }
    out->failed = out->failed || codes.failed;
    ink_codes_free(&codes);
}

int ink_match_normalised(bool *is, const char *a, size_t n_a, const char *b, size_t n_b,
                         struct ink_error *error)
{
    struct ink_codes texts[2] = {{0}, {0}};
    ink_match_normalise(&texts[0], a, n_a);
    ink_match_normalise(&texts[1], b, n_b);
    const bool failed = texts[0].failed || texts[1].failed;
    *is = !failed && is_same(&texts[0], &texts[1]);
    ink_codes_free(&texts[0]);
    ink_codes_free(&texts[1]);
    return failed ? ink_fail_memory(error, n_a + n_b) : INK_OK;
}
