/* The places of a run: its steps as a deterministic automaton, made as it is asked for. */
#include "grammar.h"

#include <string.h>

enum { first_place = 2 }; /* INK_RUN_UNKNOWN and INK_RUN_DEAD are none */

/* --------------------------------------------------------------------------------------- memory */

uint64_t ink_places_bytes(void)
{
    const struct ink_place_table *t = NULL;
    return INK_RUN_PLACES * (sizeof *t->next + sizeof *t->places + sizeof *t->texts +
                             sizeof *t->cost + 2 * sizeof *t->place_slots) +
           INK_RUN_CONFIGURATIONS * sizeof *t->configurations +
           2 * INK_RUN_NODES * sizeof *t->node_slots;
}

bool ink_places_open(struct ink_place_table *t)
{
    t->next = ink_calloc(INK_RUN_PLACES, sizeof *t->next);
    t->places = ink_calloc(INK_RUN_PLACES, sizeof *t->places);
    t->texts = ink_calloc(INK_RUN_PLACES, sizeof *t->texts);
    t->cost = ink_calloc(INK_RUN_PLACES, sizeof *t->cost);
    t->configurations = ink_calloc(INK_RUN_CONFIGURATIONS, sizeof *t->configurations);
    t->place_slots = ink_calloc(2 * INK_RUN_PLACES, sizeof *t->place_slots);
    t->node_slots = ink_calloc(2 * INK_RUN_NODES, sizeof *t->node_slots);
    t->n_places = first_place;
    return t->next && t->places && t->texts && t->cost && t->configurations && t->place_slots &&
           t->node_slots;
}

void ink_places_close(struct ink_place_table *t)
{
    ink_free(t->next);
    ink_free(t->places);
    ink_free(t->texts);
    ink_free(t->cost);
    ink_free(t->configurations);
    ink_free(t->place_slots);
    ink_free(t->node_slots);
}

/* ---------------------------------------------------------------------------------------- nodes */

static uint32_t mix(uint32_t hash, uint32_t value)
{
    hash = (hash ^ value) * 0x9E3779B1u;
    return hash ^ hash >> 15;
}

/* Where a node is in the slots, or would be. */
static uint32_t node_slot(const struct ink_grammar_run *run, const struct ink_stack_node *node)
{
    const uint16_t *slots = run->table.node_slots;
    uint32_t at = mix(mix(mix(1, node->state), node->parent), node->count) % (2 * INK_RUN_NODES);
    for (; slots[at]; at = (at + 1) % (2 * INK_RUN_NODES)) {
        const struct ink_stack_node *there = &run->nodes[slots[at]];
        if (there->state == node->state && there->parent == node->parent &&
            there->count == node->count) {
            break;
        }
    }
    return at;
}

/* Nodes from run->now.top to top are new: each that is there already gives way to that one.
 * renamed: where they are. */
static void merge_nodes(struct ink_grammar_run *run, uint32_t top)
{
    const uint32_t old = run->now.top;
    for (uint32_t i = old; i < top; i++) {
        struct ink_stack_node node = run->nodes[i];
        node.parent = node.parent >= old ? run->renamed[node.parent] : node.parent;
        uint16_t *slot = &run->table.node_slots[node_slot(run, &node)];
        if (!*slot) {
            run->nodes[run->now.top] = node;
            *slot = (uint16_t)run->now.top++;
        }
        run->renamed[i] = *slot;
    }
}

/* --------------------------------------------------------------------------------------- places */

static uint32_t hash_of(const struct ink_configuration *list, uint32_t n, bool is_complete)
{
    uint32_t hash = mix(n, is_complete);
    for (uint32_t i = 0; i < n; i++) {
        hash = mix(mix(mix(hash, list[i].state), list[i].stack), list[i].count);
    }
    return hash;
}

