/* The prefix cache: keys and values of texts that were read, in blocks of INK_BLOCK tokens, so that
 * the next text that begins alike need not read them. A tree: a block's place is the blocks before
 * it, so what texts share is kept once. The least recently used leaf goes first when the memory is
 * full, and memory is never more than was said. One thread at a time. */
#ifndef INK_PREFIX_H
#define INK_PREFIX_H

#include "common.h"

struct ink_prefix;

/* most_bytes: for everything, also the tree itself. block_bytes: of a block's keys and values. */
int ink_prefix_open(struct ink_prefix **out, uint64_t most_bytes, uint64_t block_bytes,
                    struct ink_error *error);
void ink_prefix_close(struct ink_prefix *p);

/* A place in a text: after how many blocks of which text. */
struct ink_prefix_place {
    uint64_t node; /* 0: nowhere in the cache, where nothing is found or added */
};
/* The beginning of a text. `variant`: texts of different variants (adapters) share nothing. */
struct ink_prefix_place ink_prefix_begin(int variant);
/* The block of tokens [INK_BLOCK] that follows `place`; its keys and values, or NULL if it is not
 * there. They live until the next ink_prefix_add. *place moves behind it. */
const void *ink_prefix_find(struct ink_prefix *p, struct ink_prefix_place *place,
                            const int32_t *tokens);
/* Room for the block that follows `place` and is not there yet: to be filled with its keys and
 * values before anything else is called. NULL: no memory, or everything else in the cache is before
 * it in the same text. *place moves behind it. */
void *ink_prefix_add(struct ink_prefix *p, struct ink_prefix_place *place, const int32_t *tokens);

uint64_t ink_prefix_bytes(const struct ink_prefix *p);    /* in use */
uint64_t ink_prefix_capacity(const struct ink_prefix *p); /* most_bytes */

#endif
