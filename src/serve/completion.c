#include "completion.h"

#include "messages.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_PROMPTS = 64 };

void ink_completion_close(struct ink_completion *c)
{
    if (!c) {
        return;
    }
    for (int i = 0; c->choices && i < c->n_choices; i++) {
        struct ink_completion_choice *choice = &c->choices[i];
        ink_string_free(&choice->text);
        ink_string_free(&choice->logprobs);
        ink_string_free(&choice->calls);
        ink_string_free(&choice->top);
        ink_string_free(&choice->offsets);
        ink_string_free(&choice->values);
        ink_tool_reader_close(&choice->tools);
    }
    for (int i = 0; c->prompts && i < c->n_prompts; i++) {
        ink_free(c->prompts[i].ids);
    }
    ink_grammars_release(c->api->grammars, c->grammar);
    ink_free(c->prompts);
    ink_free(c->choices);
    cJSON_Delete(c->body);
    ink_free(c);
}

static bool out_of_memory(struct ink_fault *fault)
{
    return ink_fault_set(fault, 503, NULL, "out_of_memory", "out of memory");
}

/* -------------------------------------------------------------------------------------- prompts */

static bool make_prompts(struct ink_completion *c, int n, struct ink_fault *fault)
{
    if (n < 1 || n > MOST_PROMPTS) {
        return ink_fault_set(fault, 400, "prompt", "invalid_value",
                             "'prompt' must hold 1 to %d prompts", MOST_PROMPTS);
    }
    c->prompts = ink_calloc((size_t)n, sizeof *c->prompts);
    c->n_prompts = n;
    return c->prompts || out_of_memory(fault);
}

static bool refuse_prompt(struct ink_fault *fault)
{
    return ink_fault_set(
        fault, 400, "prompt", "invalid_type",
        "'prompt' must be a string, an array of strings, an array of token ids, or "
        "an array of arrays of token ids");
}

static bool read_ids(struct ink_completion *c, struct ink_answer_prompt *out, const cJSON *array,
                     struct ink_fault *fault)
{
    int n = cJSON_GetArraySize(array), vocab = c->api->info->vocab_size;
    const cJSON *item;
    if (!ink_api_check_length(c->api, (size_t)n, "prompt", fault)) {
        return false;
    }
    out->ids = ink_calloc((size_t)n, sizeof *out->ids);
    if (!out->ids) {
        return out_of_memory(fault);
    }
    cJSON_ArrayForEach(item, array)
    {
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (!(id >= 0 && id < vocab) || id != floor(id)) {
            return ink_fault_set(fault, 400, "prompt", "invalid_value",
                                 "a token id of 'prompt' is not a whole number from 0 to %d",
                                 vocab - 1);
        }
        out->ids[out->n++] = (int32_t)id;
    }
    return true;
}

static bool read_prompt(struct ink_completion *c, int i, const cJSON *value,
                        struct ink_fault *fault)
{
    if (cJSON_IsString(value)) {
        return ink_api_encode_text(c->api, &c->prompts[i], value->valuestring,
                                   strlen(value->valuestring), fault);
    }
    return cJSON_IsArray(value) && value->child && cJSON_IsNumber(value->child)
               ? read_ids(c, &c->prompts[i], value, fault)
               : refuse_prompt(fault);
}

static bool read_prompts(struct ink_completion *c, struct ink_fault *fault)
{
    const cJSON *prompt = c->params.prompt, *item;
    if (!prompt) {
        return ink_fault_set(fault, 400, "prompt", "missing_parameter", "'prompt' is missing");
    }
    if (!cJSON_IsArray(prompt) || (prompt->child && cJSON_IsNumber(prompt->child))) {
        return make_prompts(c, 1, fault) && read_prompt(c, 0, prompt, fault);
    }
    int i = 0;
    if (!make_prompts(c, cJSON_GetArraySize(prompt), fault)) {
        return false;
    }
    cJSON_ArrayForEach(item, prompt)
    {
        if (cJSON_IsString(item) != cJSON_IsString(prompt->child)) {
            return refuse_prompt(fault);
        }
        if (!read_prompt(c, i++, item, fault)) {
            return false;
        }
    }
    return true;
}

static bool read_chat(struct ink_completion *c, struct ink_fault *fault)
{
    struct ink_messages messages;
    if (!c->params.messages) {
        return ink_fault_set(fault, 400, "messages", "missing_parameter", "'messages' is missing");
    }
    if (!ink_tools_read(&c->tools, &c->params, fault) ||
        !ink_messages_read(&messages, c->params.messages, &c->tools, fault)) {
        return false;
    }
    bool ok = make_prompts(c, 1, fault) &&
              ink_api_encode_chat(c->api, &c->prompts[0], messages.list, messages.n, fault);
    ink_messages_close(&messages);
    return ok;
}

/* ------------------------------------------------------------------------------------- grammars */

static bool from_grammar(int status, const char *param, const struct ink_error *error,
                         struct ink_fault *fault)
{
    if (status == INK_ERROR_MEMORY) {
        return out_of_memory(fault);
    }
    return status == INK_OK ||
           ink_fault_set(fault, 400, param, "invalid_schema", "%s", error->message);
}

