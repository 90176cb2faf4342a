#include "log.h"

#include "json.h"
#include "platform.h"

#include <math.h>
#include <string.h>

/* A text is cut there, so that a line fits a pipe's atomic write (4096 bytes) in all but odd cases.
 */
enum { MAX_TEXT = 1024 };

struct ink_log {
    enum ink_log_format format;
};

struct ink_log *ink_log_new(enum ink_log_format format)
{
    struct ink_log *log = ink_malloc(sizeof *log);
    if (log) {
        log->format = format;
    }
    return log;
}

void ink_log_free(struct ink_log *log)
{
    ink_free(log);
}

/* ------------------------------------------------------------------------------------- values */

/* As JSON, and also without the control characters U+0080 to U+009F, which move some terminals. */
static void append_quoted(struct ink_string *out, const char *text)
{
    struct ink_string quoted = {0};
    const size_t n = strlen(text);
    if (n > MAX_TEXT) {
        struct ink_string cut = {0};
        size_t end = MAX_TEXT;
        while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80) {
            end--;
        }
        ink_string_append(&cut, text, end);
        ink_string_puts(&cut, "...");
        ink_json_append_string(&quoted, cut.data ? cut.data : "", cut.length);
        out->failed |= cut.failed;
        ink_string_free(&cut);
    } else {
        ink_json_append_string(&quoted, text, n);
    }
    size_t start = 0;
    for (size_t i = 0; i + 1 < quoted.length; i++) {
        const unsigned char *c = (const unsigned char *)quoted.data + i;
        if (c[0] == 0xC2 && c[1] < 0xA0) {
            ink_string_append(out, quoted.data + start, i - start);
            ink_string_printf(out, "\\u%04x", c[1]);
            start = i + 2;
        }
    }
    ink_string_append(out, quoted.data ? quoted.data + start : "", quoted.length - start);
    out->failed |= quoted.failed;
    ink_string_free(&quoted);
}

/* A word needs no quotes. */
static bool is_word(const char *text)
{
    static const char signs[] = "-_./:@%+,*[]";
    size_t n = 0;
    for (; text[n] && n < MAX_TEXT; n++) {
        const char c = text[n];
        const bool is_plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                              (c >= 'a' && c <= 'z') || strchr(signs, c);
        if (!is_plain) {
            return false;
        }
    }
    return n > 0 && !text[n];
}

static void append_number(struct ink_string *out, double number)
{
    if (!isfinite(number)) {
        ink_string_puts(out, "null");
    } else if (number == floor(number) && fabs(number) < 1e15) {
        ink_string_printf(out, "%.0f", number);
    } else {
        ink_string_printf(out, "%.6g", number);
    }
}

/* -------------------------------------------------------------------------------------- lines */

static void append_text_line(struct ink_string *out, const char *time, const char *level,
                             const char *event, const struct ink_log_field *fields, int n)
{
    ink_string_printf(out, "%s %s %s", time, level, event);
    for (int i = 0; i < n; i++) {
        ink_string_printf(out, " %s=", fields[i].key);
        if (!fields[i].text) {
            append_number(out, fields[i].number);
        } else if (is_word(fields[i].text)) {
            ink_string_puts(out, fields[i].text);
        } else {
            append_quoted(out, fields[i].text);
        }
    }
}

static void append_json_line(struct ink_string *out, const char *time, const char *level,
                             const char *event, const struct ink_log_field *fields, int n)
{
    ink_string_printf(out, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"", time, level,
                      event);
    for (int i = 0; i < n; i++) {
        ink_string_puts(out, ",");
        append_quoted(out, fields[i].key);
        ink_string_puts(out, ":");
        if (fields[i].text) {
            append_quoted(out, fields[i].text);
        } else {
            append_number(out, fields[i].number);
        }
    }
    ink_string_puts(out, "}");
}

void ink_log_event(struct ink_log *log, const char *level, const char *event,
                   const struct ink_log_field *fields, int n_fields)
{
    if (!log) {
        return;
    }
    char time[INK_PLATFORM_TIME_SIZE];
    ink_platform_time(time);
    struct ink_string line = {0};
    if (log->format == INK_LOG_JSON) {
        append_json_line(&line, time, level, event, fields, n_fields);
    } else {
        append_text_line(&line, time, level, event, fields, n_fields);
    }
    ink_string_puts(&line, "\n");
    if (!line.failed) {
        ink_platform_write_error(line.data, line.length);
    }
    ink_string_free(&line);
}
