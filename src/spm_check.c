#include "spm_proto.h"

#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------- hash of texts */

static uint32_t hash_text(const char *text, size_t n)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < n; i++) {
        h = (h ^ (unsigned char)text[i]) * 16777619u;
    }
    return h ^ h >> 15;
}

/* The slot that holds text, or the empty one where it belongs. */
static uint32_t *find_slot(const struct ink_vocabulary *v, const char *text, size_t n)
{
    uint32_t at = hash_text(text, n) & (v->n_slots - 1);
    for (;; at = (at + 1) & (v->n_slots - 1)) {
        uint32_t *slot = &v->slots[at];
        if (*slot == 0) {
            return slot;
        }
        const char *other = v->pieces[*slot - 1].text;
        if (strncmp(other, text, n) == 0 && other[n] == '\0') {
            return slot;
        }
    }
}

int32_t ink_vocabulary_find(const struct ink_vocabulary *v, const char *text, size_t n)
{
    if (n == 0 || memchr(text, 0, n)) {
        return -1;
    }
    return (int32_t)*find_slot(v, text, n) - 1;
}

static int make_hash(struct ink_vocabulary *v, const char *path, struct ink_error *error)
{
    v->n_slots = 16;
    while (v->n_slots < 2u * (uint32_t)v->n_pieces) {
        v->n_slots *= 2;
    }
    v->slots = ink_calloc(v->n_slots, sizeof *v->slots);
    if (!v->slots) {
        return ink_fail_memory(error, v->n_slots * sizeof *v->slots);
    }
    for (int i = 0; i < v->n_pieces; i++) {
        uint32_t *slot = find_slot(v, v->pieces[i].text, strlen(v->pieces[i].text));
        if (*slot != 0) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: pieces %d and %d have the same text", path,
                            (int)*slot - 1, i);
        }
        *slot = (uint32_t)i + 1;
    }
    return INK_OK;
}

/* -------------------------------------------------------------------------------------- pieces */

/* 0..255 for "<0x00>".."<0xFF>" (upper case, as SentencePiece writes them), else -1. */
static int byte_of(const char *text)
{
    static const char digits[] = "0123456789ABCDEF";
    if (strlen(text) != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') {
        return -1;
    }
    const char *high = strchr(digits, text[3]), *low = strchr(digits, text[4]);
    return high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

static int check_piece(struct ink_vocabulary *v, int id, const char *path, struct ink_error *error)
{
    const struct ink_piece *piece = &v->pieces[id];
    const size_t n = strlen(piece->text);
    if (n == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: piece %d is empty", path, id);
    }
    if (ink_utf8_valid_prefix(piece->text, n) != n) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: piece %d is not UTF-8", path, id);
    }
    if (!isfinite(piece->score) || fabsf(piece->score) > 1e9f) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: piece %d has a score out of range (%g)", path,
                        id, (double)piece->score);
    }
    if (piece->type == INK_PIECE_UNKNOWN) {
        if (v->unk_id >= 0) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: pieces %d and %d are both the unknown one",
                            path, (int)v->unk_id, id);
        }
        v->unk_id = id;
    }
    /* SentencePiece looks a lone character up among all pieces, so text could give a control id. */
    if (piece->type == INK_PIECE_CONTROL && ink_utf8_decode(piece->text, n, NULL) == (int)n) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: control piece %d is a single character", path,
                        id);
    }
    if (piece->type == INK_PIECE_USER_DEFINED && strchr(piece->text, ' ')) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: user-defined piece %d holds a space", path,
                        id);
    }
    if (piece->type == INK_PIECE_BYTE) {
        int byte = byte_of(piece->text);
        if (byte < 0 || !v->byte_fallback) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: piece %d is no byte \"<0x00>\" to \"<0xFF>\", or byte_fallback is "
                            "not set",
                            path, id);
        }
        v->byte_ids[byte] = id;
    }
    return INK_OK;
}

