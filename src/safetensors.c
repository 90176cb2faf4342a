/* safetensors: u64 length of a JSON header, the header, the data of the tensors without gaps. */
#include "weights.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { max_header = 16 << 20 };

struct file {
    struct ink_weights *w;
    const char *path;
    struct ink_error *error;
    const unsigned char *data; /* [n_data]: what follows the header */
    uint64_t n_data;
    struct span *spans; /* [n_spans]: where the tensors lie in the data */
    size_t n_spans;
};

struct span {
    uint64_t begin, end;
    const char *name;
};

static int bad_tensor(const struct file *f, const char *name, const char *why)
{
    return ink_fail(f->error, INK_ERROR_INPUT, "%s: tensor \"%s\": %s", f->path, name,
                    ink_text(why));
}

/* A JSON number that is an integer and can be told exactly from its neighbours. */
static bool read_integer(int64_t *out, const cJSON *item)
{
    double v = item->valuedouble;
    if (!cJSON_IsNumber(item) || !(v >= 0 && v <= 9007199254740991.0) || v != (double)(int64_t)v) {
        return false;
    }
    *out = (int64_t)v;
    return true;
}

static int read_type(enum ink_type *out, const struct file *f, const cJSON *item)
{
    static const enum ink_type types[] = {INK_TYPE_F32, INK_TYPE_F16, INK_TYPE_BF16};
    const cJSON *dtype = ink_json_get(item, "dtype");
    if (!cJSON_IsString(dtype)) {
        return bad_tensor(f, item->string, "\"dtype\" is missing or not a string");
    }
    for (size_t i = 0; i < INK_COUNT(types); i++) {
        if (strcmp(dtype->valuestring, ink_type_facts(types[i])->name) == 0) {
            *out = types[i];
            return INK_OK;
        }
    }
    return ink_fail(f->error, INK_ERROR_INPUT,
                    "%s: tensor \"%s\" has elements of type \"%s\" (supported are F32, F16 "
                    "and BF16)",
                    f->path, item->string,
                    strlen(dtype->valuestring) < 32 ? dtype->valuestring : "?");
}

static int read_shape(int64_t *shape, int *n_dims, const struct file *f, const cJSON *item)
{
    const cJSON *list = ink_json_get(item, "shape");
    if (!cJSON_IsArray(list)) {
        return bad_tensor(f, item->string, "\"shape\" is missing or not a list");
    }
    const cJSON *dim;
    *n_dims = 0;
    cJSON_ArrayForEach(dim, list)
    {
        int64_t length;
        if (!read_integer(&length, dim)) {
            return bad_tensor(f, item->string, "\"shape\" holds something else than 0 to 2^53 - 1");
        }
        if (*n_dims < INK_MAX_DIMS) {
            shape[*n_dims] = length;
        }
        (*n_dims)++;
    }
    return INK_OK;
}

static int read_offsets(struct span *span, const struct file *f, const cJSON *item)
{
    const cJSON *list = ink_json_get(item, "data_offsets");
    int64_t begin, end;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 ||
        !read_integer(&begin, list->child) || !read_integer(&end, list->child->next)) {
        return bad_tensor(f, item->string, "\"data_offsets\" is missing or not two integers");
    }
    if (begin > end) {
        return bad_tensor(f, item->string, "its data ends before it begins");
    }
    if ((uint64_t)end > f->n_data) {
        return ink_fail(f->error, INK_ERROR_INPUT,
                        "%s: tensor \"%s\" ends at byte %lld of the data, but the file has "
                        "only %llu: is it cut off?",
                        f->path, item->string, (long long)end, (unsigned long long)f->n_data);
    }
    *span = (struct span){(uint64_t)begin, (uint64_t)end, item->string};
    return INK_OK;
}

static int read_tensor(struct file *f, const cJSON *item)
{
    int status = ink_weights_check_name(item->string, strlen(item->string), f->path, f->error);
    if (status != INK_OK) {
        return status;
    }
    if (!cJSON_IsObject(item)) {
        return bad_tensor(f, item->string, "its entry is not a JSON object");
    }
    enum ink_type type = INK_TYPE_F32;
    int64_t shape[INK_MAX_DIMS] = {0};
    int n_dims = 0;
    struct span *span = &f->spans[f->n_spans];
    status = read_type(&type, f, item);
    if (status == INK_OK) {
        status = read_shape(shape, &n_dims, f, item);
    }
    if (status == INK_OK) {
        status = read_offsets(span, f, item);
    }
    if (status == INK_OK) {
        f->n_spans++;
        status = ink_weights_add(f->w, item->string, strlen(item->string), type, shape, n_dims,
                                 f->data + span->begin, span->end - span->begin, f->path, f->error);
    }
    return status;
}

