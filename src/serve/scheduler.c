#include "scheduler_internal.h"

#include "system.h"

/* --------------------------------------------------------------------------------- the thread */

static void take_arrived(struct ink_scheduler *s)
{
    struct ink_job **end = &s->jobs;
    while (*end) {
        end = &(*end)->next;
    }
    *end = s->arrived;
    s->arrived = NULL;
    s->arrived_end = &s->arrived;
}

/* Wait until there is something to do. False: no more, the scheduler is closing. */
static bool wait_for_work(struct ink_scheduler *s, bool *cancel)
{
    ink_mutex_lock(s->lock);
    while (!s->arrived && !s->jobs && !s->is_closing) {
        ink_condition_wait(s->changed, s->lock);
    }
    take_arrived(s);
    *cancel = s->is_cancelled || s->is_closing;
    bool go_on = s->jobs || !s->is_closing;
    ink_mutex_unlock(s->lock);
    return go_on;
}

static void run(void *context)
{
    struct ink_scheduler *s = context;
    bool cancel;
    while (wait_for_work(s, &cancel)) {
        if (cancel) {
            ink_slots_cancel(s, INK_FINISH_SHUTDOWN);
            continue;
        }
        ink_slots_admit(s);
        ink_slots_pass(s);
    }
}

/* ------------------------------------------------------------------------------- open and close */

static int open_slots(struct ink_scheduler *s, struct ink_error *error)
{
    size_t n = (size_t)s->options.n_slots;
    s->slots = ink_calloc(n, sizeof *s->slots);
    s->steps = ink_calloc(n, sizeof *s->steps);
    s->order = ink_calloc(n, sizeof *s->order);
    if (!s->slots || !s->steps || !s->order) {
        return ink_fail_memory(error, n * (sizeof *s->slots + sizeof *s->steps));
    }
    const struct ink_generator_options options = {.n_positions = s->options.n_positions,
                                                  .kv_type = s->options.kv_type,
                                                  .max_draft = INK_MAX_DRAFT};
    int status = INK_OK;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        status = ink_generator_open(&s->slots[i].generator, s->model, &options, error);
    }
    return status;
}

static int open_prefix(struct ink_scheduler *s, struct ink_error *error)
{
    uint64_t bytes = ink_session_block_bytes(ink_generator_session(s->slots[0].generator));
    s->block = ink_malloc((size_t)bytes);
    if (!s->block) {
        return ink_fail_memory(error, bytes);
    }
    return s->options.prefix_bytes > 0
               ? ink_prefix_open(&s->prefix, s->options.prefix_bytes, bytes, error)
               : INK_OK;
}

static int open_parts(struct ink_scheduler *s, struct ink_error *error)
{
    s->lock = ink_mutex_new();
    s->changed = ink_condition_new();
    if (!s->lock || !s->changed) {
        return ink_fail_memory(error, 64);
    }
    int status = open_slots(s, error);
    if (status == INK_OK) {
        status = open_prefix(s, error);
    }
    if (status == INK_OK) {
        status = ink_pace_open(&s->pace, s->options.n_slots, error);
    }
    return status == INK_OK ? ink_thread_start(&s->thread, run, s, error) : status;
}

int ink_scheduler_open(struct ink_scheduler **out, struct ink_model *model,
                       const struct ink_scheduler_options *options, struct ink_error *error)
{
    *out = NULL;
    struct ink_scheduler *s = ink_calloc(1, sizeof *s);
    if (!s) {
        return ink_fail_memory(error, sizeof *s);
    }
    s->model = model;
    s->options = *options;
    s->metrics = options->metrics;
    s->arrived_end = &s->arrived;
    int status = open_parts(s, error);
    if (status != INK_OK) {
        ink_scheduler_close(s);
        return status;
    }
    ink_metrics_set(s->metrics, INK_METRIC_SLOTS, options->n_slots);
    ink_metrics_set(s->metrics, INK_METRIC_PREFIX_CAPACITY, (double)options->prefix_bytes);
    *out = s;
    return INK_OK;
}

