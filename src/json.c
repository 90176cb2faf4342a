#include "json.h"

#include "file.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct ink_json_limits ink_json_file_limits = {16u << 20, 262144, 64};

/* ---------------------------------------------------------------------------------- the gate */

struct scan {
    const char *text;
    size_t n, at;
    size_t values;
    const struct ink_json_limits *limits;
    const char *what;
    struct ink_error *error;
};

static int reject(const struct scan *s, const char *why)
{
    return ink_fail(s->error, INK_ERROR_INPUT, "%s: not valid JSON: %s (byte %llu)", s->what,
                    ink_text(why), (unsigned long long)s->at);
}

static int peek(const struct scan *s)
{
    return s->at < s->n ? (unsigned char)s->text[s->at] : -1;
}

static void skip_space(struct scan *s)
{
    int c;
    while ((c = peek(s)) == ' ' || c == '\t' || c == '\n' || c == '\r') {
        s->at++;
    }
}

/* Four hex digits at s->at, or -1. */
static int scan_hex4(struct scan *s)
{
    int value = 0;
    for (int i = 0; i < 4; i++, s->at++) {
        int c = peek(s);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static int scan_escape(struct scan *s)
{
    int c = peek(s);
    if (c < 0 || c == 0 || !strchr("\"\\/bfnrtu", c)) {
        return reject(s, "an unknown escape");
    }
    s->at++;
    if (c != 'u') {
        return INK_OK;
    }
    int unit = scan_hex4(s);
    if (unit <= 0) {
        return reject(s, unit < 0 ? "a bad \\u escape" : "\\u0000 in a string");
    }
    if (unit >= 0xD800 && unit <= 0xDBFF && peek(s) == '\\' && s->at + 1 < s->n &&
        s->text[s->at + 1] == 'u') {
        s->at += 2;
        int low = scan_hex4(s);
        return low >= 0xDC00 && low <= 0xDFFF ? INK_OK : reject(s, "a lone surrogate");
    }
    return unit >= 0xD800 && unit <= 0xDFFF ? reject(s, "a lone surrogate") : INK_OK;
}

static int scan_string(struct scan *s)
{
    s->at++; /* the quote */
    for (;;) {
        int c = peek(s);
        if (c < 0) {
            return reject(s, "a string without its end");
        }
        if (c == '"') {
            s->at++;
            return INK_OK;
        }
        if (c < 0x20) {
            return reject(s, "a control character in a string");
        }
        if (c == '\\') {
            s->at++;
            int status = scan_escape(s);
            if (status != INK_OK) {
                return status;
            }
            continue;
        }
        int length = ink_utf8_decode(s->text + s->at, s->n - s->at, NULL);
        if (length <= 0) {
            return reject(s, "text that is not UTF-8");
        }
        s->at += (size_t)length;
    }
}

static bool scan_digits(struct scan *s)
{
    size_t start = s->at;
    while (peek(s) >= '0' && peek(s) <= '9') {
        s->at++;
    }
    return s->at > start;
}

static int scan_number(struct scan *s)
{
    size_t start = s->at;
    if (peek(s) == '-') {
        s->at++;
    }
    if (peek(s) == '0') {
        s->at++;
    } else if (!scan_digits(s)) {
        return reject(s, "an unexpected character");
    }
    if (peek(s) == '.') {
        s->at++;
        if (!scan_digits(s)) {
            return reject(s, "a bad number");
        }
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') {
            s->at++;
        }
        if (!scan_digits(s)) {
            return reject(s, "a bad number");
        }
    }
    if (s->at - start > 60) { /* cJSON copies a number into 64 bytes */
        return reject(s, "a number of more than 60 characters");
    }
    return INK_OK;
}

static int scan_literal(struct scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0) {
        return reject(s, "an unexpected character");
    }
    s->at += n;
    return INK_OK;
}

static int count_value(struct scan *s)
{
    if (++s->values > s->limits->max_values) {
        return ink_fail(s->error, INK_ERROR_INPUT, "%s: too many JSON values (limit %llu)", s->what,
                        (unsigned long long)s->limits->max_values);
    }
    return INK_OK;
}

static int scan_scalar(struct scan *s)
{
    switch (peek(s)) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    case -1:
        return reject(s, "the text ends too early");
    default:
        return scan_number(s);
    }
}

/* "key": at s->at. */
static int scan_key(struct scan *s)
{
    if (peek(s) != '"') {
        return reject(s, "a key without quotes");
    }
    int status = count_value(s);
    if (status == INK_OK) {
        status = scan_string(s);
    }
    if (status == INK_OK) {
        skip_space(s);
        status = peek(s) == ':' ? INK_OK : reject(s, "a key without its colon");
        s->at++;
    }
    return status;
}

