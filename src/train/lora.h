/* LoRA's trainable parameters: with y = W x, a targeted matrix gives y + scale * B (A x), and only
 * A [rank, K] and B [N, rank] are trained. Named, shaped and initialised as PEFT does it: A uniform
 * in ±1 / sqrt(K) (Kaiming's with a = sqrt(5)), B zero; scale = alpha / rank, or with
 * rank-stabilised LoRA alpha / sqrt(rank). */
#ifndef INK_TRAIN_LORA_H
#define INK_TRAIN_LORA_H

#include "parameters.h"

enum { INK_LORA_MAX_RANK = 1024 };

struct ink_lora_settings {
    int rank; /* 1..INK_LORA_MAX_RANK */
    double alpha;
    bool use_rslora;
    unsigned targets; /* bit i: matrix i of a layer (ink_lora_target_name) */
    uint64_t seed;    /* of A */
};

/* "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"; NULL past the end.
 */
const char *ink_lora_target_name(int i);
enum { INK_LORA_ALL_TARGETS = 0x7f };

/* Floats of its parameters: gradients and moments take as much again each. */
uint64_t ink_lora_floats(const struct ink_model *model, const struct ink_lora_settings *settings);

/* For each targeted matrix of the model A, then B, in the model's order. */
int ink_lora_open(struct ink_parameters **out, struct ink_model *model,
                  const struct ink_lora_settings *settings, struct ink_error *error);
/* Replace all values by those of adapter_model.safetensors in `folder`: every tensor must be there,
 * of the same shape, and no other. */
int ink_lora_load(struct ink_parameters *lora, const char *folder, struct ink_error *error);

double ink_lora_scale(const struct ink_lora_settings *settings);

#endif