void ink_scheduler_close(struct ink_scheduler *s)
{
    if (!s) {
        return;
    }
    if (s->thread) {
        ink_mutex_lock(s->lock);
        s->is_draining = s->is_closing = true;
        ink_condition_wake_all(s->changed);
        ink_mutex_unlock(s->lock);
        ink_thread_join(s->thread);
    }
    for (int i = 0; s->slots && i < s->options.n_slots; i++) {
        ink_generator_close(s->slots[i].generator);
    }
    ink_prefix_close(s->prefix);
    ink_pace_close(&s->pace);
    ink_free(s->block);
    ink_free(s->slots);
    ink_free(s->steps);
    ink_free(s->order);
    ink_condition_free(s->changed);
    ink_mutex_free(s->lock);
    ink_free(s);
}

/* ------------------------------------------------------------------------------------- requests */

/* When enough of those ahead will have ended, at the pace of late. */
static int seconds_until_free(const struct ink_scheduler *s)
{
    double seconds = s->job_seconds * (s->n_waiting + 1) / s->options.n_slots;
    return seconds < 1 ? 1 : seconds > 60 ? 60 : (int)(seconds + 0.999);
}

/* jobs: n of them, the last is *end. */
static enum ink_admission admit(struct ink_scheduler *s, struct ink_job *jobs, struct ink_job **end,
                                int n_choices, int n, int *retry_after)
{
    int room = s->options.n_slots + s->options.n_queued;
    if (s->is_draining) {
        return INK_ADMISSION_DRAINING;
    }
    if (s->n_taken > 0 && s->n_taken + n_choices > room) {
        *retry_after = seconds_until_free(s);
        return INK_ADMISSION_FULL;
    }
    s->n_open += n_choices;
    s->n_taken += n_choices;
    s->n_waiting += n;
    *s->arrived_end = jobs;
    s->arrived_end = end;
    ink_metrics_set(s->metrics, INK_METRIC_QUEUED, s->n_waiting);
    ink_condition_wake_all(s->changed);
    return INK_ADMITTED;
}

static void free_jobs(struct ink_job *jobs)
{
    while (jobs) {
        struct ink_job *next = jobs->next;
        ink_free(jobs);
        jobs = next;
    }
}

static void count_refusal(struct ink_scheduler *s, enum ink_admission admission)
{
    if (admission == INK_ADMISSION_FULL) {
        ink_metrics_add(s->metrics, INK_METRIC_REJECTED_QUEUE, 1);
    } else if (admission == INK_ADMISSION_DRAINING) {
        ink_metrics_add(s->metrics, INK_METRIC_REJECTED_DRAINING, 1);
    }
}

enum ink_admission ink_scheduler_submit(struct ink_scheduler *s,
                                        const struct ink_job_request *requests, int n,
                                        int *retry_after)
{
    struct ink_job *jobs = NULL, **end = &jobs;
    int n_choices = 0;
    *retry_after = 0;
    for (int i = 0; i < n; i++) {
        struct ink_job *job = ink_calloc(1, sizeof *job);
        if (!job) {
            free_jobs(jobs);
            return INK_ADMISSION_MEMORY;
        }
        job->r = requests[i];
        n_choices += job->r.n_choices;
        *end = job;
        end = &job->next;
    }
    ink_mutex_lock(s->lock);
    enum ink_admission admission = admit(s, jobs, end, n_choices, n, retry_after);
    ink_mutex_unlock(s->lock);
    if (admission != INK_ADMITTED) {
        free_jobs(jobs);
        count_refusal(s, admission);
    }
    return admission;
}

void ink_scheduler_drain(struct ink_scheduler *s)
{
    ink_mutex_lock(s->lock);
    s->is_draining = true;
    ink_mutex_unlock(s->lock);
}

void ink_scheduler_cancel(struct ink_scheduler *s)
{
    ink_mutex_lock(s->lock);
    s->is_draining = s->is_cancelled = true;
    ink_condition_wake_all(s->changed);
    ink_mutex_unlock(s->lock);
}

int ink_scheduler_load(const struct ink_scheduler *s, int *n_running, int *n_queued)
{
    ink_mutex_lock(s->lock);
    *n_running = s->n_running;
    *n_queued = s->n_waiting;
    int n = s->n_open;
    ink_mutex_unlock(s->lock);
    return n;
}
