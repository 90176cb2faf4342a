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
    most_texts = 128, /* places of one walk at which plain text is looked for */
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

uint64_t ink_masks_bytes(const struct ink_grammar *g)
{
    ink_mutex_lock(g->lock);
    uint64_t bytes = g->masks ? masks_kept * sizeof *g->masks : 0;
    for (int i = 0; i < g->n_masks; i++) {
        bytes += sizeof *g->masks[i] +
                 ((uint64_t)g->trie->n_vocab / 32 + 1 + g->masks[i]->exits_room) * sizeof(uint32_t);
    }
    ink_mutex_unlock(g->lock);
    return bytes;
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
    uint32_t most;         /* cost after a token */
    struct ink_mask *mask; /* being made; NULL: run->bits are set */
    bool ends_matter;      /* what follows the end of the rule is to be looked at later */
    uint32_t n_visited;    /* nodes */
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

/* For the mask that is being made: the node is reached. */
static void note(struct walk *w, uint32_t node, uint32_t place)
{
    const struct ink_trie *trie = w->run->grammar->trie;
    const struct ink_place *p = &w->run->table.places[place];
    const uint32_t cost = w->run->table.cost[place];
    if (p->is_complete && w->ends_matter) {
        add_exit(w->mask, node);
    }
    if (ink_trie_n_tokens(&trie->nodes[node]) > 0 && p->end > p->begin) {
        w->mask->dearest = cost > w->mask->dearest ? cost : w->mask->dearest;
        mark(w->mask->bits, trie, node);
    }
}

/* Mark all tokens below the node if all of them may be. */
static bool mark_below(struct walk *w, uint32_t node, uint32_t place)
{
    const struct ink_trie *trie = w->run->grammar->trie;
    uint32_t dearest;
    if (!ink_run_reads_all(w->run, node, place, w->most, w->ends_matter, &dearest)) {
        return false;
    }
    uint32_t *bits = w->mask ? w->mask->bits : w->run->bits;
    if (w->mask) {
        w->mask->dearest = dearest > w->mask->dearest ? dearest : w->mask->dearest;
    }
    const uint32_t end = trie->nodes[trie->nodes[node].end].tokens;
    for (uint32_t i = trie->nodes[node + 1].tokens; i < end; i++) {
        const uint32_t id = (uint32_t)trie->ids[i];
        bits[id / 32] |= 1u << id % 32;
    }
    return true;
}

/* The subtree below `top`, where the text stands at table->path[its depth]. */
static void walk(struct walk *w, uint32_t top)
{
    struct ink_grammar_run *run = w->run;
    struct ink_place_table *t = &run->table;
    const struct ink_trie *trie = run->grammar->trie;
    const struct ink_trie_node *nodes = trie->nodes;
    uint32_t visited = 0;
    t->texts_left = most_texts;
    t->first = nodes[top].depth;
    for (uint32_t i = top + 1, end = nodes[top].end; i < end; visited++) {
        const struct ink_trie_node *n = &nodes[i];
        const uint32_t depth = n->depth;
        uint32_t place = t->next[t->path[depth - 1]][n->byte];
        if (place == INK_RUN_UNKNOWN) {
            place = ink_run_extend(run, depth - 1, n->byte);
        }
        if (place == INK_RUN_DEAD) {
            i = n->end;
            continue;
        }
        t->path[depth] = (uint16_t)place;
        const bool is_text = trie->text_of && trie->text_of[i] && mark_below(w, i, place);
        if (w->mask) {
            note(w, i, place);
        } else if (t->cost[place] <= w->most) {
            mark(run->bits, trie, i);
        }
        i = is_text ? n->end : i + 1;
    }
    w->n_visited += visited;
}

/* ------------------------------------------------------------------------------------- kept masks
 */

/* The mask of a state, or NULL. is_wanted: one is to be made. */
static const struct ink_mask *find_mask(const struct ink_grammar *g, uint32_t state,
                                        bool *is_wanted)
{
    const struct ink_mask *found = NULL;
    ink_mutex_lock(g->lock);
    for (int i = 0; i < g->n_masks; i++) {
        if (g->masks[i]->state == state) {
            found = g->masks[i];
        }
    }
    *is_wanted = !found && g->is_wide[state] && g->n_masks < masks_kept;
    ink_mutex_unlock(g->lock);
    return found;
}

static void note_wide(const struct ink_grammar *g, uint32_t state)
{
    ink_mutex_lock(g->lock);
    g->is_wide[state] = 1;
    ink_mutex_unlock(g->lock);
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

/* Do texts come back to the state? Masks of others are seldom used again. */
static bool is_loop(const struct ink_grammar *g, uint32_t state)
{
    bool found = false;
    for (uint32_t e = g->states[state].first; e < g->states[state + 1].first && !found; e++) {
        found = !(g->edges[e].flags & INK_EDGE_CALL) && g->edges[e].target == state;
    }
    return found;
}

/* Is the way from c the same whatever its count is, and may the mask be made so? */
static bool is_free_of_counts(const struct ink_grammar *g, struct ink_configuration c)
{
    const struct ink_rule *r = &g->rules[g->states[c.state].rule];
    return c.count >= r->least &&
           (r->most == UINT32_MAX || (uint64_t)c.count + (uint64_t)g->trie->longest <= r->most);
}

static void make_mask(struct ink_grammar_run *run, uint32_t state)
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
    struct walk w = {.run = run,
                     .most = INK_GRAMMAR_NEVER - 1,
                     .mask = m,
                     .ends_matter = !g->states[state].is_open};
    const uint32_t at = INK_RUN_WIDTH;
    ink_run_begin_apart(run);
    run->is_abstract = true;
    run->tallest = run->widest = 0;
    run->room[at] = (struct ink_configuration){state, 0, 0};
    run->table.path[0] =
        (uint16_t)ink_run_place(run, (struct ink_configurations){at, at + 1, run->now.top, false});
    walk(&w, 0);
    m->tallest = run->tallest;
    run->is_abstract = false;
    ink_run_forget(run);
    /* what is not to be used is kept all the same, so that it is not tried again */
    if (m->has_failed || m->tallest >= INK_GRAMMAR_DEPTH || run->widest > INK_RUN_WIDTH / 2) {
        m->dearest = INK_GRAMMAR_NEVER;
    }
    keep_mask((struct ink_grammar *)g, m);
}

static void use_mask(struct walk *w, const struct ink_mask *m)
{
    struct ink_grammar_run *run = w->run;
    struct ink_place_table *t = &run->table;
    const struct ink_trie *trie = run->grammar->trie;
    for (int i = 0; i <= trie->n_vocab / 32; i++) {
        run->bits[i] |= m->bits[i];
    }
    const uint32_t at = INK_RUN_WIDTH;
    ink_run_make_room(run);
    struct ink_configurations after = {at, at, run->now.top, false};
    ink_run_return(run, &after, run->room[0].stack);
    const bool is_cheap = ink_run_cost_of(run, after) <= w->most;
    uint16_t place = (uint16_t)ink_run_place(run, after);
    for (uint32_t i = 0; i < m->n_exits && place != INK_RUN_DEAD; i++) {
        const uint32_t node = m->exits[i], depth = trie->nodes[node].depth;
        if (is_cheap) {
            mark(run->bits, trie, node);
        }
        t->path[depth] = place;
        walk(w, node);
        place = t->path[depth];
    }
}

/* Use the mask that is kept for c, if one is and it holds. */
static bool use_kept(struct walk *w, struct ink_configuration c, bool *is_wanted)
{
    const struct ink_stack_node *stack = &w->run->nodes[c.stack];
    const struct ink_mask *m = find_mask(w->run->grammar, c.state, is_wanted);
    if (!m || m->dearest + stack->cost > w->most || m->tallest + stack->depth > INK_GRAMMAR_DEPTH) {
        return false;
    }
    use_mask(w, m);
    return true;
}

/* Bits of tokens that may be next. A state where that took long before gets a mask. */
static void set_bits(struct walk *w)
{
    struct ink_grammar_run *run = w->run;
    const struct ink_configuration c = run->room[0];
    const bool may_keep =
        run->now.end == 1 && is_loop(run->grammar, c.state) && is_free_of_counts(run->grammar, c);
    bool is_wanted = false;
    if (may_keep && use_kept(w, c, &is_wanted)) {
        return;
    }
    if (is_wanted) {
        make_mask(run, c.state);
        if (use_kept(w, run->room[0], &is_wanted)) {
            return;
        }
    }
    w->n_visited = 0;
    ink_run_make_room(run);
    run->table.path[0] = (uint16_t)ink_run_place(run, run->now);
    walk(w, 0);
    if (may_keep && w->n_visited > keep_above) {
        note_wide(run->grammar, c.state);
    }
}

/* ------------------------------------------------------------------------------------- the mask */

/* At the start of a text tokens lose their leading space: they are what follows it. */
static void redo_spaces(struct walk *w)
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
    struct walk w = {.run = run, .most = ink_run_most(run, left)};
    memset(run->bits, 0, ((size_t)g->trie->n_vocab / 32 + 1) * sizeof *run->bits);
    if (run->now.end > 0) {
        set_bits(&w);
    }
    redo_spaces(&w);
    for (int i = 0; i < g->trie->n_end_tokens; i++) {
        const uint32_t id = (uint32_t)g->trie->end_tokens[i], bit = 1u << id % 32;
        run->bits[id / 32] =
            run->now.is_complete ? run->bits[id / 32] | bit : run->bits[id / 32] & ~bit;
    }
    apply(run, logits);
}
