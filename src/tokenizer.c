#include "tokenizer_internal.h"

#include "utf8.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- opening */

int ink_tokenizer_begin(struct ink_tokenizer *t, int n_vocab, const char *path,
                        struct ink_error *error)
{
    const struct ink_vocabulary *v = &t->vocabulary;
    t->tokens = ink_calloc((size_t)n_vocab, sizeof *t->tokens);
    t->special = ink_calloc((size_t)n_vocab, 1);
    if (!t->tokens || !t->special) {
        return ink_fail_memory(error, (uint64_t)n_vocab * (sizeof *t->tokens + 1));
    }
    memcpy(t->tokens, v->pieces, (size_t)v->n_pieces * sizeof *t->tokens);
    t->facts = (struct ink_tokenizer_facts){
        .n_pieces = v->n_pieces,
        .n_vocab = n_vocab,
        .bos_id = v->bos_id,
        .eos_id = v->eos_id,
        .unk_id = v->unk_id,
        .pad_id = v->pad_id,
        .cls_id = -1,
        .sep_id = -1,
        .add_dummy_prefix = v->add_dummy_prefix,
        .remove_extra_whitespaces = v->remove_extra_whitespaces,
        .byte_fallback = v->byte_fallback,
        .model_type = v->model_type == INK_MODEL_BPE ? "bpe" : "unigram",
    };
    int status = INK_OK;
    for (int i = 0; i < v->n_pieces && status == INK_OK; i++) {
        if (v->pieces[i].type == INK_PIECE_CONTROL || v->pieces[i].type == INK_PIECE_UNKNOWN) {
            status = ink_tokenizer_add_special(t, v->pieces[i].text, i, true, path, error);
        }
    }
    return status;
}

int ink_tokenizer_begin_model(struct ink_tokenizer *t, const void *proto, size_t n, int n_vocab,
                              const char *path, struct ink_error *error)
{
    int status = ink_vocabulary_read(&t->vocabulary, proto, n, n_vocab, path, error);
    if (status == INK_OK) {
        status = ink_vocabulary_check(&t->vocabulary, path, error);
    }
    return status == INK_OK ? ink_tokenizer_begin(t, n_vocab, path, error) : status;
}

/* Among the special tokens. There may be thousands, so opening keeps them in order. */
static int find_special(const struct ink_tokenizer *t, const char *text, bool *found)
{
    int low = 0, high = t->n_specials;
    *found = false;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(t->specials[middle].text, text);
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

int32_t ink_tokenizer_find(const struct ink_tokenizer *t, const char *text)
{
    bool found;
    int at = find_special(t, text, &found);
    return found ? t->specials[at].id : ink_vocabulary_find(&t->vocabulary, text, strlen(text));
}

static int insert_special(struct ink_tokenizer *t, int at, const char *text, int32_t id,
                          const char *path, struct ink_error *error)
{
    if (t->n_specials == INK_MAX_SPECIALS) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: too many special tokens (limit %d)", path,
                        INK_MAX_SPECIALS);
    }
    if (t->n_specials == t->n_specials_room) {
        int room = t->n_specials_room ? 2 * t->n_specials_room : 64;
        struct ink_special *more = ink_realloc(t->specials, (size_t)room, sizeof *more);
        if (!more) {
            return ink_fail_memory(error, (uint64_t)room * sizeof *more);
        }
        t->specials = more;
        t->n_specials_room = room;
    }
    char *copy = ink_strdup(text);
    if (!copy) {
        return ink_fail_memory(error, strlen(text) + 1);
    }
    memmove(t->specials + at + 1, t->specials + at,
            (size_t)(t->n_specials - at) * sizeof *t->specials);
    t->specials[at] = (struct ink_special){copy, strlen(copy), id};
    t->n_specials++;
    if (!t->tokens[id].text) {
        t->tokens[id].text = copy;
        t->facts.n_added++;
    }
    return INK_OK;
}

int ink_tokenizer_add_special(struct ink_tokenizer *t, const char *text, int64_t id, bool hidden,
                              const char *path, struct ink_error *error)
{
    const size_t n = strlen(text);
    if (n == 0 || n > INK_MAX_SPECIAL_BYTES) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: token %lld is empty or too long (%llu bytes, limit %d)", path,
                        (long long)id, (unsigned long long)n, INK_MAX_SPECIAL_BYTES);
    }
    if (id < 0 || id >= t->facts.n_vocab) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: the id of token \"%s\" is out of range (%lld, vocabulary %d)", path,
                        text, (long long)id, t->facts.n_vocab);
    }
    const int32_t other = ink_tokenizer_find(t, text);
    if (other >= 0 && other != id) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: token \"%s\" has two ids (%d and %lld)", path,
                        text, (int)other, (long long)id);
    }
    struct ink_piece *token = &t->tokens[id];
    if (token->text && strcmp(token->text, text) != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: tokens \"%s\" and \"%s\" have the same id (%lld)", path, token->text,
                        text, (long long)id);
    }
    bool found;
    const bool added = token->text == NULL;
    int at = find_special(t, text, &found);
    int status = found ? INK_OK : insert_special(t, at, text, (int32_t)id, path, error);
    if (status != INK_OK) {
        return status;
    }
    if (added) {
        token->type = hidden ? INK_PIECE_CONTROL : INK_PIECE_USER_DEFINED;
    }
    t->special[id] |= hidden;
    return INK_OK;
}

