/* Look-ups in the metadata of a GGUF file. */
#include "gguf_internal.h"

#include <string.h>

static const struct ink_gguf_pair *find(const struct ink_gguf *g, const char *key)
{
    size_t low = 0, high = g->n_pairs, n = strlen(key);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ink_gguf_pair *pair = &g->pairs[middle];
        int order = ink_gguf_compare_keys(key, n, pair->key, pair->n_key);
        if (order == 0) {
            return pair;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

static int wrong_type(const struct ink_gguf *g, const char *key, const char *wanted,
                      struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", g->path, key, ink_text(wanted));
}

static int missing(const struct ink_gguf *g, const char *key, bool required,
                   struct ink_error *error)
{
    return required ? ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is missing", g->path, key)
                    : INK_OK;
}

/* The i-th value as an integer; false if it is none, or above INT64_MAX. */
static bool as_integer(int64_t *out, const struct ink_gguf_pair *pair, uint64_t i)
{
    const unsigned char *p = pair->at + i * ink_gguf_value_bytes[pair->type];
    switch (pair->type) {
    case GGUF_U8:
        *out = *p;
        return true;
    case GGUF_I8:
        *out = (int8_t)*p;
        return true;
    case GGUF_U16:
        *out = ink_read_u16(p);
        return true;
    case GGUF_I16:
        *out = (int16_t)ink_read_u16(p);
        return true;
    case GGUF_U32:
        *out = ink_read_u32(p);
        return true;
    case GGUF_I32:
        *out = (int32_t)ink_read_u32(p);
        return true;
    case GGUF_U64:
        *out = (int64_t)ink_read_u64(p);
        return *out >= 0;
    case GGUF_I64:
        *out = (int64_t)ink_read_u64(p);
        return true;
    default:
        return false;
    }
}

static bool as_float(double *out, const struct ink_gguf_pair *pair, uint64_t i)
{
    const unsigned char *p = pair->at + i * ink_gguf_value_bytes[pair->type];
    if (pair->type == GGUF_F32) {
        uint32_t bits = ink_read_u32(p);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = f;
        return true;
    }
    if (pair->type == GGUF_F64) {
        uint64_t bits = ink_read_u64(p);
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    return false;
}

int ink_gguf_get_int(const struct ink_gguf *g, const char *key, int64_t min, int64_t max,
                     bool required, int64_t *out, struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find(g, key);
    int64_t value;
    if (!pair) {
        return missing(g, key, required, error);
    }
    if (pair->is_array || !as_integer(&value, pair, 0)) {
        return wrong_type(g, key, "an integer", error);
    }
    if (value < min || value > max) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %lld, allowed are %lld to %lld",
                        g->path, key, (long long)value, (long long)min, (long long)max);
    }
    *out = value;
    return INK_OK;
}

int ink_gguf_get_float(const struct ink_gguf *g, const char *key, double min, double max,
                       bool required, double *out, struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find(g, key);
    double value;
    if (!pair) {
        return missing(g, key, required, error);
    }
    if (pair->is_array || !as_float(&value, pair, 0)) {
        return wrong_type(g, key, "a number", error);
    }
    if (!(value >= min && value <= max)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %g to %g",
                        g->path, key, value, min, max);
    }
    *out = value;
    return INK_OK;
}

int ink_gguf_get_bool(const struct ink_gguf *g, const char *key, bool required, bool *out,
                      struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find(g, key);
    if (!pair) {
        return missing(g, key, required, error);
    }
    if (pair->is_array || pair->type != GGUF_BOOL) {
        return wrong_type(g, key, "true or false", error);
    }
    *out = *pair->at != 0;
    return INK_OK;
}

/* The string at p; returns what follows it. Lengths were checked when the file was read. */
static const unsigned char *next_string(struct ink_gguf_string *out, const unsigned char *p)
{
    *out = (struct ink_gguf_string){(const char *)p + 8, (size_t)ink_read_u64(p)};
    return p + 8 + out->n;
}

int ink_gguf_get_string(const struct ink_gguf *g, const char *key, bool required,
                        struct ink_gguf_string *out, struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find(g, key);
    if (!pair) {
        return missing(g, key, required, error);
    }
    if (pair->is_array || pair->type != GGUF_STRING) {
        return wrong_type(g, key, "a string", error);
    }
    next_string(out, pair->at);
    return INK_OK;
}

int64_t ink_gguf_array_length(const struct ink_gguf *g, const char *key)
{
    const struct ink_gguf_pair *pair = find(g, key);
    return pair && pair->is_array ? (int64_t)pair->n : -1;
}

/* The array `key` of length n; NULL, with the error set, if there is none. */
static const struct ink_gguf_pair *find_array(const struct ink_gguf *g, const char *key, int64_t n,
                                              struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find(g, key);
    if (!pair) {
        missing(g, key, true, error);
        return NULL;
    }
    if (!pair->is_array) {
        wrong_type(g, key, "an array", error);
        return NULL;
    }
    if ((int64_t)pair->n != n) {
        ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" has %lld elements, not %lld", g->path, key,
                 (long long)pair->n, (long long)n);
        return NULL;
    }
    return pair;
}

int ink_gguf_get_strings(const struct ink_gguf *g, const char *key, struct ink_gguf_string *out,
                         int64_t n, struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find_array(g, key, n, error);
    if (!pair) {
        return INK_ERROR_INPUT;
    }
    if (pair->type != GGUF_STRING) {
        return wrong_type(g, key, "an array of strings", error);
    }
    const unsigned char *p = pair->at;
    for (int64_t i = 0; i < n; i++) {
        p = next_string(&out[i], p);
    }
    return INK_OK;
}

int ink_gguf_get_floats(const struct ink_gguf *g, const char *key, float *out, int64_t n,
                        struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find_array(g, key, n, error);
    if (!pair) {
        return INK_ERROR_INPUT;
    }
    for (int64_t i = 0; i < n; i++) {
        double value;
        if (!as_float(&value, pair, (uint64_t)i)) {
            return wrong_type(g, key, "an array of numbers", error);
        }
        out[i] = (float)value;
    }
    return INK_OK;
}

int ink_gguf_get_ints(const struct ink_gguf *g, const char *key, int32_t *out, int64_t n,
                      struct ink_error *error)
{
    const struct ink_gguf_pair *pair = find_array(g, key, n, error);
    if (!pair) {
        return INK_ERROR_INPUT;
    }
    for (int64_t i = 0; i < n; i++) {
        int64_t value;
        if (!as_integer(&value, pair, (uint64_t)i) || value < INT32_MIN || value > INT32_MAX) {
            return wrong_type(g, key, "an array of 32-bit integers", error);
        }
        out[i] = (int32_t)value;
    }
    return INK_OK;
}
