#include "training_state_internal.h"

#include "file.h"
#include "json.h"
#include "number.h"
#include "sha256.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ink_training_state_close(struct ink_training_state *s)
{
    for (int i = 0; i < s->n_facts; i++) {
        ink_free(s->facts[i].name);
        ink_free(s->facts[i].value);
    }
    for (int i = 0; i < s->n_files; i++) {
        ink_free(s->files[i].name);
    }
    ink_free(s->facts);
    ink_free(s->files);
    *s = (struct ink_training_state){0};
}

/* --------------------------------------------------------------------------------------- facts */

struct ink_training_fact *ink_training_state_find(const struct ink_training_state *s,
                                                  const char *name)
{
    for (int i = 0; i < s->n_facts; i++) {
        if (strcmp(s->facts[i].name, name) == 0) {
            return &s->facts[i];
        }
    }
    return NULL;
}

static int append_fact(struct ink_training_state *s, const char *name, char *value,
                       struct ink_error *error)
{
    if (s->n_facts == INK_MAX_TRAINING_FACTS) {
        return ink_fail(error, INK_ERROR_LIMIT, "%s: \"%s\" has %d entries (limit %d)",
                        INK_TRAINING_STATE_FILE, "arguments", s->n_facts + 1,
                        INK_MAX_TRAINING_FACTS);
    }
    struct ink_training_fact *facts = ink_realloc(s->facts, (size_t)s->n_facts + 1, sizeof *facts);
    char *copy = ink_strdup(name);
    s->facts = facts ? facts : s->facts;
    if (!facts || !copy) {
        ink_free(copy);
        return ink_fail_memory(error, strlen(name));
    }
    s->facts[s->n_facts++] = (struct ink_training_fact){copy, value};
    return INK_OK;
}

int ink_training_state_set(struct ink_training_state *s, const char *name, const char *value,
                           struct ink_error *error)
{
    struct ink_training_fact *fact = ink_training_state_find(s, name);
    char *copy = ink_strdup(value);
    int status = copy ? INK_OK : ink_fail_memory(error, strlen(value));
    if (status == INK_OK && fact) {
        ink_free(fact->value);
        fact->value = copy;
    } else if (status == INK_OK) {
        status = append_fact(s, name, copy, error);
        if (status != INK_OK) {
            ink_free(copy);
        }
    }
    return status;
}

int ink_training_state_set_file(struct ink_training_state *s, const char *name, const char *path,
                                struct ink_error *error)
{
    struct ink_mapping file;
    struct ink_sha256 sha;
    char hex[65], value[128];
    int status = ink_map_file(&file, path, error);
    if (status != INK_OK) {
        return status;
    }
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, file.data, (size_t)file.size);
    ink_sha256_finish(&sha, hex);
    snprintf(value, sizeof value, "%llu bytes, sha256 %s", (unsigned long long)file.size, hex);
    ink_unmap_file(&file);
    return ink_training_state_set(s, name, value, error);
}

int ink_training_state_add_file(struct ink_training_state *s, const char *name, uint64_t n_bytes,
                                struct ink_error *error)
{
    if (s->n_files == INK_MAX_TRAINING_FILES) {
        return ink_fail(error, INK_ERROR_LIMIT, "%s: \"%s\" has %d entries (limit %d)",
                        INK_TRAINING_STATE_FILE, "files", s->n_files + 1, INK_MAX_TRAINING_FILES);
    }
    struct ink_training_file *files = ink_realloc(s->files, (size_t)s->n_files + 1, sizeof *files);
    char *copy = ink_strdup(name);
    s->files = files ? files : s->files;
    if (!files || !copy) {
        ink_free(copy);
        return ink_fail_memory(error, strlen(name));
    }
    s->files[s->n_files++] = (struct ink_training_file){copy, n_bytes};
    return INK_OK;
}

