#include "http_internal.h"

#include "log.h"
#include "metrics.h"
#include "system.h"

#include <string.h>

static void add(struct MHD_Response *r, const char *name, const char *value)
{
    MHD_add_response_header(r, name, value);
}

static void add_headers(const struct ink_exchange *x, struct MHD_Response *r)
{
    static const char *const always[][2] = {
        {"X-Content-Type-Options", "nosniff"},
        {"Referrer-Policy", "no-referrer"},
        {"X-Frame-Options", "DENY"},
        {"Cross-Origin-Resource-Policy", "same-origin"},
    };
    const char *name, *value;
    add(r, "X-Request-Id", x->id);
    for (size_t i = 0; i < INK_COUNT(always); i++) {
        add(r, always[i][0], always[i][1]);
    }
    if (!ink_pairs_find(&x->answer_headers, "Cache-Control")) {
        add(r, "Cache-Control", x->is_stream ? "no-cache" : "no-store");
    }
    if (x->is_stream) {
        add(r, "X-Accel-Buffering", "no");
    }
    if (x->content_type[0] && x->status != 204 && x->status != 304) {
        add(r, "Content-Type", x->content_type);
    }
    if (x->cors) {
        add(r, "Access-Control-Allow-Origin", x->cors);
        add(r, "Access-Control-Expose-Headers",
            "retry-after, x-cached-tokens, x-queue-depth, x-request-id, x-slots-free");
    }
    if (x->http->options.n_origins > 0) {
        add(r, "Vary", "Origin");
    }
    if (x->must_close) {
        add(r, "Connection", "close");
    }
    for (size_t at = 0; ink_pairs_next(&x->answer_headers, &at, &name, &value);) {
        add(r, name, value);
    }
}

static void release(void *exchange)
{
    ink_exchange_release(exchange);
}

/* A block is what libmicrohttpd asks for at once. */
enum { STREAM_BLOCK = 16384 };

/* Only the thread of libmicrohttpd comes here, once for an exchange; what has begun changes only in
 * `out`, which the reader takes under the lock. */
enum MHD_Result ink_http_queue_answer(struct ink_exchange *x)
{
    struct MHD_Response *r;
    ink_mutex_lock(x->http->lock);
    x->n_references++;
    ink_mutex_unlock(x->http->lock);
    if (x->is_stream) {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, ink_exchange_read, x,
                                              release);
    } else {
        static char nothing[1];
        x->n_bytes = strcmp(x->method, "HEAD") == 0 ? 0 : x->out.length;
        r = MHD_create_response_from_buffer_with_free_callback_cls(
            x->out.length, x->out.data ? x->out.data : nothing, release, x);
    }
    if (!r) {
        ink_exchange_release(x);
        return MHD_NO;
    }
    if (x->is_stream && (strcmp(x->method, "HEAD") == 0 || x->status == 204 || x->status == 304)) {
        /* else 0.9.75 sends the last chunk of a body that must not be there */
        MHD_set_response_options(r, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    }
    add_headers(x, r);
    x->is_queued = true;
    ink_metrics_count_request(x->http->options.metrics, x->route ? x->route->name : "other",
                              x->status);
    enum MHD_Result result = MHD_queue_response(x->connection, (unsigned)x->status, r);
    MHD_destroy_response(r);
    return result;
}

/* A word that cannot grow: what the client wrote may be anything. */
static const char *known_method(const char *method)
{
    static const char *const known[] = {"GET",    "HEAD",  "POST",  "OPTIONS", "PUT",
                                        "DELETE", "PATCH", "TRACE", "CONNECT"};
    for (size_t i = 0; i < INK_COUNT(known); i++) {
        if (strcmp(known[i], method) == 0) {
            return known[i];
        }
    }
    return "other";
}

void ink_http_note(struct ink_exchange *x, int status, bool is_ours)
{
    const char *route = x->route ? x->route->name : "other";
    if (!x->is_queued) { /* where it was, it was counted there */
        ink_metrics_count_request(x->http->options.metrics, route, status);
    }
    if (!is_ours) {
        ink_metrics_add(x->http->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
    }
    const struct ink_log_field fields[] = {
        {"id", x->id, 0},
        {"method", known_method(x->method), 0},
        {"route", route, 0},
        {"status", NULL, status},
        {"seconds", NULL, ink_system_seconds() - x->arrived},
        {"bytes", NULL, (double)x->n_bytes},
        {"peer", x->peer, 0},
    };
    ink_log_event(x->http->options.log, "info", "request", fields, (int)INK_COUNT(fields));
}
