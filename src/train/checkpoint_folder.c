#include "checkpoint_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *ink_checkpoint_path(const char *run_folder, const char *prefix, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "%s%lld", prefix, (long long)step);
    return ink_path_join(run_folder, name);
}

/* N of PREFIX and a number as we write it (no sign, no leading zero), or -1. */
static int64_t step_of(const char *name, const char *prefix)
{
    const size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0) {
        return -1;
    }
    const char *digits = name + n;
    const size_t n_digits = strspn(digits, "0123456789");
    const bool is_number = n_digits > 0 && n_digits <= 16 && digits[n_digits] == '\0' &&
                           (digits[0] != '0' || n_digits == 1);
    return is_number ? (int64_t)strtoll(digits, NULL, 10) : -1;
}

/* -------------------------------------------------------------------------------- what one holds
 */

static int has_all_files(bool *out, const struct ink_training_state *s, const char *folder,
                         struct ink_error *error)
{
    *out = true;
    for (int i = 0; i < s->n_files && *out; i++) {
        char *path = ink_path_join(folder, s->files[i].name);
        uint64_t n_bytes = 0;
        if (!path) {
            return ink_fail_memory(error, strlen(folder));
        }
        *out = ink_file_size(path, &n_bytes) && n_bytes == s->files[i].n_bytes;
        ink_free(path);
    }
    return INK_OK;
}

/* Fails only where memory runs out: a bad file is an answer. */
static int check_whole(bool *out, const char *path, struct ink_error *error)
{
    struct ink_training_state state = {0};
    *out = false;
    if (ink_path_kind(path) != INK_PATH_FOLDER) {
        return INK_OK;
    }
    int status = ink_training_state_read(&state, path, error);
    if (status == INK_OK && state.has_optimizer) {
        status = has_all_files(out, &state, path, error);
    }
    ink_training_state_close(&state);
    return status == INK_ERROR_MEMORY ? status : INK_OK;
}

static int is_foreign(void *context, const char *name)
{
    const struct ink_training_state *s = context;
    if (strcmp(name, INK_TRAINING_STATE_FILE) == 0) {
        return 0;
    }
    for (int i = 0; i < s->n_files; i++) {
        if (strcmp(name, s->files[i].name) == 0) {
            return 0;
        }
    }
    return 1;
}

bool ink_checkpoint_is_ours(const char *path)
{
    struct ink_training_state state = {0};
    const bool is_ours = ink_path_kind(path) == INK_PATH_FOLDER &&
                         ink_training_state_read(&state, path, NULL) == INK_OK &&
                         ink_visit_folder(path, is_foreign, &state, NULL) == 0;
    ink_training_state_close(&state);
    return is_ours;
}

/* ------------------------------------------------------------------------------ those of a folder
 */

struct steps {
    const char *prefix;
    int64_t *list; /* [n] */
    int n, capacity;
};

static int add_step(void *context, const char *name)
{
    struct steps *s = context;
    const int64_t step = step_of(name, s->prefix);
    if (step < 0) {
        return INK_OK;
    }
    if (s->n == s->capacity) {
        const int capacity = s->capacity ? 2 * s->capacity : 16;
        int64_t *list = ink_realloc(s->list, (size_t)capacity, sizeof *list);
        if (!list) {
            return INK_ERROR_MEMORY;
        }
        s->list = list;
        s->capacity = capacity;
    }
    s->list[s->n++] = step;
    return INK_OK;
}

