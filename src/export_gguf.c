#include "export.h"

#include "export_files.h"
#include "export_metadata.h"

#include <stdio.h>
#include <string.h>

/* GGUF version 3: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */

enum { alignment = 32, version = 3 };

/* Score of a token that SentencePiece does not know: converters' habit. */
static const float no_score = -1000.0f;

/* ------------------------------------------------------------------------------------- general */

enum ink_type ink_export_main_type(const struct ink_export *e)
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
static void add_name(struct ink_metadata *m, const struct ink_export *e)
{
    struct ink_gguf_string name = {NULL, 0};
    if (e->model->weights.gguf) {
        ink_gguf_get_string(e->model->weights.gguf, "general.name", false, &name, NULL);
    }
    if (name.n > 0) {
        ink_metadata_add_bytes(m, "general.name", name.data, name.n);
    } else {
        ink_metadata_add_path_name(m, "general.name", e->model->path);
    }
}

static void add_architecture(struct ink_metadata *m, const struct ink_export *e)
{
    const struct ink_architecture *a = &e->model->architecture;
    const enum ink_type type = ink_export_main_type(e);
    ink_metadata_add_text(m, "general.architecture", m->prefix);
    ink_metadata_add_text(m, "general.type", "model");
    add_name(m, e);
    ink_metadata_add_int(m, "general.file_type", ink_metadata_file_type(type));
    if (ink_type_facts(type)->block_values > 1) {
        ink_metadata_add_int(m, "general.quantization_version", 2);
    }
    ink_metadata_add_int(m, ".block_count", a->n_layers);
    ink_metadata_add_int(m, ".context_length", a->max_positions);
    ink_metadata_add_int(m, ".embedding_length", a->hidden_size);
    ink_metadata_add_int(m, ".feed_forward_length", a->intermediate_size);
    ink_metadata_add_int(m, ".attention.head_count", a->n_heads);
    ink_metadata_add_int(m, ".attention.head_count_kv", a->n_kv_heads);
    ink_metadata_add_int(m, ".attention.key_length", a->head_dim);
    ink_metadata_add_int(m, ".attention.value_length", a->head_dim);
    ink_metadata_add_float(m, ".attention.layer_norm_rms_epsilon", a->norm_eps);
    ink_metadata_add_float(m, ".rope.freq_base", a->rope_theta);
    ink_metadata_add_int(m, ".rope.dimension_count", a->head_dim);
    ink_metadata_add_int(m, ".vocab_size", a->vocab_size);
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

static void add_vocabulary(struct ink_metadata *m, const struct ink_tokenizer *t, int n)
{
    char padding[32];
    ink_metadata_begin_array(m, "tokenizer.ggml.tokens", INK_METADATA_STRING, n);
    for (int i = 0; i < n; i++) {
        const struct ink_piece piece = gguf_piece(t, i, padding);
        ink_metadata_put_text(&m->bytes, piece.text, strlen(piece.text));
    }
    ink_metadata_begin_array(m, "tokenizer.ggml.scores", INK_METADATA_F32, n);
    for (int i = 0; i < n; i++) {
        ink_metadata_put_f32(&m->bytes, gguf_piece(t, i, padding).score);
    }
    ink_metadata_begin_array(m, "tokenizer.ggml.token_type", INK_METADATA_I32, n);
    for (int i = 0; i < n; i++) {
        ink_metadata_put_u32(&m->bytes, (uint32_t)gguf_piece(t, i, padding).type);
    }
}

static void add_token(struct ink_metadata *m, const char *key, int id)
{
    if (id >= 0) {
        ink_metadata_add_int(m, key, id);
    }
}

static void add_tokenizer(struct ink_metadata *m, const struct ink_model *model)
{
    const struct ink_architecture *a = &model->architecture;
    const struct ink_tokenizer *t = model->tokenizer;
    const struct ink_tokenizer_facts none = {
        .bos_id = -1, .eos_id = -1, .unk_id = -1, .pad_id = -1};
    const struct ink_tokenizer_facts *f = t ? ink_tokenizer_get_facts(t) : &none;
    if (t) {
        ink_metadata_add_text(m, "tokenizer.ggml.model", "llama");
        ink_metadata_add_text(m, "tokenizer.ggml.pre", "default");
        add_vocabulary(m, t, a->vocab_size);
        ink_metadata_add_bool(m, "tokenizer.ggml.add_bos_token", f->add_bos);
        ink_metadata_add_bool(m, "tokenizer.ggml.add_eos_token", false);
        ink_metadata_add_bool(m, "tokenizer.ggml.add_space_prefix", f->add_dummy_prefix);
        ink_metadata_add_bool(m, "tokenizer.ggml.remove_extra_whitespaces",
                              f->remove_extra_whitespaces);
        add_token(m, "tokenizer.ggml.unknown_token_id", f->unk_id);
    } else { /* llama.cpp reads no file that does not say so */
        ink_metadata_add_text(m, "tokenizer.ggml.model", "no_vocab");
    }
    /* the configuration's ids first: it is what generation stops at */
    add_token(m, "tokenizer.ggml.bos_token_id", a->bos_token >= 0 ? a->bos_token : f->bos_id);
    add_token(m, "tokenizer.ggml.eos_token_id", a->n_end_tokens > 0 ? a->end_tokens[0] : f->eos_id);
    add_token(m, "tokenizer.ggml.eot_token_id", a->n_end_tokens > 1 ? a->end_tokens[1] : -1);
    add_token(m, "tokenizer.ggml.padding_token_id", a->pad_token >= 0 ? a->pad_token : f->pad_id);
    if (f->chat_template) {
        ink_metadata_add_text(m, "tokenizer.chat_template", f->chat_template);
    }
}

/* ----------------------------------------------------------------------------------- generation */

/* What generation_config.json says and GGUF has no key for. */
static void add_generation(struct ink_metadata *m, const struct ink_export *e)
{
    const struct ink_architecture *a = &e->model->architecture;
    const struct ink_sampling *s = &a->sampling;
    if (a->n_end_tokens > 2) {
        ink_metadata_begin_array(m, "inkstone.end_tokens", INK_METADATA_I32, a->n_end_tokens);
        for (int i = 0; i < a->n_end_tokens; i++) {
            ink_metadata_put_u32(&m->bytes, (uint32_t)a->end_tokens[i]);
        }
    }
    if (ink_export_has_sampling(e->model)) {
        ink_metadata_add_float(m, "inkstone.sampling.temperature", s->temperature);
        ink_metadata_add_float(m, "inkstone.sampling.top_p", s->top_p);
        ink_metadata_add_int(m, "inkstone.sampling.top_k", s->top_k);
        ink_metadata_add_float(m, "inkstone.sampling.repetition_penalty", s->repetition_penalty);
        ink_metadata_add_float(m, "inkstone.sampling.presence_penalty", s->presence_penalty);
        ink_metadata_add_float(m, "inkstone.sampling.frequency_penalty", s->frequency_penalty);
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
        ink_metadata_put_text(s, item->name, strlen(item->name));
        ink_metadata_put_u32(s, (uint32_t)t->n_dims);
        for (int d = t->n_dims - 1; d >= 0; d--) { /* innermost first */
            ink_metadata_put_u64(s, (uint64_t)t->shape[d]);
        }
        ink_metadata_put_u32(s, (uint32_t)ink_type_facts(item->type)->ggml_id);
        ink_metadata_put_u64(s, offset);
        item->offset = offset;
        offset = aligned(offset + item->n_bytes);
    }
}

static int write_header(struct ink_export *e, struct ink_metadata *m, struct ink_writer *w,
                        struct ink_error *error)
{
    struct ink_string head = {0};
    ink_string_append(&head, "GGUF", 4);
    ink_metadata_put_u32(&head, version);
    ink_metadata_put_u64(&head, (uint64_t)e->n_items);
    ink_metadata_put_u64(&head, m->n_keys);
    put_tensor_list(e, &m->bytes);
    int status = head.failed || m->bytes.failed ? ink_fail_memory(error, m->bytes.length) : INK_OK;
    if (status == INK_OK) {
        status = ink_writer_put(w, head.data, head.length, error);
    }
    if (status == INK_OK) {
        status = ink_writer_put(w, m->bytes.data, m->bytes.length, error);
    }
    ink_string_free(&head);
    return status;
}

int ink_export_write_file(struct ink_export *e, struct ink_metadata *m, struct ink_error *error)
{
    struct ink_writer w;
    int status = ink_writer_open(&w, e->out_path, error);
    if (status == INK_OK) {
        status = write_header(e, m, &w, error);
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

int ink_export_write_gguf(struct ink_export *e, struct ink_error *error)
{
    struct ink_metadata m = {.prefix = ""};
    snprintf(m.prefix, sizeof m.prefix, "%s", e->model->info.architecture);
    add_architecture(&m, e);
    add_tokenizer(&m, e->model);
    add_generation(&m, e);
    const int status = ink_export_write_file(e, &m, error);
    ink_string_free(&m.bytes);
    return status;
}
