#define WIN32_LEAN_AND_MEAN
#define _CRT_RAND_S
#define _WIN32_WINNT 0x0601

#include "platform.h"

#include "file.h"

#include <windows.h>

#include <psapi.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t ink_platform_resident(void)
{
    PROCESS_MEMORY_COUNTERS counters;
    return GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters)
               ? counters.WorkingSetSize
               : 0;
}

int ink_platform_open_files(void)
{
    DWORD n = 0;
    return GetProcessHandleCount(GetCurrentProcess(), &n) ? (int)n : -1;
}

void ink_platform_time(char out[INK_PLATFORM_TIME_SIZE])
{
    SYSTEMTIME t;
    GetSystemTime(&t);
    snprintf(out, INK_PLATFORM_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.wYear % 10000,
             t.wMonth % 100, t.wDay % 100, t.wHour % 100, t.wMinute % 100, t.wSecond % 100,
             t.wMilliseconds % 1000);
}

void ink_platform_write_error(const char *bytes, size_t n)
{
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), bytes, (DWORD)n, &written, NULL);
}

/* Nobody can cut a mapped file short here. */
int ink_platform_read_private(char **out, size_t *n, bool *others_may_read, const char *path,
                              size_t limit, struct ink_error *error)
{
    struct ink_mapping file;
    *out = NULL;
    *others_may_read = false;
    int status = ink_map_file(&file, path, error);
    if (status != INK_OK) {
        return status;
    }
    if (file.size > limit) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: %llu bytes are too many (limit %llu)", path,
                          (unsigned long long)file.size, (unsigned long long)limit);
    } else if (!(*out = ink_malloc((size_t)file.size + 1))) {
        status = ink_fail_memory(error, file.size);
    } else {
        *n = (size_t)file.size;
        memcpy(*out, file.data, *n);
        (*out)[*n] = '\0';
    }
    ink_unmap_file(&file);
    return status;
}

int ink_platform_random(void *out, size_t n, struct ink_error *error)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < n; i++) {
        unsigned int value;
        if (rand_s(&value) != 0) {
            return ink_fail_open(error, "rand_s", EIO);
        }
        bytes[i] = (unsigned char)value;
    }
    return INK_OK;
}
