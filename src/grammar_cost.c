/* What the end of a rule costs from each of its states. First in bytes, which says what way to
 * take: Dijkstra's algorithm, where a call weighs what its rule does (Knuth 1977). Then in tokens,
 * along those ways. */
#include "grammar.h"

#include <string.h>

enum { missing_byte = 1000 }; /* what a byte weighs that is no token by itself */

struct heap_entry {
    uint32_t bytes, state;
};

struct weigher {
    struct ink_grammar *g;
    uint32_t *from;                          /* [n_edges] the state of an edge */
    uint32_t *first_to, *edges_to;           /* edges by the state they lead to */
    uint32_t *first_calling, *edges_calling; /* edges by the rule they call */
    uint32_t *bytes;                         /* [n_states] the least so far */
    bool *is_done;                           /* [n_states] it is the least */
    uint32_t *order;                         /* [n_states] as they were done */
    uint32_t n_done;
    struct heap_entry *heap;
    uint32_t n_heap;
};

/* ------------------------------------------------------------------------------------ the heap */

static void push(struct weigher *w, uint32_t bytes, uint32_t state)
{
    uint32_t at = w->n_heap++;
    for (; at > 0 && w->heap[(at - 1) / 2].bytes > bytes; at = (at - 1) / 2) {
        w->heap[at] = w->heap[(at - 1) / 2];
    }
    w->heap[at] = (struct heap_entry){bytes, state};
}

