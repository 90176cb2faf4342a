#include "tools.h"

#include <string.h>

/* ------------------------------------------------------------------------------------- requests */

static bool is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
    return n >= 1 && n <= 64 && s[n] == '\0';
}

const char *ink_tools_name(const struct ink_tool_set *tools, int i)
{
    return ink_json_get(tools->functions[i], "name")->valuestring;
}

static int find(const struct ink_tool_set *tools, const char *name)
{
    for (int i = 0; i < tools->n; i++) {
        if (strcmp(ink_tools_name(tools, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

static bool refuse(struct ink_fault *fault, const char *what)
{
    return ink_fault_set(fault, 400, "tools", "invalid_value", "%s", what);
}

static bool read_function(struct ink_tool_set *out, const cJSON *tool, struct ink_fault *fault)
{
    const cJSON *type = ink_json_get(tool, "type"), *f = ink_json_get(tool, "function");
    const cJSON *name = ink_json_get(f, "name"), *parameters = ink_json_get(f, "parameters");
    const cJSON *description = ink_json_get(f, "description");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "function") != 0) {
        return refuse(fault, "a tool's 'type' must be \"function\"");
    }
    if (!cJSON_IsObject(f) || !cJSON_IsString(name) || !is_name(name->valuestring)) {
        return refuse(fault, "a tool needs a 'function' whose 'name' has 1 to 64 of a-z, A-Z, 0-9, "
                             "_ and -");
    }
    if ((parameters && !cJSON_IsObject(parameters)) ||
        (description && !cJSON_IsString(description))) {
        return refuse(fault, "a function's 'parameters' must be a JSON schema, its 'description' a "
                             "string");
    }
    if (out->n == INK_TOOLS_MOST || find(out, name->valuestring) >= 0) {
        return refuse(fault, out->n == INK_TOOLS_MOST ? "'tools' has more than 128 functions"
                                                      : "two tools have the same name");
    }
    out->functions[out->n++] = f;
    return true;
}

static bool refuse_choice(struct ink_fault *fault)
{
    return ink_fault_set(fault, 400, "tool_choice", "invalid_value",
                         "'tool_choice' must be \"none\", \"auto\", \"required\", or {\"type\": "
                         "\"function\", \"function\": {\"name\": one of the tools}}");
}

static bool read_choice(struct ink_tool_set *out, const cJSON *choice, struct ink_fault *fault)
{
    static const struct {
        const char *word;
        enum ink_tool_choice choice;
    } words[] = {
        {"none", INK_TOOLS_NONE}, {"auto", INK_TOOLS_AUTO}, {"required", INK_TOOLS_REQUIRED}};
    for (size_t i = 0; cJSON_IsString(choice) && i < INK_COUNT(words); i++) {
        if (strcmp(choice->valuestring, words[i].word) == 0) {
            out->choice = words[i].choice;
            return out->n > 0 || out->choice != INK_TOOLS_REQUIRED || refuse_choice(fault);
        }
    }
    const cJSON *type = ink_json_get(choice, "type");
    const cJSON *name = ink_json_get(ink_json_get(choice, "function"), "name");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "function") != 0 ||
        !cJSON_IsString(name) || (out->chosen = find(out, name->valuestring)) < 0) {
        return refuse_choice(fault);
    }
    out->choice = INK_TOOLS_ONE;
    return true;
}

bool ink_tools_read(struct ink_tool_set *out, const struct ink_params *params,
                    struct ink_fault *fault)
{
    out->n = 0;
    out->choice = INK_TOOLS_NONE;
    if (params->tools && !cJSON_IsArray(params->tools)) {
        return refuse(fault, "'tools' must be an array");
    }
    const cJSON *tool;
    cJSON_ArrayForEach(tool, params->tools)
    {
        if (!read_function(out, tool, fault)) {
            return false;
        }
    }
    out->choice = out->n > 0 ? INK_TOOLS_AUTO : INK_TOOLS_NONE;
    if (params->tool_choice && !read_choice(out, params->tool_choice, fault)) {
        return false;
    }
    if (out->n == 0) {
        out->choice = INK_TOOLS_NONE;
    }
    return true;
}

/* ----------------------------------------------------------------------------------- the prompt */

static void append_tree(struct ink_string *out, const cJSON *tree)
{
    char *text = cJSON_PrintUnformatted(tree);
    ink_string_puts(out, text ? text : "");
    out->failed |= !text;
    cJSON_free(text);
}

static void append_function(struct ink_string *out, const cJSON *f)
{
    static const char *const keys[] = {"name", "description", "parameters"};
    ink_string_puts(out, "{");
    for (size_t i = 0; i < INK_COUNT(keys); i++) {
        const cJSON *value = ink_json_get(f, keys[i]);
        if (value) {
            ink_string_printf(out, "%s\"%s\": ", i > 0 ? ", " : "", keys[i]);
            append_tree(out, value);
        }
    }
    ink_string_puts(out, "}\n");
}

void ink_tools_describe(const struct ink_tool_set *tools, struct ink_string *out)
{
    ink_string_puts(out, "You may call functions. These are there, with JSON schemas of their "
                         "parameters:\n");
    for (int i = 0; i < tools->n; i++) {
        append_function(out, tools->functions[i]);
    }
    ink_string_puts(out, "To call one, write " INK_TOOL_CALL_BEGIN
                         "{\"name\": its name, \"arguments\": {its arguments}}" INK_TOOL_CALL_END
                         " and nothing after it; results follow in <tool_response>.");
}

void ink_tools_append_call(struct ink_string *out, const char *name, const char *arguments)
{
    ink_string_puts(out, INK_TOOL_CALL_BEGIN "{\"name\": ");
    ink_json_append_string(out, name, strlen(name));
    ink_string_puts(out, ", \"arguments\": ");
    ink_string_puts(out, arguments);
    ink_string_puts(out, "}" INK_TOOL_CALL_END);
}

/* -------------------------------------------------------------------------------------- answers */

static const char begin_mark[] = INK_TOOL_CALL_BEGIN, end_mark[] = INK_TOOL_CALL_END;

/* Where `mark` stands in held text, or where a part of it that may be completed begins. In a call
 * the text is JSON, and a mark inside one of its strings is none. */
static size_t find_mark(const struct ink_string *held, const char *mark, bool is_json,
                        bool *is_whole)
{
    size_t n = strlen(mark);
    bool in_string = false;
    for (size_t i = 0; i < held->length; i++) {
        size_t left = held->length - i, most = left < n ? left : n;
        if (!in_string && memcmp(held->data + i, mark, most) == 0) {
            *is_whole = most == n;
            return i;
        }
        in_string ^= is_json && held->data[i] == '"';
        i += in_string && held->data[i] == '\\';
    }
    *is_whole = false;
    return held->length;
}

static void drop(struct ink_string *held, size_t n)
{
    held->length -= n;
    memmove(held->data, held->data + n, held->length);
}

/* A call as it was written: {"name": ..., "arguments": {...}}. False: it is none. */
static bool report_call(struct ink_tool_reader *r, size_t n, ink_tool_found *found, void *context)
{
    static const struct ink_json_limits limits = {4u << 20, 1u << 18, 64};
    cJSON *call;
    if (ink_json_parse(&call, r->held.data, n, &limits, "tool call", NULL) != INK_OK) {
        return false;
    }
    const cJSON *name = ink_json_get(call, "name"), *arguments = ink_json_get(call, "arguments");
    char *text = cJSON_IsString(name) && cJSON_IsObject(arguments)
                     ? cJSON_PrintUnformatted(arguments)
                     : NULL;
    if (text) {
        found(context, r->n_calls++, name->valuestring, text);
    }
    cJSON_free(text);
    cJSON_Delete(call);
    return text != NULL;
}

/* One mark further. False: more text is needed. */
static bool advance(struct ink_tool_reader *r, struct ink_string *text, ink_tool_found *found,
                    void *context)
{
    bool is_whole;
    size_t at = find_mark(&r->held, r->in_call ? end_mark : begin_mark, r->in_call, &is_whole);
    if (!r->in_call) {
        ink_string_append(text, r->held.data, at);
        drop(&r->held, is_whole ? at + sizeof begin_mark - 1 : at);
        r->in_call = is_whole;
        return is_whole;
    }
    if (!is_whole) {
        return false;
    }
    if (!report_call(r, at, found, context)) { /* what does not parse is text */
        ink_string_puts(text, begin_mark);
        ink_string_append(text, r->held.data, at + sizeof end_mark - 1);
    }
    drop(&r->held, at + sizeof end_mark - 1);
    r->in_call = false;
    return true;
}

void ink_tool_reader_push(struct ink_tool_reader *r, struct ink_string *text, const char *bytes,
                          size_t n, ink_tool_found *found, void *context)
{
    ink_string_append(&r->held, bytes, n);
    text->failed |= r->held.failed;
    while (!r->held.failed && r->held.length > 0 && advance(r, text, found, context)) {
    }
}

void ink_tool_reader_flush(struct ink_tool_reader *r, struct ink_string *text)
{
    if (r->in_call) {
        ink_string_puts(text, begin_mark);
    }
    if (r->held.length > 0) {
        ink_string_append(text, r->held.data, r->held.length);
    }
    r->held.length = 0;
    r->in_call = false;
}

void ink_tool_reader_close(struct ink_tool_reader *r)
{
    ink_string_free(&r->held);
}
