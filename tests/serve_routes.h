/* Toy routes that show all that a route can do with an exchange. The context is a struct toys. */
#ifndef CHECK_SERVE_ROUTES_H
#define CHECK_SERVE_ROUTES_H

#include "../src/serve/errors.h"
#include "../src/serve/http.h"
#include "../src/sync.h"
#include "../src/system.h"

#include <stdlib.h>
#include <string.h>

struct toys {
    struct ink_mutex *lock;
    struct ink_exchange *held; /* /hold: answered by whoever takes it */
    int n_gone;                /* clients that /slow and /stream saw leave */
    double gone_at;            /* ink_system_seconds of the last */
    long long n_written;       /* bytes of /flood that were taken */
};

static int number(const struct ink_exchange *x, const char *name, int otherwise)
{
    const char *text = ink_exchange_argument(x, name);
    return text ? atoi(text) : otherwise;
}

static void toy_hello(void *context, struct ink_exchange *x)
{
    (void)context;
    ink_exchange_reply(x, 200, "text/plain", "hello\n", 6);
}

static void toy_echo(void *context, struct ink_exchange *x)
{
    const struct ink_request *r = ink_exchange_request(x);
    (void)context;
    ink_exchange_reply(x, 200, "application/json", r->body, r->n_body);
}

/* What was asked, as text. */
static void toy_show(void *context, struct ink_exchange *x)
{
    const struct ink_request *r = ink_exchange_request(x);
    const char *a = ink_exchange_argument(x, "a"), *h = ink_exchange_header(x, "x-toy");
    struct ink_string out = {0};
    (void)context;
    ink_string_printf(&out, "method=%s path=%s rest=%s a=%s x-toy=%s peer=%s id=%s\n", r->method,
                      r->path, r->rest, a ? a : "-", h ? h : "-", r->peer, r->id);
    ink_exchange_add_header(x, "Cache-Control", "max-age=60");
    ink_exchange_add_header(x, "X-Toy", "yes");
    ink_exchange_reply(x, 200, "text/plain", out.data, out.length);
    ink_string_free(&out);
}

static void note_gone(struct toys *t)
{
    ink_mutex_lock(t->lock);
    t->n_gone++;
    t->gone_at = ink_system_seconds();
    ink_mutex_unlock(t->lock);
}

/* Waits ?ms=100, or until the client left. */
static void toy_slow(void *context, struct ink_exchange *x)
{
    double end = ink_system_seconds() + number(x, "ms", 100) / 1000.0;
    bool is_gone = false;
    while (ink_system_seconds() < end && !(is_gone = ink_exchange_is_gone(x))) {
        ink_sleep(0.001);
    }
    if (is_gone) {
        note_gone(context);
    }
    ink_exchange_reply(x, 200, "text/plain", "slow\n", 5);
}

/* ?n=5 pieces, ?ms=10 between them; ?whole=0 breaks off. */
static void toy_stream(void *context, struct ink_exchange *x)
{
    int n = number(x, "n", 5);
    double pause = number(x, "ms", 10) / 1000.0;
    bool is_there = true;
    ink_exchange_begin(x, 200, "text/event-stream");
    for (int i = 0; i < n && is_there; i++) {
        char piece[32];
        int length = snprintf(piece, sizeof piece, "data: %d\n\n", i);
        is_there = ink_exchange_write(x, piece, (size_t)length);
        ink_sleep(is_there ? pause : 0);
    }
    if (!is_there || ink_exchange_is_gone(x)) {
        note_gone(context);
    }
    ink_exchange_end(x, number(x, "whole", 1) != 0);
}

/* As much as is taken, ?mb=64 at most. */
static void toy_flood(void *context, struct ink_exchange *x)
{
    struct toys *t = context;
    static const char block[65536];
    long long n = 0, most = (long long)number(x, "mb", 64) << 20;
    ink_exchange_begin(x, 200, "application/octet-stream");
    while (n < most && ink_exchange_write(x, block, sizeof block)) {
        n += (long long)sizeof block;
    }
    ink_mutex_lock(t->lock);
    t->n_written = n;
    ink_mutex_unlock(t->lock);
    ink_exchange_end(x, n == most);
}

static void toy_hold(void *context, struct ink_exchange *x)
{
    struct toys *t = context;
    ink_mutex_lock(t->lock);
    bool is_free = !t->held;
    if (is_free) {
        t->held = x;
    }
    ink_mutex_unlock(t->lock);
    if (!is_free) {
        ink_errors_reply(x, 429, "another one is held", NULL, "held");
    }
}

static struct ink_exchange *take_held(struct toys *t)
{
    ink_mutex_lock(t->lock);
    struct ink_exchange *x = t->held;
    t->held = NULL;
    ink_mutex_unlock(t->lock);
    return x;
}

static void toy_state(void *context, struct ink_exchange *x)
{
    struct toys *t = context;
    struct ink_string out = {0};
    ink_mutex_lock(t->lock);
    ink_string_printf(&out, "{\"gone\":%d,\"gone_at\":%.4f,\"now\":%.4f,\"written\":%lld}",
                      t->n_gone, t->gone_at, ink_system_seconds(), t->n_written);
    ink_mutex_unlock(t->lock);
    ink_exchange_reply(x, 200, "application/json", out.data, out.length);
    ink_string_free(&out);
}

static const struct ink_route toy_routes[] = {
    {"GET", "/hello", toy_hello, true, false, "hello"},
    {"POST", "/echo", toy_echo, true, false, "echo"},
    {"POST", "/slow-echo", toy_echo, true, true, "slow-echo"},
    {"GET", "/show", toy_show, true, false, "show"},
    {"GET", "/files/*", toy_show, true, false, "files"},
    {"GET", "/slow", toy_slow, true, true, "slow"},
    {"GET", "/stream", toy_stream, true, true, "stream"},
    {"GET", "/flood", toy_flood, true, true, "flood"},
    {"GET", "/hold", toy_hold, true, false, "hold"},
    {"GET", "/state", toy_state, true, false, "state"},
    {"GET", "/secret", toy_hello, false, false, "secret"},
    {"POST", "/secret", toy_echo, false, false, "secret"},
};

#endif
