/* The messages of a chat request, as the model's chat template takes them. */
#ifndef INK_MESSAGES_H
#define INK_MESSAGES_H

#include "tools.h"

struct ink_messages {
    struct ink_message *list; /* [n] */
    int n;
    char **owned; /* [n_owned]: texts that had to be put together */
    int n_owned;
};

/* Roles system, developer (the same), user, assistant (with tool_calls), tool; contents are strings
 * or arrays of text parts. A `name` is taken and not told to the model, whose format has none. */
bool ink_messages_read(struct ink_messages *out, const cJSON *messages,
                       const struct ink_tool_set *tools, struct ink_fault *fault);
void ink_messages_close(struct ink_messages *m);

#endif
