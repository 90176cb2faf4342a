#include "export.h"

#include "export_files.h"

#include <stdio.h>
#include <string.h>

/* GGUF version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */

enum { alignment = 32, version = 3 };
enum value_type {
    TYPE_U32 = 4,
    TYPE_I32 = 5,
    TYPE_F32 = 6,
    TYPE_BOOL = 7,
    TYPE_STRING = 8,
    TYPE_ARRAY = 9
};

/* Score of a token that SentencePiece does not know: converters' habit. */
static const float no_score = -1000.0f;

struct metadata {
    struct ink_string bytes;
    uint64_t n_keys;
    char prefix[16]; /* the architecture: "ernie4_5" or "llama" */
};

/* ------------------------------------------------------------------------------------ values */

static void put_u32(struct ink_string *s, uint32_t x)
{
    char bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = (char)(x >> 8 * i & 255);
    }
    ink_string_append(s, bytes, sizeof bytes);
}

static void put_u64(struct ink_string *s, uint64_t x)
{
    put_u32(s, (uint32_t)x);
    put_u32(s, (uint32_t)(x >> 32));
}

static void put_f32(struct ink_string *s, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_u32(s, bits);
}

static void put_text(struct ink_string *s, const char *text, size_t n)
{
    put_u64(s, n);
    ink_string_append(s, text, n);
}

/* A key that starts with "." belongs to the architecture. */
static void put_key(struct metadata *m, const char *key, enum value_type type)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s", key[0] == '.' ? m->prefix : "", key);
    put_text(&m->bytes, full, strlen(full));
    put_u32(&m->bytes, type);
    m->n_keys++;
}

static void add_u32(struct metadata *m, const char *key, int value)
{
    put_key(m, key, TYPE_U32);
    put_u32(&m->bytes, (uint32_t)value);
}

static void add_f32(struct metadata *m, const char *key, float value)
{
    put_key(m, key, TYPE_F32);
    put_f32(&m->bytes, value);
}

static void add_bool(struct metadata *m, const char *key, bool value)
{
    put_key(m, key, TYPE_BOOL);
    ink_string_append(&m->bytes, value ? "\1" : "\0", 1);
}

static void add_text(struct metadata *m, const char *key, const char *text)
{
    put_key(m, key, TYPE_STRING);
    put_text(&m->bytes, text, strlen(text));
}

static void begin_array(struct metadata *m, const char *key, enum value_type type, int n)
{
    put_key(m, key, TYPE_ARRAY);
    put_u32(&m->bytes, type);
    put_u64(&m->bytes, (uint64_t)n);
}

static void add_token(struct metadata *m, const char *key, int id)
{
    if (id >= 0) {
        add_u32(m, key, id);
    }
}

/* ------------------------------------------------------------------------------------- general */

/* llama.cpp's number for "mostly this type". */
static int file_type(enum ink_type type)
{
    static const struct {
        enum ink_type type;
        int number;
    } numbers[] = {
        {INK_TYPE_F32, 0},   {INK_TYPE_F16, 1},   {INK_TYPE_Q4_0, 2},  {INK_TYPE_Q4_1, 3},
        {INK_TYPE_Q8_0, 7},  {INK_TYPE_Q5_0, 8},  {INK_TYPE_Q5_1, 9},  {INK_TYPE_Q4_K, 15},
        {INK_TYPE_Q5_K, 17}, {INK_TYPE_Q6_K, 18}, {INK_TYPE_BF16, 32},
    };
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        if (numbers[i].type == type) {
            return numbers[i].number;
        }
    }
    return 0;
}

/* The type that most matrix bytes have; F32 without matrices. */
static enum ink_type main_type(const struct ink_export *e)
{
    uint64_t n_bytes[INK_TYPE_COUNT] = {0};
    enum ink_type best = INK_TYPE_F32;
    for (int i = 0; i < e->n_items; i++) {
        if (!e->items[i].is_vector) {
            n_bytes[e->items[i].type] += e->items[i].n_bytes;
        }
    }
    for (int type = 0; type < INK_TYPE_COUNT; type++) {
        best = n_bytes[type] > n_bytes[best] ? (enum ink_type)type : best;
    }
    return best;
}

