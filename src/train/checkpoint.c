#include "checkpoint_internal.h"

#include "export_files.h"
#include "json.h"
#include "number.h"

#include <string.h>

/* ---------------------------------------------------------------------------- adapter_config.json
 */

static void put_text(struct ink_string *s, const char *text)
{
    ink_json_append_ascii(s, text, strlen(text));
}

/* PEFT writes whole alphas as integers. */
static void put_number(struct ink_string *s, double value)
{
    char text[INK_NUMBER_SIZE];
    ink_number_from_double(text, value);
    const size_t n = strlen(text);
    if (n > 2 && strcmp(text + n - 2, ".0") == 0) {
        text[n - 2] = '\0';
    }
    ink_string_puts(s, text);
}

/* What every version of PEFT since 0.3 reads; json.dumps(indent=2, sort_keys=True), as it writes.
 * use_rslora is newer, and left out where it is false. */
static void put_adapter_config(struct ink_string *s, const struct ink_checkpoint_lora *lora)
{
    char dropout[INK_NUMBER_SIZE];
    ink_number_from_double(dropout, lora->dropout);
    ink_string_puts(s, "{\n  \"alpha_pattern\": {},\n  \"base_model_name_or_path\": ");
    put_text(s, lora->base);
    ink_string_puts(s, ",\n  \"bias\": \"none\",\n  \"fan_in_fan_out\": false,\n"
                       "  \"inference_mode\": true,\n  \"init_lora_weights\": true,\n"
                       "  \"layers_pattern\": null,\n  \"layers_to_transform\": null,\n"
                       "  \"lora_alpha\": ");
    put_number(s, lora->alpha);
    ink_string_printf(s,
                      ",\n  \"lora_dropout\": %s,\n  \"modules_to_save\": null,\n"
                      "  \"peft_type\": \"LORA\",\n  \"r\": %d,\n  \"rank_pattern\": {},\n"
                      "  \"revision\": null,\n  \"target_modules\": [",
                      dropout, lora->rank);
    for (int i = 0; i < lora->n_targets; i++) {
        ink_string_puts(s, i ? ",\n    " : "\n    ");
        put_text(s, lora->targets[i]);
    }
    ink_string_printf(s, "\n  ],\n  \"task_type\": \"CAUSAL_LM\"%s\n}\n",
                      lora->use_rslora ? ",\n  \"use_rslora\": true" : "");
}

static int put_adapter_files(const struct ink_checkpoint *c, const char *folder,
                             struct ink_error *error)
{
    struct ink_string text = {0};
    put_adapter_config(&text, c->lora);
    int status = text.failed
                     ? ink_fail_memory(error, text.length)
                     : ink_write_file(folder, "adapter_config.json", text.data, text.length, error);
    ink_string_free(&text);
    return status == INK_OK && c->model->tokenizer
               ? ink_export_put_tokenizer(c->model, folder, error)
               : status;
}

/* -------------------------------------------------------------------------------- all its files */

struct listing {
    struct ink_training_state *state;
    const char *folder;
    struct ink_error *error;
};

static int list_file(void *context, const char *name)
{
    struct listing *l = context;
    char *path = ink_path_join(l->folder, name);
    uint64_t n_bytes = 0;
    int status = path ? INK_OK : ink_fail_memory(l->error, strlen(name));
    if (path && ink_file_size(path, &n_bytes)) {
        status = ink_training_state_add_file(l->state, name, n_bytes, l->error);
    }
    ink_free(path);
    return status;
}

/* The state with the folder's files. The facts are lent. */
static int put_state(const struct ink_checkpoint *c, const char *folder, struct ink_error *error)
{
    struct ink_training_state state = *c->state;
    struct listing l = {&state, folder, error};
    state.files = NULL;
    state.n_files = 0;
    state.has_optimizer = !c->without_optimizer;
    int status = ink_visit_folder(folder, list_file, &l, error);
    if (status == INK_OK) {
        status = ink_training_state_write(&state, folder, error);
    }
    state.facts = NULL;
    state.n_facts = 0;
    ink_training_state_close(&state);
    return status;
}

