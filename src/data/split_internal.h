/* What the files of the split share. */
#ifndef INK_DATA_SPLIT_INTERNAL_H
#define INK_DATA_SPLIT_INTERNAL_H

#include "split.h"

/* The first half of a text's SHA-256: equal texts by equal digests. */
struct ink_digest {
    uint64_t high, low;
};
struct ink_digest ink_digest_of(const char *text, size_t n);
int ink_digest_compare(const struct ink_digest *a, const struct ink_digest *b);

/* Give each group a part, so that the parts' sizes come near target: groups in the order of their
 * size, those of one size as they come. parts [n_groups] gets 0 to 2, sizes [n_groups] are 1 or
 * more, their sum and that of the targets the same, below 2^32. */
int ink_split_assign(unsigned char *parts, const uint32_t *sizes, size_t n_groups,
                     const size_t target[INK_SPLIT_PARTS], struct ink_error *error);

/* The group of each record, numbered as they first come in order [n]: groups [n] by record. */
int ink_split_find_groups(uint32_t *groups, size_t *n_groups, const struct ink_dataset *dataset,
                          const uint32_t *order, const struct ink_split_options *options,
                          struct ink_error *error);

#endif
