/* split: a data set in three files, and what they look like. */
#include "cli.h"
#include "data/split.h"
#include "file.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"

#include <string.h>

enum { FILE_WIDTH = 10, COUNT_WIDTH = 9, WHAT_WIDTH = 24, NUMBER_WIDTH = 8 };

struct work {
    struct ink_dataset *dataset;
    struct ink_split split;
    struct ink_split_options options;
    struct ink_split_statistics statistics;
    struct ink_split_file files[INK_SPLIT_PARTS];
};

/* --------------------------------------------------------------------------------------- a person
 */

static void append_right(struct ink_string *out, const char *text, int width)
{
    ink_string_puts(out, "| ");
    ink_output_pad(out, "", width - ink_output_width(text));
    ink_string_printf(out, "%s ", text);
}

static void append_left(struct ink_string *out, const char *text, int width)
{
    ink_string_puts(out, "| ");
    ink_output_pad(out, text, width);
    ink_string_puts(out, " ");
}

static void append_number(struct ink_string *out, double value, int width)
{
    char text[32];
    snprintf(text, sizeof text, "%.10g", value);
    append_right(out, text, width);
}

static void append_head(struct ink_string *out)
{
    static const char *const names[] = {"min", "median", "p95", "max"};
    static const int widths[] = {FILE_WIDTH,   COUNT_WIDTH,  WHAT_WIDTH,  NUMBER_WIDTH,
                                 NUMBER_WIDTH, NUMBER_WIDTH, NUMBER_WIDTH};
    append_left(out, ink_text("file"), FILE_WIDTH);
    append_right(out, ink_text("records"), COUNT_WIDTH);
    append_left(out, ink_text("lengths of"), WHAT_WIDTH);
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        append_right(out, names[i], NUMBER_WIDTH);
    }
    ink_string_puts(out, "|\n");
    for (size_t i = 0; i < INK_COUNT(widths); i++) {
        ink_string_puts(out, "|");
        for (int n = 0; n < widths[i] + 2; n++) {
            ink_string_puts(out, i != 2 && i != 0 && n == widths[i] + 1 ? ":" : "-");
        }
    }
    ink_string_puts(out, "|\n");
}

/* A row; file and count stand in the first of a part. */
static void append_row(struct ink_string *out, const char *file, size_t n, const char *what,
                       const struct ink_lengths *l)
{
    append_left(out, file, FILE_WIDTH);
    if (*file) {
        append_number(out, (double)n, COUNT_WIDTH);
    } else {
        append_right(out, "", COUNT_WIDTH);
    }
    append_left(out, what, WHAT_WIDTH);
    append_number(out, l->min, NUMBER_WIDTH);
    append_number(out, l->median, NUMBER_WIDTH);
    append_number(out, l->p95, NUMBER_WIDTH);
    append_number(out, l->max, NUMBER_WIDTH);
    ink_string_puts(out, "|\n");
}

static void append_part(struct ink_string *out, const struct ink_split_statistics *s, int k)
{
    const struct ink_split_part *part = &s->parts[k];
    const struct {
        const char *what;
        const struct ink_lengths *lengths;
        bool is_known;
    } rows[] = {
        {ink_text("questions, characters"), &part->question_chars, s->has_questions},
        {s->has_questions ? ink_text("answers, characters") : ink_text("texts, characters"),
         &part->answer_chars, true},
        {ink_text("questions, tokens"), &part->question_tokens, s->has_questions && s->has_tokens},
        {s->has_questions ? ink_text("answers, tokens") : ink_text("texts, tokens"),
         &part->answer_tokens, s->has_tokens},
    };
    char name[16];
    snprintf(name, sizeof name, "%s.json", ink_split_names[k]);
    const char *file = name;
    for (size_t i = 0; i < INK_COUNT(rows); i++) {
        if (rows[i].is_known) {
            append_row(out, file, part->n, rows[i].what, rows[i].lengths);
            file = "";
        }
    }
}

