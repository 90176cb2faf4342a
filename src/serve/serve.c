#include "serve_internal.h"

#include "service.h"
#include "signals.h"
#include "sync.h"
#include "system.h"

#include <string.h>

enum {
    WORKERS = 4,
    HEADER_SECONDS = 10,
    BODY_SECONDS = 60,
    IDLE_SECONDS = 75, /* longer than the fronts' 60: they, not we, close idle connections */
    CONNECTIONS_OF_ADDRESS = 64,
    DEFAULT_CONTEXT = 4096,
};

#define SETTLE_SECONDS 0.25

/* Bodies and answers in memory, of all clients together. */
static const size_t HELD_BYTES = (size_t)256 << 20;

/* ---------------------------------------------------------------------------------- opening */

static bool is_local_host(const char *host)
{
    return strncmp(host, "unix:", 5) == 0 || strcmp(host, "localhost") == 0 ||
           strcmp(host, "::1") == 0 || strcmp(host, "[::1]") == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

static int check_access(const struct ink_serve *s, bool is_handed_over, struct ink_error *error)
{
    if (!s->is_local && !s->has_key && !s->options.is_open_to_everyone) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s %s: other machines could use this server: give --api-key-file FILE or "
                        "--api-key KEY, or --insecure-no-auth to let everyone in",
                        is_handed_over ? "LISTEN_FDS" : "--host",
                        is_handed_over ? "1" : s->options.host);
    }
    if (!s->options.tls_certificate != !s->options.tls_key) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--tls-certificate and --tls-key belong together");
    }
    return INK_OK;
}

static int open_helpers(struct ink_serve *s, struct ink_error *error)
{
    const struct ink_serve_options *o = &s->options;
    s->log = ink_log_new(o->format);
    s->metrics = ink_metrics_new();
    if (!s->log || !s->metrics) {
        return ink_fail_memory(error, sizeof *s);
    }
    if (s->has_key) {
        char *warning;
        int status = ink_keys_open(&s->keys, o->keys, o->n_keys, o->key_file, &warning, error);
        if (status != INK_OK) {
            return status;
        }
        ink_serve_note_warning(s, warning);
    }
    return ink_serve_make_gates(s, error);
}

static int listen_now(struct ink_serve *s, int listen_fd, struct ink_error *error)
{
    const struct ink_serve_options *o = &s->options;
    const struct ink_http_options options = {
        .host = o->host,
        .port = o->port,
        .n_workers = WORKERS,
        .hosts = o->hosts,
        .n_hosts = o->n_hosts,
        .origins = o->origins,
        .n_origins = o->n_origins,
        .max_body = o->max_body,
        .max_held = o->max_body > HELD_BYTES / 8 ? 8 * o->max_body : HELD_BYTES,
        .max_connections = o->max_connections,
        .max_per_address = o->max_per_address >= 0 ? o->max_per_address
                           : s->is_local           ? 0
                                                   : CONNECTIONS_OF_ADDRESS,
        .header_seconds = HEADER_SECONDS,
        .body_seconds = BODY_SECONDS,
        .idle_seconds = IDLE_SECONDS,
        .tls_certificate = o->tls_certificate,
        .tls_key = o->tls_key,
        .keys = s->keys,
        .log = o->is_quiet ? NULL : s->log,
        .metrics = s->metrics,
        .listen_fd = listen_fd,
    };
    return ink_http_open(&s->http, &options, s->gates, s->n_gates, s, error);
}

int ink_serve_open(struct ink_serve **out, const struct ink_serve_options *options,
                   struct ink_error *error)
{
    *out = NULL;
    struct ink_serve *s = ink_calloc(1, sizeof *s);
    if (!s) {
        return ink_fail_memory(error, sizeof *s);
    }
    s->options = *options;
    s->is_local = is_local_host(options->host);
    s->has_key = options->n_keys > 0 || options->key_file;
    int listen_fd = 0;
    int status = ink_service_listen_fd(&listen_fd, &s->is_local, error);
    if (status == INK_OK) {
        status = check_access(s, listen_fd > 0, error);
    }
    if (status == INK_OK) {
        status = ink_signals_open(options->key_file != NULL, error);
        s->has_signals = status == INK_OK;
    }
    if (status == INK_OK) {
        status = open_helpers(s, error);
    }
    if (status == INK_OK) {
        status = listen_now(s, listen_fd, error);
    }
    if (status != INK_OK) {
        ink_serve_close(s);
        return status;
    }
    *out = s;
    return INK_OK;
}

/* Closing HTTP needs all exchanges to have ended. The scheduler's end with the pass that is under
 * way; handlers end theirs before they return. */
static void end_exchanges(struct ink_scheduler *s)
{
    int running, queued;
    ink_scheduler_cancel(s);
    while (ink_scheduler_load(s, &running, &queued) > 0) {
        ink_sleep(0.002);
    }
}

void ink_serve_close(struct ink_serve *s)
{
    if (!s) {
        return;
    }
    if (s->scheduler) {
        end_exchanges(s->scheduler);
    }
    if (s->http) {
        ink_http_close(s->http);
    }
    ink_scheduler_close(s->scheduler);
    ink_api_close(atomic_load(&s->api));
    ink_keys_close(s->keys);
    ink_metrics_free(s->metrics);
    ink_log_free(s->log);
    ink_free(s->gates);
    if (s->has_signals) {
        ink_signals_close();
    }
    ink_free(s);
}

/* ---------------------------------------------------------------------------------- running */

