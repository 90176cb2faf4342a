#define _GNU_SOURCE /* accept4, POLLRDHUP */

#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#ifdef __linux__
#include <linux/filter.h>
#endif
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum {
    BACKLOG = 511,
    LAST_MS = 20, /* what a handshake may take that began before the end */
};

struct ink_listener {
    int fd;
    int wake[2]; /* a pipe: readable once stopped */
    int port;
    char *file; /* of a socket file that is ours */
    bool is_file, is_given, is_stopped;
};

static const char file_prefix[] = "unix:";

/* -------------------------------------------------------------------------------------- opening */

static int fail_listen(const char *host, int port, int reason, struct ink_error *error)
{
    if (reason == EADDRINUSE) {
        return ink_fail(error, INK_ERROR_SYSTEM,
                        "%s: port %d is in use; stop the program that listens there, or choose "
                        "another port (0: any that is free)",
                        host, port);
    }
    if (reason == EACCES) {
        return ink_fail(error, INK_ERROR_SYSTEM,
                        "%s: port %d may not be used by this user; choose one from 1024 on", host,
                        port);
    }
    return ink_fail(error, INK_ERROR_SYSTEM, "%s: cannot listen on port %d: %s", host, port,
                    strerror(reason));
}

/* Listen on one address of the host. The reason if it fails. */
static int try_address(struct ink_listener *l, const struct addrinfo *a)
{
    int yes = 1;
    l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd >= 0 &&
        setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &yes, (socklen_t)sizeof yes) == 0 &&
        (a->ai_family != AF_INET6 ||
         setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, (socklen_t)sizeof yes) == 0) &&
        bind(l->fd, a->ai_addr, a->ai_addrlen) == 0 && listen(l->fd, BACKLOG) == 0) {
        return 0;
    }
    int reason = errno;
    if (l->fd >= 0) {
        close(l->fd);
        l->fd = -1;
    }
    return reason;
}

static int open_port(struct ink_listener *l, const char *host, int port, struct ink_error *error)
{
    char name[256], service[16];
    size_t n = strlen(host);
    bool has_brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
    snprintf(name, sizeof name, "%.*s", (int)(n < 255 ? n : 255) - 2 * has_brackets,
             host + has_brackets);
    snprintf(service, sizeof service, "%d", port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int failed = getaddrinfo(name, service, &hints, &list);
    if (failed) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: not an address or name of this machine (%s)",
                        host, gai_strerror(failed));
    }
    int reason = 0;
    for (const struct addrinfo *a = list; a && l->fd < 0; a = a->ai_next) {
        int this_reason = try_address(l, a);
        reason = reason ? reason : this_reason;
    }
    freeaddrinfo(list);
    return l->fd < 0 ? fail_listen(host, port, reason, error) : INK_OK;
}

static bool somebody_listens(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool does =
        fd >= 0 && connect(fd, (const struct sockaddr *)address, (socklen_t)sizeof *address) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return does;
}

/* Nobody can connect before listen, so the file is never open to others. */
static int open_file(struct ink_listener *l, const char *path, struct ink_error *error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat there;
    if (*path == 0 || strlen(path) >= sizeof address.sun_path) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: a socket file's path has 1 to %d bytes", path,
                        (int)sizeof address.sun_path - 1);
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (lstat(path, &there) == 0) {
        if (!S_ISSOCK(there.st_mode)) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: is there and is no socket", path);
        }
        if (somebody_listens(&address)) {
            return ink_fail(error, INK_ERROR_SYSTEM,
                            "%s: another program listens there; stop it, or choose another file",
                            path);
        }
        unlink(path);
    }
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (l->fd < 0 ||
        bind(l->fd, (const struct sockaddr *)&address, (socklen_t)sizeof address) != 0) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: cannot listen: %s", path, strerror(errno));
    }
    l->file = ink_strdup(path);
    if (chmod(path, S_IRUSR | S_IWUSR) != 0 || listen(l->fd, BACKLOG) != 0) {
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: cannot listen: %s", path, strerror(errno));
    }
    return l->file ? INK_OK : ink_fail_memory(error, strlen(path) + 1);
}

