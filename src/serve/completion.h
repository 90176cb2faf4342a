/* A request for text while it is answered: OpenAI's chat.completion and text_completion, whole or
 * as a stream. */
#ifndef INK_COMPLETION_H
#define INK_COMPLETION_H

#include "api_internal.h"
#include "tools.h"

/* One answer of possibly several. */
struct ink_completion_choice {
    struct ink_string text;       /* whole answers: all of it; streams: what is to be sent next */
    struct ink_string logprobs;   /* entries, as JSON, separated by commas; like text */
    struct ink_string calls;      /* tool calls, as JSON; like text */
    struct ink_tool_reader tools; /* where tools may be called */
    struct ink_string top, offsets, values; /* completions: the parallel arrays of logprobs */
    size_t n_chars;                         /* completions: characters so far */
    int n_tool_calls;
    bool has_begun;            /* chats: its role was sent */
    const char *finish_reason; /* NULL: goes on */
};

struct ink_completion {
    struct ink_api *api;
    struct ink_exchange *x;
    cJSON *body; /* params point into it; once all is read, the stop strings alone, or NULL */
    enum ink_endpoint endpoint;
    struct ink_params params;
    struct ink_tool_set tools;
    struct ink_answer_prompt *prompts; /* until they are submitted */
    int n_prompts;
    struct ink_grammar_use *grammar; /* NULL: none */
    const char *model_name;
    char id[40];
    long long created;
    struct ink_completion_choice *choices; /* [n_choices], over all prompts */
    int n_choices;
    int n_prompt_tokens, n_cached, n_tokens, variant;
    bool has_begun; /* a stream */
    bool is_gone;
    double arrived, last_write;
};

void ink_completion_close(struct ink_completion *c);

/* completion_json.c: the sink that writes the answer */
extern const struct ink_answer_sink ink_completion_sink;

#endif
