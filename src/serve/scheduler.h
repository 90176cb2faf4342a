/* The scheduler: one thread that runs the model for all requests. Requests join and leave between
 * passes; each pass reads the next token of every running answer and, within what does not hold
 * those up, a part of the prompts that are still unread. */
#ifndef INK_SCHEDULER_H
#define INK_SCHEDULER_H

#include "metrics.h"

struct ink_scheduler;
struct ink_job;

struct ink_scheduler_options {
    int n_slots;     /* answers written at the same time */
    int n_queued;    /* requests that may wait for slots */
    int n_positions; /* context of one answer */
    enum ink_kv_type kv_type;
    uint64_t prefix_bytes;                     /* memory of the prefix cache at most; 0: none */
    const struct ink_adapter *const *adapters; /* [n_adapters]: variants 1 to n_adapters */
    int n_adapters;
    struct ink_metrics *metrics; /* may be NULL */
};

/* Why an answer ended. */
enum ink_finish {
    INK_FINISH_STOP,      /* an end token, a stop string, or a complete constrained text */
    INK_FINISH_LENGTH,    /* max_new_tokens, or the context is full */
    INK_FINISH_CANCELLED, /* the client left */
    INK_FINISH_SHUTDOWN,  /* the server stops */
    INK_FINISH_FAILED,    /* error says why */
};

/* A token of an answer. */
struct ink_job_token {
    int choice; /* 0..n_choices-1 */
    int32_t id;
    struct ink_logprob logprob;    /* where the request wants them */
    const struct ink_logprob *top; /* [n_top], likeliest first */
    int n_top;
};

/* What is to be written. All pointers live until the job is finished. */
struct ink_job_request {
    const int32_t *prompt; /* [n_prompt], n_prompt >= 1 */
    int n_prompt;
    int n_choices;
    int max_new_tokens;
    struct ink_sampling sampling;      /* choice i has seed + i */
    int n_logprobs;                    /* -1: none are wanted; else how many of the likeliest */
    const struct ink_grammar *grammar; /* NULL: none */
    int variant;    /* of the weights: 0 the model's own, i that of adapter i - 1 */
    double arrived; /* ink_system_seconds when the request came */

    /* Called on the scheduler's thread. They must not wait. */
    /* Has whoever asked left? Asked at least once a pass. */
    bool (*is_gone)(void *context);
    /* The job has a slot, and n_cached tokens of its prompt need not be read. */
    void (*started)(void *context, int n_cached);
    /* A token of the answer. False: the choice is to end here (a stop string). */
    bool (*token)(void *context, const struct ink_job_token *token);
    /* A choice has ended. After the last one's the job is finished, and forgotten. */
    void (*finished)(void *context, int choice, enum ink_finish why, const char *message);
    void *context;
};

int ink_scheduler_open(struct ink_scheduler **out, struct ink_model *model,
                       const struct ink_scheduler_options *options, struct ink_error *error);

enum ink_admission {
    INK_ADMITTED,
    INK_ADMISSION_FULL,     /* the queue is full */
    INK_ADMISSION_DRAINING, /* no new requests are taken */
    INK_ADMISSION_MEMORY,
};
/* Any thread. All of requests [n] are taken, or none. *retry_after: seconds after which a slot is
 * likely to be free, where the queue is full. Once admitted, `finished` is called for every choice,
 * come what may, and perhaps before this returns. */
enum ink_admission ink_scheduler_submit(struct ink_scheduler *s,
                                        const struct ink_job_request *requests, int n,
                                        int *retry_after);

/* Take no new requests. */
void ink_scheduler_drain(struct ink_scheduler *s);
/* Finish all that is left with INK_FINISH_SHUTDOWN. */
void ink_scheduler_cancel(struct ink_scheduler *s);
/* Answers that are not finished; of them *n_running are being written. *n_queued: requests that
 * wait. */
int ink_scheduler_load(const struct ink_scheduler *s, int *n_running, int *n_queued);
/* Cancels what is left, and waits for the thread. */
void ink_scheduler_close(struct ink_scheduler *s);

#endif
