/* Automata over characters as automata over the bytes of a JSON string. */
#include "dfa.h"

#include "utf8.h"

#include <string.h>

enum { n_escaped = 33 }; /* U+0001 to U+001F, the quote and the backslash */

struct escapes {
    uint32_t targets[n_escaped]; /* states of the automaton; UINT32_MAX: none */
    uint32_t state;              /* after the backslash */
};

struct emitter {
    struct ink_builder *b;
    const struct ink_dfa *d;
    uint32_t rule;
    uint32_t *states;        /* [d->n_states] where each is */
    uint32_t (*tails)[4];    /* [d->n_states] n more bytes of a character lead there; 0: not made */
    struct escapes *escapes; /* [n_escapes] */
    uint32_t n_escapes;
};

static void add_range(struct emitter *x, uint32_t from, uint32_t low, uint32_t high, uint32_t to)
{
    ink_build_edge(x->b, from, low, high, 0, to);
}

/* The state from which n bytes 80..BF lead to `target`. */
static uint32_t tail(struct emitter *x, uint32_t target, int n)
{
    if (n == 0) {
        return x->states[target];
    }
    if (x->tails[target][n] == 0) {
        uint32_t state = ink_build_state(x->b, x->rule);
        add_range(x, state, 0x80, 0xBF, tail(x, target, n - 1));
        x->tails[target][n] = state;
    }
    return x->tails[target][n];
}

static bool all_are(const char *bytes, int n, int value)
{
    while (n > 0 && (unsigned char)bytes[n - 1] == value) {
        n--;
    }
    return n == 0;
}

/* Characters of n bytes from a to z. */
static void add_bytes(struct emitter *x, uint32_t from, const char *a, const char *z, int n,
                      uint32_t target)
{
    const unsigned low = (unsigned char)a[0], high = (unsigned char)z[0];
    if (all_are(a + 1, n - 1, 0x80) && all_are(z + 1, n - 1, 0xBF)) {
        add_range(x, from, low, high, tail(x, target, n - 1));
        return;
    }
    if (low == high) {
        uint32_t next = ink_build_state(x->b, x->rule);
        add_range(x, from, low, low, next);
        add_bytes(x, next, a + 1, z + 1, n - 1, target);
        return;
    }
    char end[4] = {a[0], '\xBF', '\xBF', '\xBF'}, begin[4] = {z[0], '\x80', '\x80', '\x80'};
    unsigned first = low, last = high;
    if (!all_are(a + 1, n - 1, 0x80)) {
        add_bytes(x, from, a, end, n, target);
        first++;
    }
    if (!all_are(z + 1, n - 1, 0xBF)) {
        add_bytes(x, from, begin, z, n, target);
        last--;
    }
    if (first <= last) {
        add_range(x, from, first, last, tail(x, target, n - 1));
    }
}

static void add_characters(struct emitter *x, uint32_t from, struct ink_dfa_edge e)
{
    static const uint32_t parts[][2] = {{0x20, 0x21},           {0x23, 0x5B},    {0x5D, 0x7F},
                                        {0x80, 0x7FF},          {0x800, 0xD7FF}, {0xE000, 0xFFFF},
                                        {0x10000, INK_DFA_LAST}};
    for (size_t i = 0; i < INK_COUNT(parts); i++) {
        uint32_t low = e.low > parts[i][0] ? e.low : parts[i][0];
        uint32_t high = e.high < parts[i][1] ? e.high : parts[i][1];
        char a[4], z[4];
        if (low <= high && low < 0x80) {
            add_range(x, from, low, high, x->states[e.target]);
        } else if (low <= high) {
            int n = ink_utf8_encode(a, low);
            ink_utf8_encode(z, high);
            add_bytes(x, from, a, z, n, e.target);
        }
    }
}

/* Which of the characters that need an escape lead where. */
static bool find_escaped(const struct ink_dfa *d, uint32_t state, uint32_t *targets)
{
    bool any = false;
    for (uint32_t i = 0; i < n_escaped; i++) {
        uint32_t c = i < 31 ? i + 1 : i == 31 ? '"' : '\\';
        targets[i] = UINT32_MAX;
        for (uint32_t e = d->states[state].first; e < d->states[state + 1].first; e++) {
            if (d->edges[e].low <= c && c <= d->edges[e].high) {
                targets[i] = d->edges[e].target;
                any = true;
            }
        }
    }
    return any;
}

static void add_escapes(struct emitter *x, uint32_t from, uint32_t state)
{
    struct escapes *e = &x->escapes[x->n_escapes];
    static const char letters[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    if (!find_escaped(x->d, state, e->targets)) {
        return;
    }
    for (uint32_t i = 0; i < x->n_escapes; i++) {
        if (memcmp(x->escapes[i].targets, e->targets, sizeof e->targets) == 0) {
            add_range(x, from, '\\', '\\', x->escapes[i].state);
            return;
        }
    }
    e->state = ink_build_state(x->b, x->rule);
    add_range(x, from, '\\', '\\', e->state);
    for (uint32_t i = 0; i < n_escaped; i++) {
        const char c = i < 31 ? (char)(i + 1) : i == 31 ? '"' : '\\';
        const char *letter = letters;
        while (*letter && *letter != c) {
            letter += 2;
        }
        if (e->targets[i] == UINT32_MAX) {
            continue;
        }
        char text[8] = {letter[0] ? letter[1] : 'u', '0', '0', i + 1 < 16 ? '0' : '1',
                        "0123456789abcdef"[(i + 1) % 16]};
        ink_build_path(x->b, e->state, text, letter[0] ? 1 : 5, x->states[e->targets[i]]);
    }
    x->n_escapes++;
}

void ink_dfa_build(struct ink_builder *b, const struct ink_dfa *d, uint32_t from, uint32_t to)
{
    if (b->status != INK_OK) {
        return;
    }
    struct emitter x = {.b = b, .d = d, .rule = b->states[from].rule};
    x.states = ink_calloc(d->n_states, sizeof *x.states);
    x.tails = ink_calloc(d->n_states, sizeof *x.tails);
    x.escapes = ink_calloc((size_t)d->n_states + 1, sizeof *x.escapes);
    if (x.states && x.tails && x.escapes) {
        for (uint32_t i = 0; i < d->n_states; i++) {
            x.states[i] = i == 0 ? from : ink_build_state(b, x.rule);
        }
        for (uint32_t i = 0; i < d->n_states; i++) {
            for (uint32_t e = d->states[i].first; e < d->states[i + 1].first; e++) {
                add_characters(&x, x.states[i], d->edges[e]);
            }
            add_escapes(&x, x.states[i], i);
            if (d->states[i].is_final) {
                add_range(&x, x.states[i], '"', '"', to);
            }
        }
    } else {
        ink_build_fail(b, ink_fail_memory(b->error, d->n_states * sizeof *x.escapes));
    }
    ink_free(x.states);
    ink_free(x.tails);
    ink_free(x.escapes);
}
