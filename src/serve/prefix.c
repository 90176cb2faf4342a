#include "prefix.h"

#include <string.h>

/* Nodes are numbered from 1; the numbers of the variants' beginnings lie above all of them. A place
 * names its node by number and by the count of when it was made, since nodes are used again. */
struct node {
    int32_t tokens[INK_BLOCK];
    uint64_t parent;       /* a place */
    uint32_t made;         /* changes whenever the node is used again */
    uint32_t next_alike;   /* of the same bucket; 0: none */
    uint32_t older, newer; /* by use; 0: none */
    uint32_t n_children;
    bool is_used;
    void *data; /* NULL: never had any */
};

struct ink_prefix {
    struct node *nodes; /* [n_nodes + 1], the first is not used */
    uint32_t *buckets;  /* [mask + 1] */
    uint32_t n_nodes, n_made, mask;
    uint32_t oldest, newest;
    uint64_t most_bytes, fixed_bytes, block_bytes, data_bytes;
};

static const uint64_t beginning = (uint64_t)1 << 63;

struct ink_prefix_place ink_prefix_begin(int variant)
{
    return (struct ink_prefix_place){beginning | (uint32_t)variant};
}

int ink_prefix_open(struct ink_prefix **out, uint64_t most_bytes, uint64_t block_bytes,
                    struct ink_error *error)
{
    *out = NULL;
    struct ink_prefix *p = ink_calloc(1, sizeof *p);
    uint64_t each = block_bytes + sizeof(struct node) + 2 * sizeof(uint32_t);
    const uint64_t fixed = sizeof *p + sizeof(struct node);
    uint64_t n = most_bytes > fixed ? (most_bytes - fixed) / each : 0;
    n = n < UINT32_MAX / 4 ? n : UINT32_MAX / 4;
    uint32_t n_buckets = 1;
    while (n_buckets < n) {
        n_buckets *= 2;
    }
    if (p) {
        p->nodes = ink_calloc((size_t)n + 1, sizeof *p->nodes);
        p->buckets = ink_calloc(n_buckets, sizeof *p->buckets);
    }
    if (!p || !p->nodes || !p->buckets) {
        ink_prefix_close(p);
        return ink_fail_memory(error, n * sizeof *p->nodes);
    }
    p->n_nodes = (uint32_t)n;
    p->mask = n_buckets - 1;
    p->most_bytes = most_bytes;
    p->block_bytes = block_bytes;
    p->fixed_bytes = fixed + n * sizeof *p->nodes + n_buckets * sizeof *p->buckets;
    *out = p;
    return INK_OK;
}

void ink_prefix_close(struct ink_prefix *p)
{
    if (p) {
        for (uint32_t i = 1; i <= p->n_made; i++) {
            ink_free(p->nodes[i].data);
        }
        ink_free(p->nodes);
        ink_free(p->buckets);
        ink_free(p);
    }
}

uint64_t ink_prefix_bytes(const struct ink_prefix *p)
{
    return p->fixed_bytes + p->data_bytes;
}

uint64_t ink_prefix_capacity(const struct ink_prefix *p)
{
    return p->most_bytes;
}

/* --------------------------------------------------------------------------------------- places */

static uint64_t place_of(const struct ink_prefix *p, uint32_t index)
{
    return (uint64_t)p->nodes[index].made << 32 | index;
}

/* The node that a place names, or 0: it is a beginning, or the node was given up since. */
static uint32_t node_at(const struct ink_prefix *p, uint64_t place)
{
    uint32_t index = (uint32_t)place;
    if (place & beginning || index == 0 || index > p->n_made || !p->nodes[index].is_used ||
        place_of(p, index) != place) {
        return 0;
    }
    return index;
}

static bool is_somewhere(const struct ink_prefix *p, uint64_t place)
{
    return place & beginning || node_at(p, place) != 0;
}

