#include "trie.h"

#include <stdlib.h>
#include <string.h>

/* What a token writes: text[from .. from + n) of all texts. */
struct entry {
    const unsigned char *text;
    uint32_t n;
    int32_t id;
};

static int compare(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = memcmp(x->text, y->text, x->n < y->n ? x->n : y->n);
    if (order == 0) {
        order = (x->n > y->n) - (x->n < y->n);
    }
    return order != 0 ? order : (x->id > y->id) - (x->id < y->id);
}

/* Does the start of a text drop the space that this token begins with? */
static bool drops_space(const struct ink_tokenizer *t, int32_t id)
{
    struct ink_piece piece = ink_tokenizer_piece(t, id);
    return id < ink_tokenizer_n_pieces(t) && piece.type != INK_PIECE_BYTE &&
           strncmp(piece.text, "\xE2\x96\x81", 3) == 0;
}

/* All texts one after another, and where each lies. */
static int collect(struct ink_trie *trie, const struct ink_tokenizer *t, struct ink_string *texts,
                   struct entry *entries, struct ink_error *error)
{
    const struct ink_tokenizer_facts *facts = ink_tokenizer_get_facts(t);
    uint32_t n = 0;
    for (int32_t id = 0; id < trie->n_vocab; id++) {
        size_t start = texts->length;
        bool is_first = false;
        if (!ink_tokenizer_is_special(t, id)) {
            ink_tokenizer_append_piece(t, texts, id, false, &is_first);
        }
        size_t length = texts->length - start;
        if (texts->failed) {
            return ink_fail_memory(error, texts->length);
        }
        if (length == 0 || length > INK_TRIE_LONGEST) {
            texts->length = start;
            continue;
        }
        entries[n++] = (struct entry){.n = (uint32_t)length, .id = id};
        trie->longest = (int)length > trie->longest ? (int)length : trie->longest;
        if ((facts->add_dummy_prefix || facts->remove_extra_whitespaces) && drops_space(t, id)) {
            trie->drops_space[id / 32] |= 1u << id % 32;
        }
    }
    trie->n_ids = n;
    size_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        entries[i].text = (const unsigned char *)texts->data + at;
        at += entries[i].n;
    }
    if (n > 1) {
        qsort(entries, n, sizeof *entries, compare);
    }
    return INK_OK;
}

static uint32_t shared(const struct entry *a, const struct entry *b)
{
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->text[n] == b->text[n]) {
        n++;
    }
    return n;
}

static uint32_t count_nodes(const struct entry *entries, uint32_t n)
{
    uint32_t count = 1;
    for (uint32_t i = 0; i < n; i++) {
        count += entries[i].n - (i > 0 ? shared(&entries[i - 1], &entries[i]) : 0);
    }
    return count;
}

static void fill(struct ink_trie *trie, const struct entry *entries)
{
    uint32_t path[INK_TRIE_LONGEST + 1] = {0}, depth = 0, at = 1;
    trie->nodes[0] = (struct ink_trie_node){0};
    for (uint32_t i = 0; i < trie->n_ids; i++) {
        const struct entry *e = &entries[i];
        uint32_t keep = i > 0 ? shared(&entries[i - 1], e) : 0;
        for (; depth > keep; depth--) {
            trie->nodes[path[depth]].end = at;
        }
        for (; depth < e->n; at++) {
            trie->nodes[at] = (struct ink_trie_node){.tokens = i,
                                                     .parent = path[depth],
                                                     .byte = e->text[depth],
                                                     .depth = (uint8_t)(depth + 1)};
            path[++depth] = at;
        }
        trie->ids[i] = e->id;
        trie->node_of[e->id] = path[depth];
    }
    for (; depth > 0; depth--) {
        trie->nodes[path[depth]].end = at;
    }
    trie->nodes[0].end = at;
    trie->n_nodes = at;
    trie->nodes[at] = (struct ink_trie_node){.tokens = trie->n_ids};
    for (uint32_t c = 1; c < at; c = trie->nodes[c].end) {
        trie->child[trie->nodes[c].byte] = c;
    }
}

int ink_trie_open(struct ink_trie **out, const struct ink_tokenizer *t, struct ink_error *error)
{
    *out = NULL;
    const int n_vocab = ink_tokenizer_get_facts(t)->n_vocab;
    struct ink_string texts = {0};
    struct entry *entries = ink_calloc((size_t)n_vocab, sizeof *entries);
    struct ink_trie *trie = ink_calloc(1, sizeof *trie);
    int status;
    if (trie && entries) {
        trie->n_vocab = n_vocab;
        trie->node_of = ink_calloc((size_t)n_vocab, sizeof *trie->node_of);
        trie->ids = ink_calloc((size_t)n_vocab, sizeof *trie->ids);
        trie->drops_space = ink_calloc((size_t)n_vocab / 32 + 1, sizeof *trie->drops_space);
    }
    if (trie && entries && trie->node_of && trie->ids && trie->drops_space) {
        status = collect(trie, t, &texts, entries, error);
    } else {
        status = ink_fail_memory(error, (uint64_t)n_vocab * sizeof *entries);
    }
    if (status == INK_OK) {
        uint32_t n = count_nodes(entries, trie->n_ids);
        trie->nodes = ink_calloc((size_t)n + 1, sizeof *trie->nodes);
        status = trie->nodes ? INK_OK : ink_fail_memory(error, (uint64_t)n * sizeof *trie->nodes);
    }
    if (status == INK_OK) {
        fill(trie, entries);
        status = ink_trie_find_texts(trie, error);
    }
    if (status == INK_OK) {
        *out = trie;
    } else {
        ink_trie_close(trie);
    }
    ink_string_free(&texts);
    ink_free(entries);
    return status;
}

void ink_trie_close(struct ink_trie *trie)
{
    if (trie) {
        ink_free(trie->nodes);
        ink_free(trie->ids);
        ink_free(trie->node_of);
        ink_free(trie->drops_space);
        ink_free(trie->texts);
        ink_free(trie->text_of);
        ink_free(trie->end_tokens);
        ink_free(trie);
    }
}

uint32_t ink_trie_child(const struct ink_trie *trie, uint32_t node, unsigned byte)
{
    if (node == 0) {
        return trie->child[byte];
    }
    const uint32_t end = trie->nodes[node].end;
    for (uint32_t c = node + 1; c < end; c = trie->nodes[c].end) {
        if (trie->nodes[c].byte == byte) {
            return c;
        }
    }
    return 0;
}

int ink_trie_bytes(const struct ink_trie *trie, unsigned char *out, int32_t token)
{
    uint32_t node = token >= 0 && token < trie->n_vocab ? trie->node_of[token] : 0;
    const int n = trie->nodes[node].depth;
    for (int i = n; i > 0; i--) {
        out[i - 1] = trie->nodes[node].byte;
        node = trie->nodes[node].parent;
    }
    return n;
}
