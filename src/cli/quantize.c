#include "cli.h"
#include "input.h"
#include "interrupt.h"
#include "output.h"
#include "progress.h"
#include "utf8.h"

#include <math.h>
#include <string.h>

enum { NAME_WIDTH = 28, TYPE_WIDTH = 13, SHAPE_WIDTH = 14, NUMBER_WIDTH = 9 };

/* What is told once the file is there, and what that takes. */
struct report {
    bool json;
    struct ink_string rows, kept; /* of all tensors; of those that keep their type */
    int n_kept;
    uint64_t n_values, n_bytes, source_bytes;
    double squares, errors, max_error;
    struct ink_progress progress;
};

/* ------------------------------------------------------------------------------------- numbers */

/* Relative: what noise a unit of signal carries. */
static double rms(double errors, double squares)
{
    return squares > 0 ? sqrt(errors / squares) : 0;
}

static void append_cell(struct ink_string *out, const char *text, int width)
{
    ink_string_puts(out, "| ");
    ink_output_pad(out, text, width);
    ink_string_puts(out, " ");
}

static void append_number(struct ink_string *out, double value)
{
    ink_string_printf(out, "| %*.2e ", NUMBER_WIDTH, value);
}

static void append_shape(struct ink_string *out, const struct ink_quantized *t,
                         const char *separator)
{
    for (int d = 0; d < t->n_dims; d++) {
        ink_string_printf(out, "%s%lld", d ? separator : "", (long long)t->shape[d]);
    }
}

/* ---------------------------------------------------------------------------------- each tensor */

static void add_row(struct ink_string *out, const struct ink_quantized *t)
{
    struct ink_string type = {0}, shape = {0};
    bool changed = strcmp(t->source_type, t->type) != 0;
    ink_string_printf(&type, "%s%s%s", changed ? t->source_type : "", changed ? " > " : "",
                      t->type);
    append_shape(&shape, t, " x ");
    append_cell(out, t->name, NAME_WIDTH);
    append_cell(out, type.data ? type.data : "", TYPE_WIDTH);
    append_cell(out, shape.data ? shape.data : "", SHAPE_WIDTH);
    append_number(out, rms(t->errors, t->squares));
    append_number(out, t->max_error);
    ink_string_puts(out, "|\n");
    out->failed |= type.failed || shape.failed;
    ink_string_free(&type);
    ink_string_free(&shape);
}

static void add_object(struct ink_string *out, const struct ink_quantized *t)
{
    ink_string_puts(out, out->length > 0 ? ", {" : "{");
    ink_output_json_string(out, "name", t->name);
    ink_output_json_string(out, "type", t->type);
    ink_output_json_string(out, "source_name", t->source_name);
    ink_output_json_string(out, "source_type", t->source_type);
    ink_output_key(out, "shape");
    ink_string_puts(out, "[");
    append_shape(out, t, ", ");
    ink_string_puts(out, "]");
    ink_output_json_number(out, "rms_error", rms(t->errors, t->squares));
    ink_output_json_number(out, "max_error", t->max_error);
    ink_output_json_integer(out, "source_bytes", t->source_bytes);
    ink_output_json_integer(out, "bytes", t->n_bytes);
    ink_output_json_bool(out, "kept", t->is_kept);
    ink_string_puts(out, "}");
}

static uint64_t count_values(const struct ink_quantized *t)
{
    uint64_t n = 1;
    for (int d = 0; d < t->n_dims; d++) {
        n *= (uint64_t)t->shape[d];
    }
    return n;
}

static void add_tensor(void *context, const struct ink_quantized *t)
{
    struct report *r = context;
    (r->json ? add_object : add_row)(&r->rows, t);
    r->n_values += count_values(t);
    r->n_bytes += t->n_bytes;
    r->source_bytes += t->source_bytes;
    r->squares += t->squares;
    r->errors += t->errors;
    r->max_error = t->max_error > r->max_error ? t->max_error : r->max_error;
    if (t->is_kept) {
        ink_string_printf(&r->kept, "%s%s (%s)", r->n_kept++ ? ", " : "", t->name, t->type);
    }
}

static int show(void *context, uint64_t done, uint64_t total)
{
    struct report *r = context;
    ink_progress_show(&r->progress, done, total);
    return ink_interrupt_pending();
}

/* ----------------------------------------------------------------------------------- the report */

