#include "grammar.h"

#include <string.h>

enum { ROOM = (INK_TRIE_LONGEST + 5) * INK_RUN_WIDTH };

/* ------------------------------------------------------------------------------- open and start */

uint64_t ink_run_bytes(const struct ink_model *model)
{
    const struct ink_grammar_run *r = NULL;
    return sizeof *r + ROOM * sizeof *r->room +
           INK_RUN_NODES * (sizeof *r->nodes + sizeof *r->renamed) +
           (INK_TRIE_LONGEST + 1) * sizeof *r->at +
           ((uint64_t)model->architecture.vocab_size / 32 + 1) * sizeof *r->bits;
}

int ink_run_open(struct ink_grammar_run **out, const struct ink_model *model,
                 struct ink_error *error)
{
    *out = NULL;
    struct ink_grammar_run *r = ink_calloc(1, sizeof *r);
    if (!r) {
        return ink_fail_memory(error, sizeof *r);
    }
    r->room = ink_calloc(ROOM, sizeof *r->room);
    r->nodes = ink_calloc(INK_RUN_NODES, sizeof *r->nodes);
    r->renamed = ink_calloc(INK_RUN_NODES, sizeof *r->renamed);
    r->at = ink_calloc(INK_TRIE_LONGEST + 1, sizeof *r->at);
    r->bits = ink_calloc((size_t)model->architecture.vocab_size / 32 + 1, sizeof *r->bits);
    if (!r->room || !r->nodes || !r->renamed || !r->at || !r->bits) {
        ink_run_close(r);
        return ink_fail_memory(error, ink_run_bytes(model));
    }
    *out = r;
    return INK_OK;
}

void ink_run_close(struct ink_grammar_run *r)
{
    if (r) {
        ink_free(r->room);
        ink_free(r->nodes);
        ink_free(r->renamed);
        ink_free(r->at);
        ink_free(r->bits);
        ink_free(r);
    }
}

/* --------------------------------------------------------------------------------- costs, limits
 */

/* Tokens from there to the end of the text. */
static uint32_t cost_at(const struct ink_grammar_run *run, struct ink_configuration c)
{
    const struct ink_state *s = &run->grammar->states[c.state];
    const struct ink_rule *r = &run->grammar->rules[s->rule];
    uint64_t cost = (uint64_t)s->cost + run->nodes[c.stack].cost;
    if (r->least > 0 && !(run->is_abstract && c.stack == 0)) {
        uint64_t count = (uint64_t)c.count + s->counts;
        cost += count < r->least ? (r->least - count) * r->unit : 0;
    }
    return ink_add_cost(0, cost);
}

uint32_t ink_run_cost_of(const struct ink_grammar_run *run, struct ink_configurations set)
{
    uint32_t least = set.is_complete ? 0 : INK_GRAMMAR_NEVER;
    for (uint32_t i = set.begin; i < set.end && least > 0; i++) {
        uint32_t cost = cost_at(run, run->room[i]);
        least = cost < least ? cost : least;
    }
    return least;
}

/* Calls inside one another on the way from there to the end. */
static uint32_t height_at(const struct ink_grammar_run *run, struct ink_configuration c)
{
    const struct ink_grammar *g = run->grammar;
    const struct ink_state *s = &g->states[c.state];
    const struct ink_rule *r = &g->rules[s->rule];
    uint32_t height = s->height;
    if (r->least > 0 && g->states[r->loop].height > height) {
        height = g->states[r->loop].height;
    }
    return run->nodes[c.stack].depth + height;
}

/* --------------------------------------------------------------------------------------- a byte */

/* Put one more into the set, or into the place of the dearest. What is left out makes the grammar
 * narrower, never wrong. */
static void put(struct ink_grammar_run *run, struct ink_configurations *set,
                struct ink_configuration c)
{
    uint32_t dearest = 0, at = 0;
    for (uint32_t i = set->begin; i < set->end; i++) {
        const struct ink_configuration *o = &run->room[i];
        if (o->state == c.state && o->stack == c.stack && o->count == c.count) {
            return;
        }
    }
    if (set->end - set->begin < INK_RUN_WIDTH) {
        run->room[set->end++] = c;
        return;
    }
    for (uint32_t i = set->begin; i < set->end; i++) {
        uint32_t cost = cost_at(run, run->room[i]);
        if (cost >= dearest) {
            dearest = cost;
            at = i;
        }
    }
    if (cost_at(run, c) < dearest) {
        run->room[at] = c;
    }
}