/* The file's own name for itself, else the last part of the path: programs show it. */
static void add_name(struct metadata *m, const struct ink_export *e)
{
    struct ink_gguf_string name = {NULL, 0};
    const char *path = e->model->path;
    if (e->model->weights.gguf) {
        ink_gguf_get_string(e->model->weights.gguf, "general.name", false, &name, NULL);
    }
    if (!name.data) {
        name.n = strlen(path);
        while (name.n > 0 && path[name.n - 1] == '/') {
            name.n--;
        }
        name.data = path + name.n;
        while (name.data > path && name.data[-1] != '/' && name.data[-1] != '\\') {
            name.data--;
        }
        name.n -= (size_t)(name.data - path);
        if (name.n > 5 && memcmp(name.data + name.n - 5, ".gguf", 5) == 0) {
            name.n -= 5;
        }
    }
    if (name.n > 0 && name.data[0] != '.') {
        put_key(m, "general.name", TYPE_STRING);
        put_text(&m->bytes, name.data, name.n);
    }
}

static void add_architecture(struct metadata *m, const struct ink_export *e)
{
    const struct ink_architecture *a = &e->model->architecture;
    const enum ink_type type = main_type(e);
    add_text(m, "general.architecture", m->prefix);
    add_text(m, "general.type", "model");
    add_name(m, e);
    add_u32(m, "general.file_type", file_type(type));
    if (ink_type_facts(type)->block_values > 1) {
        add_u32(m, "general.quantization_version", 2);
    }
    add_u32(m, ".block_count", a->n_layers);
    add_u32(m, ".context_length", a->max_positions);
    add_u32(m, ".embedding_length", a->hidden_size);
    add_u32(m, ".feed_forward_length", a->intermediate_size);
    add_u32(m, ".attention.head_count", a->n_heads);
    add_u32(m, ".attention.head_count_kv", a->n_kv_heads);
    add_u32(m, ".attention.key_length", a->head_dim);
    add_u32(m, ".attention.value_length", a->head_dim);
    add_f32(m, ".attention.layer_norm_rms_epsilon", a->norm_eps);
    add_f32(m, ".rope.freq_base", a->rope_theta);
    add_u32(m, ".rope.dimension_count", a->head_dim);
    add_u32(m, ".vocab_size", a->vocab_size);
}

/* ----------------------------------------------------------------------------------- vocabulary */

/* Rows without a token are "[PAD7]", "unused". Pieces that count as special, though SentencePiece
 * has them as ordinary ones, are "control": llama.cpp then finds them in templates and never in
 * plain text. */
static struct ink_piece gguf_piece(const struct ink_tokenizer *t, int id, char padding[32])
{
    struct ink_piece piece = ink_tokenizer_piece(t, id);
    if (!piece.text) {
        snprintf(padding, 32, "[PAD%d]", id);
        return (struct ink_piece){padding, no_score, INK_PIECE_UNUSED};
    }
    if (id >= ink_tokenizer_n_pieces(t)) {
        piece.score = no_score;
    }
    if (ink_tokenizer_is_special(t, id) && piece.type != INK_PIECE_UNKNOWN) {
        piece.type = INK_PIECE_CONTROL;
    }
    return piece;
}

static void add_vocabulary(struct metadata *m, const struct ink_tokenizer *t, int n)
{
    char padding[32];
    begin_array(m, "tokenizer.ggml.tokens", TYPE_STRING, n);
    for (int i = 0; i < n; i++) {
        const struct ink_piece piece = gguf_piece(t, i, padding);
        put_text(&m->bytes, piece.text, strlen(piece.text));
    }
    begin_array(m, "tokenizer.ggml.scores", TYPE_F32, n);
    for (int i = 0; i < n; i++) {
        put_f32(&m->bytes, gguf_piece(t, i, padding).score);
    }
    begin_array(m, "tokenizer.ggml.token_type", TYPE_I32, n);
    for (int i = 0; i < n; i++) {
        put_u32(&m->bytes, (uint32_t)gguf_piece(t, i, padding).type);
    }
}

static void add_tokenizer(struct metadata *m, const struct ink_model *model)
{
    const struct ink_architecture *a = &model->architecture;
    const struct ink_tokenizer *t = model->tokenizer;
    const struct ink_tokenizer_facts none = {
        .bos_id = -1, .eos_id = -1, .unk_id = -1, .pad_id = -1};
    const struct ink_tokenizer_facts *f = t ? ink_tokenizer_get_facts(t) : &none;
    if (t) {
        add_text(m, "tokenizer.ggml.model", "llama");
        add_text(m, "tokenizer.ggml.pre", "default");
        add_vocabulary(m, t, a->vocab_size);
        add_bool(m, "tokenizer.ggml.add_bos_token", f->add_bos);
        add_bool(m, "tokenizer.ggml.add_eos_token", false);
        add_bool(m, "tokenizer.ggml.add_space_prefix", f->add_dummy_prefix);
        add_bool(m, "tokenizer.ggml.remove_extra_whitespaces", f->remove_extra_whitespaces);
        add_token(m, "tokenizer.ggml.unknown_token_id", f->unk_id);
    } else { /* llama.cpp reads no file that does not say so */
        add_text(m, "tokenizer.ggml.model", "no_vocab");
    }
    /* the configuration's ids first: it is what generation stops at */
    add_token(m, "tokenizer.ggml.bos_token_id", a->bos_token >= 0 ? a->bos_token : f->bos_id);
    add_token(m, "tokenizer.ggml.eos_token_id", a->n_end_tokens > 0 ? a->end_tokens[0] : f->eos_id);
    add_token(m, "tokenizer.ggml.eot_token_id", a->n_end_tokens > 1 ? a->end_tokens[1] : -1);
    add_token(m, "tokenizer.ggml.padding_token_id", a->pad_token >= 0 ? a->pad_token : f->pad_id);
    if (f->chat_template) {
        add_text(m, "tokenizer.chat_template", f->chat_template);
    }
}

