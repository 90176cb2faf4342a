/* A JSON Schema as a grammar, and random texts of it in a vocabulary of single bytes: each is JSON
 * when it is complete, and complete where there were tokens enough. The input's first byte says how
 * many more tokens than needed there are; the last ones choose among the tokens. */
#include "../../src/grammar.h"
#include "../../src/json.h"
#include "../../src/sync.h"
#include "../../src/tokenizer_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { n_vocab = 257, end_token = 256 };

/* Tokens 0 to 255 are bytes. */
static struct ink_model *make_model(void)
{
    static struct ink_tokenizer tokenizer;
    static struct ink_model model;
    static struct ink_derived derived;
    static struct ink_trie trie;
    static struct ink_trie_node nodes[258];
    static int32_t ids[256], ends[] = {end_token};
    static uint32_t node_of[n_vocab], drops_space[n_vocab / 32 + 1];
    tokenizer.facts = (struct ink_tokenizer_facts){.n_vocab = n_vocab,
                                                   .eos_id = end_token,
                                                   .bos_id = -1,
                                                   .cls_id = -1,
                                                   .sep_id = -1,
                                                   .pad_id = -1};
    for (uint32_t i = 0; i < 256; i++) {
        nodes[i + 1] = (struct ink_trie_node){i + 2, i, 0, (uint8_t)i, 1};
        ids[i] = (int32_t)i;
        node_of[i] = trie.child[i] = i + 1;
    }
    nodes[0].end = 257;
    nodes[257].tokens = 256;
    trie.nodes = nodes;
    trie.n_nodes = 257;
    trie.ids = ids;
    trie.n_ids = 256;
    trie.node_of = node_of;
    trie.n_vocab = n_vocab;
    trie.longest = 1;
    trie.drops_space = drops_space;
    trie.end_tokens = ends;
    trie.n_end_tokens = 1;
    derived.lock = ink_mutex_new();
    derived.data = &trie;
    model.path = (char[]){"fuzz"};
    model.architecture.vocab_size = n_vocab;
    model.tokenizer = &tokenizer;
    model.trie = &derived;
    return &model;
}

static void need(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void write_text(struct ink_grammar_run *run, const struct ink_grammar *g, unsigned extra,
                       uint32_t random)
{
    static float logits[n_vocab];
    static const struct ink_json_limits limits = {1 << 20, 100000, 200};
    struct ink_string text = {0};
    struct ink_error error;
    ink_run_start(run, g, NULL, 0);
    const uint32_t least = ink_run_cost(run);
    int left = least < 2000 ? (int)(least + extra) : 50;
    for (; left > 0 && !ink_run_is_over(run); left--) {
        int n = 0, chosen = -1;
        memset(logits, 0, sizeof logits);
        ink_run_mask(run, logits, left);
        for (int i = 0; i < n_vocab; i++) {
            random = random * 1664525u + 1013904223u;
            if (logits[i] == 0 && (random >> 8) % (unsigned)++n == 0) {
                chosen = i;
            }
        }
        need(chosen >= 0);
        if (chosen == end_token) {
            break;
        }
        need(ink_run_accept(run, chosen));
        const char byte = (char)chosen;
        ink_string_append(&text, &byte, 1);
    }
    if (ink_run_is_complete(run) && !text.failed) {
        need(ink_json_check(text.data ? text.data : "", text.length, &limits, "text", &error) ==
             INK_OK);
    }
    need(ink_run_is_complete(run) || least >= 2000);
    ink_string_free(&text);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
    static struct ink_model *model;
    static struct ink_grammar_run *run;
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    uint32_t random = 0;
    if (!model) {
        model = make_model();
        need(ink_run_open(&run, model, &error) == INK_OK);
    }
    if (n == 0) {
        return 0;
    }
    int status = ink_grammar_open_schema(&g, model, (const char *)data + 1, n - 1, &error);
    need((status == INK_OK) == (g != NULL) && (status == INK_OK || error.message[0]));
    for (size_t i = n > 8 ? n - 8 : 0; i < n; i++) {
        random = random * 31 + data[i];
    }
    for (unsigned i = 0; g && i < 3; i++) {
        write_text(run, g, data[0] % 64 * i, random + i);
    }
    ink_grammar_close(g);
    return 0;
}