static bool open_schema(struct ink_completion *c, const cJSON *schema, struct ink_fault *fault)
{
    struct ink_error error = {0};
    char *text = cJSON_PrintUnformatted(schema);
    if (!text) {
        return out_of_memory(fault);
    }
    const struct ink_grammar_source source = {.schema = text, .n = strlen(text)};
    int status = ink_grammars_take(c->api->grammars, &c->grammar, &source, &error);
    cJSON_free(text);
    return from_grammar(status, "response_format", &error, fault);
}

/* {"type": "text" | "json_object"}, or {"type": "json_schema", "json_schema": {"schema": ...}} */
static bool read_format(struct ink_completion *c, struct ink_fault *fault)
{
    const cJSON *format = c->params.response_format, *type = ink_json_get(format, "type");
    const char *word = cJSON_IsString(type) ? type->valuestring : "";
    const cJSON *schema = ink_json_get(ink_json_get(format, "json_schema"), "schema");
    if (!format || strcmp(word, "text") == 0) {
        return true;
    }
    if (c->tools.choice != INK_TOOLS_NONE) {
        return ink_fault_set(fault, 400, "response_format", "unsupported_parameter",
                             "'response_format' together with 'tools' is not supported");
    }
    if (strcmp(word, "json_object") == 0) {
        struct ink_error error = {0};
        const struct ink_grammar_source any_object = {0};
        int status = ink_grammars_take(c->api->grammars, &c->grammar, &any_object, &error);
        return from_grammar(status, "response_format", &error, fault);
    }
    if (strcmp(word, "json_schema") == 0 && (cJSON_IsObject(schema) || cJSON_IsBool(schema))) {
        return open_schema(c, schema, fault);
    }
    return ink_fault_set(fault, 400, "response_format", "invalid_value",
                         "'response_format' must be {\"type\": \"text\"}, {\"type\": "
                         "\"json_object\"}, or {\"type\": \"json_schema\", \"json_schema\": "
                         "{\"name\": NAME, \"schema\": SCHEMA}}");
}

/* What the model may write: calls of these tools, and in between text if that is allowed. */
static bool open_tools(struct ink_completion *c, struct ink_fault *fault)
{
    const struct ink_tool_set *set = &c->tools;
    struct ink_error error = {0};
    struct ink_tool *tools = ink_calloc((size_t)set->n, sizeof *tools);
    char **texts = ink_calloc((size_t)set->n, sizeof *texts);
    bool ok = tools && texts;
    int first = set->choice == INK_TOOLS_ONE ? set->chosen : 0;
    int n = set->choice == INK_TOOLS_ONE ? 1 : set->n;
    for (int i = 0; i < n && ok; i++) {
        const cJSON *parameters = ink_json_get(set->functions[first + i], "parameters");
        texts[i] = parameters ? cJSON_PrintUnformatted(parameters) : NULL;
        tools[i] = (struct ink_tool){ink_tools_name(set, first + i), texts[i],
                                     texts[i] ? strlen(texts[i]) : 0};
        ok = !parameters || texts[i];
    }
    int status = INK_ERROR_MEMORY;
    if (ok) {
        const struct ink_tools request = {
            .tools = tools,
            .n_tools = n,
            .before = INK_TOOL_CALL_BEGIN,
            .after = INK_TOOL_CALL_END,
            .is_required = set->choice != INK_TOOLS_AUTO,
            .is_single = set->choice == INK_TOOLS_ONE || !c->params.parallel_tool_calls,
        };
        const struct ink_grammar_source source = {.tools = &request};
        status = ink_grammars_take(c->api->grammars, &c->grammar, &source, &error);
    }
    for (int i = 0; texts && i < n; i++) {
        cJSON_free(texts[i]);
    }
    ink_free(texts);
    ink_free(tools);
    return from_grammar(status, "tools", &error, fault);
}

static bool open_grammar(struct ink_completion *c, struct ink_fault *fault)
{
    return read_format(c, fault) && (c->tools.choice == INK_TOOLS_NONE || open_tools(c, fault));
}

/* ---------------------------------------------------------------------------------- the request */

static bool check_combination(const struct ink_completion *c, struct ink_fault *fault)
{
    const struct ink_params *p = &c->params;
    if (p->echo && p->n_logprobs >= 0) {
        return ink_fault_set(fault, 400, "echo", "unsupported_parameter",
                             "'echo' together with 'logprobs' is not supported");
    }
    return true;
}

/* The answers begin with their prompt. */
static bool echo_prompt(struct ink_completion *c, int prompt, struct ink_fault *fault)
{
    const cJSON *value = c->params.prompt;
    if (c->n_prompts > 1 || (cJSON_IsArray(value) && !cJSON_IsNumber(value->child))) {
        value = cJSON_GetArrayItem(value, prompt);
    }
    char *text = NULL;
    size_t n = 0;
    if (!cJSON_IsString(value) &&
        ink_detokenize(c->api->options.model, &text, &n, c->prompts[prompt].ids,
                       c->prompts[prompt].n, true, NULL) != INK_OK) {
        return out_of_memory(fault);
    }
    for (int i = 0; i < c->params.n_choices; i++) {
        struct ink_string *out = &c->choices[prompt * c->params.n_choices + i].text;
        ink_string_append(out, text ? text : value->valuestring,
                          text ? n : strlen(value->valuestring));
    }
    ink_free(text);
    return true;
}