static int compare_steps(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The steps N of the entries PREFIX-N, rising. */
static int list_steps(struct steps *out, const char *run_folder, const char *prefix,
                      struct ink_error *error)
{
    *out = (struct steps){.prefix = prefix};
    int status = ink_visit_folder(run_folder, add_step, out, error);
    if (status == INK_ERROR_MEMORY) {
        ink_fail_memory(error, (uint64_t)out->capacity * 2 * sizeof *out->list);
    }
    if (out->n > 0) {
        qsort(out->list, (size_t)out->n, sizeof *out->list, compare_steps);
    }
    return status;
}

/* Under a name that is never taken for whole, so that being killed half-way does no harm. */
static int remove_step(const char *run_folder, const char *prefix, int64_t step,
                       struct ink_error *error)
{
    char *path = ink_checkpoint_path(run_folder, prefix, step);
    char *dying = ink_checkpoint_path(run_folder, INK_CHECKPOINT_NEW, step);
    int status = path && dying ? INK_OK : ink_fail_memory(error, strlen(run_folder));
    if (status == INK_OK && strcmp(prefix, INK_CHECKPOINT_NEW) != 0) {
        status = ink_rename_folder(path, dying, error);
    }
    if (status == INK_OK) {
        ink_remove_folder(dying);
    }
    ink_free(path);
    ink_free(dying);
    return status;
}

/* ------------------------------------------------------------------------------- what others call
 */

int ink_checkpoint_clean(const char *run_folder, struct ink_error *error)
{
    struct steps steps;
    int status = list_steps(&steps, run_folder, INK_CHECKPOINT_NEW, error);
    for (int i = 0; i < steps.n && status == INK_OK; i++) {
        status = remove_step(run_folder, INK_CHECKPOINT_NEW, steps.list[i], error);
    }
    ink_free(steps.list);
    return status;
}

/* The last of the steps whose folder is whole and can be gone on from, or -1. */
static int find_last_whole(int64_t *out, const struct steps *steps, const char *run_folder,
                           struct ink_error *error)
{
    int status = INK_OK;
    *out = -1;
    for (int i = steps->n - 1; i >= 0 && *out < 0 && status == INK_OK; i--) {
        char *path = ink_checkpoint_path(run_folder, steps->prefix, steps->list[i]);
        bool is_whole = false;
        status =
            path ? check_whole(&is_whole, path, error) : ink_fail_memory(error, strlen(run_folder));
        *out = is_whole ? steps->list[i] : -1;
        ink_free(path);
    }
    return status;
}

/* Keep those of ours; the rest is neither counted nor touched. */
static void keep_ours(struct steps *steps, const char *run_folder)
{
    int n = 0;
    for (int i = 0; i < steps->n; i++) {
        char *path = ink_checkpoint_path(run_folder, steps->prefix, steps->list[i]);
        if (path && ink_checkpoint_is_ours(path)) {
            steps->list[n++] = steps->list[i];
        }
        ink_free(path);
    }
    steps->n = n;
}

/* old-checkpoint-N that was replaced, or whose successor is newer. */
static int remove_replaced(const char *run_folder, struct ink_error *error)
{
    struct steps steps;
    int status = list_steps(&steps, run_folder, INK_CHECKPOINT_OLD, error);
    if (status == INK_OK) {
        keep_ours(&steps, run_folder);
    }
    for (int i = 0; i < steps.n && status == INK_OK; i++) {
        status = remove_step(run_folder, INK_CHECKPOINT_OLD, steps.list[i], error);
    }
    ink_free(steps.list);
    return status;
}

int ink_checkpoint_rotate(const char *run_folder, int64_t step, int limit, struct ink_error *error)
{
    struct steps steps;
    int64_t newest = -1;
    int status = list_steps(&steps, run_folder, INK_CHECKPOINT_PREFIX, error);
    if (status == INK_OK) {
        status = find_last_whole(&newest, &steps, run_folder, error);
        keep_ours(&steps, run_folder);
    }
    int surplus = limit > 0 ? steps.n - limit : 0;
    for (int i = 0; i < steps.n && surplus > 0 && status == INK_OK; i++) {
        if (steps.list[i] != step && steps.list[i] != newest) {
            status = remove_step(run_folder, INK_CHECKPOINT_PREFIX, steps.list[i], error);
            surplus--;
        }
    }
    ink_free(steps.list);
    return status == INK_OK ? remove_replaced(run_folder, error) : status;
}

/* The last whole one under a prefix: its step, or -1. */
static int find_under(int64_t *out, const char *run_folder, const char *prefix,
                      struct ink_error *error)
{
    struct steps steps;
    int status = list_steps(&steps, run_folder, prefix, error);
    *out = -1;
    if (status == INK_OK) {
        status = find_last_whole(out, &steps, run_folder, error);
    }
    ink_free(steps.list);
    return status;
}

int ink_checkpoint_find(char **out, const char *run_folder, struct ink_error *error)
{
    int64_t step = -1, replaced = -1;
    *out = NULL;
    if (ink_path_kind(run_folder) == INK_PATH_NONE) {
        return INK_OK;
    }
    int status = find_under(&step, run_folder, INK_CHECKPOINT_PREFIX, error);
    if (status == INK_OK) {
        status = find_under(&replaced, run_folder, INK_CHECKPOINT_OLD, error);
    }
    if (status == INK_OK && (step >= 0 || replaced >= 0)) {
        *out = replaced > step ? ink_checkpoint_path(run_folder, INK_CHECKPOINT_OLD, replaced)
                               : ink_checkpoint_path(run_folder, INK_CHECKPOINT_PREFIX, step);
        status = *out ? INK_OK : ink_fail_memory(error, strlen(run_folder));
    }
    return status;
}

static int check_name(const char *run_folder, int64_t step, struct ink_error *error)
{
    char *path = ink_checkpoint_path(run_folder, INK_CHECKPOINT_PREFIX, step);
    int status = path ? INK_OK : ink_fail_memory(error, strlen(run_folder));
    if (path && !ink_checkpoint_is_ours(path)) {
        status = ink_fail(error, INK_ERROR_SYSTEM,
                          "%s: step %lld is to be saved there, and this is no checkpoint that can "
                          "be read and replaced; move it away",
                          path, (long long)step);
    }
    ink_free(path);
    return status;
}

int ink_checkpoint_check_names(const char *run_folder, int64_t step, int64_t every, int64_t last,
                               struct ink_error *error)
{
    struct steps steps = {0};
    int status = ink_path_kind(run_folder) == INK_PATH_NONE
                     ? INK_OK
                     : list_steps(&steps, run_folder, INK_CHECKPOINT_PREFIX, error);
    for (int i = 0; i < steps.n && status == INK_OK; i++) {
        const int64_t n = steps.list[i];
        if (n > step && (n == last || (n < last && every > 0 && n % every == 0))) {
            status = check_name(run_folder, n, error);
        }
    }
    ink_free(steps.list);
    return status;
}
