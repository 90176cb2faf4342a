/* CSV and TSV: rows, fields, a header. */
#include "dataset_internal.h"

#include <string.h>

bool ink_data_is_table(enum ink_data_format format)
{
    return format == INK_DATA_CSV || format == INK_DATA_TSV || format == INK_DATA_TSV_PLAIN;
}

struct cursor {
    const char *text;
    size_t n, at;
    char separator;
    bool has_quotes;
};

static struct cursor start(enum ink_data_format format, const char *text, size_t n)
{
    return (struct cursor){.text = text,
                           .n = n,
                           .separator = format == INK_DATA_CSV ? ',' : '\t',
                           .has_quotes = format != INK_DATA_TSV_PLAIN};
}

static bool is_row_end(const struct cursor *c)
{
    return c->at == c->n || c->text[c->at] == '\n' ||
           (c->text[c->at] == '\r' && (c->at + 1 == c->n || c->text[c->at + 1] == '\n'));
}

/* After the opening quote; to behind the closing one. */
static const char *take_quoted(struct cursor *c, struct ink_string *out)
{
    for (;;) {
        const char *from = c->text + c->at;
        const char *quote = memchr(from, '"', c->n - c->at);
        if (!quote) {
            c->at = c->n;
            return "a quoted field without its closing quote";
        }
        const bool is_doubled = quote + 1 < c->text + c->n && quote[1] == '"';
        if (out) {
            ink_string_append(out, from, (size_t)(quote - from) + is_doubled);
        }
        c->at = (size_t)(quote - c->text) + 1 + is_doubled;
        if (!is_doubled) {
            return NULL;
        }
    }
}

/* The field at c->at, and the separator behind it if there is one (*more). */
static const char *take_field(struct cursor *c, struct ink_string *out, bool *more)
{
    const char *why = NULL;
    if (c->has_quotes && c->at < c->n && c->text[c->at] == '"') {
        c->at++;
        why = take_quoted(c, out);
    } else {
        const size_t from = c->at;
        while (!is_row_end(c) && c->text[c->at] != c->separator) {
            c->at++;
        }
        if (out) {
            ink_string_append(out, c->text + from, c->at - from);
        }
    }
    *more = !why && !is_row_end(c) && c->text[c->at] == c->separator;
    if (!why && !*more && !is_row_end(c)) {
        return "text after the closing quote of a field (a quote inside it must be doubled)";
    }
    c->at += *more;
    return why;
}

const char *ink_table_find_end(enum ink_data_format format, const char *text, size_t n, size_t *end)
{
    struct cursor c = start(format, text, n);
    const char *why = NULL;
    for (bool more = true; more && !why;) {
        why = take_field(&c, NULL, &more);
    }
    *end = c.at;
    return why;
}

/* ------------------------------------------------------------------------------------- header */

void ink_columns_free(struct ink_columns *columns)
{
    for (int i = 0; i < columns->n; i++) {
        ink_free(columns->names[i]);
    }
    ink_free(columns->names);
    *columns = (struct ink_columns){0};
}

static int add_column(struct ink_columns *columns, const struct ink_string *name, const char *where,
                      struct ink_error *error)
{
    enum { most = 4096 };
    const char *text = name->data ? name->data : "";
    if (columns->n == most) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: too many columns (limit %d)", where, most);
    }
    for (int i = 0; i < columns->n; i++) {
        if (strcmp(columns->names[i], text) == 0) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: two columns have the name \"%.80s\"",
                            where, text);
        }
    }
    char **names = ink_realloc(columns->names, (size_t)columns->n + 1, sizeof *names);
    if (!names) {
        return ink_fail_memory(error, ((size_t)columns->n + 1) * sizeof *names);
    }
    columns->names = names;
    names[columns->n] = ink_strdup(text);
    if (!names[columns->n]) {
        return ink_fail_memory(error, name->length);
    }
    columns->n++;
    return INK_OK;
}

int ink_table_read_header(struct ink_columns *out, enum ink_data_format format, const char *text,
                          size_t n, const char *where, struct ink_error *error)
{
    struct cursor c = start(format, text, n);
    struct ink_string name = {0};
    int status = INK_OK;
    for (bool more = true; more && status == INK_OK;) {
        name.length = 0;
        ink_string_puts(&name, "");
        const char *why = take_field(&c, &name, &more);
        status = why           ? ink_fail(error, INK_ERROR_INPUT, "%s: %s", where, ink_text(why))
                 : name.failed ? ink_fail_memory(error, n)
                               : add_column(out, &name, where, error);
    }
    ink_string_free(&name);
    return status;
}

/* --------------------------------------------------------------------------------------- rows */

static bool add_value(cJSON *object, const char *name, const struct ink_string *value)
{
    cJSON *item = value->failed ? NULL : cJSON_CreateString(value->data ? value->data : "");
    if (item && cJSON_AddItemToObject(object, name, item)) {
        return true;
    }
    cJSON_Delete(item);
    return false;
}

static int read_row(cJSON *object, const struct ink_columns *columns, struct cursor *c,
                    struct ink_string *value, const char *where, struct ink_error *error)
{
    int n = 0;
    for (bool more = true; more; n++) {
        value->length = 0;
        ink_string_puts(value, "");
        const char *why = take_field(c, value, &more);
        if (why) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: %s", where, ink_text(why));
        }
        if (n < columns->n && !add_value(object, columns->names[n], value)) {
            return ink_fail_memory(error, c->n);
        }
    }
    if (n != columns->n) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: %d fields, but the header has %d", where, n,
                        columns->n);
    }
    return INK_OK;
}

int ink_table_read_row(cJSON **out, const struct ink_columns *columns, enum ink_data_format format,
                       const char *text, size_t n, const char *where, struct ink_error *error)
{
    struct cursor c = start(format, text, n);
    struct ink_string value = {0};
    cJSON *object = cJSON_CreateObject();
    int status = object ? read_row(object, columns, &c, &value, where, error)
                        : ink_fail_memory(error, sizeof *object);
    ink_string_free(&value);
    if (status != INK_OK) {
        cJSON_Delete(object);
        object = NULL;
    }
    *out = object;
    return status;
}
