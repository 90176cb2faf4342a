/* The server as a whole: what the command "serve" runs. Wires keys, log, metrics, HTTP, scheduler
 * and API, and leads them from listening to the last answer.
 *
 *     ink_serve_open        signals are caught; listens: /health/live says 200, all else 503
 *     (the model is opened)
 *     ink_serve_run         takes requests until a signal ends that, and returns
 *     ink_serve_close
 *
 * SIGTERM (a closed console, log-off or shutdown on Windows): /health/ready says 503 at once;
 * requests are still taken for drain_delay seconds, so that whatever spreads them can notice; then
 * no more are, answers under way have drain_timeout seconds, and what is left then is cancelled.
 * SIGINT (Ctrl-C, Ctrl-Break): the same without the delay. A second signal cancels at once. SIGHUP:
 * the file of keys is read anew; without such a file it is as SIGINT. Under a service manager that
 * speaks systemd's protocol, that is told of all this, and may hand over the socket. */
#ifndef INK_SERVE_H
#define INK_SERVE_H

#include "log.h"

struct ink_serve;

/* All pointers outlive the server. */
struct ink_serve_options {
    const char *host; /* address, name or "unix:PATH" */
    int port;         /* 0: any that is free */

    const char *const *keys; /* [n_keys] */
    int n_keys;
    const char *key_file;     /* or NULL */
    bool is_open_to_everyone; /* serve other machines without any key */
    const char *const *hosts; /* [n_hosts], as in http.h */
    int n_hosts;
    const char *const *origins; /* [n_origins] */
    int n_origins;
    const char *tls_certificate, *tls_key; /* both or neither */

    int n_slots, n_queued;
    int n_positions; /* 0: 4096, or the model's maximum if that is less */
    enum ink_kv_type kv_type;
    uint64_t prefix_bytes; /* 0: no prefix cache */
    int max_new_tokens;
    const char *model_name;

    size_t max_body; /* bytes */
    int max_connections;
    int max_per_address;        /* -1: 64, but no limit on loopback; 0: no limit */
    int drain_delay;            /* seconds */
    int drain_timeout;          /* seconds */
    enum ink_log_format format; /* of everything on stderr */
    bool is_quiet;              /* nothing but warnings and errors */
};

/* INK_ERROR_ARGUMENT: others than this machine could reach it, and neither is there a key nor is
 * it said that none is needed. From here on until ink_serve_run a signal ends the process. */
int ink_serve_open(struct ink_serve **out, const struct ink_serve_options *options,
                   struct ink_error *error);
/* What is served. All pointers outlive ink_serve_run's server. */
struct ink_serve_model {
    struct ink_model *model;
    struct ink_sampling sampling;              /* for requests that say nothing else */
    bool is_chat;                              /* messages go through the chat template */
    const struct ink_adapter *const *adapters; /* [n_adapters] */
    const char *const *adapter_names;          /* what requests call the model with each of them */
    int n_adapters;
};
/* INK_OK when a signal ended it. To be called once. */
int ink_serve_run(struct ink_serve *s, const struct ink_serve_model *served,
                  struct ink_error *error);
void ink_serve_close(struct ink_serve *s);

#endif
