#include "cli.h"

#include <string.h>

static int check_unsupported(const struct ink_options *o, struct ink_error *error)
{
    if (o->lora) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "--lora: not in this version (\"%s\")", o->lora);
    }
    if (o->gpu && strcmp(o->gpu, "auto") != 0 && strcmp(o->gpu, "none") != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "--gpu: this version computes on the CPU only (\"%s\", allowed auto|none)",
                        o->gpu);
    }
    if (ink_options_has(o, INK_OPTION_TYPE_RUN) && strcmp(o->type, "native") != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "--type: this version has native only (\"%s\")",
                        o->type);
    }
    return INK_OK;
}

int ink_cli_open_model(struct ink_model **out, const struct ink_options *o,
                       enum ink_tokenizer_use use, struct ink_error *error)
{
    *out = NULL;
    int status = check_unsupported(o, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_model_options options = {.threads = o->threads,
                                        .cpu_level = o->cpu_level,
                                        .tokenizer_dir = o->tokenizer_dir,
                                        .without_tokenizer = use == INK_TOKENIZER_UNUSED};
    status = ink_model_open(out, o->model, &options, error);
    if (status != INK_OK) {
        return status;
    }
    const struct ink_model_info *info = ink_model_get_info(*out);
    if (use == INK_TOKENIZER_NEEDED && !info->has_tokenizer) {
        ink_model_close(*out);
        *out = NULL;
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: has no tokenizer (--tokenizer DIR names a folder that has one)",
                        o->model);
    }
    if (info->warning) {
        ink_cli_warn(info->warning);
    }
    return INK_OK;
}
