/* Text as code points, which is what the metrics' definitions speak of, and words numbered so that
 * equal words are equal numbers. */
#ifndef INK_EVAL_CODES_H
#define INK_EVAL_CODES_H

#include "common.h"

/* Unicode scalar values that grow. Start with {0}; `failed` stays set once memory ran out
 * (appending is then a no-op), so a builder checks once at the end. */
struct ink_codes {
    uint32_t *data; /* [n] */
    size_t n, capacity;
    bool failed;
};
void ink_codes_push(struct ink_codes *codes, uint32_t c);
/* UTF-8 text [n_bytes]; each byte that belongs to no character becomes U+FFFD. */
void ink_codes_append(struct ink_codes *codes, const char *text, size_t n_bytes);
/* As UTF-8. */
void ink_codes_write(struct ink_string *out, const struct ink_codes *codes);
void ink_codes_free(struct ink_codes *codes);

/* White space as Python's str.split and str.strip see it: 29 characters, U+001C to U+001F, U+0085
 * and U+3000 among them, but not U+200B or U+FEFF. */
bool ink_code_is_space(uint32_t c);
bool ink_code_is_digit(uint32_t c); /* 0-9 */
/* Of ASCII; anything else comes back as it is. */
uint32_t ink_code_lower(uint32_t c);

/* A text's words as numbers: [n], malloc'ed; free with ink_free. */
struct ink_words {
    int32_t *ids;
    size_t n;
};
/* Cut both texts at white space and number their words together, from 0: the same number is the
 * same word. INK_ERROR_MEMORY also if one of the builders had failed. On failure both are {0}. */
int ink_words_number(struct ink_words *a, struct ink_words *b, const struct ink_codes *text_a,
                     const struct ink_codes *text_b, struct ink_error *error);

#endif
