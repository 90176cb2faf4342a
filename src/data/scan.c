/* Where records begin and end, without memory of their contents. */
#include "dataset_internal.h"

#include <string.h>

enum { KEEP_MAPPED = 32 << 20 }; /* bytes behind the scan that stay in memory */

static int refuse(const struct ink_scan *s, const char *why, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: line %llu: %s", s->path,
                    (unsigned long long)s->line, ink_text(why));
}

static int refuse_length(const struct ink_scan *s, uint64_t line, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: line %llu: a record longer than %llu bytes, the limit", s->path,
                    (unsigned long long)line, (unsigned long long)s->max_line);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* --------------------------------------------------------------------------------------- lines */

/* Go behind the line at s->at, in pieces: it may be far longer than memory should hold. */
static void pass_line(struct ink_scan *s)
{
    const char *newline = NULL;
    while (s->at < s->n && !newline) {
        const size_t left = s->n - s->at, part = left < KEEP_MAPPED ? left : KEEP_MAPPED;
        const char *from = s->data + s->at;
        newline = memchr(from, '\n', part);
        s->at += newline ? (size_t)(newline - from) + 1 : part;
        if (!newline && part == KEEP_MAPPED) {
            ink_release_mapped(from, part);
        }
    }
    s->line += newline != NULL;
}

/* To the first line that is not blank; false if there is none. */
static bool pass_blank(struct ink_scan *s)
{
    for (size_t i = s->at; i < s->n && is_space(s->data[i]); i++) {
        if (s->data[i] == '\n') {
            s->at = i + 1;
            s->line++;
        } else if (i + 1 == s->n) {
            s->at = s->n;
        }
    }
    return s->at < s->n;
}

/* Bytes of the line at data[at], without its newline, which *next is behind; false if it is too
 * long. */
static bool measure_line(const struct ink_scan *s, size_t at, size_t *length, size_t *next)
{
    const size_t left = s->n - at;
    const size_t most = left < s->max_line + 2 ? left : s->max_line + 2;
    const char *from = s->data + at, *newline = memchr(from, '\n', most);
    size_t n = newline ? (size_t)(newline - from) : left;
    if (!newline && left > most) {
        return false;
    }
    *next = at + n + (newline != NULL);
    n -= n > 0 && from[n - 1] == '\r';
    *length = n;
    return n <= s->max_line;
}

static int next_line(struct ink_scan *s, struct ink_record *out, bool *got, struct ink_error *error)
{
    size_t length, next;
    *got = pass_blank(s);
    if (!*got) {
        return INK_OK;
    }
    if (!measure_line(s, s->at, &length, &next)) {
        s->skip_line = true;
        return refuse_length(s, s->line, error);
    }
    *out = (struct ink_record){s->at, length, s->line};
    s->at = next;
    s->line++;
    return INK_OK;
}

/* ------------------------------------------------------------------------------ q: and a: lines */

/* A line, or a line and the next one that is not blank. */
static int next_pair(struct ink_scan *s, struct ink_record *out, bool *got, struct ink_error *error)
{
    struct ink_pair pair;
    int status = next_line(s, out, got, error);
    if (status != INK_OK || !*got) {
        return status;
    }
    const char *text = s->data + out->offset;
    size_t n = out->length;
    ink_pair_trim(&text, &n);
    if (ink_pair_match_marker(text, n, true) == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: line %llu: does not begin with \"q:\"",
                        s->path, (unsigned long long)out->line);
    }
    if (ink_pair_split(&pair, text, n)) {
        return INK_OK;
    }
    size_t length, next;
    if (pass_blank(s) && measure_line(s, s->at, &length, &next)) {
        text = s->data + s->at;
        n = length;
        ink_pair_trim(&text, &n);
        if (ink_pair_match_marker(text, n, false) > 0) {
            out->length = s->at + length - out->offset;
            s->at = next;
            s->line++;
            return out->length <= s->max_line ? INK_OK : refuse_length(s, out->line, error);
        }
    }
    return ink_fail(error, INK_ERROR_INPUT, "%s: line %llu: a question without its \"a:\"", s->path,
                    (unsigned long long)out->line);
}

/* ---------------------------------------------------------------------------------------- rows */

static uint64_t count_lines(const char *text, size_t n)
{
    uint64_t count = 0;
    for (const char *at = text; (at = memchr(at, '\n', n - (size_t)(at - text))) != NULL; at++) {
        count++;
    }
    return count;
}

static int next_row(struct ink_scan *s, struct ink_record *out, bool *got, struct ink_error *error)
{
    *got = pass_blank(s);
    if (!*got) {
        return INK_OK;
    }
    const size_t left = s->n - s->at;
    const size_t most = left <= s->max_line ? left : s->max_line + 1;
    size_t length;
    const char *why = ink_table_find_end(s->format, s->data + s->at, most, &length);
    if (most < left && length == most) {
        s->skip_line = true;
        return refuse_length(s, s->line, error);
    }
    if (why) {
        s->skip_line = true;
        return refuse(s, why, error);
    }
    *out = (struct ink_record){s->at, length, s->line};
    s->line += count_lines(s->data + s->at, length);
    s->at += length;
    pass_line(s); /* what is left of it: the newline */
    return INK_OK;
}

