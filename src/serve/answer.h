/* Answers as text: what lies between the scheduler's tokens and whoever shows them. Joins tokens to
 * characters, holds back what may become a stop string, and tells a sink of the rest. */
#ifndef INK_ANSWER_H
#define INK_ANSWER_H

#include "scheduler.h"

struct ink_answer_prompt {
    int32_t *ids; /* from the library, to be freed with ink_free */
    size_t n;
};

/* A token whose text has been given out, with its likelihoods. */
struct ink_answer_token {
    struct ink_logprob logprob;
    struct ink_logprob top[INK_MAX_LOGPROBS];
    int n_top;
    size_t start, end; /* where what it gave stands in the choice's text; end SIZE_MAX: not known */
};

/* Called on the scheduler's thread; must not wait. Choices are counted over all prompts: prompt p
 * has n_choices of them from p * n_choices on. */
struct ink_answer_sink {
    bool (*is_gone)(void *context);
    /* A prompt has a slot; n_cached of its tokens need not be read. */
    void (*started)(void *context, int n_cached);
    /* More text of a choice: whole characters, perhaps none; and tokens [n_tokens], where
     * likelihoods are wanted: those whose text is given out by now. */
    void (*text)(void *context, int choice, const char *text, size_t n,
                 const struct ink_answer_token *tokens, size_t n_tokens);
    /* A choice is over: `why` is STOP or LENGTH. */
    void (*ended)(void *context, int choice, enum ink_finish why);
    /* All is over; n_tokens were written in all. `why` is STOP if all went well (whatever choices
     * ended by), else CANCELLED, SHUTDOWN, or FAILED with a message. The last call. */
    void (*finished)(void *context, enum ink_finish why, const char *message, int n_tokens);
};

struct ink_answer_request {
    struct ink_model *model;
    struct ink_answer_prompt *prompts; /* [n_prompts], each not empty */
    int n_prompts, n_choices;
    int max_new_tokens, n_logprobs, variant;
    struct ink_sampling sampling;
    const struct ink_grammar *grammar; /* NULL: none; until the sink's `finished` */
    const char *const *stops;          /* [n_stops] */
    int n_stops;
    double arrived;
    const struct ink_answer_sink *sink;
    void *context;
};

/* If it is admitted, prompts (the array and what is in it) belong to the answer, stops must live
 * until the sink's `finished`, and that will be called. Else nothing has happened. */
enum ink_admission ink_answer_submit(struct ink_scheduler *s,
                                     const struct ink_answer_request *request, int *retry_after);

#endif
