/* What the files of masks share: grammar_walk.c walks through the trie, grammar_kept.c keeps masks
 * with the grammar, grammar_mask.c makes the mask of a run. */
#ifndef INK_GRAMMAR_WALK_H
#define INK_GRAMMAR_WALK_H

#include "grammar.h"

/* What holds at a state for any stack: the tokens that stay inside the rule, and the nodes of the
 * trie at which the rule ends, from where the walk goes on with the stack at hand. */
struct ink_mask {
    uint32_t state;
    uint32_t dearest, tallest; /* cost and height met at most, without the stack's */
    uint32_t widest;           /* configurations of a place at most */
    uint32_t *bits;            /* [n_vocab / 32 + 1] */
    uint32_t *exits;           /* [n_exits] trie nodes */
    uint32_t n_exits, exits_room;
    bool has_failed;
};

struct ink_walk {
    struct ink_grammar_run *run;
    uint32_t most;         /* cost after a token */
    struct ink_mask *mask; /* being made; NULL: run->bits are set */
    bool ends_matter;      /* what follows the end of the rule is to be looked at later */
    bool is_too_wide;      /* a place was wider than table->width: the bits are of no use */
    uint32_t n_visited;    /* nodes */
    uint32_t n_extended;   /* of them where the table had to be filled in */
};

/* The subtree below `top`, where the text stands at table->path[its depth]. Room was made. */
void ink_walk_below(struct ink_walk *w, uint32_t top);
/* Set the bits of the node's own tokens. */
void ink_walk_mark(uint32_t *bits, const struct ink_trie *trie, uint32_t node);

/* May there be a kept mask for configuration c: do texts come back to its state, and is the way
 * from it the same whatever its count is? */
bool ink_mask_is_possible(const struct ink_grammar *g, struct ink_configuration c);
/* Set the bits of run->room[i] by a kept mask, if there is one and it holds. It is made if its
 * state was noted before. */
bool ink_mask_use(struct ink_walk *w, uint32_t i);
/* The next time a mask is to be made. */
void ink_mask_note(const struct ink_grammar *g, uint32_t state);

#endif
