/* One HTTP request and its answer: all that a route sees of HTTP.
 *
 * A handler gets an exchange when the whole request has been read and let in (key, host, origin,
 * limits). It ends the exchange exactly once, in the handler or later from any thread: by
 * ink_exchange_reply, or by ink_exchange_begin, any number of ink_exchange_write, and
 * ink_exchange_end. Nothing may be called on it after that: it may be gone.
 *
 * Nothing here waits: what is written is kept until the client takes it. */
#ifndef INK_EXCHANGE_H
#define INK_EXCHANGE_H

#include "common.h"

struct ink_exchange;

/* What was asked. All pointers live as long as the exchange. */
struct ink_request {
    const char *method; /* "GET", "POST"; HEAD is answered by HTTP from GET's */
    const char *path;   /* decoded, begins with "/"; without the query */
    const char *rest;   /* of a route that ends in "*": the path from there on; else "" */
    const char *body;   /* [n_body], and a zero byte after it */
    size_t n_body;
    const char *id;   /* the request's id: the client's X-Request-Id if it was fit, or made */
    const char *peer; /* the client's address, for logs */
};
const struct ink_request *ink_exchange_request(const struct ink_exchange *x);
/* A header of the request, or NULL; names in any case. */
const char *ink_exchange_header(const struct ink_exchange *x, const char *name);
/* An argument of the query ("" if it has no value), or NULL. */
const char *ink_exchange_argument(const struct ink_exchange *x, const char *name);

/* Add a header to the answer, before reply or begin. Both are copied. Out of memory: left out. */
void ink_exchange_add_header(struct ink_exchange *x, const char *name, const char *value);

/* The whole answer. body [n] is copied. Ends the exchange. */
void ink_exchange_reply(struct ink_exchange *x, int status, const char *content_type,
                        const char *body, size_t n);

/* Start an answer that comes in pieces. */
void ink_exchange_begin(struct ink_exchange *x, int status, const char *content_type);
/* The next piece, copied. False: the client is gone, or so far behind that it is given up (more
 * than INK_EXCHANGE_MAX_UNREAD bytes wait); the exchange must still be ended. */
bool ink_exchange_write(struct ink_exchange *x, const char *bytes, size_t n);
/* The answer is complete; `whole`: false breaks the connection off, so that the client can tell. */
void ink_exchange_end(struct ink_exchange *x, bool whole);

enum { INK_EXCHANGE_MAX_UNREAD = 4 << 20 };

/* Has the client left, or been given up? To be asked from time to time by whoever works for it:
 * true at the latest some 20 ms after it left, and for good. */
bool ink_exchange_is_gone(const struct ink_exchange *x);

#endif
