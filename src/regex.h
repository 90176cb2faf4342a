/* What the files of patterns share: regex_set.c reads characters and sets of them, regex_parse.c a
 * pattern into a tree, regex.c makes an automaton with choices of it (Thompson 1968), and
 * regex_determine.c one without (the subset construction). Every size is limited, and so is the
 * work. */
#ifndef INK_REGEX_H
#define INK_REGEX_H

#include "dfa.h"

enum {
    INK_REGEX_PATTERN = 4096, /* bytes */
    INK_REGEX_DEPTH = 32,     /* groups inside one another */
    INK_REGEX_NODES = 8000,   /* of the tree, and of the automaton */
    INK_REGEX_RANGES = 20000,
    INK_REGEX_REPEAT = 1000,
    INK_REGEX_WORK = 6000000, /* of all patterns */
    INK_REGEX_EACH = 5000,    /* of one, at least */
    INK_REGEX_NO_LIMIT = -1,
};

struct ink_range {
    uint32_t low, high;
};

enum ink_regex_node_kind {
    INK_REGEX_EMPTY,
    INK_REGEX_CHARACTER,
    INK_REGEX_SEQUENCE,
    INK_REGEX_CHOICE,
    INK_REGEX_REPETITION,
    INK_REGEX_BEGIN,
    INK_REGEX_END,
};

/* Of the tree. CHARACTER: ranges[a .. b). SEQUENCE, CHOICE: nodes a and b. REPETITION: node a,
 * least to most times. */
struct ink_regex_node {
    enum ink_regex_node_kind kind;
    int a, b, least, most;
};

struct ink_regex_parser {
    const char *at, *end;
    struct ink_regex_node *nodes; /* [INK_REGEX_NODES] */
    struct ink_range *ranges;     /* [INK_REGEX_RANGES] */
    int n_nodes, n_ranges, depth;
    const char *why; /* NULL: no error so far */
};

/* The first thing that is wrong is kept, and nothing more is read. Returns 0. */
int ink_regex_wrong(struct ink_regex_parser *p, const char *why);
int ink_regex_add_node(struct ink_regex_parser *p, enum ink_regex_node_kind kind, int a, int b);
void ink_regex_add_range(struct ink_regex_parser *p, uint32_t low, uint32_t high);

/* regex_set.c. Sort ranges[from ..), join them; `negate`: what they leave out. */
void ink_regex_tidy_ranges(struct ink_regex_parser *p, int from, bool negate);
/* \d, \w, \s and what they leave out. False: `letter` is none of them. */
bool ink_regex_add_class(struct ink_regex_parser *p, char letter);
/* After a backslash: one character. */
uint32_t ink_regex_read_escape(struct ink_regex_parser *p, bool in_class);
uint32_t ink_regex_read_plain(struct ink_regex_parser *p);
/* After a bracket: the node of the set. */
int ink_regex_read_set(struct ink_regex_parser *p);

/* regex_parse.c. The whole pattern p->at .. p->end; returns the root of its tree. */
int ink_regex_parse(struct ink_regex_parser *p);

enum ink_regex_state_kind {
    INK_REGEX_FORK,
    INK_REGEX_READ,
    INK_REGEX_AT_BEGIN,
    INK_REGEX_AT_END,
    INK_REGEX_ACCEPT,
};

/* FORK: goes on at a and b (-1: only a). READ: a character of ranges[low .. high), then a. */
struct ink_regex_state {
    enum ink_regex_state_kind kind;
    int a, b, low, high;
};

/* regex_determine.c. The automaton without choices of one with them, from `start`; *work grows by
 * the steps that it takes. INK_ERROR_LIMIT, INK_ERROR_MEMORY. */
int ink_regex_determine(struct ink_dfa *out, const struct ink_regex_state *states,
                        const struct ink_range *ranges, int start, long *work,
                        struct ink_error *error);

#endif
