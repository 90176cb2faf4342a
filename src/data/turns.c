/* From the fields of a record to its turns. */
#include "dataset_internal.h"

#include <string.h>

struct builder {
    struct ink_sample *sample;
    const char *where;
    struct ink_error *error;
};

static int refuse(const struct builder *b, const char *why)
{
    return ink_fail(b->error, INK_ERROR_INPUT, "%s: %s", b->where, ink_text(why));
}

static int refuse_type(const struct builder *b, const char *key, const char *wanted)
{
    return ink_fail(b->error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", b->where, key,
                    ink_text(wanted));
}

static int refuse_missing(const struct builder *b, const char *key)
{
    return ink_fail(b->error, INK_ERROR_INPUT, "%s: \"%s\" is missing", b->where, key);
}

/* Open a turn; text is then appended to sample->memory, and end_turn called. n_text holds where the
 * text begins until then. */
static int begin_turn(struct builder *b, enum ink_role role, bool is_trained)
{
    struct ink_sample *s = b->sample;
    if (s->n_turns == s->turn_capacity) {
        const int capacity = s->turn_capacity ? 2 * s->turn_capacity : 4;
        struct ink_turn *turns = ink_realloc(s->turns, (size_t)capacity, sizeof *turns);
        if (!turns) {
            return ink_fail_memory(b->error, (size_t)capacity * sizeof *turns);
        }
        s->turns = turns;
        s->turn_capacity = capacity;
    }
    s->turns[s->n_turns++] =
        (struct ink_turn){.role = role, .is_trained = is_trained, .n_text = s->memory.length};
    return INK_OK;
}

static bool is_blank(const char *text, size_t n)
{
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", text[i])) {
        i++;
    }
    return i == n;
}

static int end_turn(struct builder *b, const char *key)
{
    struct ink_sample *s = b->sample;
    struct ink_turn *turn = &s->turns[s->n_turns - 1];
    const size_t from = turn->n_text;
    turn->n_text = s->memory.length - from;
    ink_string_append(&s->memory, "", 1);
    if (s->memory.failed) {
        return ink_fail_memory(b->error, s->memory.capacity);
    }
    if (is_blank(s->memory.data + from, turn->n_text)) {
        return ink_fail(b->error, INK_ERROR_INPUT, "%s: \"%s\" is empty", b->where, key);
    }
    return INK_OK;
}

static int add_turn(struct builder *b, enum ink_role role, bool is_trained, const char *text,
                    const char *key)
{
    int status = begin_turn(b, role, is_trained);
    if (status == INK_OK) {
        ink_string_puts(&b->sample->memory, text);
        status = end_turn(b, key);
    }
    return status;
}

/* A string member; NULL where it may be missing and is. */
static int get_text(const struct builder *b, const cJSON *object, const char *key, bool required,
                    const char **out)
{
    *out = NULL;
    return ink_json_get_string(object, key, required, out, b->where, b->error);
}

static int add_field(struct builder *b, enum ink_role role, const cJSON *object, const char *key)
{
    const char *text;
    int status = get_text(b, object, key, true, &text);
    return status == INK_OK ? add_turn(b, role, role != INK_ROLE_USER, text, key) : status;
}

/* One that is missing or "" gives no turn. */
static int add_system(struct builder *b, const cJSON *object, const char *key)
{
    const char *text;
    int status = get_text(b, object, key, false, &text);
    return status == INK_OK && text && *text ? add_turn(b, INK_ROLE_SYSTEM, false, text, key)
                                             : status;
}

static int refuse_tools(const struct builder *b, const cJSON *object, const char *key)
{
    const cJSON *tools = ink_json_get(object, key);
    const bool is_none = !tools || (cJSON_IsString(tools) && !*tools->valuestring) ||
                         (cJSON_IsArray(tools) && !tools->child);
    return is_none
               ? INK_OK
               : ink_fail(b->error, INK_ERROR_INPUT,
                          "%s: \"%s\" is not supported: write it into the texts", b->where, key);
}

/* -------------------------------------------------------------------------------------- schemas */

static int read_pair(struct builder *b, const struct ink_fields *f, const cJSON *object)
{
    int status = add_system(b, object, f->system);
    if (status == INK_OK) {
        status = add_field(b, INK_ROLE_USER, object, f->input);
    }
    return status == INK_OK ? add_field(b, INK_ROLE_ASSISTANT, object, f->output) : status;
}

