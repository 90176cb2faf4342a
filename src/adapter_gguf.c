/* Adapters as llama.cpp reads them: a GGUF file of pairs "blk.0.attn_q.weight.lora_a" [rank, cols]
 * and "...lora_b" [rows, rank] with one alpha for all of them; B A counts alpha / rank times, once
 * where alpha is 0. Facts: llama.cpp, src/llama-adapter.cpp and convert_lora_to_gguf.py. */
#include "adapter_source.h"

#include "gguf.h"

#include <stdio.h>
#include <string.h>

static const double max_alpha = 1e9;

/* The string of `key` must be `wanted`. */
static int check_string(const struct ink_adapter_source *s, const char *key, const char *wanted,
                        struct ink_error *error)
{
    struct ink_gguf_string value = {NULL, 0};
    int status = ink_gguf_get_string(s->weights.gguf, key, true, &value, error);
    if (status == INK_OK &&
        (value.n != strlen(wanted) || memcmp(value.data, wanted, value.n) != 0)) {
        char shown[64];
        snprintf(shown, sizeof shown, "%.*s", value.n < sizeof shown ? (int)value.n : 63,
                 value.data);
        return ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is \"%s\", not \"%s\"", s->path, key,
                        shown, wanted);
    }
    return status;
}

static int read_metadata(struct ink_adapter_source *s, struct ink_error *error)
{
    static const char invocation[] = "adapter.alora.invocation_tokens";
    if (!s->weights.gguf) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: neither an adapter's folder nor a GGUF file of one", s->path);
    }
    int status = check_string(s, "general.type", "adapter", error);
    if (status == INK_OK) {
        status = check_string(s, "adapter.type", "lora", error);
    }
    if (status == INK_OK) {
        status = check_string(s, "general.architecture", s->model->info.architecture, error);
    }
    if (status == INK_OK && ink_gguf_array_length(s->weights.gguf, invocation) >= 0) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: \"%s\" is set, which is not supported",
                          s->path, invocation);
    }
    return status == INK_OK ? ink_gguf_get_float(s->weights.gguf, "adapter.lora.alpha", -max_alpha,
                                                 max_alpha, false, &s->alpha, error)
                            : status;
}

int ink_adapter_read_gguf(struct ink_adapter_source *s, struct ink_adapter_place *p,
                          struct ink_error *error)
{
    char a_name[96], b_name[96];
    ink_adapter_gguf_name(a_name, sizeof a_name, p, 'a');
    ink_adapter_gguf_name(b_name, sizeof b_name, p, 'b');
    p->a = ink_adapter_use_tensor(s, a_name);
    p->b = ink_adapter_use_tensor(s, b_name);
    if (!p->a != !p->b) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", s->path,
                        p->a ? b_name : a_name);
    }
    if (!p->a) {
        return INK_OK;
    }
    if (p->a->shape[0] > INK_MAX_RANK) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" has rank %lld (limit %d)",
                        s->path, a_name, (long long)p->a->shape[0], INK_MAX_RANK);
    }
    p->rank = (int)p->a->shape[0];
    p->scale = s->alpha != 0 ? s->alpha / (double)p->rank : 1;
    return INK_OK;
}

int ink_adapter_open_gguf(struct ink_adapter_source *s, struct ink_error *error)
{
    s->weights_path = ink_strdup(s->path);
    s->config_path = ink_strdup(s->path);
    if (!s->weights_path || !s->config_path) {
        return ink_fail_memory(error, strlen(s->path));
    }
    int status = ink_adapter_open_weights(s, error);
    return status == INK_OK ? read_metadata(s, error) : status;
}
