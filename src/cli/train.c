/* train: fine-tuning, its plan, its progress. */
#include "cli.h"
#include "cluster/cluster.h"
#include "data/encode.h"
#include "file.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "terminal.h"
#include "train/initial.h"
#include "train/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct work {
    const struct ink_options *options;
    struct ink_model *model;
    struct ink_run_settings settings;
    struct ink_progress progress;
    bool has_progress;
    int status; /* of output that failed */
    struct ink_error *error;
};

/* ------------------------------------------------------------------------------------- options */

static int find_target(const char *name, size_t n)
{
    int i = 0;
    while (ink_lora_target_name(i) && (strlen(ink_lora_target_name(i)) != n ||
                                       memcmp(ink_lora_target_name(i), name, n) != 0)) {
        i++;
    }
    return i;
}

static int read_targets(unsigned *out, const char *list, struct ink_error *error)
{
    *out = list ? 0 : INK_LORA_ALL_TARGETS;
    for (const char *at = list; at && *at;) {
        const size_t n = strcspn(at, ",");
        const int i = find_target(at, n);
        if (!ink_lora_target_name(i)) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "--lora-targets: \"%.*s\" is no matrix of a layer (allowed: %s)",
                            n < 60 ? (int)n : 60, at,
                            "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj");
        }
        *out |= 1u << i;
        at += n + (at[n] == ',');
    }
    return *out ? INK_OK
                : ink_fail(error, INK_ERROR_ARGUMENT, "%s: the text must not be empty",
                           "--lora-targets");
}

static int int_or(const struct ink_options *o, enum ink_option_id id, int value, int otherwise)
{
    return ink_options_has(o, id) ? value : otherwise;
}

static double double_or(const struct ink_options *o, enum ink_option_id id, double value,
                        double otherwise)
{
    return ink_options_has(o, id) ? value : otherwise;
}

static bool is(const char *value, const char *word)
{
    return value && strcmp(value, word) == 0;
}

static int read_trainer(struct ink_trainer_settings *t, const struct ink_options *o,
                        const struct ink_model *model, struct ink_error *error)
{
    const int rank = int_or(o, INK_OPTION_LORA_RANK, o->lora_rank, 8);
    const bool is_lora = is(o->method, "lora");
    *t = (struct ink_trainer_settings){
        .is_lora = is_lora,
        .lora = {.rank = rank,
                 .alpha = double_or(o, INK_OPTION_LORA_ALPHA, o->lora_alpha, 2.0 * rank),
                 .use_rslora = o->rslora},
        .base = is(o->lora_base, "int8") ? INK_BASE_INT8 : INK_BASE_FROZEN,
        .dropout = o->lora_dropout,
        .epochs = double_or(o, INK_OPTION_EPOCHS, o->epochs, 3),
        .max_steps = o->max_steps,
        .batch_size = int_or(o, INK_OPTION_BATCH_SIZE, o->batch_size, 2),
        .accumulation = int_or(o, INK_OPTION_GRAD_ACCUM, o->grad_accum, 1),
        .rate = double_or(o, INK_OPTION_LR, o->lr,
                          is_lora          ? 2e-4
                          : o->from_config ? 5e-4
                                           : 2e-5),
        .schedule = is(o->schedule, "cosine")     ? INK_SCHEDULE_COSINE
                    : is(o->schedule, "constant") ? INK_SCHEDULE_CONSTANT
                                                  : INK_SCHEDULE_LINEAR,
        .warmup = o->warmup_steps,
        .beta1 = 0.9,
        .beta2 = 0.999,
        .epsilon = 1e-8,
        .weight_decay = o->weight_decay,
        .clip = double_or(o, INK_OPTION_MAX_GRAD_NORM, o->max_grad_norm, 1),
        .seed = ink_options_has(o, INK_OPTION_SEED_TRAIN) ? o->seed : 42,
        .threads = ink_model_get_info(model)->threads,
        .recomputes = o->recompute,
        .is_bf16 = is(o->dtype, "bf16") || (is(o->dtype, "auto") && ink_trainer_prefers_bf16()),
    };
    t->lora.seed = t->seed;
    t->cluster = o->cluster;
    return read_targets(&t->lora.targets, o->lora_targets, error);
}

static int choose_window(const struct work *w)
{
    enum { DEFAULT_WINDOW = 512 };
    const int most = ink_model_get_info(w->model)->max_positions;
    const int window =
        int_or(w->options, INK_OPTION_MAX_LENGTH_TRAIN, w->options->max_length, DEFAULT_WINDOW);
    return window < most ? window : most;
}

