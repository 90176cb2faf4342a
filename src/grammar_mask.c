/* Masks: which tokens may be next. The vocabulary's trie is walked with the automaton, a subtree at
 * a time being given up. Where that takes long, as inside strings, what holds for any stack is kept
 * with the grammar: the tokens that stay inside the rule, and the nodes of the trie at which the
 * rule ends, from where the walk goes on with the stack at hand. */
#include "grammar.h"
#include "sync.h"

#include <math.h>
#include <string.h>

enum {
    keep_above = 2000, /* visited nodes that make a mask worth keeping */
    masks_kept = 48,   /* for each grammar; 14 KB each for ERNIE, and the exits */
    exits_kept = 16384,
};

struct ink_mask {
    uint32_t state;
    uint32_t dearest, tallest; /* cost and height met at most, without the stack's */
    uint32_t *bits;            /* [n_vocab / 32 + 1] */
    uint32_t *exits;           /* [n_exits] trie nodes */
    uint32_t n_exits, exits_room;
    bool has_failed;
};

static void free_mask(struct ink_mask *m)
{
    if (m) {
        ink_free(m->bits);
        ink_free(m->exits);
        ink_free(m);
    }
}

void ink_masks_close(struct ink_grammar *g)
{
    for (int i = 0; i < g->n_masks; i++) {
        free_mask(g->masks[i]);
    }
    ink_free(g->masks);
}

/* --------------------------------------------------------------------------------------- walking
 */

struct walk {
    struct ink_grammar_run *run;
    uint32_t most;               /* cost after a token */
    struct ink_mask *mask;       /* being made; NULL: run->bits are set */
    uint32_t n_visited, give_up; /* nodes; beyond give_up the rest is not looked at */
};

static void mark(uint32_t *bits, const struct ink_trie *trie, uint32_t node)
{
    for (uint32_t i = trie->nodes[node].tokens; i < trie->nodes[node + 1].tokens; i++) {
        const uint32_t id = (uint32_t)trie->ids[i];
        bits[id / 32] |= 1u << id % 32;
    }
}

static void add_exit(struct ink_mask *m, uint32_t node)
{
    if (m->n_exits == m->exits_room) {
        uint32_t room = m->exits_room ? 2 * m->exits_room : 256;
        uint32_t *more = room <= exits_kept ? ink_realloc(m->exits, room, sizeof *more) : NULL;
        if (!more) {
            m->has_failed = true;
            return;
        }
        m->exits = more;
        m->exits_room = room;
    }
    m->exits[m->n_exits++] = node;
}

static void note(struct walk *w, uint32_t node, struct ink_configurations set)
{
    const struct ink_trie *trie = w->run->grammar->trie;
    const bool has_tokens = ink_trie_n_tokens(&trie->nodes[node]) > 0;
    if (!w->mask) {
        if (has_tokens && ink_run_cost_of(w->run, set) <= w->most) {
            mark(w->run->bits, trie, node);
        }
        return;
    }
    if (set.is_complete) {
        add_exit(w->mask, node);
        set.is_complete = false;
    }
    if (has_tokens && set.end > set.begin) {
        uint32_t cost = ink_run_cost_of(w->run, set);
        w->mask->dearest = cost > w->mask->dearest ? cost : w->mask->dearest;
        mark(w->mask->bits, trie, node);
    }
}

/* The subtree below `top`, where the set run->at[its depth] stands. */
static void walk(struct walk *w, uint32_t top)
{
    struct ink_grammar_run *run = w->run;
    const struct ink_trie_node *nodes = run->grammar->trie->nodes;
    for (uint32_t i = top + 1, end = nodes[top].end; i < end && w->n_visited <= w->give_up;) {
        const struct ink_trie_node *n = &nodes[i];
        const struct ink_configurations set = run->at[n->depth] =
            ink_run_step(run, run->at[n->depth - 1], n->byte);
        w->n_visited++;
        if (set.begin == set.end && !set.is_complete) {
            i = n->end;
        } else {
            note(w, i, set);
            i++;
        }
    }
}

/* ------------------------------------------------------------------------------------- kept masks
 */

/* The mask of a state, or NULL. is_full: no more masks are kept. */
static const struct ink_mask *find_mask(const struct ink_grammar *g, uint32_t state, bool *is_full)
{
    const struct ink_mask *found = NULL;
    ink_mutex_lock(g->lock);
    for (int i = 0; i < g->n_masks; i++) {
        if (g->masks[i]->state == state) {
            found = g->masks[i];
        }
    }
    *is_full = g->n_masks == masks_kept;
    ink_mutex_unlock(g->lock);
    return found;
}

/* Keep it, unless another thread was faster or there are enough. */
static void keep_mask(struct ink_grammar *g, struct ink_mask *m)
{
    ink_mutex_lock(g->lock);
    bool is_new = true;
    for (int i = 0; i < g->n_masks; i++) {
        is_new &= g->masks[i]->state != m->state;
    }
    if (!g->masks) {
        g->masks = ink_calloc(masks_kept, sizeof *g->masks);
    }
    if (is_new && g->masks && g->n_masks < masks_kept) {
        g->masks[g->n_masks++] = m;
        m = NULL;
    }
    ink_mutex_unlock(g->lock);
    free_mask(m);
}

/* Is the way from c the same whatever its count is, and may the mask be made so? */
static bool is_free_of_counts(const struct ink_grammar *g, struct ink_configuration c)
{
    const struct ink_rule *r = &g->rules[g->states[c.state].rule];
    return c.count >= r->least &&
           (r->most == UINT32_MAX || (uint64_t)c.count + (uint64_t)g->trie->longest <= r->most);
}

