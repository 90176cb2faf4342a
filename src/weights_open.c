/* Which files hold a model's weights: one, or the shards of an index. */
#include "weights.h"

#include "json.h"

#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------------------------- one file */

typedef int reader_function(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                            struct ink_error *error);

/* w->files has room for n more files. */
static int reserve_files(struct ink_weights *w, size_t n, struct ink_error *error)
{
    struct ink_mapping *grown = ink_realloc(w->files, (size_t)w->n_files + n, sizeof *grown);
    if (!grown) {
        return ink_fail_memory(error, n * sizeof *grown);
    }
    w->files = grown;
    return INK_OK;
}

/* Map `path` into the next file slot. */
static int map_next(struct ink_weights *w, const char *path, struct ink_error *error)
{
    struct ink_mapping *file = &w->files[w->n_files];
    *file = (struct ink_mapping){0};
    int status = ink_map_file(file, path, error);
    w->n_files += status == INK_OK;
    if (status == INK_OK && ink_is_lfs_pointer(file)) {
        status = ink_fail(
            error, INK_ERROR_INPUT,
            "%s: a Git LFS pointer, not the file itself; run git lfs pull in its folder", path);
    }
    return status;
}

static bool has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* Which reader fits a file that was named itself: by its first bytes, else by its name. */
static reader_function *choose_reader(const char **format, const struct ink_mapping *file,
                                      const char *path)
{
    bool is_gguf = file->size >= 4 && memcmp(file->data, "GGUF", 4) == 0;
    bool is_zip = file->size >= 4 && memcmp(file->data, "PK\3\4", 4) == 0;
    if (is_gguf || (!is_zip && has_suffix(path, ".gguf"))) {
        *format = "gguf";
        return ink_gguf_read;
    }
    if (is_zip || has_suffix(path, ".bin") || has_suffix(path, ".pt") || has_suffix(path, ".pth")) {
        *format = "pytorch";
        return ink_torchbin_read;
    }
    if (has_suffix(path, ".safetensors") || (file->size > 8 && file->data[8] == '{')) {
        *format = "safetensors";
        return ink_safetensors_read;
    }
    return NULL;
}

/* One file. `read` NULL: find out which reader fits. */
static int open_single(struct ink_weights *w, const char *path, reader_function *read,
                       struct ink_error *error)
{
    int status = reserve_files(w, 1, error);
    if (status == INK_OK) {
        status = map_next(w, path, error);
    }
    if (status == INK_OK && !read) {
        read = choose_reader(&w->format, &w->files[0], path);
        if (!read) {
            status = ink_fail(error, INK_ERROR_INPUT,
                              "%s: not a file of weights (GGUF, safetensors or PyTorch)", path);
        }
    }
    if (status == INK_OK) {
        status = read(w, &w->files[0], path, error);
    }
    return status == INK_OK ? ink_weights_build_index(w, path, error) : status;
}

/* -------------------------------------------------------------------------------------- shards */

/* Shards lie beside their index: a name that could lead anywhere else is refused. */
static bool is_plain_name(const char *name, const char *suffix)
{
    return !strpbrk(name, "/\\:") && !strstr(name, "..") && strlen(name) > strlen(suffix) &&
           strlen(name) <= 255 && has_suffix(name, suffix);
}

static int compare_shards(const void *a, const void *b)
{
    const cJSON *const *x = a, *const *y = b;
    return strcmp((*x)->valuestring, (*y)->valuestring);
}

/* The members of weight_map, sorted by shard. *out [*n] is freed with ink_free. */
static int list_map(const cJSON ***out, size_t *n, const cJSON *index, const char *suffix,
                    const char *path, struct ink_error *error)
{
    const cJSON *map = ink_json_get(index, "weight_map");
    if (!cJSON_IsObject(map)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"weight_map\" is not a JSON object", path);
    }
    size_t count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, map)
    {
        int status = ink_weights_check_name(item->string, strlen(item->string), path, error);
        if (status != INK_OK) {
            return status;
        }
        if (!cJSON_IsString(item) || !is_plain_name(item->valuestring, suffix)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: the shard of \"%s\" is not a plain file name that ends in "
                            "\"%s\"",
                            path, item->string, suffix);
        }
        count++;
    }
    *out = ink_calloc(count, sizeof **out);
    if (!*out) {
        return ink_fail_memory(error, count * sizeof **out);
    }
    *n = 0;
    cJSON_ArrayForEach(item, map)
    {
        (*out)[(*n)++] = item;
    }
    qsort(*out, *n, sizeof **out, compare_shards);
    return INK_OK;
}

/* Map and read one shard. */
static int open_shard(struct ink_weights *w, const char *folder, const char *name,
                      reader_function *read, struct ink_error *error)
{
    char *path = ink_path_join(folder, name);
    if (!path) {
        return ink_fail_memory(error, strlen(folder) + strlen(name));
    }
    int status = map_next(w, path, error);
    if (status == INK_OK) {
        status = read(w, &w->files[w->n_files - 1], path, error);
    }
    ink_free(path);
    return status;
}

