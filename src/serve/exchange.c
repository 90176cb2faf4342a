#include "http_internal.h"

#include "errors.h"
#include "metrics.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

/* --------------------------------------------------------------------------------------- pairs */

bool ink_pairs_add(struct ink_pairs *p, const char *name, const char *value)
{
    size_t n_name = strlen(name) + 1, n_value = strlen(value) + 1, before = p->text.length;
    ink_string_append(&p->text, name, n_name);
    ink_string_append(&p->text, value, n_value);
    if (p->text.failed) {
        p->text.length = before;
        p->text.failed = false;
        return false;
    }
    p->n++;
    return true;
}

bool ink_pairs_next(const struct ink_pairs *p, size_t *at, const char **name, const char **value)
{
    if (*at >= p->text.length) {
        return false;
    }
    *name = p->text.data + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value + strlen(*value) + 1 - p->text.data);
    return true;
}

const char *ink_pairs_find(const struct ink_pairs *p, const char *name)
{
    const char *key, *value;
    for (size_t at = 0; ink_pairs_next(p, &at, &key, &value);) {
        if (ink_same_word(key, name)) {
            return value;
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------------------------------- lives */

struct ink_exchange *ink_exchange_new(struct ink_http *h)
{
    struct ink_exchange *x = ink_calloc(1, sizeof *x);
    if (x) {
        x->http = h;
        x->n_references = 1;
        x->arrived = ink_system_seconds();
    }
    return x;
}

static void free_exchange(struct ink_exchange *x)
{
    ink_free(x->raw);
    ink_target_free(&x->target);
    ink_string_free(&x->headers.text);
    ink_string_free(&x->body);
    ink_string_free(&x->answer_headers.text);
    ink_string_free(&x->out);
    ink_free(x);
}

bool ink_exchange_hold_locked(struct ink_exchange *x, size_t n)
{
    struct ink_http *h = x->http;
    const size_t others = h->n_held - x->n_held, most = h->options.max_held;
    if (most > 0 && n > x->n_held && (others > most || n > most - others)) {
        return false;
    }
    h->n_held = others + n;
    x->n_held = n;
    return true;
}

/* The last reference's holder frees it. */
static bool let_go_locked(struct ink_exchange *x)
{
    bool is_last = --x->n_references == 0;
    if (is_last) {
        ink_exchange_hold_locked(x, 0);
    }
    return is_last;
}

void ink_exchange_release(struct ink_exchange *x)
{
    ink_mutex_lock(x->http->lock);
    bool is_last = let_go_locked(x);
    ink_mutex_unlock(x->http->lock);
    if (is_last) {
        free_exchange(x);
    }
}

void ink_exchange_wake_locked(struct ink_exchange *x)
{
    if (x->is_suspended) {
        x->is_suspended = false;
        MHD_resume_connection(x->connection);
    }
}

/* The handler's part is over. Once n_busy is 0 the server may be closed: it is not touched after
 * the lock. */
static void end(struct ink_exchange *x)
{
    struct ink_http *h = x->http;
    ink_mutex_lock(h->lock);
    h->n_busy--;
    bool is_last = let_go_locked(x);
    ink_condition_wake_all(h->changed);
    ink_mutex_unlock(h->lock);
    if (is_last) {
        free_exchange(x);
    }
}

void ink_exchange_leave(struct ink_exchange *x, bool is_whole)
{
    ink_mutex_lock(x->http->lock);
    x->is_gone = x->is_gone || !is_whole || !x->is_ended;
    x->http->n_unsent -= x->has_begun;
    if (x->client->exchange == x) {
        x->client->exchange = NULL;
    }
    x->connection = NULL;
    x->client = NULL;
    ink_condition_wake_all(x->http->changed);
    ink_mutex_unlock(x->http->lock);
}

/* -------------------------------------------------------------------------------------- request */

const struct ink_request *ink_exchange_request(const struct ink_exchange *x)
{
    return &x->request;
}

const char *ink_exchange_header(const struct ink_exchange *x, const char *name)
{
    return ink_pairs_find(&x->headers, name);
}

const char *ink_exchange_argument(const struct ink_exchange *x, const char *name)
{
    return ink_target_argument(&x->target, name);
}

bool ink_exchange_is_gone(const struct ink_exchange *x)
{
    ink_mutex_lock(x->http->lock);
    bool is_gone = x->is_gone;
    ink_mutex_unlock(x->http->lock);
    return is_gone;
}

/* --------------------------------------------------------------------------------------- answer */

void ink_exchange_add_header(struct ink_exchange *x, const char *name, const char *value)
{
    ink_pairs_add(&x->answer_headers, name, value);
}

static void begin_locked(struct ink_exchange *x, int status, const char *content_type)
{
    x->has_begun = true;
    x->status = status;
    snprintf(x->content_type, sizeof x->content_type, "%s", content_type ? content_type : "");
    x->http->n_unsent += x->connection != NULL;
}

/* Bytes of an answer, for which there is always room: one that says what is wrong. */
enum { SMALL_ANSWER = 16384 };

static void reply(struct ink_exchange *x, int status, const char *content_type, const char *body,
                  size_t n)
{
    struct ink_string out = {0};
    if (n > 0) {
        ink_string_append(&out, body, n);
    }
    if (out.failed) {
        ink_string_free(&out);
        status = 503;
    }
    ink_mutex_lock(x->http->lock);
    if (!ink_exchange_hold_locked(x, x->body.length + out.length) && out.length > SMALL_ANSWER) {
        ink_string_free(&out);
        status = 503;
    }
    begin_locked(x, status, content_type);
    x->out = out;
    x->is_ended = x->is_whole = true;
    ink_exchange_wake_locked(x);
    ink_mutex_unlock(x->http->lock);
}

void ink_exchange_reply(struct ink_exchange *x, int status, const char *content_type,
                        const char *body, size_t n)
{
    reply(x, status, content_type, body, n);
    end(x);
}

void ink_exchange_refuse(struct ink_exchange *x, int status, const char *message, const char *code)
{
    struct ink_string out = {0};
    if (message) {
        ink_errors_append(&out, status, message, NULL, code);
    }
    reply(x, status, "application/json", out.data, out.failed ? 0 : out.length);
    ink_string_free(&out);
}

void ink_exchange_begin(struct ink_exchange *x, int status, const char *content_type)
{
    ink_mutex_lock(x->http->lock);
    x->is_stream = true;
    begin_locked(x, status, content_type);
    ink_exchange_wake_locked(x);
    ink_mutex_unlock(x->http->lock);
}

/* The client does not take what is written: let go of it, and of the connection. */
static void give_up_locked(struct ink_exchange *x)
{
    if (!x->out.failed) {
        ink_metrics_add(x->http->options.metrics, INK_METRIC_CANCELLED_SLOW, 1);
    }
    x->is_gone = true;
    ink_string_free(&x->out);
    x->sent = 0;
    ink_exchange_hold_locked(x, x->body.length);
    if (x->client) {
        x->client->must_cut = true;
        ink_condition_wake_all(x->http->watch);
    }
    ink_exchange_wake_locked(x);
}

bool ink_exchange_write(struct ink_exchange *x, const char *bytes, size_t n)
{
    ink_mutex_lock(x->http->lock);
    if (!x->is_gone && n > 0) {
        ink_string_append(&x->out, bytes, n);
        size_t left = x->out.length - x->sent;
        if (x->out.failed || left > (size_t)INK_EXCHANGE_MAX_UNREAD ||
            !ink_exchange_hold_locked(x, x->body.length + left)) {
            give_up_locked(x);
        } else {
            ink_exchange_wake_locked(x);
        }
    }
    bool is_there = !x->is_gone;
    ink_mutex_unlock(x->http->lock);
    return is_there;
}

void ink_exchange_end(struct ink_exchange *x, bool whole)
{
    ink_mutex_lock(x->http->lock);
    x->is_ended = true;
    x->is_whole = whole;
    ink_exchange_wake_locked(x);
    ink_mutex_unlock(x->http->lock);
    end(x);
}

/* Give out what waits; when all is out, forget it, so that the buffer does not grow. */
static size_t take_locked(struct ink_exchange *x, char *bytes, size_t n)
{
    size_t left = x->out.length - x->sent;
    n = n < left ? n : left;
    memcpy(bytes, x->out.data + x->sent, n);
    x->sent += n;
    x->n_bytes += n;
    ink_exchange_hold_locked(x, x->body.length + left - n);
    if (x->sent == x->out.length) {
        x->out.length = x->sent = 0;
    } else if (x->sent > x->out.length / 2 && x->sent >= 65536) {
        x->out.length -= x->sent;
        memmove(x->out.data, x->out.data + x->sent, x->out.length);
        x->sent = 0;
    }
    return n;
}

ssize_t ink_exchange_read(void *exchange, uint64_t at, char *bytes, size_t n)
{
    struct ink_exchange *x = exchange;
    ssize_t result = 0;
    (void)at;
    ink_mutex_lock(x->http->lock);
    if (x->out.length > x->sent) {
        result = (ssize_t)take_locked(x, bytes, n);
    } else if (x->is_ended) {
        result = x->is_whole ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    } else if (x->http->is_closing || (x->client && x->client->must_cut)) {
        result = MHD_CONTENT_READER_END_WITH_ERROR;
    } else {
        x->is_suspended = true;
        MHD_suspend_connection(x->connection);
    }
    ink_mutex_unlock(x->http->lock);
    return result;
}
