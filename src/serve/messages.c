#include "messages.h"

#include <string.h>

enum { MOST_MESSAGES = 8192 };

static bool refuse(struct ink_fault *fault, const char *code, const char *why, int index)
{
    return ink_fault_set(fault, 400, "messages", code, "messages[%d]: %s", index, why);
}

static bool out_of_memory(struct ink_fault *fault)
{
    return ink_fault_set(fault, 503, NULL, "out_of_memory", "out of memory");
}

/* ------------------------------------------------------------------------------------- contents */

static bool append_part(struct ink_string *out, const cJSON *part, int index,
                        struct ink_fault *fault)
{
    const cJSON *type = ink_json_get(part, "type"), *text = ink_json_get(part, "text");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "text") != 0) {
        return refuse(fault, "unsupported_content",
                      "only parts of type \"text\" are supported, no images, audio or files",
                      index);
    }
    if (!cJSON_IsString(text)) {
        return refuse(fault, "invalid_type", "a text part needs a string 'text'", index);
    }
    ink_string_puts(out, text->valuestring);
    return true;
}

static bool append_content(struct ink_string *out, const cJSON *message, bool may_be_null,
                           int index, struct ink_fault *fault)
{
    const cJSON *content = ink_json_get(message, "content");
    if (cJSON_IsString(content)) {
        ink_string_puts(out, content->valuestring);
        return true;
    }
    if (!content && may_be_null) {
        return true;
    }
    if (!cJSON_IsArray(content)) {
        return refuse(fault, "invalid_type", "'content' must be a string or an array of text parts",
                      index);
    }
    const cJSON *part;
    cJSON_ArrayForEach(part, content)
    {
        if (!append_part(out, part, index, fault)) {
            return false;
        }
    }
    return true;
}

static bool append_call(struct ink_string *out, const cJSON *call, int index,
                        struct ink_fault *fault)
{
    const cJSON *f = ink_json_get(call, "function");
    const cJSON *name = ink_json_get(f, "name"), *arguments = ink_json_get(f, "arguments");
    if (!cJSON_IsString(name) || !cJSON_IsString(arguments)) {
        return refuse(fault, "invalid_type",
                      "a call in 'tool_calls' needs function.name and function.arguments, both "
                      "strings",
                      index);
    }
    ink_tools_append_call(out, name->valuestring, arguments->valuestring);
    return true;
}

/* ---------------------------------------------------------------------------------------- roles */

enum role { SYSTEM, USER, ASSISTANT, TOOL, N_ROLES };

static const struct {
    const char *name;
    enum role role;
} roles[] = {{"system", SYSTEM},
             {"developer", SYSTEM},
             {"user", USER},
             {"assistant", ASSISTANT},
             {"tool", TOOL}};

static bool read_role(enum role *out, const cJSON *message, int index, struct ink_fault *fault)
{
    const cJSON *role = ink_json_get(message, "role");
    for (size_t i = 0; cJSON_IsString(role) && i < INK_COUNT(roles); i++) {
        if (strcmp(role->valuestring, roles[i].name) == 0) {
            *out = roles[i].role;
            return true;
        }
    }
    return refuse(fault, "invalid_value",
                  "'role' must be system, developer, user, assistant or tool", index);
}

static bool is_empty(const cJSON *value)
{
    return cJSON_IsNull(value) || (cJSON_IsString(value) && *value->valuestring == '\0') ||
           ((cJSON_IsArray(value) || cJSON_IsObject(value)) && !value->child);
}

/* Who of several speaks. The chat format has no place for it; many clients send it all the same. */
static bool check_name(const cJSON *name, int index, struct ink_fault *fault)
{
    return cJSON_IsNull(name) || cJSON_IsString(name) ||
           refuse(fault, "invalid_type", "'name' must be a string", index);
}

