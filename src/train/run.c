#include "run_internal.h"

#include "number.h"
#include "system.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------- data */

static int read_corpus(struct run *r, struct ink_dataset **data, struct ink_corpus *corpus,
                       const char *path, struct ink_error *error)
{
    const struct ink_run_settings *s = r->settings;
    struct ink_encode_options encode = s->encode;
    encode.end_token = ink_model_plain_end_token(r->model);
    encode.max_context = ink_model_get_info(r->model)->max_positions;
    int status = ink_dataset_open(data, path, &s->data, error);
    return status == INK_OK ? ink_corpus_read(corpus, *data, ink_model_tokenizer(r->model), &encode,
                                              s->window, s->data.skip_bad, error)
                            : status;
}

static const struct ink_corpus *val_of(const struct run *r)
{
    return r->settings->val_path ? &r->val : NULL;
}

/* -------------------------------------------------------------------------------------- memory */

/* Processes of this machine share what is free before any of them takes some. */
static int find_free_memory(struct run *r, struct ink_run_plan *plan, struct ink_error *error)
{
    struct ink_cluster *cluster = r->settings->trainer.cluster;
    int status = ink_cluster_meet(cluster, error);
    plan->free_memory = ink_system_free_memory();
    if (plan->free_memory != UINT64_MAX) {
        plan->free_memory /= (uint64_t)ink_cluster_peers(cluster);
    }
    return status == INK_OK ? ink_cluster_meet(cluster, error) : status;
}

/* Keep all activations if memory has room for them; else recompute them, if that helps. */
static int open_trainer(struct run *r, struct ink_run_plan *plan, struct ink_error *error)
{
    struct ink_trainer_settings settings = r->settings->trainer;
    int status = find_free_memory(r, plan, error);
    if (status != INK_OK) {
        return status;
    }
    plan->memory = ink_trainer_bytes(r->model, &r->train, val_of(r), &settings);
    if (plan->memory > plan->free_memory && !settings.recomputes) {
        struct ink_trainer_settings again = settings;
        again.recomputes = true;
        const uint64_t memory = ink_trainer_bytes(r->model, &r->train, val_of(r), &again);
        if (memory < plan->memory) {
            settings = again;
            plan->memory = memory;
        }
    }
    plan->recomputes = settings.recomputes;
    if (plan->memory > plan->free_memory) {
        return ink_fail(
            error, INK_ERROR_LIMIT,
            "training needs %llu MiB of memory, and %llu MiB are free; smaller "
            "--batch-size, --max-prompt, --max-response, --max-length, or --method lora need "
            "less",
            (unsigned long long)(plan->memory >> 20),
            (unsigned long long)(plan->free_memory >> 20));
    }
    return ink_trainer_open(&r->trainer, r->model, &r->train, val_of(r), &settings, error);
}

/* ----------------------------------------------------------------------------------- operations */

/* Floating-point operations of training on the samples: 2 for a weight and token forward; the same
 * for the gradient of inputs, and for that of weights where they are trained. */
static double operations_of(const struct run *r, double tokens, double labels)
{
    const struct ink_parameters *p = r->trainer->base;
    const bool is_lora = r->settings->trainer.is_lora;
    const struct ink_weight *head =
        r->model->architecture.tied_head ? &r->model->embedding : &r->model->head;
    double trunk = 0, in_head = 0;
    for (int i = 0; i < p->n; i++) {
        const struct ink_parameter *one = &p->list[i];
        const double n = (double)one->matrix.rows * (double)one->matrix.cols;
        if (one->weight == head) {
            in_head = n;
        } else if (!one->is_vector && one->weight != &r->model->embedding) {
            trunk += n;
        }
    }
    const double low = is_lora ? 6.0 * (double)r->trainer->trained->n_values * tokens : 0;
    const double passes = is_lora ? 4 : 6;
    return passes * (trunk * tokens + in_head * labels) + low +
           (r->trainer->settings.recomputes ? 2 * trunk * tokens : 0);
}

