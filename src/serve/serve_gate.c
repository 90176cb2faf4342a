#include "serve_internal.h"

#include "errors.h"

#include <string.h>

static void answer_loading(struct ink_exchange *x, const char *path)
{
    static const char alive[] = "{\"status\":\"ok\"}";
    if (strcmp(path, "/health/live") == 0) {
        ink_exchange_reply(x, 200, "application/json", alive, sizeof alive - 1);
        return;
    }
    ink_exchange_add_header(x, "Retry-After", "1");
    ink_errors_reply(x, 503, "the model is loading", NULL, "model_loading");
}

/* HTTP has found the route already, by the same rules, so there is one; the exact one wins. */
static const struct ink_route *find(const char *method, const char *path)
{
    int n = 0;
    const struct ink_route *routes = ink_api_routes(&n), *found = NULL;
    if (strcmp(method, "HEAD") == 0) {
        method = "GET";
    }
    for (int i = 0; i < n; i++) {
        const size_t length = strlen(routes[i].path);
        const bool is_prefix = length > 0 && routes[i].path[length - 1] == '*';
        if (strcmp(routes[i].method, method) != 0) {
            continue;
        }
        if (strcmp(routes[i].path, path) == 0) {
            return &routes[i];
        }
        if (is_prefix && strncmp(routes[i].path, path, length - 1) == 0 && !found) {
            found = &routes[i];
        }
    }
    return found;
}

static void pass(void *context, struct ink_exchange *x)
{
    struct ink_serve *s = context;
    struct ink_api *api = atomic_load(&s->api);
    const struct ink_request *request = ink_exchange_request(x);
    if (!api) {
        answer_loading(x, request->path);
        return;
    }
    const struct ink_route *route = find(request->method, request->path);
    if (route) {
        route->handle(api, x);
    } else {
        ink_errors_reply(x, 404, "there is no such route", NULL, "not_found");
    }
}

int ink_serve_make_gates(struct ink_serve *s, struct ink_error *error)
{
    const struct ink_route *routes = ink_api_routes(&s->n_gates);
    const size_t size = (size_t)s->n_gates * sizeof *routes;
    s->gates = ink_malloc(size);
    if (!s->gates) {
        return ink_fail_memory(error, size);
    }
    memcpy(s->gates, routes, size);
    for (int i = 0; i < s->n_gates; i++) {
        s->gates[i].handle = pass;
    }
    return INK_OK;
}
