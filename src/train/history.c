#include "history_internal.h"

#include "file.h"
#include "json.h"
#include "number.h"

#include <math.h>
#include <string.h>

const struct ink_history_keys ink_history_keys[INK_HISTORY_KINDS] = {
    {3, {"grad_norm", "learning_rate", "loss"}, "loss"},
    {4,
     {"eval_loss", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second"},
     "eval_loss"},
    {5,
     {"total_flos", "train_loss", "train_runtime", "train_samples_per_second",
      "train_steps_per_second"},
     "train_loss"},
};

/* ------------------------------------------------------------------------------------- the rows */

int ink_history_add(struct ink_history *h, const struct ink_history_row *row,
                    struct ink_error *error)
{
    if (h->n_rows == INK_MAX_HISTORY_ROWS) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: more than %d rows: log less often (\"logging_steps\" is %d)",
                        INK_HISTORY_FILE, INK_MAX_HISTORY_ROWS, h->logging_steps);
    }
    if (h->n_rows == h->capacity) {
        const int capacity = h->capacity ? 2 * h->capacity : 64;
        struct ink_history_row *rows = ink_realloc(h->rows, (size_t)capacity, sizeof *rows);
        if (!rows) {
            return ink_fail_memory(error, (uint64_t)capacity * sizeof *rows);
        }
        h->rows = rows;
        h->capacity = capacity;
    }
    h->rows[h->n_rows++] = *row;
    const double loss = row->values[INK_HISTORY_EVAL_LOSS];
    if (row->kind == INK_HISTORY_EVAL && !isnan(loss) &&
        (h->best_step == 0 || loss < h->best_metric)) {
        h->best_metric = loss;
        h->best_step = row->step;
        ink_free(h->best_checkpoint);
        h->best_checkpoint = NULL;
    }
    return INK_OK;
}

void ink_history_cut(struct ink_history *h, int64_t step)
{
    int kept = 0;
    for (int i = 0; i < h->n_rows; i++) {
        if (h->rows[i].step <= step) {
            h->rows[kept++] = h->rows[i];
        }
    }
    h->n_rows = kept;
}

void ink_history_close(struct ink_history *h)
{
    ink_free(h->rows);
    ink_free(h->best_checkpoint);
    *h = (struct ink_history){0};
}

/* ------------------------------------------------------------------------------------- the writer
 */

static void put_number(struct ink_string *s, double value)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_double(text, value);
    ink_string_puts(s, text);
}

static void put_double(struct ink_string *s, int indent, const char *key, double value)
{
    ink_string_printf(s, "%*s\"%s\": ", indent, "", key);
    put_number(s, value);
    ink_string_puts(s, ",\n");
}

static void put_integer(struct ink_string *s, const char *key, int64_t value)
{
    ink_string_printf(s, "  \"%s\": %lld,\n", key, (long long)value);
}

/* epoch stands before every other key and step after most: "step" < "total_flos". */
static void put_row(struct ink_string *s, const struct ink_history_row *row)
{
    const struct ink_history_keys *kind = &ink_history_keys[row->kind];
    bool has_step = false;
    ink_string_puts(s, "    {\n");
    put_double(s, 6, "epoch", row->epoch);
    for (int i = 0; i < kind->n; i++) {
        if (strcmp(kind->names[i], "step") > 0 && !has_step) {
            ink_string_printf(s, "      \"step\": %lld,\n", (long long)row->step);
            has_step = true;
        }
        put_double(s, 6, kind->names[i], row->values[i]);
    }
    if (has_step) {
        s->length -= s->failed ? 0 : 2; /* the last comma */
        ink_string_puts(s, "\n    }");
    } else {
        ink_string_printf(s, "      \"step\": %lld\n    }", (long long)row->step);
    }
}

static void put_rows(struct ink_string *s, const struct ink_history *h)
{
    ink_string_puts(s, "  \"log_history\": [");
    for (int i = 0; i < h->n_rows; i++) {
        ink_string_puts(s, i > 0 ? ",\n" : "\n");
        put_row(s, &h->rows[i]);
    }
    ink_string_puts(s, h->n_rows > 0 ? "\n  ],\n" : "],\n");
}

static void put_best(struct ink_string *s, const struct ink_history *h)
{
    if (h->best_step == 0) {
        ink_string_puts(s, "  \"best_global_step\": null,\n  \"best_metric\": null,\n");
    } else {
        put_integer(s, "best_global_step", h->best_step);
        put_double(s, 2, "best_metric", h->best_metric);
    }
    ink_string_puts(s, "  \"best_model_checkpoint\": ");
    if (h->best_checkpoint) {
        ink_json_append_ascii(s, h->best_checkpoint, strlen(h->best_checkpoint));
    } else {
        ink_string_puts(s, "null");
    }
    ink_string_puts(s, ",\n");
}

/* What transformers' own callback says of the moment. */
static void put_control(struct ink_string *s, bool is_finished)
{
    ink_string_printf(s,
                      "  \"stateful_callbacks\": {\n    \"TrainerControl\": {\n      \"args\": {\n"
                      "        \"should_epoch_stop\": false,\n"
                      "        \"should_evaluate\": false,\n"
                      "        \"should_log\": false,\n        \"should_save\": true,\n"
                      "        \"should_training_stop\": %s\n      },\n"
                      "      \"attributes\": {}\n    }\n  },\n",
                      is_finished ? "true" : "false");
}

void ink_history_print(const struct ink_history *h, struct ink_string *out)
{
    ink_string_puts(out, "{\n");
    put_best(out, h);
    put_double(out, 2, "epoch", h->epoch);
    if (h->eval_steps > 0) {
        put_integer(out, "eval_steps", h->eval_steps);
    } else {
        ink_string_puts(out, "  \"eval_steps\": null,\n");
    }
    put_integer(out, "global_step", h->step);
    ink_string_puts(out, "  \"is_hyper_param_search\": false,\n"
                         "  \"is_local_process_zero\": true,\n"
                         "  \"is_world_process_zero\": true,\n");
    put_rows(out, h);
    put_integer(out, "logging_steps", h->logging_steps);
    put_integer(out, "max_steps", h->max_steps);
    put_integer(out, "num_input_tokens_seen", h->n_tokens);
    put_integer(out, "num_train_epochs", h->num_train_epochs);
    put_integer(out, "save_steps", h->save_steps);
    put_control(out, h->is_finished);
    put_double(out, 2, "total_flos", h->total_flos);
    put_integer(out, "train_batch_size", h->train_batch_size);
    ink_string_puts(out, "  \"trial_name\": null,\n  \"trial_params\": null\n}\n");
}

int ink_history_write(const struct ink_history *h, const char *folder, struct ink_error *error)
{
    struct ink_string text = {0};
    ink_history_print(h, &text);
    int status = text.failed
                     ? ink_fail_memory(error, text.length)
                     : ink_write_file(folder, INK_HISTORY_FILE, text.data, text.length, error);
    ink_string_free(&text);
    return status;
}
