#include "adapter_config.h"

#include <math.h>
#include <string.h>

/* Fields that, when set, make an adapter more than low-rank terms beside matrices. */
static const char *const refused[] = {
    "use_dora",          "use_qalora",        "lora_bias",
    "modules_to_save",   "target_parameters", "trainable_token_indices",
    "layer_replication", "arrow_config",      "alora_invocation_tokens",
    "use_bdlora",        "kasa_config",       "monteclora_config",
};

/* Initialisations that leave the model's own weights as they are. The others (pissa, olora, ...)
 * train against changed ones, which the adapter's folder does not hold. */
static const char *const harmless_starts[] = {"gaussian", "eva", "orthogonal"};

static const double max_alpha = 1e6;

static int fail_type(const char *path, const char *key, const char *type, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is not %s", path, key, ink_text(type));
}

static int fail_value(const char *path, const char *key, const char *value, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is \"%s\", which is not supported", path,
                    key, value);
}

/* null, false, "", [], {} and 0 are how nothing is said. */
static bool is_set(const cJSON *item)
{
    return item && !cJSON_IsFalse(item) && !cJSON_IsNull(item) &&
           !(cJSON_IsNumber(item) && item->valuedouble == 0) &&
           !(cJSON_IsString(item) && !*item->valuestring) &&
           !((cJSON_IsArray(item) || cJSON_IsObject(item)) && !item->child);
}

static int refuse_kinds(const struct ink_adapter_config *c, struct ink_error *error)
{
    const char *kind = NULL, *bias = "none";
    int status = ink_json_get_string(c->root, "peft_type", true, &kind, c->path, error);
    if (status == INK_OK && strcmp(kind, "LORA") != 0) {
        return fail_value(c->path, "peft_type", kind, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_string(c->root, "bias", false, &bias, c->path, error);
    }
    if (status == INK_OK && strcmp(bias, "none") != 0) {
        return fail_value(c->path, "bias", bias, error);
    }
    for (size_t i = 0; i < INK_COUNT(refused) && status == INK_OK; i++) {
        if (is_set(ink_json_get(c->root, refused[i]))) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is set, which is not supported",
                            c->path, refused[i]);
        }
    }
    const cJSON *start = ink_json_get(c->root, "init_lora_weights");
    bool is_harmless = !cJSON_IsString(start);
    for (size_t i = 0; i < INK_COUNT(harmless_starts) && !is_harmless; i++) {
        is_harmless = strcmp(start->valuestring, harmless_starts[i]) == 0;
    }
    return status == INK_OK && !is_harmless
               ? fail_value(c->path, "init_lora_weights", start->valuestring, error)
               : status;
}

/* A list of strings that are not empty, or nothing. */
static int read_names(const struct ink_adapter_config *c, const cJSON *list, const char *key,
                      int max_entries, struct ink_error *error)
{
    if (!cJSON_IsArray(list)) {
        return fail_type(c->path, key, "a list of names", error);
    }
    int n = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsString(item) || !*item->valuestring) {
            return fail_type(c->path, key, "a list of names", error);
        }
        n++;
    }
    if (n > max_entries) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" has %d entries (limit %d)", c->path,
                        key, n, max_entries);
    }
    return INK_OK;
}

static int read_targets(struct ink_adapter_config *c, int max_entries, struct ink_error *error)
{
    const cJSON *targets = ink_json_get(c->root, "target_modules");
    const cJSON *excluded = ink_json_get(c->root, "exclude_modules");
    int status = INK_OK;
    if (!is_set(targets)) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is missing", c->path, "target_modules");
    }
    if (cJSON_IsString(targets)) {
        c->text = targets->valuestring;
    } else {
        c->targets = targets;
        status = read_names(c, targets, "target_modules", max_entries, error);
    }
    if (status == INK_OK && is_set(excluded)) {
        c->excluded = excluded;
        status = read_names(c, excluded, "exclude_modules", max_entries, error);
    }
    return status;
}

/* The one pattern that these models' layers have is "layers". */
static int read_layers(struct ink_adapter_config *c, int max_entries, struct ink_error *error)
{
    const cJSON *pattern = ink_json_get(c->root, "layers_pattern"), *item;
    const cJSON *only = cJSON_IsArray(pattern) ? pattern->child : pattern;
    int n = 0;
    if (is_set(pattern) && (!cJSON_IsString(only) || strcmp(only->valuestring, "layers") != 0 ||
                            (only != pattern && only->next))) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is set, which is not supported",
                        c->path, "layers_pattern");
    }
    c->layers = ink_json_get(c->root, "layers_to_transform");
    if (!c->layers || (cJSON_IsArray(c->layers) && !c->layers->child)) {
        c->layers = NULL;
        return INK_OK;
    }
    if (!cJSON_IsArray(c->layers) && !cJSON_IsNumber(c->layers)) {
        return fail_type(c->path, "layers_to_transform", "a list of integers", error);
    }
    cJSON_ArrayForEach(item, c->layers)
    {
        if (!cJSON_IsNumber(item) || ++n > max_entries) {
            return fail_type(c->path, "layers_to_transform", "a list of integers", error);
        }
    }
    return INK_OK;
}

/* Keys are regular expressions to PEFT; module names, perhaps with "^" before a whole one, mean the
 * same as text. */
static bool is_plain_key(const char *key)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
    key += *key == '^';
    return *key && strspn(key, allowed) == strlen(key);
}

