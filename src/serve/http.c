#include "http_internal.h"

#include "file.h"
#include "system.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a connection's request line and headers, and of a block of its body. */
enum { CONNECTION_MEMORY = 32768 };

/* ------------------------------------------------------------------------------------------ TLS */

static int read_pem(char **out, const char *path, const char *mark, struct ink_error *error)
{
    struct ink_mapping file;
    int rc = ink_map_file(&file, path, error);
    if (rc != INK_OK) {
        return rc;
    }
    *out = file.size <= 1 << 20 ? ink_strndup((const char *)file.data, (size_t)file.size) : NULL;
    ink_unmap_file(&file);
    if (!*out || !strstr(*out, mark)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: not a PEM file with \"%s\"", path, mark);
    }
    return INK_OK;
}

static int read_certificate(struct ink_http *h, struct ink_error *error)
{
    const char *certificate = h->options.tls_certificate, *key = h->options.tls_key;
    if (!certificate && !key) {
        return INK_OK;
    }
    if (!certificate || !key) {
        return ink_fail(error, INK_ERROR_INPUT, "TLS needs both a certificate and its key");
    }
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES) {
        return ink_fail(error, INK_ERROR_SYSTEM,
                        "this libmicrohttpd has no TLS; put a proxy with TLS before the server");
    }
    int rc = read_pem(&h->certificate, certificate, "-----BEGIN CERTIFICATE-----", error);
    return rc == INK_OK ? read_pem(&h->key, key, "PRIVATE KEY-----", error) : rc;
}

/* --------------------------------------------------------------------------------------- daemon */

static void hear(void *http, const char *format, va_list values) INK_PRINTF(2, 0);
static void hear(void *http, const char *format, va_list values)
{
    struct ink_http *h = http;
    if (!h->daemon && !h->last_words[0]) {
        vsnprintf(h->last_words, sizeof h->last_words, format, values);
        h->last_words[strcspn(h->last_words, "\r\n")] = 0;
    }
}

/* In a thread of ours, because libmicrohttpd's inherits that one's signals: none. */
static void start_daemon(void *http)
{
    struct ink_http *h = http;
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_SUSPEND_RESUME |
                     MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG;
    flags |= MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES  ? MHD_USE_EPOLL
             : MHD_is_feature_supported(MHD_FEATURE_POLL) == MHD_YES ? MHD_USE_POLL
                                                                     : 0;
    struct MHD_OptionItem tls[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, h->certificate},
                                   {MHD_OPTION_HTTPS_MEM_KEY, 0, h->key},
                                   {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    flags |= h->key ? MHD_USE_TLS : 0;
    /* Before 1.0 "strict" adds two checks that http_admit.c makes too, but answers in HTML or not
     * at all. At its own limit of connections 0.9.75 deadlocks: ours is the one that counts. */
    h->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, ink_http_handle, h, MHD_OPTION_EXTERNAL_LOGGER, hear, h,
        MHD_OPTION_STRICT_FOR_CLIENT, MHD_VERSION >= 0x01000000 ? 1 : 0,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)INT_MAX, MHD_OPTION_PER_IP_CONNECTION_LIMIT, (unsigned)h->options.max_per_address,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)h->options.idle_seconds,
        MHD_OPTION_NOTIFY_CONNECTION, ink_http_connection, h, MHD_OPTION_NOTIFY_COMPLETED,
        ink_http_complete, h, MHD_OPTION_URI_LOG_CALLBACK, ink_http_begin, h, MHD_OPTION_ARRAY,
        h->key ? tls : none, MHD_OPTION_END);
}

static int start(struct ink_http *h, struct ink_error *error)
{
    struct ink_thread *starter;
    int rc = ink_thread_start(&starter, start_daemon, h, error);
    if (rc != INK_OK) {
        return rc;
    }
    ink_thread_join(starter);
    if (!h->daemon) {
        const char *what = h->options.tls_key ? h->options.tls_key : "libmicrohttpd";
        return ink_fail(error, INK_ERROR_SYSTEM, "%s: the HTTP server does not start: %s", what,
                        h->last_words);
    }
    for (; h->n_workers < h->options.n_workers; h->n_workers++) {
        rc = ink_thread_start(&h->workers[h->n_workers], ink_http_work, h, error);
        if (rc != INK_OK) {
            return rc;
        }
    }
    rc = ink_thread_start(&h->watcher, ink_http_watch_all, h, error);
    return rc == INK_OK ? ink_thread_start(&h->acceptor, ink_http_accept_all, h, error) : rc;
}

/* -------------------------------------------------------------------------------------- opening */

static int write_address(struct ink_http *h, struct ink_error *error)
{
    const char *host = h->options.host;
    bool is_bare_ipv6 = strchr(host, ':') && host[0] != '[';
    struct ink_string out = {0};
    if (ink_listener_is_file(h->listener)) {
        ink_string_puts(&out, host);
    } else {
        ink_string_printf(&out, "%s://%s%s%s:%d", h->key ? "https" : "http",
                          is_bare_ipv6 ? "[" : "", host, is_bare_ipv6 ? "]" : "",
                          ink_listener_port(h->listener));
    }
    if (out.failed) {
        ink_string_free(&out);
        return ink_fail_memory(error, 64);
    }
    h->address = out.data;
    return INK_OK;
}