static uint32_t place_slot(const struct ink_place_table *t, const struct ink_configuration *list,
                           uint32_t n, bool is_complete, uint32_t hash)
{
    uint32_t at = hash % (2 * INK_RUN_PLACES);
    for (; t->place_slots[at]; at = (at + 1) % (2 * INK_RUN_PLACES)) {
        const struct ink_place *p = &t->places[t->place_slots[at]];
        if (p->hash == hash && p->end - p->begin == n && p->is_complete == is_complete &&
            memcmp(t->configurations + p->begin, list, n * sizeof *list) == 0) {
            break;
        }
    }
    return at;
}

/* The number of a set; INK_RUN_UNKNOWN: there is no room. */
static uint32_t find_place(struct ink_grammar_run *run, struct ink_configurations set)
{
    struct ink_place_table *t = &run->table;
    const struct ink_configuration *list = run->room + set.begin;
    const uint32_t n = set.end - set.begin;
    if (n == 0 && !set.is_complete) {
        return INK_RUN_DEAD;
    }
    const uint32_t hash = hash_of(list, n, set.is_complete);
    uint16_t *slot = &t->place_slots[place_slot(t, list, n, set.is_complete, hash)];
    if (*slot) {
        return *slot;
    }
    if (t->n_places == INK_RUN_PLACES || t->n_configurations + n > INK_RUN_CONFIGURATIONS) {
        return INK_RUN_UNKNOWN;
    }
    const uint32_t place = t->n_places++;
    t->places[place] =
        (struct ink_place){t->n_configurations, t->n_configurations + n, hash, set.is_complete};
    memcpy(t->configurations + t->n_configurations, list, n * sizeof *list);
    t->n_configurations += n;
    memset(t->next[place], 0, sizeof t->next[place]);
    t->texts[place].is_known = false;
    if (run->is_abstract) {
        set.is_complete = false; /* what it costs to stay inside */
        run->widest = n > run->widest ? n : run->widest;
    }
    t->cost[place] = ink_run_cost_of(run, set);
    *slot = (uint16_t)place;
    return place;
}

/* ----------------------------------------------------------------------------------- forgetting */

static void mark_nodes(struct ink_grammar_run *run, const struct ink_configuration *list,
                       uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t at = list[i].stack; at > 0 && !run->renamed[at]; at = run->nodes[at].parent) {
            run->renamed[at] = 1;
        }
    }
}

static void rename_nodes(const struct ink_grammar_run *run, struct ink_configuration *list,
                         uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        list[i].stack = run->renamed[list[i].stack];
    }
}

/* Keep the marked nodes; renamed: where they are. */
static void keep_nodes(struct ink_grammar_run *run)
{
    const uint32_t old = run->now.top;
    memset(run->table.node_slots, 0, 2 * INK_RUN_NODES * sizeof *run->table.node_slots);
    run->now.top = 1;
    run->renamed[0] = 0;
    for (uint32_t at = 1; at < old; at++) {
        if (run->renamed[at]) {
            struct ink_stack_node node = run->nodes[at];
            node.parent = run->renamed[node.parent];
            run->table.node_slots[node_slot(run, &node)] = (uint16_t)run->now.top;
            run->renamed[at] = run->now.top;
            run->nodes[run->now.top++] = node;
        }
    }
}

static void clear_places(struct ink_place_table *t)
{
    t->n_places = first_place;
    t->n_configurations = 0;
    memset(t->place_slots, 0, 2 * INK_RUN_PLACES * sizeof *t->place_slots);
}

/* The least place of path[first .. end) from `from` on; INK_RUN_PLACES: none. */
static uint32_t next_of_path(const struct ink_place_table *t, uint32_t from, uint32_t end)
{
    uint32_t least = INK_RUN_PLACES;
    for (uint32_t i = t->first; i < end; i++) {
        least = t->path[i] >= from && t->path[i] < least ? t->path[i] : least;
    }
    return least;
}

