#include "cli.h"

#include "serve/serve.h"

#include <string.h>

enum {
    DEFAULT_PORT = 7860,
    DEFAULT_SLOTS = 8,
    DEFAULT_PREFIX_MIB = 256,
    DEFAULT_NEW_TOKENS = 1024,
    DEFAULT_BODY_MIB = 4,
    DEFAULT_CONNECTIONS = 1024,
    DEFAULT_DRAIN_TIMEOUT = 30,
};

/* The last part of a path, without ".gguf", malloc'ed. "model" where a path has no such part. */
static char *name_of(const char *path)
{
    static const char suffix[] = ".gguf";
    size_t n = strlen(path);
    while (n > 0 && strchr("/\\", path[n - 1])) {
        n--;
    }
    size_t start = n;
    while (start > 0 && !strchr("/\\:", path[start - 1])) {
        start--;
    }
    n -= start;
    path += start;
    const size_t end = sizeof suffix - 1;
    if (n > end && memcmp(path + n - end, suffix, end) == 0) {
        n -= end;
    }
    const bool is_name = n > 0 && strspn(path, ".") < n;
    return is_name ? ink_strndup(path, n) : ink_strdup("model");
}

static int value_or(const struct ink_options *o, enum ink_option_id id, int value, int fallback)
{
    return ink_options_has(o, id) ? value : fallback;
}

static void fill(struct ink_serve_options *out, const struct ink_options *o, const char *name)
{
    const int slots = value_or(o, INK_OPTION_SLOTS, o->slots, DEFAULT_SLOTS);
    *out = (struct ink_serve_options){
        .host = o->host ? o->host : "127.0.0.1",
        .port = value_or(o, INK_OPTION_PORT, o->port, DEFAULT_PORT),
        .keys = o->api_keys.values,
        .n_keys = o->api_keys.n,
        .key_file = o->api_key_file,
        .is_open_to_everyone = o->insecure_no_auth,
        .hosts = o->allowed_hosts.values,
        .n_hosts = o->allowed_hosts.n,
        .origins = o->allowed_origins.values,
        .n_origins = o->allowed_origins.n,
        .tls_certificate = o->tls_certificate,
        .tls_key = o->tls_key,
        .n_slots = slots,
        .n_queued = value_or(o, INK_OPTION_QUEUE, o->queue, 2 * slots),
        .n_positions = o->ctx,
        .kv_type = ink_options_kv(o, INK_KV_F16),
        .prefix_bytes =
            (uint64_t)value_or(o, INK_OPTION_PREFIX_CACHE, o->prefix_cache, DEFAULT_PREFIX_MIB)
            << 20,
        .max_new_tokens =
            value_or(o, INK_OPTION_MAX_NEW_TOKENS, o->max_new_tokens, DEFAULT_NEW_TOKENS),
        .model_name = name,
        .max_body = (size_t)value_or(o, INK_OPTION_MAX_BODY, o->max_body, DEFAULT_BODY_MIB) << 20,
        .max_connections =
            value_or(o, INK_OPTION_MAX_CONNECTIONS, o->max_connections, DEFAULT_CONNECTIONS),
        .max_per_address = value_or(o, INK_OPTION_MAX_PER_ADDRESS, o->max_per_address, -1),
        .drain_delay = o->drain_delay,
        .drain_timeout =
            value_or(o, INK_OPTION_DRAIN_TIMEOUT, o->drain_timeout, DEFAULT_DRAIN_TIMEOUT),
        .format = o->log_format && strcmp(o->log_format, "json") == 0 ? INK_LOG_JSON : INK_LOG_TEXT,
        .is_quiet = o->quiet,
    };
}

static bool wants_template(const struct ink_options *o, const struct ink_model *model)
{
    if (!o->template_name || strcmp(o->template_name, "auto") == 0) {
        return ink_model_get_info(model)->has_chat_template;
    }
    return strcmp(o->template_name, "chat") == 0;
}

/* Adapters, by the names that requests call them. */
struct adapters {
    struct ink_adapter *list[INK_MAX_TEXTS];
    char *names[INK_MAX_TEXTS];
    int n;
};

static void close_adapters(struct adapters *a)
{
    for (int i = 0; i < a->n; i++) {
        ink_adapter_close(a->list[i]);
        ink_free(a->names[i]);
    }
}

static int open_adapters(struct adapters *a, struct ink_model *model, const struct ink_options *o,
                         const char *model_name, struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < o->adapters.n && status == INK_OK; i++) {
        const char *text = o->adapters.values[i], *equals = strchr(text, '=');
        if (!equals || equals == text || !equals[1]) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "--lora: \"%s\" is not NAME=DIR", text);
        }
        char *name = ink_strndup(text, (size_t)(equals - text));
        if (!name) {
            return ink_fail_memory(error, strlen(text));
        }
        a->names[a->n] = name;
        a->list[a->n++] = NULL;
        for (int k = -1; k < a->n - 1; k++) {
            if (strcmp(k < 0 ? model_name : a->names[k], name) == 0) {
                return ink_fail(error, INK_ERROR_ARGUMENT, "--lora: two models are called \"%s\"",
                                name);
            }
        }
        status = ink_cli_open_adapter(&a->list[i], model, equals + 1, error);
    }
    return status;
}

static int run(struct ink_serve *s, struct ink_model *model, const struct ink_options *o,
               struct adapters *adapters, struct ink_error *error)
{
    struct ink_serve_model served = {.model = model,
                                     .is_chat = wants_template(o, model),
                                     .adapters = (const struct ink_adapter *const *)adapters->list,
                                     .adapter_names = (const char *const *)adapters->names,
                                     .n_adapters = adapters->n};
    ink_options_sampling(o, model, &served.sampling);
    return ink_serve_run(s, &served, error);
}

/* HTTP listens first, so that whoever starts the server can tell loading from a failure. */
static int serve(const struct ink_options *o, const struct ink_serve_options *options,
                 struct ink_error *error)
{
    struct ink_serve *s = NULL;
    struct ink_model *model = NULL;
    struct adapters adapters = {.n = 0};
    int status = ink_serve_open(&s, options, error);
    if (status == INK_OK) {
        status = ink_cli_open_model(&model, o, INK_TOKENIZER_NEEDED, false, error);
    }
    if (status == INK_OK) {
        status = open_adapters(&adapters, model, o, options->model_name, error);
    }
    if (status == INK_OK) {
        status = run(s, model, o, &adapters, error);
    }
    ink_serve_close(s);
    close_adapters(&adapters);
    ink_model_close(model);
    return status;
}

int ink_command_serve(const struct ink_options *options, struct ink_error *error)
{
    struct ink_options o = *options;
    ink_options_apply_preset(&o);
    char *name = o.model_name ? ink_strdup(o.model_name) : name_of(o.model);
    if (!name) {
        return ink_fail_memory(error, strlen(o.model));
    }
    struct ink_serve_options serve_options;
    fill(&serve_options, &o, name);
    int status = serve(&o, &serve_options, error);
    ink_free(name);
    return status;
}