/* ----------------------------------------------------------------------------------- generation */

/* What generation_config.json says and GGUF has no key for. */
static void add_generation(struct metadata *m, const struct ink_export *e)
{
    const struct ink_architecture *a = &e->model->architecture;
    const struct ink_sampling *s = &a->sampling;
    if (a->n_end_tokens > 2) {
        begin_array(m, "inkstone.end_tokens", TYPE_I32, a->n_end_tokens);
        for (int i = 0; i < a->n_end_tokens; i++) {
            put_u32(&m->bytes, (uint32_t)a->end_tokens[i]);
        }
    }
    if (ink_export_has_sampling(e->model)) {
        add_f32(m, "inkstone.sampling.temperature", s->temperature);
        add_f32(m, "inkstone.sampling.top_p", s->top_p);
        add_u32(m, "inkstone.sampling.top_k", s->top_k);
        add_f32(m, "inkstone.sampling.repetition_penalty", s->repetition_penalty);
        add_f32(m, "inkstone.sampling.presence_penalty", s->presence_penalty);
        add_f32(m, "inkstone.sampling.frequency_penalty", s->frequency_penalty);
    }
}

/* ------------------------------------------------------------------------------------- the file */

static uint64_t aligned(uint64_t n)
{
    return (n + alignment - 1) / alignment * alignment;
}

static void put_tensor_list(struct ink_export *e, struct ink_string *s)
{
    uint64_t offset = 0;
    for (int i = 0; i < e->n_items; i++) {
        struct ink_export_item *item = &e->items[i];
        const struct ink_tensor *t = item->tensor;
        put_text(s, item->name, strlen(item->name));
        put_u32(s, (uint32_t)t->n_dims);
        for (int d = t->n_dims - 1; d >= 0; d--) { /* innermost first */
            put_u64(s, (uint64_t)t->shape[d]);
        }
        put_u32(s, (uint32_t)ink_type_facts(item->type)->ggml_id);
        put_u64(s, offset);
        item->offset = offset;
        offset = aligned(offset + item->n_bytes);
    }
}

static int write_header(struct ink_export *e, struct ink_writer *w, struct ink_error *error)
{
    struct metadata m = {.prefix = ""};
    struct ink_string head = {0};
    snprintf(m.prefix, sizeof m.prefix, "%s", e->model->info.architecture);
    add_architecture(&m, e);
    add_tokenizer(&m, e->model);
    add_generation(&m, e);
    ink_string_append(&head, "GGUF", 4);
    put_u32(&head, version);
    put_u64(&head, (uint64_t)e->n_items);
    put_u64(&head, m.n_keys);
    put_tensor_list(e, &m.bytes);
    int status = head.failed || m.bytes.failed ? ink_fail_memory(error, m.bytes.length) : INK_OK;
    if (status == INK_OK) {
        status = ink_writer_put(w, head.data, head.length, error);
    }
    if (status == INK_OK) {
        status = ink_writer_put(w, m.bytes.data, m.bytes.length, error);
    }
    ink_string_free(&head);
    ink_string_free(&m.bytes);
    return status;
}

int ink_export_write_gguf(struct ink_export *e, struct ink_error *error)
{
    struct ink_writer w;
    int status = ink_writer_open(&w, e->out_path, error);
    if (status == INK_OK) {
        status = write_header(e, &w, error);
    }
    for (int i = 0; i < e->n_items && status == INK_OK; i++) {
        status = ink_writer_align(&w, alignment, error);
        if (status == INK_OK) {
            status = ink_export_put_item(e, &w, &e->items[i], error);
        }
    }
    if (status == INK_OK) {
        status = ink_writer_align(&w, alignment, error);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&w, error);
    }
    ink_writer_close(&w);
    return status;
}
