/* The bytes of a vocabulary's tokens as a trie, for choosing tokens by what they would write.
 *
 * Nodes lie in preorder: the children of node i are i + 1, then the `end` of that child, and so on
 * while below `end` of i. About 18 bytes a node and 8 a token: 5 MB for ERNIE's 103,424 tokens.
 * Read-only once open. */
#ifndef INK_TRIE_H
#define INK_TRIE_H

#include "tokenizer.h"

enum { INK_TRIE_LONGEST = 255 }; /* bytes; longer tokens are left out */

struct ink_trie_node {
    uint32_t end;    /* the first node after this one's subtree */
    uint32_t tokens; /* the node's own are ids[tokens .. the next node's tokens) */
    uint32_t parent;
    uint8_t byte, depth; /* the root's depth is 0 */
};

/* What stands below a node whose texts go on with whole characters only, none of which JSON would
 * escape: what kinds of characters, and how many of them at most. */
struct ink_trie_text {
    uint64_t kinds[2]; /* see ink_trie_kind */
    uint32_t height;
};

struct ink_trie {
    struct ink_trie_node *nodes; /* [n_nodes + 1]; the last only ends the tokens of those before */
    uint32_t n_nodes;
    int32_t *ids; /* [n_ids] tokens by their bytes, then by id */
    uint32_t n_ids;
    uint32_t *node_of; /* [n_vocab] the node of a token; 0: it is not in the trie */
    int n_vocab, longest;
    uint32_t child[256]; /* of the root; 0: none */
    /* Tokens whose first byte is a space that the start of a text drops, see
     * ink_tokenizer_append_piece: one bit each. NULL: this tokenizer drops none. */
    uint32_t *drops_space;
    struct ink_trie_text *texts; /* [n_texts] the first is none */
    uint16_t *text_of;           /* [n_nodes] of nodes with much below; 0: none */
    uint32_t n_texts;
    int32_t *end_tokens; /* [n_end_tokens]; of the model, filled in by the trie's maker */
    int n_end_tokens;
};

/* Of every token that writes bytes: none that is special, unknown or padding. */
int ink_trie_open(struct ink_trie **out, const struct ink_tokenizer *t, struct ink_error *error);
void ink_trie_close(struct ink_trie *trie);
/* trie_text.c: fills in texts and text_of, for ink_trie_open. */
int ink_trie_find_texts(struct ink_trie *trie, struct ink_error *error);
/* The kind, 0 to 127, of a character by its first byte: ASCII one by one, others by that byte or
 * two of them. -1: JSON escapes it, or it begins no character. */
int ink_trie_kind(unsigned lead);
/* Bytes that follow the first one of a character; the first of those is low..high, any other
 * 80..BF. */
int ink_trie_follow(unsigned lead, unsigned *low, unsigned *high);
/* The child of `node` by `byte`; 0: there is none. */
uint32_t ink_trie_child(const struct ink_trie *trie, uint32_t node, unsigned byte);
static inline uint32_t ink_trie_n_tokens(const struct ink_trie_node *node)
{
    return node[1].tokens - node->tokens;
}
/* The bytes of `token` into out[INK_TRIE_LONGEST]; returns how many, 0 if it is not in the trie. */
int ink_trie_bytes(const struct ink_trie *trie, unsigned char *out, int32_t token);

#endif
