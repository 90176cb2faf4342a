/* Connections: accepted by one thread, watched by another. libmicrohttpd could accept by itself,
 * but runs in circles while there are no descriptors, and does not watch suspended connections. */
#include "http_internal.h"

#include "metrics.h"
#include "system.h"

#include <string.h>

/* Seconds. A client that left is noticed after the first; deadlines are kept to the second. */
static const double glance = 0.01, stroll = 0.25, linger = 2;

/* ---------------------------------------------------------------------------------- connections */

static void unlink_locked(struct ink_http *h, struct ink_connection *c)
{
    if (c->next) {
        c->next->previous = c->previous;
    }
    if (c->previous) {
        c->previous->next = c->next;
    } else {
        h->connections = c->next;
    }
    h->n_connections--;
    ink_metrics_set(h->options.metrics, INK_METRIC_CONNECTIONS, h->n_connections);
    ink_condition_wake_all(h->changed);
}

/* libmicrohttpd says nothing of a connection that it could not take over, except that the
 * descriptor comes again. */
static void forget_lost_locked(struct ink_http *h, ink_socket fd)
{
    for (struct ink_connection *c = h->connections, *next; c; c = next) {
        next = c->next;
        if (c->fd == fd && !c->is_started) {
            unlink_locked(h, c);
            ink_free(c);
        }
    }
}

static struct ink_connection *remember(struct ink_http *h, const struct ink_client *client)
{
    struct ink_connection *c = ink_calloc(1, sizeof *c);
    if (!c) {
        return NULL;
    }
    c->fd = client->fd;
    memcpy(c->peer, client->peer, sizeof c->peer);
    memcpy(c->local, client->local, sizeof c->local);
    if (h->options.header_seconds > 0) {
        c->deadline = ink_system_seconds() + h->options.header_seconds;
    }
    ink_mutex_lock(h->lock);
    forget_lost_locked(h, client->fd);
    c->id = ++h->n_accepted;
    c->next = h->connections;
    if (c->next) {
        c->next->previous = c;
    }
    h->connections = c;
    h->n_connections++;
    ink_metrics_set(h->options.metrics, INK_METRIC_CONNECTIONS, h->n_connections);
    ink_condition_wake_all(h->watch);
    ink_mutex_unlock(h->lock);
    return c;
}

/* libmicrohttpd is about to close the socket, and has said that it sends no more. */
static void linger_locked(struct ink_http *h, const struct ink_connection *c)
{
    if (c->lingers && !c->is_cut && !h->is_closing && h->n_lingering < INK_HTTP_MAX_LINGERING) {
        ink_socket fd = ink_socket_copy(c->fd);
        if (fd != INK_NO_SOCKET) {
            h->lingering[h->n_lingering].fd = fd;
            h->lingering[h->n_lingering++].deadline = ink_system_seconds() + linger;
        }
    }
}

static void drain_locked(struct ink_http *h, bool is_over)
{
    double now = ink_system_seconds();
    for (int i = 0; i < h->n_lingering;) {
        if (is_over || now > h->lingering[i].deadline || !ink_socket_drain(h->lingering[i].fd)) {
            ink_socket_close(h->lingering[i].fd);
            h->lingering[i] = h->lingering[--h->n_lingering];
        } else {
            i++;
        }
    }
}

void ink_http_connection(void *http, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode what)
{
    struct ink_http *h = http;
    struct ink_connection *c = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        ink_mutex_lock(h->lock);
        for (c = h->connections; c && c->fd != (ink_socket)info->connect_fd;) {
            c = c->next;
        }
        if (c) {
            c->is_started = true;
        }
        ink_mutex_unlock(h->lock);
        *context = c;
    } else if (c) {
        ink_mutex_lock(h->lock);
        linger_locked(h, c);
        unlink_locked(h, c);
        ink_mutex_unlock(h->lock);
        ink_free(c);
        *context = NULL;
    }
}

void ink_http_forget_all(struct ink_http *h)
{
    while (h->connections) {
        struct ink_connection *next = h->connections->next;
        ink_free(h->connections);
        h->connections = next;
    }
}

/* ------------------------------------------------------------------------------------ accepting */

