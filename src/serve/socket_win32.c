#define _WIN32_WINNT 0x0600

#include "socket.h"

#include "sync.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <stdio.h>
#include <string.h>

struct ink_listener {
    SOCKET fd;
    int port;
    volatile LONG is_stopped;
};

static int fail_listen(const char *host, int port, int reason, struct ink_error *error)
{
    if (reason == WSAEADDRINUSE) {
        return ink_fail(error, INK_ERROR_SYSTEM,
                        "%s: port %d is in use; stop the program that listens there, or choose "
                        "another port (0: any that is free)",
                        host, port);
    }
    if (reason == WSAEACCES) {
        return ink_fail(error, INK_ERROR_SYSTEM,
                        "%s: port %d may not be used by this user; choose one from 1024 on", host,
                        port);
    }
    return ink_fail(error, INK_ERROR_SYSTEM, "%s: system error %lu", host, (unsigned long)reason);
}

static int try_address(struct ink_listener *l, const struct addrinfo *a)
{
    int yes = 1;
    l->fd = socket(a->ai_family, SOCK_STREAM, 0);
    if (l->fd != INVALID_SOCKET &&
        setsockopt(l->fd, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, (char *)&yes, sizeof yes) == 0 &&
        bind(l->fd, a->ai_addr, (int)a->ai_addrlen) == 0 && listen(l->fd, SOMAXCONN) == 0) {
        return 0;
    }
    int reason = WSAGetLastError();
    if (l->fd != INVALID_SOCKET) {
        closesocket(l->fd);
        l->fd = INVALID_SOCKET;
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
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int reason = getaddrinfo(name, service, &hints, &list);
    for (const struct addrinfo *a = list; a && l->fd == INVALID_SOCKET; a = a->ai_next) {
        int this_reason = try_address(l, a);
        reason = reason ? reason : this_reason;
    }
    if (list) {
        freeaddrinfo(list);
    }
    return l->fd == INVALID_SOCKET ? fail_listen(host, port, reason, error) : INK_OK;
}

int ink_listener_open(struct ink_listener **out, const char *host, int port, int given,
                      struct ink_error *error)
{
    WSADATA data;
    *out = NULL;
    if (given || strncmp(host, "unix:", 5) == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: this system has no socket files", host);
    }
    int reason = WSAStartup(MAKEWORD(2, 2), &data);
    if (reason) {
        return fail_listen(host, port, reason, error);
    }
    struct ink_listener *l = ink_calloc(1, sizeof *l);
    if (!l) {
        WSACleanup();
        return ink_fail_memory(error, sizeof *l);
    }
    l->fd = INVALID_SOCKET;
    int rc = open_port(l, host, port, error);
    struct sockaddr_storage address = {0};
    int n = sizeof address;
    if (rc == INK_OK && getsockname(l->fd, (struct sockaddr *)&address, &n) != 0) {
        rc = fail_listen(host, port, WSAGetLastError(), error);
    }
    if (rc != INK_OK) {
        ink_listener_close(l);
        return rc;
    }
    l->port = ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                                 : ((struct sockaddr_in6 *)&address)->sin6_port);
    *out = l;
    return INK_OK;
}

int ink_listener_port(const struct ink_listener *l)
{
    return l->port;
}

bool ink_listener_is_file(const struct ink_listener *l)
{
    (void)l;
    return false;
}

/* accept is not woken by another thread but for a closed socket. */
void ink_listener_stop(struct ink_listener *l)
{
    if (InterlockedExchange(&l->is_stopped, 1) == 0) {
        closesocket(l->fd);
    }
}

void ink_listener_close(struct ink_listener *l)
{
    if (l) {
        if (l->fd != INVALID_SOCKET && !l->is_stopped) {
            closesocket(l->fd);
        }
        WSACleanup();
        ink_free(l);
    }
}

static void name_address(char *out, size_t size, const struct sockaddr_storage *address, int n)
{
    if (getnameinfo((const struct sockaddr *)address, n, out, (DWORD)size, NULL, 0,
                    NI_NUMERICHOST) != 0) {
        out[0] = 0;
    }
}

enum ink_accepted ink_listener_accept(struct ink_listener *l, struct ink_client *client)
{
    struct sockaddr_storage address = {0};
    int n = sizeof address;
    SOCKET fd = accept(l->fd, (struct sockaddr *)&address, &n);
    if (l->is_stopped) {
        if (fd != INVALID_SOCKET) {
            closesocket(fd);
        }
        return INK_ACCEPTED_STOPPED;
    }
    if (fd == INVALID_SOCKET) {
        int reason = WSAGetLastError();
        return reason == WSAEMFILE || reason == WSAENOBUFS    ? INK_ACCEPTED_SHORT
               : reason == WSAENOTSOCK || reason == WSAEINVAL ? INK_ACCEPTED_STOPPED
                                                              : INK_ACCEPTED_NONE;
    }
    u_long yes = 1;
    ioctlsocket(fd, FIONBIO, &yes);
    memset(client, 0, sizeof *client);
    client->fd = (ink_socket)fd;
    client->n_address = n <= (int)sizeof client->address ? (unsigned)n : 0;
    memcpy(client->address, &address, client->n_address);
    name_address(client->peer, sizeof client->peer, &address, n);
    n = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &n) == 0) {
        name_address(client->local, sizeof client->local, &address, n);
    }
    return INK_ACCEPTED;
}

void ink_socket_close(ink_socket fd)
{
    closesocket((SOCKET)fd);
}

ink_socket ink_socket_copy(ink_socket fd)
{
    WSAPROTOCOL_INFOW info;
    if (WSADuplicateSocketW((SOCKET)fd, GetCurrentProcessId(), &info) != 0) {
        return INK_NO_SOCKET;
    }
    return (ink_socket)WSASocketW(FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, FROM_PROTOCOL_INFO, &info,
                                  0, 0);
}

bool ink_socket_drain(ink_socket fd)
{
    char bytes[16384];
    int got = 1;
    for (int i = 0; i < 16 && got > 0; i++) {
        got = recv((SOCKET)fd, bytes, sizeof bytes, 0);
    }
    return got > 0 || (got < 0 && WSAGetLastError() == WSAEWOULDBLOCK);
}

void ink_socket_cut(ink_socket fd)
{
    shutdown((SOCKET)fd, SD_BOTH);
}

void ink_sockets_watch(struct ink_watched *watched, int n, double seconds)
{
    bool found = false;
    for (int i = 0; i < n; i++) {
        char byte;
        int got = recv((SOCKET)watched[i].fd, &byte, 1, MSG_PEEK);
        watched[i].has_left =
            got == 0 || (got == SOCKET_ERROR && WSAGetLastError() != WSAEWOULDBLOCK);
        found = found || watched[i].has_left;
    }
    if (!found) {
        ink_sleep(seconds);
    }
}
