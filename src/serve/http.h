/* The HTTP server: libmicrohttpd with guards around it. Reads requests within limits, lets them in
 * (host, origin, key), and hands each to the handler of its route; exchange.h is how handlers
 * answer. What it refuses itself is answered in the shape of errors.h; and the connection closed
 * where it is not sure where the request ends, or its body was not read.
 *
 * libmicrohttpd itself answers some, in HTML, without our headers, and closes: a Content-Length
 * that is no number (400) or beyond 2^64 (413), a header without a colon (400), a head over 32 KiB
 * (414, 431), a version that is not HTTP/1.x (400, 505), a bad size of a chunk (400, 413). They are
 * counted and logged all the same. It takes a lone LF for a line's end within a body in chunks; no
 * request is read behind such a body, so nobody can hide one there. */
#ifndef INK_HTTP_H
#define INK_HTTP_H

#include "exchange.h"

struct ink_http;
struct ink_keys;
struct ink_log;
struct ink_metrics;

typedef void ink_handler(void *context, struct ink_exchange *x);

struct ink_route {
    const char *method; /* "GET" or "POST" */
    const char *path;   /* exact, or ending in "*" for everything that begins so */
    ink_handler *handle;
    bool is_public;   /* answered without a key */
    bool is_slow;     /* handled by a worker thread; else on the HTTP thread, which must not wait */
    const char *name; /* in metrics and logs */
};

struct ink_http_options {
    const char *host;         /* address or name to listen on; "unix:PATH" for a socket file */
    int port;                 /* 0: any that is free */
    int n_workers;            /* threads for slow routes */
    const char *const *hosts; /* [n_hosts]: names that Host may have, beside the addresses of
                                 loopback and `host`; "*": any */
    int n_hosts;
    const char *const *origins; /* [n_origins]: that Origin may be, beside the server's own */
    int n_origins;
    size_t max_body;     /* bytes */
    int max_connections; /* in all */
    int max_per_address; /* connections of one address; 0: no limit */
    int header_seconds;  /* until a request's headers are there, whatever trickles in */
    int body_seconds;    /* until its body is there */
    int idle_seconds;    /* a connection without a request; a client that does not read */
    const char *tls_certificate, *tls_key; /* PEM files; NULL: no TLS */
    struct ink_keys *keys;                 /* NULL: no key is asked for */
    struct ink_log *log;                   /* NULL: none */
    struct ink_metrics *metrics;           /* NULL: none */
    int listen_fd;                         /* a listening socket that was handed over; 0: none */
};

/* Listen and serve in threads of its own. routes [n_routes] and all that options names outlive it.
 * `context` is handed to every handler. */
int ink_http_open(struct ink_http **out, const struct ink_http_options *options,
                  const struct ink_route *routes, int n_routes, void *context,
                  struct ink_error *error);
/* "http://127.0.0.1:7860", for people. */
const char *ink_http_address(const struct ink_http *h);
int ink_http_port(const struct ink_http *h);
/* Take no new connections; those that are there go on. */
void ink_http_stop_accepting(struct ink_http *h);
/* Exchanges that have begun and not ended. */
int ink_http_busy(const struct ink_http *h);
/* All exchanges must have been ended. Waits until what was written is sent, or idle_seconds. */
void ink_http_close(struct ink_http *h);

#endif
