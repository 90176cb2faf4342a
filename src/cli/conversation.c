#include "conversation.h"
#include "file.h"
#include "json.h"

#include <string.h>

static const char *const role_names[] = {"user", "assistant", "system"};

void ink_conversation_clear(struct ink_conversation *c)
{
    while (c->n_turns > 0) {
        ink_conversation_remove_last(c);
    }
}

void ink_conversation_close(struct ink_conversation *c)
{
    ink_conversation_clear(c);
    ink_free(c->turns);
    ink_free(c->system);
    *c = (struct ink_conversation){0};
}

int ink_conversation_set_system(struct ink_conversation *c, const char *text,
                                struct ink_error *error)
{
    char *copy = NULL;
    if (text && *text) {
        copy = ink_strdup(text);
        if (!copy) {
            return ink_fail_memory(error, strlen(text));
        }
    }
    ink_free(c->system);
    c->system = copy;
    return INK_OK;
}

static bool grow(struct ink_conversation *c)
{
    if (c->n_turns < c->capacity) {
        return true;
    }
    int capacity = c->capacity * 2 + 16;
    struct ink_turn *turns = ink_realloc(c->turns, (size_t)capacity, sizeof *turns);
    if (turns) {
        c->turns = turns;
        c->capacity = capacity;
    }
    return turns != NULL;
}

int ink_conversation_add(struct ink_conversation *c, enum ink_role role, const char *text,
                         struct ink_error *error)
{
    char *copy = grow(c) ? ink_strdup(text) : NULL;
    if (!copy) {
        return ink_fail_memory(error, strlen(text));
    }
    c->turns[c->n_turns++] = (struct ink_turn){role, copy};
    return INK_OK;
}

enum ink_role ink_conversation_last(const struct ink_conversation *c)
{
    return c->n_turns > 0 ? c->turns[c->n_turns - 1].role : INK_ROLE_SYSTEM;
}

void ink_conversation_remove_last(struct ink_conversation *c)
{
    if (c->n_turns > 0) {
        ink_free(c->turns[--c->n_turns].text);
    }
}

bool ink_conversation_remove_oldest(struct ink_conversation *c)
{
    int n = 1;
    while (n < c->n_turns && c->turns[n].role != INK_ROLE_USER) {
        n++;
    }
    if (n >= c->n_turns) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        ink_free(c->turns[i].text);
    }
    c->n_turns -= n;
    memmove(c->turns, c->turns + n, (size_t)c->n_turns * sizeof *c->turns);
    return true;
}

int ink_conversation_encode(const struct ink_conversation *c, const struct ink_model *model,
                            int32_t **out, size_t *n, struct ink_error *error)
{
    size_t most = (size_t)c->n_turns + 1;
    struct ink_message *messages = ink_calloc(most, sizeof *messages);
    if (!messages) {
        return ink_fail_memory(error, most * sizeof *messages);
    }
    int count = 0;
    if (c->system) {
        messages[count++] = (struct ink_message){role_names[INK_ROLE_SYSTEM], c->system};
    }
    for (int i = 0; i < c->n_turns; i++) {
        messages[count++] = (struct ink_message){role_names[c->turns[i].role], c->turns[i].text};
    }
    int status = ink_chat_tokenize(model, out, n, messages, count, true, error);
    ink_free(messages);
    return status;
}

/* ---------------------------------------------------------------------------------------- save */

static void append_message(struct ink_string *out, enum ink_role role, const char *text)
{
    ink_string_puts(out, out->data[out->length - 1] == '[' ? "\n  " : ",\n  ");
    ink_string_printf(out, "{\"role\": \"%s\", \"content\": ", role_names[role]);
    ink_json_append_string(out, text, strlen(text));
    ink_string_puts(out, "}");
}

static int write_file(const struct ink_string *text, const char *path, struct ink_error *error)
{
    struct ink_writer writer = {0};
    int status = ink_writer_open(&writer, path, error);
    if (status == INK_OK) {
        status = ink_writer_put(&writer, text->data, text->length, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&writer, error);
    }
    ink_writer_close(&writer);
    return status;
}

int ink_conversation_save(const struct ink_conversation *c, const char *path,
                          struct ink_error *error)
{
    struct ink_string out = {0};
    ink_string_puts(&out, "{\"messages\": [");
    if (!out.failed && c->system) {
        append_message(&out, INK_ROLE_SYSTEM, c->system);
    }
    for (int i = 0; i < c->n_turns && !out.failed; i++) {
        append_message(&out, c->turns[i].role, c->turns[i].text);
    }
    ink_string_puts(&out, "\n]}\n");
    int status = out.failed ? ink_fail_memory(error, out.length) : write_file(&out, path, error);
    ink_string_free(&out);
    return status;
}

/* ---------------------------------------------------------------------------------------- load */

static int load_message(struct ink_conversation *c, const cJSON *item, const char *path,
                        struct ink_error *error)
{
    const char *role = NULL, *content = NULL;
    int status = ink_json_get_string(item, "role", true, &role, path, error);
    if (status == INK_OK) {
        status = ink_json_get_string(item, "content", true, &content, path, error);
    }
    if (status != INK_OK) {
        return status;
    }
    if (strcmp(role, role_names[INK_ROLE_SYSTEM]) == 0 && c->n_turns == 0 && !c->system) {
        return ink_conversation_set_system(c, content, error);
    }
    /* Questions and answers take turns; the first is a question. */
    enum ink_role expected =
        ink_conversation_last(c) == INK_ROLE_USER ? INK_ROLE_ASSISTANT : INK_ROLE_USER;
    if (strcmp(role, role_names[expected]) != 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: a message has role \"%s\" where \"%s\" is due",
                        path, role, role_names[expected]);
    }
    return ink_conversation_add(c, expected, content, error);
}

int ink_conversation_load(struct ink_conversation *c, const char *path, struct ink_error *error)
{
    cJSON *root = NULL;
    int status = ink_json_read_file(&root, path, error);
    if (status != INK_OK) {
        return status;
    }
    const cJSON *messages = ink_json_get(root, "messages"), *item;
    struct ink_conversation loaded = {0};
    if (!cJSON_IsArray(messages)) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: \"messages\" is missing or no array", path);
    } else {
        cJSON_ArrayForEach(item, messages)
        {
            if (status == INK_OK) {
                status = load_message(&loaded, item, path, error);
            }
        }
    }
    cJSON_Delete(root);
    if (status == INK_OK && ink_conversation_last(&loaded) == INK_ROLE_USER) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: the last question has no answer", path);
    }
    if (status == INK_OK) {
        ink_conversation_close(c);
        *c = loaded;
    } else {
        ink_conversation_close(&loaded);
    }
    return status;
}
