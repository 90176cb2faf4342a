#include "dfa.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

void ink_dfa_close(struct ink_dfa *d)
{
    ink_free(d->states);
    ink_free(d->edges);
    *d = (struct ink_dfa){0};
}

static int too_large(struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_LIMIT,
                    "the automaton of a string is too large (limit %d "
                    "states, %d edges)",
                    INK_DFA_STATES, INK_DFA_EDGES);
}

int ink_dfa_add_state(struct ink_dfa *d, bool is_final, struct ink_error *error)
{
    if (d->n_states == INK_DFA_STATES) {
        return too_large(error);
    }
    if (d->n_states + 1 >= d->states_room) {
        uint32_t room = d->states_room ? 2 * d->states_room : 64;
        struct ink_dfa_state *more = ink_realloc(d->states, room, sizeof *more);
        if (!more) {
            return ink_fail_memory(error, room * sizeof *more);
        }
        d->states = more;
        d->states_room = room;
    }
    d->states[d->n_states++] = (struct ink_dfa_state){d->n_edges, is_final};
    d->states[d->n_states] = (struct ink_dfa_state){d->n_edges, false};
    return INK_OK;
}

int ink_dfa_add_edge(struct ink_dfa *d, uint32_t low, uint32_t high, uint32_t target,
                     struct ink_error *error)
{
    struct ink_dfa_edge *last = d->n_edges ? &d->edges[d->n_edges - 1] : NULL;
    if (d->n_edges > d->states[d->n_states - 1].first && last->target == target &&
        last->high + 1 == low) {
        last->high = high;
        return INK_OK;
    }
    if (d->n_edges == INK_DFA_EDGES) {
        return too_large(error);
    }
    if (d->n_edges == d->edges_room) {
        uint32_t room = d->edges_room ? 2 * d->edges_room : 64;
        struct ink_dfa_edge *more = ink_realloc(d->edges, room, sizeof *more);
        if (!more) {
            return ink_fail_memory(error, room * sizeof *more);
        }
        d->edges = more;
        d->edges_room = room;
    }
    d->edges[d->n_edges++] = (struct ink_dfa_edge){low, high, target};
    d->states[d->n_states].first = d->n_edges;
    return INK_OK;
}

/* --------------------------------------------------------------------------------- simple ones */

