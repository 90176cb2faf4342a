/* tokenize and detokenize: a line in, a line out. */
#include "cli.h"
#include "input.h"
#include "output.h"

/* Turns one line into the text of one line of output. */
typedef int line_function(struct ink_string *out, const struct ink_model *model,
                          const struct ink_lines *lines, const struct ink_string *line,
                          bool special, struct ink_error *error);

static int line_to_ids(struct ink_string *out, const struct ink_model *model,
                       const struct ink_lines *lines, const struct ink_string *line, bool special,
                       struct ink_error *error)
{
    (void)lines;
    int32_t *ids = NULL;
    size_t n = 0;
    int status = ink_tokenize(model, &ids, &n, line->data, line->length, special, error);
    if (status == INK_OK) {
        ink_output_ids(out, ids, n);
    }
    ink_free(ids);
    return status;
}

static int line_to_text(struct ink_string *out, const struct ink_model *model,
                        const struct ink_lines *lines, const struct ink_string *line, bool special,
                        struct ink_error *error)
{
    int32_t *ids = NULL;
    char *text = NULL;
    size_t n = 0, n_text = 0;
    struct ink_error where;
    ink_fail(&where, INK_OK, "%s: line %llu", lines->name, (unsigned long long)lines->number);
    int status = ink_input_parse_ids(&ids, &n, line->data, line->length,
                                     ink_model_get_info(model)->vocab_size, where.message,
                                     INK_ERROR_INPUT, error);
    if (status == INK_OK) {
        status = ink_detokenize(model, &text, &n_text, ids, n, special, error);
    }
    if (status == INK_OK) {
        ink_string_append(out, text, n_text);
    }
    ink_free(ids);
    ink_free(text);
    return status;
}

static int each_line(const struct ink_model *model, struct ink_lines *lines,
                     line_function *function, bool special, struct ink_error *error)
{
    struct ink_string line = {0}, out = {0};
    bool got = true;
    int status = INK_OK;
    while (status == INK_OK) {
        status = ink_lines_next(lines, &line, &got, error);
        if (status != INK_OK || !got) {
            break;
        }
        out.length = 0;
        status = function(&out, model, lines, &line, special, error);
        if (status == INK_OK) {
            ink_string_puts(&out, "\n");
            status = ink_output_put_string(&out, error);
        }
        /* From a pipe every answer is wanted before the next question. */
        if (status == INK_OK && !lines->file && lines->taken == lines->n_held) {
            status = ink_output_flush(error);
        }
    }
    ink_string_free(&line);
    ink_string_free(&out);
    return status;
}

static int convert(const struct ink_options *o, line_function *function, struct ink_error *error)
{
    struct ink_model *model = NULL;
    struct ink_lines *lines = ink_calloc(1, sizeof *lines);
    if (!lines) {
        return ink_fail_memory(error, sizeof *lines);
    }
    int status = ink_lines_open(lines, o->file, error);
    if (status == INK_OK) {
        status = ink_cli_open_model(&model, o, INK_TOKENIZER_NEEDED, true, error);
    }
    if (status == INK_OK) {
        status = each_line(model, lines, function, o->special, error);
    }
    ink_lines_close(lines);
    ink_free(lines);
    ink_model_close(model);
    return status;
}

int ink_command_tokenize(const struct ink_options *options, struct ink_error *error)
{
    return convert(options, line_to_ids, error);
}

int ink_command_detokenize(const struct ink_options *options, struct ink_error *error)
{
    return convert(options, line_to_text, error);
}