/* Open brackets are kept in a small stack, so that depth costs no recursion. */
enum { deepest = 128 };

static int scan_document(struct scan *s)
{
    char open[deepest];
    int depth = 0;
    int limit = s->limits->max_depth < deepest ? s->limits->max_depth : deepest;
    for (;;) {
        skip_space(s);
        int status = count_value(s);
        int c = peek(s);
        if (status == INK_OK && (c == '{' || c == '[')) {
            if (depth == limit) {
                return ink_fail(s->error, INK_ERROR_INPUT, "%s: JSON nested too deep (limit %d)",
                                s->what, limit);
            }
            open[depth++] = (char)(c == '{' ? '}' : ']');
            s->at++;
            skip_space(s);
            if (peek(s) != open[depth - 1]) {
                status = c == '{' ? scan_key(s) : INK_OK;
                if (status != INK_OK) {
                    return status;
                }
                continue;
            }
        } else if (status == INK_OK) {
            status = scan_scalar(s);
        }
        if (status != INK_OK) {
            return status;
        }
        /* after a value, or at the bracket that closes an empty one */
        for (;;) {
            skip_space(s);
            if (depth == 0) {
                return s->at == s->n ? INK_OK : reject(s, "text after the value");
            }
            c = peek(s);
            if (c != open[depth - 1]) {
                break;
            }
            s->at++;
            depth--;
        }
        if (c != ',') {
            return reject(s, c < 0 ? "the text ends too early" : "an unexpected character");
        }
        s->at++;
        if (open[depth - 1] == '}') {
            skip_space(s);
            status = scan_key(s);
            if (status != INK_OK) {
                return status;
            }
        }
    }
}

int ink_json_check(const char *text, size_t n, const struct ink_json_limits *limits,
                   const char *what, struct ink_error *error)
{
    if (n > limits->max_bytes) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: JSON too large (%llu bytes, limit %llu)", what,
                        (unsigned long long)n, (unsigned long long)limits->max_bytes);
    }
    struct scan s = {.text = text, .n = n, .limits = limits, .what = what, .error = error};
    return scan_document(&s);
}

/* ------------------------------------------------------------------------------------- the tree */

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_object_keys(const cJSON *object, const char *what, struct ink_error *error)
{
    size_t n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        n++;
    }
    const char **keys = ink_calloc(n, sizeof *keys);
    if (!keys) {
        return ink_fail_memory(error, n * sizeof *keys);
    }
    n = 0;
    cJSON_ArrayForEach(item, object)
    {
        keys[n++] = item->string;
    }
    qsort(keys, n, sizeof *keys, compare_keys);
    int status = INK_OK;
    for (size_t i = 1; i < n && status == INK_OK; i++) {
        if (strcmp(keys[i - 1], keys[i]) == 0) {
            status = ink_fail(error, INK_ERROR_INPUT, "%s: duplicate key in JSON (\"%s\")", what,
                              keys[i]);
        }
    }
    ink_free(keys);
    return status;
}

/* What the gate cannot see: keys that are equal once unescaped, numbers beyond a double. Depth is
 * bounded by the gate, so recursion is too. */
static int check_tree(const cJSON *node, const char *what, struct ink_error *error)
{
    int status = INK_OK;
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble)) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: a number in JSON is too large", what);
    } else if (cJSON_IsObject(node) && node->child && node->child->next) {
        status = check_object_keys(node, what, error);
    }
    for (const cJSON *child = node->child; child && status == INK_OK; child = child->next) {
        status = check_tree(child, what, error);
    }
    return status;
}

int ink_json_parse(cJSON **out, const char *text, size_t n, const struct ink_json_limits *limits,
                   const char *what, struct ink_error *error)
{
    *out = NULL;
    int status = ink_json_check(text, n, limits, what, error);
    if (status != INK_OK) {
        return status;
    }
    cJSON *tree = cJSON_ParseWithLength(text, n);
    if (!tree) { /* the gate accepts nothing that cJSON refuses */
        return ink_fail_memory(error, n);
    }
    status = check_tree(tree, what, error);
    if (status != INK_OK) {
        cJSON_Delete(tree);
        return status;
    }
    *out = tree;
    return INK_OK;
}

