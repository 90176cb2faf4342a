/* What the files of `inkstone eval` share. Nobody else includes this. */
#ifndef INK_CLI_EVAL_H
#define INK_CLI_EVAL_H

#include "cli.h"
#include "eval/report.h"
#include "file.h"

enum { INK_EVAL_MODELS = 2 };

/* One model, from its path to its figures. */
struct ink_eval_run {
    const char *path, *lora;  /* lora NULL: none */
    struct ink_string folder; /* of what was trained: the adapter, else the model */
    struct ink_eval_set set;
    struct ink_evaluation evaluation;
    struct ink_string description; /* path, adapter, weights, arithmetic, template */
    bool uses_template;
    char arithmetic[32], weight_type[32];
    double loss_seconds, answer_seconds;
    uint64_t n_answer_tokens;
};

struct ink_eval_job {
    struct ink_options options; /* with what --preset says */
    int preset_prompt;          /* tokens that the preset cuts plain prompts to; 0: none */
    unsigned metrics;           /* enum ink_eval_metric */
    enum ink_loss_scope scope;
    struct ink_sampling sampling;
    int max_new_tokens, batch;
    struct ink_dataset *dataset;
    struct ink_eval_run runs[INK_EVAL_MODELS]; /* the model; the baseline */
    int n_runs;
};

/* Fill *out with what of the job is told to people; the strings live as long as `settings` and the
 * job. */
void ink_eval_describe(struct ink_report *out, const struct ink_eval_job *job,
                       struct ink_string *settings);

/* The figures on stdout: a table, or one JSON object. */
int ink_eval_print(const struct ink_eval_job *job, struct ink_error *error);

/* One JSON object a line for each answer. */
void ink_eval_write_predictions(const struct ink_eval_job *job, struct ink_string *out);

/* Opened before the work, so that a folder that cannot be written to shows at once. */
struct ink_eval_outputs {
    struct ink_writer predictions, report;
};
int ink_eval_open_outputs(struct ink_eval_outputs *out, const struct ink_options *o,
                          struct ink_error *error);
void ink_eval_close_outputs(struct ink_eval_outputs *out); /* accepts {0} */
/* Warnings, the figures on stdout, and the files, which appear now. */
int ink_eval_finish(struct ink_eval_outputs *out, const struct ink_eval_job *job,
                    struct ink_error *error);

#endif
