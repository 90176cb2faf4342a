#include "cli.h"
#include "file.h"
#include "interrupt.h"
#include "json.h"
#include "progress.h"

#include <string.h>

static int show(void *context, uint64_t done, uint64_t total)
{
    ink_progress_show(context, done, total);
    return ink_interrupt_pending();
}

/* The library tells a file from a folder by the end of the name, exactly. */
static int check_output(const char *path, struct ink_error *error)
{
    static const char small[] = ".gguf", large[] = ".GGUF";
    size_t n = strlen(path), n_end = sizeof small - 1;
    if (strcmp(path, "-") == 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "-o: a model cannot go to standard output; give a folder or a file");
    }
    if (n < n_end || strcmp(path + n - n_end, small) == 0) {
        return INK_OK;
    }
    for (size_t i = 0; i < n_end; i++) {
        char c = path[n - n_end + i];
        if (c != small[i] && c != large[i]) {
            return INK_OK;
        }
    }
    return ink_fail(error, INK_ERROR_ARGUMENT,
                    "-o: \"%s\" would be a folder; write .gguf in small letters for a file", path);
}

/* ------------------------------------------------------------------------------------- a model */

static int write_model(struct ink_model *model, const struct ink_options *o,
                       struct ink_error *error)
{
    struct ink_adapter *adapter;
    struct ink_progress progress;
    int status = ink_cli_open_adapter(&adapter, model, o->lora, error);
    if (status != INK_OK) {
        return status;
    }
    ink_progress_open(&progress, ink_text("writing"), "MB", 1e6);
    status = ink_export_merged(model, adapter, o->output, o->type, show, &progress, error);
    ink_progress_close(&progress);
    ink_adapter_close(adapter);
    return status;
}

static int export_model(const struct ink_options *o, struct ink_error *error)
{
    struct ink_model *model;
    if (o->sources[INK_OPTION_BASE] == INK_FROM_COMMAND) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "--base: \"%s\" is no folder of an adapter",
                        o->model);
    }
    int status = ink_cli_open_model(&model, o, INK_TOKENIZER_WANTED, true, error);
    if (status == INK_OK) {
        ink_interrupt_defer(true);
        status = write_model(model, o, error);
    }
    ink_model_close(model);
    return status;
}

/* ----------------------------------------------------------------------------------- an adapter */

static int write_adapter(const struct ink_options *o, const char *base, struct ink_error *error)
{
    struct ink_options of_base = *o;
    struct ink_model *model;
    struct ink_progress progress;
    of_base.model = base;
    int status = ink_cli_open_model(&model, &of_base, INK_TOKENIZER_UNUSED, true, error);
    if (status != INK_OK) {
        return status;
    }
    ink_interrupt_defer(true);
    ink_progress_open(&progress, ink_text("writing"), "MB", 1e6);
    status = ink_export_adapter(model, o->model, o->output, o->type, show, &progress, error);
    ink_progress_close(&progress);
    ink_model_close(model);
    return status;
}

/* For the model that --base names, or the adapter's configuration. */
static int export_adapter(const struct ink_options *o, const char *config_path,
                          struct ink_error *error)
{
    cJSON *config = NULL;
    const char *base = o->base;
    int status = INK_OK;
    if (o->sources[INK_OPTION_LORA_EXPORT] == INK_FROM_COMMAND) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "--lora: \"%s\" is an adapter, not a model",
                        o->model);
    }
    if (!base) {
        status = ink_json_read_file(&config, config_path, error);
    }
    if (status == INK_OK && !base) {
        status = ink_json_get_string(config, "base_model_name_or_path", false, &base, config_path,
                                     error);
    }
    if (status == INK_OK && !o->base && (!base || ink_path_kind(base) == INK_PATH_NONE)) {
        status = ink_fail(error, INK_ERROR_ARGUMENT,
                          "%s: the adapter's model (\"%s\") is not here; --base MODEL names it",
                          o->model, base ? base : "");
    }
    if (status == INK_OK) {
        status = write_adapter(o, base, error);
    }
    cJSON_Delete(config);
    return status;
}

int ink_command_export(const struct ink_options *o, struct ink_error *error)
{
    if (!o->output) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "-o is missing (see --help)");
    }
    int status = check_output(o->output, error);
    if (status != INK_OK) {
        return status;
    }
    char *config_path = ink_path_join(o->model, "adapter_config.json");
    if (!config_path) {
        return ink_fail_memory(error, strlen(o->model));
    }
    status = ink_path_kind(config_path) == INK_PATH_FILE ? export_adapter(o, config_path, error)
                                                         : export_model(o, error);
    ink_free(config_path);
    return status;
}
