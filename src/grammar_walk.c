/* The vocabulary's trie is walked with the automaton, a subtree at a time being given up, or taken
 * as a whole. */
#include "grammar_walk.h"

enum {
    exits_kept = 16384,
    most_texts = 128, /* places of one walk at which plain text is looked for */
};

void ink_walk_mark(uint32_t *bits, const struct ink_trie *trie, uint32_t node)
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
static void note(struct ink_walk *w, uint32_t node, uint32_t place)
{
    const struct ink_trie *trie = w->run->grammar->trie;
    const struct ink_place *p = &w->run->table.places[place];
    const uint32_t cost = w->run->table.cost[place];
    if (p->is_complete && w->ends_matter) {
        add_exit(w->mask, node);
        /* else what goes on inside and what follows would be one set, and that a wide one */
        w->mask->has_failed |= p->end > p->begin;
    }
    if (ink_trie_n_tokens(&trie->nodes[node]) > 0 && p->end > p->begin) {
        w->mask->dearest = cost > w->mask->dearest ? cost : w->mask->dearest;
        ink_walk_mark(w->mask->bits, trie, node);
    }
}

/* Mark all tokens below the node if all of them may be. */
static bool mark_below(struct ink_walk *w, uint32_t node, uint32_t place)
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

void ink_walk_below(struct ink_walk *w, uint32_t top)
{
    struct ink_grammar_run *run = w->run;
    struct ink_place_table *t = &run->table;
    const struct ink_trie *trie = run->grammar->trie;
    const struct ink_trie_node *nodes = trie->nodes;
    uint32_t visited = 0;
    t->texts_left = most_texts;
    t->first = nodes[top].depth;
    for (uint32_t i = top + 1, end = nodes[top].end; i < end && !w->is_too_wide; visited++) {
        const struct ink_trie_node *n = &nodes[i];
        const uint32_t depth = n->depth;
        uint32_t place = t->next[t->path[depth - 1]][n->byte];
        if (place == INK_RUN_UNKNOWN) {
            place = ink_run_extend(run, depth - 1, n->byte);
            w->n_extended++;
        }
        if (place == INK_RUN_DEAD) {
            i = n->end;
            continue;
        }
        t->path[depth] = (uint16_t)place;
        w->is_too_wide = t->width > 0 && t->places[place].end - t->places[place].begin > t->width;
        const bool is_text = trie->text_of && trie->text_of[i] && mark_below(w, i, place);
        if (w->mask) {
            note(w, i, place);
        } else if (t->cost[place] <= w->most) {
            ink_walk_mark(run->bits, trie, i);
        }
        i = is_text ? n->end : i + 1;
    }
    w->n_visited += visited;
}