/* Read every shard of map[n] once. first[i] is the place of shard i's first tensor; first[n_files]
 * is their number. */
static int open_shards(struct ink_weights *w, int *first, const cJSON *const *map, size_t n,
                       const char *folder, const char *path, reader_function *read,
                       struct ink_error *error)
{
    int status = reserve_files(w, INK_MAX_SHARDS, error);
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        if (i > 0 && compare_shards(&map[i - 1], &map[i]) == 0) {
            continue;
        }
        if (w->n_files == INK_MAX_SHARDS) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: too many shards (limit %d)", path,
                            INK_MAX_SHARDS);
        }
        first[w->n_files] = w->n_tensors;
        status = open_shard(w, folder, map[i]->valuestring, read, error);
    }
    if (status == INK_OK) {
        first[w->n_files] = w->n_tensors;
        status = ink_weights_build_index(w, path, error);
    }
    return status;
}

/* Every tensor of the map is in its shard, and every tensor of a shard is in the map. */
static int check_map(const struct ink_weights *w, const int *first, const cJSON *const *map,
                     size_t n, const char *path, struct ink_error *error)
{
    bool *is_listed = ink_calloc((size_t)w->n_tensors, sizeof *is_listed);
    if (!is_listed) {
        return ink_fail_memory(error, (uint64_t)w->n_tensors);
    }
    int status = INK_OK;
    int shard = 0;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        shard += i > 0 && compare_shards(&map[i - 1], &map[i]) != 0;
        const struct ink_tensor *t = ink_weights_find(w, map[i]->string);
        ptrdiff_t at = t ? t - w->tensors : -1;
        if (at < first[shard] || at >= first[shard + 1]) {
            status = ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is not in \"%s\"", path,
                              map[i]->string, map[i]->valuestring);
        } else {
            is_listed[at] = true;
        }
    }
    for (int i = 0; i < w->n_tensors && status == INK_OK; i++) {
        if (!is_listed[i]) {
            status = ink_fail(error, INK_ERROR_INPUT,
                              "%s: a shard holds tensor \"%s\", which is not in \"weight_map\"",
                              path, w->tensors[i].name);
        }
    }
    ink_free(is_listed);
    return status;
}

static int open_sharded(struct ink_weights *w, const char *folder, const char *path,
                        const char *suffix, reader_function *read, struct ink_error *error)
{
    cJSON *index = NULL;
    const cJSON **map = NULL;
    int *first = NULL;
    size_t n = 0;
    int status = ink_json_read_file(&index, path, error);
    if (status == INK_OK) {
        status = list_map(&map, &n, index, suffix, path, error);
    }
    if (status == INK_OK) {
        first = ink_calloc(INK_MAX_SHARDS + 1, sizeof *first);
        status = first ? INK_OK : ink_fail_memory(error, (INK_MAX_SHARDS + 1) * sizeof *first);
    }
    if (status == INK_OK) {
        status = open_shards(w, first, map, n, folder, path, read, error);
    }
    if (status == INK_OK) {
        status = check_map(w, first, map, n, path, error);
    }
    ink_free(first);
    ink_free(map);
    cJSON_Delete(index);
    return status;
}

/* ------------------------------------------------------------------------------------- opening */

/* What a folder may hold, in the order of preference. */
static const struct {
    const char *name, *format, *shard_suffix;
    reader_function *read;
} candidates[] = {
    {"model.safetensors", "safetensors", NULL, ink_safetensors_read},
    {"model.safetensors.index.json", "safetensors sharded", ".safetensors", ink_safetensors_read},
    {"pytorch_model.bin", "pytorch", NULL, ink_torchbin_read},
    {"pytorch_model.bin.index.json", "pytorch sharded", ".bin", ink_torchbin_read},
};

static int open_folder(struct ink_weights *w, const char *folder, struct ink_error *error)
{
    for (size_t i = 0; i < INK_COUNT(candidates); i++) {
        char *path = ink_path_join(folder, candidates[i].name);
        if (!path) {
            return ink_fail_memory(error, strlen(folder));
        }
        int status = INK_OK;
        bool is_there = ink_path_kind(path) != INK_PATH_NONE;
        if (is_there) {
            w->format = candidates[i].format;
            status = candidates[i].shard_suffix
                         ? open_sharded(w, folder, path, candidates[i].shard_suffix,
                                        candidates[i].read, error)
                         : open_single(w, path, candidates[i].read, error);
        }
        ink_free(path);
        if (is_there) {
            return status;
        }
    }
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: no weights in this folder (model.safetensors, pytorch_model.bin, or the "
                    "index of a sharded one)",
                    folder);
}

int ink_weights_open(struct ink_weights *out, const char *path, struct ink_error *error)
{
    *out = (struct ink_weights){0};
    int status = ink_path_kind(path) == INK_PATH_FOLDER ? open_folder(out, path, error)
                                                        : open_single(out, path, NULL, error);
    if (status != INK_OK) {
        ink_weights_close(out);
    }
    return status;
}
