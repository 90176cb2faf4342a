/* What the files of the tokenizer share. Nobody else includes this. */
#ifndef INK_TOKENIZER_INTERNAL_H
#define INK_TOKENIZER_INTERNAL_H

#include "spm.h"
#include "spm_proto.h"

#include "file.h"

#define INK_MAX_SPECIAL_BYTES 512
/* ERNIE has 1,009. Opening inserts each into a sorted array: at most a fraction of a second. */
#define INK_MAX_SPECIALS 16384

/* A token that is cut out of the text before SentencePiece sees it. */
struct ink_special {
    char *text; /* owned */
    size_t n;
    int32_t id;
};

struct ink_tokenizer {
    struct ink_tokenizer_facts facts;
    struct ink_vocabulary vocabulary;
    struct ink_spm *spm;
    struct ink_mapping file;     /* of tokenizer.model; vocabulary and facts point into it */
    struct ink_string own_proto; /* or the proto made from a GGUF vocabulary */
    char *chat_template;

    struct ink_piece *tokens; /* [n_vocab]; text NULL where there is nothing */
    unsigned char *special;   /* [n_vocab] 1: left out of decoded text */

    struct ink_special *specials; /* [n_specials], sorted by text once open */
    int n_specials, n_specials_room;
    int first[257]; /* those that start with byte b are specials[first[b]..first[b + 1]) */

    /* 1 for each hash of two characters that stand side by side inside a piece */
    unsigned char *pairs;
};

/* While opening. Token `id` has `text` and is cut out of the text; `hidden`: also left out of
 * decoded text. Refuses an id outside the vocabulary, an id or text that is taken otherwise, and
 * more than INK_MAX_SPECIALS; the same token again is fine. */
int ink_tokenizer_add_special(struct ink_tokenizer *t, const char *text, int64_t id, bool hidden,
                              const char *path, struct ink_error *error);

/* Opening, in this order. First the vocabulary: from a serialised ModelProto, which must stay, or
 * from t->vocabulary, checked and with n_pieces <= n_vocab. */
int ink_tokenizer_begin_model(struct ink_tokenizer *t, const void *proto, size_t n, int n_vocab,
                              const char *path, struct ink_error *error);
int ink_tokenizer_begin(struct ink_tokenizer *t, int n_vocab, const char *path,
                        struct ink_error *error);
/* Then ink_tokenizer_add_special, and facts. */
/* At last: index, and open SentencePiece. */
int ink_tokenizer_finish(struct ink_tokenizer *t, const char *path, struct ink_error *error);

/* Length of the longest special token that text [n] starts with, 0 if none. n >= 1. */
size_t ink_tokenizer_match_special(const struct ink_tokenizer *t, const char *text, size_t n,
                                   int32_t *id);

/* May text be cut between characters a and b without changing any id? */
bool ink_tokenizer_may_cut(const struct ink_tokenizer *t, uint32_t a, uint32_t b);

#endif