/* --------------------------------------------------------------------------------------- arrays */

static void pass_space(struct ink_scan *s)
{
    for (; s->at < s->n && is_space(s->data[s->at]); s->at++) {
        s->line += s->data[s->at] == '\n';
    }
}

static int break_array(struct ink_scan *s, const char *why, struct ink_error *error)
{
    s->is_stuck = true;
    return refuse(s, why, error);
}

/* Bytes of the value at text: to where its brackets are closed, or a scalar ends. SIZE_MAX if that
 * is not in text[0..n). */
static size_t measure_value(const char *text, size_t n)
{
    int64_t depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (depth > 0 && (c == '}' || c == ']')) {
            if (--depth == 0) {
                return i + 1;
            }
        } else if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_space(c))) {
            return i;
        }
    }
    return depth > 0 || in_string ? SIZE_MAX : n;
}

/* At the closing bracket. */
static int end_array(struct ink_scan *s, struct ink_error *error)
{
    s->at++;
    pass_space(s);
    return s->at == s->n ? INK_OK : break_array(s, "text after the end of the array", error);
}

static int next_element(struct ink_scan *s, struct ink_record *out, bool *got,
                        struct ink_error *error)
{
    pass_space(s);
    if (!s->is_in_array) {
        if (s->at == s->n || s->data[s->at] != '[') {
            return break_array(s, "not a JSON array", error);
        }
        s->is_in_array = true;
        s->at++;
        pass_space(s);
    } else if (s->at == s->n && !s->is_after_value) {
        return INK_OK; /* the end was seen */
    }
    if (s->at < s->n && s->data[s->at] == ']') {
        s->is_after_value = false;
        return end_array(s, error);
    }
    if (s->is_after_value) {
        if (s->at == s->n || s->data[s->at] != ',') {
            return break_array(s, "a comma or the array's closing bracket is missing", error);
        }
        s->at++;
        pass_space(s);
    }
    const size_t left = s->n - s->at;
    const size_t most = left <= s->max_line ? left : s->max_line + 1;
    const size_t length = measure_value(s->data + s->at, most);
    if (length >= most && most < left) {
        s->is_stuck = true;
        return refuse_length(s, s->line, error);
    }
    if (length > left || length == 0) {
        return break_array(s, "an element of the array is missing, or has no end", error);
    }
    *out = (struct ink_record){s->at, length, s->line};
    s->line += count_lines(s->data + s->at, length);
    s->at += length;
    s->is_after_value = true;
    *got = true;
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- formats */

static void release_behind(const struct ink_scan *s, size_t before)
{
    if (s->at / KEEP_MAPPED > before / KEEP_MAPPED) {
        const size_t from = before / KEEP_MAPPED * KEEP_MAPPED;
        ink_release_mapped(s->data + from, s->at / KEEP_MAPPED * KEEP_MAPPED - from);
    }
}

int ink_scan_next(struct ink_scan *s, struct ink_record *out, bool *got, struct ink_error *error)
{
    const size_t before = s->at;
    int status;
    *got = false;
    if (s->is_stuck) {
        return INK_OK;
    }
    if (s->skip_line) {
        s->skip_line = false;
        pass_line(s);
    }
    switch (s->format) {
    case INK_DATA_JSON:
        status = next_element(s, out, got, error);
        break;
    case INK_DATA_CSV:
    case INK_DATA_TSV:
    case INK_DATA_TSV_PLAIN:
        status = next_row(s, out, got, error);
        break;
    case INK_DATA_QA:
        status = next_pair(s, out, got, error);
        break;
    default:
        status = next_line(s, out, got, error);
    }
    release_behind(s, before);
    *got = *got && status == INK_OK;
    return status;
}

static bool has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(path), n_ending = strlen(ending);
    if (n < n_ending) {
        return false;
    }
    for (size_t i = 0; i < n_ending; i++) {
        const char c = path[n - n_ending + i];
        if ((c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c) != ending[i]) {
            return false;
        }
    }
    return true;
}

enum ink_data_format ink_scan_detect(const char *path, const char *data, size_t n)
{
    ink_pair_trim(&data, &n);
    const size_t line = n < 65536 ? n : 65536;
    const char *newline = memchr(data, '\n', line);
    if (has_ending(path, ".csv")) {
        return INK_DATA_CSV;
    }
    if (has_ending(path, ".tsv")) {
        return INK_DATA_TSV;
    }
    if (n > 0 && data[0] == '[') {
        return INK_DATA_JSON;
    }
    if (n == 0 || data[0] == '{') {
        return INK_DATA_JSONL;
    }
    if (ink_pair_match_marker(data, n, true) > 0) {
        return INK_DATA_QA;
    }
    return memchr(data, '\t', newline ? (size_t)(newline - data) : line) ? INK_DATA_TSV
                                                                         : INK_DATA_AUTO;
}
