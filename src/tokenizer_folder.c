#include "tokenizer_internal.h"

#include "json.h"

#include <math.h>
#include <string.h>

/* The text of a token that JSON gives as "text" or {"content": "text", ...}; NULL for anything
 * else. */
static const char *token_text(const cJSON *value)
{
    const cJSON *content = cJSON_IsObject(value) ? ink_json_get(value, "content") : value;
    return cJSON_IsString(content) ? content->valuestring : NULL;
}

static int wrong_type(const char *key, const char *path, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is no token", path, key);
}

/* A token that is named without its id. One that is in no vocabulary has no row in the model, so
 * it cannot come up: it is left out. */
static int mark_special(struct ink_tokenizer *t, const char *key, const cJSON *value,
                        const char *path, struct ink_error *error)
{
    const char *text = token_text(value);
    if (!text) {
        return cJSON_IsNull(value) ? INK_OK : wrong_type(key, path, error);
    }
    const int32_t id = ink_tokenizer_find(t, text);
    return id < 0 ? INK_OK : ink_tokenizer_add_special(t, text, id, true, path, error);
}

static int mark_each(struct ink_tokenizer *t, const cJSON *list, const char *path,
                     struct ink_error *error)
{
    const cJSON *value;
    int status = INK_OK;
    cJSON_ArrayForEach(value, list)
    {
        if (status == INK_OK) {
            status = mark_special(t, list->string, value, path, error);
        }
    }
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), n_end = strlen(end);
    return n >= n_end && strcmp(text + n - n_end, end) == 0;
}

/* As ink_json_get_int, which would look for each of thousands of keys from the start. */
static int read_added_id(const struct ink_tokenizer *t, const cJSON *value, int *id,
                         const char *path, struct ink_error *error)
{
    const int max = t->facts.n_vocab - 1;
    const double number = value->valuedouble;
    if (!cJSON_IsNumber(value) || number != floor(number)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", path, value->string,
                        ink_text("an integer"));
    }
    if (!(number >= 0 && number <= max)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %d to %d", path,
                        value->string, number, 0, max);
    }
    *id = (int)number;
    return INK_OK;
}

/* {"added token": id, ...} */
static int read_added_tokens(struct ink_tokenizer *t, const cJSON *root, const char *path,
                             struct ink_error *error)
{
    const cJSON *value;
    int status = INK_OK;
    cJSON_ArrayForEach(value, root)
    {
        int id = -1;
        if (status == INK_OK) {
            status = read_added_id(t, value, &id, path, error);
        }
        if (status == INK_OK) {
            status = ink_tokenizer_add_special(t, value->string, id, true, path, error);
        }
    }
    return status;
}

/* Decimal digits alone; -1 otherwise. */
static int64_t parse_id(const char *text)
{
    int64_t id = 0;
    const size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9' || n > 9) {
            return -1;
        }
        id = id * 10 + (text[i] - '0');
    }
    return n > 0 ? id : -1;
}

/* "added_tokens_decoder": {"id": {"content": "text", "special": true}, ...} */
static int read_added_decoder(struct ink_tokenizer *t, const cJSON *map, const char *path,
                              struct ink_error *error)
{
    const cJSON *value;
    int status = INK_OK;
    cJSON_ArrayForEach(value, map)
    {
        bool special = true;
        const char *text = token_text(value);
        const int64_t id = parse_id(value->string);
        if (status == INK_OK && (!cJSON_IsObject(value) || !text || id < 0)) {
            status = wrong_type(value->string, path, error);
        }
        if (status == INK_OK) {
            status = ink_json_get_bool(value, "special", false, &special, path, error);
        }
        if (status == INK_OK) {
            status = ink_tokenizer_add_special(t, text, id, special, path, error);
        }
    }
    return status;
}

/* special_tokens_map.json: every member is a token or a list of them. */
static int read_special_map(struct ink_tokenizer *t, const cJSON *root, const char *path,
                            struct ink_error *error)
{
    const cJSON *value;
    int status = INK_OK;
    cJSON_ArrayForEach(value, root)
    {
        if (status == INK_OK) {
            status = cJSON_IsArray(value) ? mark_each(t, value, path, error)
                                          : mark_special(t, value->string, value, path, error);
        }
    }
    return status;
}

