#include "eval.h"

#include "eval/share.h"
#include "interrupt.h"
#include "progress.h"
#include "system.h"

#include <stdio.h>
#include <string.h>

enum { DEFAULT_NEW_TOKENS = 256, DEFAULT_BATCH = 8, HF_BATCH = 8 };

/* ------------------------------------------------------------------------------------- options */

static enum ink_loss_scope find_scope(const char *name)
{
    int scope = 0;
    while (name && scope < INK_SCOPE_COUNT &&
           strcmp(name, ink_loss_scope_name((enum ink_loss_scope)scope)) != 0) {
        scope++;
    }
    return (enum ink_loss_scope)scope;
}

/* Greedy, whatever the model's own settings are: figures must be comparable. */
static void choose_sampling(struct ink_eval_job *job)
{
    const struct ink_options *o = &job->options;
    job->sampling = (struct ink_sampling){.top_p = 1, .repetition_penalty = 1};
    ink_options_override_sampling(o, &job->sampling);
    job->max_new_tokens =
        ink_options_has(o, INK_OPTION_MAX_NEW_TOKENS) ? o->max_new_tokens : DEFAULT_NEW_TOKENS;
    job->batch = o->batch_size > 0 ? o->batch_size : DEFAULT_BATCH;
    job->scope = find_scope(o->scope);
}

static int check_outputs(const struct ink_eval_job *job, struct ink_error *error)
{
    const struct ink_options *o = &job->options;
    const char *const paths[2] = {o->predictions, o->report};
    static const char *const options[2] = {"--predictions", "--report"};
    for (int i = 0; i < 2; i++) {
        if (paths[i] && ink_dataset_is_of(job->dataset, paths[i])) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is the data itself", options[i],
                            paths[i]);
        }
    }
    if (paths[0] && paths[1] && strcmp(paths[0], paths[1]) == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: \"%s\" is the file of --predictions",
                        options[1], paths[1]);
    }
    return INK_OK;
}

/* Texts have no answers: of them the loss is all that can be told. */
static int choose_metrics(struct ink_eval_job *job, struct ink_error *error)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(job->dataset);
    if (job->options.metrics) {
        int status =
            ink_eval_metrics_parse(&job->metrics, job->options.metrics, "--metrics", error);
        if (status != INK_OK) {
            return status;
        }
    } else {
        job->metrics = info->schema == INK_SCHEMA_TEXT ? INK_EVAL_LOSS : INK_EVAL_ALL;
    }
    if (info->schema == INK_SCHEMA_TEXT && job->metrics != INK_EVAL_LOSS) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--metrics: \"%s\" needs answers, but %s has texts only (loss is what can "
                        "be told)",
                        job->options.metrics, info->path);
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------------ one model */

/* A phase of the work, shown as it goes: this process's share, where there are several. */
static int show(void *context, uint64_t done, uint64_t total)
{
    if (ink_cluster_speaks(NULL)) {
        ink_progress_show(context, done, total);
    }
    return ink_interrupt_pending();
}

static void describe(struct ink_eval_run *run, const struct ink_model *model,
                     const struct ink_adapter *adapter)
{
    const struct ink_model_info *info = ink_model_get_info(model);
    ink_string_puts(&run->folder, adapter ? ink_adapter_get_info(adapter)->path : info->path);
    snprintf(run->arithmetic, sizeof run->arithmetic, "%s", info->arithmetic);
    snprintf(run->weight_type, sizeof run->weight_type, "%s", info->weight_type);
    ink_string_puts(&run->description, run->path);
    if (run->lora) {
        ink_string_printf(&run->description, " + LoRA %s", run->lora);
    }
    ink_string_printf(&run->description, ink_text(" (weights %s, computed in %s, template %s)"),
                      info->weight_type, info->arithmetic, run->uses_template ? "chat" : "none");
}

static bool uses_template(const struct ink_eval_job *job, const struct ink_model *model)
{
    const char *name = job->options.template_name ? job->options.template_name : "auto";
    return strcmp(name, "chat") == 0 ||
           (strcmp(name, "auto") == 0 && ink_model_get_info(model)->has_chat_template);
}

/* The preset cuts plain prompts only, as in generate. */
static int choose_max_prompt(const struct ink_eval_job *job, const struct ink_eval_run *run)
{
    if (ink_options_has(&job->options, INK_OPTION_MAX_PROMPT)) {
        return job->options.max_prompt;
    }
    return run->uses_template ? 0 : job->preset_prompt;
}

/* Processes that share the work must be about the same; that of rank 0 speaks for all. */
static int compare(const struct ink_eval_job *job, const struct ink_eval_run *run,
                   const struct ink_model *model, const struct ink_adapter *adapter,
                   struct ink_error *error)
{
    const struct ink_sampling *s = &job->sampling;
    struct ink_string settings = {0};
    ink_string_printf(&settings, "%u %d %d %s %d %d\n", job->metrics, (int)job->scope,
                      job->max_new_tokens, run->weight_type, run->uses_template,
                      (int)ink_options_kv(&job->options, INK_KV_F16));
    ink_string_printf(&settings, "%g %d %g %g %g %g %llu\n", (double)s->temperature, s->top_k,
                      (double)s->top_p, (double)s->repetition_penalty, (double)s->presence_penalty,
                      (double)s->frequency_penalty, (unsigned long long)s->seed);
    for (int i = 0; i < job->options.n_stops; i++) {
        ink_string_printf(&settings, "%s\n", job->options.stops[i]);
    }
    int status =
        ink_eval_compare(job->options.cluster, model, adapter, &run->set, &settings, error);
    ink_string_free(&settings);
    return status;
}

