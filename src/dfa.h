/* Deterministic automata over characters: what the text of a JSON string may be. */
#ifndef INK_DFA_H
#define INK_DFA_H

#include "grammar.h"

enum {
    INK_DFA_STATES = 8000, /* limits of one automaton */
    INK_DFA_EDGES = 40000,
    INK_DFA_LAST = 0x10FFFF, /* the greatest character */
};

struct ink_dfa_edge {
    uint32_t low, high, target; /* characters */
};
struct ink_dfa_state {
    uint32_t first; /* edges[first .. the next state's first), in order, not overlapping */
    bool is_final;
};
/* State 0 is the start. Characters are scalar values from 1 up. */
struct ink_dfa {
    struct ink_dfa_state *states; /* [n_states + 1] */
    struct ink_dfa_edge *edges;
    uint32_t n_states, n_edges, states_room, edges_room;
};

void ink_dfa_close(struct ink_dfa *d);
/* Building: a state and then its edges. INK_ERROR_LIMIT or INK_ERROR_MEMORY. */
int ink_dfa_add_state(struct ink_dfa *d, bool is_final, struct ink_error *error);
int ink_dfa_add_edge(struct ink_dfa *d, uint32_t low, uint32_t high, uint32_t target,
                     struct ink_error *error);

/* Texts of least..most characters (most UINT32_MAX: no limit). */
int ink_dfa_of_length(struct ink_dfa *out, uint32_t least, uint32_t most, struct ink_error *error);
/* Every text but names [n], which are UTF-8. */
int ink_dfa_of_others(struct ink_dfa *out, const char *const *names, size_t n,
                      struct ink_error *error);
/* What both match. */
int ink_dfa_intersect(struct ink_dfa *out, const struct ink_dfa *a, const struct ink_dfa *b,
                      struct ink_error *error);
/* Is there a text that it matches, and does it match this one (UTF-8)? */
bool ink_dfa_is_possible(const struct ink_dfa *d);
bool ink_dfa_matches(const struct ink_dfa *d, const char *text);

/* The inside of a JSON string and its closing quote: from `from` to `to`. Characters are written
 * as they are, where JSON does not demand an escape; U+0000 is left out. */
void ink_dfa_build(struct ink_builder *b, const struct ink_dfa *d, uint32_t from, uint32_t to);

/* regex*.c: the texts in which `pattern` matches somewhere: ECMA-262 without lookaround,
 * back-references, word boundaries and \p. *why says what is wrong, if the status is
 * INK_ERROR_ARGUMENT. *work: steps taken, for all patterns together, which are limited. */
int ink_dfa_of_pattern(struct ink_dfa *out, const char *pattern, long *work, const char **why,
                       struct ink_error *error);

#endif