/* bos_token and its kin say which id plays which part. */
static void read_roles(struct ink_tokenizer *t, const cJSON *root)
{
    const struct {
        const char *key;
        int32_t *id;
    } roles[] = {
        {"bos_token", &t->facts.bos_id}, {"eos_token", &t->facts.eos_id},
        {"unk_token", &t->facts.unk_id}, {"pad_token", &t->facts.pad_id},
        {"cls_token", &t->facts.cls_id}, {"sep_token", &t->facts.sep_id},
    };
    for (size_t i = 0; i < INK_COUNT(roles); i++) {
        const cJSON *value = ink_json_get(root, roles[i].key);
        const char *text = value ? token_text(value) : NULL;
        const int32_t id = text ? ink_tokenizer_find(t, text) : -1;
        if (id >= 0 && roles[i].id != &t->facts.unk_id) {
            *roles[i].id = id;
        }
    }
}

/* "chat_template": a text, or a list of {"name", "template"} with one named "default". */
static int read_chat_template(struct ink_tokenizer *t, const cJSON *root, struct ink_error *error)
{
    const cJSON *value = ink_json_get(root, "chat_template"), *entry;
    const char *text = cJSON_IsString(value) ? value->valuestring : NULL;
    const cJSON *list = cJSON_IsArray(value) ? value : NULL;
    cJSON_ArrayForEach(entry, list)
    {
        const cJSON *name = cJSON_IsObject(entry) ? ink_json_get(entry, "name") : NULL;
        const cJSON *body = cJSON_IsObject(entry) ? ink_json_get(entry, "template") : NULL;
        if (cJSON_IsString(name) && cJSON_IsString(body) &&
            strcmp(name->valuestring, "default") == 0) {
            text = body->valuestring;
        }
    }
    if (text) {
        ink_free(t->chat_template);
        t->chat_template = ink_strdup(text);
    }
    return !text || t->chat_template ? INK_OK : ink_fail_memory(error, strlen(text));
}

