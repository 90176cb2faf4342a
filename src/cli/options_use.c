/* What options mean: the preset, sampling, and their description in --help. */
#include "data/dataset.h"
#include "options.h"
#include "output.h"

#include <string.h>

enum { HELP_COLUMN = 30, ARTICLE_PROMPT_TOKENS = 256 };

static void prefer(struct ink_options *o, enum ink_option_id id, float value)
{
    const struct ink_option *option = &ink_options_table[id];
    void *field = (char *)o + option->offset;
    const unsigned char source =
        o->sources[o->command == INK_FOR_SERVE ? INK_OPTION_PRESET_SERVE : INK_OPTION_PRESET];
    if (o->sources[id] >= source && ink_options_has(o, id)) {
        return;
    }
    if (option->kind == INK_KIND_INT) {
        *(int *)field = (int)value;
    } else {
        *(float *)field = value;
    }
    o->sources[id] = source;
}

int ink_options_apply_preset(struct ink_options *o)
{
    if (!o->preset) {
        return 0;
    }
    prefer(o, INK_OPTION_TEMPERATURE, 0.9F);
    prefer(o, INK_OPTION_TOP_P, 0.95F);
    prefer(o, INK_OPTION_REPETITION_PENALTY, 1.2F);
    prefer(o, INK_OPTION_MAX_NEW_TOKENS, 128);
    return ARTICLE_PROMPT_TOKENS;
}

void ink_options_override_sampling(const struct ink_options *o, struct ink_sampling *out)
{
    if (ink_options_has(o, INK_OPTION_SEED)) {
        out->seed = o->seed;
    }
    if (ink_options_has(o, INK_OPTION_TEMPERATURE)) {
        out->temperature = o->temperature;
    }
    if (ink_options_has(o, INK_OPTION_TOP_K)) {
        out->top_k = o->top_k;
    }
    if (ink_options_has(o, INK_OPTION_TOP_P)) {
        out->top_p = o->top_p;
    }
    if (ink_options_has(o, INK_OPTION_REPETITION_PENALTY)) {
        out->repetition_penalty = o->repetition_penalty;
    }
    if (ink_options_has(o, INK_OPTION_PRESENCE_PENALTY)) {
        out->presence_penalty = o->presence_penalty;
    }
    if (ink_options_has(o, INK_OPTION_FREQUENCY_PENALTY)) {
        out->frequency_penalty = o->frequency_penalty;
    }
}

void ink_options_sampling(const struct ink_options *o, const struct ink_model *model,
                          struct ink_sampling *out)
{
    ink_sampling_defaults(model, out);
    ink_options_override_sampling(o, out);
}

enum ink_weight_type ink_options_weights(const struct ink_options *o)
{
    if (o->type) {
        return strcmp(o->type, "native") == 0 ? INK_WEIGHTS_NATIVE : INK_WEIGHTS_Q8_0;
    }
    return o->command & (INK_FOR_LOGITS | INK_FOR_DOCTOR | INK_FOR_EXPORT) ? INK_WEIGHTS_NATIVE
                                                                           : INK_WEIGHTS_AUTO;
}

enum ink_kv_type ink_options_kv(const struct ink_options *o, enum ink_kv_type fallback)
{
    if (!o->kv) {
        return fallback;
    }
    return strcmp(o->kv, "f32") == 0  ? INK_KV_F32
           : strcmp(o->kv, "q8") == 0 ? INK_KV_Q8
                                      : INK_KV_F16;
}

void ink_options_generator(const struct ink_options *o, int n_positions,
                           struct ink_generator_options *out)
{
    *out = (struct ink_generator_options){.n_positions = n_positions,
                                          .kv_type = ink_options_kv(o, INK_KV_F16),
                                          .max_draft = INK_MAX_DRAFT};
    if (o->draft && strcmp(o->draft, "off") == 0) {
        out->max_draft = 0;
    } else if (o->draft && strcmp(o->draft, "auto") != 0) {
        out->max_draft = o->draft[0] - '0';
        out->always_draft = true;
    }
}

void ink_options_dataset(const struct ink_options *o, struct ink_dataset_options *out)
{
    *out = (struct ink_dataset_options){
        .format = o->data_format ? ink_data_format_find(o->data_format) : INK_DATA_AUTO,
        .schema = o->schema ? ink_data_schema_find(o->schema) : INK_SCHEMA_AUTO,
        .input_field = o->input_field,
        .output_field = o->output_field,
        .system_field = o->system_field,
        .text_field = o->text_field,
        .skip_bad = o->skip_bad};
}

static void append_help(struct ink_string *out, const char *help)
{
    for (const char *line = help; *line;) {
        size_t n = strcspn(line, "\n");
        ink_string_append(out, line, n);
        ink_string_puts(out, "\n");
        line += n;
        if (*line == '\n') {
            line++;
            ink_output_pad(out, "", HELP_COLUMN);
        }
    }
}

static void describe(struct ink_string *out, const struct ink_option *option)
{
    struct ink_string head = {0};
    if (!option->name) {
        ink_string_printf(&head, "  -%c", option->letter);
    } else if (option->letter) {
        ink_string_printf(&head, "  -%c, --%s", option->letter, option->name);
    } else {
        ink_string_printf(&head, "  --%s", option->name);
    }
    const char *argument = option->argument ? option->argument : option->choices;
    if (argument) {
        ink_string_printf(&head, " %s", argument);
    }
    if (head.data && ink_output_width(head.data) > HELP_COLUMN - 2) {
        ink_string_puts(out, head.data);
        ink_string_puts(out, "\n");
        ink_output_pad(out, "", HELP_COLUMN);
    } else if (head.data) {
        ink_output_pad(out, head.data, HELP_COLUMN);
    }
    append_help(out, ink_text(option->help));
    out->failed |= head.failed;
    ink_string_free(&head);
}

void ink_options_describe(struct ink_string *out, unsigned command)
{
    for (int id = 0; id < INK_OPTION_COUNT; id++) {
        const struct ink_option *option = &ink_options_table[id];
        if ((option->commands & command) && !option->hidden) {
            describe(out, option);
        }
    }
}
