#include "run_internal.h"

#include "number.h"
#include "plot.h"
#include "system.h"

#include <string.h>

/* --------------------------------------------------------------------------------------- facts */

static int set_number(struct ink_training_state *s, const char *name, double value,
                      struct ink_error *error)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_double(text, value);
    return ink_training_state_set(s, name, text, error);
}

static int set_lora_facts(struct ink_training_state *s, const struct ink_trainer_settings *t,
                          struct ink_error *error)
{
    const char *base = t->base == INK_BASE_INT8 ? "int8" : "as it is";
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"lora_rank", t->lora.rank},
                   {"lora_alpha", t->lora.alpha},
                   {"lora_targets", t->lora.targets},
                   {"lora_rslora", t->lora.use_rslora},
                   {"lora_dropout", t->dropout}};
    int status = ink_training_state_set(s, "lora_base", base, error);
    for (size_t i = 0; i < INK_COUNT(numbers) && status == INK_OK; i++) {
        status = set_number(s, numbers[i].name, numbers[i].value, error);
    }
    return status;
}

/* The model that the run began with, told by its tensors' names, shapes and first bytes: another of
 * the same shape would go on without a sign that anything is wrong. A new model's weights come of
 * the seed, which is a fact, and the deviation. */
static int set_base_fact(struct run *r, struct ink_error *error)
{
    char hex[65];
    ink_weights_fingerprint(&r->model->weights, hex);
    if (ink_model_is_new(r->model)) {
        int status = set_number(&r->state, "initializer_range",
                                r->model->architecture.initializer_range, error);
        if (status != INK_OK) {
            return status;
        }
    }
    return ink_training_state_set(&r->state, "base_model", hex, error);
}

int ink_run_set_facts(struct run *r, struct ink_error *error)
{
    static const char *const schedules[] = {"linear", "cosine", "constant"};
    const struct ink_run_settings *s = r->settings;
    const struct ink_trainer_settings *t = &s->trainer;
    const struct {
        const char *name;
        double value;
    } numbers[] = {
        {"batch_size", t->batch_size},
        {"grad_accum", t->accumulation},
        {"learning_rate", t->rate},
        {"warmup_steps", (double)t->warmup},
        {"max_steps", (double)r->trainer->max_steps},
        {"adam_beta1", t->beta1},
        {"adam_beta2", t->beta2},
        {"adam_epsilon", t->epsilon},
        {"weight_decay", t->weight_decay},
        {"max_grad_norm", t->clip},
        {"seed", (double)t->seed},
        {"max_prompt", s->encode.max_prompt},
        {"max_response", s->encode.max_response},
        {"max_length", s->window},
        {"chat_template", s->encode.chat_template == INK_TEMPLATE_CHAT},
        {"samples", (double)r->train.n},
    };
    struct ink_training_state *state = &r->state;
    int status = ink_training_state_set(state, "method", t->is_lora ? "lora" : "full", error);
    if (status == INK_OK) {
        status = ink_training_state_set(state, "schedule", schedules[t->schedule], error);
    }
    for (size_t i = 0; i < INK_COUNT(numbers) && status == INK_OK; i++) {
        status = set_number(state, numbers[i].name, numbers[i].value, error);
    }
    if (status == INK_OK) {
        status = ink_training_state_set(state, "dtype", t->is_bf16 ? "bf16" : "f32", error);
    }
    if (status == INK_OK && t->is_lora) {
        status = set_lora_facts(state, t, error);
    }
    if (status == INK_OK) {
        status = ink_training_state_set_file(state, "train_data", s->train_path, error);
    }
    if (status == INK_OK) {
        status = set_base_fact(r, error);
    }
    return status;
}

/* --------------------------------------------------------------------------------- checkpoints */

static float *place(void *context, int i, enum ink_checkpoint_part part)
{
    const struct run *r = context;
    const struct ink_parameters *p = r->trainer->trained;
    const struct ink_optimizer *o = r->trainer->optimizer;
    float *value = p->list[i].value;
    const size_t at = (size_t)(value - p->values);
    return part == INK_CHECKPOINT_VALUE  ? value
           : part == INK_CHECKPOINT_MEAN ? o->means + at
                                         : o->squares + at;
}

static void describe_lora(struct run *r)
{
    const struct ink_trainer_settings *t = &r->settings->trainer;
    r->lora = (struct ink_checkpoint_lora){.base = r->model->path,
                                           .rank = t->lora.rank,
                                           .alpha = t->lora.alpha,
                                           .dropout = t->dropout,
                                           .use_rslora = t->lora.use_rslora,
                                           .targets = r->targets};
    for (int i = 0; i < INK_ADAPTED_MATRICES; i++) {
        if (t->lora.targets >> i & 1) {
            r->targets[r->lora.n_targets++] = ink_lora_target_name(i);
        }
    }
    r->checkpoint.lora = &r->lora;
}

