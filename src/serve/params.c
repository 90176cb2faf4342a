#include "params.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

bool ink_fault_set(struct ink_fault *fault, int status, const char *param, const char *code,
                   const char *format, ...)
{
    va_list args;
    *fault = (struct ink_fault){.status = status, .param = param, .code = code};
    va_start(args, format);
    vsnprintf(fault->message, sizeof fault->message, format, args);
    va_end(args);
    return false;
}

enum kind {
    INT,
    FLOAT,
    BOOL,
    SEED,
    STRING,
    TREE, /* checked by whoever uses it */
    STOPS,
    STREAM_OPTIONS,
    LOGPROBS,
    FREE_FORM, /* means nothing for the answer: any value */
    REFUSED,   /* not served: only null, or the value that asks for nothing */
};

#define AT(field) offsetof(struct ink_params, field)
#define BOTH (INK_ENDPOINT_CHAT | INK_ENDPOINT_COMPLETIONS)

static const struct field {
    const char *name;
    unsigned char endpoints, kind;
    size_t offset;
    double min, max;
    const char *neutral; /* of REFUSED: JSON that asks for nothing; NULL: none */
} fields[] = {
    {"model", BOTH, STRING, AT(model), 0, 0, NULL},
    {"messages", INK_ENDPOINT_CHAT, TREE, AT(messages), 0, 0, NULL},
    {"prompt", INK_ENDPOINT_COMPLETIONS, TREE, AT(prompt), 0, 0, NULL},
    {"stream", BOTH, BOOL, AT(is_stream), 0, 0, NULL},
    {"stream_options", BOTH, STREAM_OPTIONS, 0, 0, 0, NULL},
    {"n", BOTH, INT, AT(n_choices), 1, INK_PARAMS_CHOICES, NULL},
    {"max_tokens", BOTH, INT, AT(max_tokens), 1, INT_MAX, NULL},
    {"max_completion_tokens", INK_ENDPOINT_CHAT, INT, AT(max_tokens), 1, INT_MAX, NULL},
    {"temperature", BOTH, FLOAT, AT(sampling.temperature), 0, 2, NULL},
    {"top_p", BOTH, FLOAT, AT(sampling.top_p), 0, 1, NULL},
    {"top_k", BOTH, INT, AT(sampling.top_k), 0, 1 << 24, NULL},
    {"repetition_penalty", BOTH, FLOAT, AT(sampling.repetition_penalty), 0.01, 100, NULL},
    {"presence_penalty", BOTH, FLOAT, AT(sampling.presence_penalty), -2, 2, NULL},
    {"frequency_penalty", BOTH, FLOAT, AT(sampling.frequency_penalty), -2, 2, NULL},
    {"seed", BOTH, SEED, 0, 0, 0, NULL},
    {"stop", BOTH, STOPS, 0, 0, 0, NULL},
    {"logprobs", BOTH, LOGPROBS, 0, 0, 0, NULL},
    {"top_logprobs", INK_ENDPOINT_CHAT, LOGPROBS, 0, 0, 0, NULL},
    {"echo", INK_ENDPOINT_COMPLETIONS, BOOL, AT(echo), 0, 0, NULL},
    {"response_format", INK_ENDPOINT_CHAT, TREE, AT(response_format), 0, 0, NULL},
    {"tools", INK_ENDPOINT_CHAT, TREE, AT(tools), 0, 0, NULL},
    {"tool_choice", INK_ENDPOINT_CHAT, TREE, AT(tool_choice), 0, 0, NULL},
    {"parallel_tool_calls", INK_ENDPOINT_CHAT, BOOL, AT(parallel_tool_calls), 0, 0, NULL},
    {"user", BOTH, FREE_FORM, 0, 0, 0, NULL},
    {"metadata", BOTH, FREE_FORM, 0, 0, 0, NULL},
    {"safety_identifier", BOTH, FREE_FORM, 0, 0, 0, NULL},
    {"prompt_cache_key", BOTH, FREE_FORM, 0, 0, 0, NULL},
    {"store", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "false"},
    {"service_tier", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "\"auto\""},
    {"logit_bias", BOTH, REFUSED, 0, 0, 0, "{}"},
    {"modalities", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "[\"text\"]"},
    {"audio", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, NULL},
    {"prediction", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, NULL},
    {"reasoning_effort", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "\"none\""},
    {"verbosity", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "\"medium\""},
    {"web_search_options", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, NULL},
    {"functions", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "[]"},
    {"function_call", INK_ENDPOINT_CHAT, REFUSED, 0, 0, 0, "\"none\""},
    {"best_of", INK_ENDPOINT_COMPLETIONS, REFUSED, 0, 0, 0, "1"},
    {"suffix", INK_ENDPOINT_COMPLETIONS, REFUSED, 0, 0, 0, "\"\""},
};

