#include "export_files.h"

#include "json.h"

#include <string.h>

static const struct ink_tokenizer_facts *facts_of(const struct ink_model *m)
{
    return ink_tokenizer_get_facts(m->tokenizer);
}

/* Is the source folder's tokenizer.model the one that the model was opened with? (There may be
 * none, or another one was named.) */
static int is_from_source(const struct ink_model *m, bool *out, struct ink_error *error)
{
    const struct ink_tokenizer_facts *f = facts_of(m);
    struct ink_mapping file = {0};
    int status = INK_OK;
    *out = false;
    if (m->weights.gguf) {
        return INK_OK;
    }
    char *path = ink_path_join(m->path, "tokenizer.model");
    if (!path) {
        return ink_fail_memory(error, strlen(m->path));
    }
    if (ink_path_kind(path) == INK_PATH_FILE) {
        status = ink_map_file(&file, path, error);
        *out = status == INK_OK && file.size == f->n_model_proto &&
               memcmp(file.data, f->model_proto, f->n_model_proto) == 0;
        ink_unmap_file(&file);
    }
    ink_free(path);
    return status;
}

/* *complete: the source has all that transformers needs. */
static int copy_files(const struct ink_model *m, const char *folder, bool *complete,
                      struct ink_error *error)
{
    static const char *const names[] = {
        "special_tokens_map.json", "added_tokens.json",        "chat_template.jinja",
        "tokenizer.json",          "tokenization_ernie4_5.py",
    };
    int status = ink_export_copy_file(m, folder, "tokenizer_config.json", complete, error);
    for (size_t i = 0; i < INK_COUNT(names) && status == INK_OK; i++) {
        status = ink_export_copy_file(m, folder, names[i], NULL, error);
    }
    return status;
}

/* ------------------------------------------------------------------------------- made from facts
 */

static void put_text(struct ink_string *s, const char *text)
{
    ink_json_append_string(s, text, strlen(text));
}

/* "bos_token": "<s>", and its kin; `first` says whether a comma is due. */
static void put_roles(const struct ink_model *m, struct ink_string *s, bool first)
{
    const struct ink_tokenizer_facts *f = facts_of(m);
    const struct {
        const char *key;
        int32_t id;
    } roles[] = {
        {"bos_token", f->bos_id}, {"eos_token", f->eos_id}, {"unk_token", f->unk_id},
        {"pad_token", f->pad_id}, {"cls_token", f->cls_id}, {"sep_token", f->sep_id},
    };
    for (size_t i = 0; i < INK_COUNT(roles); i++) {
        const char *text = ink_tokenizer_piece(m->tokenizer, roles[i].id).text;
        ink_string_printf(s, "%s  \"%s\": ", first ? "" : ",\n", roles[i].key);
        if (text) {
            put_text(s, text);
        } else {
            ink_string_puts(s, "null");
        }
        first = false;
    }
}

/* Every token that is cut out of the text: special pieces, and tokens that are no pieces. */
static void put_added_decoder(const struct ink_model *m, struct ink_string *s)
{
    const struct ink_tokenizer *t = m->tokenizer;
    bool first = true;
    ink_string_puts(s, "  \"added_tokens_decoder\": {\n");
    for (int i = 0; i < facts_of(m)->n_vocab; i++) {
        const struct ink_piece piece = ink_tokenizer_piece(t, i);
        const bool special = ink_tokenizer_is_special(t, i);
        if (piece.text && (special || i >= ink_tokenizer_n_pieces(t))) {
            ink_string_printf(s, "%s    \"%d\": {\"content\": ", first ? "" : ",\n", i);
            put_text(s, piece.text);
            ink_string_printf(s,
                              ", \"lstrip\": false, \"normalized\": false, \"rstrip\": false, "
                              "\"single_word\": false, \"special\": %s}",
                              special ? "true" : "false");
            first = false;
        }
    }
    ink_string_puts(s, "\n  },\n");
}

static const char *json_bool(bool value)
{
    return value ? "true" : "false";
}

/* LlamaTokenizer with legacy false is plain SentencePiece, which is what ERNIE's own class is. */
static void put_config(const struct ink_model *m, struct ink_string *s)
{
    const struct ink_tokenizer_facts *f = facts_of(m);
    ink_string_puts(s, "{\n");
    put_added_decoder(m, s);
    ink_string_printf(s, "  \"add_bos_token\": %s,\n  \"add_eos_token\": false,\n",
                      json_bool(f->add_bos));
    ink_string_printf(s, "  \"add_prefix_space\": %s,\n", json_bool(f->add_dummy_prefix));
    put_roles(m, s, true);
    if (f->chat_template) {
        ink_string_puts(s, ",\n  \"chat_template\": ");
        put_text(s, f->chat_template);
    }
    ink_string_puts(s, ",\n  \"clean_up_tokenization_spaces\": false,\n  \"legacy\": false,\n"
                       "  \"tokenizer_class\": \"LlamaTokenizer\"\n}\n");
}

static void put_special_map(const struct ink_model *m, struct ink_string *s)
{
    ink_string_puts(s, "{\n");
    put_roles(m, s, true);
    ink_string_puts(s, "\n}\n");
}

static void put_added(const struct ink_model *m, struct ink_string *s)
{
    const struct ink_tokenizer *t = m->tokenizer;
    bool first = true;
    ink_string_puts(s, "{");
    for (int i = ink_tokenizer_n_pieces(t); i < facts_of(m)->n_vocab; i++) {
        const char *text = ink_tokenizer_piece(t, i).text;
        if (text) {
            ink_string_puts(s, first ? "\n  " : ",\n  ");
            put_text(s, text);
            ink_string_printf(s, ": %d", i);
            first = false;
        }
    }
    ink_string_puts(s, "\n}\n");
}

static int make_files(const struct ink_model *m, const char *folder, struct ink_error *error)
{
    static const struct {
        const char *name;
        void (*put)(const struct ink_model *m, struct ink_string *s);
    } files[] = {
        {"tokenizer_config.json", put_config},
        {"special_tokens_map.json", put_special_map},
        {"added_tokens.json", put_added},
    };
    int status = INK_OK;
    for (size_t i = 0; i < INK_COUNT(files) && status == INK_OK; i++) {
        struct ink_string text = {0};
        files[i].put(m, &text);
        status = text.failed ? ink_fail_memory(error, text.length)
                             : ink_write_file(folder, files[i].name, text.data, text.length, error);
        ink_string_free(&text);
    }
    return status;
}

int ink_export_put_tokenizer(const struct ink_model *m, const char *folder, struct ink_error *error)
{
    const struct ink_tokenizer_facts *f = facts_of(m);
    bool from_source = false;
    int status = is_from_source(m, &from_source, error);
    if (status == INK_OK) {
        status = ink_write_file(folder, "tokenizer.model", f->model_proto, f->n_model_proto, error);
    }
    if (status != INK_OK) {
        return status;
    }
    bool complete = false;
    if (from_source) {
        status = copy_files(m, folder, &complete, error);
    }
    return status == INK_OK && !complete ? make_files(m, folder, error) : status;
}
