/* Makes GGUF files of a vocabulary in memory, and opens tokenizers from them. */
#ifndef CHECK_TOKENIZER_GGUF_H
#define CHECK_TOKENIZER_GGUF_H

#include "check_tokenizer.h"

struct token {
    const char *text;
    float score;
    int32_t type;
};

/* The keys around the tokens; NULL or -2 leaves a key out. */
struct gguf_settings {
    const char *model;
    int add_space_prefix, add_bos_token; /* 0, 1 */
    int64_t bos_id, eos_id;
    const char *chat_template;
    int fewer_scores, fewer_types; /* make an array shorter by so much */
};

static inline void put_u32(struct ink_string *s, uint32_t value)
{
    const char bytes[4] = {(char)value, (char)(value >> 8), (char)(value >> 16),
                           (char)(value >> 24)};
    ink_string_append(s, bytes, 4);
}

static inline void put_u64(struct ink_string *s, uint64_t value)
{
    put_u32(s, (uint32_t)value);
    put_u32(s, (uint32_t)(value >> 32));
}

static inline void put_text(struct ink_string *s, const char *text)
{
    put_u64(s, strlen(text));
    ink_string_puts(s, text);
}

static inline void put_key(struct ink_string *s, const char *key, uint32_t type, uint64_t *n_pairs)
{
    put_text(s, key);
    put_u32(s, type);
    ++*n_pairs;
}

enum { gguf_u32 = 4, gguf_i32 = 5, gguf_f32 = 6, gguf_bool = 7, gguf_string = 8, gguf_array = 9 };

static inline void put_array(struct ink_string *s, const char *key, uint32_t type, int n,
                             uint64_t *n_pairs)
{
    put_key(s, key, gguf_array, n_pairs);
    put_u32(s, type);
    put_u64(s, (uint64_t)n);
}

static inline struct ink_string make_gguf(const struct token *tokens, int n,
                                          const struct gguf_settings *settings)
{
    struct ink_string pairs = {0}, file = {0};
    uint64_t n_pairs = 0;
    put_key(&pairs, "general.architecture", gguf_string, &n_pairs);
    put_text(&pairs, "ernie4_5");
    if (settings->model) {
        put_key(&pairs, "tokenizer.ggml.model", gguf_string, &n_pairs);
        put_text(&pairs, settings->model);
    }
    put_array(&pairs, "tokenizer.ggml.tokens", gguf_string, n, &n_pairs);
    for (int i = 0; i < n; i++) {
        put_text(&pairs, tokens[i].text);
    }
    put_array(&pairs, "tokenizer.ggml.scores", gguf_f32, n - settings->fewer_scores, &n_pairs);
    for (int i = 0; i < n - settings->fewer_scores; i++) {
        uint32_t bits;
        memcpy(&bits, &tokens[i].score, sizeof bits);
        put_u32(&pairs, bits);
    }
    put_array(&pairs, "tokenizer.ggml.token_type", gguf_i32, n - settings->fewer_types, &n_pairs);
    for (int i = 0; i < n - settings->fewer_types; i++) {
        put_u32(&pairs, (uint32_t)tokens[i].type);
    }
    if (settings->add_space_prefix >= 0) {
        put_key(&pairs, "tokenizer.ggml.add_space_prefix", gguf_bool, &n_pairs);
        ink_string_append(&pairs, settings->add_space_prefix ? "\1" : "\0", 1);
    }
    if (settings->add_bos_token >= 0) {
        put_key(&pairs, "tokenizer.ggml.add_bos_token", gguf_bool, &n_pairs);
        ink_string_append(&pairs, settings->add_bos_token ? "\1" : "\0", 1);
    }
    if (settings->bos_id > -2) {
        put_key(&pairs, "tokenizer.ggml.bos_token_id", gguf_u32, &n_pairs);
        put_u32(&pairs, (uint32_t)settings->bos_id);
    }
    if (settings->eos_id > -2) {
        put_key(&pairs, "tokenizer.ggml.eos_token_id", gguf_u32, &n_pairs);
        put_u32(&pairs, (uint32_t)settings->eos_id);
    }
    if (settings->chat_template) {
        put_key(&pairs, "tokenizer.chat_template", gguf_string, &n_pairs);
        put_text(&pairs, settings->chat_template);
    }
    ink_string_puts(&file, "GGUF");
    put_u32(&file, 3);
    put_u64(&file, 0);
    put_u64(&file, n_pairs);
    ink_string_append(&file, pairs.data, pairs.length);
    ink_string_free(&pairs);
    assert_false(file.failed);
    return file;
}

static inline int open_gguf_bytes(struct ink_tokenizer **out, const void *data, size_t n,
                                  int n_vocab, struct ink_error *error)
{
    struct ink_weights w = {0};
    const struct ink_mapping file = {.data = data, .size = n};
    *out = NULL;
    int status = ink_gguf_read(&w, &file, "test.gguf", error);
    if (status == INK_OK) {
        status = ink_tokenizer_open_gguf(out, w.gguf, n_vocab, "test.gguf", error);
    }
    ink_weights_close(&w);
    return status;
}

#endif
