#include "input.h"
#include "interrupt.h"
#include "terminal.h"

#include <errno.h>
#include <string.h>

int ink_lines_open(struct ink_lines *lines, const char *path, struct ink_error *error)
{
    *lines = (struct ink_lines){.name = path ? path : ink_text("standard input")};
    if (path) {
        lines->file = ink_terminal_open_file(path);
        if (!lines->file) {
            return ink_fail_open(error, path, errno);
        }
    }
    return INK_OK;
}

void ink_lines_close(struct ink_lines *lines)
{
    if (lines->file) {
        fclose(lines->file);
        lines->file = NULL;
    }
}

static long read_some(struct ink_lines *lines)
{
    if (!lines->file) {
        return ink_terminal_read(lines->held, sizeof lines->held);
    }
    errno = 0;
    size_t n = fread(lines->held, 1, sizeof lines->held, lines->file);
    return n == 0 && ferror(lines->file) ? -1 : (long)n;
}

/* The next bytes into held[]; *got is false at the end. */
static int fill(struct ink_lines *lines, bool *got, struct ink_error *error)
{
    lines->taken = lines->n_held = 0;
    long n;
    while ((n = read_some(lines)) < 0 && errno == EINTR) {
        if (ink_interrupt_pending()) {
            return ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted", lines->name);
        }
    }
    if (n < 0) {
        return ink_fail_open(error, lines->name, errno);
    }
    lines->n_held = (size_t)n;
    lines->ended = n == 0;
    *got = n > 0;
    return INK_OK;
}

int ink_lines_next(struct ink_lines *lines, struct ink_string *line, bool *got,
                   struct ink_error *error)
{
    bool more = true;
    *got = false;
    line->length = 0;
    ink_string_puts(line, "");
    while (!lines->ended) {
        if (lines->taken == lines->n_held) {
            int status = fill(lines, &more, error);
            if (status != INK_OK || !more) {
                lines->number += *got;
                return status;
            }
        }
        *got = true;
        const char *from = lines->held + lines->taken;
        size_t n = lines->n_held - lines->taken;
        const char *end = memchr(from, '\n', n);
        n = end ? (size_t)(end - from) : n;
        if (n > INK_MAX_INPUT - line->length) {
            return ink_fail(error, INK_ERROR_LIMIT, "%s: line %llu is longer than %d bytes",
                            lines->name, (unsigned long long)lines->number + 1, INK_MAX_INPUT);
        }
        ink_string_append(line, from, n);
        if (line->failed) {
            return ink_fail_memory(error, INK_MAX_INPUT);
        }
        lines->taken += n + (end != NULL);
        if (end) {
            lines->number++;
            return INK_OK;
        }
    }
    return INK_OK;
}

static int read_all(struct ink_string *text, struct ink_lines *lines, struct ink_error *error)
{
    ink_string_puts(text, "");
    for (;;) {
        bool more = false;
        int status = fill(lines, &more, error);
        if (status != INK_OK || !more) {
            return status;
        }
        if (lines->n_held > INK_MAX_INPUT - text->length) {
            return ink_fail(error, INK_ERROR_LIMIT, "%s: longer than %d bytes", lines->name,
                            INK_MAX_INPUT);
        }
        ink_string_append(text, lines->held, lines->n_held);
        if (text->failed) {
            return ink_fail_memory(error, text->length + lines->n_held);
        }
    }
}

int ink_input_read_text(struct ink_string *text, const char *path, struct ink_error *error)
{
    struct ink_lines lines;
    int status = ink_lines_open(&lines, path, error);
    if (status == INK_OK) {
        status = read_all(text, &lines, error);
    }
    ink_lines_close(&lines);
    if (status == INK_OK && text->length > 0 && text->data[text->length - 1] == '\n') {
        text->length--;
        text->length -= text->length > 0 && text->data[text->length - 1] == '\r';
        text->data[text->length] = '\0';
    }
    return status;
}

static bool is_separator(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ',';
}

/* One number at text[*i]; false if there is none. Saturates far above any id. */
static bool take_number(const char *text, size_t n, size_t *i, uint64_t *value)
{
    size_t start = *i;
    *value = 0;
    for (; *i < n && text[*i] >= '0' && text[*i] <= '9'; ++*i) {
        if (*value < UINT32_MAX) {
            *value = *value * 10 + (uint64_t)(text[*i] - '0');
        }
    }
    return *i > start && (*i == n || is_separator(text[*i]));
}

int ink_input_parse_ids(int32_t **out, size_t *n, const char *text, size_t n_text, int vocab_size,
                        const char *where, int code, struct ink_error *error)
{
    *out = NULL;
    *n = 0;
    size_t i = 0, end = n_text;
    while (i < end && is_separator(text[i])) {
        i++;
    }
    while (end > i && is_separator(text[end - 1])) {
        end--;
    }
    if (i < end && text[i] == '[') {
        if (text[end - 1] != ']') {
            return ink_fail(error, code, "%s: the closing bracket is missing", where);
        }
        i++;
        end--;
    }
    int32_t *ids = ink_malloc(((end - i) / 2 + 1) * sizeof *ids); /* a digit and a separator each */
    if (!ids) {
        return ink_fail_memory(error, (end - i) / 2 * sizeof *ids);
    }
    size_t count = 0;
    for (; i < end; i++) {
        uint64_t value;
        if (is_separator(text[i])) {
            continue;
        }
        if (!take_number(text, end, &i, &value)) {
            ink_free(ids);
            return ink_fail(error, code, "%s: not a token id (byte %llu)", where,
                            (unsigned long long)i + 1);
        }
        if (value >= (uint64_t)vocab_size) {
            ink_free(ids);
            return ink_fail(error, code, "%s: token id %llu is not in the range 0..%d", where,
                            (unsigned long long)value, vocab_size - 1);
        }
        ids[count++] = (int32_t)value;
    }
    *out = ids;
    *n = count;
    return INK_OK;
}
