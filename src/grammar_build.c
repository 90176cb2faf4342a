#include "grammar.h"
#include "sync.h"

#include <stdatomic.h>
#include <string.h>

static const uint32_t none = UINT32_MAX;

void ink_build_close(struct ink_builder *b)
{
    ink_free(b->states);
    ink_free(b->edges);
    ink_free(b->rules);
    b->states = NULL;
    b->edges = NULL;
    b->rules = NULL;
}

void ink_build_fail(struct ink_builder *b, int status)
{
    if (b->status == INK_OK) {
        b->status = status;
    }
}

/* Room for one more in an array; false if there is none, for whatever reason. */
static bool grow(struct ink_builder *b, void **array, uint32_t n, uint32_t *room, size_t size,
                 uint32_t most)
{
    if (b->status != INK_OK) {
        return false;
    }
    if (n == most) {
        ink_build_fail(b, ink_fail(b->error, INK_ERROR_LIMIT,
                                   "the grammar is too large (limit %d states, %d edges)",
                                   INK_GRAMMAR_STATES, INK_GRAMMAR_EDGES));
        return false;
    }
    if (n == *room) {
        uint32_t more = *room ? 2 * *room : 256;
        void *bigger = ink_realloc(*array, more, size);
        if (!bigger) {
            ink_build_fail(b, ink_fail_memory(b->error, more * size));
            return false;
        }
        *array = bigger;
        *room = more;
    }
    return true;
}

uint32_t ink_build_state(struct ink_builder *b, uint32_t rule)
{
    if (!grow(b, (void **)&b->states, b->n_states, &b->states_room, sizeof *b->states,
              INK_GRAMMAR_STATES)) {
        return 0;
    }
    b->states[b->n_states] = (struct ink_build_state){none, none, rule, false, false};
    return b->n_states++;
}

uint32_t ink_build_rule(struct ink_builder *b)
{
    if (!grow(b, (void **)&b->rules, b->n_rules, &b->rules_room, sizeof *b->rules,
              INK_GRAMMAR_RULES)) {
        return 0;
    }
    uint32_t rule = b->n_rules++;
    b->rules[rule] = (struct ink_rule){.most = UINT32_MAX};
    uint32_t start = ink_build_state(b, rule);
    b->rules[rule].start = start;
    return rule;
}

uint32_t ink_build_start(const struct ink_builder *b, uint32_t rule)
{
    return b->status == INK_OK ? b->rules[rule].start : 0;
}

void ink_build_final(struct ink_builder *b, uint32_t state)
{
    if (b->status == INK_OK) {
        b->states[state].is_final = true;
    }
}

void ink_build_open(struct ink_builder *b, uint32_t state)
{
    ink_build_final(b, state);
    if (b->status == INK_OK) {
        b->states[state].is_open = true;
    }
}

static void add_edge(struct ink_builder *b, uint32_t from, struct ink_edge edge)
{
    if (!grow(b, (void **)&b->edges, b->n_edges, &b->edges_room, sizeof *b->edges,
              INK_GRAMMAR_EDGES)) {
        return;
    }
    struct ink_build_state *s = &b->states[from];
    b->edges[b->n_edges] = (struct ink_build_edge){edge, none};
    if (s->last == none) {
        s->first = b->n_edges;
    } else {
        b->edges[s->last].next = b->n_edges;
    }
    s->last = b->n_edges++;
}

void ink_build_edge(struct ink_builder *b, uint32_t from, unsigned low, unsigned high,
                    unsigned flags, uint32_t to)
{
    add_edge(b, from, (struct ink_edge){(uint8_t)low, (uint8_t)high, (uint8_t)flags, to, 0});
}

void ink_build_call(struct ink_builder *b, uint32_t from, uint32_t rule, unsigned flags,
                    uint32_t to)
{
    add_edge(b, from, (struct ink_edge){0, 0, (uint8_t)(flags | INK_EDGE_CALL), to, rule});
}

static uint32_t find_edge(const struct ink_builder *b, uint32_t from, unsigned byte)
{
    for (uint32_t e = b->states[from].first; e != none; e = b->edges[e].next) {
        const struct ink_edge *edge = &b->edges[e].edge;
        if (edge->flags == 0 && edge->low == byte && edge->high == byte &&
            !b->states[edge->target].is_final) {
            return edge->target;
        }
    }
    return none;
}

uint32_t ink_build_text(struct ink_builder *b, uint32_t from, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n && b->status == INK_OK; i++) {
        unsigned byte = (unsigned char)bytes[i];
        uint32_t to = find_edge(b, from, byte);
        if (to == none) {
            to = ink_build_state(b, b->states[from].rule);
            ink_build_edge(b, from, byte, byte, 0, to);
        }
        from = to;
    }
    return from;
}

void ink_build_path(struct ink_builder *b, uint32_t from, const char *bytes, size_t n, uint32_t to)
{
    uint32_t last = ink_build_text(b, from, bytes, n - 1);
    unsigned byte = (unsigned char)bytes[n - 1];
    ink_build_edge(b, last, byte, byte, 0, to);
}

