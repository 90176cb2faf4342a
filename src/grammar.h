/* Grammars: automata over bytes that say what an answer may be, and the state of one answer.
 *
 * A grammar is a set of rules, each a small automaton. Its edges read a byte, or call another rule
 * and go on when that one has ended, so grammars may be recursive. Automata need not be
 * deterministic: an answer being written is a set of configurations, each a state, the stack of
 * states that wait for their calls to end, and a count (characters of a string, items of an array).
 *
 * Every state knows the tokens that the cheapest way to the end of its rule takes. So for any
 * configuration the cost of finishing is one addition, and a mask that allows only what can still
 * be finished in the tokens that are left never paints itself into a corner.
 *
 * Compiled grammars are read-only (but for a cache of masks, under a lock) and shared by threads;
 * a run belongs to one thread at a time. */
#ifndef INK_GRAMMAR_H
#define INK_GRAMMAR_H

#include "model.h"
#include "trie.h"

enum {
    INK_GRAMMAR_STATES = 60000, /* limits of one grammar */
    INK_GRAMMAR_EDGES = 200000,
    INK_GRAMMAR_RULES = 20000,
    INK_GRAMMAR_DEPTH = 160,     /* calls inside one another: some 64 nested values */
    INK_GRAMMAR_NEVER = 1 << 29, /* cost of what cannot be finished */
};

enum ink_edge_flags {
    INK_EDGE_CALL = 1,     /* calls `rule`, then goes on at `target`; else reads low..high */
    INK_EDGE_NEED_MIN = 2, /* only if the rule's count has reached its least value */
    INK_EDGE_NEED_MAX = 4, /* only if the rule's count is below its greatest value */
    INK_EDGE_COUNT = 8,    /* adds one to the rule's count */
};

struct ink_edge {
    uint8_t low, high, flags;
    uint32_t target, rule;
};

struct ink_state {
    uint32_t first; /* edges[first .. the next state's first) */
    uint32_t rule;
    uint32_t cost;   /* tokens to the end of the rule, the way of `choice`; or INK_GRAMMAR_NEVER */
    uint32_t choice; /* the edge of that way */
    uint16_t height; /* calls inside one another on that way */
    uint8_t counts;  /* edges that add to the count on that way */
    bool is_final;   /* the rule may end here */
    bool is_open;    /* free text goes on here: a text that is cut here is not whole */
    bool is_end;     /* and nothing else is possible */
};

struct ink_rule {
    uint32_t start;
    uint32_t least, most;  /* of its count; most UINT32_MAX: no limit */
    uint32_t anchor, loop; /* least > 0: from `anchor`, one byte to `loop`, a count, and back */
    uint32_t unit;         /* tokens of that */
    uint32_t cost;         /* tokens of a whole text */
    uint32_t bytes;        /* the same in bytes, by which `choice` was made */
    uint64_t first[4];     /* the bytes it may begin with */
};

struct ink_mask;

struct ink_grammar {
    const struct ink_model *model;
    const struct ink_trie *trie; /* the model's */
    struct ink_state *states;    /* [n_states + 1] */
    struct ink_edge *edges;      /* [n_edges] */
    struct ink_rule *rules;      /* [n_rules] */
    uint32_t n_states, n_edges, n_rules, root;
    uint64_t serial;         /* no other grammar of this process has it */
    struct ink_mutex *lock;  /* of what follows */
    uint8_t *is_wide;        /* [n_states] a mask there took long */
    struct ink_mask **masks; /* [n_masks] kept, of states that many answers pass through */
    int n_masks;
};

/* ---------------------------------------------------------------------------------- building */

/* A grammar being built. After a failure every call does nothing; ink_build_finish tells of it. */
struct ink_build_edge {
    struct ink_edge edge;
    uint32_t next; /* of the same state; UINT32_MAX: none */
};
struct ink_build_state {
    uint32_t first, last; /* edges; UINT32_MAX: none */
    uint32_t rule;
    bool is_final, is_open;
};
struct ink_builder {
    struct ink_build_state *states;
    struct ink_build_edge *edges;
    struct ink_rule *rules;
    uint32_t n_states, n_edges, n_rules;
    uint32_t states_room, edges_room, rules_room;
    long pattern_work; /* steps that its patterns have taken, see ink_dfa_of_pattern */
    int status;
    struct ink_error *error;
};

void ink_build_close(struct ink_builder *b);
/* A new rule with its start state. */
uint32_t ink_build_rule(struct ink_builder *b);
uint32_t ink_build_start(const struct ink_builder *b, uint32_t rule);
/* A new state of `rule`. */
uint32_t ink_build_state(struct ink_builder *b, uint32_t rule);
void ink_build_final(struct ink_builder *b, uint32_t state);
/* Final, but only of a text that its writer ends, see ink_run_is_whole. */
void ink_build_open(struct ink_builder *b, uint32_t state);
/* flags: of enum ink_edge_flags, without INK_EDGE_CALL */
void ink_build_edge(struct ink_builder *b, uint32_t from, unsigned low, unsigned high,
                    unsigned flags, uint32_t to);
