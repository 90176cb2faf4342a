#include "forward.h"

/* Shapes: r rows of the batch, H hidden, A = n_heads * D, G = n_kv_heads * D, I intermediate.
 * A matrix W [out, in] acts on each row: y = W x. */

static void keys_and_values(const struct ink_lane *l, const struct ink_layer *w)
{
    const struct ink_backend *b = l->backend;
    b->matmul(l, INK_KEY, &w->key, &w->key_bias, INK_NORMED);       /* [r, G] */
    b->matmul(l, INK_VALUE, &w->value, &w->value_bias, INK_NORMED); /* [r, G] */
}

/* From the query on. */
static void attention(const struct ink_lane *l, const struct ink_layer *w, int layer)
{
    const struct ink_backend *b = l->backend;
    b->rotate(l);
    b->sync(l);
    b->attend(l, layer); /* [r, A] */
    b->sync(l);
    b->matmul_add(l, INK_RESIDUAL, &w->output, &w->output_bias, INK_ATTENTION); /* [r, H] */
    b->sync(l);
}

static void attention_block(const struct ink_lane *l, const struct ink_layer *w, int layer,
                            float eps)
{
    const struct ink_backend *b = l->backend;
    b->norm(l, INK_NORMED, INK_RESIDUAL, &w->attention_norm, eps); /* [r, H] */
    b->sync(l);
    b->matmul(l, INK_QUERY, &w->query, &w->query_bias, INK_NORMED); /* [r, A] */
    keys_and_values(l, w);
    b->sync(l);
    b->store(l, layer);
    attention(l, w, layer);
}

/* What the last layer has to do for rows that are no output: their keys and values. The outputs'
 * rows move to the front of the residual stream. */
static void last_keys_and_values(const struct ink_lane *l, const struct ink_layer *w, int layer,
                                 float eps)
{
    const struct ink_backend *b = l->backend;
    b->norm(l, INK_NORMED, INK_RESIDUAL, &w->attention_norm, eps); /* [r, H] */
    b->sync(l);
    keys_and_values(l, w);
    b->sync(l);
    b->store(l, layer);
    b->select(l, INK_RESIDUAL, INK_RESIDUAL); /* [outputs, H] */
    b->sync(l);
}

/* The rest of it, for the batch of the outputs. */
static void last_attention(const struct ink_lane *l, const struct ink_layer *w, int layer,
                           float eps)
{
    const struct ink_backend *b = l->backend;
    b->positions(l);
    b->norm(l, INK_NORMED, INK_RESIDUAL, &w->attention_norm, eps); /* [r, H] */
    b->sync(l);
    b->matmul(l, INK_QUERY, &w->query, &w->query_bias, INK_NORMED); /* [r, A] */
    b->sync(l);
    attention(l, w, layer);
}

static void mlp_block(const struct ink_lane *l, const struct ink_layer *w, float eps)
{
    const struct ink_backend *b = l->backend;
    b->norm(l, INK_NORMED, INK_RESIDUAL, &w->mlp_norm, eps); /* [r, H] */
    b->sync(l);
    b->matmul(l, INK_GATE, &w->gate, &w->gate_bias, INK_NORMED); /* [r, I] */
    b->matmul(l, INK_UP, &w->up, &w->up_bias, INK_NORMED);       /* [r, I] */
    b->sync(l);
    b->swiglu(l, INK_GATE, INK_UP); /* [r, I] */
    b->sync(l);
    b->matmul_add(l, INK_RESIDUAL, &w->down, &w->down_bias, INK_GATE); /* [r, H] */
    b->sync(l);
}

static void pass(const struct ink_lane *l, const void *context)
{
    const struct ink_model *m = context;
    const struct ink_backend *b = l->backend;
    const int last = m->architecture.n_layers - 1;
    float eps = m->architecture.norm_eps;
    struct ink_lane rows = *l; /* in the end those whose logits are wanted */
    b->positions(l);
    b->embed(l, INK_RESIDUAL, &m->embedding); /* [r, H] */
    b->sync(l);
    b->tap(l, 0, INK_RESIDUAL);
    for (int i = 0; i <= last; i++) {
        if (i < last || !l->batch->outputs) {
            attention_block(l, &m->layers[i], i, eps);
        } else {
            last_keys_and_values(l, &m->layers[i], i, eps);
            rows.batch = l->batch->outputs;
            if (rows.batch->n_rows == 0) {
                return;
            }
            last_attention(&rows, &m->layers[i], i, eps);
        }
        mlp_block(&rows, &m->layers[i], eps);
        b->tap(&rows, i + 1, INK_RESIDUAL);
    }
    b->select(&rows, INK_SELECTED, INK_RESIDUAL); /* [outputs, H] */
    b->sync(l);
    b->norm(l, INK_SELECTED, INK_SELECTED, &m->final_norm, eps);
    b->sync(l);
    b->head(l, m->architecture.tied_head ? &m->embedding : &m->head); /* [outputs, V] */
}

void ink_forward(const struct ink_model *model, const struct ink_batch *batch)
{
    model->backend->run(model->backend, batch, pass, model);
}
