#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601

#include "file_internal.h"

#include <windows.h>

#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* UTF-8 to the system's UTF-16, malloc'ed; NULL if memory ran out or the path is not UTF-8. */
static wchar_t *widen(const char *path)
{
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, NULL, 0);
    wchar_t *wide = n > 0 ? ink_calloc((size_t)n, sizeof *wide) : NULL;
    if (wide) {
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, n);
    }
    return wide;
}

static int fail_system(struct ink_error *error, int code, const char *path)
{
    return ink_fail(error, code, "%s: system error %lu", path, (unsigned long)GetLastError());
}

static void identify(uint64_t identity[2], const BY_HANDLE_FILE_INFORMATION *facts)
{
    identity[0] = facts->dwVolumeSerialNumber;
    identity[1] = (uint64_t)facts->nFileIndexHigh << 32 | facts->nFileIndexLow;
}

static int map_handle(struct ink_mapping *out, HANDLE file, const char *path,
                      struct ink_error *error)
{
    LARGE_INTEGER size;
    if (GetFileType(file) != FILE_TYPE_DISK || !GetFileSizeEx(file, &size)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: not a regular file", path);
    }
    if (size.QuadPart == 0) {
        out->data = (const unsigned char *)"";
        return INK_OK;
    }
    HANDLE map = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    void *p = map ? MapViewOfFile(map, FILE_MAP_READ, 0, 0, 0) : NULL;
    int status = p ? INK_OK : fail_system(error, INK_ERROR_INPUT, path);
    if (map) {
        CloseHandle(map);
    }
    if (p) {
        BY_HANDLE_FILE_INFORMATION facts = {0};
        GetFileInformationByHandle(file, &facts);
        *out = (struct ink_mapping){.data = p, .size = (uint64_t)size.QuadPart, .handle = p};
        identify(out->identity, &facts);
    }
    return status;
}

int ink_map_file(struct ink_mapping *out, const char *path, struct ink_error *error)
{
    *out = (struct ink_mapping){0};
    wchar_t *wide = widen(path);
    if (!wide) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: not a file name", path);
    }
    HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, NULL,
                              OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    ink_free(wide);
    if (file == INVALID_HANDLE_VALUE) {
        return fail_system(error, INK_ERROR_INPUT, path);
    }
    int status = map_handle(out, file, path, error);
    CloseHandle(file);
    return status;
}

void ink_unmap_file(struct ink_mapping *mapping)
{
    if (mapping->handle) {
        UnmapViewOfFile(mapping->handle);
    }
    *mapping = (struct ink_mapping){0};
}

enum ink_path_kind ink_path_kind(const char *path)
{
    wchar_t *wide = widen(path);
    DWORD attributes = wide ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    ink_free(wide);
    if (attributes == INVALID_FILE_ATTRIBUTES) {
        return INK_PATH_NONE;
    }
    return attributes & FILE_ATTRIBUTE_DIRECTORY ? INK_PATH_FOLDER
           : attributes & FILE_ATTRIBUTE_DEVICE  ? INK_PATH_OTHER
                                                 : INK_PATH_FILE;
}

static bool file_identity(const char *path, uint64_t identity[2])
{
    wchar_t *wide = widen(path);
    HANDLE file = wide
                      ? CreateFileW(wide, 0, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                                    NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL)
                      : INVALID_HANDLE_VALUE;
    ink_free(wide);
    BY_HANDLE_FILE_INFORMATION facts;
    bool ok = file != INVALID_HANDLE_VALUE && GetFileInformationByHandle(file, &facts);
    if (ok) {
        identify(identity, &facts);
    }
    if (file != INVALID_HANDLE_VALUE) {
        CloseHandle(file);
    }
    return ok;
}

char *ink_path_folder(const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] != '/' && path[n - 1] != '\\' && path[n - 1] != ':') {
        n--;
    }
    const bool is_root = n < 2 || path[n - 1] == ':' || path[n - 2] == ':';
    return n == 0 ? ink_strdup(".") : ink_strndup(path, is_root ? n : n - 1);
}

bool ink_path_is_same(const char *a, const char *b)
{
    uint64_t x[2], y[2];
    return file_identity(a, x) && file_identity(b, y) && x[0] == y[0] && x[1] == y[1];
}

bool ink_mapping_is_of(const struct ink_mapping *mapping, const char *path)
{
    uint64_t x[2];
    return mapping->handle && file_identity(path, x) && mapping->identity[0] == x[0] &&
           mapping->identity[1] == x[1];
}

/* Unlocking pages that are not locked takes them out of the working set. */
void ink_release_mapped(const void *from, size_t n)
{
    VirtualUnlock((void *)(uintptr_t)from, n);
}

/* ------------------------------------------------------------------------------------- writing */

