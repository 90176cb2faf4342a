/* The numbers that training reads and changes: a model's weights or a LoRA adapter's, and the
 * gradient of each that is trained. */
#ifndef INK_TRAIN_PARAMETERS_H
#define INK_TRAIN_PARAMETERS_H

#include "gemm.h"
#include "model.h"

struct ink_parameter {
    char *name;                      /* as in Hugging Face folders, or in PEFT's adapters */
    struct ink_gemm_matrix matrix;   /* its shape and values; a vector is one row */
    bool is_vector;                  /* gains and biases, which weight decay leaves alone */
    float *value;                    /* [rows, cols]; NULL: a frozen matrix, not in float32 */
    float *gradient;                 /* the same; NULL: it is frozen */
    const struct ink_weight *weight; /* of the model; an adapter's: that which it changes */
};

struct ink_parameters {
    struct ink_parameter *list; /* [n], in the model's forward order */
    int n;
    uint64_t n_values; /* floats of those of the list that have them */
    float *values;     /* [n_values]: those of the list lie in them one after the other,
                          each from a multiple of 16 on; the gaps are 0 */
    uint64_t n_gradients;
    float *gradients;    /* [n_gradients]: the same of those that have gradients */
    unsigned char *int8; /* frozen matrices as blocks of Q8_0, or NULL */
};

/* What is made of a model's weights. */
enum ink_base {
    INK_BASE_TRAINED, /* all in float32, with gradients */
    INK_BASE_FACTORS, /* the same, but gradients of vectors only: see network.h */
    INK_BASE_FROZEN,  /* matrices as they are in the file, widened to float32 piece by piece */
    INK_BASE_INT8,    /* the same, after rounding matrices to Q8_0 (where their width allows) */
};

/* Bytes that the parameters of a model take, gradients among them. */
uint64_t ink_parameters_bytes(const struct ink_model *model, enum ink_base base);

/* The model must stay open; it may be open without weights. The values of one that has no tensors'
 * data (ink_model_open_new) are 0. */
int ink_parameters_open(struct ink_parameters **out, struct ink_model *model, enum ink_base base,
                        struct ink_error *error);
void ink_parameters_close(struct ink_parameters *p);

/* That of a weight of the model; NULL if the model has no such weight (a bias, say). */
struct ink_parameter *ink_parameters_find(const struct ink_parameters *p,
                                          const struct ink_weight *weight);

struct ink_parameter *ink_parameters_find_name(const struct ink_parameters *p, const char *name);

/* For whoever makes others than a model's: room for n parameters, n_values floats in all, each
 * padded as above (ink_parameters_padded), and for gradients of as many or of none. */
int ink_parameters_new(struct ink_parameters **out, int n, uint64_t n_values, uint64_t n_gradients,
                       struct ink_error *error);
uint64_t ink_parameters_padded(uint64_t n_values);
/* Memory of that size: zero-filled, in large pages where there are. Free with ink_free_aligned. */
void *ink_parameters_allocate(uint64_t bytes, struct ink_error *error);
/* Append one with values (0) and a gradient, if there are any. The name is copied. */
int ink_parameters_add(struct ink_parameters *p, const char *name, int rows, int cols,
                       const struct ink_weight *weight, struct ink_error *error);

#endif
