#define _POSIX_C_SOURCE 200809L

#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3 };

static unsigned long long number_of(const char *name)
{
    const char *text = getenv(name);
    char *end;
    unsigned long long n = text && *text ? strtoull(text, &end, 10) : 0;
    return text && *text && *end == '\0' ? n : 0;
}

void ink_service_notify(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t n = path ? strlen(path) : 0;
    if (n < 2 || n >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, n);
    if (path[0] == '@') {
        address.sun_path[0] = '\0'; /* the abstract name space of Linux */
    }
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (fd < 0) {
        return;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    const socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    while (sendto(fd, state, strlen(state), 0, (const struct sockaddr *)&address, size) < 0 &&
           errno == EINTR) {
    }
    close(fd);
}

double ink_service_watchdog(void)
{
    const unsigned long long process = number_of("WATCHDOG_PID");
    if (process != 0 && process != (unsigned long long)getpid()) {
        return 0;
    }
    return (double)number_of("WATCHDOG_USEC") * 1e-6;
}

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    }
    return address->ss_family == AF_UNIX;
}

int ink_service_listen_fd(int *fd, bool *is_local, struct ink_error *error)
{
    *fd = 0;
    const unsigned long long n = number_of("LISTEN_FDS");
    if (n == 0 || number_of("LISTEN_PID") != (unsigned long long)getpid()) {
        return INK_OK;
    }
    if (n > 1) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "LISTEN_FDS: %llu sockets are too many (limit 1)", n);
    }
    int type = 0, listens = 0;
    socklen_t size = sizeof type;
    struct sockaddr_storage address;
    bool ok = getsockopt(FIRST_FD, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
    size = sizeof listens;
    ok = ok && getsockopt(FIRST_FD, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens;
    size = sizeof address;
    if (!ok || getsockname(FIRST_FD, (struct sockaddr *)&address, &size) != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "LISTEN_FDS: what was handed over is no listening stream socket");
    }
    fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC);
    *fd = FIRST_FD;
    *is_local = is_loopback(&address);
    return INK_OK;
}
