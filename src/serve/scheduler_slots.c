#include "scheduler_internal.h"

#include "system.h"

/* ------------------------------------------------------------------------------ ends of choices */

static void note_counts(struct ink_scheduler *s)
{
    uint64_t used = 0;
    int n_running = 0, n_waiting = 0;
    for (int i = 0; i < s->options.n_slots; i++) {
        const struct ink_slot *slot = &s->slots[i];
        n_running += slot->job != NULL;
        used +=
            (uint64_t)(slot->job ? ink_session_length(ink_generator_session(slot->generator)) : 0);
    }
    for (const struct ink_job *job = s->jobs; job; job = job->next) {
        n_waiting += job->n_started == 0;
    }
    ink_mutex_lock(s->lock);
    for (const struct ink_job *job = s->arrived; job; job = job->next) {
        n_waiting++;
    }
    s->n_running = n_running;
    s->n_waiting = n_waiting;
    ink_metrics_set(s->metrics, INK_METRIC_QUEUED, n_waiting);
    ink_mutex_unlock(s->lock);
    uint64_t room = (uint64_t)s->options.n_slots * (uint64_t)s->options.n_positions;
    ink_metrics_set(s->metrics, INK_METRIC_RUNNING, n_running);
    ink_metrics_set(s->metrics, INK_METRIC_KV_USAGE, (double)used / (double)room);
    if (s->prefix) {
        ink_metrics_set(s->metrics, INK_METRIC_PREFIX_BYTES, (double)ink_prefix_bytes(s->prefix));
    }
}

static void forget_job(struct ink_scheduler *s, struct ink_job *job)
{
    struct ink_job **link = &s->jobs;
    while (*link != job) {
        link = &(*link)->next;
    }
    *link = job->next;
    if (job->began > 0) {
        double seconds = ink_system_seconds() - job->began;
        ink_mutex_lock(s->lock);
        s->job_seconds = s->job_seconds > 0 ? 0.8 * s->job_seconds + 0.2 * seconds : seconds;
        ink_mutex_unlock(s->lock);
    }
    ink_free(job);
}

/* After the last choice of a job the job is gone. */
static void finish_choice(struct ink_scheduler *s, struct ink_job *job, int choice,
                          enum ink_finish why, const char *message)
{
    bool is_last = ++job->n_finished == job->r.n_choices;
    if (is_last) {
        ink_metrics_observe(s->metrics, INK_HISTOGRAM_WHOLE, ink_system_seconds() - job->r.arrived);
    }
    /* whoever hears of the end may ask again at once, and there is room */
    ink_mutex_lock(s->lock);
    s->n_taken--;
    ink_mutex_unlock(s->lock);
    job->r.finished(job->r.context, choice, why, message);
    ink_mutex_lock(s->lock);
    s->n_open--;
    ink_mutex_unlock(s->lock);
    if (is_last) {
        forget_job(s, job);
    }
}

static void free_slot(struct ink_scheduler *s, struct ink_slot *slot, enum ink_finish why,
                      const char *message)
{
    struct ink_job *job = slot->job;
    ink_generator_stop(slot->generator);
    ink_reuse_keep(s, slot);
    slot->job = NULL;
    slot->used = s->n_passes;
    finish_choice(s, job, slot->choice, why, message);
}

/* Every choice of a job that is not finished. */
static void end_job(struct ink_scheduler *s, struct ink_job *job, enum ink_finish why)
{
    int left = job->r.n_choices - job->n_finished;
    for (int i = 0; i < s->options.n_slots; i++) {
        if (s->slots[i].job == job) {
            free_slot(s, &s->slots[i], why, NULL);
            left--;
        }
    }
    for (int choice = left > 0 ? job->n_started : 0; left > 0; left--, choice++) {
        finish_choice(s, job, choice, why, NULL); /* not started yet */
    }
}

void ink_slots_cancel(struct ink_scheduler *s, enum ink_finish why)
{
    while (s->jobs) {
        ink_metrics_add(s->metrics, INK_METRIC_CANCELLED_SHUTDOWN, 1);
        end_job(s, s->jobs, why);
    }
    note_counts(s);
}

/* ------------------------------------------------------------------------------------ admission */

/* Where the most of the prompt is there already; among equals the one that has been free longest.
 */
static struct ink_slot *choose_slot(struct ink_scheduler *s, const struct ink_job *job)
{
    struct ink_slot *best = NULL;
    int best_shared = -1;
    for (int i = 0; i < s->options.n_slots; i++) {
        struct ink_slot *slot = &s->slots[i];
        if (slot->job) {
            continue;
        }
        int shared = slot->variant == job->r.variant
                         ? ink_generator_shared(slot->generator, job->r.prompt, job->r.n_prompt)
                         : 0;
        if (shared > best_shared || (shared == best_shared && slot->used < best->used)) {
            best = slot;
            best_shared = shared;
        }
    }
    return best;
}

static int start_generator(const struct ink_scheduler *s, const struct ink_slot *slot,
                           struct ink_error *error)
{
    const struct ink_job_request *r = &slot->job->r;
    struct ink_sampling sampling = r->sampling;
    sampling.seed += (uint64_t)slot->choice;
    int status = ink_generator_set_adapter(
        slot->generator, r->variant > 0 ? s->options.adapters[r->variant - 1] : NULL, error);
    if (status == INK_OK) {
        status = ink_generator_start(slot->generator, r->prompt, r->n_prompt, &sampling,
                                     r->max_new_tokens, error);
    }
    if (status == INK_OK && r->grammar) {
        status = ink_generator_constrain(slot->generator, r->grammar, error);
    }
    if (status == INK_OK && r->n_logprobs >= 0) {
        status = ink_generator_want_logprobs(slot->generator, r->n_logprobs, error);
    }
    return status;
}