static void make_mask(struct ink_grammar_run *run, uint32_t state, struct ink_configurations now)
{
    const struct ink_grammar *g = run->grammar;
    struct ink_mask *m = ink_calloc(1, sizeof *m);
    if (m) {
        m->state = state;
        m->bits = ink_calloc((size_t)g->trie->n_vocab / 32 + 1, sizeof *m->bits);
    }
    if (!m || !m->bits) {
        free_mask(m);
        return;
    }
    struct walk w = {.run = run, .mask = m, .give_up = UINT32_MAX};
    run->is_abstract = true;
    run->tallest = 0;
    run->room[now.end] = (struct ink_configuration){state, 0, 0};
    run->at[0] = (struct ink_configurations){now.end, now.end + 1, now.top, false};
    walk(&w, 0);
    m->tallest = run->tallest;
    run->is_abstract = false;
    run->at[0] = now;
    if (m->has_failed) { /* kept all the same, so that it is not tried again */
        m->dearest = INK_GRAMMAR_NEVER;
    }
    keep_mask((struct ink_grammar *)g, m);
}

static void use_mask(struct walk *w, const struct ink_mask *m, struct ink_configuration c,
                     struct ink_configurations now)
{
    struct ink_grammar_run *run = w->run;
    const struct ink_trie *trie = run->grammar->trie;
    for (int i = 0; i <= trie->n_vocab / 32; i++) {
        run->bits[i] |= m->bits[i];
    }
    struct ink_configurations after = {now.end, now.end, now.top, false};
    ink_run_return(run, &after, c.stack);
    const bool is_cheap = ink_run_cost_of(run, after) <= w->most;
    for (uint32_t i = 0; i < m->n_exits; i++) {
        const uint32_t node = m->exits[i];
        if (is_cheap) {
            mark(run->bits, trie, node);
        }
        run->at[trie->nodes[node].depth] = after;
        walk(w, node);
    }
}

/* Use the mask that is kept for c, if one is and it holds. is_kept: there is no use in making it.
 */
static bool use_kept(struct walk *w, struct ink_configuration c, struct ink_configurations now,
                     bool *is_kept)
{
    const struct ink_stack_node *stack = &w->run->nodes[c.stack];
    bool is_full;
    const struct ink_mask *m = find_mask(w->run->grammar, c.state, &is_full);
    *is_kept = m || is_full;
    if (!m || m->dearest + stack->cost > w->most || m->tallest + stack->depth > INK_GRAMMAR_DEPTH) {
        return false;
    }
    use_mask(w, m, c, now);
    return true;
}

/* Bits of tokens that c allows. Where that takes long, a mask is made, and does the rest. */
static void add_configuration(struct walk *w, struct ink_configuration c,
                              struct ink_configurations now)
{
    struct ink_grammar_run *run = w->run;
    const bool may_keep = is_free_of_counts(run->grammar, c);
    bool is_kept = true;
    if (may_keep && use_kept(w, c, now, &is_kept)) {
        return;
    }
    for (w->give_up = is_kept ? UINT32_MAX : keep_above;; w->give_up = UINT32_MAX) {
        w->n_visited = 0;
        run->room[now.end] = c;
        run->at[0] = (struct ink_configurations){now.end, now.end + 1, now.top, false};
        walk(w, 0);
        run->at[0] = now;
        if (w->n_visited <= w->give_up) {
            break;
        }
        w->give_up = UINT32_MAX;
        make_mask(run, c.state, now);
        if (use_kept(w, c, now, &is_kept)) {
            break;
        }
    }
    w->give_up = UINT32_MAX;
}

/* ------------------------------------------------------------------------------------- the mask */

/* At the start of a text tokens lose their leading space: they are what follows it. */
static void redo_spaces(struct walk *w, struct ink_configurations now)
{
    struct ink_grammar_run *run = w->run;
    const struct ink_trie *trie = run->grammar->trie;
    const uint32_t space = trie->child[' '];
    if (!run->is_first || space == 0) {
        return;
    }
    uint32_t end = trie->nodes[space].end;
    for (uint32_t i = trie->nodes[space].tokens; i < trie->nodes[end].tokens; i++) {
        const uint32_t id = (uint32_t)trie->ids[i];
        if (trie->drops_space[id / 32] >> id % 32 & 1) {
            run->bits[id / 32] &= ~(1u << id % 32);
            if (ink_run_allows_within(run, (int32_t)id, w->most)) {
                run->bits[id / 32] |= 1u << id % 32;
            }
        }
    }
    run->at[0] = now;
}

static void apply(const struct ink_grammar_run *run, float *logits)
{
    const int n = run->grammar->trie->n_vocab;
    for (int i = 0; i < n; i += 32) {
        const uint32_t bits = run->bits[i / 32];
        for (int k = 0; k < 32 && i + k < n && bits != UINT32_MAX; k++) {
            if (!(bits >> k & 1)) {
                logits[i + k] = -INFINITY;
            }
        }
    }
}

void ink_run_mask(struct ink_grammar_run *run, float *logits, int left)
{
    const struct ink_grammar *g = run->grammar;
    const struct ink_configurations now = run->at[0];
    struct walk w = {.run = run, .most = ink_run_most(run, left), .give_up = UINT32_MAX};
    memset(run->bits, 0, ((size_t)g->trie->n_vocab / 32 + 1) * sizeof *run->bits);
    for (uint32_t i = now.begin; i < now.end; i++) {
        add_configuration(&w, run->room[i], now);
    }
    redo_spaces(&w, now);
    for (int i = 0; i < g->trie->n_end_tokens; i++) {
        const uint32_t id = (uint32_t)g->trie->end_tokens[i], bit = 1u << id % 32;
        run->bits[id / 32] = now.is_complete ? run->bits[id / 32] | bit : run->bits[id / 32] & ~bit;
    }
    apply(run, logits);
}