/* Clients hand back the messages they were given, with fields that are empty. */
static bool check_keys(const cJSON *message, enum role role, int index, struct ink_fault *fault)
{
    for (const cJSON *item = message->child; item; item = item->next) {
        const char *key = item->string;
        if (strcmp(key, "name") == 0) {
            if (!check_name(item, index, fault)) {
                return false;
            }
            continue;
        }
        bool known = strcmp(key, "role") == 0 || strcmp(key, "content") == 0 ||
                     (role == ASSISTANT && strcmp(key, "tool_calls") == 0) ||
                     (role == TOOL && strcmp(key, "tool_call_id") == 0);
        if (!known && !is_empty(item)) {
            return ink_fault_set(fault, 400, "messages", "unsupported_parameter",
                                 "messages[%d]: '%.40s' is not supported", index, key);
        }
    }
    return true;
}

static bool append_message(struct ink_string *out, enum role role, const cJSON *message, int index,
                           struct ink_fault *fault)
{
    const cJSON *calls = role == ASSISTANT ? ink_json_get(message, "tool_calls") : NULL, *call;
    if (calls && !cJSON_IsArray(calls)) {
        return refuse(fault, "invalid_type", "'tool_calls' must be an array", index);
    }
    ink_string_puts(out, role == TOOL ? "<tool_response>" : "");
    if (!append_content(out, message, calls && calls->child, index, fault)) {
        return false;
    }
    ink_string_puts(out, role == TOOL ? "</tool_response>" : "");
    cJSON_ArrayForEach(call, calls)
    {
        if (!append_call(out, call, index, fault)) {
            return false;
        }
    }
    return true;
}

/* `text` becomes the message's. */
static void add(struct ink_messages *m, enum role role, struct ink_string *text)
{
    static const char *const names[N_ROLES] = {"system", "user", "assistant", "user"};
    m->owned[m->n_owned++] = text->data;
    m->list[m->n++] = (struct ink_message){names[role], text->data};
    *text = (struct ink_string){0};
}

static bool read_message(struct ink_messages *m, const cJSON *message, int index,
                         const struct ink_tool_set *tools, struct ink_fault *fault)
{
    struct ink_string text = {0};
    enum role role = USER;
    if (!cJSON_IsObject(message)) {
        return refuse(fault, "invalid_type", "must be an object", index);
    }
    bool ok = read_role(&role, message, index, fault) && check_keys(message, role, index, fault) &&
              append_message(&text, role, message, index, fault);
    if (ok && index == 0 && tools->choice != INK_TOOLS_NONE) {
        struct ink_string system = {0};
        if (role == SYSTEM) {
            system = text;
            text = (struct ink_string){0};
            ink_string_puts(&system, "\n\n");
        }
        ink_tools_describe(tools, &system);
        ok = !system.failed || out_of_memory(fault);
        add(m, SYSTEM, &system);
        if (role == SYSTEM) {
            return ok;
        }
    }
    ink_string_puts(&text, ""); /* data is there even for no text */
    if (ok && text.failed) {
        ok = out_of_memory(fault);
    }
    if (ok) {
        add(m, role, &text);
    }
    ink_string_free(&text);
    return ok;
}

bool ink_messages_read(struct ink_messages *out, const cJSON *messages,
                       const struct ink_tool_set *tools, struct ink_fault *fault)
{
    *out = (struct ink_messages){0};
    int n = cJSON_IsArray(messages) ? cJSON_GetArraySize(messages) : 0, index = 0;
    if (n < 1 || n > MOST_MESSAGES) {
        return ink_fault_set(fault, 400, "messages", "invalid_value",
                             "'messages' must be an array of 1 to %d messages", MOST_MESSAGES);
    }
    out->list = ink_calloc((size_t)n + 1, sizeof *out->list);
    out->owned = ink_calloc((size_t)n + 1, sizeof *out->owned);
    bool ok = (out->list && out->owned) || out_of_memory(fault);
    const cJSON *message;
    cJSON_ArrayForEach(message, messages)
    {
        ok = ok && read_message(out, message, index++, tools, fault);
    }
    if (!ok) {
        ink_messages_close(out);
    }
    return ok;
}

void ink_messages_close(struct ink_messages *m)
{
    for (int i = 0; i < m->n_owned; i++) {
        ink_free(m->owned[i]);
    }
    ink_free(m->owned);
    ink_free(m->list);
    *m = (struct ink_messages){0};
}
