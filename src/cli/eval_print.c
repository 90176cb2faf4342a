#include "eval.h"

#include "json.h"
#include "output.h"
#include "system.h"

#include <string.h>

enum { LABEL_WIDTH = 40, VALUE_WIDTH = 20 };

/* ---------------------------------------------------------------------------------------- text */

static void describe_settings(struct ink_string *out, const struct ink_eval_job *job)
{
    const struct ink_sampling *s = &job->sampling;
    if (s->temperature > 0) {
        ink_string_printf(out, ink_text("drawn (temperature %g, top-k %d, top-p %g, seed %llu)"),
                          (double)s->temperature, s->top_k, (double)s->top_p,
                          (unsigned long long)s->seed);
    } else {
        ink_string_puts(out, ink_text("greedy"));
    }
    if (s->repetition_penalty > 1 || s->repetition_penalty < 1) {
        ink_string_printf(out, ink_text(", repetition penalty %g"), (double)s->repetition_penalty);
    }
    ink_string_printf(out, ink_text(", at most %d tokens"), job->max_new_tokens);
}

void ink_eval_describe(struct ink_report *out, const struct ink_eval_job *job,
                       struct ink_string *settings)
{
    describe_settings(settings, job);
    *out = (struct ink_report){.data = ink_dataset_get_info(job->dataset)->path,
                               .settings = settings->data ? settings->data : "",
                               .scope = job->scope,
                               .metrics = job->metrics,
                               .n_columns = job->n_runs,
                               .is_chinese = ink_system_is_chinese()};
    for (int c = 0; c < job->n_runs; c++) {
        const struct ink_eval_run *run = &job->runs[c];
        out->columns[c] = (struct ink_report_column){
            .name = c == 0 ? ink_text("model") : ink_text("baseline"),
            .description = run->description.data ? run->description.data : "",
            .evaluation = &run->evaluation};
    }
}

static void append_cell(struct ink_string *out, const char *text, int width, bool to_the_right)
{
    ink_string_puts(out, "| ");
    if (to_the_right) {
        const int spaces = width - ink_output_width(text);
        ink_output_pad(out, "", spaces > 0 ? spaces : 0);
        ink_string_puts(out, text);
    } else {
        ink_output_pad(out, text, width);
    }
    ink_string_puts(out, " ");
}

/* False: there is no such row. */
static bool append_row(struct ink_string *out, const struct ink_report *r, int row)
{
    bool is_row = true;
    for (int c = 0; c < r->n_columns && is_row; c++) {
        struct ink_string label = {0}, value = {0};
        is_row = ink_report_row(r, row, c, &label, &value);
        if (is_row && c == 0) {
            append_cell(out, label.data ? label.data : "", LABEL_WIDTH, false);
        }
        if (is_row) {
            append_cell(out, value.data ? value.data : "", VALUE_WIDTH, true);
        }
        out->failed |= label.failed || value.failed;
        ink_string_free(&label);
        ink_string_free(&value);
    }
    ink_string_puts(out, is_row ? "|\n" : "");
    return is_row;
}

static void print_table(struct ink_string *out, const struct ink_eval_job *job)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(job->dataset);
    struct ink_string settings = {0};
    struct ink_report r;
    ink_eval_describe(&r, job, &settings);
    ink_string_printf(out, "%s: %s (%s, %s), ", ink_text("data"), info->path,
                      ink_data_format_name(info->format), info->schema_name);
    ink_string_printf(out, ink_text("%llu samples\n"), (unsigned long long)job->runs[0].set.n);
    for (int c = 0; c < r.n_columns; c++) {
        ink_string_printf(out, "%s: %s\n", r.columns[c].name, r.columns[c].description);
    }
    ink_string_puts(out, "\n");
    append_cell(out, "", LABEL_WIDTH, false);
    for (int c = 0; c < r.n_columns; c++) {
        append_cell(out, r.columns[c].name, VALUE_WIDTH, true);
    }
    ink_string_puts(out, r.n_columns == 1 ? "|\n| --- | ---: |\n" : "|\n| --- | ---: | ---: |\n");
    int row = 0;
    while (append_row(out, &r, row)) {
        row++;
    }
    ink_string_puts(out, "\n");
    ink_report_notes(&r, out);
    out->failed |= settings.failed;
    ink_string_free(&settings);
}

/* ---------------------------------------------------------------------------------------- JSON */