static int take_given(struct ink_listener *l, int given, struct ink_error *error)
{
    int listens = 0;
    socklen_t n = (socklen_t)sizeof listens;
    if (getsockopt(given, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) != 0 || !listens) {
        return ink_fail(error, INK_ERROR_INPUT, "descriptor %d is no listening socket", given);
    }
    fcntl(given, F_SETFD, FD_CLOEXEC);
    l->fd = given;
    l->is_given = true;
    return INK_OK;
}

static int read_address(struct ink_listener *l)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_storage space;
    } a;
    socklen_t n = (socklen_t)sizeof a;
    int flags = fcntl(l->fd, F_GETFL);
    /* a client that is gone between poll and accept must not make accept wait */
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        getsockname(l->fd, &a.any, &n) != 0) {
        return errno;
    }
    l->is_file = a.any.sa_family == AF_UNIX;
    l->port = a.any.sa_family == AF_INET    ? ntohs(a.v4.sin_port)
              : a.any.sa_family == AF_INET6 ? ntohs(a.v6.sin6_port)
                                            : 0;
    return 0;
}

int ink_listener_open(struct ink_listener **out, const char *host, int port, int given,
                      struct ink_error *error)
{
    *out = NULL;
    struct ink_listener *l = ink_calloc(1, sizeof *l);
    if (!l) {
        return ink_fail_memory(error, sizeof *l);
    }
    l->fd = l->wake[0] = l->wake[1] = -1;
    int rc;
    if (given) {
        rc = take_given(l, given, error);
    } else if (strncmp(host, file_prefix, sizeof file_prefix - 1) == 0) {
        rc = open_file(l, host + sizeof file_prefix - 1, error);
    } else {
        rc = open_port(l, host, port, error);
    }
    if (rc == INK_OK) {
        int reason = pipe2(l->wake, O_CLOEXEC) == 0 ? read_address(l) : errno;
        rc = reason ? fail_listen(host, port, reason, error) : INK_OK;
    }
    if (rc != INK_OK) {
        ink_listener_close(l);
        return rc;
    }
    *out = l;
    return INK_OK;
}

int ink_listener_port(const struct ink_listener *l)
{
    return l->port;
}

bool ink_listener_is_file(const struct ink_listener *l)
{
    return l->is_file;
}

#ifdef __linux__
/* Between the last accept and close a client could connect, and be reset with its request sent. The
 * kernel drops each SYN from here on: the client asks again after a second, and is refused. */
static void refuse_new(const struct ink_listener *l)
{
    enum { FLAGS = 13, SYN = 2, ALL = 0x40000 }; /* the byte of the TCP header */
    struct sock_filter no_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, FLAGS),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, SYN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, ALL),
    };
    struct sock_fprog program = {.len = INK_COUNT(no_syn), .filter = no_syn};
    setsockopt(l->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, (socklen_t)sizeof program);
}
#else
static void refuse_new(const struct ink_listener *l)
{
    (void)l;
}
#endif

void ink_listener_stop(struct ink_listener *l)
{
    if (l->file) {
        unlink(l->file);
    } else if (!l->is_given) {
        refuse_new(l);
    }
    l->is_stopped = true;
    ssize_t n = write(l->wake[1], "", 1);
    (void)n; /* a full pipe is readable too */
}

void ink_listener_close(struct ink_listener *l)
{
    if (!l) {
        return;
    }
    int fds[] = {l->fd, l->wake[0], l->wake[1]};
    for (size_t i = 0; i < INK_COUNT(fds); i++) {
        if (fds[i] >= 0) {
            close(fds[i]);
        }
    }
    if (l->file && !l->is_stopped) { /* by now it may be another server's */
        unlink(l->file);
    }
    ink_free(l->file);
    ink_free(l);
}

/* ------------------------------------------------------------------------------------ accepting */