static void enter(struct ink_grammar_run *run, struct ink_configurations *set,
                  struct ink_configuration c)
{
    const struct ink_state *s = &run->grammar->states[c.state];
    if (cost_at(run, c) >= INK_GRAMMAR_NEVER) {
        return;
    }
    if (s->is_final && c.stack == 0) {
        set->is_complete = true;
    } else if (s->is_final) {
        ink_run_return(run, set, c.stack);
    }
    if (s->is_end) {
        return;
    }
    uint32_t height = height_at(run, c);
    run->tallest = height > run->tallest ? height : run->tallest;
    if (height <= INK_GRAMMAR_DEPTH) {
        put(run, set, c);
    }
}

void ink_run_return(struct ink_grammar_run *run, struct ink_configurations *set, uint32_t node)
{
    const struct ink_stack_node *n = &run->nodes[node];
    if (node == 0) {
        set->is_complete = true;
    } else {
        enter(run, set, (struct ink_configuration){n->state, n->parent, n->count});
    }
}

/* A call that goes on at c. False: there is no room for it, or the text nests too deep. */
static bool push_call(struct ink_grammar_run *run, struct ink_configurations *set, uint32_t from,
                      struct ink_configuration c, uint32_t *out)
{
    for (uint32_t i = from; i < set->top; i++) {
        const struct ink_stack_node *n = &run->nodes[i];
        if (n->state == c.state && n->parent == c.stack && n->count == c.count) {
            *out = i;
            return true;
        }
    }
    const uint32_t depth = run->nodes[c.stack].depth + 1;
    run->tallest = depth > run->tallest ? depth : run->tallest;
    if (set->top == INK_RUN_NODES || depth > INK_GRAMMAR_DEPTH) {
        return false;
    }
    run->nodes[set->top] =
        (struct ink_stack_node){c.state, c.stack, c.count, cost_at(run, c), depth};
    *out = set->top++;
    return true;
}

/* Follow what c can do with the byte. `from`: nodes above are of this step. */
static void follow(struct ink_grammar_run *run, struct ink_configurations *set, uint32_t from,
                   struct ink_configuration c, unsigned byte)
{
    const struct ink_grammar *g = run->grammar;
    const struct ink_state *s = &g->states[c.state];
    const struct ink_rule *rule = &g->rules[s->rule];
    const bool is_free = run->is_abstract && c.stack == 0;
    for (uint32_t i = s[0].first; i < s[1].first; i++) {
        const struct ink_edge *e = &g->edges[i];
        const bool is_call = e->flags & INK_EDGE_CALL;
        if (is_call ? !(g->rules[e->rule].first[byte / 64] >> byte % 64 & 1)
                    : byte < e->low || byte > e->high) {
            continue;
        }
        if (!is_free && ((e->flags & INK_EDGE_NEED_MIN && c.count < rule->least) ||
                         (e->flags & INK_EDGE_NEED_MAX && c.count >= rule->most))) {
            continue;
        }
        struct ink_configuration next = {e->target, c.stack,
                                         c.count + ((e->flags & INK_EDGE_COUNT) != 0)};
        if (!is_call) {
            enter(run, set, next);
            continue;
        }
        uint32_t stack = c.stack;
        if (ink_is_tail(g, e->target) || push_call(run, set, from, next, &stack)) {
            follow(run, set, from, (struct ink_configuration){g->rules[e->rule].start, stack, 0},
                   byte);
        }
    }
}

struct ink_configurations ink_run_step(struct ink_grammar_run *run, struct ink_configurations from,
                                       unsigned byte)
{
    struct ink_configurations to = {from.end, from.end, from.top, false};
    for (uint32_t i = from.begin; i < from.end; i++) {
        follow(run, &to, from.top, run->room[i], byte);
    }
    return to;
}

/* --------------------------------------------------------------------------------------- tokens */

static bool is_dead(struct ink_configurations set)
{
    return set.begin == set.end && !set.is_complete;
}

/* Make `set` the run's state: only the nodes that it stands on stay, each once. */
static void settle(struct ink_grammar_run *run, struct ink_configurations set)
{
    uint32_t *renamed = run->renamed, n = 1;
    memset(renamed, 0, set.top * sizeof *renamed);
    for (uint32_t i = set.begin; i < set.end; i++) {
        for (uint32_t at = run->room[i].stack; at > 0 && !renamed[at]; at = run->nodes[at].parent) {
            renamed[at] = 1;
        }
    }
    for (uint32_t at = 1; at < set.top; at++) {
        if (!renamed[at]) {
            continue;
        }
        struct ink_stack_node node = run->nodes[at];
        node.parent = renamed[node.parent];
        uint32_t same = n > 64 ? n - 64 : 1; /* among the last ones: enough, and bounded */
        while (same < n &&
               (run->nodes[same].state != node.state || run->nodes[same].parent != node.parent ||
                run->nodes[same].count != node.count)) {
            same++;
        }
        run->nodes[same] = node;
        n += same == n;
        renamed[at] = same;
    }
    struct ink_configurations now = {0, 0, n, set.is_complete};
    for (uint32_t i = set.begin; i < set.end; i++) {
        struct ink_configuration c = run->room[i];
        c.stack = renamed[c.stack];
        put(run, &now, c);
    }
    run->at[0] = now;
}

