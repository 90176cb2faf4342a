/* Patterns of ECMA-262 as automata over characters: parsed into a tree, from that an automaton with
 * choices (Thompson 1968), from that one without (the subset construction). Every size is limited,
 * and so is the work. */
#include "dfa.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

enum {
    max_pattern = 4096, /* bytes */
    max_depth = 32,     /* groups inside one another */
    max_nodes = 8000,   /* of the tree, and of the automaton */
    max_ranges = 20000,
    max_repeat = 1000,
    max_work = 6000000, /* of all patterns */
    each_work = 5000,   /* of one, at least */
    no_limit = -1,
};

struct range {
    uint32_t low, high;
};

enum node_kind { EMPTY, CHARACTER, SEQUENCE, CHOICE, REPEAT, BEGIN, END };

/* Of the tree. CHARACTER: ranges[a .. b). SEQUENCE, CHOICE: nodes a and b. REPEAT: node a, least to
 * most times. */
struct tree_node {
    enum node_kind kind;
    int a, b, least, most;
};

struct parser {
    const char *at, *end;
    struct tree_node *nodes; /* [max_nodes] */
    struct range *ranges;    /* [max_ranges] */
    int n_nodes, n_ranges, depth;
    const char *why; /* NULL: no error so far */
};

static int wrong(struct parser *p, const char *why)
{
    if (!p->why) {
        p->why = ink_text(why);
    }
    p->at = p->end;
    return 0;
}

static int add_node(struct parser *p, enum node_kind kind, int a, int b)
{
    if (p->n_nodes == max_nodes) {
        return wrong(p, "the pattern is too large");
    }
    p->nodes[p->n_nodes] = (struct tree_node){kind, a, b, 0, 0};
    return p->n_nodes++;
}

static void add_range(struct parser *p, uint32_t low, uint32_t high)
{
    if (p->n_ranges == max_ranges) {
        wrong(p, "the pattern is too large");
        return;
    }
    p->ranges[p->n_ranges++] = (struct range){low, high};
}

/* ------------------------------------------------------------------------------------- characters
 */

static int compare_ranges(const void *a, const void *b)
{
    const struct range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Sort ranges[from ..), join them; `negate`: what they leave out. */
static void tidy_ranges(struct parser *p, int from, bool negate)
{
    int n = from;
    if (p->n_ranges - from > 1) {
        qsort(p->ranges + from, (size_t)(p->n_ranges - from), sizeof *p->ranges, compare_ranges);
    }
    for (int i = from; i < p->n_ranges; i++) {
        struct range r = p->ranges[i];
        if (n > from && r.low <= p->ranges[n - 1].high + 1) {
            p->ranges[n - 1].high = r.high > p->ranges[n - 1].high ? r.high : p->ranges[n - 1].high;
        } else {
            p->ranges[n++] = r;
        }
    }
    p->n_ranges = n;
    if (!negate) {
        return;
    }
    uint32_t next = 0;
    const int end = p->n_ranges;
    for (int i = from; i < end; i++) {
        struct range r = p->ranges[i];
        if (r.low > next) {
            add_range(p, next, r.low - 1);
        }
        next = r.high + 1;
    }
    if (next <= INK_DFA_LAST) {
        add_range(p, next, INK_DFA_LAST);
    }
    memmove(p->ranges + from, p->ranges + end, (size_t)(p->n_ranges - end) * sizeof *p->ranges);
    p->n_ranges -= end - from;
}

/* \d, \w, \s and what they leave out. False: `letter` is none of them. */
static bool add_class(struct parser *p, char letter)
{
    static const struct range digits[] = {{'0', '9'}},
                              words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}},
                              spaces[] = {{9, 13},          {' ', ' '},       {0xA0, 0xA0},
                                          {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029},
                                          {0x202F, 0x202F}, {0x205F, 0x205F}, {0x3000, 0x3000},
                                          {0xFEFF, 0xFEFF}};
    const char lower = (char)(letter | 32);
    const struct range *set = lower == 'd' ? digits : lower == 'w' ? words : spaces;
    const size_t n = lower == 'd'   ? INK_COUNT(digits)
                     : lower == 'w' ? INK_COUNT(words)
                                    : INK_COUNT(spaces);
    if (lower != 'd' && lower != 'w' && lower != 's') {
        return false;
    }
    const int from = p->n_ranges;
    for (size_t i = 0; i < n; i++) {
        add_range(p, set[i].low, set[i].high);
    }
    if (letter != lower) { /* only these ranges: those before stay */
        tidy_ranges(p, from, true);
    }
    return true;
}

