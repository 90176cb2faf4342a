/* Functions that a model may call: what it is told of them, and what it writes to call one.
 *
 * ERNIE-4.5-0.3B's format has no place for tools, so they are described at the end of the system
 * text, calls are written as <tool_call>{"name": NAME, "arguments": {...}}</tool_call>, and results
 * come back in the user's turn as <tool_response>...</tool_response>. */
#ifndef INK_TOOLS_H
#define INK_TOOLS_H

#include "params.h"

#define INK_TOOL_CALL_BEGIN "<tool_call>"
#define INK_TOOL_CALL_END "</tool_call>"

enum ink_tool_choice {
    INK_TOOLS_NONE,     /* there are none, or they are not to be called */
    INK_TOOLS_AUTO,     /* text, or calls */
    INK_TOOLS_REQUIRED, /* at least one call */
    INK_TOOLS_ONE,      /* this one */
};

enum { INK_TOOLS_MOST = 128 };

struct ink_tool_set {
    const cJSON *functions[INK_TOOLS_MOST]; /* {"name", "description", "parameters"} */
    int n;
    enum ink_tool_choice choice;
    int chosen; /* of INK_TOOLS_ONE: its index */
};

/* What a request says of tools. Strings and trees stay the request's. */
bool ink_tools_read(struct ink_tool_set *out, const struct ink_params *params,
                    struct ink_fault *fault);
const char *ink_tools_name(const struct ink_tool_set *tools, int i);

/* Append what the model is told. */
void ink_tools_describe(const struct ink_tool_set *tools, struct ink_string *out);
/* Append a call of an earlier turn, as the model writes it. `arguments`: JSON text. */
void ink_tools_append_call(struct ink_string *out, const char *name, const char *arguments);

/* Reads an answer as it grows: text, then calls. Start with {0}. */
struct ink_tool_reader {
    struct ink_string held; /* what may be the beginning of a call, or is one */
    bool in_call;
    int n_calls;
};
/* Take more of the answer; text that belongs to no call is appended to *text. For each complete
 * call `found` gets its name and arguments (JSON text). */
typedef void ink_tool_found(void *context, int index, const char *name, const char *arguments);
void ink_tool_reader_push(struct ink_tool_reader *r, struct ink_string *text, const char *bytes,
                          size_t n, ink_tool_found *found, void *context);
/* The answer is over: what is held was text after all. */
void ink_tool_reader_flush(struct ink_tool_reader *r, struct ink_string *text);
void ink_tool_reader_close(struct ink_tool_reader *r);

#endif
