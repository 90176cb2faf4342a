/* Bodies of requests, as both endpoints for text read them: whatever the gate lets pass is taken,
 * or refused with a status, a code and a message. */
#include "../../src/serve/messages.h"

#include <stdlib.h>
#include <string.h>

static const struct ink_json_limits limits = {1 << 20, 262144, 64};
static const struct ink_sampling defaults = {.top_p = 1, .repetition_penalty = 1};

static void check_fault(bool ok, const struct ink_fault *fault)
{
    if (!ok && (fault->status < 400 || !fault->code || fault->message[0] == '\0')) {
        abort();
    }
}

static void note_call(void *context, int index, const char *name, const char *arguments)
{
    int *n = context;
    if (index != (*n)++ || !name || arguments[0] != '{') {
        abort();
    }
}

/* Contents as if a model had written them. */
static void read_calls(const struct ink_messages *messages)
{
    struct ink_tool_reader reader = {0};
    struct ink_string text = {0};
    int n = 0;
    for (int i = 0; i < messages->n; i++) {
        const char *content = messages->list[i].content;
        ink_tool_reader_push(&reader, &text, content, strlen(content), note_call, &n);
    }
    ink_tool_reader_flush(&reader, &text);
    ink_tool_reader_close(&reader);
    ink_string_free(&text);
}

static void read_messages(const struct ink_params *params)
{
    struct ink_tool_set tools;
    struct ink_messages messages;
    struct ink_fault fault = {0};
    if (!ink_tools_read(&tools, params, &fault)) {
        check_fault(false, &fault);
        return;
    }
    bool ok = ink_messages_read(&messages, params->messages, &tools, &fault);
    check_fault(ok, &fault);
    if (ok) {
        read_calls(&messages);
        ink_messages_close(&messages);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    cJSON *body = NULL;
    if (ink_json_parse(&body, (const char *)data, n, &limits, "body", NULL) != INK_OK) {
        return 0;
    }
    for (int endpoint = INK_ENDPOINT_CHAT; endpoint <= INK_ENDPOINT_COMPLETIONS; endpoint++) {
        struct ink_params params;
        struct ink_fault fault = {0};
        bool ok = ink_params_read(&params, body, (enum ink_endpoint)endpoint, &defaults, &fault);
        check_fault(ok, &fault);
        if (ok) {
            read_messages(&params);
        }
    }
    cJSON_Delete(body);
    return 0;
}
