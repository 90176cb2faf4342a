/* adapter_config.json of PEFT: which matrices a LoRA adapter changes, with what rank and scale. */
#ifndef INK_ADAPTER_CONFIG_H
#define INK_ADAPTER_CONFIG_H

#include "json.h"

struct ink_adapter_config {
    cJSON *root;      /* what the rest points into */
    const char *path; /* the caller's, for messages */
    int max_rank;
    int rank;
    float alpha;
    bool use_rslora;
    const cJSON *targets;                      /* strings, or NULL if text says it */
    const char *text;                          /* "all-linear", or a regular expression */
    const cJSON *excluded;                     /* strings, or NULL */
    const cJSON *layers;                       /* a number, a list of numbers, or NULL: all */
    const cJSON *rank_pattern, *alpha_pattern; /* objects of numbers by module, or NULL */
};

/* Read the file. Refuses, by the field's name, what is no LoRA or needs more than low-rank terms
 * (DoRA, biases, saved modules, ...), ranks outside 1..max_rank, patterns that are regular
 * expressions, and lists of more than max_entries. Close it in any case. */
int ink_adapter_config_read(struct ink_adapter_config *out, const char *path, int max_rank,
                            int max_entries, struct ink_error *error);
void ink_adapter_config_close(struct ink_adapter_config *c);

/* Is `module` ("self_attn.q_proj", "layers.0.self_attn.q_proj", ...) what `name` means: the same,
 * or its end after a dot? */
bool ink_adapter_name_matches(const char *name, const char *module);

enum ink_adapter_choice {
    INK_ADAPTER_LEAVES,
    INK_ADAPTER_TARGETS,
    INK_ADAPTER_MAY_TARGET, /* a regular expression decides, which is not evaluated: look whether
                               there are tensors */
};
/* Of a module by its full name ("model.layers.0.self_attn.q_proj"), in a layer. */
enum ink_adapter_choice ink_adapter_config_choose(const struct ink_adapter_config *c,
                                                  const char *module, int layer);
int ink_adapter_config_rank(const struct ink_adapter_config *c, const char *module);
/* alpha / r, or alpha / sqrt(r). */
double ink_adapter_config_scale(const struct ink_adapter_config *c, const char *module);

#endif
