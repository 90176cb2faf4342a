/* Masks: which tokens may be next. */
#include "grammar_walk.h"

#include <math.h>
#include <string.h>

enum {
    keep_above = 2000,  /* visited nodes that make a mask worth keeping */
    split_above = 3000, /* filled in places of the table that make it worth splitting a set */
};

static uint32_t words_of(const struct ink_grammar_run *run)
{
    return (uint32_t)run->grammar->trie->n_vocab / 32 + 1;
}

/* Bits of tokens that may be next, by a walk with all configurations as a set. */
static void walk_as_set(struct ink_walk *w)
{
    struct ink_grammar_run *run = w->run;
    const struct ink_configurations now = run->now;
    run->table.width = 0;
    ink_run_make_room(run);
    run->table.path[0] = (uint16_t)ink_run_place(run, run->now);
    ink_walk_below(w, 0);
    run->is_split = now.end > 1 && w->n_extended > split_above;
    for (uint32_t i = 0; i < now.end; i++) {
        run->is_split &= ink_mask_is_possible(run->grammar, run->room[i]);
    }
    for (uint32_t i = 0; i < now.end; i++) {
        const struct ink_configuration c = run->room[i];
        if ((now.end == 1 ? w->n_visited > keep_above : run->is_split) &&
            ink_mask_is_possible(run->grammar, c)) {
            ink_mask_note(run->grammar, c.state);
        }
    }
}

/* The same by each configuration for itself: patterns that differ go through sets of many kinds,
 * but each alone through few. It is the same as long as no set would be too large. */
static bool walk_one_by_one(struct ink_walk *w)
{
    struct ink_grammar_run *run = w->run;
    run->table.width = INK_RUN_WIDTH / run->now.end;
    for (uint32_t i = 0; i < run->now.end && run->table.width > 0 && !w->is_too_wide; i++) {
        if (ink_mask_is_possible(run->grammar, run->room[i]) && ink_mask_use(w, i)) {
            continue;
        }
        const uint32_t at = INK_RUN_WIDTH;
        ink_run_make_room(run);
        run->room[at] = run->room[i];
        run->table.path[0] = (uint16_t)ink_run_place(
            run, (struct ink_configurations){at, at + 1, run->now.top, false});
        ink_walk_below(w, 0);
    }
    if (run->table.width > 0 && !w->is_too_wide) {
        return true;
    }
    w->is_too_wide = false;
    memset(run->bits, 0, words_of(run) * sizeof *run->bits);
    return false;
}

static void set_bits(struct ink_walk *w)
{
    struct ink_grammar_run *run = w->run;
    const bool is_one = run->now.end == 1;
    run->is_split &= !is_one;
    if (is_one && ink_mask_is_possible(run->grammar, run->room[0])) {
        run->table.width = INK_RUN_WIDTH;
        if (ink_mask_use(w, 0) && !w->is_too_wide) {
            return;
        }
        w->is_too_wide = false;
        memset(run->bits, 0, words_of(run) * sizeof *run->bits);
    }
    if (!run->is_split || !walk_one_by_one(w)) {
        walk_as_set(w);
    }
}

/* At the start of a text tokens lose their leading space: they are what follows it. */
static void redo_spaces(struct ink_walk *w)
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
    struct ink_walk w = {.run = run, .most = ink_run_most(run, left)};
    memset(run->bits, 0, words_of(run) * sizeof *run->bits);
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