FILE *ink_file_create(const char *path)
{
    wchar_t *wide = widen(path);
    errno = ENOENT; /* for a name that cannot be widened */
    int fd =
        wide ? _wopen(wide, _O_WRONLY | _O_CREAT | _O_EXCL | _O_BINARY, _S_IREAD | _S_IWRITE) : -1;
    FILE *f = fd >= 0 ? _fdopen(fd, "wb") : NULL;
    if (fd >= 0 && !f) {
        int reason = errno;
        _close(fd);
        DeleteFileW(wide);
        errno = reason;
    }
    ink_free(wide);
    return f;
}

bool ink_file_sync(FILE *f)
{
    return _commit(_fileno(f)) == 0;
}

static bool move_path(const char *from, const char *to, DWORD flags)
{
    wchar_t *wide_from = widen(from), *wide_to = widen(to);
    bool ok = wide_from && wide_to && MoveFileExW(wide_from, wide_to, flags);
    ink_free(wide_from);
    ink_free(wide_to);
    return ok;
}

int ink_file_replace(const char *from, const char *to, struct ink_error *error)
{
    return move_path(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
               ? INK_OK
               : fail_system(error, INK_ERROR_SYSTEM, to);
}

void ink_file_remove(const char *path)
{
    wchar_t *wide = widen(path);
    if (wide) {
        DeleteFileW(wide);
    }
    ink_free(wide);
}

int ink_make_folder(const char *path, struct ink_error *error)
{
    wchar_t *wide = widen(path);
    bool ok = wide && (CreateDirectoryW(wide, NULL) || ink_path_kind(path) == INK_PATH_FOLDER);
    ink_free(wide);
    return ok ? INK_OK : fail_system(error, INK_ERROR_SYSTEM, path);
}

int ink_rename_folder(const char *from, const char *to, struct ink_error *error)
{
    if (ink_path_kind(to) != INK_PATH_NONE) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: exists already", to);
    }
    return move_path(from, to, MOVEFILE_WRITE_THROUGH) ? INK_OK
                                                       : fail_system(error, INK_ERROR_SYSTEM, to);
}

void ink_remove_folder(const char *path)
{
    char *pattern = ink_path_join(path, "*");
    wchar_t *wide = pattern ? widen(pattern) : NULL;
    WIN32_FIND_DATAW entry;
    HANDLE search = wide ? FindFirstFileW(wide, &entry) : INVALID_HANDLE_VALUE;
    for (bool more = search != INVALID_HANDLE_VALUE; more; more = FindNextFileW(search, &entry)) {
        char name[4 * MAX_PATH];
        if (!(entry.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) &&
            WideCharToMultiByte(CP_UTF8, 0, entry.cFileName, -1, name, sizeof name, NULL, NULL)) {
            char *full = ink_path_join(path, name);
            if (full) {
                ink_file_remove(full);
            }
            ink_free(full);
        }
    }
    if (search != INVALID_HANDLE_VALUE) {
        FindClose(search);
    }
    ink_free(wide);
    ink_free(pattern);
    wide = widen(path);
    if (wide) {
        RemoveDirectoryW(wide);
    }
    ink_free(wide);
}

/* ------------------------------------------------------------------------------------- looking */

int ink_visit_folder(const char *path, ink_entry_visitor *visit, void *context,
                     struct ink_error *error)
{
    char *pattern = ink_path_join(path, "*");
    wchar_t *wide = pattern ? widen(pattern) : NULL;
    WIN32_FIND_DATAW entry;
    HANDLE search = wide ? FindFirstFileW(wide, &entry) : INVALID_HANDLE_VALUE;
    int result =
        search == INVALID_HANDLE_VALUE ? fail_system(error, INK_ERROR_INPUT, path) : INK_OK;
    for (bool more = search != INVALID_HANDLE_VALUE; more && result == INK_OK;
         more = FindNextFileW(search, &entry)) {
        char name[4 * MAX_PATH];
        if (wcscmp(entry.cFileName, L".") != 0 && wcscmp(entry.cFileName, L"..") != 0 &&
            WideCharToMultiByte(CP_UTF8, 0, entry.cFileName, -1, name, sizeof name, NULL, NULL)) {
            result = visit(context, name);
        }
    }
    if (search != INVALID_HANDLE_VALUE) {
        FindClose(search);
    }
    ink_free(wide);
    ink_free(pattern);
    return result;
}

bool ink_file_size(const char *path, uint64_t *out)
{
    wchar_t *wide = widen(path);
    WIN32_FILE_ATTRIBUTE_DATA facts;
    const bool found = wide && GetFileAttributesExW(wide, GetFileExInfoStandard, &facts) &&
                       !(facts.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY);
    ink_free(wide);
    if (found) {
        *out = (uint64_t)facts.nFileSizeHigh << 32 | facts.nFileSizeLow;
    }
    return found;
}

uint64_t ink_free_space(const char *folder)
{
    wchar_t *wide = widen(folder);
    ULARGE_INTEGER free_bytes;
    const bool known = wide && GetDiskFreeSpaceExW(wide, &free_bytes, NULL, NULL);
    ink_free(wide);
    return known ? free_bytes.QuadPart : UINT64_MAX;
}
