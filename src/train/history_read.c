#include "history_internal.h"

#include "file.h"
#include "json.h"

#include <math.h>
#include <string.h>

/* 11 values a row, and room for what others add. */
static const struct ink_json_limits limits = {256u << 20, (size_t)INK_MAX_HISTORY_ROWS * 30, 16};
static const double max_count = 9007199254740991.0; /* 2^53 - 1 */

/* What Python writes for numbers that JSON lacks, outside strings, becomes a string; numbers below
 * take such strings. */
static int quote_constants(struct ink_string *out, const char *text, size_t n,
                           struct ink_error *error)
{
    static const char *const words[] = {"NaN", "Infinity", "-Infinity"};
    bool in_string = false;
    size_t start = 0;
    for (size_t i = 0; i < n; i++) {
        if (in_string && text[i] == '\\') {
            i++;
        } else if (text[i] == '"') {
            in_string = !in_string;
        }
        for (size_t w = 0; w < INK_COUNT(words) && !in_string; w++) {
            const size_t length = strlen(words[w]);
            if (i < n && n - i >= length && memcmp(text + i, words[w], length) == 0) {
                ink_string_append(out, text + start, i - start);
                ink_string_printf(out, "\"%s\"", words[w]);
                i += length - 1;
                start = i + 1;
                break;
            }
        }
    }
    ink_string_append(out, text + (start < n ? start : n), start < n ? n - start : 0);
    return out->failed ? ink_fail_memory(error, n) : INK_OK;
}

static bool read_double(double *out, const cJSON *item)
{
    if (cJSON_IsNumber(item)) {
        *out = item->valuedouble;
    } else if (cJSON_IsString(item) && strcmp(item->valuestring, "NaN") == 0) {
        *out = (double)NAN;
    } else if (cJSON_IsString(item) && strcmp(item->valuestring, "Infinity") == 0) {
        *out = (double)INFINITY;
    } else if (cJSON_IsString(item) && strcmp(item->valuestring, "-Infinity") == 0) {
        *out = -(double)INFINITY;
    } else {
        return false;
    }
    return true;
}

static int get_double(double *out, const cJSON *object, const char *key, const char *what,
                      struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    return !item || read_double(out, item)
               ? INK_OK
               : ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, key,
                          ink_text("a number"));
}

/* 0..2^53 - 1. */
static int get_count(int64_t *out, const cJSON *object, const char *key, double max,
                     const char *what, struct ink_error *error)
{
    const cJSON *item = ink_json_get(object, key);
    if (!item) {
        return INK_OK;
    }
    if (!cJSON_IsNumber(item) || item->valuedouble != floor(item->valuedouble)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, key,
                        ink_text("an integer"));
    }
    if (!(item->valuedouble >= 0 && item->valuedouble <= max)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %g to %g", what,
                        key, item->valuedouble, 0.0, max);
    }
    *out = (int64_t)item->valuedouble;
    return INK_OK;
}

/* A row of no kind that we know (other metrics, say) is left out: *known tells. */
static int read_row(struct ink_history_row *row, bool *known, const cJSON *item, const char *what,
                    struct ink_error *error)
{
    *row = (struct ink_history_row){0};
    *known = false;
    if (!cJSON_IsObject(item)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, "log_history",
                        ink_text("a list of objects"));
    }
    for (size_t k = 0; k < INK_COUNT(ink_history_keys) && !*known; k++) {
        *known = ink_json_get(item, ink_history_keys[k].marks) != NULL;
        row->kind = (enum ink_history_kind)k;
    }
    int status = get_count(&row->step, item, "step", max_count, what, error);
    if (status == INK_OK) {
        status = get_double(&row->epoch, item, "epoch", what, error);
    }
    for (int i = 0; i < ink_history_keys[row->kind].n && status == INK_OK; i++) {
        status =
            get_double(&row->values[i], item, ink_history_keys[row->kind].names[i], what, error);
    }
    return status;
}

static int read_rows(struct ink_history *h, const cJSON *root, const char *what,
                     struct ink_error *error)
{
    const cJSON *list = ink_json_get(root, "log_history"), *item;
    int status = INK_OK;
    if (!cJSON_IsArray(list)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", what, "log_history",
                        ink_text("a list of objects"));
    }
    cJSON_ArrayForEach(item, list)
    {
        struct ink_history_row row;
        bool known;
        status = read_row(&row, &known, item, what, error);
        if (status == INK_OK && known) {
            status = ink_history_add(h, &row, error);
        }
        if (status != INK_OK) {
            break;
        }
    }
    return status;
}