static void json_loss(struct ink_string *out, const struct ink_evaluation *e)
{
    ink_output_json_integer(out, "tokens", e->n_tokens);
    ink_output_json_number(out, "loss", e->loss);
    ink_output_json_number(out, "perplexity", e->perplexity);
    ink_output_key(out, "hugging_face");
    ink_string_puts(out, "{");
    ink_output_json_integer(out, "batch", (uint64_t)e->hf_batch);
    ink_output_json_number(out, "eval_loss", e->hf_loss);
    ink_output_json_number(out, "perplexity", e->hf_perplexity);
    ink_string_puts(out, "}");
}

static void json_bleu(struct ink_string *out, const struct ink_evaluation *e, int i)
{
    const struct ink_bleu_options options = ink_eval_bleu_options(i);
    struct ink_string signature = {0};
    ink_bleu_signature(&signature, &options);
    ink_output_key(out, ink_bleu_tokenizer_name(options.tokenizer));
    ink_string_puts(out, "{");
    ink_output_json_number(out, "score", e->bleu[i].score);
    ink_output_key(out, "precisions");
    ink_string_puts(out, "[");
    for (int n = 0; n < INK_BLEU_ORDER; n++) {
        ink_string_puts(out, n ? ", " : "");
        ink_output_number(out, e->bleu[i].precisions[n]);
    }
    ink_string_puts(out, "]");
    ink_output_json_number(out, "brevity_penalty", e->bleu[i].brevity_penalty);
    ink_output_json_string(out, "signature", signature.data);
    ink_string_puts(out, "}");
    ink_string_free(&signature);
}

static void json_answers(struct ink_string *out, const struct ink_evaluation *e, unsigned metrics)
{
    const double n = (double)(e->set->n_answers > 0 ? e->set->n_answers : 1);
    ink_output_json_integer(out, "answers", e->set->n_answers);
    ink_output_json_integer(out, "answers_cut_short", e->n_incomplete);
    if (metrics & (INK_EVAL_BLEU_13A | INK_EVAL_BLEU_ZH | INK_EVAL_BLEU_CHAR)) {
        ink_output_key(out, "bleu");
        ink_string_puts(out, "{");
        for (int i = 0; i < INK_EVAL_BLEUS; i++) {
            if (metrics & ink_eval_bleu_bit(i)) {
                json_bleu(out, e, i);
            }
        }
        ink_string_puts(out, "}");
    }
    if (metrics & INK_EVAL_ROUGE_L) {
        ink_output_json_number(out, "rouge_l", e->rouge_l);
        ink_output_json_integer(out, "rouge_l_blind", e->n_blind);
    }
    if (metrics & INK_EVAL_ROUGE_L_CHAR) {
        ink_output_json_number(out, "rouge_l_char", e->rouge_l_char);
    }
    if (metrics & INK_EVAL_EXACT) {
        ink_output_json_number(out, "exact_match", (double)e->n_exact / n);
        ink_output_json_number(out, "exact_match_normalised", (double)e->n_exact_normalised / n);
    }
}

static void json_run(struct ink_string *out, const struct ink_eval_job *job,
                     const struct ink_eval_run *run)
{
    ink_output_json_string(out, "model", run->path);
    ink_output_json_string(out, "lora", run->lora);
    ink_output_json_string(out, "weight_type", run->weight_type);
    ink_output_json_string(out, "arithmetic", run->arithmetic);
    ink_output_json_string(out, "template", run->uses_template ? "chat" : "none");
    if (job->metrics & INK_EVAL_LOSS) {
        json_loss(out, &run->evaluation);
        ink_output_json_number(out, "loss_seconds", run->loss_seconds);
    }
    if (job->metrics & INK_EVAL_OF_ANSWERS) {
        json_answers(out, &run->evaluation, job->metrics);
        ink_output_json_integer(out, "answer_tokens", run->n_answer_tokens);
        ink_output_json_number(out, "answer_seconds", run->answer_seconds);
    }
}

