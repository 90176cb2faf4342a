/* The files of a split, and whose they are. */
#include "split_internal.h"

#include "file.h"
#include "json.h"
#include "sha256.h"

#include <stdio.h>
#include <string.h>

enum { EACH = 1024 };
static const char note_name[] = "split.json";

/* FOLDER/train.json of part k, malloc'ed. */
static char *name_part(const char *folder, int k)
{
    char name[16];
    snprintf(name, sizeof name, "%s.json", ink_split_names[k]);
    return ink_path_join(folder, name);
}

/* ------------------------------------------------------------------------------ what is there */

static int refuse_existing(const char *path, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_SYSTEM,
                    "%s: exists already, and is not as split wrote it (--force replaces it)", path);
}

static void hash_bytes(char hex[65], const void *bytes, uint64_t n)
{
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, bytes, (size_t)n);
    ink_sha256_finish(&sha, hex);
}

/* Has the file the hash that the note says? */
static int check_hash(const char *path, const cJSON *note, int k, struct ink_error *error)
{
    char name[16], hex[65];
    struct ink_mapping file;
    snprintf(name, sizeof name, "%s.json", ink_split_names[k]);
    const cJSON *entry = ink_json_get(ink_json_get(note, "files"), name);
    const cJSON *hash = ink_json_get(entry, "sha256");
    if (!cJSON_IsString(hash) || ink_map_file(&file, path, NULL) != INK_OK) {
        return refuse_existing(path, error);
    }
    hash_bytes(hex, file.data, file.size);
    ink_unmap_file(&file);
    return strcmp(hex, hash->valuestring) == 0 ? INK_OK : refuse_existing(path, error);
}

static int check_part(const char *folder, int k, const struct ink_dataset *d, const cJSON *note,
                      bool force, struct ink_error *error)
{
    char *path = name_part(folder, k);
    int status = INK_OK;
    if (!path) {
        return ink_fail_memory(error, strlen(folder));
    }
    if (ink_dataset_is_of(d, path)) {
        status = ink_fail(error, INK_ERROR_SYSTEM,
                          "%s: is the data itself; name another folder with -o", path);
    } else if (!force && ink_path_kind(path) != INK_PATH_NONE) {
        status = check_hash(path, note, k, error);
    }
    ink_free(path);
    return status;
}

int ink_split_check_folder(const char *folder, const struct ink_dataset *d, bool force,
                           struct ink_error *error)
{
    char *path = ink_path_join(folder, note_name);
    cJSON *note = NULL;
    int status = path ? INK_OK : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK && ink_dataset_is_of(d, path)) {
        status = ink_fail(error, INK_ERROR_SYSTEM,
                          "%s: is the data itself; name another folder with -o", path);
    } else if (status == INK_OK && !force && ink_path_kind(path) != INK_PATH_NONE &&
               (ink_json_read_file(&note, path, NULL) != INK_OK || !ink_json_get(note, "files"))) {
        status = refuse_existing(path, error);
    }
    for (int k = 0; k < INK_SPLIT_PARTS && status == INK_OK; k++) {
        status = check_part(folder, k, d, note, force, error);
    }
    cJSON_Delete(note);
    ink_free(path);
    return status;
}

/* ------------------------------------------------------------------------------------- writing */

struct work {
    const struct ink_dataset *d;
    const struct ink_split *split;
    ink_progress_function *progress;
    void *context;
    struct ink_error *error;
};

static int write_part(struct ink_writer *w, struct ink_split_file *file, const struct work *work,
                      int k)
{
    const struct ink_split *split = work->split;
    struct ink_sha256 sha;
    struct ink_string line = {0};
    int status = INK_OK;
    ink_sha256_start(&sha);
    for (size_t i = split->begin[k]; i < split->begin[k + 1] && status == INK_OK; i++) {
        line.length = 0;
        status = ink_dataset_append_record(work->d, &line, split->order[i], work->error);
        ink_string_puts(&line, "\n");
        if (status == INK_OK && line.failed) {
            status = ink_fail_memory(work->error, line.capacity);
        }
        if (status == INK_OK) {
            ink_sha256_add(&sha, line.data, line.length);
            status = ink_writer_put(w, line.data, line.length, work->error);
        }
        if (status == INK_OK && work->progress && i % EACH == 0 &&
            work->progress(work->context, i, split->n)) {
            status = ink_fail(work->error, INK_ERROR_CANCELLED, "%s: interrupted", file->path);
        }
    }
    ink_sha256_finish(&sha, file->sha256);
    file->n_bytes = w->written;
    ink_string_free(&line);
    return status;
}