static int check_pieces(struct ink_vocabulary *v, const char *path, struct ink_error *error)
{
    int n_text = 0;
    v->unk_id = -1;
    for (int i = 0; i < 256; i++) {
        v->byte_ids[i] = -1;
    }
    for (int i = 0; i < v->n_pieces; i++) {
        int status = check_piece(v, i, path, error);
        if (status != INK_OK) {
            return status;
        }
        n_text += v->pieces[i].type == INK_PIECE_NORMAL;
    }
    if (v->unk_id < 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: no piece is the unknown one", path);
    }
    if (n_text == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: no piece is for text", path);
    }
    for (int i = 0; i < 256 && v->byte_fallback; i++) {
        if (v->byte_ids[i] < 0) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: byte_fallback is set, but the piece of byte %d is missing", path,
                            i);
        }
    }
    return INK_OK;
}

/* bos, eos, pad: inside the vocabulary and different. A piece of another type there is fine (the
 * ids are the trainer's wish, as vocab_size is); it is then no such token. */
static int check_special_ids(struct ink_vocabulary *v, int32_t trainer_unk, const char *path,
                             struct ink_error *error)
{
    const int32_t ids[4] = {trainer_unk, v->bos_id, v->eos_id, v->pad_id};
    static const char *const names[4] = {"unk_id", "bos_id", "eos_id", "pad_id"};
    for (int i = 0; i < 4; i++) {
        if (ids[i] >= v->n_pieces) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: %s is out of range (%d of %d pieces)",
                            path, names[i], (int)ids[i], v->n_pieces);
        }
        for (int k = 0; k < i; k++) {
            if (ids[i] >= 0 && ids[i] == ids[k]) {
                return ink_fail(error, INK_ERROR_INPUT, "%s: %s and %s are both %d", path, names[k],
                                names[i], (int)ids[i]);
            }
        }
    }
    int32_t *const unset[3] = {&v->bos_id, &v->eos_id, &v->pad_id};
    for (int i = 0; i < 3; i++) {
        if (*unset[i] >= 0 && v->pieces[*unset[i]].type != INK_PIECE_CONTROL) {
            *unset[i] = -1;
        }
    }
    return INK_OK;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* SentencePiece finds the user-defined pieces that a text begins with in an array of 64. */
static int check_user_defined(const struct ink_vocabulary *v, const char *path,
                              struct ink_error *error)
{
    enum { max_nested = 64 };
    size_t n = 0, n_nested = 0;
    const char *nested[max_nested + 1];
    int status = INK_OK;
    const char **texts = ink_malloc((size_t)v->n_pieces * sizeof *texts);
    if (!texts) {
        return ink_fail_memory(error, (uint64_t)v->n_pieces * sizeof *texts);
    }
    for (int i = 0; i < v->n_pieces; i++) {
        if (v->pieces[i].type == INK_PIECE_USER_DEFINED) {
            texts[n++] = v->pieces[i].text;
        }
    }
    qsort(texts, n, sizeof *texts, compare_texts);
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        while (n_nested > 0 &&
               strncmp(texts[i], nested[n_nested - 1], strlen(nested[n_nested - 1])) != 0) {
            n_nested--;
        }
        nested[n_nested++] = texts[i];
        if (n_nested > max_nested) {
            status = ink_fail(error, INK_ERROR_INPUT,
                              "%s: too many user-defined pieces begin with one another (limit %d)",
                              path, (int)max_nested);
        }
    }
    ink_free(texts);
    return status;
}

int ink_vocabulary_check(struct ink_vocabulary *v, const char *path, struct ink_error *error)
{
    const int32_t trainer_unk = v->unk_id;
    if (v->n_pieces == 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: no pieces", path);
    }
    int status = check_pieces(v, path, error);
    if (status == INK_OK) {
        status = check_special_ids(v, trainer_unk, path, error);
    }
    if (status == INK_OK) {
        status = make_hash(v, path, error);
    }
    if (status == INK_OK) {
        status = check_user_defined(v, path, error);
    }
    if (status == INK_OK && v->n_charsmap > 0) {
        status = ink_charsmap_check(v->charsmap, v->n_charsmap, path, error);
    }
    return status;
}
