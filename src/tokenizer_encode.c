#include "tokenizer_internal.h"

#include "utf8.h"

#include <string.h>

/* SentencePiece's ids, in memory that does not grow with the text.
 *
 * A segment (the text between special tokens) is normalised into `run`: spaces become U+2581, with
 * a dummy prefix and without extra spaces where the model says so. The run is handed to
 * SentencePiece in chunks, cut only where that changes no id. Bytes that are no UTF-8, and U+2581
 * itself, would not survive SentencePiece: they end the run and become byte pieces. */

enum { chunk_bytes = 8 << 10 }; /* from here on, cut at the first place that allows it */

static const char space_piece[] = "\xE2\x96\x81"; /* U+2581 */
static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */

struct encoder {
    const struct ink_tokenizer *t;
    struct ink_ids ids;
    struct ink_string run;
    struct ink_error *error;
};

bool ink_ids_append(struct ink_ids *ids, const int32_t *more, size_t n)
{
    if (n > ids->capacity - ids->length) {
        size_t capacity = ids->capacity + ids->capacity / 2 + n + 16;
        int32_t *data = ink_realloc(ids->data, capacity, sizeof *data);
        if (!data) {
            return false;
        }
        ids->data = data;
        ids->capacity = capacity;
    }
    if (n > 0) {
        memcpy(ids->data + ids->length, more, n * sizeof *more);
        ids->length += n;
    }
    return true;
}

static int append_id(struct encoder *e, int32_t id)
{
    return ink_ids_append(&e->ids, &id, 1) ? INK_OK
                                           : ink_fail_memory(e->error, e->ids.capacity * sizeof id);
}

static int append_bytes(struct encoder *e, const char *bytes, size_t n)
{
    int status = INK_OK;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        status = append_id(e, e->t->vocabulary.byte_ids[(unsigned char)bytes[i]]);
    }
    return status;
}

/* -------------------------------------------------------------------------------------- chunks */

/* The first place from `from` on (0 < from < n) where text may be cut; n if there is none. */
static size_t find_cut(const struct ink_tokenizer *t, const char *text, size_t n, size_t from)
{
    size_t at = from;
    uint32_t before, c;
    if (!t->pairs) {
        return n;
    }
    while (at > 0 && ((unsigned char)text[at - 1] & 0xC0) == 0x80) {
        at--;
    }
    at -= at > 0; /* the first byte of the character that ends at or before `from` */
    at += (size_t)ink_utf8_decode(text + at, n - at, &before);
    while (at < n) {
        int length = ink_utf8_decode(text + at, n - at, &c);
        if (at >= from && ink_tokenizer_may_cut(t, before, c)) {
            return at;
        }
        before = c;
        at += (size_t)length;
    }
    return n;
}

/* One chunk. SentencePiece joins unknown characters side by side into one unknown token, so that
 * is done across a cut too. */
static int encode_chunk(struct encoder *e, const char *text, size_t n, bool is_continued)
{
    const size_t start = e->ids.length;
    int status = ink_spm_encode(e->t->spm, &e->ids, text, n, e->error);
    if (status == INK_OK && is_continued && start > 0 && e->ids.length > start &&
        e->ids.data[start] == e->t->facts.unk_id && e->ids.data[start - 1] == e->t->facts.unk_id) {
        memmove(e->ids.data + start, e->ids.data + start + 1,
                (e->ids.length - start - 1) * sizeof *e->ids.data);
        e->ids.length--;
    }
    return status;
}

static int encode_normalised(struct encoder *e, const char *text, size_t n)
{
    size_t start = 0;
    while (start < n) {
        size_t end = n - start > chunk_bytes ? find_cut(e->t, text, n, start + chunk_bytes) : n;
        if (end - start > INK_MAX_UNCUT_TEXT) {
            return ink_fail(e->error, INK_ERROR_LIMIT,
                            "text: %llu bytes without a place to cut, a space being 3 (limit %d)",
                            (unsigned long long)(end - start), (int)INK_MAX_UNCUT_TEXT);
        }
        int status = encode_chunk(e, text + start, end - start, start > 0);
        if (status != INK_OK) {
            return status;
        }
        start = end;
    }
    return INK_OK;
}

