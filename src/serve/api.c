#include "api_internal.h"

#include "page.h"
#include "platform.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- what is shared */

void ink_api_add_load(struct ink_api *api, struct ink_exchange *x)
{
    int n_running, n_queued;
    char number[16];
    ink_scheduler_load(api->options.scheduler, &n_running, &n_queued);
    int n_free = api->options.n_slots - n_running;
    snprintf(number, sizeof number, "%d", n_free > 0 ? n_free : 0);
    ink_exchange_add_header(x, "X-Slots-Free", number);
    snprintf(number, sizeof number, "%d", n_queued);
    ink_exchange_add_header(x, "X-Queue-Depth", number);
}

void ink_api_fail(struct ink_api *api, struct ink_exchange *x, const struct ink_fault *fault)
{
    (void)api;
    ink_errors_reply(x, fault->status, fault->message, fault->param, fault->code);
}

void ink_api_reply_json(struct ink_api *api, struct ink_exchange *x, struct ink_string *out)
{
    (void)api;
    if (out->failed) {
        ink_errors_reply(x, 503, "out of memory", NULL, "out_of_memory");
    } else {
        ink_exchange_reply(x, 200, "application/json", out->data, out->length);
    }
    ink_string_free(out);
}

bool ink_api_read_body(cJSON **out, struct ink_exchange *x, struct ink_fault *fault)
{
    /* the server has limited the bytes */
    static const struct ink_json_limits limits = {(size_t)1 << 30, 262144, 64};
    const struct ink_request *request = ink_exchange_request(x);
    struct ink_error error = {0};
    int status = ink_json_parse(out, request->body, request->n_body, &limits, "body", &error);
    if (status == INK_ERROR_MEMORY) {
        return ink_fault_set(fault, 503, NULL, "out_of_memory", "%s", error.message);
    }
    if (status != INK_OK) {
        return ink_fault_set(fault, 400, NULL, "invalid_json", "%s", error.message);
    }
    if (!cJSON_IsObject(*out)) {
        cJSON_Delete(*out);
        *out = NULL;
        return ink_fault_set(fault, 400, NULL, "invalid_type", "the body must be a JSON object");
    }
    return true;
}

uint64_t ink_api_unique(struct ink_api *api)
{
    uint64_t n = atomic_fetch_add(&api->n_requests, 1);
    struct ink_sha256 hash;
    char hex[65];
    ink_sha256_start(&hash);
    ink_sha256_add(&hash, api->secret, sizeof api->secret);
    ink_sha256_add(&hash, &n, sizeof n);
    ink_sha256_finish(&hash, hex);
    hex[16] = '\0';
    return strtoull(hex, NULL, 16);
}

const char *ink_api_find_model(const struct ink_api *api, const char *name, int *variant,
                               struct ink_fault *fault)
{
    *variant = 0;
    if (!name || strcmp(name, api->options.model_name) == 0) {
        return api->options.model_name;
    }
    for (int i = 0; i < api->options.n_adapters; i++) {
        if (strcmp(name, api->options.adapter_names[i]) == 0) {
            *variant = i + 1;
            return api->options.adapter_names[i];
        }
    }
    ink_fault_set(fault, 404, "model", "model_not_found",
                  "there is no model '%.200s' here (GET /v1/models lists those that are)", name);
    return NULL;
}

bool ink_api_submit(struct ink_api *api, struct ink_exchange *x,
                    const struct ink_answer_request *request, struct ink_fault *fault)
{
    int retry_after;
    char seconds[16];
    int n = request->n_choices * request->n_prompts;
    int most = api->options.n_slots + api->options.n_queued;
    if (n > most) {
        return ink_fault_set(fault, 400, "n", "invalid_value",
                             "%d answers at once are more than this server takes (%d)", n, most);
    }
    switch (ink_answer_submit(api->options.scheduler, request, &retry_after)) {
    case INK_ADMITTED:
        return true;
    case INK_ADMISSION_FULL:
        snprintf(seconds, sizeof seconds, "%d", retry_after);
        if (x) {
            ink_exchange_add_header(x, "Retry-After", seconds);
        }
        return ink_fault_set(fault, 429, NULL, "rate_limit_exceeded",
                             "all slots are busy and the queue is full; try again in %d seconds",
                             retry_after);
    case INK_ADMISSION_DRAINING:
        if (x) {
            ink_exchange_add_header(x, "Retry-After", "5");
        }
        return ink_fault_set(fault, 503, NULL, "shutting_down", "the server is shutting down");
    default:
        return ink_fault_set(fault, 503, NULL, "out_of_memory", "out of memory");
    }
}

