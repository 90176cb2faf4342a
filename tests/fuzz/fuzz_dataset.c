/* The reader of training data. The first byte forces a format or none, and whether broken records
 * are left out; the second a schema or none. What was read must be readable again: each record,
 * written as a line of JSON, gives the same turns. */
#include "../../src/data/dataset_internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

static void need(bool holds)
{
    if (!holds) {
        abort();
    }
}

static bool is_same(const struct ink_sample *a, const struct ink_sample *b)
{
    bool same = a->n_turns == b->n_turns;
    for (int i = 0; i < a->n_turns && same; i++) {
        const struct ink_turn *x = &a->turns[i], *y = &b->turns[i];
        same = x->role == y->role && x->is_trained == y->is_trained &&
               strcmp(x->text, y->text) == 0 && x->n_text == strlen(x->text) && x->n_text > 0;
    }
    return same;
}

static int open_bytes(struct ink_dataset **out, const char *bytes, size_t n,
                      const struct ink_dataset_options *options, struct ink_error *error)
{
    struct ink_mapping file = {.data = (const unsigned char *)bytes, .size = n};
    return ink_dataset_open_mapped(out, &file, "fuzz", options, error);
}

/* The line alone, with the fields that the file has. */
static void read_again(const struct ink_dataset_info *info, const struct ink_string *line,
                       const struct ink_sample *sample)
{
    const bool is_json = info->format == INK_DATA_JSONL || info->format == INK_DATA_JSON;
    const struct ink_dataset_options options = {
        .format = INK_DATA_JSONL,
        .schema = info->schema,
        .input_field = is_json || !info->input_field ? info->input_field : "input",
        .output_field = is_json || !info->output_field ? info->output_field : "output"};
    struct ink_error error = {0};
    struct ink_dataset *d;
    struct ink_sample again = {0};
    if (open_bytes(&d, line->data, line->length, &options, &error) != INK_OK) {
        need(strstr(error.message, "preference") != NULL); /* only the first record is asked */
        return;
    }
    need(ink_dataset_get_info(d)->n_samples == 1);
    need(ink_dataset_read(d, &again, 0, &error) == INK_OK && is_same(sample, &again));
    ink_sample_free(&again);
    ink_dataset_close(d);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    struct ink_error error = {0};
    struct ink_dataset *d;
    struct ink_sample sample = {0};
    struct ink_string line = {0};
    if (n < 2) {
        return 0;
    }
    const struct ink_dataset_options options = {
        .format = (enum ink_data_format)(data[0] % INK_DATA_FORMAT_COUNT),
        .schema = (enum ink_schema)(data[1] % INK_SCHEMA_COUNT),
        .skip_bad = data[0] & 64,
        .max_line = data[0] & 128 ? 100 : 0};
    const int status = open_bytes(&d, (const char *)data + 2, n - 2, &options, &error);
    need((status == INK_OK) == (d != NULL) && (status == INK_OK || error.message[0]));
    for (size_t i = 0; d && i < ink_dataset_get_info(d)->n_samples; i++) {
        need(ink_dataset_read(d, &sample, i, &error) == INK_OK && sample.line > 0);
        line.length = 0;
        if (ink_dataset_append_record(d, &line, i, &error) == INK_OK) {
            need(!memchr(line.data, '\n', line.length));
            read_again(ink_dataset_get_info(d), &line, &sample);
        } else {
            need(strstr(error.message, "two columns would be") != NULL);
        }
    }
    ink_sample_free(&sample);
    ink_string_free(&line);
    ink_dataset_close(d);
    return 0;
}