/* An object of numbers from min to max by module name. `type` is how messages call it. */
static int read_pattern(const struct ink_adapter_config *c, const cJSON **out, const char *key,
                        const char *type, double min, double max, int max_entries,
                        struct ink_error *error)
{
    const cJSON *pattern = ink_json_get(c->root, key), *item;
    int n = 0;
    if (!is_set(pattern)) {
        return INK_OK;
    }
    if (!cJSON_IsObject(pattern)) {
        return fail_type(c->path, key, type, error);
    }
    cJSON_ArrayForEach(item, pattern)
    {
        if (!is_plain_key(item->string)) {
            return ink_fail(error, INK_ERROR_INPUT,
                            "%s: \"%s\": \"%s\" is a regular expression; only names are supported",
                            c->path, key, item->string);
        }
        if (!cJSON_IsNumber(item) ||
            (out == &c->rank_pattern && item->valuedouble != floor(item->valuedouble))) {
            return fail_type(c->path, key, type, error);
        }
        if (!(item->valuedouble >= min && item->valuedouble <= max)) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is %.17g, allowed are %g to %g",
                            c->path, key, item->valuedouble, min, max);
        }
        if (++n > max_entries) {
            return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" has %d entries (limit %d)", c->path,
                            key, cJSON_GetArraySize(pattern), max_entries);
        }
    }
    *out = pattern;
    return INK_OK;
}

int ink_adapter_config_read(struct ink_adapter_config *out, const char *path, int max_rank,
                            int max_entries, struct ink_error *error)
{
    *out = (struct ink_adapter_config){.path = path};
    int status = ink_json_read_file(&out->root, path, error);
    if (status == INK_OK) {
        status = refuse_kinds(out, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_int(out->root, "r", 1, max_rank, true, &out->rank, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_float(out->root, "lora_alpha", -max_alpha, max_alpha, true,
                                    &out->alpha, path, error);
    }
    if (status == INK_OK) {
        status = ink_json_get_bool(out->root, "use_rslora", false, &out->use_rslora, path, error);
    }
    if (status == INK_OK) {
        status = read_targets(out, max_entries, error);
    }
    if (status == INK_OK) {
        status = read_layers(out, max_entries, error);
    }
    if (status == INK_OK) {
        status = read_pattern(out, &out->rank_pattern, "rank_pattern", "an object of integers", 1,
                              max_rank, max_entries, error);
    }
    if (status == INK_OK) {
        status = read_pattern(out, &out->alpha_pattern, "alpha_pattern", "an object of numbers",
                              -max_alpha, max_alpha, max_entries, error);
    }
    return status;
}

void ink_adapter_config_close(struct ink_adapter_config *c)
{
    cJSON_Delete(c->root);
    *c = (struct ink_adapter_config){0};
}

/* ------------------------------------------------------------------------------------ questions */

bool ink_adapter_name_matches(const char *name, const char *module)
{
    size_t n = strlen(name), all = strlen(module);
    return n <= all && strcmp(module + all - n, name) == 0 &&
           (n == all || module[all - n - 1] == '.');
}

static bool is_in(const cJSON *names, const char *module)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, names)
    {
        if (ink_adapter_name_matches(item->valuestring, module)) {
            return true;
        }
    }
    return false;
}

/* A module that is named in full is targeted whatever layers_to_transform says. */
static bool is_named_in_full(const cJSON *names, const char *module)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, names)
    {
        if (strcmp(item->valuestring, module) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_layer(const struct ink_adapter_config *c, int layer)
{
    const cJSON *item;
    if (!c->layers || cJSON_IsNumber(c->layers)) {
        return !c->layers || c->layers->valuedouble == layer;
    }
    cJSON_ArrayForEach(item, c->layers)
    {
        if (item->valuedouble == layer) {
            return true;
        }
    }
    return false;
}

enum ink_adapter_choice ink_adapter_config_choose(const struct ink_adapter_config *c,
                                                  const char *module, int layer)
{
    if (is_in(c->excluded, module)) {
        return INK_ADAPTER_LEAVES;
    }
    if (is_named_in_full(c->targets, module)) {
        return INK_ADAPTER_TARGETS;
    }
    if (!has_layer(c, layer)) {
        return INK_ADAPTER_LEAVES;
    }
    if (c->text) {
        return strcmp(c->text, "all-linear") == 0 ? INK_ADAPTER_TARGETS : INK_ADAPTER_MAY_TARGET;
    }
    return is_in(c->targets, module) ? INK_ADAPTER_TARGETS : INK_ADAPTER_LEAVES;
}

/* The first key that matches counts. */
static const cJSON *find_pattern(const cJSON *pattern, const char *module)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, pattern)
    {
        const char *key = item->string;
        if (*key == '^' ? strcmp(key + 1, module) == 0 : ink_adapter_name_matches(key, module)) {
            return item;
        }
    }
    return NULL;
}

int ink_adapter_config_rank(const struct ink_adapter_config *c, const char *module)
{
    const cJSON *own = find_pattern(c->rank_pattern, module);
    return own ? (int)own->valuedouble : c->rank;
}

double ink_adapter_config_scale(const struct ink_adapter_config *c, const char *module)
{
    const cJSON *own = find_pattern(c->alpha_pattern, module);
    const double alpha = own ? own->valuedouble : (double)c->alpha;
    const double rank = ink_adapter_config_rank(c, module);
    return alpha / (c->use_rslora ? sqrt(rank) : rank);
}
