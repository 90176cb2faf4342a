/* "q: question a: answer". */
#include "dataset_internal.h"

#include <string.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t match(const char *text, size_t n, const char *word)
{
    const size_t length = strlen(word);
    return n >= length && memcmp(text, word, length) == 0 ? length : 0;
}

static size_t match_any(const char *text, size_t n, const char *const *words, size_t n_words)
{
    size_t length = 0;
    for (size_t i = 0; i < n_words && length == 0; i++) {
        length = match(text, n, words[i]);
    }
    return length;
}

size_t ink_pair_match_marker(const char *text, size_t n, bool is_question)
{
    static const char *const words[2][3] = {{"a", "A", "答"}, {"q", "Q", "问"}};
    static const char *const colons[] = {":", "："};
    const size_t word = match_any(text, n, words[is_question], 3);
    const size_t colon = word > 0 ? match_any(text + word, n - word, colons, 2) : 0;
    return colon > 0 ? word + colon : 0;
}

/* Bytes of white space at the start of text, the ideographic space included. */
static size_t match_space(const char *text, size_t n)
{
    return n > 0 && is_space(text[0]) ? 1 : match(text, n, "\xE3\x80\x80");
}

static size_t match_sentence_end(const char *text, size_t n)
{
    static const char *const ends[] = {"？", "?", "。", "！", "!", "；", ";"};
    return match_any(text, n, ends, INK_COUNT(ends));
}

/* The first "a:" in text that stands behind what `border` matches; n if there is none. */
static size_t find_answer(const char *text, size_t n, size_t (*border)(const char *, size_t))
{
    for (size_t i = 0; i < n; i++) {
        const size_t length = border(text + i, n - i);
        if (length > 0 && ink_pair_match_marker(text + i + length, n - i - length, false) > 0) {
            return i + length;
        }
    }
    return n;
}

void ink_pair_trim(const char **text, size_t *n)
{
    size_t space;
    while ((space = match_space(*text, *n)) > 0) {
        *text += space;
        *n -= space;
    }
    while (*n > 0 && is_space((*text)[*n - 1])) {
        --*n;
    }
    while (*n >= 3 && match(*text + *n - 3, 3, "\xE3\x80\x80") > 0) {
        *n -= 3;
    }
}

bool ink_pair_split(struct ink_pair *out, const char *text, size_t n)
{
    ink_pair_trim(&text, &n);
    const size_t marker = ink_pair_match_marker(text, n, true);
    text += marker;
    n -= marker;
    size_t answer = find_answer(text, n, match_space);
    if (answer == n) {
        answer = find_answer(text, n, match_sentence_end);
    }
    if (marker == 0 || answer == n) {
        return false;
    }
    const size_t second = answer + ink_pair_match_marker(text + answer, n - answer, false);
    *out = (struct ink_pair){text, text + second, answer, n - second};
    ink_pair_trim(&out->question, &out->n_question);
    ink_pair_trim(&out->answer, &out->n_answer);
    return true;
}
