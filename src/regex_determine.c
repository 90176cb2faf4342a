/* Automata without choices of those with them: the subset construction. */
#include "regex.h"

#include <stdlib.h>
#include <string.h>

struct subset {
    int first, n; /* members[first .. first + n), in order */
    uint32_t hash;
};

struct determiner {
    const struct ink_regex_state *states; /* of the automaton with choices */
    const struct ink_range *ranges;
    struct subset *subsets; /* [INK_DFA_STATES] */
    int *members, n_members, members_room;
    int n_subsets;
    unsigned *mark; /* [INK_REGEX_NODES] */
    unsigned round;
    int *stack, *found; /* [INK_REGEX_NODES] */
    uint32_t *cuts;     /* [INK_REGEX_RANGES * 2] */
    long work;
    struct ink_error *error;
};

static int compare_ints(const void *a, const void *b)
{
    const int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

/* Everything that is reached without reading. Appends READ, AT_END and ACCEPT states to found. */
static int close_over(struct determiner *d, int start, int n, bool at_begin, bool at_end)
{
    int n_stack = 0;
    d->stack[n_stack++] = start;
    while (n_stack > 0) {
        int at = d->stack[--n_stack];
        d->work++;
        while (at >= 0 && d->mark[at] != d->round) {
            const struct ink_regex_state *s = &d->states[at];
            d->mark[at] = d->round;
            d->work++;
            if (s->kind == INK_REGEX_FORK) {
                if (s->b >= 0) {
                    d->stack[n_stack++] = s->b;
                }
                at = s->a;
            } else if (s->kind == INK_REGEX_AT_BEGIN || (s->kind == INK_REGEX_AT_END && at_end)) {
                at = s->kind == INK_REGEX_AT_END || at_begin ? s->a : -1;
            } else {
                d->found[n++] = at;
                at = -1;
            }
        }
    }
    return n;
}

/* The state of the n members in found; -1: there are too many. */
static int subset_of(struct determiner *d, int n)
{
    uint32_t hash = 2166136261u;
    if (n > 1) {
        qsort(d->found, (size_t)n, sizeof *d->found, compare_ints);
    }
    for (int i = 0; i < n; i++) {
        hash = (hash ^ (uint32_t)d->found[i]) * 16777619u;
    }
    /* the first is the start of the text, and no other place is like that */
    for (int i = 1; i < d->n_subsets; i++) {
        const struct subset *s = &d->subsets[i];
        d->work++;
        if (s->hash == hash && s->n == n &&
            memcmp(d->members + s->first, d->found, (size_t)n * sizeof *d->found) == 0) {
            return i;
        }
    }
    if (d->n_subsets == INK_DFA_STATES || d->n_members + n > d->members_room) {
        return -1;
    }
    memcpy(d->members + d->n_members, d->found, (size_t)n * sizeof *d->found);
    d->subsets[d->n_subsets] = (struct subset){d->n_members, n, hash};
    d->n_members += n;
    return d->n_subsets++;
}

/* May a text end here? What stands behind a $ counts then, too. */
static bool is_accepting(struct determiner *d, struct subset s, bool at_begin)
{
    int n = 0;
    d->round++;
    for (int i = 0; i < s.n; i++) {
        n = close_over(d, d->members[s.first + i], n, at_begin, true);
    }
    for (int i = 0; i < n; i++) {
        if (d->states[d->found[i]].kind == INK_REGEX_ACCEPT) {
            return true;
        }
    }
    return false;
}

static int compare_cuts(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Where the members' ranges begin and end: between two cuts all characters do the same. */
static int find_cuts(struct determiner *d, struct subset s)
{
    int n = 0, unique = 0;
    for (int i = 0; i < s.n; i++) {
        const struct ink_regex_state *t = &d->states[d->members[s.first + i]];
        for (int r = t->low; r < t->high && n + 2 <= INK_REGEX_RANGES * 2; r++) {
            d->cuts[n++] = d->ranges[r].low;
            d->cuts[n++] = d->ranges[r].high + 1;
        }
    }
    d->work += n;
    if (n > 1) {
        qsort(d->cuts, (size_t)n, sizeof *d->cuts, compare_cuts);
    }
    for (int i = 0; i < n; i++) {
        if (unique == 0 || d->cuts[i] != d->cuts[unique - 1]) {
            d->cuts[unique++] = d->cuts[i];
        }
    }
    return unique;
}

static bool reads(const struct determiner *d, const struct ink_regex_state *t, uint32_t c)
{
    int low = t->low, high = t->high;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (d->ranges[middle].high < c) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < t->high && d->ranges[low].low <= c;
}

static int too_much(struct determiner *d)
{
    return ink_fail(d->error, INK_ERROR_LIMIT,
                    "the automaton of a string is too large (limit %d "
                    "states, %d edges)",
                    INK_DFA_STATES, INK_DFA_EDGES);
}

static int determine_state(struct determiner *d, struct ink_dfa *out, int state)
{
    const struct subset s = d->subsets[state];
    int status = ink_dfa_add_state(out, is_accepting(d, s, state == 0), d->error);
    int n_cuts = find_cuts(d, s);
    for (int i = 0; i + 1 < n_cuts && status == INK_OK; i++) {
        int n = 0;
        d->round++;
        for (int k = 0; k < s.n; k++) {
            const struct ink_regex_state *t = &d->states[d->members[s.first + k]];
            d->work += 2;
            if (t->kind == INK_REGEX_READ && reads(d, t, d->cuts[i])) {
                n = close_over(d, t->a, n, false, false);
            }
        }
        if (n == 0 || d->cuts[i + 1] == 1) { /* U+0000 is never written */
            continue;
        }
        int target = subset_of(d, n);
        if (target < 0 || d->work > INK_REGEX_WORK) {
            return too_much(d);
        }
        status = ink_dfa_add_edge(out, d->cuts[i] > 0 ? d->cuts[i] : 1, d->cuts[i + 1] - 1,
                                  (uint32_t)target, d->error);
    }
    return status;
}

static int determine(struct determiner *d, struct ink_dfa *out, int start)
{
    d->round = 1;
    subset_of(d, close_over(d, start, 0, true, false));
    int status = INK_OK;
    for (int i = 0; i < d->n_subsets && status == INK_OK; i++) {
        status = determine_state(d, out, i);
    }
    return status;
}

int ink_regex_determine(struct ink_dfa *out, const struct ink_regex_state *states,
                        const struct ink_range *ranges, int start, long *work,
                        struct ink_error *error)
{
    struct determiner d = {
        .states = states, .ranges = ranges, .members_room = 200000, .work = *work, .error = error};
    d.subsets = ink_calloc(INK_DFA_STATES, sizeof *d.subsets);
    d.members = ink_calloc((size_t)d.members_room, sizeof *d.members);
    d.mark = ink_calloc(INK_REGEX_NODES, sizeof *d.mark);
    d.stack = ink_calloc(2 * INK_REGEX_NODES, sizeof *d.stack);
    d.found = ink_calloc(INK_REGEX_NODES, sizeof *d.found);
    d.cuts = ink_calloc((size_t)INK_REGEX_RANGES * 2, sizeof *d.cuts);
    int status = d.subsets && d.members && d.mark && d.stack && d.found && d.cuts
                     ? determine(&d, out, start)
                     : ink_fail_memory(error, (uint64_t)d.members_room * sizeof *d.members);
    *work = d.work + INK_REGEX_EACH;
    ink_free(d.subsets);
    ink_free(d.members);
    ink_free(d.mark);
    ink_free(d.stack);
    ink_free(d.found);
    ink_free(d.cuts);
    return status;
}
