/* The routes: OpenAI's API, its neighbours, Gradio's call, health, and the page. */
#ifndef INK_API_H
#define INK_API_H

#include "http.h"
#include "scheduler.h"

struct ink_api;

struct ink_api_options {
    struct ink_model *model;
    struct ink_scheduler *scheduler;
    struct ink_metrics *metrics;
    const char *model_name;           /* what /v1/models calls it */
    const char *const *adapter_names; /* [n_adapters]: what it calls the model with each adapter of
                                         the scheduler */
    int n_adapters;
    int n_positions;
    int n_slots, n_queued;
    bool needs_key;     /* for /props: the page asks for it */
    int max_new_tokens; /* where a request does not say */
    bool is_chat;       /* the model has a chat template: use it */
    struct ink_sampling sampling;
};

int ink_api_open(struct ink_api **out, const struct ink_api_options *options,
                 struct ink_error *error);
void ink_api_close(struct ink_api *api);
/* For ink_http_open; the context is the api. */
const struct ink_route *ink_api_routes(int *n);
/* From now on /health/ready says 503. */
void ink_api_set_ready(struct ink_api *api, bool ready);

#endif