/* ------------------------------------------------------------------------------------ finishing */

static void close_trie(void *trie)
{
    ink_trie_close(trie);
}

static int find_end_tokens(struct ink_trie *trie, const struct ink_model *model,
                           struct ink_error *error)
{
    for (int pass = 0; pass < 2; pass++) {
        int n = 0;
        for (int32_t id = 0; id < trie->n_vocab; id++) {
            if (ink_model_is_end_token(model, id)) {
                if (pass == 1) {
                    trie->end_tokens[n] = id;
                }
                n++;
            }
        }
        if (pass == 0) {
            trie->end_tokens = ink_calloc((size_t)n + 1, sizeof *trie->end_tokens);
        }
        if (!trie->end_tokens) {
            return ink_fail_memory(error, (uint64_t)n * sizeof *trie->end_tokens);
        }
        trie->n_end_tokens = n;
    }
    return INK_OK;
}

/* The model's trie, made when it is first asked for. */
static int get_trie(const struct ink_trie **out, const struct ink_model *model,
                    struct ink_error *error)
{
    struct ink_derived *d = model->trie;
    if (!model->tokenizer) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: opened without a tokenizer", model->path);
    }
    ink_mutex_lock(d->lock);
    int status = INK_OK;
    if (!d->data) {
        struct ink_trie *trie = NULL;
        status = ink_trie_open(&trie, model->tokenizer, error);
        if (status == INK_OK) {
            status = find_end_tokens(trie, model, error);
        }
        if (status != INK_OK) {
            ink_trie_close(trie);
            trie = NULL;
        }
        d->data = trie;
        d->close = close_trie;
    }
    *out = d->data;
    ink_mutex_unlock(d->lock);
    return status;
}

static int allocate(struct ink_grammar *g, const struct ink_builder *b, struct ink_error *error)
{
    g->n_states = b->n_states;
    g->n_edges = b->n_edges;
    g->n_rules = b->n_rules;
    g->states = ink_calloc((size_t)g->n_states + 1, sizeof *g->states);
    g->edges = ink_calloc((size_t)g->n_edges + 1, sizeof *g->edges);
    g->rules = ink_calloc((size_t)g->n_rules + 1, sizeof *g->rules);
    g->is_wide = ink_calloc((size_t)g->n_states + 1, sizeof *g->is_wide);
    g->lock = ink_mutex_new();
    if (!g->is_wide || !g->states || !g->edges || !g->rules || !g->lock) {
        return ink_fail_memory(error, g->n_states * sizeof *g->states +
                                          g->n_edges * sizeof *g->edges +
                                          g->n_rules * sizeof *g->rules);
    }
    return INK_OK;
}

static void copy_parts(struct ink_grammar *g, const struct ink_builder *b)
{
    uint32_t at = 0;
    for (uint32_t s = 0; s < g->n_states; s++) {
        g->states[s] =
            (struct ink_state){.first = at,
                               .rule = b->states[s].rule,
                               .is_final = b->states[s].is_final,
                               .is_open = b->states[s].is_open,
                               .is_end = b->states[s].is_final && b->states[s].first == none};
        for (uint32_t e = b->states[s].first; e != none; e = b->edges[e].next) {
            g->edges[at++] = b->edges[e].edge;
        }
    }
    g->states[g->n_states].first = at;
    memcpy(g->rules, b->rules, g->n_rules * sizeof *g->rules);
}

int ink_build_finish(struct ink_grammar **out, struct ink_builder *b, uint32_t root,
                     const struct ink_model *model, struct ink_error *error)
{
    *out = NULL;
    if (b->status != INK_OK) {
        return b->status;
    }
    struct ink_grammar *g = ink_calloc(1, sizeof *g);
    if (!g) {
        return ink_fail_memory(error, sizeof *g);
    }
    static _Atomic uint64_t n_grammars;
    g->serial = ++n_grammars;
    g->model = model;
    g->root = root;
    int status = get_trie(&g->trie, model, error);
    if (status == INK_OK) {
        status = allocate(g, b, error);
    }
    if (status == INK_OK) {
        copy_parts(g, b);
        status = ink_grammar_weigh(g, error);
    }
    if (status != INK_OK) {
        ink_grammar_close(g);
        return status;
    }
    *out = g;
    return INK_OK;
}

uint64_t ink_grammar_bytes(const struct ink_grammar *g)
{
    return sizeof *g + ((uint64_t)g->n_states + 1) * (sizeof *g->states + sizeof *g->is_wide) +
           ((uint64_t)g->n_edges + 1) * sizeof *g->edges +
           ((uint64_t)g->n_rules + 1) * sizeof *g->rules + ink_masks_bytes(g);
}

void ink_grammar_close(struct ink_grammar *g)
{
    if (g) {
        ink_masks_close(g);
        ink_mutex_free(g->lock);
        ink_free(g->is_wide);
        ink_free(g->states);
        ink_free(g->edges);
        ink_free(g->rules);
        ink_free(g);
    }
}