static uint32_t read_hex(struct parser *p, int n)
{
    uint32_t c = 0;
    for (int i = 0; i < n; i++) {
        const char *digits = "0123456789abcdef";
        const char letter = p->at < p->end ? *p->at : 0;
        const char *digit =
            letter ? strchr(digits, letter >= 'A' && letter <= 'F' ? letter + 32 : letter) : NULL;
        if (!digit) {
            wrong(p, "a bad escape");
            return 0;
        }
        c = c * 16 + (uint32_t)(digit - digits);
        p->at++;
    }
    return c;
}

static uint32_t read_braced_hex(struct parser *p)
{
    uint32_t c = 0;
    int n = 0;
    for (p->at++; p->at < p->end && *p->at != '}' && n < 7; n++) {
        c = c * 16 + read_hex(p, 1);
    }
    if (p->at == p->end || n == 0 || n == 7 || c > INK_DFA_LAST) {
        wrong(p, "a bad escape");
        return 0;
    }
    p->at++;
    return c;
}

static uint32_t read_unicode_escape(struct parser *p)
{
    if (p->at < p->end && *p->at == '{') {
        return read_braced_hex(p);
    }
    uint32_t c = read_hex(p, 4);
    if (c >= 0xD800 && c < 0xDC00 && p->end - p->at >= 6 && p->at[0] == '\\' && p->at[1] == 'u') {
        p->at += 2;
        uint32_t low = read_hex(p, 4);
        if (low >= 0xDC00 && low < 0xE000) {
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
        c = low;
    }
    if (c >= 0xD800 && c < 0xE000) {
        wrong(p, "a bad escape");
    }
    return c;
}

/* After a backslash: one character. */
static uint32_t read_escape(struct parser *p, bool in_class)
{
    static const char letters[] = "n\nr\rt\tf\fv\v";
    if (p->at == p->end) {
        return (uint32_t)wrong(p, "a bad escape");
    }
    const char c = *p->at;
    if ((unsigned char)c >= 0x80) {
        uint32_t wide;
        p->at += ink_utf8_decode(p->at, (size_t)(p->end - p->at), &wide);
        return wide;
    }
    p->at++;
    for (const char *l = letters; *l; l += 2) {
        if (*l == c) {
            return (unsigned char)l[1];
        }
    }
    if (c == 'b' && in_class) {
        return '\b';
    }
    if (c == 'x') {
        return read_hex(p, 2);
    }
    if (c == 'u') {
        return read_unicode_escape(p);
    }
    if (c == '0' && (p->at == p->end || *p->at < '0' || *p->at > '9')) {
        return 0;
    }
    if ((c >= '0' && c <= '9') || c == 'k') {
        return (uint32_t)wrong(p, "back-references are not supported");
    }
    if (c == 'b' || c == 'B') {
        return (uint32_t)wrong(p, "word boundaries are not supported");
    }
    if (c == 'p' || c == 'P') {
        return (uint32_t)wrong(p, "Unicode properties are not supported");
    }
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
        return (uint32_t)wrong(p, "a bad escape");
    }
    return (unsigned char)c;
}

static uint32_t read_plain(struct parser *p)
{
    uint32_t c = 0;
    int n = ink_utf8_decode(p->at, (size_t)(p->end - p->at), &c);
    if (n <= 0) {
        return (uint32_t)wrong(p, "a bad character");
    }
    p->at += n;
    return c;
}

/* One character of a class, or a whole class: then `is_class` is set. */
static uint32_t read_member(struct parser *p, bool *is_class)
{
    *is_class = false;
    if (*p->at != '\\') {
        return read_plain(p);
    }
    p->at++;
    if (p->at < p->end && add_class(p, *p->at)) {
        p->at++;
        *is_class = true;
        return 0;
    }
    return read_escape(p, true);
}

