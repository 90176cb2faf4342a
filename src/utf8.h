/* UTF-8: decoding, validity, and putting characters together from a stream of bytes. */
#ifndef INK_UTF8_H
#define INK_UTF8_H

#include "common.h"

/* Length of the well-formed character that starts at s[0..n), 1..4, its scalar value in *c (may
 * be NULL). 0: ill-formed. -1: well-formed so far, but s ends inside it. n >= 1.
 * Surrogates, overlong forms and values above U+10FFFF are ill-formed. */
int ink_utf8_decode(const char *s, size_t n, uint32_t *c);

/* Bytes of the longest valid prefix; n if all of it is valid. */
size_t ink_utf8_valid_prefix(const char *s, size_t n);

/* Write c as UTF-8 into out[4]; returns its length, 0 if c is no scalar value. */
int ink_utf8_encode(char *out, uint32_t c);

/* Puts characters together from bytes that come in pieces. Bytes that can never become a
 * character are given out as U+FFFD, one for each maximal ill-formed part (as Unicode recommends
 * and as Python's errors="replace" does); up to 3 bytes of an unfinished character are held. */
struct ink_utf8_assembler {
    unsigned char held[4];
    int n_held;
};
/* Append to *out what the bytes complete. */
void ink_utf8_push(struct ink_utf8_assembler *a, struct ink_string *out, const char *bytes,
                   size_t n);
/* Append U+FFFD for what is held, if anything; then empty. */
void ink_utf8_flush(struct ink_utf8_assembler *a, struct ink_string *out);

#endif