static int read_samples(struct ink_eval_job *job, struct ink_eval_run *run,
                        const struct ink_model *model, const struct ink_adapter *adapter,
                        struct ink_error *error)
{
    const struct ink_options *o = &job->options;
    const struct ink_eval_options options = {
        .encode = {.chat_template = run->uses_template ? INK_TEMPLATE_CHAT : INK_TEMPLATE_NONE,
                   .max_prompt = choose_max_prompt(job, run),
                   .max_response = o->max_response},
        .scope = job->scope,
        .limit = (size_t)o->limit,
        .window = (size_t)o->max_length};
    int status = ink_eval_set_open(&run->set, model, job->dataset, &options, error);
    if (status == INK_OK) {
        status = ink_evaluation_open(&run->evaluation, &run->set, error);
    }
    run->evaluation.cluster = o->cluster;
    return status == INK_OK ? compare(job, run, model, adapter, error) : status;
}

static int measure(const struct ink_eval_job *job, struct ink_eval_run *run,
                   struct ink_model *model, const struct ink_adapter *adapter,
                   struct ink_error *error)
{
    const struct ink_loss_options options = {.adapter = adapter,
                                             .kv_type = ink_options_kv(&job->options, INK_KV_F16),
                                             .n_sessions = job->batch};
    struct ink_progress progress;
    const double start = ink_system_seconds();
    ink_progress_open(&progress, ink_text("measuring the loss"), ink_text("tokens"), 1);
    int status =
        ink_evaluation_measure(&run->evaluation, model, &options, HF_BATCH, show, &progress, error);
    ink_progress_close(&progress);
    run->loss_seconds = ink_system_seconds() - start;
    return status;
}

static int answer(const struct ink_eval_job *job, struct ink_eval_run *run, struct ink_model *model,
                  const struct ink_adapter *adapter, struct ink_error *error)
{
    const struct ink_options *o = &job->options;
    const struct ink_predict_options options = {.sampling = job->sampling,
                                                .max_new_tokens = job->max_new_tokens,
                                                .stops = o->stops,
                                                .n_stops = o->n_stops,
                                                .batch = job->batch,
                                                .kv_type = ink_options_kv(o, INK_KV_F16),
                                                .adapter = adapter};
    struct ink_progress progress;
    const double start = ink_system_seconds();
    ink_progress_open(&progress, ink_text("writing answers"), ink_text("answers"), 1);
    int status = ink_evaluation_answer(&run->evaluation, model, &options, show, &progress, error);
    ink_progress_close(&progress);
    run->answer_seconds = ink_system_seconds() - start;
    for (size_t i = 0; i < run->set.n; i++) {
        run->n_answer_tokens += (uint64_t)run->evaluation.predictions[i].n_tokens;
    }
    return status == INK_OK ? ink_evaluation_score(&run->evaluation, job->metrics, error) : status;
}

static int run_model(struct ink_eval_job *job, struct ink_eval_run *run, struct ink_error *error)
{
    struct ink_options options = job->options;
    struct ink_model *model = NULL;
    struct ink_adapter *adapter = NULL;
    options.model = run->path;
    ink_cli_share_threads(&options);
    int status = ink_cli_open_model(&model, &options, INK_TOKENIZER_NEEDED, false, error);
    if (status == INK_OK) {
        status = ink_cli_open_adapter(&adapter, model, run->lora, error);
    }
    if (status == INK_OK && ink_interrupt_pending()) {
        status = ink_fail(error, INK_ERROR_CANCELLED, "%s: interrupted", run->path);
    }
    if (status == INK_OK) {
        run->uses_template = uses_template(job, model);
        describe(run, model, adapter);
        status = read_samples(job, run, model, adapter, error);
    }
    if (status == INK_OK && job->metrics & INK_EVAL_LOSS) {
        status = measure(job, run, model, adapter, error);
    }
    if (status == INK_OK && job->metrics & INK_EVAL_OF_ANSWERS) {
        status = answer(job, run, model, adapter, error);
    }
    ink_adapter_close(adapter);
    ink_model_close(model);
    return status;
}

/* -------------------------------------------------------------------------------------- command */

static int run(struct ink_eval_job *job, struct ink_eval_outputs *out, struct ink_error *error)
{
    struct ink_dataset_options options;
    ink_options_dataset(&job->options, &options);
    int status = ink_dataset_open(&job->dataset, job->options.data, &options, error);
    if (status == INK_OK) {
        status = choose_metrics(job, error);
    }
    if (status == INK_OK) {
        status = check_outputs(job, error);
    }
    ink_interrupt_defer(true); /* from here on there are files to remove */
    const bool speaks = ink_cluster_speaks(job->options.cluster);
    if (status == INK_OK && speaks) {
        status = ink_eval_open_outputs(out, &job->options, error);
    }
    for (int i = 0; i < job->n_runs && status == INK_OK; i++) {
        status = run_model(job, &job->runs[i], error);
    }
    return status == INK_OK && speaks ? ink_eval_finish(out, job, error) : status;
}

int ink_command_eval(const struct ink_options *o, struct ink_error *error)
{
    struct ink_eval_job job = {.options = *o, .n_runs = o->baseline ? 2 : 1};
    struct ink_eval_outputs out = {{0}, {0}};
    job.preset_prompt = ink_options_apply_preset(&job.options);
    job.runs[0].path = o->model;
    job.runs[0].lora = o->lora;
    job.runs[1].path = o->baseline;
    choose_sampling(&job);
    int status = run(&job, &out, error);
    for (int i = 0; i < INK_EVAL_MODELS; i++) {
        ink_evaluation_close(&job.runs[i].evaluation);
        ink_eval_set_close(&job.runs[i].set);
        ink_string_free(&job.runs[i].description);
        ink_string_free(&job.runs[i].folder);
    }
    ink_eval_close_outputs(&out);
    ink_dataset_close(job.dataset);
    return status;
}
