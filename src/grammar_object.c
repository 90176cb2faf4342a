/* Objects. Before each property stands a small trie of the names that may be next: those up to the
 * next required one, and after the last required one any other names. */
#include "grammar_json.h"

#include "json.h"

#include <string.h>

struct object {
    struct ink_builder *b;
    uint32_t rule, end;
    const struct ink_json_property *properties;
    uint32_t n, others;
    uint32_t free_from;  /* no property from here on is required */
    uint32_t *colons;    /* [n + 1] before the colon of a property; of others */
    uint32_t *after;     /* [n + 1] after the value of a property; of others */
    uint32_t other_name; /* rule: the name of another one and its quote */
};

/* ": " or ":" and a value. */
static void add_value(struct object *o, uint32_t from, uint32_t value, uint32_t to)
{
    uint32_t colon = ink_build_state(o->b, o->rule), space = ink_build_state(o->b, o->rule);
    ink_build_edge(o->b, from, ':', ':', 0, colon);
    ink_build_edge(o->b, colon, ' ', ' ', 0, space);
    ink_build_call(o->b, colon, value, 0, to);
    ink_build_call(o->b, space, value, 0, to);
}

/* Is nothing required from property i on? */
static bool may_end(const struct object *o, uint32_t i)
{
    return i >= o->free_from;
}

/* After the quote of a name, when the properties before i were there or left out. False: there is
 * no such name. */
static bool add_names(struct object *o, uint32_t i, uint32_t quote)
{
    bool any = false, is_open = true;
    for (; i < o->n && is_open && o->b->status == INK_OK; i++) {
        const struct ink_json_property *p = &o->properties[i];
        is_open = !p->is_required;
        if (p->is_never) {
            continue;
        }
        struct ink_string name = {0};
        ink_json_append_string(&name, p->name, strlen(p->name));
        if (name.failed) {
            ink_build_fail(o->b, ink_fail_memory(o->b->error, strlen(p->name)));
        } else {
            ink_build_path(o->b, quote, name.data + 1, name.length - 1, o->colons[i]);
        }
        ink_string_free(&name);
        any = true;
    }
    if (is_open && o->others != UINT32_MAX) {
        ink_build_call(o->b, quote, o->other_name, 0, o->colons[o->n]);
        any = true;
    }
    return any;
}

/* What may follow when the properties before i are done: the end, or a comma and more. */
static void add_next(struct object *o, uint32_t from, uint32_t i)
{
    if (may_end(o, i)) {
        ink_build_edge(o->b, from, '}', '}', 0, o->end);
    }
    uint32_t quote = ink_build_state(o->b, o->rule);
    if (add_names(o, i, quote)) {
        uint32_t comma = ink_build_state(o->b, o->rule), space = ink_build_state(o->b, o->rule);
        ink_build_edge(o->b, from, ',', ',', 0, comma);
        ink_build_edge(o->b, comma, '"', '"', 0, quote);
        ink_build_edge(o->b, comma, ' ', ' ', 0, space);
        ink_build_edge(o->b, space, '"', '"', 0, quote);
    }
}

static void build(struct object *o)
{
    struct ink_builder *b = o->b;
    uint32_t open = ink_build_state(b, o->rule), quote = ink_build_state(b, o->rule);
    o->end = ink_build_state(b, o->rule);
    ink_build_final(b, o->end);
    for (uint32_t i = 0; i <= o->n; i++) {
        o->colons[i] = ink_build_state(b, o->rule);
        o->after[i] = ink_build_state(b, o->rule);
    }
    ink_build_edge(b, ink_build_start(b, o->rule), '{', '{', 0, open);
    if (may_end(o, 0)) {
        ink_build_edge(b, open, '}', '}', 0, o->end);
    }
    if (add_names(o, 0, quote)) {
        ink_build_edge(b, open, '"', '"', 0, quote);
    }
    for (uint32_t i = 0; i < o->n && b->status == INK_OK; i++) {
        if (!o->properties[i].is_never) {
            add_value(o, o->colons[i], o->properties[i].rule, o->after[i]);
            add_next(o, o->after[i], i + 1);
        }
    }
    if (o->others != UINT32_MAX) {
        add_value(o, o->colons[o->n], o->others, o->after[o->n]);
        add_next(o, o->after[o->n], o->n);
    }
}

/* The rule for names that are none of the properties'. */
static void build_other_name(struct object *o, struct ink_json_rules *rules)
{
    struct ink_builder *b = o->b;
    struct ink_dfa d = {0};
    if (o->n == 0) {
        o->other_name = ink_json_rest_of_string(b, rules);
        return;
    }
    const char **names = ink_calloc(o->n, sizeof *names);
    int status = names ? INK_OK : ink_fail_memory(b->error, o->n * sizeof *names);
    for (uint32_t i = 0; i < o->n && status == INK_OK; i++) {
        names[i] = o->properties[i].name;
    }
    if (status == INK_OK) {
        status = ink_dfa_of_others(&d, names, o->n, b->error);
    }
    if (status == INK_OK) {
        o->other_name = ink_build_rule(b);
        uint32_t end = ink_build_state(b, o->other_name);
        ink_build_final(b, end);
        ink_dfa_build(b, &d, ink_build_start(b, o->other_name), end);
    } else {
        ink_build_fail(b, status);
    }
    ink_free(names);
    ink_dfa_close(&d);
}

int ink_json_object_of(struct ink_builder *b, uint32_t rule,
                       const struct ink_json_property *properties, uint32_t n, uint32_t others,
                       struct ink_json_rules *rules)
{
    struct object o = {.b = b, .rule = rule, .properties = properties, .n = n, .others = others};
    if (b->status != INK_OK) {
        return b->status;
    }
    for (uint32_t i = 0; i < n; i++) {
        o.free_from = properties[i].is_required ? i + 1 : o.free_from;
    }
    o.colons = ink_calloc((size_t)n + 1, sizeof *o.colons);
    o.after = ink_calloc((size_t)n + 1, sizeof *o.after);
    if (o.colons && o.after) {
        if (others != UINT32_MAX) {
            build_other_name(&o, rules);
        }
        build(&o);
    } else {
        ink_build_fail(b, ink_fail_memory(b->error, n * sizeof *o.after));
    }
    ink_free(o.colons);
    ink_free(o.after);
    return b->status;
}
