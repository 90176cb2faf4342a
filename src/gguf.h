/* GGUF metadata: typed look-ups over the key/value pairs of an opened file.
 * Strings and arrays point into the mapping; strings are length-counted, not zero-terminated. */
#ifndef INK_GGUF_H
#define INK_GGUF_H

#include "common.h"

struct ink_gguf;
void ink_gguf_close(struct ink_gguf *g); /* for ink_weights_close */

struct ink_gguf_string {
    const char *data; /* valid UTF-8 is not promised */
    size_t n;
};

/* A missing key leaves *out as it was and returns INK_OK, unless `required`. A key of another type
 * is INK_ERROR_INPUT. Integers of every width are accepted where the value fits min..max. */
int ink_gguf_get_int(const struct ink_gguf *g, const char *key, int64_t min, int64_t max,
                     bool required, int64_t *out, struct ink_error *error);
int ink_gguf_get_float(const struct ink_gguf *g, const char *key, double min, double max,
                       bool required, double *out, struct ink_error *error);
int ink_gguf_get_bool(const struct ink_gguf *g, const char *key, bool required, bool *out,
                      struct ink_error *error);
int ink_gguf_get_string(const struct ink_gguf *g, const char *key, bool required,
                        struct ink_gguf_string *out, struct ink_error *error);

/* Arrays: length, or -1 if the key is missing. Element i must be below the length. */
int64_t ink_gguf_array_length(const struct ink_gguf *g, const char *key);
/* Copy a whole array of strings, floats or integers; `n` must be its length. INK_ERROR_INPUT if
 * the element type differs. Strings point into the mapping. */
int ink_gguf_get_strings(const struct ink_gguf *g, const char *key, struct ink_gguf_string *out,
                         int64_t n, struct ink_error *error);
int ink_gguf_get_floats(const struct ink_gguf *g, const char *key, float *out, int64_t n,
                        struct ink_error *error);
int ink_gguf_get_ints(const struct ink_gguf *g, const char *key, int32_t *out, int64_t n,
                      struct ink_error *error);

#endif
