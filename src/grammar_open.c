/* The grammars of inkstone.h. Rule 0 is the root of each. */
#include "schema.h"

#include "json.h"

#include <stdio.h>
#include <string.h>

static int open_builder(struct ink_builder *b, struct ink_error *error)
{
    *b = (struct ink_builder){.error = error};
    ink_build_rule(b);
    return b->status;
}

/* The root's text is one of `rule`. */
static void set_root(struct ink_builder *b, uint32_t rule)
{
    uint32_t end = ink_build_state(b, 0);
    ink_build_final(b, end);
    ink_build_call(b, ink_build_start(b, 0), rule, 0, end);
}

static int finish(struct ink_grammar **out, struct ink_builder *b, int status,
                  const struct ink_model *model, struct ink_error *error)
{
    if (status == INK_OK) {
        status = ink_build_finish(out, b, 0, model, error);
    }
    ink_build_close(b);
    return status;
}

int ink_grammar_open_json(struct ink_grammar **out, const struct ink_model *model,
                          struct ink_error *error)
{
    struct ink_builder b;
    struct ink_json_rules rules = {0};
    *out = NULL;
    int status = open_builder(&b, error);
    if (status == INK_OK) {
        set_root(&b, ink_json_object(&b, &rules));
    }
    return finish(out, &b, status, model, error);
}

int ink_grammar_open_schema(struct ink_grammar **out, const struct ink_model *model,
                            const char *schema, size_t n, struct ink_error *error)
{
    struct ink_builder b;
    struct ink_json_rules rules = {0};
    uint32_t rule = 0;
    *out = NULL;
    int status = open_builder(&b, error);
    if (status == INK_OK) {
        status = ink_schema_build(&b, &rule, &rules, schema, n, "JSON schema", error);
    }
    if (status == INK_OK) {
        set_root(&b, rule);
    }
    return finish(out, &b, status, model, error);
}

/* --------------------------------------------------------------------------------------- tools */

enum { max_before = 64 };

struct caller {
    struct ink_builder *b;
    const struct ink_tools *tools;
    const char *before, *after, *between, *name_key, *arguments_key;
    uint32_t rule; /* of a call */
};

static uint32_t add_text(struct caller *c, uint32_t from, const char *text)
{
    return ink_build_text(c->b, from, text, strlen(text));
}

/* "key": and perhaps a space; returns the state after it. */
static uint32_t add_key(struct caller *c, uint32_t from, const char *key, uint32_t *after_space)
{
    struct ink_string text = {0};
    ink_json_append_string(&text, key, strlen(key));
    ink_string_puts(&text, ":");
    if (text.failed) {
        ink_build_fail(c->b, ink_fail_memory(c->b->error, strlen(key)));
    } else {
        from = add_text(c, from, text.data);
        *after_space = add_text(c, from, " ");
    }
    ink_string_free(&text);
    return from;
}

/* ,"arguments":VALUE} */
static void add_arguments(struct caller *c, uint32_t from, uint32_t value, uint32_t to)
{
    uint32_t comma = add_text(c, from, ","), space = add_text(c, comma, " "),
             end = ink_build_state(c->b, c->rule), open[2] = {0}, last;
    last = add_key(c, comma, c->arguments_key, &open[0]);
    ink_build_call(c->b, last, value, 0, end);
    ink_build_call(c->b, open[0], value, 0, end);
    last = add_key(c, space, c->arguments_key, &open[1]);
    ink_build_call(c->b, last, value, 0, end);
    ink_build_call(c->b, open[1], value, 0, end);
    ink_build_edge(c->b, end, '}', '}', 0, to);
}

static int add_tool(struct caller *c, int i, uint32_t from, uint32_t spaced, uint32_t to,
                    struct ink_json_rules *rules, struct ink_error *error)
{
    const struct ink_tool *tool = &c->tools->tools[i];
    struct ink_string name = {0};
    char what[160];
    uint32_t value = 0, named = ink_build_state(c->b, c->rule);
    snprintf(what, sizeof what, ink_text("parameters of tool \"%.100s\""), tool->name);
    int status = INK_OK;
    for (int k = 0; k < i; k++) {
        if (strcmp(c->tools->tools[k].name, tool->name) == 0) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "two tools have the same name (\"%.100s\")",
                            tool->name);
        }
    }
    if (tool->parameters) {
        status = ink_schema_build(c->b, &value, rules, tool->parameters, tool->n_parameters, what,
                                  error);
    } else {
        value = ink_json_object(c->b, rules);
    }
    ink_json_append_string(&name, tool->name, strlen(tool->name));
    if (status == INK_OK && name.failed) {
        status = ink_fail_memory(error, strlen(tool->name));
    }
    if (status == INK_OK) {
        ink_build_path(c->b, from, name.data, name.length, named);
        ink_build_path(c->b, spaced, name.data, name.length, named);
        add_arguments(c, named, value, to);
        status = c->b->status;
    }
    ink_string_free(&name);
    return status;
}