static int prepare(struct ink_http *h, struct ink_error *error)
{
    const struct ink_http_options *o = &h->options;
    h->lock = ink_mutex_new();
    h->changed = ink_condition_new();
    h->watch = ink_condition_new();
    h->work = ink_condition_new();
    h->workers = ink_calloc((size_t)o->n_workers + 1, sizeof(struct ink_thread *));
    h->watched = ink_calloc((size_t)o->max_connections, sizeof *h->watched);
    if (!h->lock || !h->changed || !h->watch || !h->work || !h->workers || !h->watched) {
        return ink_fail_memory(error, (uint64_t)o->max_connections * sizeof *h->watched);
    }
    int rc = read_certificate(h, error);
    if (rc == INK_OK) {
        rc = ink_listener_open(&h->listener, o->host, o->port, o->listen_fd, error);
    }
    if (rc == INK_OK) {
        rc = write_address(h, error);
    }
    if (rc == INK_OK) {
        h->trust = (struct ink_trust){.host = o->host,
                                      .port = ink_listener_port(h->listener),
                                      .hosts = o->hosts,
                                      .n_hosts = o->n_hosts,
                                      .origins = o->origins,
                                      .n_origins = o->n_origins};
    }
    return rc;
}

static void free_all(struct ink_http *h)
{
    ink_listener_close(h->listener);
    ink_http_forget_all(h);
    ink_condition_free(h->work);
    ink_condition_free(h->watch);
    ink_condition_free(h->changed);
    ink_mutex_free(h->lock);
    ink_free(h->workers);
    ink_free(h->watched);
    ink_free(h->certificate);
    ink_free(h->key);
    ink_free(h->address);
    ink_free(h);
}

int ink_http_open(struct ink_http **out, const struct ink_http_options *options,
                  const struct ink_route *routes, int n_routes, void *context,
                  struct ink_error *error)
{
    *out = NULL;
    if (options->port < 0 || options->port > 65535 || options->max_connections < 1 ||
        options->n_workers < 0 || options->max_per_address < 0 || options->idle_seconds < 0) {
        return ink_fail(error, INK_ERROR_INPUT, "an option of the HTTP server is out of its range");
    }
    struct ink_http *h = ink_calloc(1, sizeof *h);
    if (!h) {
        return ink_fail_memory(error, sizeof *h);
    }
    h->options = *options;
    h->routes = routes;
    h->n_routes = n_routes;
    h->context = context;
    int rc = prepare(h, error);
    if (rc != INK_OK) {
        free_all(h);
        return rc;
    }
    rc = start(h, error);
    if (rc != INK_OK) {
        ink_http_close(h);
        return rc;
    }
    *out = h;
    return INK_OK;
}

const char *ink_http_address(const struct ink_http *h)
{
    return h->address;
}

int ink_http_port(const struct ink_http *h)
{
    return h->trust.port;
}

/* -------------------------------------------------------------------------------------- closing */

void ink_http_stop_accepting(struct ink_http *h)
{
    ink_mutex_lock(h->lock);
    h->stops_accepting = true;
    ink_condition_wake_all(h->changed);
    ink_mutex_unlock(h->lock);
    if (h->acceptor) {
        ink_listener_stop(h->listener);
        ink_thread_join(h->acceptor);
        h->acceptor = NULL;
    }
    ink_listener_close(h->listener);
    h->listener = NULL;
}

int ink_http_busy(const struct ink_http *h)
{
    ink_mutex_lock(h->lock);
    int n = h->n_busy;
    ink_mutex_unlock(h->lock);
    return n;
}

static void stop_workers(struct ink_http *h)
{
    ink_mutex_lock(h->lock);
    h->stops_working = true;
    ink_condition_wake_all(h->work);
    ink_mutex_unlock(h->lock);
    for (int i = 0; i < h->n_workers; i++) {
        ink_thread_join(h->workers[i]);
    }
    h->n_workers = 0;
}

/* libmicrohttpd aborts the program if it is stopped with suspended connections. */
static void let_go(struct ink_http *h)
{
    double end = ink_system_seconds() + (h->options.idle_seconds > 0 ? h->options.idle_seconds : 5);
    ink_mutex_lock(h->lock);
    for (double now; h->n_unsent > 0 && (now = ink_system_seconds()) < end;) {
        ink_condition_wait_for(h->changed, h->lock, end - now);
    }
    h->is_closing = true;
    for (struct ink_connection *c = h->connections; c; c = c->next) {
        if (c->exchange) {
            ink_exchange_wake_locked(c->exchange);
        }
    }
    ink_mutex_unlock(h->lock);
}

void ink_http_close(struct ink_http *h)
{
    if (!h) {
        return;
    }
    ink_http_stop_accepting(h);
    stop_workers(h);
    let_go(h);
    if (h->daemon) {
        MHD_stop_daemon(h->daemon);
    }
    ink_mutex_lock(h->lock);
    h->stops_watching = true;
    ink_condition_wake_all(h->watch);
    ink_mutex_unlock(h->lock);
    ink_thread_join(h->watcher);
    free_all(h);
}