static double epoch_tokens(const struct ink_corpus *c)
{
    return (double)c->begins[c->n] - (double)c->n;
}

/* ------------------------------------------------------------------------------------- logging */

static int log_row(struct run *r, const struct ink_history_row *row, struct ink_error *error)
{
    int status = ink_history_add(&r->history, row, error);
    if (status == INK_OK && r->has_events) {
        status = ink_events_add(&r->events, ink_system_clock(), row, error);
    }
    if (status == INK_OK && r->watch->logged && r->watch->logged(r->watch->context, row) != 0) {
        status = INK_ERROR_CANCELLED;
    }
    return status;
}

static int log_training(struct run *r, const struct ink_trainer_report *report,
                        struct ink_error *error)
{
    const struct ink_history_row row = {
        .kind = INK_HISTORY_TRAIN,
        .step = report->step,
        .epoch = report->epoch,
        .values = {[INK_HISTORY_GRAD_NORM] = report->norm,
                   [INK_HISTORY_LEARNING_RATE] = report->rate,
                   [INK_HISTORY_LOSS] =
                       ink_number_round(r->state.loss_sum / (double)r->state.loss_steps, 4)},
    };
    r->state.loss_sum = 0;
    r->state.loss_steps = 0;
    return log_row(r, &row, error);
}

static int evaluate(struct run *r, struct ink_error *error)
{
    struct ink_trainer_evaluation e;
    const double start = ink_system_seconds();
    int status = ink_trainer_evaluate(r->trainer, &r->val, r->settings->eval_batch, &e, error);
    if (status != INK_OK) {
        return status;
    }
    const double seconds = ink_system_seconds() - start;
    const struct ink_history_row row = {
        .kind = INK_HISTORY_EVAL,
        .step = r->trainer->step,
        .epoch = r->history.epoch,
        .values = {[INK_HISTORY_EVAL_LOSS] = e.mean_of_means,
                   [INK_HISTORY_EVAL_RUNTIME] = ink_number_round(seconds, 4),
                   [INK_HISTORY_EVAL_SAMPLES_PER_SECOND] =
                       ink_number_round((double)e.n_samples / seconds, 3),
                   [INK_HISTORY_EVAL_STEPS_PER_SECOND] =
                       ink_number_round((double)e.n_batches / seconds, 3)},
    };
    return log_row(r, &row, error);
}

static int log_end(struct run *r, struct ink_error *error)
{
    const struct ink_trainer *t = r->trainer;
    const double seconds = ink_system_seconds() - r->started;
    const double samples = (double)t->train->n * r->history.epoch;
    const struct ink_history_row row = {
        .kind = INK_HISTORY_FINAL,
        .step = t->step,
        .epoch = r->history.epoch,
        .values = {[INK_HISTORY_TOTAL_FLOS] = r->history.total_flos,
                   [INK_HISTORY_TRAIN_LOSS] = r->state.total_loss / (double)t->step,
                   [INK_HISTORY_TRAIN_RUNTIME] = ink_number_round(seconds, 4),
                   [INK_HISTORY_TRAIN_SAMPLES_PER_SECOND] = ink_number_round(samples / seconds, 3),
                   [INK_HISTORY_TRAIN_STEPS_PER_SECOND] =
                       ink_number_round((double)t->step / seconds, 3)},
    };
    r->history.is_finished = true;
    return log_row(r, &row, error);
}

/* ------------------------------------------------------------------------------------- stepping */

static bool is_due(int64_t step, int64_t every)
{
    return every > 0 && step % every == 0;
}

static bool writes(const struct run *r)
{
    return ink_cluster_speaks(r->settings->trainer.cluster);
}