static int read_settings(struct work *w, struct ink_error *error)
{
    const struct ink_options *o = w->options;
    struct ink_run_settings *s = &w->settings;
    const int save_steps = int_or(o, INK_OPTION_SAVE_STEPS, o->save_steps, 100);
    const char *template_name = o->template_name ? o->template_name : "auto";
    const bool has_template = ink_model_get_info(w->model)->has_chat_template;
    *s = (struct ink_run_settings){
        .train_path = o->train,
        .val_path = o->val,
        .output = o->output,
        .encode = {.chat_template =
                       is(template_name, "chat") || (is(template_name, "auto") && has_template)
                           ? INK_TEMPLATE_CHAT
                           : INK_TEMPLATE_NONE,
                   .max_prompt = int_or(o, INK_OPTION_MAX_PROMPT_TRAIN, o->max_prompt, 256),
                   .max_response = int_or(o, INK_OPTION_MAX_RESPONSE_TRAIN, o->max_response, 256)},
        .window = choose_window(w),
        .logging_steps = int_or(o, INK_OPTION_LOGGING_STEPS, o->logging_steps, 10),
        .save_steps = save_steps,
        .eval_steps =
            int_or(o, INK_OPTION_EVAL_STEPS, o->eval_steps, save_steps > 0 ? save_steps : 100),
        .save_limit = int_or(o, INK_OPTION_SAVE_TOTAL_LIMIT, o->save_total_limit, 1),
        .eval_batch = 8,
        .resumes = o->resume,
        .saves_bf16 = is(o->save_dtype, "bf16"),
        .is_dry = o->dry_run,
    };
    ink_options_dataset(o, &s->data);
    return read_trainer(&s->trainer, o, w->model, error);
}

static int check_options(const struct ink_options *o, struct ink_error *error)
{
    if (!o->model && !o->from_config) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "MODEL is missing (see --help)");
    }
    if (o->model && o->from_config) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--from-config: a new model is made instead of MODEL (\"%s\"); name one of "
                        "them",
                        o->model);
    }
    if (o->from_config && is(o->method, "lora")) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--from-config: a new model has no weights that an adapter could stand "
                        "beside; it needs --method full");
    }
    if (!o->train) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s is missing (see --help)", "--train");
    }
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s is missing (see --help)", "-o");
    }
    for (int id = INK_OPTION_LORA_RANK; id <= INK_OPTION_LORA_RSLORA; id++) {
        if (ink_options_has(o, (enum ink_option_id)id) && !is(o->method, "lora")) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "--%s: needs --method lora",
                            ink_options_table[id].name);
        }
    }
    return INK_OK;
}

/* ---------------------------------------------------------------------------------------- plan */

static void append_duration(struct ink_string *out, double seconds)
{
    if (seconds < 120) {
        ink_string_printf(out, ink_text("%.0f s"), seconds);
    } else if (seconds < 7200) {
        ink_string_printf(out, ink_text("%.0f min"), seconds / 60);
    } else {
        ink_string_printf(out, ink_text("%.1f h"), seconds / 3600);
    }
}

static void append_data(struct ink_string *out, const struct ink_run_plan *p, int window)
{
    const struct ink_corpus *c = p->train;
    ink_string_printf(out,
                      ink_text("data        %llu samples (schema %s), %llu tokens, of which "
                               "%llu are trained on; the longest has %d\n"),
                      (unsigned long long)c->n, p->schema, (unsigned long long)c->begins[c->n],
                      (unsigned long long)c->n_labels, c->longest);
    if (c->n_cut_prompts + c->n_cut_responses > 0) {
        ink_string_printf(out, ink_text("            cut: %llu prompts, %llu answers\n"),
                          (unsigned long long)c->n_cut_prompts,
                          (unsigned long long)c->n_cut_responses);
    }
    if (c->n_in_windows > 0) {
        ink_string_printf(out, ink_text("            in windows of %d tokens: %llu texts\n"),
                          window, (unsigned long long)c->n_in_windows);
    }
    if (c->n_bad > 0) {
        ink_string_printf(out, ink_text("            left out: %llu broken records\n"),
                          (unsigned long long)c->n_bad);
    }
    if (p->val) {
        ink_string_printf(out, ink_text("validation  %llu samples, %llu tokens trained on\n"),
                          (unsigned long long)p->val->n, (unsigned long long)p->val->n_labels);
    }
}

