/* What the files of the scheduler share. scheduler.c: requests, and the thread; scheduler_slots.c:
 * who is served, and what becomes of them; scheduler_plan.c: what a pass reads; scheduler_pace.c:
 * how much of the prompts that may be; scheduler_reuse.c: what need not be read again. */
#ifndef INK_SCHEDULER_INTERNAL_H
#define INK_SCHEDULER_INTERNAL_H

#include "prefix.h"
#include "scheduler.h"
#include "sync.h"

/* How long passes take, of late. */
struct ink_pace {
    double *decode_seconds; /* [n_slots + 1]: of a pass that reads one token each for n answers; 0:
                               not known */
    int n_slots;
    double prompt_seconds; /* that a token of a prompt adds to a pass; 0: not known */
};
int ink_pace_open(struct ink_pace *pace, int n_slots, struct ink_error *error);
void ink_pace_close(struct ink_pace *pace);
/* Tokens of prompts that a pass may read, beside one each for n_decode answers. */
int ink_pace_budget(const struct ink_pace *pace, int n_decode);
/* A pass took that long. */
void ink_pace_note(struct ink_pace *pace, int n_decode, int n_prompt, double seconds);

/* A request that is not finished. */
struct ink_job {
    struct ink_job_request r;
    struct ink_job *next;
    int n_started, n_finished; /* choices */
    bool is_read;              /* the prompt, by choice 0 */
    bool is_gone;
    double began; /* when it got a slot */
};

struct ink_slot {
    struct ink_generator *generator;
    struct ink_job *job; /* NULL: free */
    int choice, variant;
    bool is_reading; /* the prompt */
    double last_token;
    uint64_t used;         /* the pass in which it was freed */
    struct ink_step *step; /* of this pass; NULL: none */
};

struct ink_scheduler {
    struct ink_model *model;
    struct ink_scheduler_options options;
    struct ink_metrics *metrics;
    struct ink_slot *slots;  /* [options.n_slots] */
    struct ink_step *steps;  /* [options.n_slots] */
    struct ink_slot **order; /* [options.n_slots]: for the plan */
    /* Of this pass: steps; answers that write, tokens of prompts, and guesses ahead. */
    int n_steps, n_decode, n_prompt, n_guessed;
    struct ink_prefix *prefix; /* NULL: none */
    void *block;               /* for a block on its way from one slot to another */
    struct ink_pace pace;
    uint64_t n_passes;
    struct ink_job *jobs; /* those that have a slot, or wait for one; oldest first; the thread's */

    struct ink_thread *thread;
    struct ink_mutex *lock; /* of what follows */
    struct ink_condition *changed;
    struct ink_job *arrived, **arrived_end; /* not taken over by the thread yet */
    int n_open;                             /* choices that are not finished */
    int n_taken;              /* of them, those whose end has not been told: they need room */
    int n_running, n_waiting; /* choices that have a slot; jobs that wait for one */
    double job_seconds;       /* that a job takes, of late */
    bool is_draining, is_cancelled, is_closing;
};

/* scheduler_plan.c: the steps of the next pass */
void ink_plan_pass(struct ink_scheduler *s);

/* scheduler_reuse.c */
/* Whole blocks of what the slot has read go into the prefix cache. */
void ink_reuse_keep(struct ink_scheduler *s, const struct ink_slot *slot);
/* What the cache or another slot holds of the slot's prompt comes into it. Returns how many of its
 * tokens need not be read now. */
int ink_reuse_restore(struct ink_scheduler *s, struct ink_slot *slot);
/* Is one of the older slots [n_older] about to read what this one wants to read too? What it has
 * read of that already comes into this one. */
bool ink_reuse_follow(struct ink_scheduler *s, struct ink_slot *slot, struct ink_slot *const *older,
                      int n_older);

/* scheduler_slots.c, all on the scheduler's thread */
/* End the choices of those who left, and start jobs in free slots. */
void ink_slots_admit(struct ink_scheduler *s);
/* One pass: what every slot wants read, reading it, and the tokens that came of it. */
void ink_slots_pass(struct ink_scheduler *s);
/* End everything. */
void ink_slots_cancel(struct ink_scheduler *s, enum ink_finish why);

#endif