static void append_text(struct ink_string *out, const char *key, const char *text)
{
    ink_string_printf(out, "  \"%s\": ", key);
    if (text) {
        ink_json_append_string(out, text, strlen(text));
    } else {
        ink_string_puts(out, "null");
    }
    ink_string_puts(out, ",\n");
}

/* How the parts came about, to see later whether two runs had the same ones. */
static void describe(struct ink_string *out, const struct ink_split_file *files,
                     const struct work *work, const struct ink_split_options *options,
                     const char *source_sha256)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(work->d);
    ink_string_puts(out, "{\n");
    append_text(out, "source", info->path);
    append_text(out, "source_sha256", source_sha256);
    append_text(out, "schema", info->schema_name);
    append_text(out, "seed", options->seed);
    ink_string_printf(out, "  \"ratio\": [%.17g, %.17g, %.17g],\n", options->ratio[0],
                      options->ratio[1], options->ratio[2]);
    append_text(out, "group_by", options->group_by);
    append_text(out, "group_until", options->group_until);
    ink_string_printf(out, "  \"records\": %llu,\n  \"skipped\": %llu,\n  \"files\": {\n",
                      (unsigned long long)work->split->n, (unsigned long long)info->n_bad);
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        ink_string_printf(out, "    \"%s.json\": {\"records\": %llu, \"sha256\": \"%s\"}%s\n",
                          ink_split_names[k],
                          (unsigned long long)(work->split->begin[k + 1] - work->split->begin[k]),
                          files[k].sha256, k + 1 < INK_SPLIT_PARTS ? "," : "");
    }
    ink_string_puts(out, "  }\n}\n");
}

static int write_note(struct ink_writer *w, const char *path, const struct ink_string *note,
                      struct ink_error *error)
{
    int status =
        note->failed ? ink_fail_memory(error, note->capacity) : ink_writer_open(w, path, error);
    return status == INK_OK ? ink_writer_put(w, note->data, note->length, error) : status;
}

static int write_all(struct ink_writer *writers, struct ink_split_file *files,
                     const char *note_path, const struct work *work,
                     const struct ink_split_options *options)
{
    struct ink_string note = {0};
    char source[65];
    int status = INK_OK;
    for (int k = 0; k < INK_SPLIT_PARTS && status == INK_OK; k++) {
        status = ink_writer_open(&writers[k], files[k].path, work->error);
        if (status == INK_OK) {
            status = write_part(&writers[k], &files[k], work, k);
        }
    }
    if (status == INK_OK) {
        ink_dataset_hash(work->d, source);
        describe(&note, files, work, options, source);
        status = write_note(&writers[INK_SPLIT_PARTS], note_path, &note, work->error);
    }
    for (int k = 0; k <= INK_SPLIT_PARTS && status == INK_OK; k++) {
        status = ink_writer_commit(&writers[k], work->error);
    }
    ink_string_free(&note);
    return status;
}

int ink_split_write(struct ink_split_file *files, const char *folder, const struct ink_dataset *d,
                    const struct ink_split *split, const struct ink_split_options *options,
                    ink_progress_function *progress, void *context, struct ink_error *error)
{
    struct ink_writer writers[INK_SPLIT_PARTS + 1] = {{0}};
    const struct work work = {d, split, progress, context, error};
    char *note_path = ink_path_join(folder, note_name);
    int status =
        note_path ? ink_make_folder(folder, error) : ink_fail_memory(error, strlen(folder));
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        files[k] = (struct ink_split_file){.path = name_part(folder, k)};
        if (!files[k].path && status == INK_OK) {
            status = ink_fail_memory(error, strlen(folder));
        }
    }
    if (status == INK_OK) {
        status = write_all(writers, files, note_path, &work, options);
    }
    for (size_t k = 0; k < INK_COUNT(writers); k++) {
        ink_writer_close(&writers[k]);
    }
    ink_free(note_path);
    return status;
}

void ink_split_free_files(struct ink_split_file *files)
{
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        ink_free(files[k].path);
        files[k].path = NULL;
    }
}
