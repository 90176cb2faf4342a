#include "export.h"

#include "export_files.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

/* ----------------------------------------------------------------------------- model.safetensors
 */

/* float32 first: where types are mixed, every tensor then starts at a multiple of its size. */
static int sort_by_type(struct ink_export *e, struct ink_error *error)
{
    struct ink_export_item *sorted = ink_calloc((size_t)e->n_items, sizeof *sorted);
    int n = 0;
    if (!sorted) {
        return ink_fail_memory(error, (uint64_t)e->n_items * sizeof *sorted);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < e->n_items; i++) {
            if ((e->items[i].type == INK_TYPE_F32) == (pass == 0)) {
                sorted[n++] = e->items[i];
            }
        }
    }
    ink_free(e->items);
    e->items = sorted;
    return INK_OK;
}

static int put_header(const struct ink_export *e, struct ink_writer *w, struct ink_error *error)
{
    struct ink_safetensors_entry *entries = ink_calloc((size_t)e->n_items, sizeof *entries);
    struct ink_string header = {0};
    int status = entries ? INK_OK : ink_fail_memory(error, (uint64_t)e->n_items * sizeof *entries);
    for (int i = 0; i < e->n_items && status == INK_OK; i++) {
        const struct ink_export_item *item = &e->items[i];
        entries[i] = (struct ink_safetensors_entry){item->name, item->type, item->tensor->shape,
                                                    item->tensor->n_dims};
    }
    if (status == INK_OK) {
        status = ink_safetensors_make_header(&header, entries, e->n_items, error);
    }
    if (status == INK_OK) {
        status = ink_writer_put(w, header.data, header.length, error);
    }
    ink_string_free(&header);
    ink_free(entries);
    return status;
}

static int put_safetensors(struct ink_export *e, struct ink_writer *w, struct ink_error *error)
{
    int status = put_header(e, w, error);
    for (int i = 0; i < e->n_items && status == INK_OK; i++) {
        status = ink_export_put_item(e, w, &e->items[i], error);
    }
    return status;
}

static int write_weights(struct ink_export *e, const char *folder, struct ink_error *error)
{
    struct ink_writer w = {0};
    char *path = ink_path_join(folder, "model.safetensors");
    int status = path ? sort_by_type(e, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status = ink_writer_open(&w, path, error);
    }
    if (status == INK_OK) {
        status = put_safetensors(e, &w, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&w, error);
    }
    ink_writer_close(&w);
    ink_free(path);
    return status;
}

/* ----------------------------------------------------------------------------------- the folder */

static enum ink_type folder_type(const struct ink_export *e)
{
    enum ink_type type = e->items[0].type;
    for (int i = 1; i < e->n_items; i++) { /* a mixed file loses nothing in float32 only */
        type = e->items[i].type == type ? type : INK_TYPE_F32;
    }
    return type;
}

static int write_files(struct ink_export *e, const char *folder, struct ink_error *error)
{
    int status = ink_export_put_files(e->model, folder_type(e), folder, error);
    return status == INK_OK ? write_weights(e, folder, error) : status;
}

/* A name beside the target that is not taken: two exports at once must not share a folder. */
static char *temporary_name(const struct ink_export *e)
{
    const size_t size = strlen(e->out_path) + 48;
    char *name = ink_malloc(size);
    for (unsigned i = 0; name; i++) {
        const uint64_t seed = (uint64_t)(ink_system_seconds() * 1e9) ^ (uint64_t)(uintptr_t)name;
        snprintf(name, size, "%s.tmp-%08lx%u", e->out_path,
                 (unsigned long)(seed * 0x9E3779B97F4A7C15u >> 32), i);
        if (ink_path_kind(name) == INK_PATH_NONE) {
            break;
        }
    }
    return name;
}

int ink_export_write_folder(struct ink_export *e, struct ink_error *error)
{
    char *folder = temporary_name(e);
    if (!folder) {
        return ink_fail_memory(error, strlen(e->out_path));
    }
    int status = ink_make_folder(folder, error);
    if (status == INK_OK) {
        status = write_files(e, folder, error);
        if (status == INK_OK) {
            status = ink_rename_folder(folder, e->out_path, error);
        }
        if (status != INK_OK) {
            ink_remove_folder(folder);
        }
    }
    ink_free(folder);
    return status;
}
