/* A record as a JSON object, and as a line of JSON. */
#include "dataset_internal.h"

#include "utf8.h"

#include <string.h>

static const struct ink_json_limits record_limits = {SIZE_MAX, 262144, 64};

void ink_record_name(struct ink_error *where, const struct ink_dataset *d,
                     const struct ink_record *r)
{
    ink_fail(where, INK_OK, "%s: line %llu", d->info.path, (unsigned long long)r->line);
}

int ink_record_check_text(const char *text, size_t n, const char *where, struct ink_error *error)
{
    const char *zero = memchr(text, '\0', n);
    const size_t valid = ink_utf8_valid_prefix(text, n);
    if (zero && (size_t)(zero - text) < valid) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: a zero byte (byte %llu)", where,
                        (unsigned long long)(zero - text) + 1);
    }
    if (valid < n) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: not UTF-8 (byte %llu); a file in GBK has to be converted first", where,
                        (unsigned long long)valid + 1);
    }
    return INK_OK;
}

static int parse_json(cJSON **out, const char *text, size_t n, const char *where,
                      struct ink_error *error)
{
    int status = ink_json_parse(out, text, n, &record_limits, where, error);
    if (status == INK_OK && !cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        status = ink_fail(error, INK_ERROR_INPUT, "%s: not a JSON object", where);
    }
    return status;
}

static bool add_text(cJSON *object, const char *name, const char *text, size_t n)
{
    char *copy = ink_strndup(text, n);
    cJSON *item = copy ? cJSON_CreateString(copy) : NULL;
    ink_free(copy);
    if (item && cJSON_AddItemToObject(object, name, item)) {
        return true;
    }
    cJSON_Delete(item);
    return false;
}

static int parse_plain(cJSON **out, enum ink_data_format format, const char *text, size_t n,
                       struct ink_error *error)
{
    struct ink_pair pair;
    cJSON *object = cJSON_CreateObject();
    bool is_whole = object != NULL;
    if (format == INK_DATA_LINES) {
        is_whole = is_whole && add_text(object, "text", text, n);
    } else if (ink_pair_split(&pair, text, n)) {
        is_whole = is_whole && add_text(object, "input", pair.question, pair.n_question) &&
                   add_text(object, "output", pair.answer, pair.n_answer);
    }
    if (!is_whole) {
        cJSON_Delete(object);
        return ink_fail_memory(error, n);
    }
    *out = object;
    return INK_OK;
}

int ink_record_parse(const struct ink_dataset *d, cJSON **out, const struct ink_record *r,
                     const char *where, struct ink_error *error)
{
    const char *text = d->data + r->offset;
    *out = NULL;
    int status = ink_record_check_text(text, r->length, where, error);
    if (status != INK_OK) {
        return status;
    }
    if (d->info.format == INK_DATA_JSONL || d->info.format == INK_DATA_JSON) {
        return parse_json(out, text, r->length, where, error);
    }
    if (ink_data_is_table(d->info.format)) {
        return ink_table_read_row(out, &d->columns, d->info.format, text, r->length, where, error);
    }
    return parse_plain(out, d->info.format, text, r->length, error);
}

/* ---------------------------------------------------------------------------------------- writing
 */

/* JSON with ", " and ": " between values and nothing else, which is Python's way: what is inside of
 * strings stays. */
static void append_compact(struct ink_string *out, const char *text, size_t n)
{
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        const char c = text[i];
        if (in_string && c == '\\') {
            ink_string_append(out, text + i++, 2);
            continue;
        }
        if (in_string || !strchr(" \t\r\n", c)) {
            ink_string_append(out, text + i, 1);
        }
        if (!in_string && (c == ',' || c == ':')) {
            ink_string_append(out, " ", 1);
        }
        in_string ^= c == '"';
    }
}

/* A field that gets another name. */
struct renamed {
    const char *from, *to;
};

static int list_renamed(struct renamed out[3], const struct ink_fields *f)
{
    int n = 0;
    if (f->schema == INK_SCHEMA_TEXT) {
        out[n++] = (struct renamed){f->text, "text"};
    } else if (f->schema == INK_SCHEMA_INPUT_OUTPUT) {
        out[n++] = (struct renamed){f->input, "input"};
        out[n++] = (struct renamed){f->output, "output"};
        out[n++] = (struct renamed){f->system, "system"};
    }
    return n;
}

static void append_member(struct ink_string *out, const char *name, const cJSON *value)
{
    ink_string_puts(out, out->data && out->data[out->length - 1] == '{' ? "" : ", ");
    ink_json_append_string(out, name, strlen(name));
    ink_string_puts(out, ": ");
    ink_json_append_string(out, value->valuestring, strlen(value->valuestring));
}

/* Of formats but JSON, which have strings only: fields of the schema first. */
static int append_object(struct ink_string *out, const struct ink_fields *f, const cJSON *object,
                         const char *where, struct ink_error *error)
{
    struct renamed renamed[3];
    const int n = list_renamed(renamed, f);
    ink_string_puts(out, "{");
    for (int k = 0; k < n; k++) {
        const cJSON *value = ink_json_get(object, renamed[k].from);
        if (value) {
            append_member(out, renamed[k].to, value);
        }
    }
    for (const cJSON *item = object->child; item; item = item->next) {
        bool is_done = false;
        const char *clash = NULL;
        for (int k = 0; k < n; k++) {
            is_done |= strcmp(item->string, renamed[k].from) == 0;
            clash = strcmp(item->string, renamed[k].to) == 0 ? renamed[k].from : clash;
        }
        if (!is_done && clash) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: two columns would be \"%s\": that one, and \"%s\"", where,
                            item->string, clash);
        }
        if (!is_done) {
            append_member(out, item->string, item);
        }
    }
    ink_string_puts(out, "}");
    return INK_OK;
}

int ink_dataset_append_record(const struct ink_dataset *d, struct ink_string *out, size_t i,
                              struct ink_error *error)
{
    const struct ink_record *r = &d->records[i];
    if (d->info.format == INK_DATA_JSONL) {
        ink_string_append(out, d->data + r->offset, r->length);
    } else if (d->info.format == INK_DATA_JSON) {
        append_compact(out, d->data + r->offset, r->length);
    } else {
        struct ink_error where;
        cJSON *object;
        ink_record_name(&where, d, r);
        int status = ink_record_parse(d, &object, r, where.message, error);
        if (status != INK_OK) {
            return status;
        }
        status = append_object(out, &d->fields, object, where.message, error);
        cJSON_Delete(object);
        if (status != INK_OK) {
            return status;
        }
    }
    return out->failed ? ink_fail_memory(error, r->length) : INK_OK;
}

int ink_dataset_append_field(const struct ink_dataset *d, struct ink_string *out, size_t i,
                             const char *field, struct ink_error *error)
{
    const struct ink_record *r = &d->records[i];
    struct ink_error where;
    cJSON *object;
    ink_record_name(&where, d, r);
    int status = ink_record_parse(d, &object, r, where.message, error);
    if (status != INK_OK) {
        return status;
    }
    const cJSON *value = ink_json_get(object, field);
    char *printed = value && !cJSON_IsString(value) ? cJSON_PrintUnformatted(value) : NULL;
    if (!value) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is missing", where.message, field);
    } else if (cJSON_IsString(value)) {
        ink_string_puts(out, value->valuestring);
    } else if (printed) {
        ink_string_puts(out, printed);
    }
    if (status == INK_OK && (out->failed || (!cJSON_IsString(value) && !printed))) {
        status = ink_fail_memory(error, r->length);
    }
    cJSON_free(printed);
    cJSON_Delete(object);
    return status;
}