static struct heap_entry pop(struct weigher *w)
{
    struct heap_entry least = w->heap[0], last = w->heap[--w->n_heap];
    uint32_t at = 0, child;
    while ((child = 2 * at + 1) < w->n_heap) {
        child += child + 1 < w->n_heap && w->heap[child + 1].bytes < w->heap[child].bytes;
        if (w->heap[child].bytes >= last.bytes) {
            break;
        }
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return least;
}

/* ----------------------------------------------------------------------------- bytes to the end */

static bool is_token(const struct ink_trie *trie, unsigned byte)
{
    uint32_t node = trie->child[byte];
    return node != 0 && ink_trie_n_tokens(&trie->nodes[node]) > 0;
}

/* The byte of an edge that is a token by itself, if one is; printable ones first. */
static unsigned best_byte(const struct ink_trie *trie, const struct ink_edge *e)
{
    for (unsigned byte = e->low > '0' ? e->low : '0'; byte <= e->high; byte++) {
        if (is_token(trie, byte)) {
            return byte;
        }
    }
    for (unsigned byte = e->low; byte <= e->high; byte++) {
        if (is_token(trie, byte)) {
            return byte;
        }
    }
    return e->low;
}

static void relax(struct weigher *w, uint32_t edge)
{
    struct ink_grammar *g = w->g;
    const struct ink_edge *e = &g->edges[edge];
    uint32_t from = w->from[edge], bytes = 1;
    if (!w->is_done[e->target] || w->is_done[from]) {
        return;
    }
    if (e->flags & INK_EDGE_CALL) {
        if (!w->is_done[g->rules[e->rule].start]) {
            return;
        }
        bytes = g->rules[e->rule].bytes;
    } else if (!is_token(g->trie, best_byte(g->trie, e))) {
        bytes = missing_byte;
    }
    bytes = ink_add_cost(bytes, w->bytes[e->target]);
    if (bytes < w->bytes[from]) {
        w->bytes[from] = bytes;
        g->states[from].choice = edge;
        push(w, bytes, from);
    }
}

/* Times that the rule's loop is taken, beyond what the way from `state` counts anyway. */
static uint32_t missing_counts(const struct ink_rule *r, const struct ink_state *s, uint32_t count)
{
    uint64_t sum = (uint64_t)count + s->counts;
    return sum < r->least ? (uint32_t)(r->least - sum) : 0;
}

static void settle(struct weigher *w, uint32_t state)
{
    struct ink_grammar *g = w->g;
    struct ink_state *s = &g->states[state];
    struct ink_rule *r = &g->rules[s->rule];
    w->is_done[state] = true;
    w->order[w->n_done++] = state;
    if (w->bytes[state] > 0) {
        const struct ink_edge *e = &g->edges[s->choice];
        s->counts = (uint8_t)(g->states[e->target].counts + ((e->flags & INK_EDGE_COUNT) != 0));
        s->counts = s->counts > 200 ? 200 : s->counts;
    }
    for (uint32_t i = w->first_to[state]; i < w->first_to[state + 1]; i++) {
        relax(w, w->edges_to[i]);
    }
    if (state != r->start) {
        return;
    }
    uint64_t unit = r->least > 0 ? 1 + (uint64_t)w->bytes[r->loop] - w->bytes[r->anchor] : 0;
    r->bytes = ink_add_cost(w->bytes[state], unit * missing_counts(r, s, 0));
    for (uint32_t i = w->first_calling[s->rule]; i < w->first_calling[s->rule + 1]; i++) {
        relax(w, w->edges_calling[i]);
    }
}

static void find_ways(struct weigher *w)
{
    struct ink_grammar *g = w->g;
    for (uint32_t s = 0; s < g->n_states; s++) {
        w->bytes[s] = INK_GRAMMAR_NEVER;
        if (g->states[s].is_final) {
            w->bytes[s] = 0;
            push(w, 0, s);
        }
    }
    while (w->n_heap > 0) {
        struct heap_entry next = pop(w);
        if (!w->is_done[next.state]) {
            settle(w, next.state);
        }
    }
}

/* ---------------------------------------------------------------------------- tokens to the end */

/* Tokens from a state whose way begins with a byte: each token of the vocabulary that lies on the
 * way, as far as it stays in this rule, and not past the place where a count is made up. */
static uint32_t count_tokens(const struct ink_grammar *g, uint32_t state)
{
    uint32_t node = 0, best = INK_GRAMMAR_NEVER;
    for (uint32_t at = state; !(g->states[at].is_final);) {
        const struct ink_edge *e = &g->edges[g->states[at].choice];
        if (e->flags & INK_EDGE_CALL) {
            break;
        }
        node = ink_trie_child(g->trie, node, best_byte(g->trie, e));
        if (node == 0) {
            break;
        }
        at = e->target;
        const struct ink_rule *r = &g->rules[g->states[at].rule];
        if (ink_trie_n_tokens(&g->trie->nodes[node]) > 0 && g->states[at].cost + 1 < best) {
            best = g->states[at].cost + 1;
        }
        if (r->least > 0 && at == r->anchor) {
            break;
        }
    }
    return best;
}

static uint32_t greater(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static void weigh_rule(struct ink_grammar *g, struct ink_rule *r)
{
    const struct ink_state *start = &g->states[r->start];
    if (r->least > 0) {
        bool there = false;
        for (uint32_t e = g->states[r->anchor].first; e < g->states[r->anchor + 1].first; e++) {
            there |= g->edges[e].target == r->loop && !(g->edges[e].flags & INK_EDGE_CALL) &&
                     is_token(g->trie, best_byte(g->trie, &g->edges[e]));
        }
        uint64_t unit = 1 + (uint64_t)g->states[r->loop].cost - g->states[r->anchor].cost;
        r->unit = there ? ink_add_cost(0, unit) : INK_GRAMMAR_NEVER;
    }
    r->cost = ink_add_cost(start->cost, (uint64_t)r->unit * missing_counts(r, start, 0));
}

static void weigh_state(struct ink_grammar *g, uint32_t state)
{
    struct ink_state *s = &g->states[state];
    if (!s->is_final) {
        const struct ink_edge *e = &g->edges[s->choice];
        const struct ink_state *next = &g->states[e->target];
        uint32_t height = next->height;
        if (e->flags & INK_EDGE_CALL) {
            const struct ink_rule *called = &g->rules[e->rule];
            uint32_t inner = g->states[called->start].height;
            s->cost = ink_add_cost(called->cost, next->cost);
            height = ink_is_tail(g, e->target) ? inner : greater(inner + 1, height);
        } else {
            s->cost = count_tokens(g, state);
        }
        s->height = (uint16_t)(height < UINT16_MAX ? height : UINT16_MAX);
    } else {
        s->cost = 0;
    }
    if (state == g->rules[s->rule].start) {
        weigh_rule(g, &g->rules[s->rule]);
    }
}

/* ----------------------------------------------------------------------------------- beginnings */

/* The first bytes of a rule. Rules that begin with one another must not go round in a circle; and
 * the chain of them is walked for each byte, so it must not be long. */
static int find_first(struct ink_grammar *g, bool *is_known, uint32_t rule, int depth,
                      struct ink_error *error)
{
    struct ink_rule *r = &g->rules[rule];
    if (is_known[rule]) {
        return INK_OK;
    }
    if (depth == INK_GRAMMAR_DEPTH) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "the grammar goes round in a circle without text, or in too many steps");
    }
    const struct ink_state *s = &g->states[r->start];
    for (uint32_t i = s[0].first; i < s[1].first; i++) {
        const struct ink_edge *e = &g->edges[i];
        if (e->flags & INK_EDGE_CALL) {
            int status = find_first(g, is_known, e->rule, depth + 1, error);
            if (status != INK_OK) {
                return status;
            }
            for (int k = 0; k < 4; k++) {
                r->first[k] |= g->rules[e->rule].first[k];
            }
        } else {
            for (unsigned byte = e->low; byte <= e->high; byte++) {
                r->first[byte / 64] |= (uint64_t)1 << byte % 64;
            }
        }
    }
    is_known[rule] = true;
    return INK_OK;
}