static void append_overlap(struct ink_string *out, size_t n, size_t of, const char *one,
                           const char *other)
{
    ink_string_printf(out, ink_text("%llu of the %llu questions of %s.json are also in %s.json\n"),
                      (unsigned long long)n, (unsigned long long)of, one, other);
}

static void describe_text(struct ink_string *out, const struct work *w)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(w->dataset);
    const struct ink_split_statistics *s = &w->statistics;
    ink_string_printf(out, ink_text("%s: %llu records (format %s, schema %s)\n"), info->path,
                      (unsigned long long)info->n_samples, ink_data_format_name(info->format),
                      info->schema_name);
    if (w->split.n_groups > 0) {
        ink_string_printf(out, ink_text("%llu groups by \"%s\", none of them torn\n"),
                          (unsigned long long)w->split.n_groups, w->options.group_by);
    }
    ink_string_puts(out, "\n");
    append_head(out);
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        append_part(out, s, k);
    }
    ink_string_printf(out, ink_text("\n%llu records are the same as an earlier one\n"),
                      (unsigned long long)s->duplicates);
    if (s->has_questions) {
        append_overlap(out, s->val_in_train, s->parts[1].n, "val", "train");
        append_overlap(out, s->test_in_train, s->parts[2].n, "test", "train");
        append_overlap(out, s->test_in_val, s->parts[2].n, "test", "val");
    }
    ink_string_puts(out, "\nSHA-256\n");
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        ink_string_printf(out, "%s  %s\n", w->files[k].sha256, w->files[k].path);
    }
}

/* ------------------------------------------------------------------------------------------ JSON
 */

static void append_lengths(struct ink_string *out, const char *key, const struct ink_lengths *l,
                           bool is_known)
{
    ink_output_key(out, key);
    if (!is_known) {
        ink_string_puts(out, "null");
        return;
    }
    ink_string_puts(out, "{");
    ink_output_json_integer(out, "min", l->min);
    ink_output_key(out, "median");
    ink_string_printf(out, "%.10g", l->median);
    ink_output_json_integer(out, "p95", l->p95);
    ink_output_json_integer(out, "max", l->max);
    ink_string_puts(out, "}");
}

static void append_file(struct ink_string *out, const struct work *w, int k)
{
    const struct ink_split_statistics *s = &w->statistics;
    const struct ink_split_part *part = &s->parts[k];
    const bool is_known = part->n > 0, has_question = is_known && s->has_questions;
    ink_string_puts(out, k > 0 ? ", {" : "{");
    ink_output_json_string(out, "part", ink_split_names[k]);
    ink_output_json_string(out, "path", w->files[k].path);
    ink_output_json_integer(out, "records", part->n);
    ink_output_json_integer(out, "bytes", w->files[k].n_bytes);
    ink_output_json_string(out, "sha256", w->files[k].sha256);
    append_lengths(out, "question_characters", &part->question_chars, has_question);
    append_lengths(out, "answer_characters", &part->answer_chars, is_known);
    append_lengths(out, "question_tokens", &part->question_tokens, has_question && s->has_tokens);
    append_lengths(out, "answer_tokens", &part->answer_tokens, is_known && s->has_tokens);
    ink_string_puts(out, "}");
}

static void describe_json(struct ink_string *out, const struct work *w)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(w->dataset);
    const struct ink_split_statistics *s = &w->statistics;
    ink_string_puts(out, "{");
    ink_output_json_string(out, "source", info->path);
    ink_output_json_string(out, "format", ink_data_format_name(info->format));
    ink_output_json_string(out, "schema", info->schema_name);
    ink_output_json_integer(out, "records", info->n_samples);
    ink_output_json_integer(out, "skipped", info->n_bad);
    ink_output_json_string(out, "seed", w->options.seed);
    ink_output_json_string(out, "group_by", w->options.group_by);
    ink_output_json_integer(out, "groups", w->split.n_groups);
    ink_output_json_integer(out, "duplicates", s->duplicates);
    ink_output_json_integer(out, "val_questions_in_train", s->val_in_train);
    ink_output_json_integer(out, "test_questions_in_train", s->test_in_train);
    ink_output_json_integer(out, "test_questions_in_val", s->test_in_val);
    ink_output_key(out, "files");
    ink_string_puts(out, "[");
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        append_file(out, w, k);
    }
    ink_string_puts(out, "]}\n");
}

