/* JSON: a strict gate in front of cJSON, and typed access with errors that name file and key.
 *
 * cJSON accepts more than JSON (raw bytes, NUL escapes that cut strings, trailing text, odd
 * numbers, duplicate keys) and uses 64 bytes a value. The gate checks first, in one pass and
 * without memory: UTF-8 without BOM, RFC 8259 grammar, one value, no \u0000 and no lone surrogate,
 * depth, number of values, size. Duplicate keys of an object and numbers beyond a double's range
 * are refused after parsing. */
#ifndef INK_JSON_H
#define INK_JSON_H

#include "common.h"

#include <cjson/cJSON.h>

struct ink_json_limits {
    size_t max_bytes;
    size_t max_values; /* objects, arrays, strings, numbers, literals and keys together */
    int max_depth;
};

/* For files of a model: 16 MiB, 262,144 values, depth 64. */
extern const struct ink_json_limits ink_json_file_limits;

/* Is text[n] JSON within the limits? Names `what` (a file or "request body") and the byte. */
int ink_json_check(const char *text, size_t n, const struct ink_json_limits *limits,
                   const char *what, struct ink_error *error);

/* Check, then parse. *out is freed with cJSON_Delete. */
int ink_json_parse(cJSON **out, const char *text, size_t n, const struct ink_json_limits *limits,
                   const char *what, struct ink_error *error);

/* Read and parse a file; the root must be an object. INK_ERROR_INPUT if there is none. */
int ink_json_read_file(cJSON **out, const char *path, struct ink_error *error);

/* Member `key` of `object`, or NULL (also if it is JSON null). Case-sensitive. */
const cJSON *ink_json_get(const cJSON *object, const char *key);

/* Typed members. A missing key leaves *out as it was and returns INK_OK, unless `required`.
 * A wrong type or a value outside min..max is INK_ERROR_INPUT. */
int ink_json_get_int(const cJSON *object, const char *key, int min, int max, bool required,
                     int *out, const char *what, struct ink_error *error);
int ink_json_get_float(const cJSON *object, const char *key, double min, double max, bool required,
                       float *out, const char *what, struct ink_error *error);
int ink_json_get_bool(const cJSON *object, const char *key, bool required, bool *out,
                      const char *what, struct ink_error *error);
/* *out points into the tree. */
int ink_json_get_string(const cJSON *object, const char *key, bool required, const char **out,
                        const char *what, struct ink_error *error);

/* Append text as a JSON string with quotes. `text` is UTF-8; bytes that are not become U+FFFD. */
void ink_json_append_string(struct ink_string *s, const char *text, size_t n);

/* The same as Python's json.dumps writes it: everything beyond ASCII as \u escapes. */
void ink_json_append_ascii(struct ink_string *s, const char *text, size_t n);

#endif
