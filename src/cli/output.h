/* What goes to stdout, and texts laid out for a terminal. */
#ifndef INK_OUTPUT_H
#define INK_OUTPUT_H

#include "common.h"

#include <stdio.h>

/* Write bytes to stdout. INK_ERROR_SYSTEM with the system's reason (disk full), or without a
 * message if the reader of a pipe has left: it wants no more, and that is no news. */
int ink_output_put(const char *bytes, size_t n, struct ink_error *error);
/* The same for a builder, which also reports memory that ran out while it grew. */
int ink_output_put_string(const struct ink_string *s, struct ink_error *error);
int ink_output_flush(struct ink_error *error);

/* Text that a model wrote, at once visible. On a terminal control characters other than newline
 * and tab are left out: a model must not move the cursor or set colours. */
int ink_output_answer(const char *text, size_t n, struct ink_error *error);

/* Append text, for a terminal without its control characters. */
void ink_output_clean(struct ink_string *out, const char *text, size_t n, bool terminal);

/* Columns that UTF-8 text takes on a terminal: two for East Asian wide characters. */
int ink_output_width(const char *text);
/* Append text, then spaces up to `width` columns. */
void ink_output_pad(struct ink_string *out, const char *text, int width);

/* JSON. Keys with ", " before all but the first of an object: the caller writes the braces. */
void ink_output_key(struct ink_string *out, const char *key);
void ink_output_json_string(struct ink_string *out, const char *key, const char *text);
void ink_output_json_integer(struct ink_string *out, const char *key, uint64_t value);
/* null if it is not finite. Enough digits for a float to come back as it was. */
void ink_output_number(struct ink_string *out, double value);
void ink_output_json_number(struct ink_string *out, const char *key, double value);
void ink_output_json_bool(struct ink_string *out, const char *key, bool value);
void ink_output_ids(struct ink_string *out, const int32_t *ids, size_t n);

#endif
