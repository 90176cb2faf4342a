#include "checkpoint_internal.h"

#include "quant.h"
#include "weights.h"

#include <stdio.h>
#include <string.h>

/* The tensors of a checkpoint's two files. In memory and in optimizer.safetensors rows lie as the
 * model has them; where the model came from a Llama GGUF, whose rotary pairs are (2i, 2i+1), those
 * of q and k change to the (i, i + d/2) of Llama folders in the files that others read. */

/* Names: the longest prefix, and a tensor's own. */
#define NAME_SIZE (INK_MAX_TENSOR_NAME + 1)

static const char *const prefixes[] = {"master.", "exp_avg.", "exp_avg_sq."};

const char *ink_checkpoint_weights_name(const struct ink_checkpoint *c)
{
    return c->lora ? "adapter_model.safetensors" : "model.safetensors";
}

static enum ink_type weights_type(const struct ink_checkpoint *c)
{
    return c->is_bf16 ? INK_TYPE_BF16 : INK_TYPE_F32;
}

static uint64_t count_values(const struct ink_checkpoint_tensor *t)
{
    return (uint64_t)t->rows * (uint64_t)t->cols;
}

uint64_t ink_checkpoint_tensor_bytes(const struct ink_checkpoint *c)
{
    uint64_t values = 0;
    const uint64_t own = c->is_bf16 ? 2 : 4;
    const uint64_t optimizer = c->without_optimizer ? 0 : c->is_bf16 ? 12 : 8;
    for (int i = 0; i < c->n_tensors; i++) {
        values += count_values(&c->tensors[i]);
    }
    return values * (own + optimizer) + 4 * (uint64_t)c->n_tensors * NAME_SIZE;
}

/* ---------------------------------------------------------------------------------- rows of heads
 */

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* The heads' size where the rows of a tensor change order in the weights' file, else 0. Of LoRA's
 * two matrices B has the rows of the sum. A bias is one "row" of the values that change. */
static int permuted_head(const struct ink_checkpoint *c, const struct ink_checkpoint_tensor *t)
{
    const struct ink_architecture *a = &c->model->architecture;
    const bool is_rotary =
        strstr(t->name, ".self_attn.q_proj.") || strstr(t->name, ".self_attn.k_proj.");
    return a->is_llama && !a->rope_half && is_rotary && !ends_with(t->name, ".lora_A.weight")
               ? a->head_dim
               : 0;
}

/* Which of memory's rows is row r of the file. */
static uint64_t memory_row(uint64_t r, uint64_t head_dim)
{
    const uint64_t half = head_dim / 2, i = r % head_dim;
    return r - i + (i < half ? 2 * i : 2 * (i - half) + 1);
}

/* -------------------------------------------------------------------------------------- writing */

struct output {
    const struct ink_checkpoint *c;
    struct ink_writer writer;
    struct ink_error *error;
};

enum { piece = 65536 };

static int put_values(struct output *o, const float *values, uint64_t n, enum ink_type type)
{
    static const int step = piece / (int)sizeof(float);
    unsigned char bytes[piece];
    int status = INK_OK;
    for (uint64_t at = 0; at < n && status == INK_OK; at += (uint64_t)step) {
        const uint64_t count = n - at < (uint64_t)step ? n - at : (uint64_t)step;
        status = ink_writer_put(&o->writer, bytes, ink_narrow(bytes, values + at, type, count),
                                o->error);
    }
    return status;
}

static int put_weight(struct output *o, int i)
{
    const struct ink_checkpoint_tensor *t = &o->c->tensors[i];
    const float *values = o->c->place(o->c->context, i, INK_CHECKPOINT_VALUE);
    const uint64_t head_dim = (uint64_t)permuted_head(o->c, t);
    const uint64_t n = count_values(t), width = t->is_vector ? 1 : (uint64_t)t->cols;
    int status = INK_OK;
    if (head_dim == 0) {
        return put_values(o, values, n, weights_type(o->c));
    }
    for (uint64_t r = 0; r < n / width && status == INK_OK; r++) {
        status = put_values(o, values + memory_row(r, head_dim) * width, width, weights_type(o->c));
    }
    return status;
}

/* Entries of one file: `tensors` shapes under names that start with the prefix. */
struct header {
    struct ink_safetensors_entry *entries;
    char (*names)[NAME_SIZE];
    int64_t (*shapes)[2];
    int n;
};

static void add_entry(struct header *h, const struct ink_checkpoint_tensor *t, const char *prefix,
                      enum ink_type type)
{
    const int i = h->n++;
    snprintf(h->names[i], NAME_SIZE, "%s%s", prefix, t->name);
    h->shapes[i][0] = t->is_vector ? t->cols : t->rows;
    h->shapes[i][1] = t->cols;
    h->entries[i] =
        (struct ink_safetensors_entry){h->names[i], type, h->shapes[i], t->is_vector ? 1 : 2};
}