static void append_plan(struct ink_string *out, const struct work *w, const struct ink_run_plan *p)
{
    const struct ink_trainer_settings *t = &w->settings.trainer;
    append_data(out, p, w->settings.window);
    ink_string_printf(out, ink_text("training    %s, %llu values, %s through %s, %d threads\n"),
                      t->is_lora ? "LoRA" : ink_text("all weights"),
                      (unsigned long long)p->n_trained, t->is_bf16 ? "bf16" : "float32",
                      p->products, t->threads);
    ink_string_printf(out, ink_text("steps       %lld of %d x %d samples\n"),
                      (long long)p->max_steps, t->accumulation, t->batch_size);
    if (ink_cluster_size(t->cluster) > 1) {
        ink_string_printf(out, ink_text("shared by   %d processes (machines: %d)\n"),
                          ink_cluster_size(t->cluster), ink_cluster_machines(t->cluster));
    }
    if (p->resumed_from) {
        ink_string_printf(out, ink_text("going on    after step %lld, from %s\n"),
                          (long long)p->first_step, p->resumed_from);
    }
    ink_string_printf(out, ink_text("memory      %llu MiB"), (unsigned long long)(p->memory >> 20));
    if (p->free_memory != UINT64_MAX) {
        ink_string_printf(out, ink_text(" of %llu MiB that are free"),
                          (unsigned long long)(p->free_memory >> 20));
    }
    ink_string_puts(out,
                    p->recomputes ? ink_text(", activations computed twice to save some\n") : "\n");
    ink_string_printf(out, ink_text("disk        %llu MiB a checkpoint"),
                      (unsigned long long)(p->checkpoint_bytes >> 20));
    const uint64_t space = ink_free_space(
        ink_path_kind(w->settings.output) == INK_PATH_FOLDER ? w->settings.output : ".");
    if (space != UINT64_MAX) {
        ink_string_printf(out, ink_text(", %llu MiB are free"), (unsigned long long)(space >> 20));
    }
    ink_string_puts(out, "\n");
    if (p->seconds > 0) {
        ink_string_puts(out, ink_text("time        about "));
        append_duration(out, p->seconds);
        ink_string_printf(out, ink_text(" (%.2f s a step, measured with the first batch)\n"),
                          p->seconds / (double)(p->max_steps - p->first_step));
    }
    if (p->seconds > 0 && ink_cluster_size(t->cluster) > 1) {
        ink_string_printf(out,
                          ink_text("            of which %.3f s are spent on summing %llu MiB of "
                                   "gradients over the processes\n"),
                          p->sum_seconds / (double)(p->max_steps - p->first_step),
                          (unsigned long long)(p->n_trained * sizeof(float) >> 20));
    }
}

/* The first sample as training sees it: what is trained on in colour, or in brackets. */
static int append_sample(struct ink_string *out, const struct work *w, const struct ink_corpus *c,
                         struct ink_error *error)
{
    const bool colours = ink_terminal_is(INK_STDOUT);
    const uint64_t end = c->begins[1];
    int status = INK_OK;
    ink_string_printf(out, ink_text("\nsample 1 (line %llu), trained on where %s:\n"),
                      (unsigned long long)c->lines[0],
                      colours ? ink_text("green") : ink_text("in [brackets]"));
    for (uint64_t i = 0, j; i < end && status == INK_OK; i = j) {
        char *text;
        size_t n;
        for (j = i; j < end && c->trained[j] == c->trained[i]; j++) {
        }
        status = ink_detokenize(w->model, &text, &n, c->tokens + i, (size_t)(j - i), true, error);
        if (status == INK_OK) {
            ink_string_puts(out, !c->trained[i] ? "" : colours ? "\033[32m" : "[");
            ink_output_clean(out, text, n, colours);
            ink_string_puts(out, !c->trained[i] ? "" : colours ? "\033[0m" : "]");
            ink_free(text);
        }
    }
    ink_string_puts(out, "\n");
    return status;
}

static int show_plan(void *context, const struct ink_run_plan *plan)
{
    struct work *w = context;
    struct ink_string out = {0};
    append_plan(&out, w, plan);
    if (w->settings.is_dry) {
        w->status = append_sample(&out, w, plan->train, w->error);
    }
    if (w->status == INK_OK) {
        w->status = ink_output_put_string(&out, w->error);
    }
    if (w->status == INK_OK) {
        w->status = ink_output_flush(w->error);
    }
    ink_string_free(&out);
    return w->status != INK_OK;
}

/* ------------------------------------------------------------------------------------ progress */

