#include "cli.h"
#include "cluster/cluster.h"
#include "file.h"
#include "interrupt.h"

#include <stdlib.h>
#include <string.h>

/* What gave an option its value. */
static const char *origin(const struct ink_options *o, enum ink_option_id id, const char *option,
                          const char *variable)
{
    return o->sources[id] == INK_FROM_ENVIRONMENT ? variable : option;
}

static int check_unsupported(const struct ink_options *o, struct ink_error *error)
{
    if (o->gpu && strcmp(o->gpu, "auto") != 0 && strcmp(o->gpu, "none") != 0) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: this version computes on the CPU only (\"%s\", allowed auto|none)",
                        origin(o, INK_OPTION_GPU, "--gpu", "INKSTONE_GPU"), o->gpu);
    }
    return INK_OK;
}

/* What only the model can tell about the options. */
static int check_model(const struct ink_options *o, const struct ink_model_info *info,
                       enum ink_tokenizer_use use, struct ink_error *error)
{
    if (use == INK_TOKENIZER_NEEDED && !info->has_tokenizer) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: has no tokenizer (--tokenizer DIR names a folder that has one)",
                        o->model);
    }
    if (o->ctx > info->max_positions) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: %d is more than the model's longest context (%d)",
                        o->sources[INK_OPTION_CTX] == INK_FROM_ENVIRONMENT ||
                                o->sources[INK_OPTION_CTX_SERVE] == INK_FROM_ENVIRONMENT ||
                                o->sources[INK_OPTION_CTX_INSPECT] == INK_FROM_ENVIRONMENT
                            ? "INKSTONE_CTX"
                            : "--ctx",
                        o->ctx, info->max_positions);
    }
    return INK_OK;
}

int ink_cli_open_model(struct ink_model **out, const struct ink_options *o,
                       enum ink_tokenizer_use use, bool to_look, struct ink_error *error)
{
    *out = NULL;
    int status = check_unsupported(o, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_model_options options = {.threads = o->threads,
                                        .cpu_level = o->cpu_level,
                                        .weight_type = ink_options_weights(o),
                                        .tokenizer_dir = o->tokenizer_dir,
                                        .without_tokenizer = use == INK_TOKENIZER_UNUSED,
                                        .without_weights = to_look};
    status = ink_model_open(out, o->model, &options, error);
    if (status != INK_OK) {
        return status;
    }
    const struct ink_model_info *info = ink_model_get_info(*out);
    status = check_model(o, info, use, error);
    if (status != INK_OK) {
        ink_model_close(*out);
        *out = NULL;
    } else if (info->warning) {
        ink_cli_warn(info->warning);
    }
    return status;
}

/* The scale after the last colon, where what follows it is a number and DIR:X is not itself a
 * folder; *n is the length of DIR. */
static float split_scale(const char *text, size_t *n)
{
    const char *colon = strrchr(text, ':');
    *n = strlen(text);
    if (!colon || colon == text || ink_path_kind(text) != INK_PATH_NONE || !colon[1] ||
        strspn(colon + 1, "+-.0123456789eE") != strlen(colon + 1)) {
        return 1;
    }
    char *end;
    const float scale = strtof(colon + 1, &end);
    if (*end) {
        return 1;
    }
    *n = (size_t)(colon - text);
    return scale;
}

int ink_cli_open_adapter(struct ink_adapter **out, struct ink_model *model, const char *folder,
                         struct ink_error *error)
{
    *out = NULL;
    if (!folder) {
        return INK_OK;
    }
    size_t n;
    const float scale = split_scale(folder, &n);
    char *path = ink_strndup(folder, n);
    if (!path) {
        return ink_fail_memory(error, n);
    }
    int status = ink_adapter_open(out, model, path, scale, error);
    ink_free(path);
    return status;
}

int ink_cli_fail_too_long(const struct ink_model *model, size_t n, int context,
                          struct ink_error *error)
{
    const struct ink_model_info *info = ink_model_get_info(model);
    if (context == info->max_positions) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "%s: the prompt of %llu tokens is longer than the context of %d, the "
                        "model's maximum",
                        info->path, (unsigned long long)n, context);
    }
    return ink_fail(error, INK_ERROR_LIMIT,
                    "%s: the prompt of %llu tokens is longer than the context of %d (--ctx, at "
                    "most %d)",
                    info->path, (unsigned long long)n, context, info->max_positions);
}

int ink_cli_fail_scores(const struct ink_model *model, struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT,
                    "%s: the model's scores are not numbers; its weights are damaged",
                    ink_model_get_info(model)->path);
}

int ink_cli_open_cluster(struct ink_cluster **out, struct ink_error *error)
{
    int status = ink_cluster_open(out, error);
    if (*out) {
        ink_interrupt_on_end_signals();
    }
    return status;
}

void ink_cli_share_threads(struct ink_options *o)
{
    char machine[256];
    if (!o->cluster || o->threads > 0) {
        return;
    }
    o->threads = ink_cluster_threads(o->cluster);
    const double bound = ink_cluster_bound(o->cluster, machine);
    if (bound < 1) {
        struct ink_error note;
        ink_fail(&note, INK_OK,
                 "the processes on %s may use %.0f %% of its processors; if it was mpirun that "
                 "bound them, --bind-to none lets them use all",
                 machine, 100 * bound);
        ink_cli_warn(note.message);
    }
}
