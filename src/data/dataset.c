#include "dataset_internal.h"

#include "sha256.h"

#include <string.h>

/* ---------------------------------------------------------------------------------------- names */

static const char *const format_names[INK_DATA_FORMAT_COUNT] = {
    "auto", "jsonl", "json", "csv", "tsv", "tsv-plain", "qa", "lines",
};
static const char *const schema_names[INK_SCHEMA_COUNT] = {
    "auto", "input-output", "alpaca", "erniekit", "sharegpt", "messages", "text",
};

static int find_name(const char *const *names, int n, const char *name)
{
    int i = 0;
    while (i < n && strcmp(names[i], name) != 0) {
        i++;
    }
    return i;
}

const char *ink_data_format_name(enum ink_data_format format)
{
    return format_names[format];
}

enum ink_data_format ink_data_format_find(const char *name)
{
    return (enum ink_data_format)find_name(format_names, INK_DATA_FORMAT_COUNT, name);
}

const char *ink_data_schema_name(enum ink_schema schema)
{
    return schema_names[schema];
}

enum ink_schema ink_data_schema_find(const char *name)
{
    return (enum ink_schema)find_name(schema_names, INK_SCHEMA_COUNT, name);
}

const char *ink_role_name(enum ink_role role)
{
    static const char *const names[] = {"system", "user", "assistant", "text"};
    return names[role];
}

void ink_sample_free(struct ink_sample *sample)
{
    ink_free(sample->turns);
    ink_string_free(&sample->memory);
    *sample = (struct ink_sample){0};
}

/* ---------------------------------------------------------------------------------------- index */

static int add_record(struct ink_dataset *d, const struct ink_record *r, struct ink_error *error)
{
    if (d->info.n_samples == INK_DATA_MAX_RECORDS) {
        return ink_fail(error, INK_ERROR_LIMIT, "%s: more than %d records", d->info.path,
                        INK_DATA_MAX_RECORDS);
    }
    if (d->info.n_samples == d->capacity) {
        const size_t capacity = d->capacity ? d->capacity + d->capacity / 2 : 1024;
        struct ink_record *records = ink_realloc(d->records, capacity, sizeof *records);
        if (!records) {
            return ink_fail_memory(error, capacity * sizeof *records);
        }
        d->records = records;
        d->capacity = capacity;
    }
    d->records[d->info.n_samples++] = *r;
    return INK_OK;
}

static int check_record(struct ink_dataset *d, const struct ink_record *r,
                        struct ink_sample *sample, struct ink_error *error)
{
    struct ink_error where;
    cJSON *object;
    ink_record_name(&where, d, r);
    int status = ink_record_parse(d, &object, r, where.message, error);
    if (status == INK_OK && d->fields.schema == INK_SCHEMA_AUTO) {
        struct ink_fields fields;
        status = ink_fields_detect(&fields, &d->options, object, where.message, error);
        if (status == INK_OK) {
            d->fields = fields;
        }
    }
    if (status == INK_OK) {
        status = ink_turns_read(sample, &d->fields, object, where.message, error);
    }
    cJSON_Delete(object);
    return status == INK_OK ? add_record(d, r, error) : status;
}

/* A broken record is counted, or ends the reading. */
static int take_status(struct ink_dataset *d, int status, const struct ink_error *reason,
                       struct ink_error *error)
{
    if (status == INK_ERROR_INPUT && d->options.skip_bad) {
        d->info.n_bad++;
        if (d->info.n_bad == 1) {
            d->first_bad = *reason;
            d->info.first_bad = d->first_bad.message;
        }
        return INK_OK;
    }
    if (status != INK_OK && error) {
        *error = *reason;
    }
    return status;
}

static int read_header(struct ink_dataset *d, struct ink_scan *scan, struct ink_error *error)
{
    struct ink_record header;
    struct ink_error where;
    bool got;
    int status = ink_scan_next(scan, &header, &got, error);
    if (status == INK_OK && got) {
        ink_record_name(&where, d, &header);
        status =
            ink_record_check_text(d->data + header.offset, header.length, where.message, error);
    }
    if (status == INK_OK && got) {
        status = ink_table_read_header(&d->columns, d->info.format, d->data + header.offset,
                                       header.length, where.message, error);
    }
    return status;
}

static int read_records(struct ink_dataset *d, struct ink_error *error)
{
    struct ink_scan scan = {.path = d->info.path,
                            .data = d->data,
                            .n = d->n,
                            .line = 1,
                            .format = d->info.format,
                            .max_line = d->options.max_line};
    struct ink_sample sample = {0};
    bool got = true;
    int status = ink_data_is_table(d->info.format) ? read_header(d, &scan, error) : INK_OK;
    while (status == INK_OK && got) {
        struct ink_record record;
        struct ink_error reason = {0};
        int found = ink_scan_next(&scan, &record, &got, &reason);
        const bool goes_on = found == INK_ERROR_INPUT && !scan.is_stuck;
        if (found == INK_OK && got) {
            found = check_record(d, &record, &sample, &reason);
        }
        if (scan.is_stuck && found != INK_OK) {
            d->options.skip_bad = false; /* the rest of the file is lost, not a record */
        }
        status = take_status(d, found, &reason, error);
        got |= goes_on;
    }
    ink_sample_free(&sample);
    return status;
}

