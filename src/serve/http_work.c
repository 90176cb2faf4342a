#include "http_internal.h"

#include "errors.h"
#include "metrics.h"

/* Slow requests that may wait for each worker. More are refused. */
enum { QUEUE_PER_WORKER = 64 };

/* Bytes of a body from which on it may take long. Such requests have half of the workers, so that
 * a few of them do not hold up all others for seconds. */
enum { LARGE_BODY = 128 << 10 };

static bool is_large(const struct ink_exchange *x)
{
    return x->request.n_body > LARGE_BODY;
}

static bool enqueue(struct ink_exchange *x)
{
    struct ink_http *h = x->http;
    ink_mutex_lock(h->lock);
    bool fits = h->n_waiting < QUEUE_PER_WORKER * h->n_workers && !h->stops_working;
    if (fits) {
        x->next = NULL;
        if (h->last) {
            h->last->next = x;
        } else {
            h->first = x;
        }
        h->last = x;
        h->n_waiting++;
        ink_condition_wake_all(h->work);
    }
    ink_mutex_unlock(h->lock);
    return fits;
}

/* The oldest that a worker may take now, out of the queue; or NULL. */
static struct ink_exchange *take_locked(struct ink_http *h)
{
    const bool takes_large = h->n_large < (h->options.n_workers + 1) / 2;
    struct ink_exchange *before = NULL, *x = h->first;
    while (x && is_large(x) && !takes_large) {
        before = x;
        x = x->next;
    }
    if (x) {
        *(before ? &before->next : &h->first) = x->next;
        h->last = h->last == x ? before : h->last;
        h->n_waiting--;
        h->n_large += is_large(x);
    }
    return x;
}

/* NULL: no more. What is large and still waits then is for the workers that are busy with others.
 */
static struct ink_exchange *dequeue(struct ink_http *h)
{
    struct ink_exchange *x;
    ink_mutex_lock(h->lock);
    while (!(x = take_locked(h)) && !h->stops_working) {
        ink_condition_wait(h->work, h->lock);
    }
    ink_mutex_unlock(h->lock);
    return x;
}

static void note_large_done(struct ink_http *h)
{
    ink_mutex_lock(h->lock);
    h->n_large--;
    ink_condition_wake_all(h->work);
    ink_mutex_unlock(h->lock);
}

/* From here on the handler has a reference of its own. */
static void lend(struct ink_exchange *x)
{
    struct ink_http *h = x->http;
    ink_mutex_lock(h->lock);
    x->n_references++;
    h->n_busy++;
    x->client->exchange = x;
    x->client->deadline = 0;
    ink_condition_wake_all(h->watch);
    ink_mutex_unlock(h->lock);
}

void ink_http_dispatch(struct ink_exchange *x)
{
    struct ink_http *h = x->http;
    lend(x);
    if (!x->route->is_slow || h->n_workers == 0) {
        x->route->handle(h->context, x);
    } else if (!enqueue(x)) {
        ink_metrics_add(h->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
        ink_exchange_add_header(x, "Retry-After", "1");
        ink_errors_reply(x, 429, "too many requests wait", NULL, "rate_limit_exceeded");
    }
}

void ink_http_work(void *http)
{
    struct ink_http *h = http;
    ink_speak_english();
    for (struct ink_exchange *x; (x = dequeue(h)) != NULL;) {
        const bool was_large = is_large(x); /* x may be gone when it is handled */
        if (ink_exchange_is_gone(x)) {
            ink_errors_reply(x, 503, "the client left", NULL, "client_left");
        } else {
            x->route->handle(h->context, x);
        }
        if (was_large) {
            note_large_done(h);
        }
    }
}
