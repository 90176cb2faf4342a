/* Text to ids and back, and a chat as the model reads it. */
#include "api_internal.h"

#include "messages.h"

#include <math.h>
#include <string.h>

/* Fields that a body may have, NULL at the end. */
static bool check_fields(const cJSON *body, const char *const *fields, struct ink_fault *fault)
{
    for (const cJSON *item = body->child; item; item = item->next) {
        int i = 0;
        while (fields[i] && strcmp(fields[i], item->string) != 0) {
            i++;
        }
        if (!fields[i]) {
            return ink_fault_set(fault, 400, NULL, "unknown_parameter", "unknown parameter '%.60s'",
                                 item->string);
        }
    }
    return true;
}

static bool read_flag(bool *out, const cJSON *body, const char *key, struct ink_fault *fault)
{
    const cJSON *value = ink_json_get(body, key);
    if (value && !cJSON_IsBool(value)) {
        return ink_fault_set(fault, 400, key, "invalid_type", "'%s' must be true or false", key);
    }
    *out = value ? cJSON_IsTrue(value) : *out;
    return true;
}

/* first: an id before them, or -1. */
static void append_ids(struct ink_string *out, int32_t first, const int32_t *ids, size_t n)
{
    ink_string_puts(out, "\"tokens\":[");
    if (first >= 0) {
        ink_string_printf(out, n > 0 ? "%d," : "%d", first);
    }
    for (size_t i = 0; i < n; i++) {
        ink_string_printf(out, i > 0 ? ",%d" : "%d", ids[i]);
    }
    ink_string_puts(out, "]");
}

static bool from_error(struct ink_fault *fault, int status, const char *param,
                       const struct ink_error *error)
{
    return ink_fault_set(fault, status == INK_ERROR_MEMORY ? 503 : 400, param,
                         status == INK_ERROR_MEMORY ? "out_of_memory" : "invalid_value", "%s",
                         error->message);
}

/* A handler's work: the answer, or the fault. */
typedef bool work(struct ink_api *api, const cJSON *body, struct ink_string *out,
                  struct ink_fault *fault);

static void answer(struct ink_api *api, struct ink_exchange *x, work *do_it)
{
    struct ink_fault fault = {0};
    struct ink_string out = {0};
    cJSON *body = NULL;
    if (ink_api_read_body(&body, x, &fault) && do_it(api, body, &out, &fault)) {
        ink_api_reply_json(api, x, &out);
    } else {
        ink_api_fail(api, x, &fault);
    }
    ink_string_free(&out);
    cJSON_Delete(body);
}

static bool tokenize(struct ink_api *api, const cJSON *body, struct ink_string *out,
                     struct ink_fault *fault)
{
    static const char *const fields[] = {"content",     "prompt",        "model",
                                         "add_special", "parse_special", NULL};
    const cJSON *text = ink_json_get(body, "content");
    bool add_special = false, parse_special = false;
    struct ink_error error = {0};
    int32_t *ids, bos = ink_bos_token(api->options.model);
    size_t n;
    text = text ? text : ink_json_get(body, "prompt");
    if (!check_fields(body, fields, fault) ||
        !read_flag(&add_special, body, "add_special", fault) ||
        !read_flag(&parse_special, body, "parse_special", fault)) {
        return false;
    }
    if (!cJSON_IsString(text)) {
        return ink_fault_set(fault, 400, "content", "invalid_type", "'content' must be a string");
    }
    int status = ink_tokenize(api->options.model, &ids, &n, text->valuestring,
                              strlen(text->valuestring), parse_special, &error);
    if (status != INK_OK) {
        return from_error(fault, status, "content", &error);
    }
    bos = add_special ? bos : -1;
    ink_string_puts(out, "{");
    append_ids(out, bos, ids, n);
    ink_string_printf(out, ",\"count\":%zu,\"max_model_len\":%d}", n + (bos >= 0),
                      api->options.n_positions);
    ink_free(ids);
    return true;
}