/* Any text up to `before`, after which comes `call`: each state has read so many bytes of it (the
 * automaton of Knuth, Morris and Pratt). */
static void add_free_text(struct caller *c, uint32_t call)
{
    const int n = (int)strlen(c->before);
    uint32_t states[max_before + 1];
    unsigned char next[max_before][256] = {{0}};
    for (int i = 0; i < n; i++) {
        states[i] = i == 0 ? ink_build_start(c->b, 0) : ink_build_state(c->b, 0);
        ink_build_open(c->b, states[i]);
    }
    states[n] = call;
    for (int i = 0, fallback = 0; i < n; i++) {
        const unsigned char byte = (unsigned char)c->before[i];
        if (i > 0) {
            memcpy(next[i], next[fallback], sizeof next[i]);
            fallback = next[fallback][byte];
        }
        next[i][byte] = (unsigned char)(i + 1);
        for (int low = 0, high; low < 256; low = high) {
            for (high = low + 1; high < 256 && next[i][high] == next[i][low]; high++) {
            }
            ink_build_edge(c->b, states[i], (unsigned)low, (unsigned)high - 1, 0,
                           states[next[i][low]]);
        }
    }
}

/* The rule of {"name":NAME,"arguments":VALUE}. */
static int add_call(struct caller *c, struct ink_error *error)
{
    struct ink_json_rules rules = {0};
    uint32_t spaced = 0, end;
    c->rule = ink_build_rule(c->b);
    end = ink_build_state(c->b, c->rule);
    ink_build_final(c->b, end);
    uint32_t brace = add_text(c, ink_build_start(c->b, c->rule), "{");
    uint32_t named = add_key(c, brace, c->name_key, &spaced);
    int status = c->b->status;
    for (int i = 0; i < c->tools->n_tools && status == INK_OK; i++) {
        status = add_tool(c, i, named, spaced, end, &rules, error);
    }
    return status;
}

static int add_root(struct caller *c, struct ink_error *error)
{
    struct ink_builder *b = c->b;
    int status = add_call(c, error);
    if (status != INK_OK) {
        return status;
    }
    uint32_t call, called = ink_build_state(b, 0);
    if (c->tools->is_required) {
        call = add_text(c, ink_build_start(b, 0), c->before);
    } else {
        call = ink_build_state(b, 0);
        add_free_text(c, call);
    }
    ink_build_call(b, call, c->rule, 0, called);
    uint32_t end = add_text(c, called, c->after);
    ink_build_final(b, end);
    if (!c->tools->is_single) {
        uint32_t again = add_text(c, add_text(c, end, c->between), c->before);
        ink_build_call(b, again, c->rule, 0, called);
    }
    return b->status;
}

static const char *or_else(const char *text, const char *otherwise)
{
    return text ? text : otherwise;
}

int ink_grammar_open_tools(struct ink_grammar **out, const struct ink_model *model,
                           const struct ink_tools *tools, struct ink_error *error)
{
    struct ink_builder b;
    struct caller c = {.b = &b,
                       .tools = tools,
                       .before = or_else(tools->before, ""),
                       .after = or_else(tools->after, ""),
                       .between = or_else(tools->between, ""),
                       .name_key = or_else(tools->name_key, "name"),
                       .arguments_key = or_else(tools->arguments_key, "arguments")};
    *out = NULL;
    if (tools->n_tools < 1) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "there are no tools to be called");
    }
    const size_t n = strlen(c.before);
    if (n > max_before || (n == 0 && !tools->is_required)) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "what comes before a call has %llu bytes (allowed are %d to %d)",
                        (unsigned long long)n, tools->is_required ? 0 : 1, max_before);
    }
    int status = open_builder(&b, error);
    if (status == INK_OK) {
        status = add_root(&c, error);
    }
    return finish(out, &b, status, model, error);
}