/* Does the start of the text drop the first byte of this token? */
static bool drops_space(const struct ink_grammar_run *run, int32_t token)
{
    return run->is_first && run->grammar->trie->drops_space[token / 32] >> token % 32 & 1;
}

/* Where the run stands after a token: dead if the token may not be there. */
static struct ink_configurations after_token(struct ink_grammar_run *run, int32_t token)
{
    unsigned char bytes[INK_TRIE_LONGEST];
    int n = ink_trie_bytes(run->grammar->trie, bytes, token), i = 0;
    struct ink_configurations set = run->at[0];
    if (n > 0 && drops_space(run, token)) {
        i = 1;
    }
    if (i == n) {
        return (struct ink_configurations){0};
    }
    for (; i < n && !is_dead(set); i++) {
        set = ink_run_step(run, set, bytes[i]);
    }
    return set;
}

bool ink_run_read(struct ink_grammar_run *run, unsigned byte)
{
    struct ink_configurations set = ink_run_step(run, run->at[0], byte);
    if (is_dead(set)) {
        return false;
    }
    settle(run, set);
    run->is_first = false;
    return true;
}

bool ink_run_accept(struct ink_grammar_run *run, int32_t token)
{
    struct ink_configurations set = after_token(run, token);
    if (is_dead(set)) {
        return false;
    }
    settle(run, set);
    run->is_first = false;
    return true;
}

void ink_run_start(struct ink_grammar_run *run, const struct ink_grammar *grammar,
                   const int32_t *prompt, int n_prompt)
{
    const struct ink_tokenizer *t = grammar->model->tokenizer;
    const uint32_t start = grammar->rules[grammar->root].start;
    run->grammar = grammar;
    run->is_abstract = false;
    run->is_first = true;
    for (int i = 0; i < n_prompt && run->is_first; i++) {
        /* as ink_tokenizer_append_piece has it; a lone space that a text's start drops may be
         * followed by more of them */
        const bool writes =
            ink_tokenizer_piece(t, prompt[i]).text && !ink_tokenizer_is_special(t, prompt[i]);
        const bool is_space = grammar->trie->node_of[prompt[i]] != 0 && drops_space(run, prompt[i]);
        run->is_first =
            !writes || (is_space && ink_tokenizer_get_facts(t)->remove_extra_whitespaces &&
                        strcmp(ink_tokenizer_piece(t, prompt[i]).text, "\xE2\x96\x81") == 0);
    }
    run->nodes[0] = (struct ink_stack_node){0};
    run->room[0] = (struct ink_configuration){start, 0, 0};
    run->at[0] = (struct ink_configurations){0, 1, 1, grammar->states[start].is_final};
}

/* ----------------------------------------------------------------------------------- questions */

bool ink_run_is_complete(const struct ink_grammar_run *run)
{
    return run->at[0].is_complete;
}

bool ink_run_is_over(const struct ink_grammar_run *run)
{
    return run->at[0].is_complete && run->at[0].end == 0;
}

uint32_t ink_run_cost(const struct ink_grammar_run *run)
{
    return ink_run_cost_of(run, run->at[0]);
}

uint32_t ink_run_most(const struct ink_grammar_run *run, int left)
{
    return ink_run_cost(run) <= (uint32_t)left ? (uint32_t)left - 1 : INK_GRAMMAR_NEVER - 1;
}

bool ink_run_allows_within(struct ink_grammar_run *run, int32_t token, uint32_t most)
{
    struct ink_configurations set = after_token(run, token);
    return !is_dead(set) && ink_run_cost_of(run, set) <= most;
}

bool ink_run_allows(struct ink_grammar_run *run, int32_t token, int left)
{
    const struct ink_grammar *g = run->grammar;
    for (int i = 0; i < g->trie->n_end_tokens; i++) {
        if (g->trie->end_tokens[i] == token) {
            return ink_run_is_complete(run);
        }
    }
    return ink_run_allows_within(run, token, ink_run_most(run, left));
}
