#include "http_internal.h"

#include "metrics.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

static double earlier(double a, double b)
{
    return a > 0 && a < b ? a : b;
}

static double seconds_from_now(int seconds)
{
    return seconds > 0 ? ink_system_seconds() + seconds : 0;
}

static void set_deadline(struct ink_exchange *x, double deadline)
{
    ink_mutex_lock(x->http->lock);
    x->client->deadline = deadline;
    ink_mutex_unlock(x->http->lock);
}

/* Not to be guessed or counted by clients, and no more: it only tells requests apart. */
static void make_id(struct ink_exchange *x, uint64_t connection)
{
    uint64_t a = (uint64_t)(x->arrived * 1e9) ^ (uint64_t)(uintptr_t)x << 20;
    uint64_t b = connection * 0x9e3779b97f4a7c15u + a;
    for (int i = 0; i < 3; i++) { /* splitmix64's finish */
        b ^= b >> 30;
        b *= 0xbf58476d1ce4e5b9u;
        b ^= b >> 27;
    }
    snprintf(x->id, sizeof x->id, "%016llx%08llx", (unsigned long long)b,
             (unsigned long long)(a & 0xffffffffu));
}

void *ink_http_begin(void *http, const char *target, struct MHD_Connection *connection)
{
    struct ink_http *h = http;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct ink_connection *client = info ? info->socket_context : NULL;
    struct ink_exchange *x = client ? ink_exchange_new(h) : NULL;
    if (!x) {
        return NULL;
    }
    x->raw = ink_strdup(target ? target : "");
    if (!x->raw) {
        ink_exchange_release(x);
        return NULL;
    }
    x->connection = connection;
    x->client = client;
    memcpy(x->peer, client->peer, sizeof x->peer);
    make_id(x, client->id);
    x->request = (struct ink_request){
        .method = "", .path = "", .rest = "", .body = "", .id = x->id, .peer = x->peer};
    double later = seconds_from_now(h->options.header_seconds);
    ink_mutex_lock(h->lock);
    client->deadline = later > 0 ? earlier(client->deadline, later) : 0;
    client->is_idle = false;
    ink_mutex_unlock(h->lock);
    return x;
}

static bool has_body(const struct ink_exchange *x)
{
    const char *length = ink_pairs_find(&x->headers, "Content-Length");
    return (length && strcmp(length, "0") != 0) || ink_pairs_find(&x->headers, "Transfer-Encoding");
}

static enum MHD_Result take_head(struct ink_exchange *x, const char *method, const char *version)
{
    if (!ink_http_admit(x, method, version)) {
        set_deadline(x, 0);
        if (x->must_close || has_body(x)) {
            ink_mutex_lock(x->http->lock);
            x->client->lingers = true;
            ink_mutex_unlock(x->http->lock);
            return ink_http_queue_answer(x); /* the body is not read, and the connection closed */
        }
        x->phase = INK_PHASE_HANDLED;
        return MHD_YES;
    }
    x->phase = INK_PHASE_BODY;
    set_deadline(x, seconds_from_now(x->http->options.body_seconds));
    return MHD_YES;
}

static bool hold(struct ink_exchange *x, size_t n)
{
    ink_mutex_lock(x->http->lock);
    bool ok = ink_exchange_hold_locked(x, n);
    ink_mutex_unlock(x->http->lock);
    return ok;
}

/* For n bytes more of the body. */
static bool has_room(struct ink_exchange *x, size_t n)
{
    return hold(x, x->body.length + n);
}

/* A body whose length was not told may turn out too large, or find no room among those of others.
 * It cannot be answered before its end, so a little more of it is thrown away, and then the
 * connection. */
static enum MHD_Result take_body(struct ink_exchange *x, const char *bytes, size_t n)
{
    size_t most = x->http->options.max_body;
    if (x->phase == INK_PHASE_BODY && n <= most && x->body.length <= most - n && has_room(x, n)) {
        ink_string_append(&x->body, bytes, n);
        return x->body.failed ? MHD_NO : MHD_YES;
    }
    if (x->phase == INK_PHASE_BODY) {
        x->phase = INK_PHASE_REFUSED;
        x->n_bytes = 0;
        x->is_short = n <= most && x->body.length <= most - n;
        ink_string_free(&x->body);
        hold(x, 0);
    }
    x->n_bytes += n;
    return x->n_bytes > most + 65536 ? MHD_NO : MHD_YES;
}

/* Answer, if there is an answer; or wait for one. */
static enum MHD_Result answer_or_wait(struct ink_exchange *x)
{
    ink_mutex_lock(x->http->lock);
    bool has_begun = x->has_begun, can_wait = !x->http->is_closing;
    if (!has_begun && can_wait) {
        x->is_suspended = true;
        MHD_suspend_connection(x->connection);
    }
    ink_mutex_unlock(x->http->lock);
    return has_begun ? ink_http_queue_answer(x) : can_wait ? MHD_YES : MHD_NO;
}

static enum MHD_Result take_end(struct ink_exchange *x)
{
    if (x->phase == INK_PHASE_REFUSED) {
        x->n_bytes = 0;
        x->must_close = true;
        ink_metrics_add(x->http->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
        if (x->is_short) {
            ink_exchange_add_header(x, "Retry-After", "1");
            ink_exchange_refuse(x, 429, "too many long requests at a time", "rate_limit_exceeded");
        } else {
            ink_exchange_refuse(x, 413, "the body is too large", "body_too_large");
        }
        return ink_http_queue_answer(x);
    }
    ink_string_append(&x->body, "", 0);
    x->request.body = x->body.data ? x->body.data : "";
    x->request.n_body = x->body.length;
    x->phase = INK_PHASE_HANDLED;
    ink_http_dispatch(x);
    return answer_or_wait(x);
}

enum MHD_Result ink_http_handle(void *http, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *bytes,
                                size_t *n, void **exchange)
{
    struct ink_exchange *x = *exchange;
    (void)http;
    (void)connection;
    (void)url;
    if (!x) {
        return MHD_NO; /* out of memory */
    }
    if (x->phase == INK_PHASE_HEAD) {
        return take_head(x, method, version);
    }
    if (x->phase == INK_PHASE_HANDLED) {
        return answer_or_wait(x);
    }
    if (*n > 0) {
        size_t count = *n;
        *n = 0;
        return take_body(x, bytes, count);
    }
    return take_end(x);
}

void ink_http_complete(void *http, struct MHD_Connection *connection, void **exchange,
                       enum MHD_RequestTerminationCode why)
{
    struct ink_http *h = http;
    struct ink_exchange *x = *exchange;
    *exchange = NULL;
    if (!x) {
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
    double idle = seconds_from_now(h->options.idle_seconds);
    ink_mutex_lock(h->lock);
    const bool is_ours = x->has_begun; /* even if it was cut before it could be queued */
    int status = is_ours ? x->status : info ? (int)info->http_status : 0;
    x->client->is_idle = true;
    x->client->deadline =
        idle > 0 && h->options.header_seconds > 0 ? idle + h->options.header_seconds : 0;
    ink_mutex_unlock(h->lock);
    if (status > 0) {
        ink_http_note(x, status, is_ours);
    }
    ink_exchange_leave(x, why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    ink_exchange_release(x);
}