static int show_step(void *context, const struct ink_trainer_report *report, int64_t max_steps)
{
    struct work *w = context;
    if (!ink_cluster_speaks(w->options->cluster)) {
        return ink_interrupt_pending();
    }
    if (!w->has_progress) {
        ink_progress_open(&w->progress, ink_text("training"), ink_text("steps"), 1);
        w->has_progress = true;
    }
    ink_progress_show(&w->progress, (uint64_t)report->step, (uint64_t)max_steps);
    return ink_interrupt_pending();
}

static int put(struct work *w, const struct ink_string *line)
{
    if (w->has_progress) {
        ink_progress_close(&w->progress);
    }
    w->status = ink_output_put_string(line, w->error);
    if (w->status == INK_OK) {
        w->status = ink_output_flush(w->error);
    }
    return w->status != INK_OK;
}

static int show_row(void *context, const struct ink_history_row *row)
{
    struct work *w = context;
    struct ink_string line = {0};
    const double *v = row->values;
    switch (row->kind) {
    case INK_HISTORY_TRAIN:
        ink_string_printf(&line,
                          ink_text("step %lld  epoch %.2f  loss %.4f  gradient %.3f  rate %.3g\n"),
                          (long long)row->step, row->epoch, v[INK_HISTORY_LOSS],
                          v[INK_HISTORY_GRAD_NORM], v[INK_HISTORY_LEARNING_RATE]);
        break;
    case INK_HISTORY_EVAL:
        ink_string_printf(&line, ink_text("step %lld  validation loss %.4f  perplexity %.4g\n"),
                          (long long)row->step, v[INK_HISTORY_EVAL_LOSS],
                          exp(v[INK_HISTORY_EVAL_LOSS]));
        break;
    default:
        ink_string_printf(&line, ink_text("done: %lld steps in "), (long long)row->step);
        append_duration(&line, v[INK_HISTORY_TRAIN_RUNTIME]);
        ink_string_printf(&line, ink_text(", mean loss %.4f\n"), v[INK_HISTORY_TRAIN_LOSS]);
        break;
    }
    const int stops = put(w, &line);
    ink_string_free(&line);
    return stops;
}

static int show_saved(void *context, const char *checkpoint)
{
    struct work *w = context;
    struct ink_string line = {0};
    ink_string_printf(&line, ink_text("saved %s\n"), checkpoint);
    const int stops = put(w, &line);
    ink_string_free(&line);
    return stops;
}

/* ---------------------------------------------------------------------------------------- work */

static int train(struct work *w, struct ink_error *error)
{
    const struct ink_run_watch watch = {w, show_plan, show_step, show_row, show_saved};
    const struct ink_run_watch silent = {.context = w, .stepped = show_step};
    const bool speaks = ink_cluster_speaks(w->options->cluster);
    ink_interrupt_defer(true);
    int status = ink_run(w->model, &w->settings, speaks ? &watch : &silent, error);
    if (w->has_progress) {
        ink_progress_close(&w->progress);
    }
    if (status == INK_ERROR_CANCELLED && w->status != INK_OK) {
        status = w->status;
    } else if (status == INK_ERROR_CANCELLED && speaks) {
        fprintf(stderr, "inkstone: %s\n",
                ink_text("stopped after a whole step, and saved; the same command with --resume "
                         "goes on"));
    }
    ink_interrupt_defer(w->options->cluster != NULL); /* rank 0 may still write for all */
    return status;
}

/* A new model needs a tokenizer all the same. */
static int open_new(struct ink_model **out, const struct ink_options *o, struct ink_error *error)
{
    const struct ink_model_options options = {.threads = o->threads,
                                              .tokenizer_dir = o->tokenizer_dir};
    int status = ink_model_open_new(out, o->from_config, &options, error);
    if (status != INK_OK) {
        return status;
    }
    const struct ink_model_info *info = ink_model_get_info(*out);
    if (!info->has_tokenizer) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: has no tokenizer (--tokenizer DIR names a folder that has one)",
                        o->from_config);
    }
    if (info->warning) {
        ink_cli_warn(info->warning);
    }
    return INK_OK;
}

int ink_command_train(const struct ink_options *o, struct ink_error *error)
{
    struct ink_options options = *o;
    struct work w = {.options = &options, .error = error};
    int status = check_options(o, error);
    ink_cli_share_threads(&options);
    if (status == INK_OK) {
        status = o->from_config
                     ? open_new(&w.model, &options, error)
                     : ink_cli_open_model(&w.model, &options, INK_TOKENIZER_NEEDED, true, error);
    }
    if (status == INK_OK) {
        status = read_settings(&w, error);
    }
    if (status == INK_OK) {
        status = train(&w, error);
    }
    ink_model_close(w.model);
    return status;
}
