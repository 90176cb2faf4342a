/* The numbers that training changes: float32 master copies of a model's weights, and the gradient
 * of each. */
#ifndef INK_TRAIN_PARAMETERS_H
#define INK_TRAIN_PARAMETERS_H

#include "model.h"

struct ink_parameter {
    char *name;                      /* as in Hugging Face folders */
    int rows, cols;                  /* a matrix [rows, cols]; a vector [cols] has rows 1 */
    bool is_vector;                  /* gains and biases, which weight decay leaves alone */
    float *value;                    /* [rows, cols] */
    float *gradient;                 /* the same; NULL: it is frozen */
    const struct ink_weight *weight; /* of the model */
};

struct ink_parameters {
    struct ink_parameter *list; /* [n], in the model's forward order */
    int n;
    uint64_t n_values;         /* of all */
    float *values, *gradients; /* [n_values]: those of the list lie in them one after the other,
                                  each from a multiple of 16 on; the gaps are 0 */
};

/* Floats of values, gaps among them: gradients take as much again. */
uint64_t ink_parameters_floats(const struct ink_model *model);

/* Copies of the model's weights, widened to float32. The model must stay open; it may be open
 * without weights. with_gradients: else all are frozen, as under LoRA. */
int ink_parameters_open(struct ink_parameters **out, struct ink_model *model, bool with_gradients,
                        struct ink_error *error);
void ink_parameters_close(struct ink_parameters *p);

/* That of a weight of the model; NULL if the model has no such weight (a bias, say). */
struct ink_parameter *ink_parameters_find(const struct ink_parameters *p,
                                          const struct ink_weight *weight);

#endif
