/* What the files of the server as a whole share: serve.c, serve_gate.c, serve_notes.c. */
#ifndef INK_SERVE_INTERNAL_H
#define INK_SERVE_INTERNAL_H

#include "api.h"
#include "http.h"
#include "keys.h"
#include "serve.h"

#include <stdatomic.h>

struct ink_serve {
    struct ink_serve_options options;
    bool is_local, has_key, has_signals;
    struct ink_keys *keys; /* NULL: no key is asked for */
    struct ink_log *log;
    struct ink_metrics *metrics;
    struct ink_route *gates; /* [n_gates]: the API's routes, through the gate */
    int n_gates;
    struct ink_http *http;
    struct ink_scheduler *scheduler;
    _Atomic(struct ink_api *) api; /* NULL while the model is loading */
};

/* serve_gate.c: one handler for every route. While the model is loading it answers by itself,
 * afterwards it hands the exchange to the API's own handler. The context is the server. */
int ink_serve_make_gates(struct ink_serve *s, struct ink_error *error);

/* serve_notes.c: what people, or with INK_LOG_JSON programs, are told on stderr. */
void ink_serve_note_ready(const struct ink_serve *s, const struct ink_model *model,
                          int n_positions);
void ink_serve_note_draining(const struct ink_serve *s);
void ink_serve_note_stopped(const struct ink_serve *s, bool cancelled);
void ink_serve_note_reload(const struct ink_serve *s, const struct ink_error *failure);
/* Frees text; NULL: nothing. */
void ink_serve_note_warning(const struct ink_serve *s, char *text);

#endif