static int save(struct run *r, struct ink_error *error)
{
    int status = ink_run_compare_values(r, error);
    if (status == INK_OK && writes(r)) {
        status = ink_run_save(r, error);
        status = status == INK_OK ? ink_run_write_log(r, error) : status;
    }
    return status;
}

/* A signal may have reached some processes only, or later: stop where one is to. */
static int agree_to_stop(struct run *r, const struct ink_trainer_report *report, bool *stops,
                         struct ink_error *error)
{
    double stopping = r->watch->stepped &&
                      r->watch->stepped(r->watch->context, report, r->trainer->max_steps) != 0;
    int status = ink_cluster_sum_doubles(r->settings->trainer.cluster, &stopping, 1, error);
    *stops = stopping > 0;
    return status;
}

/* What follows a step: log, evaluation, checkpoint, in that order, as Hugging Face's Trainer. */
static int follow_up(struct run *r, const struct ink_trainer_report *report,
                     struct ink_error *error)
{
    const struct ink_run_settings *s = r->settings;
    const bool is_last = ink_trainer_is_done(r->trainer);
    int status = INK_OK;
    if (is_due(report->step, s->logging_steps)) {
        status = log_training(r, report, error);
    }
    if (status == INK_OK && s->val_path &&
        (is_due(report->step, s->eval_steps) || (is_last && s->eval_steps > 0))) {
        status = evaluate(r, error);
    }
    if (status == INK_OK && is_last) {
        status = log_end(r, error);
    }
    if (status == INK_OK && (is_due(report->step, s->save_steps) || is_last)) {
        status = save(r, error);
    }
    return status;
}

static int step(struct run *r, struct ink_error *error)
{
    struct ink_trainer_report report;
    int status = ink_trainer_step(r->trainer, &report, error);
    if (status != INK_OK) {
        return status;
    }
    r->state.loss_sum += report.loss;
    r->state.loss_steps++;
    r->state.total_loss += report.loss;
    r->history.step = report.step;
    r->history.epoch = report.epoch;
    r->history.n_tokens += report.n_tokens;
    r->history.total_flos += operations_of(r, (double)report.n_tokens, (double)report.n_labels);
    bool stops;
    status = agree_to_stop(r, &report, &stops, error);
    if (status == INK_OK) {
        status = follow_up(r, &report, error);
    }
    if (status == INK_OK && stops && !ink_trainer_is_done(r->trainer)) {
        if (!is_due(report.step, r->settings->save_steps)) {
            status = save(r, error);
        }
        return status == INK_OK ? INK_ERROR_CANCELLED : status;
    }
    return status;
}

/* --------------------------------------------------------------------------------------- running
 */

static void fill_history(struct run *r)
{
    const struct ink_run_settings *s = r->settings;
    r->history.max_steps = r->trainer->max_steps;
    r->history.num_train_epochs =
        (int)ceil((double)r->trainer->max_steps / (double)r->trainer->steps_a_epoch);
    r->history.logging_steps = (int)s->logging_steps;
    r->history.eval_steps = s->val_path ? (int)s->eval_steps : 0;
    r->history.save_steps = (int)s->save_steps;
    r->history.train_batch_size = s->trainer.batch_size;
}

static int open_events(struct run *r, struct ink_error *error)
{
    char *folder = ink_path_join(r->settings->output, "runs");
    int status = folder ? ink_make_folder(r->settings->output, error)
                        : ink_fail_memory(error, strlen(r->settings->output) + 6);
    if (status == INK_OK) {
        status = ink_events_open(&r->events, folder, ink_system_clock(), error);
        r->has_events = status == INK_OK;
    }
    ink_free(folder);
    return status;
}

