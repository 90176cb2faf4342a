/* ERNIE 4.5's chat template, in C. A template that comes with a model is compared, not executed. */
#ifndef INK_CHAT_H
#define INK_CHAT_H

#include "tokenizer.h"

/* The template of ERNIE-4.5-0.3B:
 *   <|begin_of_sentence|>
 *   system:     content + "\n"
 *   user:       "User: " + content + "\n"
 *   assistant:  "Assistant: " + content + <|end_of_sentence|>
 *   and at the end, if asked for, "Assistant: " (with the trailing space).
 * The text between two special tokens is encoded as one string, as transformers does. Special
 * tokens inside a content stay text. An unknown role is INK_ERROR_ARGUMENT.
 * *out [*n] is malloc'ed. */
int ink_chat_encode(const struct ink_tokenizer *t, int32_t **out, size_t *n,
                    const struct ink_message *messages, int n_messages, bool add_generation_prompt,
                    struct ink_error *error);

/* Has this tokenizer the tokens that the template needs? */
bool ink_chat_is_supported(const struct ink_tokenizer *t);
/* The token that ends an assistant's turn; -1 if it has not. */
int32_t ink_chat_end_token(const struct ink_tokenizer *t);

/* Describe how a model's own template differs from ERNIE's: NULL if it does not (white space and
 * comments of Jinja aside) or there is none; else a malloc'ed sentence for a warning that names
 * the first difference. */
char *ink_chat_template_difference(const char *chat_template);

#endif