/* ------------------------------------------------------------------------------ kinds of values */

static bool wrong_type(const char *name, const char *wanted, struct ink_fault *fault)
{
    return ink_fault_set(fault, 400, name, "invalid_type", "'%s' must be %s", name, wanted);
}

static bool read_int(int *out, const cJSON *value, const char *name, double min, double max,
                     struct ink_fault *fault)
{
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble)) {
        return wrong_type(name, "an integer", fault);
    }
    if (!(value->valuedouble >= min && value->valuedouble <= max)) {
        return ink_fault_set(fault, 400, name, "invalid_value",
                             "'%s' is %.17g, allowed are %.0f to %.0f", name, value->valuedouble,
                             min, max);
    }
    *out = (int)value->valuedouble;
    return true;
}

static bool read_float(float *out, const cJSON *value, const char *name, double min, double max,
                       struct ink_fault *fault)
{
    if (!cJSON_IsNumber(value)) {
        return wrong_type(name, "a number", fault);
    }
    if (!(value->valuedouble >= min && value->valuedouble <= max)) {
        return ink_fault_set(fault, 400, name, "invalid_value",
                             "'%s' is %.17g, allowed are %g to %g", name, value->valuedouble, min,
                             max);
    }
    *out = (float)value->valuedouble;
    return true;
}

static bool read_bool(bool *out, const cJSON *value, const char *name, struct ink_fault *fault)
{
    if (!cJSON_IsBool(value)) {
        return wrong_type(name, "true or false", fault);
    }
    *out = cJSON_IsTrue(value);
    return true;
}

/* Whole numbers are exact in a double up to 2^53. */
static bool read_seed(struct ink_params *p, const cJSON *value, struct ink_fault *fault)
{
    static const double most = 9007199254740992.0;
    if (!cJSON_IsNumber(value) || value->valuedouble != floor(value->valuedouble)) {
        return wrong_type("seed", "an integer", fault);
    }
    if (!(value->valuedouble >= -most && value->valuedouble <= most)) {
        return ink_fault_set(fault, 400, "seed", "invalid_value",
                             "'seed' is %.17g, allowed are -2^53 to 2^53", value->valuedouble);
    }
    p->sampling.seed = (uint64_t)(int64_t)value->valuedouble;
    p->has_seed = true;
    return true;
}

static bool read_stop(struct ink_params *p, const cJSON *value, struct ink_fault *fault)
{
    if (!cJSON_IsString(value)) {
        return wrong_type("stop", "a string or an array of strings", fault);
    }
    if (p->n_stops == INK_PARAMS_STOPS) {
        return ink_fault_set(fault, 400, "stop", "invalid_value", "'stop' has more than %d strings",
                             INK_PARAMS_STOPS);
    }
    size_t n = strlen(value->valuestring);
    if (n < 1 || n > INK_PARAMS_STOP_BYTES) {
        return ink_fault_set(fault, 400, "stop", "invalid_value",
                             "a string of 'stop' has %zu bytes, allowed are 1 to %d", n,
                             INK_PARAMS_STOP_BYTES);
    }
    p->stops[p->n_stops++] = value->valuestring;
    return true;
}

static bool read_stops(struct ink_params *p, const cJSON *value, struct ink_fault *fault)
{
    if (!cJSON_IsArray(value)) {
        return read_stop(p, value, fault);
    }
    bool ok = true;
    for (const cJSON *item = value->child; item && ok; item = item->next) {
        ok = read_stop(p, item, fault);
    }
    return ok;
}

static bool read_stream_options(struct ink_params *p, const cJSON *value, const cJSON *body,
                                struct ink_fault *fault)
{
    if (!cJSON_IsObject(value)) {
        return wrong_type("stream_options", "an object", fault);
    }
    if (!cJSON_IsTrue(ink_json_get(body, "stream"))) {
        return ink_fault_set(fault, 400, "stream_options", "invalid_value",
                             "'stream_options' is only allowed when 'stream' is true");
    }
    for (const cJSON *item = value->child; item; item = item->next) {
        if (strcmp(item->string, "include_usage") == 0) {
            if (!cJSON_IsNull(item) &&
                !read_bool(&p->include_usage, item, "stream_options.include_usage", fault)) {
                return false;
            }
        } else if (strcmp(item->string, "include_obfuscation") == 0 && cJSON_IsBool(item)) {
            continue; /* padding against eavesdroppers: none is added */
        } else {
            return ink_fault_set(fault, 400, "stream_options", "unknown_parameter",
                                 "unknown field '%.40s' in 'stream_options'", item->string);
        }
    }
    return true;
}