static int read_counts(struct ink_history *h, const cJSON *root, const char *what,
                       struct ink_error *error)
{
    int64_t small[5] = {0};
    const struct {
        const char *key;
        int64_t *out;
        double max;
    } counts[] = {
        {"global_step", &h->step, max_count},
        {"max_steps", &h->max_steps, max_count},
        {"num_input_tokens_seen", &h->n_tokens, max_count},
        {"best_global_step", &h->best_step, max_count},
        {"num_train_epochs", &small[0], INT32_MAX},
        {"logging_steps", &small[1], INT32_MAX},
        {"eval_steps", &small[2], INT32_MAX},
        {"save_steps", &small[3], INT32_MAX},
        {"train_batch_size", &small[4], INT32_MAX},
    };
    h->best_step = 0; /* the rows have set it */
    int status = INK_OK;
    for (size_t i = 0; i < INK_COUNT(counts) && status == INK_OK; i++) {
        status = get_count(counts[i].out, root, counts[i].key, counts[i].max, what, error);
    }
    h->num_train_epochs = (int)small[0];
    h->logging_steps = (int)small[1];
    h->eval_steps = (int)small[2];
    h->save_steps = (int)small[3];
    h->train_batch_size = (int)small[4];
    return status;
}

static int read_finished(struct ink_history *h, const cJSON *root, const char *what,
                         struct ink_error *error)
{
    const cJSON *callbacks = ink_json_get(root, "stateful_callbacks");
    const cJSON *control = ink_json_get(callbacks, "TrainerControl");
    return ink_json_get_bool(ink_json_get(control, "args"), "should_training_stop", false,
                             &h->is_finished, what, error);
}

static int read_best(struct ink_history *h, const cJSON *root, const char *what,
                     struct ink_error *error)
{
    const char *path = NULL;
    h->best_metric = 0;
    int status = get_double(&h->best_metric, root, "best_metric", what, error);
    if (status == INK_OK) {
        status = ink_json_get_string(root, "best_model_checkpoint", false, &path, what, error);
    }
    if (status == INK_OK && path) {
        h->best_checkpoint = ink_strdup(path);
        status = h->best_checkpoint ? INK_OK : ink_fail_memory(error, strlen(path));
    }
    return status;
}

static int read_state(struct ink_history *h, const cJSON *root, const char *what,
                      struct ink_error *error)
{
    int status = cJSON_IsObject(root)
                     ? read_rows(h, root, what, error)
                     : ink_fail(error, INK_ERROR_INPUT, "%s: not a JSON object", what);
    if (status == INK_OK) {
        status = read_counts(h, root, what, error);
    }
    if (status == INK_OK) {
        status = get_double(&h->epoch, root, "epoch", what, error);
    }
    if (status == INK_OK) {
        status = get_double(&h->total_flos, root, "total_flos", what, error);
    }
    if (status == INK_OK) {
        status = read_finished(h, root, what, error);
    }
    return status == INK_OK ? read_best(h, root, what, error) : status;
}

int ink_history_parse(struct ink_history *out, const char *text, size_t n, const char *what,
                      struct ink_error *error)
{
    struct ink_string plain = {0};
    cJSON *root = NULL;
    *out = (struct ink_history){0};
    int status = quote_constants(&plain, text, n, error);
    if (status == INK_OK) {
        status =
            ink_json_parse(&root, plain.data ? plain.data : "", plain.length, &limits, what, error);
    }
    ink_string_free(&plain);
    if (status == INK_OK) {
        status = read_state(out, root, what, error);
    }
    cJSON_Delete(root);
    if (status != INK_OK) {
        ink_history_close(out);
    }
    return status;
}

int ink_history_read(struct ink_history *out, const char *folder, struct ink_error *error)
{
    struct ink_mapping file = {0};
    char *path = ink_path_join(folder, INK_HISTORY_FILE);
    *out = (struct ink_history){0};
    int status = path ? ink_map_file(&file, path, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK) {
        status = ink_history_parse(out, (const char *)file.data, (size_t)file.size, path, error);
    }
    ink_unmap_file(&file);
    ink_free(path);
    return status;
}