static void note_start(struct ink_scheduler *s, struct ink_job *job, int n_cached)
{
    job->began = ink_system_seconds();
    ink_metrics_observe(s->metrics, INK_HISTOGRAM_QUEUE, job->began - job->r.arrived);
    ink_metrics_add(s->metrics, INK_METRIC_PROMPT_TOKENS, (uint64_t)job->r.n_prompt);
    ink_metrics_add(s->metrics, INK_METRIC_PROMPT_TOKENS_CACHED, (uint64_t)n_cached);
    job->r.started(job->r.context, n_cached);
}

/* The next choice of a job into a slot. False: that was the end of the job. */
static bool start_choice(struct ink_scheduler *s, struct ink_job *job, struct ink_slot *slot)
{
    struct ink_error error = {0};
    slot->job = job;
    slot->choice = job->n_started++;
    slot->is_reading = true;
    int status = start_generator(s, slot, &error);
    slot->variant = job->r.variant;
    if (status != INK_OK) {
        bool is_last = job->n_finished + 1 == job->r.n_choices;
        free_slot(s, slot, INK_FINISH_FAILED, error.message);
        return !is_last;
    }
    int n_cached = ink_reuse_restore(s, slot);
    if (slot->choice == 0) {
        note_start(s, job, n_cached);
    }
    return true;
}

/* Further choices wait until the first has read the prompt: then it need not be read again. */
static void start_choices(struct ink_scheduler *s, struct ink_job *job)
{
    struct ink_slot *slot;
    while (job->n_started < job->r.n_choices &&
           (job->n_started == 0 || job->is_read || job->n_finished > 0) &&
           (slot = choose_slot(s, job)) != NULL && start_choice(s, job, slot)) {
    }
}

void ink_slots_admit(struct ink_scheduler *s)
{
    struct ink_job *next;
    for (struct ink_job *job = s->jobs; job; job = next) {
        next = job->next;
        if (job->r.is_gone(job->r.context)) {
            ink_metrics_add(s->metrics, INK_METRIC_CANCELLED_GONE, 1);
            end_job(s, job, INK_FINISH_CANCELLED);
        }
    }
    for (struct ink_job *job = s->jobs; job; job = next) {
        next = job->next;
        start_choices(s, job);
    }
    note_counts(s);
}

/* -------------------------------------------------------------------------------------- a pass */

static void note_token_time(struct ink_scheduler *s, struct ink_slot *slot, double now)
{
    if (slot->is_reading) {
        slot->is_reading = false;
        slot->job->is_read = true;
        ink_reuse_keep(s, slot);
        if (slot->choice == 0) {
            ink_metrics_observe(s->metrics, INK_HISTOGRAM_FIRST, now - slot->job->r.arrived);
        }
    } else {
        ink_metrics_observe(s->metrics, INK_HISTOGRAM_BETWEEN, now - slot->last_token);
    }
    slot->last_token = now;
}

/* False: whoever asked wants no more. */
static bool give_token(struct ink_scheduler *s, const struct ink_slot *slot, int32_t id)
{
    const struct ink_job_request *r = &slot->job->r;
    struct ink_logprob top[INK_MAX_LOGPROBS];
    struct ink_job_token token = {.choice = slot->choice, .id = id, .top = top};
    if (r->n_logprobs >= 0) {
        token.n_top = ink_generator_logprobs(slot->generator, &token.logprob, top);
    }
    ink_metrics_add(s->metrics, INK_METRIC_GENERATED_TOKENS, 1);
    return r->token(r->context, &token);
}

static void take_tokens(struct ink_scheduler *s, struct ink_slot *slot, double now)
{
    if (slot->is_reading && ink_generator_unread(slot->generator) > 0) {
        return;
    }
    note_token_time(s, slot, now);
    int32_t id;
    enum ink_generated what;
    while ((what = ink_generator_take(slot->generator, &id)) == INK_GENERATED_TOKEN) {
        if (!give_token(s, slot, id)) {
            free_slot(s, slot, INK_FINISH_STOP, NULL);
            return;
        }
    }
    switch (what) {
    case INK_GENERATED_NOTHING:
        break;
    case INK_GENERATED_DAMAGE:
        free_slot(s, slot, INK_FINISH_FAILED, "the model's scores are not numbers");
        break;
    default:
        free_slot(s, slot, what == INK_GENERATED_STOP ? INK_FINISH_STOP : INK_FINISH_LENGTH, NULL);
    }
}

void ink_slots_pass(struct ink_scheduler *s)
{
    struct ink_error error = {0};
    ink_plan_pass(s);
    if (s->n_steps == 0) {
        return;
    }
    double start = ink_system_seconds();
    int status = ink_eval(s->model, s->steps, s->n_steps, NULL, NULL, &error);
    double now = ink_system_seconds();
    s->n_passes++;
    ink_metrics_add(s->metrics, INK_METRIC_STEPS, 1);
    for (int i = 0; i < s->options.n_slots; i++) {
        struct ink_slot *slot = &s->slots[i];
        if (slot->step && status == INK_OK) {
            ink_generator_done(slot->generator, s->n_steps == 1 ? now - start : 0);
            take_tokens(s, slot, now);
        } else if (slot->step) {
            free_slot(s, slot, INK_FINISH_FAILED, error.message);
        }
    }
    if (s->n_guessed == 0) {
        ink_pace_note(&s->pace, s->n_decode, s->n_prompt, ink_system_seconds() - start);
    }
    note_counts(s);
}
