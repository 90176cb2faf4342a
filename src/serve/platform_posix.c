#define _POSIX_C_SOURCE 200809L

#include "platform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Only Linux tells it without a library. */
uint64_t ink_platform_resident(void)
{
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long long size, resident = 0;
    if (f) {
        if (fscanf(f, "%llu %llu", &size, &resident) != 2) {
            resident = 0;
        }
        fclose(f);
    }
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

int ink_platform_open_files(void)
{
    DIR *folder = opendir("/dev/fd");
    if (!folder) {
        return -1;
    }
    int n = -1; /* the folder itself */
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        n += entry->d_name[0] != '.';
    }
    closedir(folder);
    return n;
}

void ink_platform_time(char out[INK_PLATFORM_TIME_SIZE])
{
    struct timespec now = {0};
    struct tm day = {0};
    char date[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &day);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &day);
    snprintf(out, INK_PLATFORM_TIME_SIZE, "%s.%03dZ", date, (int)(now.tv_nsec / 1000000));
}

void ink_platform_write_error(const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, bytes, n);
        if (written > 0) {
            bytes += written;
            n -= (size_t)written;
        } else if (errno != EINTR) {
            return;
        }
    }
}

/* All of the file; a file that grows meanwhile is read as far as it was long. */
static int read_all(char *out, size_t *n, int fd, const char *path, struct ink_error *error)
{
    const size_t size = *n;
    for (*n = 0; *n < size;) {
        ssize_t got = read(fd, out + *n, size - *n);
        if (got < 0 && errno != EINTR) {
            return ink_fail_open(error, path, errno);
        }
        if (got == 0) {
            break;
        }
        *n += got > 0 ? (size_t)got : 0;
    }
    out[*n] = '\0';
    return INK_OK;
}

int ink_platform_read_private(char **out, size_t *n, bool *others_may_read, const char *path,
                              size_t limit, struct ink_error *error)
{
    *out = NULL;
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
    } else if ((uint64_t)st.st_size > limit) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: %llu bytes are too many (limit %llu)", path,
                          (unsigned long long)st.st_size, (unsigned long long)limit);
    } else if (!(*out = ink_malloc((size_t)st.st_size + 1))) {
        status = ink_fail_memory(error, (uint64_t)st.st_size);
    } else {
        *n = (size_t)st.st_size;
        *others_may_read =
            (st.st_mode & S_IROTH) || ((st.st_mode & S_IRGRP) && st.st_uid == geteuid());
        status = read_all(*out, n, fd, path, error);
    }
    close(fd);
    if (status != INK_OK) {
        ink_free(*out);
        *out = NULL;
    }
    return status;
}

int ink_platform_random(void *out, size_t n, struct ink_error *error)
{
    static const char path[] = "/dev/urandom";
    FILE *f = fopen(path, "re");
    if (!f) {
        return ink_fail_open(error, path, errno);
    }
    setvbuf(f, NULL, _IONBF, 0);
    size_t got = fread(out, 1, n, f);
    int reason = errno;
    fclose(f);
    return got == n ? INK_OK : ink_fail_open(error, path, reason);
}
