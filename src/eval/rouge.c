#include "rouge.h"
#include "porter.h"

/* ------------------------------------------------------------------------------------- words */

static bool is_letter_or_digit(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || ink_code_is_digit(c);
}

/* Python's str.lower() makes ASCII letters of two characters outside ASCII: the Kelvin sign, and
 * the capital I with a dot (an i and a combining dot, which ends the word). */
static uint32_t lower_as_python(uint32_t c)
{
    return c == 0x212A ? 'k' : c == 0x130 ? 'i' : ink_code_lower(c);
}

/* The word at the end of *out, which starts at `start`, becomes its stem. */
static void stem_last(struct ink_codes *out, struct ink_string *letters, size_t start)
{
    letters->length = 0;
    for (size_t i = start; i < out->n; i++) {
        const char letter = (char)out->data[i];
        ink_string_append(letters, &letter, 1);
    }
    if (letters->failed) {
        out->failed = true;
        return;
    }
    out->n = start + ink_porter_stem(letters->data, letters->length);
    for (size_t i = start; i < out->n; i++) {
        out->data[i] = (unsigned char)letters->data[i - start];
    }
}

static void tokenize_latin(struct ink_codes *out, const struct ink_codes *text, bool stems)
{
    struct ink_string letters = {0};
    for (size_t at = 0; at < text->n && !out->failed;) {
        const size_t start = out->n;
        uint32_t c = lower_as_python(text->data[at]);
        bool ends = false;
        while (at < text->n && is_letter_or_digit(c) && !ends) {
            ink_codes_push(out, c);
            ends = text->data[at] == 0x130;
            at++;
            c = at < text->n ? lower_as_python(text->data[at]) : 0;
        }
        at += out->n == start && !out->failed;
        if (stems && out->n - start > 3 && !out->failed) {
            stem_last(out, &letters, start);
        }
        if (out->n > start) {
            ink_codes_push(out, ' ');
        }
    }
    ink_string_free(&letters);
}

static void tokenize_characters(struct ink_codes *out, const struct ink_codes *text)
{
    for (size_t i = 0; i < text->n; i++) {
        const uint32_t c = ink_code_lower(text->data[i]);
        const bool goes_on = is_letter_or_digit(c) && i + 1 < text->n &&
                             is_letter_or_digit(ink_code_lower(text->data[i + 1]));
        ink_codes_push(out, c);
        if (!goes_on) {
            ink_codes_push(out, ' ');
        }
    }
}

void ink_rouge_tokenize(struct ink_codes *out, enum ink_rouge_words words, const char *text,
                        size_t n_bytes)
{
    struct ink_codes codes = {0};
    ink_codes_append(&codes, text, n_bytes);
    out->failed = out->failed || codes.failed;
    if (words == INK_ROUGE_CHARACTERS) {
        tokenize_characters(out, &codes);
    } else {
        tokenize_latin(out, &codes, words == INK_ROUGE_LATIN);
    }
    ink_codes_free(&codes);
}

/* -------------------------------------------------------------------- longest common subsequence
 */

/* By dynamic programming over one row: after i words of a, row[j] is the length for those and the
 * first j words of b. row [b->n + 1], zeros. */
static size_t longest_common(const struct ink_words *a, const struct ink_words *b, size_t *row)
{
    for (size_t i = 0; i < a->n; i++) {
        size_t diagonal = 0; /* row[j - 1] of the row before */
        for (size_t j = 1; j <= b->n; j++) {
            const size_t above = row[j];
            if (a->ids[i] == b->ids[j - 1]) {
                row[j] = diagonal + 1;
            } else if (row[j - 1] > above) {
                row[j] = row[j - 1];
            }
            diagonal = above;
        }
    }
    return row[b->n];
}

static int score(struct ink_rouge *out, const struct ink_words *hypothesis,
                 const struct ink_words *reference, struct ink_error *error)
{
    if (hypothesis->n == 0 || reference->n == 0) {
        return INK_OK;
    }
    size_t *row = ink_calloc(reference->n + 1, sizeof *row);
    if (!row) {
        return ink_fail_memory(error, (reference->n + 1) * sizeof *row);
    }
    const double common = (double)longest_common(hypothesis, reference, row);
    out->precision = common / (double)hypothesis->n;
    out->recall = common / (double)reference->n;
    if (common > 0) {
        out->f = 2 * out->precision * out->recall / (out->precision + out->recall);
    }
    ink_free(row);
    return INK_OK;
}

static bool is_blank(const char *text, size_t n_bytes)
{
    struct ink_codes codes = {0};
    ink_codes_append(&codes, text, n_bytes);
    size_t i = 0;
    while (i < codes.n && ink_code_is_space(codes.data[i])) {
        i++;
    }
    const bool is = i == codes.n;
    ink_codes_free(&codes);
    return is;
}

int ink_rouge_l(struct ink_rouge *out, enum ink_rouge_words words, const char *hypothesis,
                size_t n_hypothesis, const char *reference, size_t n_reference,
                struct ink_error *error)
{
    struct ink_codes texts[2] = {{0}, {0}};
    struct ink_words numbers[2];
    *out = (struct ink_rouge){0};
    ink_rouge_tokenize(&texts[0], words, hypothesis, n_hypothesis);
    ink_rouge_tokenize(&texts[1], words, reference, n_reference);
    int status = ink_words_number(&numbers[0], &numbers[1], &texts[0], &texts[1], error);
    if (status == INK_OK) {
        out->is_blind = (numbers[0].n == 0 && !is_blank(hypothesis, n_hypothesis)) ||
                        (numbers[1].n == 0 && !is_blank(reference, n_reference));
        status = score(out, &numbers[0], &numbers[1], error);
    }
    for (int i = 0; i < 2; i++) {
        ink_codes_free(&texts[i]);
        ink_free(numbers[i].ids);
    }
    return status;
}