/* Everything has been read; the answer still needs the stop strings. The rest may be megabytes,
 * which a request that waits or is answered for long need not hold. */
static void drop_body(struct ink_completion *c)
{
    cJSON *stop = cJSON_DetachItemFromObjectCaseSensitive(c->body, "stop");
    cJSON_Delete(c->body);
    c->body = stop;
    c->params.model = NULL;
    c->params.messages = c->params.prompt = c->params.response_format = NULL;
    c->params.tools = c->params.tool_choice = NULL;
    c->tools.n = 0;
}

static bool prepare(struct ink_completion *c, struct ink_fault *fault)
{
    struct ink_api *api = c->api;
    if (!ink_api_read_body(&c->body, c->x, fault) ||
        !ink_params_read(&c->params, c->body, c->endpoint, &api->options.sampling, fault)) {
        return false;
    }
    c->model_name = ink_api_find_model(api, c->params.model, &c->variant, fault);
    if (!c->model_name || !check_combination(c, fault) ||
        !(c->endpoint == INK_ENDPOINT_CHAT ? read_chat(c, fault) : read_prompts(c, fault))) {
        return false;
    }
    if (!c->params.has_seed) {
        c->params.sampling.seed = ink_api_unique(api);
    }
    c->n_choices = c->n_prompts * c->params.n_choices;
    if (c->n_choices > INK_PARAMS_CHOICES) {
        return ink_fault_set(fault, 400, "n", "invalid_value",
                             "%d prompts with n = %d are %d answers, allowed are %d", c->n_prompts,
                             c->params.n_choices, c->n_choices, INK_PARAMS_CHOICES);
    }
    c->choices = ink_calloc((size_t)c->n_choices, sizeof *c->choices);
    if (!c->choices) {
        return out_of_memory(fault);
    }
    for (int i = 0; i < c->n_prompts && c->params.echo; i++) {
        if (!echo_prompt(c, i, fault)) {
            return false;
        }
    }
    snprintf(c->id, sizeof c->id, "%s-%016llx",
             c->endpoint == INK_ENDPOINT_CHAT ? "chatcmpl" : "cmpl",
             (unsigned long long)ink_api_unique(api));
    c->created = (long long)time(NULL);
    if (!open_grammar(c, fault)) {
        return false;
    }
    drop_body(c);
    return true;
}

static bool submit(struct ink_completion *c, struct ink_fault *fault)
{
    size_t shortest = SIZE_MAX; /* the context ends the answers to longer ones */
    for (int i = 0; i < c->n_prompts; i++) {
        c->n_prompt_tokens += (int)c->prompts[i].n;
        shortest = c->prompts[i].n < shortest ? c->prompts[i].n : shortest;
    }
    const struct ink_answer_request request = {
        .model = c->api->options.model,
        .prompts = c->prompts,
        .n_prompts = c->n_prompts,
        .n_choices = c->params.n_choices,
        .max_new_tokens = ink_api_room(c->api, shortest, c->params.max_tokens),
        .n_logprobs = c->params.n_logprobs,
        .variant = c->variant,
        .sampling = c->params.sampling,
        .grammar = ink_grammar_use_get(c->grammar),
        .stops = c->params.stops,
        .n_stops = c->params.n_stops,
        .arrived = c->arrived,
        .sink = &ink_completion_sink,
        .context = c,
    };
    /* From here on c is the sink's, unless it is refused: it may be gone before this returns. */
    struct ink_answer_prompt *prompts = c->prompts;
    c->prompts = NULL;
    if (ink_api_submit(c->api, c->x, &request, fault)) {
        return true;
    }
    c->prompts = prompts;
    return false;
}

static void handle(struct ink_api *api, struct ink_exchange *x, enum ink_endpoint endpoint)
{
    struct ink_fault fault = {0};
    struct ink_completion *c = ink_calloc(1, sizeof *c);
    if (!c) {
        out_of_memory(&fault);
        ink_api_fail(api, x, &fault);
        return;
    }
    c->api = api;
    c->x = x;
    c->endpoint = endpoint;
    c->arrived = c->last_write = ink_system_seconds();
    ink_api_add_load(api, x);
    if (!prepare(c, &fault) || !submit(c, &fault)) {
        ink_api_fail(api, x, &fault); /* its param may point into the body */
        ink_completion_close(c);
    }
}

void ink_api_chat_completions(void *context, struct ink_exchange *x)
{
    handle(context, x, INK_ENDPOINT_CHAT);
}

void ink_api_completions(void *context, struct ink_exchange *x)
{
    handle(context, x, INK_ENDPOINT_COMPLETIONS);
}
