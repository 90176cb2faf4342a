/* Which schema the fields of a record are of. */
#include "dataset_internal.h"

#include <string.h>

static const struct {
    const char *name, *input, *output;
} pairs[] = {
    {"input-output", "input", "output"},
    {"prompt-completion", "prompt", "completion"},
    {"question-answer", "question", "answer"},
    {"query-response", "query", "response"},
    {"问题-答案", "问题", "答案"},
};

static const char *usual_name(const cJSON *object, bool of_output)
{
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        const char *name = of_output ? pairs[i].output : pairs[i].input;
        if (cJSON_GetObjectItemCaseSensitive(object, name)) {
            return name;
        }
    }
    return NULL;
}

/* The fields that the user named, and usual names for what is not named. */
static int take_named(struct ink_fields *out, const struct ink_dataset_options *wanted,
                      const cJSON *object, const char *where, struct ink_error *error)
{
    out->schema = INK_SCHEMA_INPUT_OUTPUT;
    out->name = ink_data_schema_name(out->schema);
    out->input = wanted->input_field ? wanted->input_field : usual_name(object, false);
    out->output = wanted->output_field ? wanted->output_field : usual_name(object, true);
    if (!out->input || !out->output) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is missing", where,
                        out->input ? "output" : "input");
    }
    return INK_OK;
}

static bool take_pair(struct ink_fields *out, const cJSON *object)
{
    for (size_t i = 0; i < INK_COUNT(pairs); i++) {
        if (cJSON_GetObjectItemCaseSensitive(object, pairs[i].input) &&
            cJSON_GetObjectItemCaseSensitive(object, pairs[i].output)) {
            out->schema = INK_SCHEMA_INPUT_OUTPUT;
            out->name = pairs[i].name;
            out->input = pairs[i].input;
            out->output = pairs[i].output;
            return true;
        }
    }
    return false;
}

static int refuse_unknown(const cJSON *object, const char *where, struct ink_error *error)
{
    struct ink_string names = {0};
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        if (names.length < 400) {
            ink_string_printf(&names, "%s%.80s", item->prev->next ? ", " : "", item->string);
        }
    }
    int status = ink_fail(error, INK_ERROR_INPUT, "%s: no known schema has its fields (%s)", where,
                          names.data ? names.data : "");
    ink_string_free(&names);
    return status;
}

static enum ink_schema detect(struct ink_fields *out, const cJSON *object)
{
    static const struct {
        enum ink_schema schema;
        const char *first, *second;
    } signs[] = {
        {INK_SCHEMA_MESSAGES, "messages", "messages"},
        {INK_SCHEMA_SHAREGPT, "conversations", "conversations"},
        {INK_SCHEMA_ERNIEKIT, "src", "tgt"},
        {INK_SCHEMA_ALPACA, "instruction", "output"},
    };
    for (size_t i = 0; i < INK_COUNT(signs); i++) {
        if (cJSON_GetObjectItemCaseSensitive(object, signs[i].first) &&
            cJSON_GetObjectItemCaseSensitive(object, signs[i].second)) {
            return signs[i].schema;
        }
    }
    return take_pair(out, object)                                ? INK_SCHEMA_INPUT_OUTPUT
           : cJSON_GetObjectItemCaseSensitive(object, out->text) ? INK_SCHEMA_TEXT
                                                                 : INK_SCHEMA_AUTO;
}

/* Two answers to a question, of which one is better: there is no single answer to learn. */
static bool is_preference(const cJSON *object)
{
    return (ink_json_get(object, "chosen") && ink_json_get(object, "rejected")) ||
           (ink_json_get(object, "response") && ink_json_get(object, "sort"));
}

int ink_fields_detect(struct ink_fields *out, const struct ink_dataset_options *wanted,
                      const cJSON *object, const char *where, struct ink_error *error)
{
    *out = (struct ink_fields){.schema = wanted->schema,
                               .system = wanted->system_field ? wanted->system_field : "system",
                               .text = wanted->text_field ? wanted->text_field : "text"};
    if (is_preference(object)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: preference data (chosen and rejected answers) cannot be learnt from",
                        where);
    }
    if (wanted->input_field || wanted->output_field) {
        return take_named(out, wanted, object, where, error);
    }
    if (wanted->text_field) {
        out->schema = INK_SCHEMA_TEXT;
    }
    if (out->schema == INK_SCHEMA_AUTO) {
        out->schema = detect(out, object);
    } else if (out->schema == INK_SCHEMA_INPUT_OUTPUT && !take_pair(out, object)) {
        out->input = pairs[0].input;
        out->output = pairs[0].output;
    }
    if (out->schema == INK_SCHEMA_AUTO) {
        return refuse_unknown(object, where, error);
    }
    if (!out->name) {
        out->name = ink_data_schema_name(out->schema);
    }
    return INK_OK;
}
