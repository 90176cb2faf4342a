/* Characters of patterns: escapes, classes, sets. */
#include "regex.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

static int compare_ranges(const void *a, const void *b)
{
    const struct ink_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Sort ranges[from ..), join them; `negate`: what they leave out. */
void ink_regex_tidy_ranges(struct ink_regex_parser *p, int from, bool negate)
{
    int n = from;
    if (p->n_ranges - from > 1) {
        qsort(p->ranges + from, (size_t)(p->n_ranges - from), sizeof *p->ranges, compare_ranges);
    }
    for (int i = from; i < p->n_ranges; i++) {
        struct ink_range r = p->ranges[i];
        if (n > from && r.low <= p->ranges[n - 1].high + 1) {
            p->ranges[n - 1].high = r.high > p->ranges[n - 1].high ? r.high : p->ranges[n - 1].high;
        } else {
            p->ranges[n++] = r;
        }
    }
    p->n_ranges = n;
    if (!negate) {
        return;
    }
    uint32_t next = 0;
    const int end = p->n_ranges;
    for (int i = from; i < end; i++) {
        struct ink_range r = p->ranges[i];
        if (r.low > next) {
            ink_regex_add_range(p, next, r.low - 1);
        }
        next = r.high + 1;
    }
    if (next <= INK_DFA_LAST) {
        ink_regex_add_range(p, next, INK_DFA_LAST);
    }
    memmove(p->ranges + from, p->ranges + end, (size_t)(p->n_ranges - end) * sizeof *p->ranges);
    p->n_ranges -= end - from;
}

/* \d, \w, \s and what they leave out. False: `letter` is none of them. */
bool ink_regex_add_class(struct ink_regex_parser *p, char letter)
{
    static const struct ink_range digits[] = {{'0', '9'}},
                                  words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                                  spaces[] = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},
                                              {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                                              {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
                                              {0xFEFF, 0xFEFF}};
    const char lower = (char)(letter | 32);
    const struct ink_range *set = lower == 'd' ? digits : lower == 'w' ? words : spaces;
    const size_t n = lower == 'd'   ? INK_COUNT(digits)
                     : lower == 'w' ? INK_COUNT(words)
                                    : INK_COUNT(spaces);
    if (lower != 'd' && lower != 'w' && lower != 's') {
        return false;
    }
    const int from = p->n_ranges;
    for (size_t i = 0; i < n; i++) {
        ink_regex_add_range(p, set[i].low, set[i].high);
    }
    if (letter != lower) { /* only these ranges: those before stay */
        ink_regex_tidy_ranges(p, from, true);
    }
    return true;
}

static uint32_t read_hex(struct ink_regex_parser *p, int n)
{
    uint32_t c = 0;
    for (int i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef";
        const char letter = p->at < p->end ? *p->at : 0;
        const char *digit =
            letter ? strchr(digits, letter >= 'A' && letter <= 'F' ? letter + 32 : letter) : NULL;
        if (!digit) {
            ink_regex_wrong(p, "a bad escape");
            return 0;
        }
        c = c * 16 + (uint32_t)(digit - digits);
        p->at++;
    }
    return c;
}

static uint32_t read_braced_hex(struct ink_regex_parser *p)
{
    uint32_t c = 0;
    int n = 0;
    for (p->at++; p->at < p->end && *p->at != '}' && n < 7; n++) {
        c = c * 16 + read_hex(p, 1);
    }
    if (p->at == p->end || n == 0 || n == 7 || c > INK_DFA_LAST) {
        ink_regex_wrong(p, "a bad escape");
        return 0;
    }
    p->at++;
    return c;
}

static uint32_t read_unicode_escape(struct ink_regex_parser *p)
{
    if (p->at < p->end && *p->at == '{') {
        return read_braced_hex(p);
    }
    uint32_t c = read_hex(p, 4);
    if (c >= 0xD800 && c < 0xDC00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        p->at += 2;
        uint32_t low = read_hex(p, 4);
        if (low >= 0xDC00 && low < 0xE000) {
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
        c = low;
    }
    if (c >= 0xD800 && c < 0xE000) {
        ink_regex_wrong(p, "a bad escape");
    }
    return c;
}

/* After a backslash: one character. */
uint32_t ink_regex_read_escape(struct ink_regex_parser *p, bool in_class)
{
    static const char letters[] = "n\nr\rt\tf\fv\v";
    if (p->at == p->end) {
        return (uint32_t)ink_regex_wrong(p, "a bad escape");
    }
    const char c = *p->at;
    if ((unsigned char)c >= 0x80) {
        uint32_t wide;
        p->at += ink_utf8_decode(p->at, (size_t)(p->end - p->at), &wide);
        return wide;
    }
    p->at++;
    for (const char *l = letters; *l; l += 2) {
        if (*l == c) {
            return (unsigned char)l[1];
        }
    }
    if (c == 'b' && in_class) {
        return '\b';
    }
    if (c == 'x') {
        return read_hex(p, 2);
    }
    if (c == 'u') {
        return read_unicode_escape(p);
    }
    if (c == '0' && (p->at == p->end || *p->at < '0' || *p->at > '9')) {
        return 0;
    }
    if ((c >= '0' && c <= '9') || c == 'k') {
        return (uint32_t)ink_regex_wrong(p, "back-references are not supported");
    }
    if (c == 'b' || c == 'B') {
        return (uint32_t)ink_regex_wrong(p, "word boundaries are not supported");
    }
    if (c == 'p' || c == 'P') {
        return (uint32_t)ink_regex_wrong(p, "Unicode properties are not supported");
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return (uint32_t)ink_regex_wrong(p, "a bad escape");
    }
    return (unsigned char)c;
}

uint32_t ink_regex_read_plain(struct ink_regex_parser *p)
{
    uint32_t c = 0;
    int n = ink_utf8_decode(p->at, (size_t)(p->end - p->at), &c);
    if (n <= 0) {
        return (uint32_t)ink_regex_wrong(p, "a bad character");
    }
    p->at += n;
    return c;
}

/* One character of a class, or a whole class: then `is_class` is set. */
static uint32_t read_member(struct ink_regex_parser *p, bool *is_class)
{
    *is_class = false;
    if (*p->at != '\\') {
        return ink_regex_read_plain(p);
    }
    p->at++;
    if (p->at < p->end && ink_regex_add_class(p, *p->at)) {
        p->at++;
        *is_class = true;
        return 0;
    }
    return ink_regex_read_escape(p, true);
}

int ink_regex_read_set(struct ink_regex_parser *p)
{
    const int from = p->n_ranges;
    const bool negate = p->at < p->end && *p->at == '^';
    p->at += negate;
    while (p->at < p->end && *p->at != ']') {
        bool is_class, other;
        uint32_t low = read_member(p, &is_class), high = low;
        if (!is_class && p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            high = read_member(p, &other);
            if (other || high < low) {
                return ink_regex_wrong(p, "a bad range");
            }
        }
        if (!is_class) {
            ink_regex_add_range(p, low, high);
        }
    }
    if (p->at == p->end) {
        return ink_regex_wrong(p, "a set without its end");
    }
    p->at++;
    ink_regex_tidy_ranges(p, from, negate);
    return ink_regex_add_node(p, INK_REGEX_CHARACTER, from, p->n_ranges);
}