/* --------------------------------------------------------------------------------------- the work
 */

static int show(void *context, uint64_t done, uint64_t total)
{
    ink_progress_show(context, done, total);
    return ink_interrupt_pending();
}

static int read_options(struct work *w, const struct ink_options *o, struct ink_error *error)
{
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "-o is missing (see --help)");
    }
    if (o->group_until && !(o->group_by && *o->group_until)) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--group-until: needs a text, and --group-by with it");
    }
    w->options = (struct ink_split_options){.seed = o->seed_text ? o->seed_text : "42",
                                            .group_by = o->group_by,
                                            .group_until = o->group_until};
    return ink_split_parse_ratio(w->options.ratio, o->ratio ? o->ratio : "8:1:1", "--ratio", error);
}

static void warn(const struct work *w)
{
    const struct ink_dataset_info *info = ink_dataset_get_info(w->dataset);
    struct ink_error text;
    if (info->n_bad > 0) {
        ink_fail(&text, INK_OK, "%llu broken records are left out; the first: %s",
                 (unsigned long long)info->n_bad, info->first_bad);
        ink_cli_warn(text.message);
    }
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        if (w->split.begin[k] == w->split.begin[k + 1] && w->options.ratio[k] > 0) {
            ink_fail(&text, INK_OK, "%s.json is empty: too few records for the ratio",
                     ink_split_names[k]);
            ink_cli_warn(text.message);
        }
    }
}

/* Measure and write; Ctrl-C leaves nothing behind. */
static int finish(struct work *w, const struct ink_options *o, struct ink_error *error)
{
    struct ink_progress progress;
    ink_interrupt_defer(true);
    ink_progress_open(&progress, ink_text("measuring"), ink_text("records"), 1);
    int status = ink_split_measure(&w->statistics, w->dataset, &w->split, o->tokenizer_dir, show,
                                   &progress, error);
    ink_progress_close(&progress);
    if (status == INK_OK) {
        ink_progress_open(&progress, ink_text("writing"), ink_text("records"), 1);
        status = ink_split_write(w->files, o->output, w->dataset, &w->split, &w->options, show,
                                 &progress, error);
        ink_progress_close(&progress);
    }
    ink_interrupt_defer(false);
    return status;
}

static int split(struct work *w, const struct ink_options *o, struct ink_error *error)
{
    struct ink_dataset_options options;
    ink_options_dataset(o, &options);
    int status = ink_dataset_open(&w->dataset, o->data, &options, error);
    if (status == INK_OK) {
        status = ink_split_check_folder(o->output, w->dataset, o->force, error);
    }
    if (status == INK_OK) {
        status = ink_split_plan(&w->split, w->dataset, &w->options, error);
    }
    if (status == INK_OK) {
        warn(w);
        status = finish(w, o, error);
    }
    if (status == INK_OK) {
        struct ink_string out = {0};
        (o->json ? describe_json : describe_text)(&out, w);
        status = ink_output_put_string(&out, error);
        ink_string_free(&out);
    }
    return status;
}

int ink_command_split(const struct ink_options *o, struct ink_error *error)
{
    struct work w = {0};
    int status = read_options(&w, o, error);
    if (status == INK_OK) {
        status = split(&w, o, error);
    }
    ink_split_free_files(w.files);
    ink_split_free(&w.split);
    ink_dataset_close(w.dataset);
    return status;
}