static void describe_text(struct ink_string *out, const struct report *r)
{
    char count[32];
    append_cell(out, ink_text("tensor"), NAME_WIDTH);
    append_cell(out, ink_text("type"), TYPE_WIDTH);
    append_cell(out, ink_text("shape"), SHAPE_WIDTH);
    append_cell(out, ink_text("RMS error"), NUMBER_WIDTH);
    append_cell(out, ink_text("max error"), NUMBER_WIDTH);
    ink_string_puts(out, "|\n| --- | --- | --- | ---: | ---: |\n");
    ink_string_append(out, r->rows.data, r->rows.length);
    snprintf(count, sizeof count, "%llu", (unsigned long long)r->n_values);
    append_cell(out, ink_text("all"), NAME_WIDTH);
    append_cell(out, "", TYPE_WIDTH);
    append_cell(out, count, SHAPE_WIDTH);
    append_number(out, rms(r->errors, r->squares));
    append_number(out, r->max_error);
    ink_string_puts(out, "|\n\n");
    ink_string_puts(out, ink_text("RMS error: relative to the RMS of the tensor's weights; max "
                                  "error: in units of the weights."));
    ink_string_puts(out, "\n");
    if (r->n_kept > 0) {
        ink_string_printf(out,
                          ink_text("not quantised, because their rows are no multiple of 32: %s\n"),
                          r->kept.data);
    }
    ink_string_printf(out, ink_text("weights: %llu bytes, were %llu (%.1f %%)\n"),
                      (unsigned long long)r->n_bytes, (unsigned long long)r->source_bytes,
                      100 * (double)r->n_bytes / (double)r->source_bytes);
}

static void describe_check(struct ink_string *out, const struct ink_divergence *d)
{
    ink_string_printf(out, ink_text("perplexity: %.4f, was %.4f (%+.3f %%)\n"), d->perplexity[1],
                      d->perplexity[0], 100 * (d->perplexity[1] / d->perplexity[0] - 1));
    ink_string_printf(
        out, ink_text("KL divergence per token: mean %.3g, 99th percentile %.3g, maximum %.3g\n"),
        d->kl_mean, d->kl_99, d->kl_max);
    ink_string_printf(out, ink_text("same best token: %.2f %% of %llu\n"), 100 * d->agreement,
                      (unsigned long long)d->n_tokens);
    ink_string_printf(out,
                      ink_text(d->has_begin_token
                                   ? "(natural logarithms; windows of %d tokens, each after the "
                                     "begin token; every token predicted)\n"
                                   : "(natural logarithms; windows of %d tokens; every token but "
                                     "the first of each predicted)\n"),
                      d->window);
}

static void describe_json(struct ink_string *out, const struct report *r,
                          const struct ink_options *o, const struct ink_divergence *d)
{
    ink_string_puts(out, "{");
    ink_output_json_string(out, "model", o->model);
    ink_output_json_string(out, "output", o->output);
    ink_output_key(out, "tensors");
    ink_string_puts(out, "[");
    ink_string_append(out, r->rows.data, r->rows.length);
    ink_string_puts(out, "]");
    ink_output_json_number(out, "rms_error", rms(r->errors, r->squares));
    ink_output_json_number(out, "max_error", r->max_error);
    ink_output_json_integer(out, "source_bytes", r->source_bytes);
    ink_output_json_integer(out, "bytes", r->n_bytes);
    if (d) {
        ink_output_key(out, "check");
        ink_string_puts(out, "{");
        ink_output_json_string(out, "data", o->check);
        ink_output_json_integer(out, "n_tokens", d->n_tokens);
        ink_output_json_integer(out, "window", (uint64_t)d->window);
        ink_output_json_bool(out, "begin_token", d->has_begin_token);
        ink_output_json_number(out, "perplexity_model", d->perplexity[0]);
        ink_output_json_number(out, "perplexity", d->perplexity[1]);
        ink_output_json_number(out, "kl_mean", d->kl_mean);
        ink_output_json_number(out, "kl_99", d->kl_99);
        ink_output_json_number(out, "kl_max", d->kl_max);
        ink_output_json_number(out, "agreement", d->agreement);
        ink_string_puts(out, "}");
    }
    ink_string_puts(out, "}\n");
}

static int print_report(const struct report *r, const struct ink_options *o,
                        const struct ink_divergence *d, struct ink_error *error)
{
    struct ink_string out = {0};
    if (o->json) {
        describe_json(&out, r, o, d);
    } else {
        describe_text(&out, r);
        if (d) {
            describe_check(&out, d);
        }
    }
    out.failed |= r->rows.failed || r->kept.failed;
    int status = ink_output_put_string(&out, error);
    ink_string_free(&out);
    return status;
}

/* ------------------------------------------------------------------------------------ the check */

/* The text that --check names, as ids. */
struct data {
    int32_t *ids;
    size_t n;
};

