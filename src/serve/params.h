/* What a request for text says: OpenAI's parameters, checked. Every field of the API is known here:
 * those that are served, those that are refused unless they ask for what is done anyway, and any
 * other is an error too, so that nothing is silently ignored. */
#ifndef INK_PARAMS_H
#define INK_PARAMS_H

#include "json.h"

/* An answer that is an error. */
struct ink_fault {
    int status;
    const char *param, *code; /* NULL: null; they live as long as the request */
    char message[1024];
};
/* Fills it and returns false. `format` is English: programs read it. */
bool ink_fault_set(struct ink_fault *fault, int status, const char *param, const char *code,
                   const char *format, ...) INK_PRINTF(5, 6);

enum ink_endpoint { INK_ENDPOINT_CHAT = 1, INK_ENDPOINT_COMPLETIONS = 2 };

enum { INK_PARAMS_STOPS = 16, INK_PARAMS_STOP_BYTES = 1024, INK_PARAMS_CHOICES = 128 };

struct ink_params {
    const char *model; /* NULL: not said */
    bool is_stream, include_usage, echo;
    int n_choices;
    int max_tokens; /* 0: not said */
    struct ink_sampling sampling;
    bool has_seed;
    int n_logprobs; /* -1: none */
    const char *stops[INK_PARAMS_STOPS];
    int n_stops;
    /* Looked at by others; NULL where absent or null. */
    const cJSON *messages, *prompt, *response_format, *tools, *tool_choice;
    bool parallel_tool_calls;
};

/* What `body` says; what it does not say is as `defaults` has it. Strings point into the tree. */
bool ink_params_read(struct ink_params *out, const cJSON *body, enum ink_endpoint endpoint,
                     const struct ink_sampling *defaults, struct ink_fault *fault);

#endif