/* Parts first..last - 1 of optimizer.safetensors, or the weights' file (first == last). */
static int put_header(struct output *o, int first, int last)
{
    const struct ink_checkpoint *c = o->c;
    const size_t n = (size_t)c->n_tensors * (size_t)(first < last ? last - first : 1);
    struct header h = {ink_calloc(n, sizeof *h.entries), ink_calloc(n, sizeof *h.names),
                       ink_calloc(n, sizeof *h.shapes), 0};
    struct ink_string text = {0};
    int status =
        h.entries && h.names && h.shapes ? INK_OK : ink_fail_memory(o->error, n * sizeof *h.names);
    for (int i = 0; i < c->n_tensors && status == INK_OK && first == last; i++) {
        add_entry(&h, &c->tensors[i], "", weights_type(c));
    }
    for (int part = first; part < last && status == INK_OK; part++) {
        for (int i = 0; i < c->n_tensors; i++) {
            add_entry(&h, &c->tensors[i], prefixes[part], INK_TYPE_F32);
        }
    }
    if (status == INK_OK) {
        status = ink_safetensors_make_header(&text, h.entries, h.n, o->error);
    }
    if (status == INK_OK) {
        status = ink_writer_put(&o->writer, text.data, text.length, o->error);
    }
    ink_string_free(&text);
    ink_free(h.entries);
    ink_free(h.names);
    ink_free(h.shapes);
    return status;
}

static int put_optimizer(struct output *o, int first)
{
    int status = put_header(o, first, INK_CHECKPOINT_SQUARE + 1);
    for (int part = first; part <= INK_CHECKPOINT_SQUARE; part++) {
        for (int i = 0; i < o->c->n_tensors && status == INK_OK; i++) {
            const float *values = o->c->place(o->c->context, i, (enum ink_checkpoint_part)part);
            status = put_values(o, values, count_values(&o->c->tensors[i]), INK_TYPE_F32);
        }
    }
    return status;
}

static int put_weights(struct output *o)
{
    int status = put_header(o, 0, 0);
    for (int i = 0; i < o->c->n_tensors && status == INK_OK; i++) {
        status = put_weight(o, i);
    }
    return status;
}

static int put_file(const struct ink_checkpoint *c, const char *folder, const char *name,
                    struct ink_error *error)
{
    struct output o = {.c = c, .error = error};
    char *path = ink_path_join(folder, name);
    int status =
        path ? ink_writer_open(&o.writer, path, error) : ink_fail_memory(error, strlen(folder));
    if (status == INK_OK && strcmp(name, INK_CHECKPOINT_OPTIMIZER_FILE) == 0) {
        status = put_optimizer(&o, c->is_bf16 ? INK_CHECKPOINT_VALUE : INK_CHECKPOINT_MEAN);
    } else if (status == INK_OK) {
        status = put_weights(&o);
    }
    if (status == INK_OK) {
        status = ink_writer_commit(&o.writer, error);
    }
    ink_writer_close(&o.writer);
    ink_free(path);
    return status;
}

int ink_checkpoint_put_tensors(const struct ink_checkpoint *c, const char *folder,
                               struct ink_error *error)
{
    int status = INK_OK;
    for (int i = 0; i < c->n_tensors && status == INK_OK; i++) {
        const size_t n = strlen(c->tensors[i].name);
        if (n == 0 || n > INK_MAX_TENSOR_NAME - 16) {
            status = ink_fail(error, INK_ERROR_ARGUMENT,
                              "%s: a tensor's name has %llu bytes (1 to %d are allowed)", folder,
                              (unsigned long long)n, INK_MAX_TENSOR_NAME - 16);
        }
    }
    if (status == INK_OK) {
        status = put_file(c, folder, ink_checkpoint_weights_name(c), error);
    }
    return status == INK_OK && !c->without_optimizer
               ? put_file(c, folder, INK_CHECKPOINT_OPTIMIZER_FILE, error)
               : status;
}

/* ------------------------------------------------------------------------------------- loading */

/* An open file of tensors, of which so many were asked for. */
struct input {
    const struct ink_checkpoint *c;
    struct ink_weights weights;
    char *path;
    int n_found;
    struct ink_error *error;
};

static int open_input(struct input *in, const struct ink_checkpoint *c, const char *folder,
                      const char *name, struct ink_error *error)
{
    *in = (struct input){.c = c, .path = ink_path_join(folder, name), .error = error};
    return in->path ? ink_weights_open(&in->weights, in->path, error)
                    : ink_fail_memory(error, strlen(folder));
}

