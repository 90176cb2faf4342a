#define _POSIX_C_SOURCE 200809L

#include "bench.h"
#include "system.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MOST_ARGUMENTS = 32, PATH_SIZE = 4096 };

#if defined(__APPLE__)

#include <mach-o/dyld.h>

static bool find_program(char *path)
{
    uint32_t size = PATH_SIZE;
    return _NSGetExecutablePath(path, &size) == 0;
}

#else

static bool find_program(char *path)
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_SIZE - 1);
    path[n > 0 ? n : 0] = '\0';
    return n > 0 && n < PATH_SIZE - 1;
}

#endif

static int start(pid_t *child, const char *const *arguments, int out)
{
    char path[PATH_SIZE], name[] = "inkstone", *argv[MOST_ARGUMENTS + 2] = {name};
    posix_spawn_file_actions_t actions;
    if (!find_program(path)) {
        return -1;
    }
    for (int i = 0; i < MOST_ARGUMENTS && arguments[i]; i++) {
        argv[i + 1] = (char *)(uintptr_t)arguments[i];
    }
    int status = posix_spawn_file_actions_init(&actions);
    if (status != 0) {
        return status;
    }
    status = posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    if (status == 0) {
        status =
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    }
    if (status == 0) {
        status = posix_spawn(child, path, &actions, NULL, argv, environ);
    }
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

/* Up to and without the first newline; false if there is none within size. */
static bool read_line(int in, char *line, size_t size)
{
    size_t n = 0;
    while (n < size) {
        ssize_t got = read(in, line + n, size - n);
        if (got <= 0 && !(got < 0 && errno == EINTR)) {
            return false;
        }
        n += got > 0 ? (size_t)got : 0;
        char *end = memchr(line, '\n', n);
        if (end) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

bool ink_bench_spawn(const char *const *arguments, double *seconds, char *line, size_t size)
{
    int ends[2], status = 0;
    pid_t child;
    if (pipe(ends) != 0) {
        return false;
    }
    fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    const double begin = ink_system_seconds();
    bool ok = start(&child, arguments, ends[1]) == 0;
    close(ends[1]);
    if (ok) {
        ok = read_line(ends[0], line, size);
        *seconds = ink_system_seconds() - begin;
        while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
        }
        ok = ok && WIFEXITED(status) && WEXITSTATUS(status) == INK_EXIT_DONE;
    }
    close(ends[0]);
    return ok;
}