/* ---------------------------------------------------------------------------------------- all */

/* Edges by key(edge) < n: the edges of key k are list[first[k] .. first[k + 1]). */
static void sort_edges(const struct ink_grammar *g, bool calls, uint32_t n, uint32_t *first,
                       uint32_t *list)
{
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t e = g->n_edges; e-- > 0;) {
            const struct ink_edge *edge = &g->edges[e];
            uint32_t key = calls ? edge->rule : edge->target;
            if (!calls || edge->flags & INK_EDGE_CALL) {
                if (pass == 0) {
                    first[key]++;
                } else {
                    list[--first[key]] = e;
                }
            }
        }
        for (uint32_t k = 0, sum = 0; pass == 0 && k <= n; k++) {
            sum += k < n ? first[k] : 0;
            first[k] = sum;
        }
    }
}

static bool allocate(struct weigher *w)
{
    const struct ink_grammar *g = w->g;
    size_t n_states = (size_t)g->n_states + 2, n_edges = (size_t)g->n_edges + 1;
    w->from = ink_calloc(n_edges, sizeof *w->from);
    w->first_to = ink_calloc(n_states, sizeof *w->first_to);
    w->edges_to = ink_calloc(n_edges, sizeof *w->edges_to);
    w->first_calling = ink_calloc((size_t)g->n_rules + 2, sizeof *w->first_calling);
    w->edges_calling = ink_calloc(n_edges, sizeof *w->edges_calling);
    w->bytes = ink_calloc(n_states, sizeof *w->bytes);
    w->is_done = ink_calloc(n_states + g->n_rules, sizeof *w->is_done);
    w->order = ink_calloc(n_states, sizeof *w->order);
    w->heap = ink_calloc(n_states + n_edges, sizeof *w->heap); /* each edge improves at most once */
    return w->from && w->first_to && w->edges_to && w->first_calling && w->edges_calling &&
           w->bytes && w->is_done && w->order && w->heap;
}

static void release(struct weigher *w)
{
    ink_free(w->from);
    ink_free(w->first_to);
    ink_free(w->edges_to);
    ink_free(w->first_calling);
    ink_free(w->edges_calling);
    ink_free(w->bytes);
    ink_free(w->is_done);
    ink_free(w->order);
    ink_free(w->heap);
}

static int weigh(struct weigher *w, struct ink_error *error)
{
    struct ink_grammar *g = w->g;
    int status = INK_OK;
    for (uint32_t r = 0; r < g->n_rules && status == INK_OK; r++) {
        status = find_first(g, w->is_done, r, 0, error); /* is_done: not in use yet */
    }
    if (status != INK_OK) {
        return status;
    }
    memset(w->is_done, 0, (size_t)g->n_rules);
    for (uint32_t s = 0; s < g->n_states; s++) {
        g->states[s].cost = INK_GRAMMAR_NEVER;
        for (uint32_t e = g->states[s].first; e < g->states[s + 1].first; e++) {
            w->from[e] = s;
        }
    }
    for (uint32_t r = 0; r < g->n_rules; r++) {
        g->rules[r].cost = INK_GRAMMAR_NEVER;
    }
    sort_edges(g, false, g->n_states, w->first_to, w->edges_to);
    sort_edges(g, true, g->n_rules, w->first_calling, w->edges_calling);
    find_ways(w);
    for (uint32_t i = 0; i < w->n_done; i++) {
        weigh_state(g, w->order[i]);
    }
    const struct ink_rule *root = &g->rules[g->root];
    if (root->cost >= INK_GRAMMAR_NEVER) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "no text at all matches the grammar");
    }
    if (g->states[root->start].height >= INK_GRAMMAR_DEPTH) {
        return ink_fail(error, INK_ERROR_LIMIT, "every text of the grammar nests too deep");
    }
    return INK_OK;
}

int ink_grammar_weigh(struct ink_grammar *g, struct ink_error *error)
{
    struct weigher w = {.g = g};
    int status =
        allocate(&w) ? weigh(&w, error) : ink_fail_memory(error, g->n_states * sizeof *w.heap);
    release(&w);
    return status;
}
