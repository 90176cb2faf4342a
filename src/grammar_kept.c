/* Masks that are kept with a grammar: where a walk takes long, as inside strings, what holds for
 * any stack. */
#include "grammar_walk.h"
#include "sync.h"

#include <string.h>

enum { masks_kept = 96 }; /* for each grammar; 14 KB each for ERNIE, and the exits */

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

void ink_mask_note(const struct ink_grammar *g, uint32_t state)
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

bool ink_mask_is_possible(const struct ink_grammar *g, struct ink_configuration c)
{
    return is_loop(g, c.state) && is_free_of_counts(g, c);
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
    struct ink_walk w = {.run = run,
                         .most = INK_GRAMMAR_NEVER - 1,
                         .mask = m,
                         .ends_matter = !g->states[state].is_open};
    const uint32_t at = INK_RUN_WIDTH;
    run->table.width = 0;
    ink_run_begin_apart(run);
    run->is_abstract = true;
    run->tallest = run->widest = 0;
    run->room[at] = (struct ink_configuration){state, 0, 0};
    run->table.path[0] =
        (uint16_t)ink_run_place(run, (struct ink_configurations){at, at + 1, run->now.top, false});
    ink_walk_below(&w, 0);
    m->tallest = run->tallest;
    m->widest = run->widest;
    run->is_abstract = false;
    ink_run_forget(run);
    /* what is not to be used is kept all the same, so that it is not tried again */
    if (m->has_failed || m->tallest >= INK_GRAMMAR_DEPTH) {
        m->dearest = INK_GRAMMAR_NEVER;
    }
    keep_mask((struct ink_grammar *)g, m);
}

static void use_mask(struct ink_walk *w, const struct ink_mask *m, uint32_t i)
{
    struct ink_grammar_run *run = w->run;
    struct ink_place_table *t = &run->table;
    const struct ink_trie *trie = run->grammar->trie;
    for (int k = 0; k <= trie->n_vocab / 32; k++) {
        run->bits[k] |= m->bits[k];
    }
    const uint32_t at = INK_RUN_WIDTH;
    ink_run_make_room(run);
    struct ink_configurations after = {at, at, run->now.top, false};
    ink_run_return(run, &after, run->room[i].stack);
    const bool is_cheap = ink_run_cost_of(run, after) <= w->most;
    uint16_t place = (uint16_t)ink_run_place(run, after);
    for (uint32_t k = 0; k < m->n_exits && place != INK_RUN_DEAD; k++) {
        const uint32_t node = m->exits[k], depth = trie->nodes[node].depth;
        if (is_cheap) {
            ink_walk_mark(run->bits, trie, node);
        }
        t->path[depth] = place;
        ink_walk_below(w, node);
        place = t->path[depth];
    }
}

bool ink_mask_use(struct ink_walk *w, uint32_t i)
{
    struct ink_grammar_run *run = w->run;
    const uint32_t state = run->room[i].state, width = run->table.width;
    bool is_wanted;
    const struct ink_mask *m = find_mask(run->grammar, state, &is_wanted);
    if (is_wanted) {
        make_mask(run, state);
        run->table.width = width;
        m = find_mask(run->grammar, state, &is_wanted);
    }
    const struct ink_stack_node *stack = &run->nodes[run->room[i].stack];
    if (!m || m->dearest + stack->cost > w->most || m->tallest + stack->depth > INK_GRAMMAR_DEPTH ||
        (width > 0 && m->widest > width)) {
        return false;
    }
    use_mask(w, m, i);
    return true;
}