static int read_config(struct ink_tokenizer *t, const cJSON *root, const char *path,
                       struct ink_error *error)
{
    const cJSON *value;
    const char *class_name = "";
    bool add_prefix = t->facts.add_dummy_prefix;
    int status = ink_json_get_string(root, "tokenizer_class", false, &class_name, path, error);
    if (status == INK_OK) { /* LlamaTokenizer adds one unless told otherwise, ERNIE's never do */
        t->facts.add_bos = strncmp(class_name, "LlamaTokenizer", 14) == 0;
        status = ink_json_get_bool(root, "add_bos_token", false, &t->facts.add_bos, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_bool(root, "add_prefix_space", false, &add_prefix, path, error);
    }
    t->facts.add_dummy_prefix = t->facts.add_dummy_prefix && add_prefix;
    value = ink_json_get(root, "added_tokens_decoder");
    if (status == INK_OK && value) {
        status = cJSON_IsObject(value) ? read_added_decoder(t, value, path, error)
                                       : wrong_type("added_tokens_decoder", path, error);
    }
    cJSON_ArrayForEach(value, root)
    {
        if (status == INK_OK && ends_with(value->string, "_token") && !cJSON_IsBool(value)) {
            status = mark_special(t, value->string, value, path, error);
        } else if (status == INK_OK && ends_with(value->string, "_special_tokens") &&
                   (cJSON_IsArray(value) || cJSON_IsObject(value))) {
            status = mark_each(t, value, path, error);
        }
    }
    return status == INK_OK ? read_chat_template(t, root, error) : status;
}

typedef int json_reader(struct ink_tokenizer *t, const cJSON *root, const char *path,
                        struct ink_error *error);

static int read_special_map_and_roles(struct ink_tokenizer *t, const cJSON *root, const char *path,
                                      struct ink_error *error)
{
    read_roles(t, root);
    return read_special_map(t, root, path, error);
}

static int read_config_and_roles(struct ink_tokenizer *t, const cJSON *root, const char *path,
                                 struct ink_error *error)
{
    int status = read_config(t, root, path, error);
    read_roles(t, root);
    return status;
}

/* A file that may be missing. */
static int read_optional(struct ink_tokenizer *t, const char *folder, const char *name,
                         json_reader *reader, struct ink_error *error)
{
    cJSON *root = NULL;
    int status = INK_OK;
    char *path = ink_path_join(folder, name);
    if (!path) {
        return ink_fail_memory(error, strlen(folder) + strlen(name) + 2);
    }
    if (ink_path_kind(path) != INK_PATH_NONE) {
        status = ink_json_read_file(&root, path, error);
        if (status == INK_OK) {
            status = reader(t, root, path, error);
        }
        cJSON_Delete(root);
    }
    ink_free(path);
    return status;
}

/* Newer folders keep the template in a file of its own, which then counts. */
static int read_template_file(struct ink_tokenizer *t, const char *folder, struct ink_error *error)
{
    struct ink_mapping file = {0};
    int status = INK_OK;
    char *path = ink_path_join(folder, "chat_template.jinja");
    if (!path) {
        return ink_fail_memory(error, strlen(folder) + 32);
    }
    if (ink_path_kind(path) != INK_PATH_NONE) {
        status = ink_map_file(&file, path, error);
        if (status == INK_OK && file.size > 1u << 20) {
            status = ink_fail(error, INK_ERROR_INPUT, "%s: too large (%llu bytes, limit %llu)",
                              path, (unsigned long long)file.size, 1ull << 20);
        }
        if (status == INK_OK) {
            ink_free(t->chat_template);
            t->chat_template = ink_strndup((const char *)file.data, (size_t)file.size);
            status = t->chat_template ? INK_OK : ink_fail_memory(error, file.size);
        }
        ink_unmap_file(&file);
    }
    ink_free(path);
    return status;
}

static int read_model(struct ink_tokenizer *t, int n_vocab, const char *path,
                      struct ink_error *error)
{
    int status = ink_map_file(&t->file, path, error);
    if (status == INK_OK && ink_is_lfs_pointer(&t->file)) {
        status = ink_fail(
            error, INK_ERROR_INPUT,
            "%s: a Git LFS pointer, not the file itself; run git lfs pull in its folder", path);
    }
    if (status == INK_OK) {
        status =
            ink_tokenizer_begin_model(t, t->file.data, (size_t)t->file.size, n_vocab, path, error);
    }
    return status;
}

static int read_json_files(struct ink_tokenizer *t, const char *folder, struct ink_error *error)
{
    static const struct {
        const char *name;
        json_reader *reader;
    } files[] = {
        {"added_tokens.json", read_added_tokens},
        {"special_tokens_map.json", read_special_map_and_roles},
        {"tokenizer_config.json", read_config_and_roles},
    };
    int status = INK_OK;
    /* What counts where no tokenizer_config.json says it: text of plain SentencePiece models begins
     * with <s>, ERNIE's with nothing. */
    t->facts.add_bos = ink_tokenizer_find(t, "<|begin_of_sentence|>") < 0;
    for (size_t i = 0; i < INK_COUNT(files) && status == INK_OK; i++) {
        status = read_optional(t, folder, files[i].name, files[i].reader, error);
    }
    return status == INK_OK ? read_template_file(t, folder, error) : status;
}

int ink_tokenizer_open_folder(struct ink_tokenizer **out, const char *folder, int n_vocab,
                              struct ink_error *error)
{
    *out = NULL;
    struct ink_tokenizer *t = ink_calloc(1, sizeof *t);
    char *path = ink_path_join(folder, "tokenizer.model");
    int status = t && path ? INK_OK : ink_fail_memory(error, sizeof *t);
    if (status == INK_OK) {
        status = read_model(t, n_vocab, path, error);
    }
    if (status == INK_OK) {
        status = read_json_files(t, folder, error);
    }
    if (status == INK_OK) {
        status = ink_tokenizer_finish(t, path, error);
    }
    ink_free(path);
    if (status != INK_OK) {
        ink_tokenizer_close(t);
        return status;
    }
    t->facts.chat_template = t->chat_template;
    t->facts.model_proto = t->file.data;
    t->facts.n_model_proto = (size_t)t->file.size;
    *out = t;
    return INK_OK;
}
