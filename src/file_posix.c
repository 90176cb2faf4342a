#define _POSIX_C_SOURCE 200809L
#define _DEFAULT_SOURCE
#define _FILE_OFFSET_BITS 64

#include "file_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

int ink_map_file(struct ink_mapping *out, const char *path, struct ink_error *error)
{
    *out = (struct ink_mapping){0};
    /* O_NONBLOCK: opening a FIFO must not wait for a writer. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return ink_fail_open(error, path, errno);
    }
    struct stat st;
    int status = INK_OK;
    if (fstat(fd, &st) != 0) {
        status = ink_fail_open(error, path, errno);
    } else if (!S_ISREG(st.st_mode)) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: not a regular file", path);
    } else if ((uint64_t)st.st_size > SIZE_MAX) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: too large for this system (%llu bytes)",
                          path, (unsigned long long)st.st_size);
    } else if (st.st_size == 0) {
        out->data = (const unsigned char *)"";
    } else {
        out->identity[0] = (uint64_t)st.st_dev;
        out->identity[1] = (uint64_t)st.st_ino;
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
        if (p == MAP_FAILED) {
            status = ink_fail_open(error, path, errno);
        } else {
            out->data = p;
            out->handle = p;
            out->size = (uint64_t)st.st_size;
        }
    }
    close(fd);
    return status;
}

void ink_unmap_file(struct ink_mapping *mapping)
{
    if (mapping->handle) {
        munmap(mapping->handle, (size_t)mapping->size);
    }
    *mapping = (struct ink_mapping){0};
}

bool ink_mapping_is_of(const struct ink_mapping *mapping, const char *path)
{
    struct stat st;
    return mapping->handle && stat(path, &st) == 0 && mapping->identity[0] == (uint64_t)st.st_dev &&
           mapping->identity[1] == (uint64_t)st.st_ino;
}

void ink_release_mapped(const void *from, size_t n)
{
    const long page = sysconf(_SC_PAGESIZE);
    const uintptr_t begin = (uintptr_t)from - (uintptr_t)from % (uintptr_t)page;
    madvise((void *)begin, n + ((uintptr_t)from - begin), MADV_DONTNEED);
}

enum ink_path_kind ink_path_kind(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return INK_PATH_NONE;
    }
    return S_ISREG(st.st_mode)   ? INK_PATH_FILE
           : S_ISDIR(st.st_mode) ? INK_PATH_FOLDER
                                 : INK_PATH_OTHER;
}

char *ink_path_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return !slash          ? ink_strdup(".")
           : slash == path ? ink_strdup("/")
                           : ink_strndup(path, (size_t)(slash - path));
}

bool ink_path_is_same(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* ------------------------------------------------------------------------------------- writing */

/* Rename, and sync the folder: only then is the new name on the disk. */
int ink_file_replace(const char *from, const char *to, struct ink_error *error)
{
    char *folder = ink_path_folder(to);
    if (!folder) {
        return ink_fail_memory(error, strlen(to));
    }
    int status = rename(from, to) == 0 ? INK_OK : ink_fail_write(error, to, errno);
    int fd = status == INK_OK ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd); /* some file systems cannot sync a folder; the file is whole all the same */
        close(fd);
    }
    ink_free(folder);
    return status;
}

FILE *ink_file_create(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FILE *f = fd >= 0 ? fdopen(fd, "wb") : NULL;
    if (fd >= 0 && !f) {
        int reason = errno;
        close(fd);
        unlink(path);
        errno = reason;
    }
    return f;
}

bool ink_file_sync(FILE *f)
{
    return fsync(fileno(f)) == 0;
}

void ink_file_remove(const char *path)
{
    unlink(path);
}

int ink_make_folder(const char *path, struct ink_error *error)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && ink_path_kind(path) == INK_PATH_FOLDER)) {
        return INK_OK;
    }
    return ink_fail_write(error, path, errno);
}

int ink_rename_folder(const char *from, const char *to, struct ink_error *error)
{
    if (ink_path_kind(to) != INK_PATH_NONE) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: exists already", to);
    }
    return ink_file_replace(from, to, error);
}

void ink_remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        char *name = ink_path_join(path, entry->d_name);
        if (name && ink_path_kind(name) == INK_PATH_FILE) {
            unlink(name);
        }
        ink_free(name);
    }
    if (folder) {
        closedir(folder);
    }
    rmdir(path);
}

/* ------------------------------------------------------------------------------------- looking */

int ink_visit_folder(const char *path, ink_entry_visitor *visit, void *context,
                     struct ink_error *error)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;
    int result = INK_OK;
    if (!folder) {
        return ink_fail_open(error, path, errno);
    }
    while (result == INK_OK && (entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            result = visit(context, entry->d_name);
        }
    }
    closedir(folder);
    return result;
}

bool ink_file_size(const char *path, uint64_t *out)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return false;
    }
    *out = (uint64_t)st.st_size;
    return true;
}

uint64_t ink_free_space(const char *folder)
{
    struct statvfs st;
    return statvfs(folder, &st) == 0 ? (uint64_t)st.f_bavail * st.f_frsize : UINT64_MAX;
}