int ink_run_describe(struct run *r, struct ink_error *error)
{
    const struct ink_parameters *p = r->trainer->trained;
    r->tensors = ink_calloc((size_t)p->n, sizeof *r->tensors);
    if (!r->tensors) {
        return ink_fail_memory(error, (uint64_t)p->n * sizeof *r->tensors);
    }
    for (int i = 0; i < p->n; i++) {
        const struct ink_parameter *one = &p->list[i];
        r->tensors[i] = (struct ink_checkpoint_tensor){.name = one->name,
                                                       .rows = one->matrix.rows,
                                                       .cols = one->matrix.cols,
                                                       .is_vector = one->is_vector};
    }
    r->checkpoint = (struct ink_checkpoint){.model = r->model,
                                            .tensors = r->tensors,
                                            .n_tensors = p->n,
                                            .place = place,
                                            .context = r,
                                            .is_bf16 = r->settings->saves_bf16,
                                            .state = &r->state,
                                            .history = &r->history};
    if (r->settings->trainer.is_lora) {
        describe_lora(r);
    }
    return INK_OK;
}

/* What the checkpoint says becomes the run's. */
static int take_over(struct run *r, struct ink_training_state *saved, struct ink_error *error)
{
    struct ink_history history;
    int status = ink_history_read(&history, r->resumed_from, error);
    if (status == INK_OK) {
        status = ink_checkpoint_load(&r->checkpoint, r->resumed_from, error);
        ink_history_close(&r->history);
        r->history = history;
    }
    if (status == INK_OK) {
        ink_history_cut(&r->history, saved->step);
        ink_trainer_go_on(r->trainer, saved->step);
        r->state.loss_sum = saved->loss_sum;
        r->state.loss_steps = saved->loss_steps;
        r->state.total_loss = saved->total_loss;
        r->state.seconds = saved->seconds;
    }
    return status;
}

/* Runs of before there was --dtype were in float32. */
static int complete_facts(struct ink_training_state *saved, struct ink_error *error)
{
    return ink_training_state_find(saved, "dtype")
               ? INK_OK
               : ink_training_state_set(saved, "dtype", "f32", error);
}

static int go_on(struct run *r, struct ink_error *error)
{
    struct ink_training_state saved;
    if (!r->settings->resumes) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: this run was begun already; go on with --resume, or choose another "
                        "folder",
                        r->resumed_from);
    }
    int status = ink_training_state_read(&saved, r->resumed_from, error);
    if (status == INK_OK) {
        status = complete_facts(&saved, error);
        if (status == INK_OK) {
            status = ink_training_state_compare(&saved, &r->state, r->resumed_from, error);
        }
        status = status == INK_OK ? take_over(r, &saved, error) : status;
        ink_training_state_close(&saved);
    }
    return status;
}

/* What is in the way is told before the work is done. */
int ink_run_resume(struct run *r, struct ink_error *error)
{
    const struct ink_run_settings *s = r->settings;
    int status = ink_checkpoint_find(&r->resumed_from, s->output, error);
    if (status == INK_OK && r->resumed_from) {
        status = go_on(r, error);
    }
    return status == INK_OK ? ink_checkpoint_check_names(s->output, r->trainer->step, s->save_steps,
                                                         r->trainer->max_steps, error)
                            : status;
}

int ink_run_save(struct run *r, struct ink_error *error)
{
    const struct ink_trainer *t = r->trainer;
    char *path;
    r->state.step = t->step;
    r->state.epoch = t->step / t->steps_a_epoch;
    r->state.position =
        t->step % t->steps_a_epoch * t->settings.batch_size * t->settings.accumulation;
    r->state.seconds = ink_system_seconds() - r->started;
    int status = ink_checkpoint_write(&r->checkpoint, r->settings->output, r->settings->save_limit,
                                      &path, error);
    if (status == INK_OK) {
        if (r->watch->saved && r->watch->saved(r->watch->context, path) != 0) {
            status = INK_ERROR_CANCELLED;
        }
        ink_free(path);
    }
    return status;
}

int ink_run_write_log(struct run *r, struct ink_error *error)
{
    int status = ink_history_write(&r->history, r->settings->output, error);
    return status == INK_OK ? ink_plot_write(&r->history, r->settings->output, error) : status;
}
