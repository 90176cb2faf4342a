#include "training_state_internal.h"

#include "file.h"
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int wrong(const char *what, const char *key, const char *wanted, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, key, ink_text(wanted));
}

/* 0..2^53 - 1. */
static bool read_count(int64_t *out, const cJSON *item)
{
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble) ||
        !(item->valuedouble >= 0 && item->valuedouble <= (double)INK_TRAINING_MAX)) {
        return false;
    }
    *out = (int64_t)item->valuedouble;
    return true;
}

static int read_numbers(struct ink_training_state *s, const cJSON *root, const char *what,
                        struct ink_error *error)
{
    struct ink_training_number numbers[INK_TRAINING_NUMBERS];
    ink_training_state_list(numbers, s);
    for (int i = 0; i < INK_TRAINING_NUMBERS; i++) {
        const struct ink_training_number *n = &numbers[i];
        const cJSON *item = ink_json_get(root, n->key);
        if (n->count && !read_count(n->count, item)) {
            return wrong(what, n->key, "an integer from 0 to 2^53 - 1", error);
        }
        if (n->real && !cJSON_IsNumber(item)) {
            return wrong(what, n->key, "a number", error);
        }
        if (n->real) {
            *n->real = item->valuedouble;
        }
    }
    return INK_OK;
}

static int read_random(struct ink_training_state *s, const cJSON *root, const char *what,
                       struct ink_error *error)
{
    const cJSON *list = ink_json_get(root, "random"), *item;
    int n = cJSON_IsArray(list) ? 0 : 5;
    cJSON_ArrayForEach(item, list)
    {
        const char *text = cJSON_IsString(item) ? item->valuestring : "";
        if (n == 4 || strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16) {
            n = 5;
            break;
        }
        s->random[n++] = strtoull(text, NULL, 16);
    }
    return n == 4 ? INK_OK : wrong(what, "random", "a list of four numbers as text", error);
}

static int read_facts(struct ink_training_state *s, const cJSON *root, const char *what,
                      struct ink_error *error)
{
    const cJSON *facts = ink_json_get(root, "arguments"), *item;
    int status = INK_OK;
    if (!cJSON_IsObject(facts)) {
        return wrong(what, "arguments", "an object of strings", error);
    }
    cJSON_ArrayForEach(item, facts)
    {
        status = cJSON_IsString(item)
                     ? ink_training_state_set(s, item->string, item->valuestring, error)
                     : wrong(what, item->string, "a string", error);
        if (status != INK_OK) {
            break;
        }
    }
    return status;
}

/* Names go into paths that are looked at: they stay in the folder. */
static bool is_plain_name(const char *name)
{
    return *name && *name != '.' && !strpbrk(name, "/\\:");
}

static int read_files(struct ink_training_state *s, const cJSON *root, const char *what,
                      struct ink_error *error)
{
    const cJSON *files = ink_json_get(root, "files"), *item;
    int status = INK_OK;
    if (!cJSON_IsObject(files) || !files->child) {
        return wrong(what, "files", "an object of sizes by name", error);
    }
    cJSON_ArrayForEach(item, files)
    {
        int64_t n_bytes = 0;
        status = is_plain_name(item->string) && read_count(&n_bytes, item)
                     ? ink_training_state_add_file(s, item->string, (uint64_t)n_bytes, error)
                     : wrong(what, "files", "an object of sizes by name", error);
        if (status != INK_OK) {
            break;
        }
    }
    return status;
}

static int check_format(const cJSON *root, const char *what, struct ink_error *error)
{
    const char *name = NULL;
    int number = 0;
    int status = cJSON_IsObject(root)
                     ? ink_json_get_string(root, "format", true, &name, what, error)
                     : ink_fail(error, INK_ERROR_INPUT, "%s: not a JSON object", what);
    if (status == INK_OK && strcmp(name, INK_TRAINING_FORMAT) != 0) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is \"%s\", which is not supported",
                        what, "format", name);
    }
    return status == INK_OK ? ink_json_get_int(root, "version", INK_TRAINING_VERSION,
                                               INK_TRAINING_VERSION, true, &number, what, error)
                            : status;
}

static int read_state(struct ink_training_state *s, const cJSON *root, const char *what,
                      struct ink_error *error)
{
    int status = check_format(root, what, error);
    if (status == INK_OK) {
        status = read_numbers(s, root, what, error);
    }
    if (status == INK_OK) {
        status = read_random(s, root, what, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_bool(root, "has_optimizer", true, &s->has_optimizer, what, error);
    }
    if (status == INK_OK) {
        status = read_facts(s, root, what, error);
    }
    return status == INK_OK ? read_files(s, root, what, error) : status;
}

int ink_training_state_parse(struct ink_training_state *out, const char *text, size_t n,
                             const char *what, struct ink_error *error)
{
    cJSON *root = NULL;
    *out = (struct ink_training_state){0};
    int status = ink_json_parse(&root, text, n, &ink_json_file_limits, what, error);
    if (status == INK_OK) {
        status = read_state(out, root, what, error);
    }
    cJSON_Delete(root);
    if (status != INK_OK) {
        ink_training_state_close(out);
    }
    return status;
}

int ink_training_state_read(struct ink_training_state *out, const char *folder,
                            struct ink_error *error)
{
    struct ink_mapping file = {0};
    char *path = ink_path_join(folder, INK_TRAINING_STATE_FILE);
    *out = (struct ink_training_state){0};
    int status = path ? ink_map_file(&file, path, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status =
            ink_training_state_parse(out, (const char *)file.data, (size_t)file.size, path, error);
    }
    ink_unmap_file(&file);
    ink_free(path);
    return status;
}