/* ------------------------------------------------------------------------------------- open, close
 */

static int copy_options(struct ink_dataset *d, const struct ink_dataset_options *options,
                        const char *path, struct ink_error *error)
{
    const char **names[] = {&d->options.input_field, &d->options.output_field,
                            &d->options.system_field, &d->options.text_field};
    d->options = options ? *options : (struct ink_dataset_options){0};
    d->options.max_line = d->options.max_line ? d->options.max_line : INK_DATA_MAX_LINE;
    d->info.format = d->options.format;
    d->path = ink_strdup(path);
    d->info.path = d->path;
    bool failed = !d->path;
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        if (*names[i]) {
            d->names[i] = ink_strdup(*names[i]);
            failed |= !d->names[i];
            *names[i] = d->names[i];
        }
    }
    return failed ? ink_fail_memory(error, strlen(path)) : INK_OK;
}

/* Look at the first bytes: what the file is, and where its text starts. */
static int look(struct ink_dataset *d, struct ink_error *error)
{
    static const char utf8_mark[] = "\xEF\xBB\xBF";
    const char *path = d->info.path, *data = (const char *)d->file.data;
    const size_t n = (size_t)d->file.size;
    if (ink_is_lfs_pointer(&d->file)) {
        return ink_fail(
            error, INK_ERROR_INPUT,
            "%s: a Git LFS pointer, not the file itself; run git lfs pull in its folder", path);
    }
    if (n >= 2 && (memcmp(data, "\xFF\xFE", 2) == 0 || memcmp(data, "\xFE\xFF", 2) == 0)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: UTF-16 text; it must be saved as UTF-8", path);
    }
    const size_t mark = n >= 3 && memcmp(data, utf8_mark, 3) == 0 ? 3 : 0;
    d->data = data + mark;
    d->n = n - mark;
    if (d->info.format == INK_DATA_AUTO) {
        d->info.format = ink_scan_detect(path, d->data, d->n);
    }
    if (d->info.format == INK_DATA_AUTO) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: its format cannot be told (--format jsonl, json, csv, tsv, tsv-plain, "
                        "qa or lines)",
                        path);
    }
    return INK_OK;
}

static int check_result(struct ink_dataset *d, struct ink_error *error)
{
    if (d->info.n_samples > 0) {
        d->info.schema = d->fields.schema;
        d->info.schema_name = d->fields.name;
        d->info.input_field = d->fields.input;
        d->info.output_field = d->fields.output;
        return INK_OK;
    }
    if (d->info.n_bad > 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: all %llu records are broken; the first: %s",
                        d->info.path, (unsigned long long)d->info.n_bad, d->info.first_bad);
    }
    return ink_fail(error, INK_ERROR_INPUT, "%s: holds no records", d->info.path);
}

int ink_dataset_open_mapped(struct ink_dataset **out, struct ink_mapping *file, const char *path,
                            const struct ink_dataset_options *options, struct ink_error *error)
{
    struct ink_dataset *d = ink_calloc(1, sizeof *d);
    *out = NULL;
    if (!d) {
        ink_unmap_file(file);
        return ink_fail_memory(error, sizeof *d);
    }
    d->file = *file;
    *file = (struct ink_mapping){0};
    int status = copy_options(d, options, path, error);
    if (status == INK_OK) {
        status = look(d, error);
    }
    if (status == INK_OK) {
        status = read_records(d, error);
    }
    if (status == INK_OK) {
        status = check_result(d, error);
    }
    if (status != INK_OK) {
        ink_dataset_close(d);
        return status;
    }
    *out = d;
    return INK_OK;
}

int ink_dataset_open(struct ink_dataset **out, const char *path,
                     const struct ink_dataset_options *options, struct ink_error *error)
{
    struct ink_mapping file;
    *out = NULL;
    int status = ink_map_file(&file, path, error);
    return status == INK_OK ? ink_dataset_open_mapped(out, &file, path, options, error) : status;
}

void ink_dataset_close(struct ink_dataset *d)
{
    if (d) {
        ink_columns_free(&d->columns);
        ink_unmap_file(&d->file);
        for (size_t i = 0; i < INK_COUNT(d->names); i++) {
            ink_free(d->names[i]);
        }
        ink_free(d->path);
        ink_free(d->records);
        ink_free(d);
    }
}

const struct ink_dataset_info *ink_dataset_get_info(const struct ink_dataset *d)
{
    return &d->info;
}

void ink_dataset_hash(const struct ink_dataset *d, char hex[65])
{
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, d->file.data, (size_t)d->file.size);
    ink_sha256_finish(&sha, hex);
}

bool ink_dataset_is_of(const struct ink_dataset *d, const char *path)
{
    return ink_mapping_is_of(&d->file, path);
}

/* ---------------------------------------------------------------------------------------- reading
 */

int ink_dataset_read(const struct ink_dataset *d, struct ink_sample *out, size_t i,
                     struct ink_error *error)
{
    struct ink_error where;
    cJSON *object;
    ink_record_name(&where, d, &d->records[i]);
    int status = ink_record_parse(d, &object, &d->records[i], where.message, error);
    if (status == INK_OK) {
        status = ink_turns_read(out, &d->fields, object, where.message, error);
        out->line = d->records[i].line;
    }
    cJSON_Delete(object);
    return status;
}