/* Forget all but run->now and path[first .. end), which get other numbers. */
static void forget_but(struct ink_grammar_run *run, uint32_t end)
{
    struct ink_place_table *t = &run->table;
    memset(run->renamed, 0, run->now.top * sizeof *run->renamed);
    mark_nodes(run, run->room, run->now.end);
    for (uint32_t i = t->first; i < end; i++) {
        const struct ink_place *p = &t->places[t->path[i]];
        mark_nodes(run, t->configurations + p->begin, p->end - p->begin);
    }
    keep_nodes(run);
    rename_nodes(run, run->room, run->now.end);
    clear_places(t);
    /* in their order, so that each moves toward the beginning */
    const uint32_t scratch = INK_RUN_WIDTH;
    for (uint32_t old = next_of_path(t, first_place, end), renumbered = first_place;
         old < INK_RUN_PLACES; old = next_of_path(t, old + 1, end), renumbered++) {
        const struct ink_place p = t->places[old];
        const uint32_t n = p.end - p.begin;
        memcpy(run->room + scratch, t->configurations + p.begin, n * sizeof *run->room);
        rename_nodes(run, run->room + scratch, n);
        find_place(run,
                   (struct ink_configurations){scratch, scratch + n, run->now.top, p.is_complete});
        for (uint32_t i = t->first; i < end; i++) {
            t->path[i] = t->path[i] == old ? (uint16_t)renumbered : t->path[i];
        }
    }
}

void ink_run_forget(struct ink_grammar_run *run)
{
    run->table.first = 0;
    forget_but(run, 0);
}

void ink_run_begin_apart(struct ink_grammar_run *run)
{
    clear_places(&run->table);
    memset(run->table.node_slots, 0, 2 * INK_RUN_NODES * sizeof *run->table.node_slots);
}

/* ---------------------------------------------------------------------------------------- steps */

static bool is_full(const struct ink_grammar_run *run)
{
    const struct ink_place_table *t = &run->table;
    return t->n_places == INK_RUN_PLACES || run->now.top > INK_RUN_NODES / 2 ||
           t->n_configurations + INK_RUN_WIDTH > INK_RUN_CONFIGURATIONS;
}

void ink_run_make_room(struct ink_grammar_run *run)
{
    if (is_full(run)) {
        ink_run_forget(run);
    }
}

uint32_t ink_run_place(struct ink_grammar_run *run, struct ink_configurations set)
{
    return find_place(run, set);
}

static uint32_t extend(struct ink_grammar_run *run, uint32_t place, unsigned byte)
{
    struct ink_place_table *t = &run->table;
    const struct ink_place p = t->places[place];
    struct ink_configurations from = {INK_RUN_WIDTH, INK_RUN_WIDTH + p.end - p.begin, run->now.top,
                                      false};
    memcpy(run->room + from.begin, t->configurations + p.begin,
           (p.end - p.begin) * sizeof *run->room);
    const struct ink_configurations to = ink_run_step(run, from, byte);
    const uint32_t old = run->now.top;
    merge_nodes(run, to.top);
    struct ink_configurations set = {to.end, to.end, run->now.top, to.is_complete};
    for (uint32_t i = to.begin; i < to.end; i++) {
        struct ink_configuration c = run->room[i];
        c.stack = c.stack >= old ? run->renamed[c.stack] : c.stack;
        ink_run_put(run, &set, c);
    }
    const uint32_t next = find_place(run, set);
    for (unsigned b = run->low; b <= run->high; b++) {
        t->next[place][b] = (uint16_t)next;
    }
    return next;
}

uint32_t ink_run_extend(struct ink_grammar_run *run, uint32_t depth, unsigned byte)
{
    if (is_full(run)) {
        if (run->is_abstract) { /* this mask is not to be used */
            run->tallest = INK_GRAMMAR_NEVER;
            return INK_RUN_DEAD;
        }
        forget_but(run, depth + 1);
    }
    return extend(run, run->table.path[depth], byte);
}

uint32_t ink_run_next(struct ink_grammar_run *run, uint32_t place, unsigned byte)
{
    const uint32_t next = run->table.next[place][byte];
    return next != INK_RUN_UNKNOWN || is_full(run) ? next : extend(run, place, byte);
}