void ink_build_call(struct ink_builder *b, uint32_t from, uint32_t rule, unsigned flags,
                    uint32_t to);
/* Read `bytes`, by edges that are there or new ones; returns the state after them. */
uint32_t ink_build_text(struct ink_builder *b, uint32_t from, const char *bytes, size_t n);
/* Bytes that lie between from and to: the end of it is `to`. n >= 1. */
void ink_build_path(struct ink_builder *b, uint32_t from, const char *bytes, size_t n, uint32_t to);
/* Fail with the first error; `error` was filled. */
void ink_build_fail(struct ink_builder *b, int status);

/* Make a grammar of it. INK_ERROR_ARGUMENT: no text at all matches, a rule calls itself without
 * reading a byte, or texts nest too deep. INK_ERROR_LIMIT: too large. */
int ink_build_finish(struct ink_grammar **out, struct ink_builder *b, uint32_t root,
                     const struct ink_model *model, struct ink_error *error);
/* grammar_cost.c: fills in costs, choices, heights. */
int ink_grammar_weigh(struct ink_grammar *g, struct ink_error *error);

static inline uint32_t ink_add_cost(uint32_t a, uint64_t b)
{
    uint64_t sum = a + b;
    return sum < INK_GRAMMAR_NEVER ? (uint32_t)sum : INK_GRAMMAR_NEVER;
}
/* May a call that goes on at `state` be forgotten, because nothing is left to do there? */
static inline bool ink_is_tail(const struct ink_grammar *g, uint32_t state)
{
    return g->states[state].is_end;
}

/* ------------------------------------------------------------------------------------ running */

struct ink_configuration {
    uint32_t state, stack, count;
};

/* A call that waits. nodes[0] is the bottom: there the text ends. */
struct ink_stack_node {
    uint32_t state, parent, count;
    uint32_t cost; /* tokens from `state` to the end of the text */
    uint32_t depth;
};

/* Some configurations, in a run's room for them. */
struct ink_configurations {
    uint32_t begin, end; /* run->room[begin .. end) */
    uint32_t top;        /* nodes in use */
    bool is_complete;    /* the text may end here */
};

enum {
    INK_RUN_WIDTH = 64, /* configurations of one place; the dearest are dropped beyond that */
    INK_RUN_NODES = 16384,
    INK_RUN_PLACES = 2048,
    INK_RUN_CONFIGURATIONS = 32768, /* of all places */
    INK_RUN_UNKNOWN = 0,            /* next[][]: not asked for yet; and no text goes on there */
    INK_RUN_DEAD = 1,
};

/* A set of configurations that was met: states of a deterministic automaton that is made as it is
 * asked for. */
struct ink_place {
    uint32_t begin, end; /* table->configurations[begin .. end) */
    uint32_t hash;
    bool is_complete;
};

/* Characters that all lead from one place to one other. */
struct ink_place_text {
    uint64_t kinds[2]; /* of ink_trie_kind; 0: none, or not asked for */
    uint16_t next;
    bool is_known;
};

/* What is remembered of a run's steps. The stack's nodes are each there once, so places that are
 * alike are one, and masks cost a look into `next` for each node of the trie. When a part is full,
 * all is forgotten but where the run stands. */
struct ink_place_table {
    uint16_t (*next)[256]; /* [INK_RUN_PLACES] */
    struct ink_place *places;
    struct ink_place_text *texts;
    uint32_t *cost; /* [INK_RUN_PLACES] tokens to the end of the text at least */
    struct ink_configuration *configurations;
    uint16_t *place_slots; /* [2 * INK_RUN_PLACES] by hash; 0: free */
    uint16_t *node_slots;  /* [2 * INK_RUN_NODES] by hash; 0: free */
    uint32_t n_places, n_configurations;
    uint32_t width; /* walks stop at places of more configurations; 0: they do not */
    int texts_left; /* how many texts may be looked for: it pays if there are few */
    /* Of a walk through the trie: where each depth stands; those from `first` on are needed. */
    uint16_t path[INK_TRIE_LONGEST + 1];
    uint32_t first;
};

/* What is read of one answer. 2 MB, and a bit for each token of the vocabulary. */
struct ink_grammar_run {
    const struct ink_grammar *grammar;
    uint64_t serial;                /* the grammar's, of which the table is */
    struct ink_configuration *room; /* of the sets below */
    struct ink_stack_node *nodes;   /* [INK_RUN_NODES] */
    uint32_t *renamed;              /* [INK_RUN_NODES] working memory */
    struct ink_configurations now;  /* where the text stands: room[0 .. end) */
    struct ink_place_table table;
    uint32_t *bits;     /* [n_vocab / 32 + 1] the mask */
    unsigned low, high; /* bytes with which the step would be the same */
    bool is_split;      /* masks are made of each configuration for itself */
    bool is_first;      /* nothing is written yet that would keep a token's leading space */
    /* While a mask is made that holds for any stack: */
    bool is_abstract;
    uint32_t tallest; /* the greatest depth and height that was met */
    uint32_t widest;  /* the most configurations of a place */
};

