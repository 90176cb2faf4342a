/* What `inkstone eval` says and writes once the figures are there. */
#include "eval.h"

#include "train/plot.h"

#include <string.h>

/* ------------------------------------------------------------------------------------- warnings */

static void warn_of_data(const struct ink_eval_job *job)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(job->dataset);
    const struct ink_eval_set *set = &job->runs[0].set;
    struct ink_error note;
    if (info->n_bad > 0) {
        ink_fail(&note, INK_OK, "%s: %llu broken records were left out; the first: %s", info->path,
                 (unsigned long long)info->n_bad, info->first_bad);
        ink_cli_warn(note.message);
    }
    if (set->n_prompts_cut + set->n_responses_cut > 0) {
        ink_fail(&note, INK_OK, "%llu prompts and %llu answers were cut to the limits in tokens",
                 (unsigned long long)set->n_prompts_cut, (unsigned long long)set->n_responses_cut);
        ink_cli_warn(note.message);
    }
}

static void warn_of_scores(const struct ink_eval_job *job)
{
    const struct ink_evaluation *e = &job->runs[0].evaluation;
    struct ink_error note;
    if (job->metrics & INK_EVAL_ROUGE_L && e->n_blind > 0) {
        ink_fail(&note, INK_OK,
                 "rouge_score's ROUGE-L sees nothing of %llu of %llu answers: it knows ASCII "
                 "letters and digits only. For Chinese take ROUGE-L over characters, and BLEU zh "
                 "or char, since BLEU 13a takes a sentence as one word",
                 (unsigned long long)e->n_blind, (unsigned long long)e->set->n_answers);
        ink_cli_warn(note.message);
    }
}

/* --------------------------------------------------------------------------------------- output */

int ink_eval_open_outputs(struct ink_eval_outputs *out, const struct ink_options *o,
                          struct ink_error *error)
{
    int status =
        o->predictions ? ink_writer_open(&out->predictions, o->predictions, error) : INK_OK;
    return status == INK_OK && o->report ? ink_writer_open(&out->report, o->report, error) : status;
}

static int write_out(struct ink_writer *w, const struct ink_string *text, struct ink_error *error)
{
    if (text->failed) {
        return ink_fail_memory(error, text->capacity);
    }
    int status = ink_writer_put(w, text->data, text->length, error);
    return status == INK_OK ? ink_writer_commit(w, error) : status;
}

static int write_predictions(struct ink_eval_outputs *out, const struct ink_eval_job *job,
                             struct ink_error *error)
{
    struct ink_string text = {0};
    ink_eval_write_predictions(job, &text);
    int status = write_out(&out->predictions, &text, error);
    ink_string_free(&text);
    return status;
}

/* The log of the run that made the model, if its folder, or its adapter's, has one. True: *curve
 * holds its picture. A log that cannot be read is not worth failing for. */
static bool read_curve(struct ink_string *curve, const char *folder)
{
    struct ink_error error;
    struct ink_history history;
    char *file = ink_path_join(folder, "trainer_state.json");
    const bool is_there = file && ink_path_kind(file) == INK_PATH_FILE;
    if (is_there && ink_history_read(&history, folder, &error) == INK_OK) {
        if (history.n_rows > 0) {
            ink_plot_print_svg(&history, curve);
        }
        ink_history_close(&history);
    } else if (is_there) {
        ink_cli_warn(error.message);
    }
    ink_free(file);
    return curve->length > 0 && !curve->failed;
}

static int write_report(struct ink_eval_outputs *out, const struct ink_eval_job *job,
                        struct ink_error *error)
{
    struct ink_string page = {0}, settings = {0}, curve = {0};
    struct ink_report report;
    ink_eval_describe(&report, job, &settings);
    if (job->runs[0].folder.data && read_curve(&curve, job->runs[0].folder.data)) {
        report.curve = curve.data;
    }
    ink_report_page(&report, &page);
    page.failed |= settings.failed || curve.failed;
    int status = write_out(&out->report, &page, error);
    ink_string_free(&curve);
    ink_string_free(&settings);
    ink_string_free(&page);
    return status;
}

int ink_eval_finish(struct ink_eval_outputs *out, const struct ink_eval_job *job,
                    struct ink_error *error)
{
    warn_of_data(job);
    warn_of_scores(job);
    int status = ink_eval_print(job, error);
    if (status == INK_OK && job->options.predictions) {
        status = write_predictions(out, job, error);
    }
    if (status == INK_OK && job->options.report) {
        status = write_report(out, job, error);
    }
    return status;
}

void ink_eval_close_outputs(struct ink_eval_outputs *out)
{
    ink_writer_close(&out->predictions);
    ink_writer_close(&out->report);
}