static void json_sampling(struct ink_string *out, const struct ink_eval_job *job)
{
    const struct ink_sampling *s = &job->sampling;
    ink_output_key(out, "sampling");
    ink_string_puts(out, "{");
    ink_output_json_number(out, "temperature", (double)s->temperature);
    ink_output_json_integer(out, "top_k", (uint64_t)s->top_k);
    ink_output_json_number(out, "top_p", (double)s->top_p);
    ink_output_json_number(out, "repetition_penalty", (double)s->repetition_penalty);
    ink_output_json_number(out, "presence_penalty", (double)s->presence_penalty);
    ink_output_json_number(out, "frequency_penalty", (double)s->frequency_penalty);
    ink_output_json_integer(out, "seed", s->seed);
    ink_output_json_integer(out, "max_new_tokens", (uint64_t)job->max_new_tokens);
    ink_string_puts(out, "}");
}

static void print_json(struct ink_string *out, const struct ink_eval_job *job)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(job->dataset);
    ink_string_puts(out, "{");
    ink_output_json_string(out, "data", info->path);
    ink_output_json_string(out, "format", ink_data_format_name(info->format));
    ink_output_json_string(out, "schema", info->schema_name);
    ink_output_json_integer(out, "samples", job->runs[0].set.n);
    if (job->runs[0].set.n_in_windows > 0) {
        ink_output_json_integer(out, "texts_in_windows", job->runs[0].set.n_in_windows);
        ink_output_json_integer(out, "window", job->runs[0].set.window);
    }
    ink_output_json_integer(out, "bad_records", info->n_bad);
    ink_output_json_string(out, "scope", ink_loss_scope_name(job->scope));
    if (job->metrics & INK_EVAL_OF_ANSWERS) {
        json_sampling(out, job);
    }
    json_run(out, job, &job->runs[0]);
    if (job->n_runs > 1) {
        ink_output_key(out, "baseline");
        ink_string_puts(out, "{");
        json_run(out, job, &job->runs[1]);
        ink_string_puts(out, "}");
    }
    ink_string_puts(out, "}\n");
}

int ink_eval_print(const struct ink_eval_job *job, struct ink_error *error)
{
    struct ink_string out = {0};
    (job->options.json ? print_json : print_table)(&out, job);
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

/* --------------------------------------------------------------------------------- predictions */

static void json_prediction(struct ink_string *out, const struct ink_eval_job *job,
                            const struct ink_evaluation *e, size_t i)
{
    const struct ink_prediction *p = &e->predictions[i];
    const struct ink_answer_score *s = &e->scores[i];
    ink_output_key(out, "prediction");
    ink_json_append_string(out, p->text.data ? p->text.data : "", p->text.length);
    ink_output_json_string(out, "finish_reason", p->is_complete ? "stop" : "length");
    ink_output_json_integer(out, "answer_tokens", (uint64_t)p->n_tokens);
    if (job->metrics & INK_EVAL_ROUGE_L) {
        ink_output_json_number(out, "rouge_l", s->rouge_l);
    }
    if (job->metrics & INK_EVAL_ROUGE_L_CHAR) {
        ink_output_json_number(out, "rouge_l_char", s->rouge_l_char);
    }
    if (job->metrics & INK_EVAL_EXACT) {
        ink_output_json_bool(out, "exact_match", s->is_exact);
        ink_output_json_bool(out, "exact_match_normalised", s->is_exact_normalised);
    }
}

static void json_sample(struct ink_string *out, const struct ink_eval_job *job, int run, size_t i)
{
    const struct ink_evaluation *e = &job->runs[run].evaluation;
    if (e->has_loss) {
        ink_output_json_number(out, "nll", e->losses[i].nll);
        ink_output_json_integer(out, "tokens", e->losses[i].n_tokens);
    }
    if (e->has_answers && e->set->samples[i].has_answer) {
        json_prediction(out, job, e, i);
    }
}

void ink_eval_write_predictions(const struct ink_eval_job *job, struct ink_string *out)
{
    const struct ink_eval_set *set = &job->runs[0].set;
    for (size_t i = 0; i < set->n; i++) {
        const struct ink_eval_sample *s = &set->samples[i];
        ink_string_puts(out, "{");
        ink_output_json_integer(out, "line", s->line);
        if (s->has_answer) {
            ink_output_json_string(out, "question", s->question);
            ink_output_json_string(out, "reference", s->reference);
        }
        json_sample(out, job, 0, i);
        if (job->n_runs > 1) {
            ink_output_key(out, "baseline");
            ink_string_puts(out, "{");
            json_sample(out, job, 1, i);
            ink_string_puts(out, "}");
        }
        ink_string_puts(out, "}\n");
    }
}