/* Everything up to the first step. */
static int prepare(struct run *r, struct ink_run_plan *plan, struct ink_error *error)
{
    const struct ink_run_settings *s = r->settings;
    int status = read_corpus(r, &r->train_data, &r->train, s->train_path, error);
    if (status == INK_OK && s->val_path) {
        status = read_corpus(r, &r->val_data, &r->val, s->val_path, error);
    }
    if (status == INK_OK) {
        status = open_trainer(r, plan, error);
    }
    if (status == INK_OK) {
        status = ink_run_set_facts(r, error);
    }
    if (status == INK_OK) {
        status = ink_run_compare_facts(r, error);
    }
    if (status == INK_OK) {
        status = ink_run_describe(r, error);
    }
    if (status == INK_OK && writes(r)) {
        status = ink_run_resume(r, error);
    }
    if (status == INK_OK) {
        status = ink_run_share_resumed(r, error);
    }
    return status == INK_OK ? ink_run_compare_values(r, error) : status;
}

/* Of a dry run, which ends here: the second step tells, after the first has touched all memory. */
static int measure(struct run *r, struct ink_run_plan *plan, struct ink_error *error)
{
    struct ink_trainer_report report;
    double start = 0;
    int status = INK_OK;
    for (int i = 0; i < 2 && status == INK_OK && !ink_trainer_is_done(r->trainer); i++) {
        start = ink_system_seconds();
        status = ink_trainer_step(r->trainer, &report, error);
    }
    if (status == INK_OK && start > 0) {
        const double by =
            plan->operations / operations_of(r, (double)report.n_tokens, (double)report.n_labels);
        plan->seconds = (ink_system_seconds() - start) * by;
        plan->sum_seconds = report.sum_seconds * (double)(plan->max_steps - plan->first_step);
    }
    return status;
}

static void fill_plan(struct run *r, struct ink_run_plan *plan)
{
    const struct ink_trainer *t = r->trainer;
    const double epochs = (double)(t->max_steps - t->step) / (double)t->steps_a_epoch;
    plan->train = &r->train;
    plan->val = val_of(r);
    plan->schema = ink_dataset_get_info(r->train_data)->schema_name;
    plan->max_steps = t->max_steps;
    plan->first_step = t->step;
    plan->resumed_from = r->resumed_from;
    plan->n_trained = t->trained->n_values;
    plan->checkpoint_bytes = ink_checkpoint_bytes(&r->checkpoint);
    plan->operations =
        epochs * operations_of(r, epoch_tokens(&r->train), (double)r->train.n_labels);
    plan->products = ink_kernels_find(NULL)->name;
}

static void close_run(struct run *r)
{
    if (r->has_events) {
        ink_events_close(&r->events);
    }
    ink_trainer_close(r->trainer);
    ink_history_close(&r->history);
    ink_training_state_close(&r->state);
    ink_corpus_close(&r->train);
    ink_corpus_close(&r->val);
    ink_dataset_close(r->train_data);
    ink_dataset_close(r->val_data);
    ink_free(r->tensors);
    ink_free(r->resumed_from);
}

int ink_run(struct ink_model *model, const struct ink_run_settings *settings,
            const struct ink_run_watch *watch, struct ink_error *error)
{
    struct run r = {.settings = settings, .watch = watch, .model = model};
    struct ink_run_plan plan = {0};
    int status = prepare(&r, &plan, error);
    if (status == INK_OK) {
        fill_plan(&r, &plan);
        status = settings->is_dry ? measure(&r, &plan, error) : INK_OK;
    }
    if (status == INK_OK && watch->planned && watch->planned(watch->context, &plan) != 0) {
        status = INK_ERROR_CANCELLED;
    }
    if (status == INK_OK && !settings->is_dry) {
        fill_history(&r);
        r.started = ink_system_seconds() - r.state.seconds;
        status = writes(&r) ? open_events(&r, error) : INK_OK;
        if (status == INK_OK && writes(&r) && ink_model_is_new(model) && !r.resumed_from) {
            status = ink_run_save(&r, error); /* these weights are nowhere else */
        }
        while (status == INK_OK && !ink_trainer_is_done(r.trainer)) {
            status = step(&r, error);
        }
    }
    close_run(&r);
    return status;
}
