/* Files: mapped for reading, and written aside then renamed. file.c, file_posix.c, file_win32.c.
 * Paths are UTF-8 on every system. */
#ifndef INK_FILE_H
#define INK_FILE_H

#include "common.h"

/* A whole regular file, mapped read-only and shared. Folders, FIFOs and devices are refused. An
 * empty file has size 0 and data "". Start with {0}. */
struct ink_mapping {
    const unsigned char *data;
    uint64_t size;
    void *handle;
    uint64_t identity[2]; /* volume and number of the file there */
};
int ink_map_file(struct ink_mapping *out, const char *path, struct ink_error *error);
void ink_unmap_file(struct ink_mapping *mapping);
/* Does `path` name the mapped file, be it through a link? */
bool ink_mapping_is_of(const struct ink_mapping *mapping, const char *path);
/* The pages that n mapped bytes lie on leave this process's memory until they are read again: what
 * goes through a large file once stays small. No more than a hint. */
void ink_release_mapped(const void *from, size_t n);
/* Is this what Git leaves in place of a large file until "git lfs pull"? */
bool ink_is_lfs_pointer(const struct ink_mapping *mapping);

enum ink_path_kind { INK_PATH_NONE, INK_PATH_FILE, INK_PATH_FOLDER, INK_PATH_OTHER };
enum ink_path_kind ink_path_kind(const char *path);
/* The folder that `path` is in ("." where it names none), to be freed with ink_free; NULL if memory
 * runs out. */
char *ink_path_folder(const char *path);
/* Do both paths name the same existing file or folder? */
bool ink_path_is_same(const char *a, const char *b);

/* A new file that appears under its name only when it is whole: written to a new file beside it,
 * "PATH.tmp-PROCESS", then fsync, rename, fsync of the folder. A process that is killed leaves the
 * temporary behind, and PATH as it was. */
struct ink_writer {
    char *path, *temporary;
    void *stream; /* FILE * */
    uint64_t written;
};
int ink_writer_open(struct ink_writer *w, const char *path, struct ink_error *error);
int ink_writer_put(struct ink_writer *w, const void *bytes, size_t n, struct ink_error *error);
/* Zero bytes up to a multiple of `alignment`. */
int ink_writer_align(struct ink_writer *w, size_t alignment, struct ink_error *error);
/* Make it appear. On failure the old file, if any, is untouched and the temporary removed. */
int ink_writer_commit(struct ink_writer *w, struct ink_error *error);
/* Instead, for logs that others read while they grow: a new file under its own name (one that is
 * taken is refused), which keeps what was flushed whatever happens. There is nothing to commit. */
int ink_writer_open_log(struct ink_writer *w, const char *path, struct ink_error *error);
int ink_writer_flush(struct ink_writer *w, struct ink_error *error);
/* Remove the temporary, if not committed. Accepts {0}. */
void ink_writer_close(struct ink_writer *w);

/* Write bytes[n] as folder/name, in that way. */
int ink_write_file(const char *folder, const char *name, const void *bytes, size_t n,
                   struct ink_error *error);

int ink_make_folder(const char *path, struct ink_error *error); /* an existing one is fine */
/* Rename a finished folder into place; fails if `to` exists. Syncs. */
int ink_rename_folder(const char *from, const char *to, struct ink_error *error);
/* Remove a folder and the plain files in it (no subfolders); best effort. */
void ink_remove_folder(const char *path);

/* Call `visit` with the name of each entry of a folder, in no order, until it returns non-zero;
 * returns that, or INK_OK. INK_ERROR_INPUT if the folder cannot be read. */
typedef int ink_entry_visitor(void *context, const char *name);
int ink_visit_folder(const char *path, ink_entry_visitor *visit, void *context,
                     struct ink_error *error);
/* Size of a regular file in bytes; false if there is none. */
bool ink_file_size(const char *path, uint64_t *out);
/* Bytes that this user can still write to the file system of an existing folder; UINT64_MAX if it
 * cannot be told. */
uint64_t ink_free_space(const char *folder);

#endif