int ink_json_read_file(cJSON **out, const char *path, struct ink_error *error)
{
    *out = NULL;
    struct ink_mapping file;
    int status = ink_map_file(&file, path, error);
    if (status != INK_OK) {
        return status;
    }
    size_t n = file.size > SIZE_MAX ? SIZE_MAX : (size_t)file.size;
    status = ink_json_parse(out, (const char *)file.data, n, &ink_json_file_limits, path, error);
    ink_unmap_file(&file);
    if (status == INK_OK && !cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        status = ink_fail(error, INK_ERROR_INPUT, "%s: not a JSON object", path);
    }
    return status;
}

const cJSON *ink_json_get(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static int missing(const char *key, bool required, const char *what, struct ink_error *error)
{
    return required ? ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is missing", what, key) : INK_OK;
}

static int wrong_type(const char *key, const char *wanted, const char *what,
                      struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, key, ink_text(wanted));
}

int ink_json_get_int(const cJSON *object, const char *key, int min, int max, bool required,
                     int *out, const char *what, struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    if (!item) {
        return missing(key, required, what, error);
    }
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble)) {
        return wrong_type(key, "an integer", what, error);
    }
    if (!(item->valuedouble >= min && item->valuedouble <= max)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %d to %d", what,
                        key, item->valuedouble, min, max);
    }
    *out = (int)item->valuedouble;
    return INK_OK;
}

int ink_json_get_float(const cJSON *object, const char *key, double min, double max, bool required,
                       float *out, const char *what, struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    if (!item) {
        return missing(key, required, what, error);
    }
    if (!cJSON_IsNumber(item)) {
        return wrong_type(key, "a number", what, error);
    }
    if (!(item->valuedouble >= min && item->valuedouble <= max)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %g to %g", what,
                        key, item->valuedouble, min, max);
    }
    *out = (float)item->valuedouble;
    return INK_OK;
}

int ink_json_get_bool(const cJSON *object, const char *key, bool required, bool *out,
                      const char *what, struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    if (!item) {
        return missing(key, required, what, error);
    }
    if (!cJSON_IsBool(item)) {
        return wrong_type(key, "true or false", what, error);
    }
    *out = cJSON_IsTrue(item);
    return INK_OK;
}

int ink_json_get_string(const cJSON *object, const char *key, bool required, const char **out,
                        const char *what, struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    if (!item) {
        return missing(key, required, what, error);
    }
    if (!cJSON_IsString(item)) {
        return wrong_type(key, "a string", what, error);
    }
    *out = item->valuestring;
    return INK_OK;
}

static void append_escaped(struct ink_string *s, unsigned char c)
{
    static const char names[] = "\b\f\n\r\t\"\\";
    static const char letters[] = "bfnrt\"\\";
    const char *found = c ? strchr(names, c) : NULL;
    if (found) {
        ink_string_printf(s, "\\%c", letters[found - names]);
    } else {
        ink_string_printf(s, "\\u%04x", c);
    }
}

void ink_json_append_string(struct ink_string *s, const char *text, size_t n)
{
    struct ink_string clean = {0};
    struct ink_utf8_assembler assembler = {{0}, 0};
    ink_utf8_push(&assembler, &clean, text, n);
    ink_utf8_flush(&assembler, &clean);
    ink_string_puts(s, "\"");
    size_t start = 0;
    for (size_t i = 0; i < clean.length; i++) {
        unsigned char c = (unsigned char)clean.data[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7F) {
            ink_string_append(s, clean.data + start, i - start);
            append_escaped(s, c);
            start = i + 1;
        }
    }
    ink_string_append(s, clean.data ? clean.data + start : "", clean.length - start);
    ink_string_puts(s, "\"");
    s->failed |= clean.failed;
    ink_string_free(&clean);
}

static void append_unit(struct ink_string *s, uint32_t unit)
{
    ink_string_printf(s, "\\u%04x", (unsigned)unit);
}

void ink_json_append_ascii(struct ink_string *s, const char *text, size_t n)
{
    struct ink_string wide = {0};
    ink_json_append_string(&wide, text, n);
    for (size_t i = 0; i < wide.length;) {
        uint32_t c = 0;
        const int length = ink_utf8_decode(wide.data + i, wide.length - i, &c);
        if (c >= 0x10000) {
            append_unit(s, 0xD800 + ((c - 0x10000) >> 10));
            append_unit(s, 0xDC00 + ((c - 0x10000) & 0x3FF));
        } else if (c >= 0x80) {
            append_unit(s, c);
        } else {
            ink_string_append(s, wide.data + i, 1);
        }
        i += length > 0 ? (size_t)length : 1;
    }
    s->failed |= wide.failed;
    ink_string_free(&wide);
}