static void index_first_bytes(struct ink_tokenizer *t)
{
    int at = 0;
    for (int byte = 0; byte <= 256; byte++) {
        while (at < t->n_specials && (unsigned char)t->specials[at].text[0] < byte) {
            at++;
        }
        t->first[byte] = at;
    }
}

/* ------------------------------------------------------------------------ where text may be cut */

enum { pair_bits = 22 };

static uint32_t pair_hash(uint32_t a, uint32_t b)
{
    uint64_t h = ((uint64_t)a << 21 | b) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(h >> (64 - pair_bits));
}

bool ink_tokenizer_may_cut(const struct ink_tokenizer *t, uint32_t a, uint32_t b)
{
    uint32_t h = pair_hash(a, b);
    return !(t->pairs[h / 8] >> h % 8 & 1);
}

static void mark_pairs(struct ink_tokenizer *t, const char *text)
{
    uint32_t before = 0, c = 0;
    const char *end = text + strlen(text);
    for (const char *s = text; s < end; before = c) {
        const bool is_first = s == text;
        s += ink_utf8_decode(s, (size_t)(end - s), &c);
        if (!is_first) {
            uint32_t h = pair_hash(before, c);
            t->pairs[h / 8] |= (unsigned char)(1u << h % 8);
        }
    }
}

/* Two characters that no piece holds side by side are never merged, so the text on either side is
 * encoded on its own. Unigram adds scores along the whole text, so there rounding may differ. */
static int index_pairs(struct ink_tokenizer *t, struct ink_error *error)
{
    if (t->vocabulary.model_type != INK_MODEL_BPE) {
        return INK_OK;
    }
    t->pairs = ink_calloc((1u << pair_bits) / 8, 1);
    if (!t->pairs) {
        return ink_fail_memory(error, (1u << pair_bits) / 8);
    }
    for (int i = 0; i < t->vocabulary.n_pieces; i++) {
        const struct ink_piece *piece = &t->vocabulary.pieces[i];
        if (piece->type == INK_PIECE_NORMAL || piece->type == INK_PIECE_USER_DEFINED ||
            piece->type == INK_PIECE_UNUSED) {
            mark_pairs(t, piece->text);
        }
    }
    return INK_OK;
}

int ink_tokenizer_finish(struct ink_tokenizer *t, const char *path, struct ink_error *error)
{
    struct ink_string proto = {0};
    t->vocabulary.add_dummy_prefix = t->facts.add_dummy_prefix;
    index_first_bytes(t);
    int status = index_pairs(t, error);
    if (status != INK_OK) {
        return status;
    }
    /* Without a charsmap, white space is all there is to normalise: tokenizer_encode.c does it. */
    ink_vocabulary_write(&t->vocabulary, t->vocabulary.n_charsmap == 0, &proto);
    status = proto.failed ? ink_fail_memory(error, proto.length)
                          : ink_spm_open(&t->spm, proto.data, proto.length, path, error);
    ink_string_free(&proto);
    return status;
}

void ink_tokenizer_close(struct ink_tokenizer *t)
{
    if (!t) {
        return;
    }
    ink_spm_close(t->spm);
    for (int i = 0; i < t->n_specials; i++) {
        ink_free(t->specials[i].text);
    }
    ink_free(t->specials);
    ink_free(t->tokens);
    ink_free(t->special);
    ink_free(t->pairs);
    ink_free(t->chat_template);
    ink_vocabulary_free(&t->vocabulary);
    ink_string_free(&t->own_proto);
    ink_unmap_file(&t->file);
    ink_free(t);
}

/* ------------------------------------------------------------------------------------ questions */

/* The first of specials[low..high), which agree before `depth`, whose byte there is >= byte. */
static int lower_bound(const struct ink_tokenizer *t, int low, int high, size_t depth, int byte)
{
    while (low < high) {
        int middle = low + (high - low) / 2;
        if ((unsigned char)t->specials[middle].text[depth] < byte) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

size_t ink_tokenizer_match_special(const struct ink_tokenizer *t, const char *text, size_t n,
                                   int32_t *id)
{
    size_t longest = 0;
    int low = t->first[(unsigned char)text[0]], high = t->first[(unsigned char)text[0] + 1];
    /* specials[low..high) begin with the first `depth` bytes of text; the shortest comes first */
    for (size_t depth = 1; low < high; depth++) {
        if (t->specials[low].n == depth) {
            longest = depth;
            *id = t->specials[low++].id;
        }
        if (depth == n) {
            break;
        }
        const int byte = (unsigned char)text[depth];
        low = lower_bound(t, low, high, depth, byte);
        high = lower_bound(t, low, high, depth, byte + 1);
    }
    return longest;
}

bool ink_tokenizer_is_special(const struct ink_tokenizer *t, int32_t token)
{
    return token >= 0 && token < t->facts.n_vocab && t->special[token];
}

int ink_tokenizer_n_pieces(const struct ink_tokenizer *t)
{
    return t->facts.n_pieces;
}

struct ink_piece ink_tokenizer_piece(const struct ink_tokenizer *t, int32_t id)
{
    const struct ink_piece none = {0};
    return id >= 0 && id < t->facts.n_vocab ? t->tokens[id] : none;
}

const struct ink_tokenizer_facts *ink_tokenizer_get_facts(const struct ink_tokenizer *t)
{
    return &t->facts;
}