static int read_history(struct builder *b, const cJSON *history)
{
    if (history && !cJSON_IsArray(history)) {
        return refuse_type(b, "history", "a list");
    }
    const cJSON *pair;
    cJSON_ArrayForEach(pair, history)
    {
        const cJSON *question = pair->child, *answer = question ? question->next : NULL;
        if (!cJSON_IsArray(pair) || !cJSON_IsString(question) || !cJSON_IsString(answer) ||
            answer->next) {
            return refuse_type(b, "history", "a list of pairs of strings");
        }
        int status = add_turn(b, INK_ROLE_USER, false, question->valuestring, "history");
        if (status == INK_OK) {
            status = add_turn(b, INK_ROLE_ASSISTANT, true, answer->valuestring, "history");
        }
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

static int read_alpaca(struct builder *b, const struct ink_fields *f, const cJSON *object)
{
    const char *instruction, *input;
    int status = add_system(b, object, f->system);
    if (status == INK_OK) {
        status = read_history(b, ink_json_get(object, "history"));
    }
    if (status == INK_OK) {
        status = get_text(b, object, "instruction", true, &instruction);
    }
    if (status == INK_OK) {
        status = get_text(b, object, "input", false, &input);
    }
    if (status == INK_OK) {
        status = begin_turn(b, INK_ROLE_USER, false);
    }
    if (status == INK_OK) {
        const bool has_both = *instruction && input && *input;
        ink_string_puts(&b->sample->memory, instruction);
        ink_string_puts(&b->sample->memory, has_both ? "\n" : "");
        ink_string_puts(&b->sample->memory, input ? input : "");
        status = end_turn(b, "instruction");
    }
    return status == INK_OK ? add_field(b, INK_ROLE_ASSISTANT, object, "output") : status;
}

/* A string stands for a list of it alone. Returns the first; *n how many. */
static const cJSON *as_list(const cJSON *value, int *n)
{
    const cJSON *first = cJSON_IsString(value) ? value : value ? value->child : NULL;
    *n = cJSON_IsString(value) ? 1 : cJSON_GetArraySize(value);
    return first;
}

static int read_labels(const struct builder *b, const cJSON *labels, int n)
{
    const cJSON *label;
    int n_labels = 0;
    cJSON_ArrayForEach(label, labels)
    {
        if (!cJSON_IsNumber(label) || (label->valuedouble != 0 && label->valuedouble != 1)) {
            return refuse_type(b, "label", "a list of 0 and 1");
        }
        n_labels++;
    }
    return labels && (!cJSON_IsArray(labels) || n_labels != n)
               ? ink_fail(b->error, INK_ERROR_INPUT, "%s: \"label\" is not a list of %d numbers",
                          b->where, n)
               : INK_OK;
}

static int read_erniekit(struct builder *b, const struct ink_fields *f, const cJSON *object)
{
    int n_src, n_tgt;
    const cJSON *labels = ink_json_get(object, "label");
    const cJSON *src = as_list(ink_json_get(object, "src"), &n_src);
    const cJSON *tgt = as_list(ink_json_get(object, "tgt"), &n_tgt);
    int status = read_labels(b, labels, n_tgt);
    if (status == INK_OK && (n_src != n_tgt || n_src == 0)) {
        return ink_fail(b->error, INK_ERROR_INPUT,
                        "%s: \"src\" has %d turns and \"tgt\" %d: there must be as many of both",
                        b->where, n_src, n_tgt);
    }
    if (status == INK_OK) {
        status = add_system(b, object, f->system);
    }
    const cJSON *label = labels ? labels->child : NULL;
    for (int i = 0; i < n_src && status == INK_OK; i++, src = src->next, tgt = tgt->next) {
        if (!cJSON_IsString(src) || !cJSON_IsString(tgt)) {
            return refuse_type(b, cJSON_IsString(src) ? "tgt" : "src", "a list of strings");
        }
        status = add_turn(b, INK_ROLE_USER, false, src->valuestring, "src");
        if (status == INK_OK) {
            status = add_turn(b, INK_ROLE_ASSISTANT, !label || label->valuedouble == 1,
                              tgt->valuestring, "tgt");
        }
        label = label ? label->next : NULL;
    }
    return status;
}

/* Who speaks, by the names of ShareGPT and OpenAI. */
static const struct speaker {
    const char *name;
    enum ink_role role;
    const char *before, *after;
} speakers[] = {
    {"user", INK_ROLE_USER, "", ""},
    {"human", INK_ROLE_USER, "", ""},
    {"assistant", INK_ROLE_ASSISTANT, "", ""},
    {"gpt", INK_ROLE_ASSISTANT, "", ""},
    {"system", INK_ROLE_SYSTEM, "", ""},
    {"developer", INK_ROLE_SYSTEM, "", ""},
    {"function_call", INK_ROLE_ASSISTANT, "<tool_call>", "</tool_call>"},
    {"observation", INK_ROLE_USER, "<tool_response>", "</tool_response>"},
    {"tool", INK_ROLE_USER, "<tool_response>", "</tool_response>"},
};

static const struct speaker *find_speaker(const cJSON *name)
{
    for (size_t i = 0; cJSON_IsString(name) && i < INK_COUNT(speakers); i++) {
        if (strcmp(speakers[i].name, name->valuestring) == 0) {
            return &speakers[i];
        }
    }
    return NULL;
}

/* A string, or OpenAI's list of parts of type text. */
static int append_content(struct builder *b, const cJSON *content, const char *key)
{
    if (cJSON_IsString(content)) {
        ink_string_puts(&b->sample->memory, content->valuestring);
        return INK_OK;
    }
    const cJSON *part;
    cJSON_ArrayForEach(part, content)
    {
        const cJSON *type = ink_json_get(part, "type"), *text = ink_json_get(part, "text");
        if (!cJSON_IsArray(content) || !cJSON_IsString(text) || !cJSON_IsString(type) ||
            strcmp(type->valuestring, "text") != 0) {
            return refuse_type(b, key, "a string or a list of parts of type text");
        }
        ink_string_puts(&b->sample->memory, text->valuestring);
    }
    return cJSON_IsArray(content) ? INK_OK : refuse_type(b, key, "a string");
}

static int read_weight(const struct builder *b, const cJSON *message, bool *is_trained)
{
    int weight = 1;
    int status = ink_json_get_int(message, "weight", 0, 1, false, &weight, b->where, b->error);
    *is_trained = weight == 1;
    return status;
}

static int read_message(struct builder *b, const cJSON *message)
{
    const cJSON *role = ink_json_get(message, "role");
    const cJSON *name = role ? role : ink_json_get(message, "from");
    const char *key = ink_json_get(message, "content") ? "content" : "value";
    const struct speaker *speaker = find_speaker(name);
    bool is_trained = true;
    if (!speaker) {
        return cJSON_IsString(name)
                   ? ink_fail(b->error, INK_ERROR_INPUT, "%s: unknown role \"%.40s\"", b->where,
                              name->valuestring)
                   : refuse(b, "a turn without a role");
    }
    int status = refuse_tools(b, message, "tool_calls");
    if (status == INK_OK) {
        status = read_weight(b, message, &is_trained);
    }
    if (status == INK_OK) {
        status = begin_turn(b, speaker->role, speaker->role == INK_ROLE_ASSISTANT && is_trained);
    }
    if (status == INK_OK) {
        ink_string_puts(&b->sample->memory, speaker->before);
        status = append_content(b, ink_json_get(message, key), key);
        ink_string_puts(&b->sample->memory, speaker->after);
    }
    return status == INK_OK ? end_turn(b, key) : status;
}

static int read_messages(struct builder *b, const struct ink_fields *f, const cJSON *object)
{
    const char *key = f->schema == INK_SCHEMA_MESSAGES ? "messages" : "conversations";
    const cJSON *list = ink_json_get(object, key), *message;
    int status = refuse_tools(b, object, "tools");
    if (status == INK_OK && !cJSON_IsArray(list)) {
        return list ? refuse_type(b, key, "a list") : refuse_missing(b, key);
    }
    if (status == INK_OK) {
        status = add_system(b, object, f->system);
    }
    cJSON_ArrayForEach(message, list)
    {
        if (status == INK_OK) {
            status = read_message(b, message);
        }
    }
    return status;
}

/* --------------------------------------------------------------------------------------- checks */

static int check_order(const struct builder *b)
{
    const struct ink_sample *s = b->sample;
    bool is_any_trained = false;
    if (s->n_turns == 1 && s->turns[0].role == INK_ROLE_TEXT) {
        return INK_OK;
    }
    const int first = s->n_turns > 0 && s->turns[0].role == INK_ROLE_SYSTEM;
    for (int i = first; i < s->n_turns; i++) {
        const enum ink_role wanted = (i - first) % 2 == 0 ? INK_ROLE_USER : INK_ROLE_ASSISTANT;
        if (s->turns[i].role != wanted) {
            return ink_fail(b->error, INK_ERROR_INPUT,
                            "%s: turn %d is the %s's, where the %s's must come", b->where, i + 1,
                            ink_role_name(s->turns[i].role), ink_role_name(wanted));
        }
        is_any_trained |= s->turns[i].is_trained;
    }
    if ((s->n_turns - first) % 2 != 0 || s->n_turns == first) {
        return refuse(b, "the last turn is not the assistant's");
    }
    return is_any_trained ? INK_OK : refuse(b, "none of its turns is to be learnt");
}

int ink_turns_read(struct ink_sample *out, const struct ink_fields *f, const cJSON *object,
                   const char *where, struct ink_error *error)
{
    struct builder b = {out, where, error};
    int status;
    out->n_turns = 0;
    out->memory.length = 0;
    out->memory.failed = false;
    switch (f->schema) {
    case INK_SCHEMA_ALPACA:
        status = read_alpaca(&b, f, object);
        break;
    case INK_SCHEMA_ERNIEKIT:
        status = read_erniekit(&b, f, object);
        break;
    case INK_SCHEMA_SHAREGPT:
    case INK_SCHEMA_MESSAGES:
        status = read_messages(&b, f, object);
        break;
    case INK_SCHEMA_TEXT:
        status = add_field(&b, INK_ROLE_TEXT, object, f->text);
        break;
    default:
        status = read_pair(&b, f, object);
    }
    if (status == INK_OK) {
        status = check_order(&b);
    }
    const char *text = out->memory.data;
    for (int i = 0; i < out->n_turns && status == INK_OK; i++) {
        out->turns[i].text = text;
        text += out->turns[i].n_text + 1;
    }
    if (status != INK_OK) {
        out->n_turns = 0;
    }
    return status;
}
