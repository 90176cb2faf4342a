/* Exact match: is an answer the expected one? */
#ifndef INK_EVAL_MATCH_H
#define INK_EVAL_MATCH_H

#include "codes.h"

/* *is: the same characters, but for white space at both ends. UTF-8 texts; INK_ERROR_MEMORY is all
 * that can go wrong. */
int ink_match_raw(bool *is, const char *a, size_t n_a, const char *b, size_t n_b,
                  struct ink_error *error);

/* *is: equal once both are normalised. */
int ink_match_normalised(bool *is, const char *a, size_t n_a, const char *b, size_t n_b,
                         struct ink_error *error);

/* Append normalised UTF-8 text [n_bytes]: full-width forms of ASCII (U+FF01 to U+FF5E) become
 * ASCII, the ideographic full stop a ".", ASCII letters small ones; white space goes, but for one
 * space between two ASCII characters; then the marks . , ; : ! ? and white space at the end go. */
void ink_match_normalise(struct ink_codes *out, const char *text, size_t n_bytes);

#endif