/* Bytes that a run takes. */
uint64_t ink_run_bytes(const struct ink_model *model);
int ink_run_open(struct ink_grammar_run **out, const struct ink_model *model,
                 struct ink_error *error);
void ink_run_close(struct ink_grammar_run *run);
/* Begin an answer after prompt [n_prompt]. */
void ink_run_start(struct ink_grammar_run *run, const struct ink_grammar *grammar,
                   const int32_t *prompt, int n_prompt);
/* Read one byte, or a token. False: the grammar does not allow it; the run is then as before. */
bool ink_run_read(struct ink_grammar_run *run, unsigned byte);
bool ink_run_accept(struct ink_grammar_run *run, int32_t token);
/* May the text end here; and may it only end here? */
bool ink_run_is_complete(const struct ink_grammar_run *run);
bool ink_run_is_over(const struct ink_grammar_run *run);
/* If no more tokens are left: is it a text of the grammar, and not free text that was cut? */
bool ink_run_is_whole(const struct ink_grammar_run *run);
/* Tokens to the end of the text, a way that is always possible. */
uint32_t ink_run_cost(const struct ink_grammar_run *run);

/* With `left` tokens to write at most, this one included: may it be `token`? If the text cannot be
 * finished in that many anyway, then as if there was no limit. */
bool ink_run_allows(struct ink_grammar_run *run, int32_t token, int left);
/* Set what may not be next to minus infinity: logits [n_vocab]. Never fails; the result does not
 * depend on what is cached. Where more than a few strings of different kinds may be written at this
 * place, some of them are left out: the answer is valid in any case. */
void ink_run_mask(struct ink_grammar_run *run, float *logits, int left);

/* For the files of runs. What follows `from` after a byte, put behind from.end (and further): the
 * same with each byte low..high of the run. */
struct ink_configurations ink_run_step(struct ink_grammar_run *run, struct ink_configurations from,
                                       unsigned byte);
/* Put one more into the set, or into the place of the dearest. */
void ink_run_put(struct ink_grammar_run *run, struct ink_configurations *set,
                 struct ink_configuration c);
/* Add to *set where a call to stack node `node` goes on. */
void ink_run_return(struct ink_grammar_run *run, struct ink_configurations *set, uint32_t node);

/* grammar_place.c. Room for a table; false: out of memory. */
bool ink_places_open(struct ink_place_table *t);
void ink_places_close(struct ink_place_table *t);
uint64_t ink_places_bytes(void);
/* Forget every place, and the nodes that run->now does not stand on. */
void ink_run_forget(struct ink_grammar_run *run);
/* Forget every place; nodes from now on are other ones than those before. For abstract masks: call
 * ink_run_forget after them. */
void ink_run_begin_apart(struct ink_grammar_run *run);
/* If the table is nearly full: ink_run_forget. */
void ink_run_make_room(struct ink_grammar_run *run);
/* The place of a set in the room, whose stacks are nodes below run->now.top; room was made. */
uint32_t ink_run_place(struct ink_grammar_run *run, struct ink_configurations set);
/* grammar_text.c. May every text below the trie's node follow `place`, with `most` tokens then left
 * for the end and, if `ends_matter`, without the end of the rule? *dearest: the greatest cost.
 * False, too, if table->texts_left does not allow to find out. */
bool ink_run_reads_all(struct ink_grammar_run *run, uint32_t node, uint32_t place, uint32_t most,
                       bool ends_matter, uint32_t *dearest);
/* next[place][byte], filled in if there is room; INK_RUN_UNKNOWN: there is none. */
uint32_t ink_run_next(struct ink_grammar_run *run, uint32_t place, unsigned byte);
/* Fill in next[path[depth]][byte], and return it; path[first .. depth] may be other numbers then.
 */
uint32_t ink_run_extend(struct ink_grammar_run *run, uint32_t depth, unsigned byte);
/* What finishing may cost after the next token, with `left` tokens to write, that one included. */
uint32_t ink_run_most(const struct ink_grammar_run *run, int left);
/* May the next be `token`, which is no end token? */
bool ink_run_allows_within(struct ink_grammar_run *run, int32_t token, uint32_t most);
/* The least cost of finishing. */
uint32_t ink_run_cost_of(const struct ink_grammar_run *run, struct ink_configurations set);
/* Bytes of the masks that are kept. Any thread. */
uint64_t ink_masks_bytes(const struct ink_grammar *g);
void ink_masks_close(struct ink_grammar *g);

#endif
