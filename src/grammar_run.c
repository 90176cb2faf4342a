#include "grammar.h"

#include <string.h>

enum { ROOM = 8 * INK_RUN_WIDTH };

/* ------------------------------------------------------------------------------- open and start */

uint64_t ink_run_bytes(const struct ink_model *model)
{
    const struct ink_grammar_run *r = NULL;
    return sizeof *r + ROOM * sizeof *r->room +
           INK_RUN_NODES * (sizeof *r->nodes + sizeof *r->renamed) + ink_places_bytes() +
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
    r->bits = ink_calloc((size_t)model->architecture.vocab_size / 32 + 1, sizeof *r->bits);
    if (!r->room || !r->nodes || !r->renamed || !r->bits || !ink_places_open(&r->table)) {
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
        ink_free(r->bits);
        ink_places_close(&r->table);
        ink_free(r);
    }
}

/* -------------------------------------------------------------------------------- costs, limits */

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

/* What is left out makes the grammar narrower, never wrong. */
void ink_run_put(struct ink_grammar_run *run, struct ink_configurations *set,
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
        ink_run_put(run, set, c);
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

/* Bytes around `byte` that are in the set like it, or not in it like it. */
static void narrow_to_set(struct ink_grammar_run *run, const uint64_t *set, unsigned byte)
{
    const uint64_t flip = set[byte / 64] >> byte % 64 & 1 ? UINT64_MAX : 0;
    unsigned low = byte, high = byte;
    while (low > run->low && !((set[(low - 1) / 64] ^ flip) >> (low - 1) % 64 & 1)) {
        low--;
    }
    while (high < run->high && !((set[(high + 1) / 64] ^ flip) >> (high + 1) % 64 & 1)) {
        high++;
    }
    run->low = low;
    run->high = high;
}

/* Does the edge read the byte, or may the rule that it calls begin with it? */
static bool can_read(struct ink_grammar_run *run, const struct ink_edge *e, unsigned byte)
{
    if (e->flags & INK_EDGE_CALL) {
        const uint64_t *first = run->grammar->rules[e->rule].first;
        narrow_to_set(run, first, byte);
        return first[byte / 64] >> byte % 64 & 1;
    }
    if (byte < e->low) {
        run->high = run->high < e->low ? run->high : e->low - 1u;
        return false;
    }
    if (byte > e->high) {
        run->low = run->low > e->high ? run->low : e->high + 1u;
        return false;
    }
    run->low = run->low > e->low ? run->low : e->low;
    run->high = run->high < e->high ? run->high : e->high;
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
        if (!can_read(run, e, byte)) {
            continue;
        }
        if (!is_free && ((e->flags & INK_EDGE_NEED_MIN && c.count < rule->least) ||
                         (e->flags & INK_EDGE_NEED_MAX && c.count >= rule->most))) {
            continue;
        }
        struct ink_configuration next = {e->target, c.stack, c.count};
        /* counts that say nothing more are one: places stay few */
        next.count += (e->flags & INK_EDGE_COUNT) && !is_free &&
                      (c.count < rule->least || rule->most != UINT32_MAX);
        if (!(e->flags & INK_EDGE_CALL)) {
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
    run->low = 0;
    run->high = 255;
    for (uint32_t i = from.begin; i < from.end; i++) {
        follow(run, &to, from.top, run->room[i], byte);
    }
    return to;
}

/* --------------------------------------------------------------------------------------- tokens */

/* Does the start of the text drop the first byte of this token? */
static bool drops_space(const struct ink_grammar_run *run, int32_t token)
{
    return run->is_first && run->grammar->trie->drops_space[token / 32] >> token % 32 & 1;
}

/* The place after n bytes from where the run stands. */
static uint32_t after_bytes(struct ink_grammar_run *run, const unsigned char *bytes, int n)
{
    struct ink_place_table *t = &run->table;
    ink_run_make_room(run);
    t->first = 0;
    t->path[0] = (uint16_t)ink_run_place(run, run->now);
    for (int i = 0; i < n && t->path[0] != INK_RUN_DEAD; i++) {
        uint32_t next = t->next[t->path[0]][bytes[i]];
        t->path[0] = (uint16_t)(next != INK_RUN_UNKNOWN ? next : ink_run_extend(run, 0, bytes[i]));
    }
    return t->path[0];
}

/* Where the run stands after a token: dead if the token may not be there. */
static uint32_t after_token(struct ink_grammar_run *run, int32_t token)
{
    unsigned char bytes[INK_TRIE_LONGEST];
    const int n = ink_trie_bytes(run->grammar->trie, bytes, token);
    const int from = n > 0 && drops_space(run, token);
    return from == n ? INK_RUN_DEAD : after_bytes(run, bytes + from, n - from);
}

/* The text stands at the place now, if it is not dead. */
static bool go_to(struct ink_grammar_run *run, uint32_t place)
{
    const struct ink_place *p = &run->table.places[place];
    if (place == INK_RUN_DEAD) {
        return false;
    }
    run->now.begin = 0;
    run->now.end = p->end - p->begin;
    run->now.is_complete = p->is_complete;
    memcpy(run->room, run->table.configurations + p->begin, run->now.end * sizeof *run->room);
    run->is_first = false;
    return true;
}

bool ink_run_read(struct ink_grammar_run *run, unsigned byte)
{
    const unsigned char bytes[1] = {(unsigned char)byte};
    return go_to(run, after_bytes(run, bytes, 1));
}

bool ink_run_accept(struct ink_grammar_run *run, int32_t token)
{
    return go_to(run, after_token(run, token));
}

void ink_run_start(struct ink_grammar_run *run, const struct ink_grammar *grammar,
                   const int32_t *prompt, int n_prompt)
{
    const struct ink_tokenizer *t = grammar->model->tokenizer;
    const uint32_t start = grammar->rules[grammar->root].start;
    run->grammar = grammar;
    run->is_abstract = run->is_split = false;
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
    run->room[0] = (struct ink_configuration){start, 0, 0};
    run->now.begin = 0;
    run->now.end = 1;
    run->now.is_complete = grammar->states[start].is_final;
    if (run->serial != grammar->serial) {
        run->serial = grammar->serial;
        run->nodes[0] = (struct ink_stack_node){0};
        run->now.top = 1;
        ink_run_forget(run);
    }
}

/* ----------------------------------------------------------------------------------- questions */

bool ink_run_is_complete(const struct ink_grammar_run *run)
{
    return run->now.is_complete;
}

bool ink_run_is_over(const struct ink_grammar_run *run)
{
    return run->now.is_complete && run->now.end == 0;
}

bool ink_run_is_whole(const struct ink_grammar_run *run)
{
    for (uint32_t i = run->now.begin; i < run->now.end; i++) {
        if (run->grammar->states[run->room[i].state].is_open) {
            return false;
        }
    }
    return run->now.is_complete;
}

uint32_t ink_run_cost(const struct ink_grammar_run *run)
{
    return ink_run_cost_of(run, run->now);
}

uint32_t ink_run_most(const struct ink_grammar_run *run, int left)
{
    return ink_run_cost(run) <= (uint32_t)left ? (uint32_t)left - 1 : INK_GRAMMAR_NEVER - 1;
}

bool ink_run_allows_within(struct ink_grammar_run *run, int32_t token, uint32_t most)
{
    uint32_t place = after_token(run, token);
    return place != INK_RUN_DEAD && run->table.cost[place] <= most;
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
