/* Sockets: listening, accepting, and seeing that a client left. socket_posix.c, socket_win32.c. */
#ifndef INK_SOCKET_H
#define INK_SOCKET_H

#include "common.h"

typedef intptr_t ink_socket;
#define INK_NO_SOCKET ((ink_socket)-1)

/* Listen on a name or address and port (0: any that is free), on "unix:PATH", or on the listening
 * socket `given` (0: none). A socket file is for its owner only; one that is there is replaced if
 * nobody listens on it. INK_ERROR_SYSTEM names host, port and what to do. */
struct ink_listener;
int ink_listener_open(struct ink_listener **out, const char *host, int port, int given,
                      struct ink_error *error);
int ink_listener_port(const struct ink_listener *l); /* 0: a socket file */
bool ink_listener_is_file(const struct ink_listener *l);
/* From any thread: a waiting ink_listener_accept returns. Of later ones those succeed that find
 * somebody who waits already (not on Windows, and not at a socket that was handed over). */
void ink_listener_stop(struct ink_listener *l);
void ink_listener_close(struct ink_listener *l);

struct ink_client {
    ink_socket fd;
    _Alignas(16) unsigned char address[128]; /* a sockaddr of n_address bytes */
    unsigned n_address;
    char peer[64];  /* the client's address, without its port; "unix" */
    char local[64]; /* the address at which it arrived; "" */
};
enum ink_accepted {
    INK_ACCEPTED,
    INK_ACCEPTED_NONE,    /* it left before it was accepted, or the like: try again */
    INK_ACCEPTED_SHORT,   /* no descriptors or no memory: try again later */
    INK_ACCEPTED_STOPPED, /* by ink_listener_stop, or the socket is broken */
};
/* Waits for a client. Its socket does not block. */
enum ink_accepted ink_listener_accept(struct ink_listener *l, struct ink_client *client);

void ink_socket_close(ink_socket fd);
/* The same socket once more, to be closed by itself. INK_NO_SOCKET if that fails. */
ink_socket ink_socket_copy(ink_socket fd);
/* Throw away what has come, 256 KiB at most. False: no more will come. */
bool ink_socket_drain(ink_socket fd);
/* Nothing more is read or written; whoever waits for the socket sees its end. */
void ink_socket_cut(ink_socket fd);

struct ink_watched {
    uint64_t id; /* the caller's */
    ink_socket fd;
    bool has_left;
};
/* Wait up to `seconds` until a client has closed or reset one of n connections; has_left is set.
 * What a client sent beyond its request is left where it is. */
void ink_sockets_watch(struct ink_watched *watched, int n, double seconds);

#endif