static int read_set(struct parser *p)
{
    const int from = p->n_ranges;
    const bool negate = p->at < p->end && *p->at == '^';
    p->at += negate;
    while (p->at < p->end && *p->at != ']') {
        bool is_class, other;
        uint32_t low = read_member(p, &is_class), high = low;
        if (!is_class && p->end - p->at >= 2 && p->at[0] == '-' && p->at[1] != ']') {
            p->at++;
            high = read_member(p, &other);
            if (other || high < low) {
                return wrong(p, "a bad range");
            }
        }
        if (!is_class) {
            add_range(p, low, high);
        }
    }
    if (p->at == p->end) {
        return wrong(p, "a set without its end");
    }
    p->at++;
    tidy_ranges(p, from, negate);
    return add_node(p, CHARACTER, from, p->n_ranges);
}

/* --------------------------------------------------------------------------------------- the tree
 */

static int read_choice(struct parser *p);

static int read_group(struct parser *p)
{
    if (p->end - p->at >= 2 && p->at[0] == '?') {
        const char kind = p->at[1], next = p->end - p->at >= 3 ? p->at[2] : 0;
        if (kind == '=' || kind == '!' || (kind == '<' && (next == '=' || next == '!'))) {
            return wrong(p, "lookaround is not supported");
        }
        if (kind == '<') {
            while (p->at < p->end && *p->at != '>') {
                p->at++;
            }
            p->at += p->at < p->end;
        } else if (kind == ':') {
            p->at += 2;
        } else {
            return wrong(p, "an unknown kind of group");
        }
    }
    if (++p->depth > max_depth) {
        return wrong(p, "the pattern nests too deep");
    }
    int node = read_choice(p);
    p->depth--;
    if (p->at == p->end || *p->at != ')') {
        return wrong(p, "a group without its end");
    }
    p->at++;
    return node;
}

static int read_atom(struct parser *p)
{
    const int from = p->n_ranges;
    const char c = *p->at;
    if (c == '(' || c == '[' || c == '^' || c == '$' || c == '.') {
        p->at++;
    }
    switch (c) {
    case '(':
        return read_group(p);
    case '[':
        return read_set(p);
    case '^':
        return add_node(p, BEGIN, 0, 0);
    case '$':
        return add_node(p, END, 0, 0);
    case '.':
        add_range(p, '\n', '\n');
        add_range(p, '\r', '\r');
        add_range(p, 0x2028, 0x2029);
        tidy_ranges(p, from, true);
        return add_node(p, CHARACTER, from, p->n_ranges);
    case '*':
    case '+':
    case '?':
        return wrong(p, "nothing to repeat");
    default:
        break;
    }
    if (c == '\\' && p->end - p->at >= 2 && add_class(p, p->at[1])) {
        p->at += 2;
        return add_node(p, CHARACTER, from, p->n_ranges);
    }
    p->at += c == '\\';
    uint32_t one = c == '\\' ? read_escape(p, false) : read_plain(p);
    add_range(p, one, one);
    return add_node(p, CHARACTER, from, p->n_ranges);
}

/* A number of up to 9 digits; -1: there is none. */
static int read_number(struct parser *p)
{
    int n = -1;
    for (; p->at < p->end && *p->at >= '0' && *p->at <= '9'; p->at++) {
        n = (n < 0 ? 0 : n * 10) + (*p->at - '0');
        n = n > 99999999 ? 99999999 : n;
    }
    return n;
}

/* {n}, {n,}, {n,m}. False: it is none, and a brace is a brace. */
static bool read_braces(struct parser *p, int *least, int *most)
{
    const char *start = p->at++;
    *least = *most = read_number(p);
    if (*least >= 0 && p->at < p->end && *p->at == ',') {
        p->at++;
        *most = read_number(p);
        *most = *most < 0 ? no_limit : *most;
    }
    if (*least < 0 || p->at == p->end || *p->at != '}') {
        p->at = start;
        return false;
    }
    p->at++;
    return true;
}

static int read_repeat(struct parser *p)
{
    int node = read_atom(p);
    if (p->at == p->end || !*p->at || !strchr("*+?{", *p->at)) {
        return node;
    }
    int least = *p->at == '+', most = *p->at == '?' ? 1 : no_limit;
    if (*p->at != '{') {
        p->at++;
    } else if (!read_braces(p, &least, &most)) {
        return node;
    }
    p->at += p->at < p->end && *p->at == '?'; /* lazy: the same texts */
    if (least > max_repeat || most > max_repeat) {
        return wrong(p, "a repetition of more than 1000");
    }
    if (most != no_limit && most < least) {
        return wrong(p, "a bad repetition");
    }
    node = add_node(p, REPEAT, node, 0);
    if (!p->why) {
        p->nodes[node].least = least;
        p->nodes[node].most = most;
    }
    return node;
}