static int flush_run(struct encoder *e)
{
    if (e->run.failed) {
        return ink_fail_memory(e->error, e->run.length);
    }
    int status = encode_normalised(e, e->run.data, e->run.length);
    e->run.length = 0;
    return status;
}

/* ----------------------------------------------------------------------------------- normalising
 */

/* Bytes at text [n >= 1] that go into the run as they are: whole characters, neither space nor
 * U+2581. */
static size_t ordinary_prefix(const char *text, size_t n)
{
    size_t at = 0;
    while (at < n && text[at] != ' ') {
        int length = ink_utf8_decode(text + at, n - at, NULL);
        if (length <= 0 || (length == 3 && memcmp(text + at, space_piece, 3) == 0)) {
            break;
        }
        at += (size_t)length;
    }
    return at;
}

/* What can only be said with byte pieces: U+2581 or one byte. Returns its length. */
static size_t append_odd(struct encoder *e, const char *text, size_t n, int *status)
{
    const bool is_space_piece = n >= 3 && memcmp(text, space_piece, 3) == 0;
    const size_t length = is_space_piece ? 3 : 1;
    if (e->t->facts.byte_fallback) {
        *status = flush_run(e);
        if (*status == INK_OK) {
            *status = append_bytes(e, text, length);
        }
    } else {
        ink_string_append(&e->run, is_space_piece ? space_piece : replacement, 3);
    }
    return length;
}

/* SentencePiece ends by removing every U+2581 from the end of the text. */
static void trim_run(struct encoder *e)
{
    while (e->run.length >= 3 && memcmp(e->run.data + e->run.length - 3, space_piece, 3) == 0) {
        e->run.length -= 3;
    }
}

static int encode_segment(struct encoder *e, const char *text, size_t n)
{
    const struct ink_tokenizer_facts *facts = &e->t->facts;
    const bool single_spaces = facts->remove_extra_whitespaces;
    int status = INK_OK;
    bool space_pending = false;
    size_t at = 0;
    while (single_spaces && at < n && text[at] == ' ') {
        at++;
    }
    if (at < n && facts->add_dummy_prefix) {
        ink_string_append(&e->run, space_piece, 3);
    }
    while (at < n && status == INK_OK) {
        if (text[at] == ' ') {
            if (!single_spaces) {
                ink_string_append(&e->run, space_piece, 3);
            }
            space_pending = single_spaces;
            at++;
            continue;
        }
        if (space_pending) {
            ink_string_append(&e->run, space_piece, 3);
            space_pending = false;
        }
        const size_t ordinary = ordinary_prefix(text + at, n - at);
        if (ordinary > 0) {
            ink_string_append(&e->run, text + at, ordinary);
            at += ordinary;
        } else {
            at += append_odd(e, text + at, n - at, &status);
        }
    }
    if (status == INK_OK && single_spaces) {
        trim_run(e);
    }
    return status == INK_OK ? flush_run(e) : status;
}

/* A charsmap maps characters to others: SentencePiece normalises. */
static int encode_mapped(struct encoder *e, const char *text, size_t n)
{
    if (n > INK_MAX_UNCUT_TEXT) {
        return ink_fail(e->error, INK_ERROR_LIMIT,
                        "text: %llu bytes without a place to cut, a space being 3 (limit %d)",
                        (unsigned long long)n, (int)INK_MAX_UNCUT_TEXT);
    }
    return ink_spm_encode(e->t->spm, &e->ids, text, n, e->error);
}