static int read_data(struct data *data, const struct ink_model *model, const char *path,
                     struct ink_error *error)
{
    struct ink_string text = {0};
    int status = ink_input_read_text(&text, path, error);
    size_t n_valid = status == INK_OK ? ink_utf8_valid_prefix(text.data, text.length) : 0;
    if (status == INK_OK && text.length == 0) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: empty", path);
    } else if (status == INK_OK && n_valid < text.length) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: not UTF-8 text (byte %llu)", path,
                          (unsigned long long)n_valid + 1);
    }
    if (status == INK_OK) {
        status = ink_tokenize(model, &data->ids, &data->n, text.data, text.length, false, error);
    }
    ink_string_free(&text);
    if (status == INK_OK && data->n <= INK_DIVERGENCE_LEAST) {
        status = ink_fail(error, INK_ERROR_INPUT,
                          "%s: %llu tokens are too few to judge a model by (at least %d)", path,
                          (unsigned long long)data->n, INK_DIVERGENCE_LEAST + 1);
    }
    return status;
}

static int open_one(struct ink_model **out, const char *path, enum ink_weight_type type,
                    const struct ink_options *o, struct ink_error *error)
{
    const struct ink_model_options options = {.threads = o->threads,
                                              .cpu_level = o->cpu_level,
                                              .weight_type = type,
                                              .tokenizer_dir = o->tokenizer_dir,
                                              .without_tokenizer = false};
    return ink_model_open(out, path, &options, error);
}

/* The model as it was, and the new file as it will be run. */
static int check(struct ink_divergence *d, const struct data *data, const struct ink_options *o,
                 struct report *r, struct ink_error *error)
{
    struct ink_model *model = NULL, *quantised = NULL;
    int status = open_one(&model, o->model, INK_WEIGHTS_NATIVE, o, error);
    if (status == INK_OK) {
        status = open_one(&quantised, o->output, INK_WEIGHTS_AUTO, o, error);
    }
    if (status == INK_OK) {
        ink_progress_open(&r->progress, ink_text("checking"), ink_text("tokens"), 1);
        status = ink_measure_divergence(d, model, quantised, data->ids, data->n,
                                        INK_DIVERGENCE_WINDOW, show, r, error);
        ink_progress_close(&r->progress);
    }
    ink_model_close(quantised);
    ink_model_close(model);
    return status;
}

/* -------------------------------------------------------------------------------- the command */

static bool is_float(const char *type)
{
    return strcmp(type, "F32") == 0 || strcmp(type, "F16") == 0 || strcmp(type, "BF16") == 0;
}

static int find_block_type(void *context, const char *name, const char *type, const int64_t *shape,
                           int n_dims, uint64_t n_bytes)
{
    (void)name;
    (void)shape;
    (void)n_dims;
    (void)n_bytes;
    *(const char **)context = type;
    return !is_float(type);
}

static void warn_of_blocks(const struct ink_model *model, const char *path)
{
    const char *type = ink_model_get_info(model)->weight_type;
    struct ink_string text = {0};
    if (is_float(type)) { /* most matrices; perhaps not the embedding */
        ink_model_visit_tensors(model, find_block_type, &type);
    }
    if (!is_float(type)) {
        ink_string_printf(&text,
                          ink_text("%s: is quantised already (%s): what that lost stays lost, and "
                                   "the errors below count from there"),
                          path, type);
    }
    if (text.data) {
        ink_cli_warn(text.data);
    }
    ink_string_free(&text);
}

static int write_file(struct report *r, const struct ink_model *model, const struct ink_options *o,
                      struct ink_error *error)
{
    warn_of_blocks(model, o->model);
    ink_progress_open(&r->progress, ink_text("writing"), "MB", 1e6);
    int status = ink_quantize(model, o->output, o->type, add_tensor, show, r, error);
    ink_progress_close(&r->progress);
    return status;
}

static int run(struct report *r, struct data *data, const struct ink_options *o,
               struct ink_error *error)
{
    struct ink_model *model;
    struct ink_divergence divergence;
    int status = ink_cli_open_model(
        &model, o, o->check ? INK_TOKENIZER_NEEDED : INK_TOKENIZER_WANTED, true, error);
    if (status == INK_OK && o->check) { /* what is wrong with it shows before the work */
        status = read_data(data, model, o->check, error);
    }
    if (status == INK_OK) {
        ink_interrupt_defer(true);
        status = write_file(r, model, o, error);
    }
    ink_model_close(model);
    if (status == INK_OK && o->check) {
        status = check(&divergence, data, o, r, error);
    }
    return status == INK_OK ? print_report(r, o, o->check ? &divergence : NULL, error) : status;
}

int ink_command_quantize(const struct ink_options *o, struct ink_error *error)
{
    static const char end[] = ".gguf";
    size_t n = o->output ? strlen(o->output) : 0, n_end = sizeof end - 1;
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "-o is missing (see --help)");
    }
    if (n <= n_end || strcmp(o->output + n - n_end, end) != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "-o: \"%s\" must be a file whose name ends in .gguf", o->output);
    }
    struct report r = {.json = o->json};
    struct data data = {0};
    int status = run(&r, &data, o, error);
    ink_free(data.ids);
    ink_string_free(&r.rows);
    ink_string_free(&r.kept);
    return status;
}
