#include "output.h"
#include "terminal.h"
#include "json.h"
#include "utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int fail_write(int reason, struct ink_error *error)
{
    if (reason == EPIPE) {
        *error = (struct ink_error){.code = INK_ERROR_SYSTEM};
        return INK_ERROR_SYSTEM;
    }
    return ink_fail(error, INK_ERROR_SYSTEM, "standard output: %s",
                    reason ? strerror(reason) : ink_text("write failed"));
}

int ink_output_put(const char *bytes, size_t n, struct ink_error *error)
{
    errno = 0;
    if (n > 0 && fwrite(bytes, 1, n, stdout) != n) {
        return fail_write(errno, error);
    }
    return INK_OK;
}

int ink_output_put_string(const struct ink_string *s, struct ink_error *error)
{
    if (s->failed) {
        return ink_fail_memory(error, s->capacity);
    }
    return ink_output_put(s->data, s->length, error);
}

int ink_output_flush(struct ink_error *error)
{
    errno = 0;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        return fail_write(errno, error);
    }
    return INK_OK;
}

/* Bytes of the control character that text[0..n) starts with: 0 if it starts with none, 2 for
 * U+0080 to U+009F, of which some terminals take U+009B for an escape. */
static size_t control_length(const char *text, size_t n)
{
    unsigned char c = (unsigned char)text[0];
    if (c == 0xc2 && n > 1 && (unsigned char)text[1] < 0xa0) {
        return 2;
    }
    return (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

int ink_output_answer(const char *text, size_t n, struct ink_error *error)
{
    bool filter = ink_terminal_is(INK_STDOUT);
    int status = INK_OK;
    for (size_t from = 0; from < n && status == INK_OK;) {
        size_t to = from, control = 0;
        while (to < n && !(filter && (control = control_length(text + to, n - to)) > 0)) {
            to++;
        }
        status = ink_output_put(text + from, to - from, error);
        from = to + control;
    }
    return status == INK_OK ? ink_output_flush(error) : status;
}

void ink_output_clean(struct ink_string *out, const char *text, size_t n, bool terminal)
{
    for (size_t from = 0; from < n;) {
        size_t control = terminal ? control_length(text + from, n - from) : 0;
        if (control == 0) {
            ink_string_append(out, text + from, 1);
        }
        from += control > 0 ? control : 1;
    }
}

/* The blocks that matter here: Hangul Jamo, CJK and kana, Hangul, compatibility and full-width
 * forms, supplementary ideographs. */
static bool is_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x20000 && c <= 0x3fffd);
}

int ink_output_width(const char *text)
{
    int width = 0;
    size_t n = strlen(text);
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        int length = ink_utf8_decode(text + i, n - i, &c);
        width += length > 0 && is_wide(c) ? 2 : 1;
        i += length > 0 ? (size_t)length : 1;
    }
    return width;
}

void ink_output_pad(struct ink_string *out, const char *text, int width)
{
    ink_string_puts(out, text);
    for (int column = ink_output_width(text); column < width; column++) {
        ink_string_append(out, " ", 1);
    }
}

void ink_output_key(struct ink_string *out, const char *key)
{
    if (out->length > 0 && out->data[out->length - 1] != '{') {
        ink_string_puts(out, ", ");
    }
    ink_json_append_string(out, key, strlen(key));
    ink_string_puts(out, ": ");
}

void ink_output_json_string(struct ink_string *out, const char *key, const char *text)
{
    ink_output_key(out, key);
    if (text) {
        ink_json_append_string(out, text, strlen(text));
    } else {
        ink_string_puts(out, "null");
    }
}

void ink_output_json_integer(struct ink_string *out, const char *key, uint64_t value)
{
    ink_output_key(out, key);
    ink_string_printf(out, "%llu", (unsigned long long)value);
}

void ink_output_number(struct ink_string *out, double value)
{
    char text[32];
    if (!isfinite(value)) {
        ink_string_puts(out, "null");
        return;
    }
    snprintf(text, sizeof text, "%.6g", value);
    if ((float)strtod(text, NULL) != (float)value) {
        snprintf(text, sizeof text, "%.9g", value);
    }
    ink_string_puts(out, text);
}

void ink_output_json_number(struct ink_string *out, const char *key, double value)
{
    ink_output_key(out, key);
    ink_output_number(out, value);
}

void ink_output_json_bool(struct ink_string *out, const char *key, bool value)
{
    ink_output_key(out, key);
    ink_string_puts(out, value ? "true" : "false");
}

void ink_output_ids(struct ink_string *out, const int32_t *ids, size_t n)
{
    ink_string_append(out, "[", 1);
    for (size_t i = 0; i < n; i++) {
        ink_string_printf(out, i ? ", %d" : "%d", (int)ids[i]);
    }
    ink_string_append(out, "]", 1);
}