static void name_address(char *out, size_t size, const struct sockaddr_storage *address)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
    out[0] = 0;
    if (address->ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, out, (socklen_t)size);
    } else if (address->ss_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], out, (socklen_t)size);
    } else if (address->ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, out, (socklen_t)size);
    }
}

static enum ink_accepted why_not(int reason)
{
    switch (reason) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
        return INK_ACCEPTED_SHORT;
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
        return INK_ACCEPTED_STOPPED;
    default:
        return INK_ACCEPTED_NONE;
    }
}

enum ink_accepted ink_listener_accept(struct ink_listener *l, struct ink_client *client)
{
    struct pollfd fds[2] = {{.fd = l->wake[0], .events = POLLIN}, {.fd = l->fd, .events = POLLIN}};
    if (poll(fds, 2, -1) < 0) {
        return INK_ACCEPTED_NONE;
    }
    /* who has begun to connect would be reset; at a socket that was handed over, the next one takes
     * them */
    if (fds[0].revents && (l->is_given || poll(fds + 1, 1, LAST_MS) < 1)) {
        return INK_ACCEPTED_STOPPED;
    }
    struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
    socklen_t n = (socklen_t)sizeof address;
    int fd = accept4(l->fd, (struct sockaddr *)&address, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return why_not(errno);
    }
    memset(client, 0, sizeof *client);
    client->fd = fd;
    client->n_address = n <= sizeof client->address ? (unsigned)n : 0;
    memcpy(client->address, &address, client->n_address);
    if (l->is_file) {
        snprintf(client->peer, sizeof client->peer, "unix");
        return INK_ACCEPTED;
    }
    name_address(client->peer, sizeof client->peer, &address);
    n = (socklen_t)sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n) == 0) {
        name_address(client->local, sizeof client->local, &address);
    }
    return INK_ACCEPTED;
}

/* ------------------------------------------------------------------------------------- watching */

void ink_socket_close(ink_socket fd)
{
    close((int)fd);
}

ink_socket ink_socket_copy(ink_socket fd)
{
    return fcntl((int)fd, F_DUPFD_CLOEXEC, 3);
}

bool ink_socket_drain(ink_socket fd)
{
    char bytes[16384];
    ssize_t got = 1;
    for (int i = 0; i < 16 && got > 0; i++) {
        got = recv((int)fd, bytes, sizeof bytes, MSG_DONTWAIT);
    }
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

void ink_socket_cut(ink_socket fd)
{
    shutdown((int)fd, SHUT_RDWR);
}

#ifdef POLLRDHUP
enum { LEFT = POLLRDHUP };
static bool has_ended(int fd, short seen)
{
    (void)fd;
    return (seen & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)) != 0;
}
#else
enum { LEFT = 0 };
static bool has_ended(int fd, short seen)
{
    char byte;
    return seen || recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
#endif

/* A few on the stack, many in turn: none waits for memory. */
enum { WATCH_AT_ONCE = 256 };

static bool watch_some(struct ink_watched *watched, int n, int milliseconds)
{
    struct pollfd fds[WATCH_AT_ONCE];
    bool found = false;
    for (int i = 0; i < n; i++) {
        fds[i] = (struct pollfd){.fd = (int)watched[i].fd, .events = LEFT};
    }
    poll(fds, (nfds_t)n, milliseconds);
    for (int i = 0; i < n; i++) {
        watched[i].has_left = has_ended((int)watched[i].fd, fds[i].revents);
        found = found || watched[i].has_left;
    }
    return found;
}

void ink_sockets_watch(struct ink_watched *watched, int n, double seconds)
{
    bool found = false;
    for (int at = WATCH_AT_ONCE; at < n; at += WATCH_AT_ONCE) {
        int count = n - at < WATCH_AT_ONCE ? n - at : WATCH_AT_ONCE;
        found = watch_some(watched + at, count, 0) || found;
    }
    watch_some(watched, n < WATCH_AT_ONCE ? n : WATCH_AT_ONCE, found ? 0 : (int)(seconds * 1000));
}