static int encode_text(struct encoder *e, const char *text, size_t n)
{
    if (n == 0) {
        return INK_OK;
    }
    return e->t->vocabulary.n_charsmap > 0 ? encode_mapped(e, text, n) : encode_segment(e, text, n);
}

/* The text around special tokens, and those. */
static int encode_with_specials(struct encoder *e, const char *text, size_t n)
{
    size_t start = 0, at = 0;
    int status = INK_OK;
    while (at < n && status == INK_OK) {
        int32_t id;
        size_t length = ink_tokenizer_match_special(e->t, text + at, n - at, &id);
        if (length == 0) {
            at++;
            continue;
        }
        status = encode_text(e, text + start, at - start);
        if (status == INK_OK) {
            status = append_id(e, id);
        }
        at += length;
        start = at;
    }
    return status == INK_OK ? encode_text(e, text + start, n - start) : status;
}

int ink_tokenizer_encode(const struct ink_tokenizer *t, int32_t **out, size_t *n, const char *text,
                         size_t n_text, bool parse_special, struct ink_error *error)
{
    struct encoder e = {.t = t, .error = error};
    *out = NULL;
    *n = 0;
    if (n_text > INK_MAX_TEXT) {
        return ink_fail(error, INK_ERROR_LIMIT, "text: too long (%llu bytes, limit %llu)",
                        (unsigned long long)n_text, (unsigned long long)INK_MAX_TEXT);
    }
    int status =
        parse_special ? encode_with_specials(&e, text, n_text) : encode_text(&e, text, n_text);
    if (status == INK_OK && !e.ids.data) { /* no ids: still a pointer to free */
        e.ids.data = ink_malloc(sizeof *e.ids.data);
        status = e.ids.data ? INK_OK : ink_fail_memory(error, sizeof *e.ids.data);
    }
    ink_string_free(&e.run);
    if (status != INK_OK) {
        ink_free(e.ids.data);
        return status;
    }
    *out = e.ids.data;
    *n = e.ids.length;
    return INK_OK;
}

/* -------------------------------------------------------------------------------------- decoding
 */

/* Append text with each U+2581 as a space. */
static void append_spaced(struct ink_string *out, const char *text)
{
    for (const char *space; (space = strstr(text, space_piece)) != NULL; text = space + 3) {
        ink_string_append(out, text, (size_t)(space - text));
        ink_string_append(out, " ", 1);
    }
    ink_string_puts(out, text);
}

static void append_byte(const struct ink_tokenizer *t, struct ink_string *out, int32_t token)
{
    static const char digits[] = "0123456789ABCDEF";
    const char *text = t->tokens[token].text; /* "<0xNN>" */
    const char byte =
        (char)((strchr(digits, text[3]) - digits) * 16 + (strchr(digits, text[4]) - digits));
    ink_string_append(out, &byte, 1);
}

void ink_tokenizer_append_piece(const struct ink_tokenizer *t, struct ink_string *out,
                                int32_t token, bool keep_special, bool *is_first)
{
    const struct ink_tokenizer_facts *facts = &t->facts;
    const struct ink_piece piece = ink_tokenizer_piece(t, token);
    const bool drops_space =
        *is_first && (facts->add_dummy_prefix || facts->remove_extra_whitespaces);
    if (!piece.text || (ink_tokenizer_is_special(t, token) && !keep_special)) {
        return;
    }
    if (ink_tokenizer_is_special(t, token) || token >= facts->n_pieces) {
        ink_string_puts(out, piece.text);
        *is_first = false;
    } else if (piece.type == INK_PIECE_BYTE) {
        append_byte(t, out, token);
        *is_first = false;
    } else if (drops_space && strncmp(piece.text, space_piece, 3) == 0) {
        append_spaced(out, piece.text + 3);
        /* SentencePiece: a model that removes extra spaces drops one from each piece so far */
        *is_first = piece.text[3] == '\0' && facts->remove_extra_whitespaces;
    } else {
        append_spaced(out, piece.text);
        *is_first = false;
    }
}
