#include "tokenizer_internal.h"

#include "utf8.h"

#include <stdio.h>
#include <string.h>

/* A GGUF file holds texts, scores and types, and says nothing of how SentencePiece marked them:
 * converters write added tokens as "user defined" or "control", digits as "normal", rows without a
 * token as "unused" "[PAD123]". Here this becomes a SentencePiece vocabulary and added tokens, so
 * that text gets the same ids as with the tokenizer.model it came from. */

struct gguf_vocabulary {
    const struct ink_gguf *gguf;
    const char *path;
    struct ink_error *error;
    int n; /* tokens in the file */
    struct ink_gguf_string *texts;
    float *scores;
    int32_t *types;
};

/* ERNIE's own tokens that its tokenizer.model, and so a GGUF of it, has as normal pieces. */
static const char *const ernie_specials[] = {
    "<|begin_of_sentence|>",
    "<|end_of_sentence|>",
    "<mask:1>",
    "<mask:4>",
    "<mask:5>",
    "<mask:6>",
    "<mask:7>",
};

static bool is_ernie_special(const char *text)
{
    for (size_t i = 0; i < INK_COUNT(ernie_specials); i++) {
        if (strcmp(text, ernie_specials[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* "<...>" or "[...]": of a user-defined token that is no SentencePiece symbol but an added token.
 * As a symbol it would turn text in a user's message into a special token. */
static bool looks_special(const struct ink_gguf_string *text)
{
    if (text->n < 3) {
        return false;
    }
    const char first = text->data[0], last = text->data[text->n - 1];
    return (first == '<' && last == '>') || (first == '[' && last == ']');
}

static bool is_padding(const struct ink_gguf_string *text, int id, int type)
{
    char name[32];
    const int n = snprintf(name, sizeof name, "[PAD%d]", id);
    return text->n == 0 || (type == INK_PIECE_UNUSED && text->n == (size_t)n &&
                            memcmp(text->data, name, text->n) == 0);
}

static bool is_special_type(const struct gguf_vocabulary *g, int id)
{
    return g->types[id] == INK_PIECE_CONTROL ||
           (g->types[id] == INK_PIECE_USER_DEFINED && looks_special(&g->texts[id]));
}

static int read_arrays(struct gguf_vocabulary *g)
{
    const size_t n = (size_t)g->n;
    g->texts = ink_calloc(n, sizeof *g->texts);
    g->scores = ink_calloc(n, sizeof *g->scores);
    g->types = ink_calloc(n, sizeof *g->types);
    if (!g->texts || !g->scores || !g->types) {
        return ink_fail_memory(g->error, n * (sizeof *g->texts + 8));
    }
    int status = ink_gguf_get_strings(g->gguf, "tokenizer.ggml.tokens", g->texts, g->n, g->error);
    if (status == INK_OK) {
        status = ink_gguf_get_floats(g->gguf, "tokenizer.ggml.scores", g->scores, g->n, g->error);
    }
    if (status == INK_OK) {
        status = ink_gguf_get_ints(g->gguf, "tokenizer.ggml.token_type", g->types, g->n, g->error);
    }
    return status;
}

static int check_lengths(struct gguf_vocabulary *g, int n_vocab)
{
    const int64_t n = ink_gguf_array_length(g->gguf, "tokenizer.ggml.tokens");
    const int64_t n_scores = ink_gguf_array_length(g->gguf, "tokenizer.ggml.scores");
    const int64_t n_types = ink_gguf_array_length(g->gguf, "tokenizer.ggml.token_type");
    if (n < 1 || n > n_vocab || n > INK_MAX_PIECES) {
        return ink_fail(g->error, INK_ERROR_INPUT,
                        "%s: tokenizer.ggml.tokens is missing, empty, or longer than the embedding "
                        "(%lld tokens, %d rows)",
                        g->path, (long long)n, n_vocab);
    }
    if (n_scores != n || n_types != n) {
        return ink_fail(
            g->error, INK_ERROR_INPUT,
            "%s: tokenizer.ggml.tokens, .scores and .token_type differ in length (%lld, "
            "%lld, %lld)",
            g->path, (long long)n, (long long)n_scores, (long long)n_types);
    }
    g->n = (int)n;
    return INK_OK;
}

static int check_token(const struct gguf_vocabulary *g, int id)
{
    if (g->types[id] < INK_PIECE_NORMAL || g->types[id] > INK_PIECE_BYTE) {
        return ink_fail(g->error, INK_ERROR_INPUT, "%s: piece %d has an unknown type (%llu)",
                        g->path, id, (unsigned long long)(uint32_t)g->types[id]);
    }
    if (g->texts[id].n > INK_MAX_PIECE_BYTES ||
        (g->texts[id].n > 0 && memchr(g->texts[id].data, 0, g->texts[id].n))) {
        return ink_fail(g->error, INK_ERROR_INPUT,
                        "%s: piece %d has a zero byte or is too long (%llu bytes, limit %d)",
                        g->path, id, (unsigned long long)g->texts[id].n, INK_MAX_PIECE_BYTES);
    }
    return INK_OK;
}

/* Special tokens and padding at the end are no pieces. */
static int count_pieces(const struct gguf_vocabulary *g)
{
    int n = g->n;
    while (n > 0 &&
           (is_special_type(g, n - 1) || is_padding(&g->texts[n - 1], n - 1, g->types[n - 1]))) {
        n--;
    }
    return n;
}

static int fill_pieces(const struct gguf_vocabulary *g, struct ink_vocabulary *v)
{
    size_t n_text = 0;
    int n_bytes = 0;
    v->n_pieces = count_pieces(g);
    for (int i = 0; i < v->n_pieces; i++) {
        int status = check_token(g, i);
        if (status != INK_OK) {
            return status;
        }
        n_text += g->texts[i].n + 32;
        n_bytes += g->types[i] == INK_PIECE_BYTE;
    }
    v->byte_fallback = n_bytes > 0;
    v->text = ink_malloc(n_text);
    v->pieces = ink_calloc((size_t)v->n_pieces, sizeof *v->pieces);
    if (!v->text || !v->pieces) {
        return ink_fail_memory(g->error, n_text + (size_t)v->n_pieces * sizeof *v->pieces);
    }
    char *end = v->text;
    for (int i = 0; i < v->n_pieces; i++) {
        v->pieces[i] = (struct ink_piece){end, g->scores[i], (enum ink_piece_type)g->types[i]};
        if (is_special_type(g, i)) {
            v->pieces[i].type = INK_PIECE_CONTROL;
        }
        if (g->texts[i].n == 0) { /* a hole; SentencePiece wants a text */
            v->pieces[i].type = INK_PIECE_UNUSED;
            end += snprintf(end, 32, "[PAD%d]", i) + 1;
        } else {
            memcpy(end, g->texts[i].data, g->texts[i].n);
            end[g->texts[i].n] = '\0';
            end += g->texts[i].n + 1;
        }
    }
    return INK_OK;
}

static int read_settings(const struct gguf_vocabulary *g, struct ink_vocabulary *v)
{
    *v = (struct ink_vocabulary){.model_type = INK_MODEL_BPE,
                                 .add_dummy_prefix = true,
                                 .unk_id = -1,
                                 .bos_id = -1,
                                 .eos_id = -1,
                                 .pad_id = -1};
    struct ink_gguf_string model = {"", 0};
    int status = ink_gguf_get_string(g->gguf, "tokenizer.ggml.model", true, &model, g->error);
    if (status == INK_OK && (model.n != 5 || memcmp(model.data, "llama", 5) != 0)) {
        status = ink_fail(g->error, INK_ERROR_INPUT,
                          "%s: unsupported tokenizer.ggml.model (only \"llama\" is)", g->path);
    }
    if (status == INK_OK) {
        status = ink_gguf_get_bool(g->gguf, "tokenizer.ggml.add_space_prefix", false,
                                   &v->add_dummy_prefix, g->error);
    }
    if (status == INK_OK) {
        status = ink_gguf_get_bool(g->gguf, "tokenizer.ggml.remove_extra_whitespaces", false,
                                   &v->remove_extra_whitespaces, g->error);
    }
    return status;
}

/* Tokens behind the pieces, and pieces that are special without being of that type. */
static int add_specials(const struct gguf_vocabulary *g, struct ink_tokenizer *t)
{
    char text[INK_MAX_PIECE_BYTES + 1];
    int status = INK_OK;
    for (int i = t->facts.n_pieces; i < g->n && status == INK_OK; i++) {
        if (is_padding(&g->texts[i], i, g->types[i])) {
            continue;
        }
        status = check_token(g, i);
        if (status == INK_OK) {
            memcpy(text, g->texts[i].data, g->texts[i].n);
            text[g->texts[i].n] = '\0';
            if (ink_utf8_valid_prefix(text, g->texts[i].n) != g->texts[i].n) {
                return ink_fail(g->error, INK_ERROR_INPUT, "%s: piece %d is not UTF-8", g->path, i);
            }
            status = ink_tokenizer_add_special(t, text, i, true, g->path, g->error);
        }
    }
    for (int i = 0; i < t->facts.n_pieces && status == INK_OK; i++) {
        if (t->tokens[i].type == INK_PIECE_NORMAL && is_ernie_special(t->tokens[i].text)) {
            status = ink_tokenizer_add_special(t, t->tokens[i].text, i, true, g->path, g->error);
        }
    }
    return status;
}

static int read_role(const struct gguf_vocabulary *g, const char *key, int32_t *out)
{
    int64_t id = *out;
    int status = ink_gguf_get_int(g->gguf, key, -1, g->n - 1, false, &id, g->error);
    *out = (int32_t)id;
    return status;
}

static int read_roles(const struct gguf_vocabulary *g, struct ink_tokenizer *t)
{
    struct ink_tokenizer_facts *facts = &t->facts;
    facts->cls_id = ink_tokenizer_find(t, "<|begin_of_sentence|>");
    facts->sep_id = ink_tokenizer_find(t, "<|end_of_sentence|>");
    facts->add_bos = true; /* as every reader of GGUF takes it for "llama" */
    int status = read_role(g, "tokenizer.ggml.bos_token_id", &facts->bos_id);
    if (status == INK_OK) {
        status = read_role(g, "tokenizer.ggml.eos_token_id", &facts->eos_id);
    }
    if (status == INK_OK) {
        status = read_role(g, "tokenizer.ggml.padding_token_id", &facts->pad_id);
    }
    if (status == INK_OK) {
        status = ink_gguf_get_bool(g->gguf, "tokenizer.ggml.add_bos_token", false, &facts->add_bos,
                                   g->error);
    }
    return status;
}

static int read_template(const struct gguf_vocabulary *g, struct ink_tokenizer *t)
{
    struct ink_gguf_string text = {NULL, 0};
    int status = ink_gguf_get_string(g->gguf, "tokenizer.chat_template", false, &text, g->error);
    if (status == INK_OK && text.data) {
        t->chat_template = ink_strndup(text.data, text.n);
        status = t->chat_template ? INK_OK : ink_fail_memory(g->error, text.n);
    }
    return status;
}

static int build(struct gguf_vocabulary *g, struct ink_tokenizer *t, int n_vocab)
{
    int status = read_settings(g, &t->vocabulary);
    if (status == INK_OK) {
        status = check_lengths(g, n_vocab);
    }
    if (status == INK_OK) {
        status = read_arrays(g);
    }
    if (status == INK_OK) {
        status = fill_pieces(g, &t->vocabulary);
    }
    if (status == INK_OK) {
        status = ink_vocabulary_check(&t->vocabulary, g->path, g->error);
    }
    if (status == INK_OK) {
        status = ink_tokenizer_begin(t, n_vocab, g->path, g->error);
    }
    if (status == INK_OK) {
        status = add_specials(g, t);
    }
    if (status == INK_OK) {
        status = read_roles(g, t);
    }
    if (status == INK_OK) {
        status = read_template(g, t);
    }
    if (status == INK_OK) {
        status = ink_tokenizer_finish(t, g->path, g->error);
    }
    return status;
}

int ink_tokenizer_open_gguf(struct ink_tokenizer **out, const struct ink_gguf *gguf, int n_vocab,
                            const char *path, struct ink_error *error)
{
    struct gguf_vocabulary g = {.gguf = gguf, .path = path, .error = error};
    struct ink_tokenizer *t = ink_calloc(1, sizeof *t);
    *out = NULL;
    int status = t ? build(&g, t, n_vocab) : ink_fail_memory(error, sizeof *t);
    ink_free(g.texts);
    ink_free(g.scores);
    ink_free(g.types);
    if (status == INK_OK) {
        ink_vocabulary_write(&t->vocabulary, false, &t->own_proto);
        status = t->own_proto.failed ? ink_fail_memory(error, t->own_proto.length) : INK_OK;
    }
    if (status != INK_OK) {
        ink_tokenizer_close(t);
        return status;
    }
    t->facts.chat_template = t->chat_template;
    t->facts.model_proto = t->own_proto.data;
    t->facts.n_model_proto = t->own_proto.length;
    *out = t;
    return INK_OK;
}