int ink_training_state_compare(const struct ink_training_state *saved,
                               const struct ink_training_state *now, const char *path,
                               struct ink_error *error)
{
    for (int i = 0; i < now->n_facts; i++) {
        const struct ink_training_fact *fact = &now->facts[i];
        const struct ink_training_fact *old = ink_training_state_find(saved, fact->name);
        if (!old || strcmp(old->value, fact->value) != 0) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: cannot go on: \"%s\" was \"%s\" when this was saved, and is "
                            "\"%s\" now",
                            path, fact->name, old ? old->value : "", fact->value);
        }
    }
    for (int i = 0; i < saved->n_facts; i++) {
        const struct ink_training_fact *old = &saved->facts[i];
        if (!ink_training_state_find(now, old->name)) {
            return ink_fail(error, INK_ERROR_ARGUMENT,
                            "%s: cannot go on: \"%s\" was \"%s\" when this was saved, and is "
                            "\"%s\" now",
                            path, old->name, old->value, "");
        }
    }
    return INK_OK;
}

/* ------------------------------------------------------------------------------------ the file */

void ink_training_state_list(struct ink_training_number out[INK_TRAINING_NUMBERS],
                             struct ink_training_state *s)
{
    const struct ink_training_number numbers[INK_TRAINING_NUMBERS] = {
        {"step", &s->step, NULL},         {"epoch", &s->epoch, NULL},
        {"position", &s->position, NULL}, {"loss_steps", &s->loss_steps, NULL},
        {"loss_sum", NULL, &s->loss_sum}, {"total_loss", NULL, &s->total_loss},
        {"seconds", NULL, &s->seconds},
    };
    memcpy(out, numbers, sizeof numbers);
}

static int put_number(struct ink_string *s, const struct ink_training_number *n,
                      struct ink_error *error)
{
    char text[INK_NUMBER_SIZE];
    const bool fits =
        n->count ? *n->count >= 0 && *n->count <= INK_TRAINING_MAX : isfinite(*n->real) != 0;
    if (!fits) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "%s: cannot hold this value of \"%s\"",
                        INK_TRAINING_STATE_FILE, n->key);
    }
    if (n->count) {
        ink_string_printf(s, "  \"%s\": %lld,\n", n->key, (long long)*n->count);
    } else {
        ink_number_from_double(text, *n->real);
        ink_string_printf(s, "  \"%s\": %s,\n", n->key, text);
    }
    return INK_OK;
}

static void put_text(struct ink_string *s, const char *text)
{
    ink_json_append_string(s, text, strlen(text));
}

int ink_training_state_print(const struct ink_training_state *s, struct ink_string *out,
                             struct ink_error *error)
{
    struct ink_training_state copy = *s;
    struct ink_training_number numbers[INK_TRAINING_NUMBERS];
    int status = INK_OK;
    ink_training_state_list(numbers, &copy);
    ink_string_printf(out, "{\n  \"format\": \"%s\",\n  \"version\": %d,\n", INK_TRAINING_FORMAT,
                      INK_TRAINING_VERSION);
    for (int i = 0; i < INK_TRAINING_NUMBERS && status == INK_OK; i++) {
        status = put_number(out, &numbers[i], error);
    }
    ink_string_puts(out, "  \"random\": [");
    for (int i = 0; i < 4; i++) { /* as text: more bits than a double has */
        ink_string_printf(out, "%s\"%016llx\"", i ? ", " : "", (unsigned long long)s->random[i]);
    }
    ink_string_printf(out, "],\n  \"has_optimizer\": %s,\n  \"arguments\": {",
                      s->has_optimizer ? "true" : "false");
    for (int i = 0; i < s->n_facts; i++) {
        ink_string_puts(out, i ? ",\n    " : "\n    ");
        put_text(out, s->facts[i].name);
        ink_string_puts(out, ": ");
        put_text(out, s->facts[i].value);
    }
    ink_string_puts(out, "\n  },\n  \"files\": {");
    for (int i = 0; i < s->n_files; i++) {
        ink_string_puts(out, i ? ",\n    " : "\n    ");
        put_text(out, s->files[i].name);
        ink_string_printf(out, ": %llu", (unsigned long long)s->files[i].n_bytes);
    }
    ink_string_puts(out, "\n  }\n}\n");
    return status;
}

int ink_training_state_write(const struct ink_training_state *s, const char *folder,
                             struct ink_error *error)
{
    struct ink_string text = {0};
    int status = ink_training_state_print(s, &text, error);
    if (status == INK_OK) {
        status = text.failed ? ink_fail_memory(error, text.length)
                             : ink_write_file(folder, INK_TRAINING_STATE_FILE, text.data,
                                              text.length, error);
    }
    ink_string_free(&text);
    return status;
}