void ink_api_finish_fault(struct ink_fault *fault, enum ink_finish why, const char *message)
{
    switch (why) {
    case INK_FINISH_CANCELLED:
        ink_fault_set(fault, 408, NULL, "cancelled", "the client left");
        break;
    case INK_FINISH_SHUTDOWN:
        ink_fault_set(fault, 503, NULL, "shutting_down", "the server is shutting down");
        break;
    default:
        ink_fault_set(fault, 500, NULL, "generation_failed", "%s", message ? message : "");
    }
}

/* -------------------------------------------------------------------------------------- prompts */

bool ink_api_check_length(struct ink_api *api, size_t n, const char *param, struct ink_fault *fault)
{
    if (n > (size_t)api->options.n_positions) { /* LiteLLM knows it by these words */
        return ink_fault_set(fault, 400, param, "context_length_exceeded",
                             "this model's maximum context length is %d tokens, but the prompt "
                             "has %zu",
                             api->options.n_positions, n);
    }
    return n > 0 || ink_fault_set(fault, 400, param, "empty_prompt", "the prompt is empty");
}

/* No token is longer than the longest, so a text that is far too long need not be read to know it:
 * four megabytes would keep a worker for seconds. */
static bool may_fit(const struct ink_api *api, size_t n_bytes, const char *param,
                    struct ink_fault *fault)
{
    size_t least = n_bytes / api->longest_token;
    if (least <= (size_t)api->options.n_positions) {
        return true;
    }
    return ink_fault_set(fault, 400, param, "context_length_exceeded",
                         "this model's maximum context length is %d tokens, but the prompt has at "
                         "least %zu",
                         api->options.n_positions, least);
}

int ink_api_room(const struct ink_api *api, size_t n, int wanted)
{
    int room = api->options.n_positions - (int)n + 1; /* the last token is never read */
    wanted = wanted > 0 ? wanted : api->options.max_new_tokens;
    return wanted < room ? wanted : room;
}

static bool finish_encoding(struct ink_api *api, struct ink_answer_prompt *out, int status,
                            const struct ink_error *error, const char *param,
                            struct ink_fault *fault)
{
    if (status == INK_ERROR_MEMORY) {
        return ink_fault_set(fault, 503, NULL, "out_of_memory", "%s", error->message);
    }
    if (status != INK_OK) {
        return ink_fault_set(fault, 400, param, "invalid_prompt", "%s", error->message);
    }
    return ink_api_check_length(api, out->n, param, fault);
}

bool ink_api_encode_chat(struct ink_api *api, struct ink_answer_prompt *out,
                         const struct ink_message *messages, int n_messages,
                         struct ink_fault *fault)
{
    struct ink_error error = {0};
    if (!api->options.is_chat) {
        return ink_fault_set(fault, 400, "messages", "no_chat_template",
                             "this model has no chat format: use /v1/completions");
    }
    size_t n_bytes = 0;
    for (int i = 0; i < n_messages; i++) {
        n_bytes += strlen(messages[i].content);
    }
    if (!may_fit(api, n_bytes, "messages", fault)) {
        return false;
    }
    int status = ink_chat_tokenize(api->options.model, &out->ids, &out->n, messages, n_messages,
                                   true, &error);
    return finish_encoding(api, out, status, &error, "messages", fault);
}

/* A text begins with the model's begin token, if it has one. */
bool ink_api_encode_text(struct ink_api *api, struct ink_answer_prompt *out, const char *text,
                         size_t n, struct ink_fault *fault)
{
    struct ink_error error = {0};
    int32_t bos = ink_bos_token(api->options.model);
    if (!may_fit(api, n, "prompt", fault)) {
        return false;
    }
    int status = ink_tokenize(api->options.model, &out->ids, &out->n, text, n, false, &error);
    if (status == INK_OK && bos >= 0) {
        int32_t *ids = ink_realloc(out->ids, out->n + 1, sizeof *ids);
        if (!ids) {
            return ink_fault_set(fault, 503, NULL, "out_of_memory", "out of memory");
        }
        memmove(ids + 1, ids, out->n * sizeof *ids);
        ids[0] = bos;
        out->ids = ids;
        out->n++;
    }
    return finish_encoding(api, out, status, &error, "prompt", fault);
}

