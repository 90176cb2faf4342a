/* The figures of an evaluation as rows of a table, and the whole of it as one HTML file. */
#ifndef INK_EVAL_REPORT_H
#define INK_EVAL_REPORT_H

#include "evaluate.h"

/* One model of the comparison. */
struct ink_report_column {
    const char *name;        /* what its column is called */
    const char *description; /* its path, adapter, arithmetic, ... */
    const struct ink_evaluation *evaluation;
};

/* Everything is the caller's. Texts that readers see are in the language of ink_set_language. */
struct ink_report {
    const char *data;     /* the file */
    const char *settings; /* of the answers: "greedy, ..." */
    enum ink_loss_scope scope;
    unsigned metrics; /* enum ink_eval_metric: those that have rows */
    struct ink_report_column columns[2];
    int n_columns;     /* 1 or 2 */
    const char *curve; /* the loss curve as an <svg> element; NULL: none */
    bool is_chinese;   /* of the page: its lang */
};

/* Append label and, for column c, value of row `row`. False: there is no such row; rows are
 * numbered from 0. */
bool ink_report_row(const struct ink_report *r, int row, int c, struct ink_string *label,
                    struct ink_string *value);

/* Append the lines that explain the rows: conventions, scope, BLEU's signatures. */
void ink_report_notes(const struct ink_report *r, struct ink_string *out);

/* Append the page: metric table, curve, the answers of all columns beside the expected ones. It
 * loads nothing and runs no scripts. out->failed tells that memory ran out. */
void ink_report_page(const struct ink_report *r, struct ink_string *out);

/* Append UTF-8 text [n] as HTML text: & < > " ' as entities, and control characters other than
 * newline and tab as U+FFFD, as HTML cannot say them. */
void ink_html_append(struct ink_string *out, const char *text, size_t n);

#endif