/* Wait for room, or for `seconds` (0: no matter how long). False: no more are accepted. */
static bool wait_for_room(struct ink_http *h, double seconds)
{
    ink_mutex_lock(h->lock);
    if (seconds > 0 && !h->stops_accepting) {
        ink_condition_wait_for(h->changed, h->lock, seconds);
    }
    while (!h->stops_accepting && h->n_connections >= h->options.max_connections) {
        ink_condition_wait(h->changed, h->lock);
    }
    bool goes_on = !h->stops_accepting;
    ink_mutex_unlock(h->lock);
    return goes_on;
}

static void hand_on(struct ink_http *h, struct ink_client *client)
{
    struct ink_connection *c = remember(h, client);
    if (!c) {
        ink_socket_close(client->fd);
        return;
    }
    if (MHD_add_connection(h->daemon, (MHD_socket)client->fd, (struct sockaddr *)client->address,
                           (socklen_t)client->n_address) != MHD_YES) {
        /* too many of one address; the socket is closed */
        ink_metrics_add(h->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
        ink_mutex_lock(h->lock);
        unlink_locked(h, c);
        ink_mutex_unlock(h->lock);
        ink_free(c);
    }
}

/* Whoever was there before the end is let in: closing the listener would cut them off. */
static void accept_last(struct ink_http *h)
{
    enum { MOST = 1024 }; /* where more still come than leave, some are cut off */
    struct ink_client client;
    enum ink_accepted what = INK_ACCEPTED;
    for (int i = 0; i < MOST && (what == INK_ACCEPTED || what == INK_ACCEPTED_NONE); i++) {
        what = ink_listener_accept(h->listener, &client);
        if (what == INK_ACCEPTED) {
            hand_on(h, &client);
        }
    }
}

void ink_http_accept_all(void *http)
{
    struct ink_http *h = http;
    double pause = 0;
    while (wait_for_room(h, pause)) {
        struct ink_client client;
        enum ink_accepted what = ink_listener_accept(h->listener, &client);
        pause = what == INK_ACCEPTED_SHORT ? 0.1 : 0;
        if (what == INK_ACCEPTED_STOPPED) {
            return;
        }
        if (what == INK_ACCEPTED) {
            hand_on(h, &client);
        }
    }
    accept_last(h);
}

/* ------------------------------------------------------------------------------------- watching */

/* Cut what has to be, and list whose leaving matters. */
static int look_over_locked(struct ink_http *h)
{
    double now = ink_system_seconds();
    int n = 0;
    for (struct ink_connection *c = h->connections; c; c = c->next) {
        bool is_late = c->deadline > 0 && now >= c->deadline;
        if (c->is_started && !c->is_cut && (c->must_cut || is_late)) {
            ink_socket_cut(c->fd);
            c->is_cut = true;
            if (is_late && !c->is_idle) {
                ink_metrics_add(h->options.metrics, INK_METRIC_REJECTED_LIMIT, 1);
            }
        }
        if (c->exchange && !c->exchange->is_gone && n < h->options.max_connections) {
            h->watched[n++] = (struct ink_watched){.id = c->id, .fd = c->fd};
        }
    }
    return n;
}

/* The connections may have changed meanwhile: ids do not come again. */
static void mark_gone_locked(struct ink_http *h, const struct ink_watched *watched)
{
    for (struct ink_connection *c = h->connections; c; c = c->next) {
        if (c->id == watched->id && c->exchange) {
            c->exchange->is_gone = true;
        }
    }
}

void ink_http_watch_all(void *http)
{
    struct ink_http *h = http;
    ink_mutex_lock(h->lock);
    while (!h->stops_watching) {
        int n = look_over_locked(h);
        drain_locked(h, false);
        if (n == 0 && h->n_lingering > 0) {
            ink_condition_wait_for(h->watch, h->lock, glance);
        } else if (n == 0 && h->n_connections == 0) {
            ink_condition_wait(h->watch, h->lock);
        } else if (n == 0) {
            ink_condition_wait_for(h->watch, h->lock, stroll);
        } else {
            ink_mutex_unlock(h->lock);
            ink_sockets_watch(h->watched, n, glance);
            ink_mutex_lock(h->lock);
            for (int i = 0; i < n; i++) {
                if (h->watched[i].has_left) {
                    mark_gone_locked(h, &h->watched[i]);
                }
            }
        }
    }
    drain_locked(h, true);
    ink_mutex_unlock(h->lock);
}