static void close_input(struct input *in)
{
    ink_weights_close(&in->weights);
    ink_free(in->path);
}

/* Every tensor of the file must have been asked for. */
static int check_rest(const struct input *in)
{
    return in->n_found == in->weights.n_tensors
               ? INK_OK
               : ink_fail(in->error, INK_ERROR_INPUT,
                          "%s: has %d tensors, and this training knows %d of them", in->path,
                          in->weights.n_tensors, in->n_found);
}

static bool has_shape(const struct ink_tensor *found, const struct ink_checkpoint_tensor *t)
{
    return t->is_vector
               ? found->n_dims == 1 && found->shape[0] == t->cols
               : found->n_dims == 2 && found->shape[0] == t->rows && found->shape[1] == t->cols;
}

static int find(struct input *in, const struct ink_tensor **out, int i, const char *prefix)
{
    const struct ink_checkpoint_tensor *t = &in->c->tensors[i];
    char name[2 * NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", prefix, t->name);
    *out = ink_weights_find(&in->weights, name);
    if (!*out) {
        return ink_fail(in->error, INK_ERROR_INPUT, "%s: tensor \"%s\" is missing", in->path, name);
    }
    if (!has_shape(*out, t)) {
        return ink_fail(in->error, INK_ERROR_INPUT,
                        "%s: tensor \"%s\" has not the shape [%d, %d] of this training's", in->path,
                        name, t->rows, t->cols);
    }
    in->n_found++;
    return INK_OK;
}

/* Let go of the file's pages behind what was read. */
static void copy_values(float *out, const struct ink_tensor *t)
{
    ink_dequantize(out, t->data, t->type, ink_tensor_count(t));
    ink_release_mapped(t->data, (size_t)t->n_bytes);
}

static int load_weight(struct input *in, int i)
{
    const struct ink_checkpoint_tensor *shape = &in->c->tensors[i];
    float *values = in->c->place(in->c->context, i, INK_CHECKPOINT_VALUE);
    const uint64_t head_dim = (uint64_t)permuted_head(in->c, shape);
    const uint64_t width = shape->is_vector ? 1 : (uint64_t)shape->cols;
    const struct ink_tensor *t;
    int status = find(in, &t, i, "");
    if (status != INK_OK || head_dim == 0) {
        if (status == INK_OK) {
            copy_values(values, t);
        }
        return status;
    }
    const size_t row_bytes = (size_t)width * (size_t)ink_type_facts(t->type)->block_bytes;
    for (uint64_t r = 0; r < count_values(shape) / width; r++) {
        ink_dequantize(values + memory_row(r, head_dim) * width,
                       (const char *)t->data + r * row_bytes, t->type, width);
    }
    return INK_OK;
}

static int load_weights(const struct ink_checkpoint *c, const char *folder, struct ink_error *error)
{
    struct input in;
    int status = open_input(&in, c, folder, ink_checkpoint_weights_name(c), error);
    for (int i = 0; i < c->n_tensors && status == INK_OK; i++) {
        status = load_weight(&in, i);
    }
    if (status == INK_OK) {
        status = check_rest(&in);
    }
    close_input(&in);
    return status;
}

/* The moments, and the unrounded values if there are some, over those of the weights' file. */
static int load_optimizer(const struct ink_checkpoint *c, const char *folder,
                          struct ink_error *error)
{
    struct input in;
    int status = open_input(&in, c, folder, INK_CHECKPOINT_OPTIMIZER_FILE, error);
    const bool has_masters = status == INK_OK && in.weights.n_tensors > 2 * c->n_tensors;
    const int first = has_masters ? INK_CHECKPOINT_VALUE : INK_CHECKPOINT_MEAN;
    for (int part = first; part <= INK_CHECKPOINT_SQUARE; part++) {
        for (int i = 0; i < c->n_tensors && status == INK_OK; i++) {
            const struct ink_tensor *t;
            status = find(&in, &t, i, prefixes[part]);
            if (status == INK_OK && t->type != INK_TYPE_F32) {
                status = ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%s\" is not float32",
                                  in.path, t->name);
            } else if (status == INK_OK) {
                copy_values(c->place(c->context, i, (enum ink_checkpoint_part)part), t);
            }
        }
    }
    if (status == INK_OK) {
        status = check_rest(&in);
    }
    close_input(&in);
    return status;
}

int ink_checkpoint_load(const struct ink_checkpoint *c, const char *path, struct ink_error *error)
{
    int status = load_weights(c, path, error);
    return status == INK_OK && !c->without_optimizer ? load_optimizer(c, path, error) : status;
}