static int put_files(const struct ink_checkpoint *c, const char *folder, struct ink_error *error)
{
    const enum ink_type type = c->is_bf16 ? INK_TYPE_BF16 : INK_TYPE_F32;
    int status = c->lora ? put_adapter_files(c, folder, error)
                         : ink_export_put_files(c->model, type, folder, error);
    if (status == INK_OK) {
        status = ink_checkpoint_put_tensors(c, folder, error);
    }
    if (status == INK_OK) {
        status = ink_history_write(c->history, folder, error);
    }
    return status == INK_OK ? put_state(c, folder, error) : status;
}

/* ------------------------------------------------------------------------------------- writing */

uint64_t ink_checkpoint_bytes(const struct ink_checkpoint *c)
{
    const struct ink_tokenizer *t = c->model->tokenizer;
    return ink_checkpoint_tensor_bytes(c) + (t ? ink_tokenizer_get_facts(t)->n_model_proto : 0) +
           (1u << 20) + (c->history ? (uint64_t)c->history->n_rows * 192 : 0);
}

static int check_room(const struct ink_checkpoint *c, const char *run_folder,
                      struct ink_error *error)
{
    const uint64_t needed = ink_checkpoint_bytes(c), there = ink_free_space(run_folder);
    return needed <= there
               ? INK_OK
               : ink_fail(error, INK_ERROR_SYSTEM,
                          "%s: not enough room for a checkpoint: %llu bytes needed, "
                          "%llu free",
                          run_folder, (unsigned long long)needed, (unsigned long long)there);
}

/* A folder cannot be renamed over another: what has the name goes out of the way first, under one
 * that ink_checkpoint_find knows. */
static int take_place(const char *from, const char *to, const char *aside, struct ink_error *error)
{
    int status = INK_OK;
    if (ink_checkpoint_is_ours(to)) {
        ink_remove_folder(aside);
        status = ink_rename_folder(to, aside, error);
    }
    if (status == INK_OK) {
        status = ink_rename_folder(from, to, error);
    }
    if (status == INK_OK && ink_path_kind(aside) == INK_PATH_FOLDER) {
        ink_remove_folder(aside);
    }
    return status;
}

static int write_in(const struct ink_checkpoint *c, const char *run_folder, const char *folder,
                    struct ink_error *error)
{
    char *place = ink_checkpoint_path(run_folder, INK_CHECKPOINT_PREFIX, c->state->step);
    char *aside = ink_checkpoint_path(run_folder, INK_CHECKPOINT_OLD, c->state->step);
    int status = place && aside ? ink_make_folder(folder, error)
                                : ink_fail_memory(error, strlen(run_folder));
    if (status == INK_OK) {
        status = put_files(c, folder, error);
        if (status == INK_OK) {
            status = take_place(folder, place, aside, error);
        }
        if (status != INK_OK) {
            ink_remove_folder(folder);
        }
    }
    ink_free(place);
    ink_free(aside);
    return status;
}

int ink_checkpoint_write(const struct ink_checkpoint *c, const char *run_folder, int limit,
                         char **path, struct ink_error *error)
{
    char *folder = ink_checkpoint_path(run_folder, INK_CHECKPOINT_NEW, c->state->step);
    char *place = ink_checkpoint_path(run_folder, INK_CHECKPOINT_PREFIX, c->state->step);
    int status = folder && place ? ink_make_folder(run_folder, error)
                                 : ink_fail_memory(error, strlen(run_folder));
    if (status == INK_OK) {
        status = ink_checkpoint_clean(run_folder, error);
    }
    if (status == INK_OK) {
        status = check_room(c, run_folder, error);
    }
    if (status == INK_OK) {
        status = write_in(c, run_folder, folder, error);
    }
    if (status == INK_OK) {
        status = ink_checkpoint_rotate(run_folder, c->state->step, limit, error);
    }
    if (status == INK_OK && path) {
        *path = place;
        place = NULL;
    }
    ink_free(folder);
    ink_free(place);
    return status;
}
