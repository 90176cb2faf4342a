/* What a pass reads. */
#include "scheduler_internal.h"

/* Slots in the order of their requests, the oldest first: first those that write, then those that
 * read their prompt. Returns how many there are; *n_writing of them write. */
static int order_slots(struct ink_scheduler *s, int *n_writing)
{
    int n = 0;
    for (int reading = 0; reading < 2; reading++) {
        for (struct ink_job *job = s->jobs; job; job = job->next) {
            for (int i = 0; i < s->options.n_slots; i++) {
                if (s->slots[i].job == job && s->slots[i].is_reading == (reading == 1)) {
                    s->order[n++] = &s->slots[i];
                }
            }
        }
        *n_writing = reading ? *n_writing : n;
    }
    return n;
}

static void add_step(struct ink_scheduler *s, struct ink_slot *slot, int most)
{
    struct ink_step *step = &s->steps[s->n_steps++];
    ink_generator_prepare(slot->generator, most, step);
    slot->step = step;
}

/* The prompts share the budget equally, so that a long one does not hold up a short one; what one
 * does not need is left to those after it. */
static void share_budget(struct ink_scheduler *s, struct ink_slot *const *readers, int n,
                         int budget)
{
    for (int i = 0; i < n && budget > 0; i++) {
        add_step(s, readers[i], (budget + n - i - 1) / (n - i));
        budget -= readers[i]->step->n_tokens;
        s->n_prompt += readers[i]->step->n_tokens;
    }
}

void ink_plan_pass(struct ink_scheduler *s)
{
    int n_writing = 0, n = order_slots(s, &n_writing), n_readers = n_writing;
    s->n_steps = s->n_prompt = s->n_guessed = 0;
    s->n_decode = n_writing;
    for (int i = 0; i < s->options.n_slots; i++) {
        s->slots[i].step = NULL;
    }
    for (int i = 0; i < n_writing; i++) { /* guesses ahead would cost the others */
        add_step(s, s->order[i], n == 1 ? 1 + INK_MAX_DRAFT : 1);
        s->n_guessed += s->order[i]->step->n_tokens - 1;
    }
    for (int i = n_writing; i < n;
         i++) { /* whoever follows another waits for what that one reads */
        struct ink_slot *slot = s->order[i];
        if (!ink_reuse_follow(s, slot, s->order, i)) {
            s->order[n_readers++] = slot;
        }
    }
    share_budget(s, s->order + n_writing, n_readers - n_writing,
                 ink_pace_budget(&s->pace, n_writing));
}