/* In chats `logprobs` is a switch and `top_logprobs` a number; in completions it is the number. */
static bool read_logprobs(struct ink_params *p, const cJSON *body, enum ink_endpoint endpoint,
                          struct ink_fault *fault)
{
    const cJSON *logprobs = ink_json_get(body, "logprobs");
    const cJSON *top = ink_json_get(body, "top_logprobs");
    bool wanted = false;
    p->n_logprobs = -1;
    if (endpoint == INK_ENDPOINT_COMPLETIONS) {
        return !logprobs || cJSON_IsFalse(logprobs) ||
               read_int(&p->n_logprobs, logprobs, "logprobs", 0, 5, fault);
    }
    if (logprobs && !read_bool(&wanted, logprobs, "logprobs", fault)) {
        return false;
    }
    p->n_logprobs = wanted ? 0 : -1;
    if (top && !wanted) {
        return ink_fault_set(fault, 400, "top_logprobs", "invalid_value",
                             "'top_logprobs' needs 'logprobs' to be true");
    }
    return !top || read_int(&p->n_logprobs, top, "top_logprobs", 0, INK_MAX_LOGPROBS, fault);
}

static bool asks_for_nothing(const struct field *f, const cJSON *value)
{
    cJSON *neutral = f->neutral ? cJSON_Parse(f->neutral) : NULL;
    bool same = neutral && cJSON_Compare(neutral, value, true);
    cJSON_Delete(neutral);
    return same || (strcmp(f->name, "service_tier") == 0 && cJSON_IsString(value) &&
                    strcmp(value->valuestring, "default") == 0);
}

static bool read_field(struct ink_params *p, const struct field *f, const cJSON *value,
                       const cJSON *body, struct ink_fault *fault)
{
    void *at = (char *)p + f->offset;
    switch (f->kind) {
    case INT:
        return read_int(at, value, f->name, f->min, f->max, fault);
    case FLOAT:
        return read_float(at, value, f->name, f->min, f->max, fault);
    case BOOL:
        return read_bool(at, value, f->name, fault);
    case SEED:
        return read_seed(p, value, fault);
    case STRING:
        if (!cJSON_IsString(value)) {
            return wrong_type(f->name, "a string", fault);
        }
        *(const char **)at = value->valuestring;
        return true;
    case TREE:
        *(const cJSON **)at = value;
        return true;
    case STOPS:
        return read_stops(p, value, fault);
    case STREAM_OPTIONS:
        return read_stream_options(p, value, body, fault);
    case REFUSED:
        return asks_for_nothing(f, value) ||
               ink_fault_set(fault, 400, f->name, "unsupported_parameter",
                             "'%s' is not supported by this server", f->name);
    default: /* LOGPROBS are read together, FREE_FORM not at all */
        return true;
    }
}

static const struct field *find_field(const char *name, enum ink_endpoint endpoint)
{
    for (size_t i = 0; i < INK_COUNT(fields); i++) {
        if (strcmp(fields[i].name, name) == 0 && fields[i].endpoints & endpoint) {
            return &fields[i];
        }
    }
    return NULL;
}

bool ink_params_read(struct ink_params *out, const cJSON *body, enum ink_endpoint endpoint,
                     const struct ink_sampling *defaults, struct ink_fault *fault)
{
    *out = (struct ink_params){
        .n_choices = 1, .sampling = *defaults, .n_logprobs = -1, .parallel_tool_calls = true};
    if (!cJSON_IsObject(body)) {
        return ink_fault_set(fault, 400, NULL, "invalid_type", "the body must be a JSON object");
    }
    for (const cJSON *item = body->child; item; item = item->next) {
        const struct field *f = find_field(item->string, endpoint);
        if (!f) {
            return ink_fault_set(fault, 400, NULL, "unknown_parameter", "unknown parameter '%.60s'",
                                 item->string);
        }
        if (!cJSON_IsNull(item) && !read_field(out, f, item, body, fault)) {
            return false;
        }
    }
    if (ink_json_get(body, "max_tokens") && ink_json_get(body, "max_completion_tokens")) {
        return ink_fault_set(fault, 400, "max_tokens", "invalid_value",
                             "'max_tokens' and 'max_completion_tokens' are the same: give one");
    }
    return read_logprobs(out, body, endpoint, fault);
}