static int check_metadata(const struct file *f, const cJSON *metadata)
{
    const cJSON *item;
    bool is_good = cJSON_IsObject(metadata);
    cJSON_ArrayForEach(item, metadata)
    {
        is_good = is_good && cJSON_IsString(item);
    }
    return is_good ? INK_OK
                   : ink_fail(f->error, INK_ERROR_INPUT,
                              "%s: \"__metadata__\" is not an object of strings", f->path);
}

static int compare_spans(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* The format asks that the tensors cover the data exactly: nothing can hide in the file. */
static int check_coverage(struct file *f)
{
    qsort(f->spans, f->n_spans, sizeof *f->spans, compare_spans);
    uint64_t at = 0;
    for (size_t i = 0; i < f->n_spans; i++) {
        if (f->spans[i].begin < at) {
            return bad_tensor(f, f->spans[i].name, "its data overlaps another tensor's");
        }
        if (f->spans[i].begin > at) {
            return bad_tensor(f, f->spans[i].name, "there are unused bytes before its data");
        }
        at = f->spans[i].end;
    }
    if (at != f->n_data) {
        return ink_fail(f->error, INK_ERROR_INPUT,
                        "%s: %llu bytes after the last tensor belong to none", f->path,
                        (unsigned long long)(f->n_data - at));
    }
    return INK_OK;
}

static int read_header(struct file *f, const cJSON *header)
{
    size_t n = (size_t)cJSON_GetArraySize(header);
    f->spans = ink_calloc(n, sizeof *f->spans);
    if (!f->spans) {
        return ink_fail_memory(f->error, n * sizeof *f->spans);
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, header)
    {
        int status = strcmp(item->string, "__metadata__") == 0 ? check_metadata(f, item)
                                                               : read_tensor(f, item);
        if (status != INK_OK) {
            return status;
        }
    }
    return check_coverage(f);
}

int ink_safetensors_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                         struct ink_error *error)
{
    if (file->size < 8) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: too short for a safetensors file (%llu bytes)",
                        path, (unsigned long long)file->size);
    }
    uint64_t n_header = ink_read_u64(file->data);
    if (n_header > max_header) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: not a safetensors file, or its header is too long (%llu bytes, limit "
                        "%d)",
                        path, (unsigned long long)n_header, max_header);
    }
    if (n_header > file->size - 8) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: the file ends inside its header (%llu bytes of %llu)", path,
                        (unsigned long long)(file->size - 8), (unsigned long long)n_header);
    }
    if (n_header == 0 || file->data[8] != '{') {
        return ink_fail(error, INK_ERROR_INPUT, "%s: the header does not start with \"{\"", path);
    }
    cJSON *header = NULL;
    int status = ink_json_parse(&header, (const char *)file->data + 8, (size_t)n_header,
                                &ink_json_file_limits, path, error);
    struct file f = {.w = w,
                     .path = path,
                     .error = error,
                     .data = file->data + 8 + n_header,
                     .n_data = file->size - 8 - n_header};
    if (status == INK_OK) {
        status = read_header(&f, header);
    }
    ink_free(f.spans);
    cJSON_Delete(header);
    return status;
}

/* ------------------------------------------------------------------------------------- writing */

static uint64_t entry_bytes(const struct ink_safetensors_entry *e)
{
    uint64_t n = 1;
    for (int d = 0; d < e->n_dims; d++) {
        n *= (uint64_t)e->shape[d];
    }
    return ink_type_bytes(e->type, n);
}

int ink_safetensors_make_header(struct ink_string *out, const struct ink_safetensors_entry *entries,
                                int n, struct ink_error *error)
{
    uint64_t offset = 0;
    ink_string_append(out, "        ", 8); /* the length, filled in below */
    ink_string_puts(out, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (int i = 0; i < n; i++) {
        const struct ink_safetensors_entry *e = &entries[i];
        ink_string_puts(out, ",");
        ink_json_append_string(out, e->name, strlen(e->name));
        ink_string_printf(out, ":{\"dtype\":\"%s\",\"shape\":[", ink_type_facts(e->type)->name);
        for (int d = 0; d < e->n_dims; d++) {
            ink_string_printf(out, "%s%lld", d ? "," : "", (long long)e->shape[d]);
        }
        ink_string_printf(out, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                          (unsigned long long)(offset + entry_bytes(e)));
        offset += entry_bytes(e);
    }
    ink_string_puts(out, "}");
    ink_string_append(out, "       ", (8 - out->length % 8) % 8);
    if (out->failed) {
        return ink_fail_memory(error, out->length);
    }
    for (int i = 0; i < 8; i++) {
        out->data[i] = (char)((uint64_t)(out->length - 8) >> 8 * i);
    }
    return INK_OK;
}