/* --------------------------------------------------------------------------------- small routes */

static void reply_text(struct ink_exchange *x, int status, const char *text)
{
    ink_exchange_reply(x, status, "application/json", text, strlen(text));
}

static void live(void *context, struct ink_exchange *x)
{
    (void)context;
    reply_text(x, 200, "{\"status\":\"ok\"}");
}

static void ready(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    ink_api_add_load(api, x);
    if (api->is_ready) {
        reply_text(x, 200, "{\"status\":\"ok\"}");
        return;
    }
    ink_exchange_add_header(x, "Retry-After", "5");
    ink_errors_reply(x, 503, "not ready: starting or shutting down", NULL, "not_ready");
}

static void append_model(struct ink_string *out, const struct ink_api *api, const char *name)
{
    ink_string_puts(out, "{\"id\":");
    ink_json_append_string(out, name, strlen(name));
    ink_string_printf(out, ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"inkstone\"}",
                      (long long)api->created);
}

static void models(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_string out = {0};
    ink_string_puts(&out, "{\"object\":\"list\",\"data\":[");
    append_model(&out, api, api->options.model_name);
    for (int i = 0; i < api->options.n_adapters; i++) {
        ink_string_puts(&out, ",");
        append_model(&out, api, api->options.adapter_names[i]);
    }
    ink_string_puts(&out, "]}");
    ink_api_reply_json(api, x, &out);
}

static void one_model(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_string out = {0};
    struct ink_fault fault;
    int variant;
    const char *name = ink_api_find_model(api, ink_exchange_request(x)->rest, &variant, &fault);
    if (!name) {
        ink_api_fail(api, x, &fault);
        return;
    }
    append_model(&out, api, name);
    ink_api_reply_json(api, x, &out);
}

static void append_float(struct ink_string *out, const char *key, float value)
{
    ink_string_printf(out, ",\"%s\":%.7g", key, (double)value);
}

static void props(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    const struct ink_api_options *o = &api->options;
    const struct ink_sampling *s = &o->sampling;
    struct ink_string out = {0};
    ink_string_puts(&out, "{\"model\":");
    ink_json_append_string(&out, o->model_name, strlen(o->model_name));
    ink_string_printf(&out,
                      ",\"chat_template\":%s,\"n_ctx\":%d,\"slots\":%d,\"queue\":%d,"
                      "\"defaults\":{\"max_tokens\":%d,\"top_k\":%d",
                      o->is_chat ? "true" : "false", o->n_positions, o->n_slots, o->n_queued,
                      o->max_new_tokens, s->top_k);
    append_float(&out, "temperature", s->temperature);
    append_float(&out, "top_p", s->top_p);
    append_float(&out, "repetition_penalty", s->repetition_penalty);
    append_float(&out, "presence_penalty", s->presence_penalty);
    append_float(&out, "frequency_penalty", s->frequency_penalty);
    ink_string_printf(&out,
                      "},\"prefix_cache_bytes\":%.0f,\"weights\":\"%s\",\"arithmetic\":\"%s\","
                      "\"cpu_level\":\"%s\",\"threads\":%d,\"version\":\"%s\","
                      "\"authentication\":%s}",
                      ink_metrics_get(o->metrics, INK_METRIC_PREFIX_CAPACITY),
                      api->info->weight_type, api->info->arithmetic, api->info->cpu_level,
                      api->info->threads, ink_version(), o->needs_key ? "true" : "false");
    ink_api_reply_json(api, x, &out);
}

static void metrics(void *context, struct ink_exchange *x)
{
    struct ink_api *api = context;
    struct ink_string out = {0};
    ink_metrics_print(api->options.metrics, &out);
    if (out.failed) {
        ink_errors_reply(x, 503, "out of memory", NULL, "out_of_memory");
    } else {
        ink_exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", out.data,
                           out.length);
    }
    ink_string_free(&out);
}