static bool read_ids(const struct ink_api *api, int32_t **out, size_t *n, const cJSON *tokens,
                     struct ink_fault *fault)
{
    int most = api->info->vocab_size - 1;
    const cJSON *item;
    *n = 0;
    *out = NULL;
    if (!cJSON_IsArray(tokens)) {
        return ink_fault_set(fault, 400, "tokens", "invalid_type",
                             "'tokens' must be an array of token ids");
    }
    *out = ink_calloc((size_t)cJSON_GetArraySize(tokens), sizeof **out);
    if (!*out) {
        return ink_fault_set(fault, 503, NULL, "out_of_memory", "out of memory");
    }
    cJSON_ArrayForEach(item, tokens)
    {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id <= most) || id != floor(id)) {
            return ink_fault_set(fault, 400, "tokens", "invalid_value",
                                 "tokens[%zu] is not a whole number from 0 to %d", *n, most);
        }
        (*out)[(*n)++] = (int32_t)id;
    }
    return true;
}

static bool detokenize(struct ink_api *api, const cJSON *body, struct ink_string *out,
                       struct ink_fault *fault)
{
    static const char *const fields[] = {"tokens", "model", "keep_special", NULL};
    struct ink_error error = {0};
    bool keep_special = false;
    int32_t *ids = NULL;
    char *text;
    size_t n, n_text;
    if (!check_fields(body, fields, fault) ||
        !read_flag(&keep_special, body, "keep_special", fault) ||
        !read_ids(api, &ids, &n, ink_json_get(body, "tokens"), fault)) {
        ink_free(ids);
        return false;
    }
    int status = ink_detokenize(api->options.model, &text, &n_text, ids, n, keep_special, &error);
    ink_free(ids);
    if (status != INK_OK) {
        return from_error(fault, status, "tokens", &error);
    }
    ink_string_puts(out, "{\"content\":");
    ink_json_append_string(out, text, n_text);
    ink_string_puts(out, "}");
    ink_free(text);
    return true;
}

static bool apply_to(struct ink_api *api, const struct ink_messages *messages,
                     bool add_generation_prompt, struct ink_string *out, struct ink_fault *fault)
{
    struct ink_error error = {0};
    int32_t *ids;
    char *text;
    size_t n, n_text;
    int status = ink_chat_tokenize(api->options.model, &ids, &n, messages->list, messages->n,
                                   add_generation_prompt, &error);
    if (status != INK_OK) {
        return from_error(fault, status, "messages", &error);
    }
    status = ink_detokenize(api->options.model, &text, &n_text, ids, n, true, &error);
    if (status == INK_OK) {
        ink_string_puts(out, "{\"prompt\":");
        ink_json_append_string(out, text, n_text);
        ink_string_puts(out, ",");
        append_ids(out, -1, ids, n);
        ink_string_puts(out, "}");
        ink_free(text);
    }
    ink_free(ids);
    return status == INK_OK || from_error(fault, status, "messages", &error);
}

static bool apply_template(struct ink_api *api, const cJSON *body, struct ink_string *out,
                           struct ink_fault *fault)
{
    static const char *const fields[] = {"messages", "model",       "add_generation_prompt",
                                         "tools",    "tool_choice", NULL};
    const struct ink_params params = {.tools = ink_json_get(body, "tools"),
                                      .tool_choice = ink_json_get(body, "tool_choice")};
    bool add_generation_prompt = true;
    struct ink_tool_set tools;
    struct ink_messages messages;
    if (!check_fields(body, fields, fault) ||
        !read_flag(&add_generation_prompt, body, "add_generation_prompt", fault) ||
        !ink_tools_read(&tools, &params, fault) ||
        !ink_messages_read(&messages, ink_json_get(body, "messages"), &tools, fault)) {
        return false;
    }
    bool ok = apply_to(api, &messages, add_generation_prompt, out, fault);
    ink_messages_close(&messages);
    return ok;
}

void ink_api_tokenize(void *context, struct ink_exchange *x)
{
    answer(context, x, tokenize);
}

void ink_api_detokenize(void *context, struct ink_exchange *x)
{
    answer(context, x, detokenize);
}

void ink_api_apply_template(void *context, struct ink_exchange *x)
{
    answer(context, x, apply_template);
}
