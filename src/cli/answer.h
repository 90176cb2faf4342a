/* From a prompt's tokens to an answer in text: the loop that generate and chat share. */
#ifndef INK_ANSWER_H
#define INK_ANSWER_H

#include "common.h"

struct ink_answer_settings {
    struct ink_sampling sampling;
    int max_new_tokens;
    const char *const *stops; /* [n_stops] */
    int n_stops;
    bool without_text; /* the model has no tokenizer: ids only */
};

/* Takes text of the answer as it appears: never part of a character or of a stop string. */
typedef int ink_answer_sink(void *context, const char *text, size_t n, struct ink_error *error);

/* What came out; start with {0}. */
struct ink_answer {
    struct ink_string text;
    int32_t *ids; /* [n_ids] chosen tokens, without the one that ended the answer */
    int n_ids;
    const char *finish_reason; /* "stop": end token or stop string; "length": tokens or context */
    int n_prefill;             /* tokens of the prompt that had to be read */
    int n_decode;              /* tokens chosen after that: the first token of an answer comes
                                  from the prompt's logits */
    double prefill_seconds, decode_seconds; /* of reading n_prefill, choosing n_decode */
    uint64_t n_drafted, n_accepted;         /* tokens guessed ahead, and those that were right */
};

/* Read prompt[n_prompt] and write on. On failure, INK_ERROR_CANCELLED among them, *out holds what
 * was written so far; nothing is written once Ctrl-C was pressed. */
int ink_answer_write(struct ink_answer *out, struct ink_model *model,
                     struct ink_generator *generator, const int32_t *prompt, int n_prompt,
                     const struct ink_answer_settings *settings, ink_answer_sink *sink,
                     void *context, struct ink_error *error);
void ink_answer_close(struct ink_answer *answer);

#endif