static int read_sequence(struct parser *p)
{
    int node = add_node(p, EMPTY, 0, 0);
    while (p->at < p->end && *p->at != '|' && *p->at != ')') {
        int next = *p->at == '{' ? -1 : read_repeat(p), least, most;
        if (next < 0) { /* a brace that begins nothing */
            const int from = p->n_ranges;
            if (read_braces(p, &least, &most)) {
                return wrong(p, "nothing to repeat");
            }
            p->at++;
            add_range(p, '{', '{');
            next = add_node(p, CHARACTER, from, p->n_ranges);
        }
        node = add_node(p, SEQUENCE, node, next);
    }
    return node;
}

static int read_choice(struct parser *p)
{
    int node = read_sequence(p);
    while (p->at < p->end && *p->at == '|') {
        p->at++;
        int other = read_sequence(p);
        node = add_node(p, CHOICE, node, other);
    }
    return node;
}

/* ----------------------------------------------------------------- the automaton with choices */

enum state_kind { FORK, READ, AT_BEGIN, AT_END, ACCEPT };

/* FORK: goes on at a and b (-1: only a). READ: a character of ranges[low .. high), then a. */
struct thread_state {
    enum state_kind kind;
    int a, b, low, high;
};

struct compiler {
    const struct parser *p;
    struct thread_state *states; /* [max_nodes] */
    int n, n_calls;
    bool is_full;
};

static int add_state(struct compiler *c, enum state_kind kind, int a, int b)
{
    if (c->n == max_nodes) {
        c->is_full = true;
        return 0;
    }
    c->states[c->n] = (struct thread_state){kind, a, b, 0, 0};
    return c->n++;
}

static int compile_repeat(struct compiler *c, const struct tree_node *t, int next);

/* The state where `node` begins, if `next` follows it. */
static int compile(struct compiler *c, int node, int next)
{
    const struct tree_node *t = &c->p->nodes[node];
    if (c->is_full || ++c->n_calls > 10 * max_nodes) { /* repeated nothing takes no states */
        c->is_full = true;
        return 0;
    }
    switch (t->kind) {
    case CHARACTER: {
        int s = add_state(c, READ, next, -1);
        c->states[s].low = t->a;
        c->states[s].high = t->b;
        return s;
    }
    case SEQUENCE: /* a is the sequence so far: a loop, as sequences are long */
        for (; t->kind == SEQUENCE && !c->is_full; t = &c->p->nodes[t->a]) {
            next = compile(c, t->b, next);
        }
        return next;
    case CHOICE: {
        int last = compile(c, t->b, next);
        for (t = &c->p->nodes[t->a]; t->kind == CHOICE && !c->is_full; t = &c->p->nodes[t->a]) {
            last = add_state(c, FORK, compile(c, t->b, next), last);
        }
        return add_state(c, FORK, compile(c, (int)(t - c->p->nodes), next), last);
    }
    case REPEAT:
        return compile_repeat(c, t, next);
    case BEGIN:
        return add_state(c, AT_BEGIN, next, -1);
    case END:
        return add_state(c, AT_END, next, -1);
    default:
        return next;
    }
}

static int compile_repeat(struct compiler *c, const struct tree_node *t, int next)
{
    if (t->most == no_limit) {
        int loop = add_state(c, FORK, 0, next);
        int body = compile(c, t->a, loop);
        if (!c->is_full) {
            c->states[loop].a = body;
        }
        next = loop;
    }
    for (int i = t->least; i < t->most && !c->is_full; i++) {
        next = add_state(c, FORK, compile(c, t->a, next), next);
    }
    for (int i = 0; i < t->least && !c->is_full; i++) {
        next = compile(c, t->a, next);
    }
    return next;
}

/* ------------------------------------------------------------------------ and the one without */

struct subset {
    int first, n; /* members[first .. first + n), in order */
    uint32_t hash;
};