void ink_api_page(void *context, struct ink_exchange *x)
{
    (void)context;
    const struct ink_page_file *file = ink_page_find(ink_exchange_request(x)->path);
    if (!file) {
        ink_errors_reply(x, 404, "there is no such page", NULL, "not_found");
        return;
    }
    const char *known = ink_exchange_header(x, "If-None-Match");
    ink_exchange_add_header(x, "ETag", file->etag);
    ink_exchange_add_header(x, "Cache-Control", "no-cache");
    ink_exchange_add_header(x, "Content-Security-Policy", ink_page_policy);
    if (known && strstr(known, file->etag)) {
        ink_exchange_reply(x, 304, file->content_type, "", 0);
    } else {
        ink_exchange_reply(x, 200, file->content_type, file->data, file->n);
    }
}

/* --------------------------------------------------------------------------------------- routes */

static const struct ink_route routes[] = {
    {"POST", "/v1/chat/completions", ink_api_chat_completions, .is_slow = true, .name = "chat"},
    {"POST", "/v1/completions", ink_api_completions, .is_slow = true, .name = "completions"},
    {"GET", "/v1/models", models, .name = "models"},
    {"GET", "/v1/models/*", one_model, .name = "models"},
    {"POST", "/tokenize", ink_api_tokenize, .is_slow = true, .name = "tokenize"},
    {"POST", "/detokenize", ink_api_detokenize, .is_slow = true, .name = "detokenize"},
    {"POST", "/apply-template", ink_api_apply_template, .is_slow = true, .name = "apply-template"},
    {"GET", "/health", ready, .is_public = true, .name = "health"},
    {"GET", "/health/live", live, .is_public = true, .name = "health"},
    {"GET", "/health/ready", ready, .is_public = true, .name = "health"},
    {"GET", "/props", props, .is_public = true, .name = "props"},
    {"GET", "/metrics", metrics, .name = "metrics"},
    {"GET", "/config", ink_gradio_config, .name = "gradio"},
    {"GET", "/gradio_api/info", ink_gradio_info, .name = "gradio"},
    {"POST", "/gradio_api/call/predict", ink_gradio_call, .is_slow = true, .name = "gradio"},
    {"GET", "/gradio_api/call/predict/*", ink_gradio_result, .is_slow = true, .name = "gradio"},
    {"POST", "/gradio_api/queue/join", ink_gradio_join, .is_slow = true, .name = "gradio"},
    {"GET", "/gradio_api/queue/data", ink_gradio_data, .is_slow = true, .name = "gradio"},
    {"POST", "/gradio_api/cancel", ink_gradio_cancel, .is_slow = true, .name = "gradio"},
    {"GET", "/*", ink_api_page, .is_public = true, .name = "page"},
};

const struct ink_route *ink_api_routes(int *n)
{
    *n = (int)INK_COUNT(routes);
    return routes;
}

/* ------------------------------------------------------------------------------- open and close */

static size_t longest_token(const struct ink_model *model, int vocab_size)
{
    size_t longest = 1;
    char none[1];
    for (int id = 0; id < vocab_size; id++) {
        size_t n = ink_token_bytes(model, none, 0, id, true);
        longest = n > longest ? n : longest;
    }
    return longest;
}

int ink_api_open(struct ink_api **out, const struct ink_api_options *options,
                 struct ink_error *error)
{
    *out = NULL;
    struct ink_api *api = ink_calloc(1, sizeof *api);
    if (!api) {
        return ink_fail_memory(error, sizeof *api);
    }
    api->options = *options;
    api->info = ink_model_get_info(options->model);
    api->longest_token = longest_token(options->model, api->info->vocab_size);
    api->created = time(NULL);
    snprintf(api->fingerprint, sizeof api->fingerprint, "inkstone-%s-%s", ink_version(),
             api->info->arithmetic);
    int status = ink_platform_random(api->secret, sizeof api->secret, error);
    if (status == INK_OK) {
        status = ink_gradio_open(&api->gradio, error);
    }
    if (status == INK_OK) {
        status = ink_grammars_open(&api->grammars, options->model, error);
    }
    if (status != INK_OK) {
        ink_api_close(api);
        return status;
    }
    *out = api;
    return INK_OK;
}

void ink_api_close(struct ink_api *api)
{
    if (api) {
        ink_gradio_close(api->gradio);
        ink_grammars_close(api->grammars);
        ink_free(api);
    }
}

void ink_api_set_ready(struct ink_api *api, bool is_ready)
{
    api->is_ready = is_ready;
    ink_metrics_set(api->options.metrics, INK_METRIC_READY, is_ready);
}
