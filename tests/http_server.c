/* The HTTP server with toy routes, for tests/check_http_wire: prints its address, and serves until
 * its input ends. Options are NAME=VALUE. */
#include "serve_fakes.h"
#include "serve_routes.h"

static const char *hosts[8], *origins[8];

static bool set(struct ink_http_options *o, const char *name, const char *value)
{
    const struct {
        const char *name;
        int *value;
    } numbers[] = {
        {"port", &o->port},
        {"workers", &o->n_workers},
        {"connections", &o->max_connections},
        {"per-address", &o->max_per_address},
        {"header", &o->header_seconds},
        {"body", &o->body_seconds},
        {"idle", &o->idle_seconds},
        {"fd", &o->listen_fd},
    };
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            *numbers[i].value = atoi(value);
            return true;
        }
    }
    if (strcmp(name, "listen") == 0) {
        o->host = value;
    } else if (strcmp(name, "max-body") == 0) {
        o->max_body = (size_t)atoll(value);
    } else if (strcmp(name, "host") == 0 && o->n_hosts < 8) {
        hosts[o->n_hosts++] = value;
    } else if (strcmp(name, "origin") == 0 && o->n_origins < 8) {
        origins[o->n_origins++] = value;
    } else if (strcmp(name, "certificate") == 0) {
        o->tls_certificate = value;
    } else if (strcmp(name, "key-file") == 0) {
        o->tls_key = value;
    } else {
        return false;
    }
    return true;
}

/* Until input ends; "s" stops accepting. */
static void serve(struct ink_http *http, struct toys *toys, struct ink_metrics *metrics)
{
    printf("%s\n", ink_http_address(http));
    fflush(stdout);
    for (int c; (c = getchar()) != EOF;) {
        if (c == 's') {
            ink_http_stop_accepting(http);
        }
    }
    ink_http_stop_accepting(http);
    struct ink_exchange *held = take_held(toys);
    if (held) {
        ink_errors_reply(held, 503, "the server stops", NULL, "shutdown");
    }
    while (ink_http_busy(http) > 0) {
        ink_sleep(0.01);
    }
    ink_http_close(http);
    printf("connections %g, limits %g, keys %g\n", metric_of(metrics, INK_METRIC_CONNECTIONS),
           metric_of(metrics, INK_METRIC_REJECTED_LIMIT),
           metric_of(metrics, INK_METRIC_REJECTED_KEY));
}

int main(int argc, char **argv)
{
    struct ink_keys keys = {.only = "Bearer open-sesame"};
    struct ink_log log = {.prints = true};
    struct ink_metrics metrics = {0};
    struct toys toys = {0};
    struct ink_http_options options = {.host = "127.0.0.1",
                                       .n_workers = 4,
                                       .hosts = hosts,
                                       .origins = origins,
                                       .max_body = 100000,
                                       .max_connections = 64,
                                       .header_seconds = 2,
                                       .body_seconds = 2,
                                       .idle_seconds = 3,
                                       .keys = &keys,
                                       .log = &log,
                                       .metrics = &metrics};
    struct ink_error error = {0};
    struct ink_http *http;
    for (int i = 1; i < argc; i++) {
        char *equals = strchr(argv[i], '=');
        if (equals) {
            *equals = 0;
        }
        if (!equals || !set(&options, argv[i], equals + 1)) {
            fprintf(stderr, "http_server: unknown option %s\n", argv[i]);
            return 2;
        }
    }
    log.lock = ink_mutex_new();
    metrics.lock = ink_mutex_new();
    toys.lock = ink_mutex_new();
    int rc = ink_http_open(&http, &options, toy_routes, (int)INK_COUNT(toy_routes), &toys, &error);
    if (rc == INK_OK) {
        serve(http, &toys, &metrics);
    } else {
        fprintf(stderr, "http_server: %s\n", error.message);
    }
    ink_string_free(&log.lines);
    ink_mutex_free(log.lock);
    ink_mutex_free(metrics.lock);
    ink_mutex_free(toys.lock);
    return rc != INK_OK;
}