struct determiner {
    const struct compiler *c;
    const struct range *ranges;
    struct subset *subsets; /* [INK_DFA_STATES] */
    int *members, n_members, members_room;
    int n_subsets;
    unsigned *mark; /* [max_nodes] */
    unsigned round;
    int *stack, *found; /* [max_nodes] */
    uint32_t *cuts;     /* [max_ranges * 2] */
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
            const struct thread_state *s = &d->c->states[at];
            d->mark[at] = d->round;
            d->work++;
            if (s->kind == FORK) {
                if (s->b >= 0) {
                    d->stack[n_stack++] = s->b;
                }
                at = s->a;
            } else if (s->kind == AT_BEGIN || (s->kind == AT_END && at_end)) {
                at = s->kind == AT_END || at_begin ? s->a : -1;
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
        if (d->c->states[d->found[i]].kind == ACCEPT) {
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
        const struct thread_state *t = &d->c->states[d->members[s.first + i]];
        for (int r = t->low; r < t->high && n + 2 <= max_ranges * 2; r++) {
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

static bool reads(const struct determiner *d, const struct thread_state *t, uint32_t c)
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
            const struct thread_state *t = &d->c->states[d->members[s.first + k]];
            d->work += 2;
            if (t->kind == READ && reads(d, t, d->cuts[i])) {
                n = close_over(d, t->a, n, false, false);
            }
        }
        if (n == 0 || d->cuts[i + 1] == 1) { /* U+0000 is never written */
            continue;
        }
        int target = subset_of(d, n);
        if (target < 0 || d->work > max_work) {
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

/* ------------------------------------------------------------------------------------------ all */

static int run_determiner(struct ink_dfa *out, const struct compiler *c, int start, long *work,
                          struct ink_error *error)
{
    struct determiner d = {
        .c = c, .ranges = c->p->ranges, .members_room = 200000, .work = *work, .error = error};
    d.subsets = ink_calloc(INK_DFA_STATES, sizeof *d.subsets);
    d.members = ink_calloc((size_t)d.members_room, sizeof *d.members);
    d.mark = ink_calloc(max_nodes, sizeof *d.mark);
    d.stack = ink_calloc(2 * max_nodes, sizeof *d.stack);
    d.found = ink_calloc(max_nodes, sizeof *d.found);
    d.cuts = ink_calloc((size_t)max_ranges * 2, sizeof *d.cuts);
    int status = d.subsets && d.members && d.mark && d.stack && d.found && d.cuts
                     ? determine(&d, out, start)
                     : ink_fail_memory(error, (uint64_t)d.members_room * sizeof *d.members);
    *work = d.work + each_work;
    ink_free(d.subsets);
    ink_free(d.members);
    ink_free(d.mark);
    ink_free(d.stack);
    ink_free(d.found);
    ink_free(d.cuts);
    return status;
}

/* Any characters, the pattern, any characters. */
static int compile_all(struct compiler *c, int root, int any)
{
    int accept = add_state(c, ACCEPT, -1, -1);
    int after = add_state(c, FORK, accept, -1);
    int skip = compile(c, any, after);
    c->states[after].b = skip;
    int before = add_state(c, FORK, compile(c, root, after), -1);
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
    struct parser p = {.at = pattern, .end = pattern + strlen(pattern)};
    struct compiler c = {.p = &p};
    p.nodes = ink_calloc(max_nodes, sizeof *p.nodes);
    p.ranges = ink_calloc(max_ranges, sizeof *p.ranges);
    c.states = ink_calloc(max_nodes, sizeof *c.states);
    int status = INK_OK;
    if (!p.nodes || !p.ranges || !c.states) {
        status = ink_fail_memory(error, max_nodes * sizeof *c.states);
    } else if (p.end - p.at > max_pattern) {
        wrong(&p, "the pattern is too large");
    } else {
        int root = read_choice(&p);
        if (p.at < p.end) {
            wrong(&p, "a bracket that closes nothing");
        }
        add_range(&p, 0, INK_DFA_LAST);
        int any = add_node(&p, CHARACTER, p.n_ranges - 1, p.n_ranges);
        int start = p.why ? 0 : compile_all(&c, root, any);
        if (c.is_full) {
            wrong(&p, "the pattern is too large");
        }
        status = p.why ? INK_OK : run_determiner(out, &c, start, work, error);
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
