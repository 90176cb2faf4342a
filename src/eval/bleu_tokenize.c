/* The tokenizers of BLEU: passes over code points, one for each replacement of their definition.
 * A pass goes from left to right, and what it has replaced is not looked at again. */
#include "bleu.h"

#include <string.h>

/* What a pass puts out at text[at], at least one character of it: how many it took. */
typedef size_t pass_function(struct ink_codes *out, const struct ink_codes *text, size_t at);

static void run_pass(struct ink_codes *text, pass_function *pass)
{
    struct ink_codes out = {0};
    for (size_t at = 0; at < text->n;) {
        at += pass(&out, text, at);
    }
    out.failed = out.failed || text->failed;
    ink_codes_free(text);
    *text = out;
}

static void push_all(struct ink_codes *out, const char *ascii)
{
    for (; *ascii; ascii++) {
        ink_codes_push(out, (unsigned char)*ascii);
    }
}

static bool starts_with(const struct ink_codes *text, size_t at, const char *ascii)
{
    const size_t n = strlen(ascii);
    bool is_same = n <= text->n - at;
    for (size_t i = 0; i < n && is_same; i++) {
        is_same = text->data[at + i] == (unsigned char)ascii[i];
    }
    return is_same;
}

static void replace(struct ink_codes *text, const char *from, const char *to)
{
    struct ink_codes out = {0};
    for (size_t at = 0; at < text->n;) {
        if (starts_with(text, at, from)) {
            push_all(&out, to);
            at += strlen(from);
        } else {
            ink_codes_push(&out, text->data[at++]);
        }
    }
    out.failed = out.failed || text->failed;
    ink_codes_free(text);
    *text = out;
}

/* --------------------------------------------------------------- punctuation, as 13a and zh do */

/* ASCII but for letters, digits, controls and ' , - . */
static bool is_lone(uint32_t c)
{
    return (c >= 0x20 && c <= 0x26) || (c >= 0x28 && c <= 0x2B) || c == 0x2F ||
           (c >= 0x3A && c <= 0x40) || (c >= 0x5B && c <= 0x60) || (c >= 0x7B && c <= 0x7E);
}

static bool is_point(uint32_t c)
{
    return c == '.' || c == ',';
}

/* The character, with spaces around it if it stands alone. */
static size_t part_alone(struct ink_codes *out, uint32_t c, bool is_alone)
{
    if (is_alone) {
        ink_codes_push(out, ' ');
    }
    ink_codes_push(out, c);
    if (is_alone) {
        ink_codes_push(out, ' ');
    }
    return 1;
}

static size_t part_lone(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    return part_alone(out, text->data[at], is_lone(text->data[at]));
}

/* The character at `at`, and if the two there are a pair also the next: "a b " with space_behind,
 * else " a b". */
static size_t part_pair(struct ink_codes *out, const struct ink_codes *text, size_t at,
                        bool is_pair, bool space_behind)
{
    if (!is_pair) {
        ink_codes_push(out, text->data[at]);
        return 1;
    }
    if (!space_behind) {
        ink_codes_push(out, ' ');
    }
    ink_codes_push(out, text->data[at]);
    ink_codes_push(out, ' ');
    ink_codes_push(out, text->data[at + 1]);
    if (space_behind) {
        ink_codes_push(out, ' ');
    }
    return 2;
}

static size_t part_point_after(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    const uint32_t *c = text->data + at;
    return part_pair(out, text, at, at + 1 < text->n && !ink_code_is_digit(c[0]) && is_point(c[1]),
                     true);
}

static size_t part_point_before(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    const uint32_t *c = text->data + at;
    return part_pair(out, text, at, at + 1 < text->n && is_point(c[0]) && !ink_code_is_digit(c[1]),
                     false);
}

static size_t part_dash(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    const uint32_t *c = text->data + at;
    return part_pair(out, text, at, at + 1 < text->n && ink_code_is_digit(c[0]) && c[1] == '-',
                     true);
}

static void part_punctuation(struct ink_codes *text)
{
    run_pass(text, part_lone);
    run_pass(text, part_point_after);
    run_pass(text, part_point_before);
    run_pass(text, part_dash);
}

/* -------------------------------------------------------------------------------- the tokenizers
 */

static void tokenize_13a(struct ink_codes *text)
{
    static const char *const replaced[][2] = {{"<skipped>", ""}, {"-\n", ""},    {"\n", " "},
                                              {"&quot;", "\""},  {"&amp;", "&"}, {"&lt;", "<"},
                                              {"&gt;", ">"}};
    for (size_t i = 0; i < INK_COUNT(replaced); i++) {
        replace(text, replaced[i][0], replaced[i][1]);
    }
    struct ink_codes padded = {.failed = text->failed};
    ink_codes_push(&padded, ' ');
    for (size_t i = 0; i < text->n; i++) {
        ink_codes_push(&padded, text->data[i]);
    }
    ink_codes_push(&padded, ' ');
    ink_codes_free(text);
    *text = padded;
    part_punctuation(text);
}

/* sacrebleu's ranges; the first is what its "\u20000" to "\u2a6d6" come to. */
static bool is_chinese(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x2001, 0x2A6D}, {0x2E80, 0x2EFF}, {0x2F00, 0x2FDF}, {0x2FF0, 0x2FFF}, {0x3000, 0x303F},
        {0x3100, 0x312F}, {0x31A0, 0x31BF}, {0x31C0, 0x31EF}, {0x3200, 0x32FF}, {0x3300, 0x33FF},
        {0x3400, 0x4DB5}, {0x4E00, 0x9FA5}, {0x9FA6, 0x9FBB}, {0xF900, 0xFA2D}, {0xFA30, 0xFA6A},
        {0xFA70, 0xFAD9}, {0xFE10, 0xFE1F}, {0xFE30, 0xFE4F}, {0xFF00, 0xFFEF}};
    bool is = false;
    for (size_t i = 0; i < INK_COUNT(ranges) && !is; i++) {
        is = c >= ranges[i][0] && c <= ranges[i][1];
    }
    return is;
}

static size_t part_chinese(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    return part_alone(out, text->data[at], is_chinese(text->data[at]));
}

static size_t part_character(struct ink_codes *out, const struct ink_codes *text, size_t at)
{
    ink_codes_push(out, text->data[at]);
    ink_codes_push(out, ' ');
    return 1;
}

static void strip_end(struct ink_codes *text)
{
    while (text->n > 0 && ink_code_is_space(text->data[text->n - 1])) {
        text->n--;
    }
}

static void strip_start(struct ink_codes *text)
{
    size_t n = 0;
    while (n < text->n && ink_code_is_space(text->data[n])) {
        n++;
    }
    if (n > 0) {
        memmove(text->data, text->data + n, (text->n - n) * sizeof *text->data);
        text->n -= n;
    }
}

void ink_bleu_tokenize(struct ink_codes *out, enum ink_bleu_tokenizer tokenizer, const char *text,
                       size_t n_bytes)
{
    struct ink_codes work = {0};
    ink_codes_append(&work, text, n_bytes);
    strip_end(&work);
    switch (tokenizer) {
    case INK_BLEU_13A:
        tokenize_13a(&work);
        break;
    case INK_BLEU_ZH:
        strip_start(&work);
        run_pass(&work, part_chinese);
        part_punctuation(&work);
        break;
    case INK_BLEU_CHAR:
        run_pass(&work, part_character);
        break;
    case INK_BLEU_NONE:
        break;
    }
    for (size_t i = 0; i < work.n; i++) {
        ink_codes_push(out, work.data[i]);
    }
    out->failed = out->failed || work.failed;
    ink_codes_free(&work);
}
