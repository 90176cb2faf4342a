/* What the tests of grammars share: a model of a tokenizer alone, random texts, real answers. */
#ifndef CHECK_GRAMMAR_SUPPORT_H
#define CHECK_GRAMMAR_SUPPORT_H

#include "support.h"

#include "../src/grammar.h"
#include "../src/sync.h"

#include <math.h>

/* A model that has a tokenizer and nothing else. */
static inline struct ink_model *model_of_tokenizer(const char *folder, int n_vocab)
{
    struct ink_error error = {0};
    struct ink_model *m = calloc(1, sizeof *m);
    m->path = ink_strdup(folder);
    m->architecture.vocab_size = n_vocab;
    m->trie = ink_calloc(1, sizeof *m->trie);
    m->trie->lock = ink_mutex_new();
    assert_ok(ink_tokenizer_open_folder(&m->tokenizer, folder, n_vocab, &error));
    return m;
}

static inline void close_model_of_tokenizer(struct ink_model *m)
{
    if (m->trie->close) {
        m->trie->close(m->trie->data);
    }
    ink_mutex_free(m->trie->lock);
    ink_free(m->trie);
    ink_tokenizer_close(m->tokenizer);
    ink_free(m->path);
    free(m);
}

static inline struct ink_model *small_model(void)
{
    return model_of_tokenizer(shared_path("../../models/stories260K"), 512);
}

static inline struct ink_model *ernie_model(void)
{
    return model_of_tokenizer(shared_path("data/ernie45-tokenizer"), 103424);
}

static inline struct ink_grammar *grammar_of(const struct ink_model *m, const char *schema)
{
    struct ink_error error = {0};
    struct ink_grammar *g = NULL;
    if (ink_grammar_open_schema(&g, m, schema, strlen(schema), &error) != INK_OK) {
        fail_msg("%s: %s", schema, error.message);
    }
    return g;
}

static inline uint32_t next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* One of the tokens that are allowed, each as likely, but the string's quote more so: else strings
 * would be all there is. -1: none is. */
static inline int32_t random_token(struct ink_grammar_run *run, float *logits, int left,
                                   uint32_t *state)
{
    const int v = run->grammar->trie->n_vocab;
    int n = 0;
    int32_t chosen = -1;
    for (int i = 0; i < v; i++) {
        logits[i] = 0;
    }
    ink_run_mask(run, logits, left);
    for (int i = 0; i < v; i++) {
        if (logits[i] == 0) {
            n++;
            if (next_number(state) % (uint32_t)n == 0) {
                chosen = i;
            }
        }
    }
    return chosen;
}

/* How a random text ended. */
enum walk_end { WALK_STOP, WALK_LENGTH, WALK_STUCK };

/* A random text of at most `most` tokens. */
static inline enum walk_end random_text(struct ink_grammar_run *run, const struct ink_grammar *g,
                                        struct ink_string *text, float *logits, int most,
                                        uint32_t *state)
{
    const struct ink_model *m = g->model;
    const int32_t quote = ink_tokenizer_find(m->tokenizer, "\"");
    int32_t prompt = 5;
    text->length = 0;
    ink_run_start(run, g, &prompt, 1);
    for (int left = most; left > 0; left--) {
        int32_t token = random_token(run, logits, left, state);
        if (token < 0) {
            return WALK_STUCK;
        }
        if (quote >= 0 && logits[quote] == 0 && next_number(state) % 8 == 0) {
            token = quote;
        }
        bool is_first = false;
        if (ink_model_is_end_token(m, token)) {
            return WALK_STOP;
        }
        if (!ink_run_allows(run, token, left) || !ink_run_accept(run, token)) {
            return WALK_STUCK;
        }
        ink_tokenizer_append_piece(m->tokenizer, text, token, false, &is_first);
        if (ink_run_is_over(run)) {
            return WALK_STOP;
        }
    }
    return WALK_LENGTH;
}

/* Does the grammar match the whole of the bytes? */
static inline bool matches(struct ink_grammar_run *run, const struct ink_grammar *g,
                           const char *bytes, size_t n)
{
    ink_run_start(run, g, NULL, 0);
    for (size_t i = 0; i < n; i++) {
        if (!ink_run_read(run, (unsigned char)bytes[i])) {
            return false;
        }
    }
    return ink_run_is_complete(run);
}

#endif