int ink_dfa_of_length(struct ink_dfa *out, uint32_t least, uint32_t most, struct ink_error *error)
{
    *out = (struct ink_dfa){0};
    const bool is_open = most == UINT32_MAX;
    uint32_t last = is_open ? least : most;
    int status = last < INK_DFA_STATES ? INK_OK : too_large(error);
    for (uint32_t n = 0; n <= last && status == INK_OK; n++) {
        status = ink_dfa_add_state(out, n >= least, error);
        if (status == INK_OK && (n < last || is_open)) {
            status = ink_dfa_add_edge(out, 1, INK_DFA_LAST, n < last ? n + 1 : n, error);
        }
    }
    return status;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names that share their first `depth` bytes: names[low .. high), sorted. */
struct group {
    uint32_t low, high, depth;
};

struct others {
    struct ink_dfa *out;
    const char **names;
    struct group *groups; /* [n_groups] one for each state from 1 on; state 0 is every text */
    uint32_t n_groups, room;
    struct ink_error *error;
};

static int add_group(struct others *o, struct group group)
{
    if (o->n_groups == o->room) {
        uint32_t room = o->room ? 2 * o->room : 64;
        struct group *more = ink_realloc(o->groups, room, sizeof *more);
        if (!more) {
            return ink_fail_memory(o->error, room * sizeof *more);
        }
        o->groups = more;
        o->room = room;
    }
    o->groups[o->n_groups++] = group;
    return INK_OK;
}

/* The state of a group: the next character leads to a smaller group, or to the free state `any`. */
static int add_group_state(struct others *o, struct group g, uint32_t any)
{
    const bool is_name = g.low < g.high && o->names[g.low][g.depth] == '\0';
    int status = ink_dfa_add_state(o->out, !is_name, o->error);
    uint32_t next = 1;
    for (uint32_t i = g.low; i < g.high && status == INK_OK;) {
        const char *at = o->names[i] + g.depth;
        if (*at == '\0') {
            i++;
            continue;
        }
        uint32_t c, end = i;
        int length = ink_utf8_decode(at, strlen(at), &c);
        while (end < g.high && strncmp(o->names[end] + g.depth, at, (size_t)length) == 0) {
            end++;
        }
        if (c > next) {
            status = ink_dfa_add_edge(o->out, next, c - 1, any, o->error);
        }
        if (status == INK_OK) {
            status = ink_dfa_add_edge(o->out, c, c, o->n_groups, o->error);
        }
        if (status == INK_OK) {
            status = add_group(o, (struct group){i, end, g.depth + (uint32_t)length});
        }
        next = c + 1;
        i = end;
    }
    return status == INK_OK && next <= INK_DFA_LAST
               ? ink_dfa_add_edge(o->out, next, INK_DFA_LAST, any, o->error)
               : status;
}

int ink_dfa_of_others(struct ink_dfa *out, const char *const *names, size_t n,
                      struct ink_error *error)
{
    *out = (struct ink_dfa){0};
    struct others o = {.out = out, .names = ink_calloc(n + 1, sizeof *o.names), .error = error};
    if (!o.names) {
        return ink_fail_memory(error, n * sizeof *o.names);
    }
    if (n > 0) {
        memcpy(o.names, names, n * sizeof *o.names);
        qsort(o.names, n, sizeof *o.names, compare_names);
    }
    /* group 0: all names; group 1: none, the free state */
    int status = add_group(&o, (struct group){0, (uint32_t)n, 0});
    if (status == INK_OK) {
        status = add_group(&o, (struct group){0, 0, 0});
    }
    for (uint32_t i = 0; i < o.n_groups && status == INK_OK; i++) {
        status = add_group_state(&o, o.groups[i], 1);
    }
    ink_free(o.names);
    ink_free(o.groups);
    return status;
}

/* --------------------------------------------------------------------------------- intersection */

struct pair {
    uint32_t a, b;
};

struct product {
    struct ink_dfa *out;
    struct pair *pairs; /* [n] one for each state, in the order in which they are met */
    uint32_t *table;    /* [table_size] states by their pairs; 0: none, else the state and 1 */
    uint32_t n;
};

enum { table_size = 32768 };

static uint32_t state_of(struct product *p, struct pair pair)
{
    uint32_t at = (pair.a * 2654435761u ^ pair.b * 40503u) % table_size;
    for (; p->table[at]; at = (at + 1) % table_size) {
        const struct pair *there = &p->pairs[p->table[at] - 1];
        if (there->a == pair.a && there->b == pair.b) {
            return p->table[at] - 1;
        }
    }
    if (p->n == INK_DFA_STATES) {
        return UINT32_MAX;
    }
    p->pairs[p->n] = pair;
    p->table[at] = p->n + 1;
    return p->n++;
}

static int add_product_state(struct product *p, const struct ink_dfa *a, const struct ink_dfa *b,
                             struct pair pair, struct ink_error *error)
{
    const struct ink_dfa_state *x = &a->states[pair.a], *y = &b->states[pair.b];
    int status = ink_dfa_add_state(p->out, x->is_final && y->is_final, error);
    uint32_t i = x[0].first, j = y[0].first;
    while (i < x[1].first && j < y[1].first && status == INK_OK) {
        const struct ink_dfa_edge *e = &a->edges[i], *f = &b->edges[j];
        uint32_t low = e->low > f->low ? e->low : f->low;
        uint32_t high = e->high < f->high ? e->high : f->high;
        if (low <= high) {
            uint32_t target = state_of(p, (struct pair){e->target, f->target});
            status = target != UINT32_MAX ? ink_dfa_add_edge(p->out, low, high, target, error)
                                          : too_large(error);
        }
        if (e->high <= f->high) {
            i++;
        } else {
            j++;
        }
    }
    return status;
}

int ink_dfa_intersect(struct ink_dfa *out, const struct ink_dfa *a, const struct ink_dfa *b,
                      struct ink_error *error)
{
    *out = (struct ink_dfa){0};
    struct product p = {.out = out,
                        .pairs = ink_calloc(INK_DFA_STATES, sizeof *p.pairs),
                        .table = ink_calloc(table_size, sizeof *p.table)};
    int status = INK_OK;
    if (p.pairs && p.table) {
        state_of(&p, (struct pair){0, 0});
        for (uint32_t i = 0; i < p.n && status == INK_OK; i++) {
            status = add_product_state(&p, a, b, p.pairs[i], error);
        }
    } else {
        status = ink_fail_memory(error, INK_DFA_STATES * sizeof *p.pairs);
    }
    ink_free(p.pairs);
    ink_free(p.table);
    return status;
}

/* ------------------------------------------------------------------------------------ questions */

bool ink_dfa_is_possible(const struct ink_dfa *d)
{
    bool seen[INK_DFA_STATES] = {true};
    uint32_t list[INK_DFA_STATES], n = 1;
    list[0] = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct ink_dfa_state *s = &d->states[list[i]];
        if (s->is_final) {
            return true;
        }
        for (uint32_t e = s[0].first; e < s[1].first; e++) {
            uint32_t target = d->edges[e].target;
            if (!seen[target]) {
                seen[target] = true;
                list[n++] = target;
            }
        }
    }
    return false;
}

bool ink_dfa_matches(const struct ink_dfa *d, const char *text)
{
    uint32_t state = 0;
    while (*text) {
        uint32_t c = 0, next = UINT32_MAX;
        int length = ink_utf8_decode(text, strlen(text), &c);
        for (uint32_t e = d->states[state].first; e < d->states[state + 1].first; e++) {
            if (d->edges[e].low <= c && c <= d->edges[e].high) {
                next = d->edges[e].target;
            }
        }
        if (length <= 0 || next == UINT32_MAX) {
            return false;
        }
        state = next;
        text += length;
    }
    return d->states[state].is_final;
}
