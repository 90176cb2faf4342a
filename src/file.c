#include "file_internal.h"

#include "system.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool ink_is_lfs_pointer(const struct ink_mapping *mapping)
{
    static const char start[] = "version https://git-lfs";
    size_t n = sizeof start - 1;
    return mapping->size >= n && memcmp(mapping->data, start, n) == 0;
}

/* ------------------------------------------------------------------------------------- writing */

/* A new file beside `path` that nobody else writes: a number is appended while its name is taken.
 * NULL and errno. */
static FILE *create_temporary(char *name, size_t size, const char *path)
{
    FILE *f = NULL;
    errno = EEXIST;
    for (int i = 0; i < 1000 && !f && errno == EEXIST; i++) {
        snprintf(name, size, i ? "%s.tmp-%ld-%d" : "%s.tmp-%ld", path, ink_system_process(), i);
        f = ink_file_create(name);
    }
    return f;
}

int ink_writer_open(struct ink_writer *w, const char *path, struct ink_error *error)
{
    *w = (struct ink_writer){0};
    const enum ink_path_kind kind = ink_path_kind(path);
    if (kind == INK_PATH_FOLDER || kind == INK_PATH_OTHER) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: is there and is no regular file", path);
    }
    const size_t size = strlen(path) + 48;
    char *temporary = ink_malloc(size);
    int status = INK_OK;
    w->path = ink_strdup(path);
    if (!w->path || !temporary) {
        status = ink_fail_memory(error, size);
    } else if (!(w->stream = create_temporary(temporary, size, path))) {
        status = ink_fail_write(error, path, errno);
    }
    if (status != INK_OK) {
        ink_free(temporary);
        ink_writer_close(w);
        return status;
    }
    w->temporary = temporary;
    return INK_OK;
}

int ink_writer_open_log(struct ink_writer *w, const char *path, struct ink_error *error)
{
    *w = (struct ink_writer){.path = ink_strdup(path)};
    if (!w->path) {
        return ink_fail_memory(error, strlen(path));
    }
    w->stream = ink_file_create(path);
    if (!w->stream) {
        ink_fail_write(error, path, errno);
        ink_writer_close(w);
        return INK_ERROR_SYSTEM;
    }
    return INK_OK;
}

int ink_writer_flush(struct ink_writer *w, struct ink_error *error)
{
    return fflush(w->stream) == 0 ? INK_OK : ink_fail_write(error, w->path, errno);
}

int ink_writer_put(struct ink_writer *w, const void *bytes, size_t n, struct ink_error *error)
{
    if (n > 0 && fwrite(bytes, 1, n, w->stream) != n) {
        return ink_fail_write(error, w->path, errno);
    }
    w->written += n;
    return INK_OK;
}

int ink_writer_align(struct ink_writer *w, size_t alignment, struct ink_error *error)
{
    static const char zeros[64];
    int status = INK_OK;
    size_t n = (size_t)((alignment - w->written % alignment) % alignment);
    while (n > 0 && status == INK_OK) {
        size_t part = n < sizeof zeros ? n : sizeof zeros;
        status = ink_writer_put(w, zeros, part, error);
        n -= part;
    }
    return status;
}

int ink_writer_commit(struct ink_writer *w, struct ink_error *error)
{
    FILE *f = w->stream;
    bool failed = fflush(f) != 0 || !ink_file_sync(f);
    int reason = errno;
    w->stream = NULL;
    if (fclose(f) != 0 && !failed) {
        failed = true;
        reason = errno;
    }
    int status = failed ? ink_fail_write(error, w->path, reason)
                        : ink_file_replace(w->temporary, w->path, error);
    if (status == INK_OK) {
        ink_free(w->temporary);
        w->temporary = NULL;
    }
    return status;
}

void ink_writer_close(struct ink_writer *w)
{
    if (w->stream) {
        fclose(w->stream);
    }
    if (w->temporary) {
        ink_file_remove(w->temporary);
    }
    ink_free(w->temporary);
    ink_free(w->path);
    *w = (struct ink_writer){0};
}

int ink_write_file(const char *folder, const char *name, const void *bytes, size_t n,
                   struct ink_error *error)
{
    struct ink_writer w = {0};
    char *path = ink_path_join(folder, name);
    int status = path ? ink_writer_open(&w, path, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status = ink_writer_put(&w, bytes, n, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&w, error);
    }
    ink_writer_close(&w);
    ink_free(path);
    return status;
}