static uint32_t *bucket_of(struct ink_prefix *p, uint64_t parent, const int32_t *tokens)
{
    uint64_t h = parent * 0x9E3779B97F4A7C15u;
    for (int i = 0; i < INK_BLOCK; i++) {
        h = (h ^ (uint32_t)tokens[i]) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
    }
    return &p->buckets[(uint32_t)(h >> 32) & p->mask];
}

static uint32_t find_node(struct ink_prefix *p, uint64_t parent, const int32_t *tokens)
{
    uint32_t i = *bucket_of(p, parent, tokens);
    while (i && (p->nodes[i].parent != parent ||
                 memcmp(p->nodes[i].tokens, tokens, sizeof p->nodes[i].tokens) != 0)) {
        i = p->nodes[i].next_alike;
    }
    return i;
}

/* ------------------------------------------------------------------------------- order of use */

static void take_out(struct ink_prefix *p, uint32_t i)
{
    struct node *n = &p->nodes[i];
    *(n->older ? &p->nodes[n->older].newer : &p->oldest) = n->newer;
    *(n->newer ? &p->nodes[n->newer].older : &p->newest) = n->older;
    n->older = n->newer = 0;
}

static void put_newest(struct ink_prefix *p, uint32_t i)
{
    p->nodes[i].older = p->newest;
    p->nodes[i].newer = 0;
    *(p->newest ? &p->nodes[p->newest].newer : &p->oldest) = i;
    p->newest = i;
}

/* --------------------------------------------------------------------------------------- blocks */

const void *ink_prefix_find(struct ink_prefix *p, struct ink_prefix_place *place,
                            const int32_t *tokens)
{
    uint32_t i = is_somewhere(p, place->node) ? find_node(p, place->node, tokens) : 0;
    if (i == 0) {
        place->node = 0;
        return NULL;
    }
    place->node = place_of(p, i);
    take_out(p, i);
    put_newest(p, i);
    return p->nodes[i].data;
}

static void forget(struct ink_prefix *p, uint32_t i)
{
    struct node *n = &p->nodes[i];
    uint32_t *link = bucket_of(p, n->parent, n->tokens), parent = node_at(p, n->parent);
    while (*link != i) {
        link = &p->nodes[*link].next_alike;
    }
    *link = n->next_alike;
    if (parent) {
        p->nodes[parent].n_children--;
    }
    take_out(p, i);
    n->is_used = false;
    n->made = (n->made + 1) & 0x7FFFFFFF;
}

/* A node that is free, with memory; 0: there is none. `keep` must stay. */
static uint32_t free_node(struct ink_prefix *p, uint32_t keep)
{
    if (p->n_made < p->n_nodes) {
        struct node *n = &p->nodes[p->n_made + 1];
        n->data = ink_malloc((size_t)p->block_bytes);
        if (n->data) {
            p->data_bytes += p->block_bytes;
            return ++p->n_made;
        }
    }
    uint32_t i = p->oldest;
    while (i && (i == keep || p->nodes[i].n_children > 0)) {
        i = p->nodes[i].newer;
    }
    if (i) {
        forget(p, i);
    }
    return i;
}

void *ink_prefix_add(struct ink_prefix *p, struct ink_prefix_place *place, const int32_t *tokens)
{
    uint32_t parent = node_at(p, place->node);
    uint32_t i = is_somewhere(p, place->node) ? free_node(p, parent) : 0;
    if (i == 0) {
        place->node = 0;
        return NULL;
    }
    struct node *n = &p->nodes[i];
    uint32_t *bucket = bucket_of(p, place->node, tokens);
    memcpy(n->tokens, tokens, sizeof n->tokens);
    n->parent = place->node;
    n->n_children = 0;
    n->is_used = true;
    n->next_alike = *bucket;
    *bucket = i;
    if (parent) {
        p->nodes[parent].n_children++;
    }
    put_newest(p, i);
    place->node = place_of(p, i);
    return n->data;
}
