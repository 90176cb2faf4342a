/* The text part of inkstone.h: tokenizer.h and chat.h for a model's own tokenizer. */
#include "chat.h"
#include "model.h"
#include "utf8.h"

#include <string.h>

/* The model's tokenizer, or NULL with *error filled. */
static const struct ink_tokenizer *need_tokenizer(const struct ink_model *model,
                                                  struct ink_error *error)
{
    const struct ink_tokenizer *t = ink_model_tokenizer(model);
    if (!t) {
        ink_fail(error, INK_ERROR_INPUT, "%s: opened without a tokenizer",
                 ink_model_get_info(model)->path);
    }
    return t;
}

int ink_tokenize(const struct ink_model *model, int32_t **out, size_t *n, const char *text,
                 size_t n_text, bool parse_special, struct ink_error *error)
{
    const struct ink_tokenizer *t = need_tokenizer(model, error);
    *out = NULL;
    *n = 0;
    return t ? ink_tokenizer_encode(t, out, n, text, n_text, parse_special, error)
             : INK_ERROR_INPUT;
}

int ink_chat_tokenize(const struct ink_model *model, int32_t **out, size_t *n,
                      const struct ink_message *messages, int n_messages,
                      bool add_generation_prompt, struct ink_error *error)
{
    const struct ink_tokenizer *t = need_tokenizer(model, error);
    *out = NULL;
    *n = 0;
    return t ? ink_chat_encode(t, out, n, messages, n_messages, add_generation_prompt, error)
             : INK_ERROR_INPUT;
}

/* ------------------------------------------------------------------------------------ streaming */

struct ink_stream {
    const struct ink_tokenizer *t;
    bool keep_special, is_first;
    struct ink_utf8_assembler assembler;
    struct ink_string bytes; /* of one token */
    struct ink_string piece; /* given out last */
};

int ink_stream_open(struct ink_stream **out, const struct ink_model *model, bool keep_special,
                    struct ink_error *error)
{
    *out = NULL;
    const struct ink_tokenizer *t = need_tokenizer(model, error);
    if (!t) {
        return INK_ERROR_INPUT;
    }
    struct ink_stream *s = ink_calloc(1, sizeof *s);
    if (!s) {
        return ink_fail_memory(error, sizeof *s);
    }
    s->t = t;
    s->keep_special = keep_special;
    s->is_first = true;
    *out = s;
    return INK_OK;
}

void ink_stream_close(struct ink_stream *stream)
{
    if (stream) {
        ink_string_free(&stream->bytes);
        ink_string_free(&stream->piece);
        ink_free(stream);
    }
}

/* Give the piece out. After a failure the stream is as new. */
static int give(struct ink_stream *s, const char **piece, size_t *n, struct ink_error *error)
{
    *piece = "";
    *n = 0;
    if (s->bytes.failed || s->piece.failed) {
        const struct ink_stream fresh = {
            .t = s->t, .keep_special = s->keep_special, .is_first = true};
        const uint64_t n_bytes = s->bytes.capacity + s->piece.capacity;
        ink_string_free(&s->bytes);
        ink_string_free(&s->piece);
        *s = fresh;
        return ink_fail_memory(error, n_bytes);
    }
    if (s->piece.length > 0) {
        *piece = s->piece.data;
        *n = s->piece.length;
    }
    return INK_OK;
}

int ink_stream_push(struct ink_stream *stream, int32_t token, const char **piece, size_t *n,
                    struct ink_error *error)
{
    struct ink_stream *s = stream;
    s->bytes.length = s->piece.length = 0;
    ink_tokenizer_append_piece(s->t, &s->bytes, token, s->keep_special, &s->is_first);
    ink_utf8_push(&s->assembler, &s->piece, s->bytes.data, s->bytes.length);
    return give(s, piece, n, error);
}

int ink_stream_flush(struct ink_stream *stream, const char **piece, size_t *n,
                     struct ink_error *error)
{
    stream->piece.length = 0;
    ink_utf8_flush(&stream->assembler, &stream->piece);
    stream->is_first = true;
    return give(stream, piece, n, error);
}

/* ----------------------------------------------------------------------------- in one go, facts */

int ink_detokenize(const struct ink_model *model, char **out, size_t *n_out, const int32_t *tokens,
                   size_t n_tokens, bool keep_special, struct ink_error *error)
{
    const struct ink_tokenizer *t = need_tokenizer(model, error);
    struct ink_string bytes = {0}, text = {0};
    struct ink_utf8_assembler assembler = {.n_held = 0};
    bool is_first = true;
    *out = NULL;
    *n_out = 0;
    if (!t) {
        return INK_ERROR_INPUT;
    }
    for (size_t i = 0; i < n_tokens; i++) {
        bytes.length = 0;
        ink_tokenizer_append_piece(t, &bytes, tokens[i], keep_special, &is_first);
        ink_utf8_push(&assembler, &text, bytes.data, bytes.length);
    }
    ink_utf8_flush(&assembler, &text);
    ink_string_puts(&text, ""); /* data is there even for no text */
    const bool failed = bytes.failed || text.failed || !text.data;
    ink_string_free(&bytes);
    if (failed) {
        const uint64_t length = text.length;
        ink_string_free(&text);
        return ink_fail_memory(error, length);
    }
    *out = text.data;
    *n_out = text.length;
    return INK_OK;
}

size_t ink_token_bytes(const struct ink_model *model, char *out, size_t room, int32_t token,
                       bool keep_special)
{
    const struct ink_tokenizer *t = ink_model_tokenizer(model);
    struct ink_string bytes = {0};
    bool is_first = false;
    if (t) {
        ink_tokenizer_append_piece(t, &bytes, token, keep_special, &is_first);
    }
    size_t n = bytes.length;
    if (n > 0) {
        memcpy(out, bytes.data, n < room ? n : room);
    }
    ink_string_free(&bytes);
    return n;
}

bool ink_is_end_token(const struct ink_model *model, int32_t token)
{
    return ink_model_is_end_token(model, token);
}

int32_t ink_bos_token(const struct ink_model *model)
{
    const struct ink_tokenizer *t = ink_model_tokenizer(model);
    const struct ink_tokenizer_facts *facts = t ? ink_tokenizer_get_facts(t) : NULL;
    return facts && facts->add_bos ? facts->bos_id : -1;
}
