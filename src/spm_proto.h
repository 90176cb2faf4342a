/* A SentencePiece vocabulary in C: read from a serialised ModelProto, checked, and written again.
 *
 * SentencePiece before 0.2.1 corrupts memory on a crafted model. So it never sees a file: the file
 * is read here, every value that SentencePiece relies on is checked, and it is handed a ModelProto
 * that ink_vocabulary_write makes from nothing but the checked values. A GGUF vocabulary takes the
 * same way. */
#ifndef INK_SPM_PROTO_H
#define INK_SPM_PROTO_H

#include "tokenizer.h"

#define INK_MAX_MODEL_PROTO (64u << 20) /* bytes of a tokenizer.model */
#define INK_MAX_PIECES (1 << 22)
#define INK_MAX_PIECE_BYTES 1024

enum ink_model_type { INK_MODEL_UNIGRAM = 1, INK_MODEL_BPE = 2 }; /* as in the proto */

/* Start with {0}. */
struct ink_vocabulary {
    char *text;               /* all pieces, each zero-terminated */
    struct ink_piece *pieces; /* [n_pieces] */
    int n_pieces;
    uint32_t *slots; /* [n_slots] hash of texts: 1 + id, or 0; made by ink_vocabulary_check */
    uint32_t n_slots;
    enum ink_model_type model_type;
    bool byte_fallback, add_dummy_prefix, remove_extra_whitespaces;
    const unsigned char *charsmap; /* [n_charsmap] of a normaliser; points into the proto */
    size_t n_charsmap;
    int32_t unk_id, bos_id, eos_id, pad_id; /* -1: none */
    int32_t byte_ids[256];                  /* if byte_fallback */
};

/* Read proto [n], the contents of `path`. At most max_pieces pieces. The result is not checked
 * beyond the grammar of protobuf and the range of each number, and keeps pointing into proto. */
int ink_vocabulary_read(struct ink_vocabulary *v, const void *proto, size_t n, int max_pieces,
                        const char *path, struct ink_error *error);

/* Everything SentencePiece takes for granted: texts (UTF-8, unique, not empty), scores, types, byte
 * pieces, unknown piece, special ids, the normaliser's table. Fills slots, unk_id and byte_ids. */
int ink_vocabulary_check(struct ink_vocabulary *v, const char *path, struct ink_error *error);

/* The normaliser's table alone (ink_vocabulary_check calls it): what SentencePiece reads without
 * looking, for every text, lies inside. */
int ink_charsmap_check(const unsigned char *blob, size_t n, const char *path,
                       struct ink_error *error);

/* Id of the piece text [n], or -1. Only after ink_vocabulary_check. */
int32_t ink_vocabulary_find(const struct ink_vocabulary *v, const char *text, size_t n);

/* Append the ModelProto. `raw`: without the white space rules, which the caller applies itself. */
void ink_vocabulary_write(const struct ink_vocabulary *v, bool raw, struct ink_string *out);

void ink_vocabulary_free(struct ink_vocabulary *v);

#endif
