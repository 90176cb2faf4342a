/* Text to ids and back: SentencePiece for ordinary text, special and added tokens cut out first.
 *
 * A tokenizer is read-only once open and may be shared by threads. It knows n_pieces SentencePiece
 * pieces (ids 0..n_pieces-1) and added tokens (any id below n_vocab). Some pieces are special too
 * (control pieces; pieces that added_tokens.json or special_tokens_map.json names). */
#ifndef INK_TOKENIZER_H
#define INK_TOKENIZER_H

#include "gguf.h"

struct ink_tokenizer;

/* One call of ink_tokenizer_encode takes at most this many bytes. */
#define INK_MAX_TEXT (64u << 20)
/* And at most this many (a space being 3) without two characters that no piece holds side by side:
 * there text is cut, so that SentencePiece never gets more at once. */
#define INK_MAX_UNCUT_TEXT (1u << 20)

/* From a folder's tokenizer.model, tokenizer_config.json, special_tokens_map.json and
 * added_tokens.json; the last three may be missing. n_vocab: rows of the embedding; ids at or
 * above it are refused. Special are control and unknown pieces, added_tokens.json, the tokens of
 * special_tokens_map.json, and of tokenizer_config.json the "..._token", "..._special_tokens" and
 * added_tokens_decoder (there, "special": false is cut out of text but shown when decoding). The
 * flags lstrip, rstrip, single_word and normalized are ignored. A chat_template.jinja counts before
 * the configuration's chat_template. */
int ink_tokenizer_open_folder(struct ink_tokenizer **out, const char *folder, int n_vocab,
                              struct ink_error *error);
/* From GGUF metadata (tokenizer.ggml.model "llama": tokens, scores, token_type), the vocabulary
 * rebuilt as a SentencePiece model. Special are control and unknown tokens, user-defined ones of
 * the form "<...>" or "[...]", and ERNIE's own that converters write as normal. `path` is for
 * messages. */
int ink_tokenizer_open_gguf(struct ink_tokenizer **out, const struct ink_gguf *gguf, int n_vocab,
                            const char *path, struct ink_error *error);
void ink_tokenizer_close(struct ink_tokenizer *t);

/* *out [*n] is malloc'ed; free it with ink_free. No BOS is added. The ids are SentencePiece's for
 * the whole text (for each text between special tokens, if those are parsed: the longest at each
 * place counts), with one exception where the vocabulary has byte pieces: bytes that are no UTF-8,
 * and U+2581, which SentencePiece takes for a space, become byte pieces, so that every text comes
 * back. INK_ERROR_LIMIT above the limits, with the numbers. */
int ink_tokenizer_encode(const struct ink_tokenizer *t, int32_t **out, size_t *n, const char *text,
                         size_t n_text, bool parse_special, struct ink_error *error);

/* The bytes that `token` contributes when the tokens before it are text: a piece with U+2581 as
 * spaces, one raw byte for a byte piece, "" for a special token (the unknown piece is one) unless
 * keep_special, "" for ids that are padding. *is_first tracks the start of text (a dummy prefix
 * space is dropped there): start with true. Appends to *out. Bytes may be part of a character (see
 * ink_utf8_push). */
void ink_tokenizer_append_piece(const struct ink_tokenizer *t, struct ink_string *out,
                                int32_t token, bool keep_special, bool *is_first);

int32_t ink_tokenizer_find(const struct ink_tokenizer *t, const char *token); /* -1: none */
bool ink_tokenizer_is_special(const struct ink_tokenizer *t, int32_t token);
int ink_tokenizer_n_pieces(const struct ink_tokenizer *t);

/* Everything that export needs to write the same tokenizer again.
 * The numbers of SentencePiece's proto and of GGUF's token_type: */
enum ink_piece_type {
    INK_PIECE_NORMAL = 1,
    INK_PIECE_UNKNOWN = 2,
    INK_PIECE_CONTROL = 3,
    INK_PIECE_USER_DEFINED = 4,
    INK_PIECE_UNUSED = 5,
    INK_PIECE_BYTE = 6,
};
struct ink_piece {
    const char *text; /* zero-terminated; NULL for an id that stands for nothing (padding) */
    float score;
    enum ink_piece_type type;
};
struct ink_piece ink_tokenizer_piece(const struct ink_tokenizer *t, int32_t id);
struct ink_tokenizer_facts {
    int n_pieces, n_added, n_vocab;
    int32_t bos_id, eos_id, unk_id, pad_id, cls_id, sep_id; /* -1: none */
    bool add_dummy_prefix, remove_extra_whitespaces, byte_fallback;
    bool add_bos;              /* tokenizer_config.json or GGUF says plain text begins with bos */
    const char *model_type;    /* "bpe" or "unigram" */
    const char *chat_template; /* the folder's or file's own, or NULL; never executed */
    const void *model_proto;   /* the serialised SentencePiece model, as read or rebuilt */
    size_t n_model_proto;
};
const struct ink_tokenizer_facts *ink_tokenizer_get_facts(const struct ink_tokenizer *t);

#endif
