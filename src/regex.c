/* Patterns of ECMA-262 as automata over characters. Here the one with choices (Thompson 1968). */
#include "regex.h"

#include <string.h>

struct compiler {
    const struct ink_regex_parser *p;
    struct ink_regex_state *states; /* [INK_REGEX_NODES] */
    int n, n_calls;
    bool is_full;
};

static int add_state(struct compiler *c, enum ink_regex_state_kind kind, int a, int b)
{
    if (c->n == INK_REGEX_NODES) {
        c->is_full = true;
        return 0;
    }
    c->states[c->n] = (struct ink_regex_state){kind, a, b, 0, 0};
    return c->n++;
}

static int compile_repeat(struct compiler *c, const struct ink_regex_node *t, int next);

/* The state where `node` begins, if `next` follows it. */
static int compile(struct compiler *c, int node, int next)
{
    const struct ink_regex_node *t = &c->p->nodes[node];
    if (c->is_full || ++c->n_calls > 10 * INK_REGEX_NODES) { /* repeated nothing takes no states */
        c->is_full = true;
        return 0;
    }
    switch (t->kind) {
    case INK_REGEX_CHARACTER: {
        int s = add_state(c, INK_REGEX_READ, next, -1);
        c->states[s].low = t->a;
        c->states[s].high = t->b;
        return s;
    }
    case INK_REGEX_SEQUENCE: /* a is the sequence so far: a loop, as sequences are long */
        for (; t->kind == INK_REGEX_SEQUENCE && !c->is_full; t = &c->p->nodes[t->a]) {
            next = compile(c, t->b, next);
        }
        return next;
    case INK_REGEX_CHOICE: {
        int last = compile(c, t->b, next);
        for (t = &c->p->nodes[t->a]; t->kind == INK_REGEX_CHOICE && !c->is_full;
             t = &c->p->nodes[t->a]) {
            last = add_state(c, INK_REGEX_FORK, compile(c, t->b, next), last);
        }
        return add_state(c, INK_REGEX_FORK, compile(c, (int)(t - c->p->nodes), next), last);
    }
    case INK_REGEX_REPETITION:
        return compile_repeat(c, t, next);
    case INK_REGEX_BEGIN:
        return add_state(c, INK_REGEX_AT_BEGIN, next, -1);
    case INK_REGEX_END:
        return add_state(c, INK_REGEX_AT_END, next, -1);
    default:
        return next;
    }
}

static int compile_repeat(struct compiler *c, const struct ink_regex_node *t, int next)
{
    if (t->most == INK_REGEX_NO_LIMIT) {
        int loop = add_state(c, INK_REGEX_FORK, 0, next);
        int body = compile(c, t->a, loop);
        if (!c->is_full) {
            c->states[loop].a = body;
        }
        next = loop;
    }
    for (int i = t->least; i < t->most && !c->is_full; i++) {
        next = add_state(c, INK_REGEX_FORK, compile(c, t->a, next), next);
    }
    for (int i = 0; i < t->least && !c->is_full; i++) {
        next = compile(c, t->a, next);
    }
    return next;
}

/* Any characters, the pattern, any characters. */
static int compile_all(struct compiler *c, int root, int any)
{
    int accept = add_state(c, INK_REGEX_ACCEPT, -1, -1);
    int after = add_state(c, INK_REGEX_FORK, accept, -1);
    int skip = compile(c, any, after);
    c->states[after].b = skip;
    int before = add_state(c, INK_REGEX_FORK, compile(c, root, after), -1);
    int lead = compile(c, any, before);
    if (!c->is_full) {
        c->states[before].b = lead;
    }
    return before;
}

int ink_dfa_of_pattern(struct ink_dfa *out, const char *pattern, long *work, const char **why,
                       struct ink_error *error)
{
    *out = (struct ink_dfa){0};
    *why = NULL;
    struct ink_regex_parser p = {.at = pattern, .end = pattern + strlen(pattern)};
    struct compiler c = {.p = &p};
    p.nodes = ink_calloc(INK_REGEX_NODES, sizeof *p.nodes);
    p.ranges = ink_calloc(INK_REGEX_RANGES, sizeof *p.ranges);
    c.states = ink_calloc(INK_REGEX_NODES, sizeof *c.states);
    int status = INK_OK;
    if (!p.nodes || !p.ranges || !c.states) {
        status = ink_fail_memory(error, INK_REGEX_NODES * sizeof *c.states);
    } else if (p.end - p.at > INK_REGEX_PATTERN) {
        ink_regex_wrong(&p, "the pattern is too large");
    } else {
        int root = ink_regex_parse(&p);
        ink_regex_add_range(&p, 0, INK_DFA_LAST);
        int any = ink_regex_add_node(&p, INK_REGEX_CHARACTER, p.n_ranges - 1, p.n_ranges);
        int start = p.why ? 0 : compile_all(&c, root, any);
        if (c.is_full) {
            ink_regex_wrong(&p, "the pattern is too large");
        }
        status = p.why ? INK_OK : ink_regex_determine(out, c.states, p.ranges, start, work, error);
    }
    if (p.why) {
        *why = p.why;
        status = INK_ERROR_ARGUMENT;
    }
    ink_free(p.nodes);
    ink_free(p.ranges);
    ink_free(c.states);
    return status;
}