static int open_engine(struct ink_serve *s, const struct ink_serve_model *served,
                       struct ink_error *error)
{
    const struct ink_serve_options *o = &s->options;
    struct ink_model *model = served->model;
    const int longest = ink_model_get_info(model)->max_positions;
    const int usual = longest < DEFAULT_CONTEXT ? longest : DEFAULT_CONTEXT;
    const int n_positions = o->n_positions > 0 ? o->n_positions : usual;
    const struct ink_scheduler_options scheduling = {.n_slots = o->n_slots,
                                                     .n_queued = o->n_queued,
                                                     .n_positions = n_positions,
                                                     .kv_type = o->kv_type,
                                                     .prefix_bytes = o->prefix_bytes,
                                                     .adapters = served->adapters,
                                                     .n_adapters = served->n_adapters,
                                                     .metrics = s->metrics};
    int status = ink_scheduler_open(&s->scheduler, model, &scheduling, error);
    if (status != INK_OK) {
        return status;
    }
    const struct ink_api_options answering = {.model = model,
                                              .scheduler = s->scheduler,
                                              .metrics = s->metrics,
                                              .model_name = o->model_name,
                                              .adapter_names = served->adapter_names,
                                              .n_adapters = served->n_adapters,
                                              .n_positions = n_positions,
                                              .n_slots = o->n_slots,
                                              .n_queued = o->n_queued,
                                              .needs_key = s->has_key,
                                              .max_new_tokens = o->max_new_tokens,
                                              .is_chat = served->is_chat,
                                              .sampling = served->sampling};
    struct ink_api *api = NULL;
    status = ink_api_open(&api, &answering, error);
    if (status == INK_OK) {
        ink_api_set_ready(api, true);
        atomic_store(&s->api, api);
        ink_metrics_set(s->metrics, INK_METRIC_READY, 1);
        ink_serve_note_ready(s, model, n_positions);
        ink_service_notify("READY=1");
    }
    return status;
}

static void reload(struct ink_serve *s)
{
    char *warning = NULL;
    struct ink_error error;
    int status = ink_keys_reload(s->keys, &warning, &error);
    ink_serve_note_warning(s, warning);
    ink_serve_note_reload(s, status == INK_OK ? NULL : &error);
}

/* When the manager's watchdog is to hear of us, and whether it may: not while requests run and the
 * scheduler has made no pass since the last time. */
struct watchdog {
    double interval, next; /* 0: there is none */
    double steps;
};

static void feed(struct watchdog *w, const struct ink_serve *s)
{
    const double now = ink_system_seconds();
    if (w->interval <= 0 || now < w->next) {
        return;
    }
    int running = 0, queued = 0;
    ink_scheduler_load(s->scheduler, &running, &queued);
    const double steps = ink_metrics_get(s->metrics, INK_METRIC_STEPS);
    if (running + queued == 0 || steps > w->steps) {
        ink_service_notify("WATCHDOG=1");
    }
    w->steps = steps;
    w->next = now + w->interval;
}

/* Until `until` (a time), everything is answered, or a signal to stop comes. */
enum wait_end { WAIT_TIME, WAIT_IDLE, WAIT_SIGNAL };

static enum wait_end wait_for(struct ink_serve *s, struct watchdog *w, double until, bool for_idle)
{
    double left;
    while ((left = until - ink_system_seconds()) > 0) {
        int running = 0, queued = 0;
        ink_scheduler_load(s->scheduler, &running, &queued);
        if (for_idle && running + queued == 0 && ink_http_busy(s->http) == 0 &&
            ink_http_unsent(s->http) == 0) {
            return WAIT_IDLE;
        }
        feed(w, s);
        const enum ink_signal signal = ink_signals_wait(left < 0.05 ? left : 0.05);
        if (signal == INK_SIGNAL_TERMINATE || signal == INK_SIGNAL_INTERRUPT) {
            return WAIT_SIGNAL;
        }
    }
    return WAIT_TIME;
}

static void drain(struct ink_serve *s, struct watchdog *w, bool with_delay)
{
    ink_api_set_ready(atomic_load(&s->api), false);
    ink_metrics_set(s->metrics, INK_METRIC_READY, 0);
    ink_service_notify("STOPPING=1");
    ink_serve_note_draining(s);
    enum wait_end end = WAIT_TIME;
    if (with_delay) {
        end = wait_for(s, w, ink_system_seconds() + s->options.drain_delay, false);
    }
    ink_http_stop_accepting(s->http);
    /* what the last connections ask for may still be on its way */
    if (end != WAIT_SIGNAL && ink_metrics_get(s->metrics, INK_METRIC_CONNECTIONS) > 0) {
        end = wait_for(s, w, ink_system_seconds() + SETTLE_SECONDS, false);
    }
    ink_scheduler_drain(s->scheduler);
    if (end != WAIT_SIGNAL) {
        end = wait_for(s, w, ink_system_seconds() + s->options.drain_timeout, true);
    }
    int running = 0, queued = 0;
    ink_scheduler_load(s->scheduler, &running, &queued);
    ink_scheduler_cancel(s->scheduler);
    const bool is_cut_off = running + queued > 0 || ink_http_unsent(s->http) > 0;
    ink_serve_note_stopped(s, end != WAIT_IDLE && is_cut_off);
}

int ink_serve_run(struct ink_serve *s, const struct ink_serve_model *served,
                  struct ink_error *error)
{
    int status = open_engine(s, served, error);
    if (status != INK_OK) {
        return status;
    }
    struct watchdog w = {.interval = ink_service_watchdog() / 3};
    for (;;) {
        feed(&w, s);
        const enum ink_signal signal = ink_signals_wait(w.interval > 0 ? w.interval / 2 : 60);
        if (signal == INK_SIGNAL_RELOAD) {
            reload(s);
        } else if (signal != INK_SIGNAL_NONE) {
            drain(s, &w, signal == INK_SIGNAL_TERMINATE);
            return INK_OK;
        }
    }
}
