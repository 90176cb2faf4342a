/* What the files of the HTTP server share. Threads: libmicrohttpd's own runs all of its callbacks;
 * one accepts; one watches for clients that leave and for deadlines; n_workers run slow handlers;
 * any thread may answer an exchange. One lock guards all that changes. Under it libmicrohttpd is
 * asked only to suspend and resume, and it never calls us with a lock of its own that those need.
 *
 * A connection is suspended only inside its own callbacks, by the thread that runs them, and
 * `is_suspended` changes with it under the lock: so nobody resumes what is not suspended yet, and
 * a suspended connection cannot be closed before it was resumed. */
#ifndef INK_HTTP_INTERNAL_H
#define INK_HTTP_INTERNAL_H

#include "http.h"
#include "http_target.h"
#include "http_trust.h"
#include "socket.h"
#include "sync.h"

#include <microhttpd.h>

/* A client's connection, from accept to close. */
struct ink_connection {
    struct ink_connection *next, *previous; /* of http->connections */
    uint64_t id;
    ink_socket fd;
    bool is_started; /* libmicrohttpd has it */
    bool must_cut;   /* the watcher is to cut it */
    bool is_cut;
    bool is_idle;    /* between requests */
    bool lingers;    /* it was answered before its body was read */
    double deadline; /* ink_system_seconds when it is cut; 0: never */
    char peer[64], local[64];
    struct ink_exchange *exchange; /* to be told when the client leaves; or NULL */
};

enum { INK_HTTP_MAX_LINGERING = 64 };

enum ink_phase {
    INK_PHASE_HEAD,    /* headers are read */
    INK_PHASE_BODY,    /* the body is read */
    INK_PHASE_REFUSED, /* too large: the rest is thrown away */
    INK_PHASE_HANDLED, /* the handler has it, or had it */
};

/* A name and a value, one after the other, each with its zero byte. */
struct ink_pairs {
    struct ink_string text;
    int n;
};
bool ink_pairs_add(struct ink_pairs *p, const char *name, const char *value);
/* Any case. NULL: none. */
const char *ink_pairs_find(const struct ink_pairs *p, const char *name);
/* The pair at *at (0 is the first), which moves on. False: no more. */
bool ink_pairs_next(const struct ink_pairs *p, size_t *at, const char **name, const char **value);

struct ink_exchange {
    struct ink_http *http;
    struct MHD_Connection *connection; /* NULL: libmicrohttpd is done with it */
    struct ink_connection *client;     /* the same */
    struct ink_exchange *next;         /* in the workers' queue */
    int n_references;                  /* libmicrohttpd's, the handler's, the response's */
    enum ink_phase phase;

    /* the request: written before the handler has it, then only read */
    struct ink_request request;
    char id[65], peer[64], method[16];
    char *raw; /* the target as it came */
    struct ink_target target;
    struct ink_pairs headers;
    struct ink_string body;
    const struct ink_route *route; /* NULL: none */
    const char *cors;              /* the listed origin that asks, or NULL */
    double arrived;
    bool must_close; /* after the answer */
    bool is_short;   /* no room was left for its body */

    /* the answer: under the lock; what a handler adds, before it begins */
    struct ink_pairs answer_headers;
    char content_type[128];
    int status;
    bool has_begun, is_stream, is_ended, is_whole;
    bool is_queued; /* libmicrohttpd has the answer */
    bool is_suspended, is_gone;
    struct ink_string out; /* from `sent` on still to be taken */
    size_t sent;
    uint64_t n_bytes; /* of body, given to libmicrohttpd */
    size_t n_held;    /* of http->n_held; under the lock */
};

struct ink_http {
    struct ink_http_options options;
    const struct ink_route *routes; /* [n_routes] */
    int n_routes;
    void *context;
    struct ink_trust trust;
    char *address;
    char *certificate, *key;
    struct MHD_Daemon *daemon;
    struct ink_listener *listener;
    char last_words[200]; /* of libmicrohttpd, until it runs */

    struct ink_mutex *lock;
    struct ink_condition *changed; /* connections fewer, answers sent, or the end */
    struct ink_condition *watch;   /* something to watch */
    struct ink_condition *work;    /* something to handle */
    struct ink_thread *acceptor, *watcher, **workers;
    int n_workers;
    struct ink_connection *connections;
    int n_connections;
    uint64_t n_accepted;
    struct ink_watched *watched; /* [max_connections]; the watcher's */
    /* Sockets whose clients still send what nobody wants: closed at once, they would lose their
     * answer to a reset. */
    struct {
        ink_socket fd;
        double deadline;
    } lingering[INK_HTTP_MAX_LINGERING];
    int n_lingering;
    struct ink_exchange *first, *last;
    int n_waiting; /* in that queue */
    int n_large;   /* of those with large bodies, how many workers have */
    int n_busy;    /* handlers have them */
    int n_unsent;  /* answered, and not wholly sent */
    size_t n_held; /* bytes of bodies, and of answers that wait to be sent */
    bool stops_accepting, stops_watching, stops_working;
    bool is_closing; /* nothing is suspended any more */
};

/* exchange.c. _locked: http->lock is held. */
struct ink_exchange *ink_exchange_new(struct ink_http *h);
/* Give one reference back; the last frees. Without the lock. */
void ink_exchange_release(struct ink_exchange *x);
void ink_exchange_wake_locked(struct ink_exchange *x);
/* From now on x holds n bytes in all. False: that would be more than all may hold together, and
 * more than it held before; nothing has changed. */
bool ink_exchange_hold_locked(struct ink_exchange *x, size_t n);
/* Answer without a handler: like ink_errors_reply; no body where `message` is NULL. */
void ink_exchange_refuse(struct ink_exchange *x, int status, const char *message, const char *code);
/* libmicrohttpd's reader of an answer in pieces. */
ssize_t ink_exchange_read(void *exchange, uint64_t at, char *bytes, size_t n);
/* libmicrohttpd is done with it. */
void ink_exchange_leave(struct ink_exchange *x, bool is_whole);

/* http_admit.c: look at a whole head. False: it was refused. */
bool ink_http_admit(struct ink_exchange *x, const char *method, const char *version);

/* http_request.c: libmicrohttpd's callbacks. */
void *ink_http_begin(void *http, const char *target, struct MHD_Connection *connection);
enum MHD_Result ink_http_handle(void *http, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *bytes,
                                size_t *n, void **exchange);
void ink_http_complete(void *http, struct MHD_Connection *connection, void **exchange,
                       enum MHD_RequestTerminationCode why);

/* http_answer.c */
enum MHD_Result ink_http_queue_answer(struct ink_exchange *x);
/* Count and log an answer that is over; not is_ours: libmicrohttpd refused the request by itself.
 */
void ink_http_note(struct ink_exchange *x, int status, bool is_ours);

/* http_watch.c */
void ink_http_accept_all(void *http);
void ink_http_watch_all(void *http);
void ink_http_connection(void *http, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode what);
void ink_http_forget_all(struct ink_http *h);

/* http_work.c. The handler is called, now or by a worker. */
void ink_http_dispatch(struct ink_exchange *x);
void ink_http_work(void *http);

#endif
