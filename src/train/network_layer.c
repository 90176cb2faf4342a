/* One layer, forward and backward. A barrier (sync) stands where a function reads or writes what
 * other lanes wrote; matrix products of one input need none between them. */
#include "network_linear.h"

static void sync(const struct ink_train_lane *l)
{
    ink_train_sync(l);
}

static void rotate(const struct ink_train_lane *l, const struct ink_network *net, float *query,
                   float *key, const float *sines)
{
    const struct ink_architecture *a = net->architecture;
    ink_rotate(l, net->kernels, query, net->cosines, sines, net->batch->n_tokens, a->n_heads,
               a->head_dim, a->rope_half);
    ink_rotate(l, net->kernels, key, net->cosines, sines, net->batch->n_tokens, a->n_kv_heads,
               a->head_dim, a->rope_half);
}

/* An adapter's products take barriers of their own. */
static void sync_adapter(const struct ink_train_lane *l, const struct ink_network *net)
{
    if (net->adapter.rank > 0) {
        sync(l);
    }
}

static void project(const struct ink_train_lane *l, struct ink_network *net,
                    const struct kept *kept, int which, const float *x, const struct linear *f)
{
    ink_linear_project(l, net, kept->low[which], x, f);
}

/* The slot is one of d_low's, of which up to three are in use at a time. */
static void unproject(const struct ink_train_lane *l, const struct ink_network *net, int slot,
                      const float *dy, const struct linear *f)
{
    ink_linear_unproject(l, net, net->d_low[slot], dy, f);
}

static struct linear_use use(const struct ink_network *net, const struct linear *f, const float *dy,
                             const float *x, const struct kept *kept, int which, int slot)
{
    return (struct linear_use){f, dy, x, kept->low[which], net->d_low[slot]};
}

void ink_layer_forward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                       struct kept *kept, float *x)
{
    const struct layer *w = &net->layers[layer];
    const int t = net->batch->n_tokens, h = net->hidden;
    const float eps = net->architecture->norm_eps;

    ink_rows_copy(l, kept->input, x, t, h);
    ink_norm_forward(l, net->kernels, kept->attention_normed, kept->attention_scales, x,
                     w->attention_norm->value, t, h, eps);
    sync(l);
    project(l, net, kept, QUERY, kept->attention_normed, &w->query);
    project(l, net, kept, KEY, kept->attention_normed, &w->key);
    project(l, net, kept, VALUE, kept->attention_normed, &w->value);
    sync_adapter(l, net);
    const struct linear_call inputs[] = {{&w->query, kept->query, kept->low[QUERY]},
                                         {&w->key, kept->key, kept->low[KEY]},
                                         {&w->value, kept->value, kept->low[VALUE]}};
    ink_linear_forward(l, net, inputs, 3, kept->attention_normed, false);
    sync(l);
    rotate(l, net, kept->query, kept->key, net->sines);
    sync(l);
    ink_attention_forward(l, &net->attention, kept->attention, kept->logs, kept->query, kept->key,
                          kept->value);
    sync(l);
    project(l, net, kept, OUTPUT, kept->attention, &w->output);
    sync_adapter(l, net);
    const struct linear_call output = {&w->output, x, kept->low[OUTPUT]};
    ink_linear_forward(l, net, &output, 1, kept->attention, true);
    sync(l);

    ink_rows_copy(l, kept->middle, x, t, h);
    ink_norm_forward(l, net->kernels, kept->mlp_normed, kept->mlp_scales, x, w->mlp_norm->value, t,
                     h, eps);
    sync(l);
    project(l, net, kept, GATE, kept->mlp_normed, &w->gate);
    project(l, net, kept, UP, kept->mlp_normed, &w->up);
    sync_adapter(l, net);
    const struct linear_call gates[] = {{&w->gate, kept->gate, kept->low[GATE]},
                                        {&w->up, kept->up, kept->low[UP]}};
    ink_linear_forward(l, net, gates, 2, kept->mlp_normed, false);
    sync(l);
    ink_swiglu_forward(l, net->kernels, kept->act, kept->gate, kept->up, t, net->inner);
    sync(l);
    project(l, net, kept, DOWN, kept->act, &w->down);
    sync_adapter(l, net);
    const struct linear_call down = {&w->down, x, kept->low[DOWN]};
    ink_linear_forward(l, net, &down, 1, kept->act, true);
    sync(l);
}

/* dx += the gradient through a norm of x. */
static void norm_back(const struct ink_train_lane *l, const struct ink_network *net, float *dx,
                      const float *x, const float *scales, const struct ink_parameter *gain)
{
    const int t = net->batch->n_tokens, h = net->hidden;
    ink_norm_backward(l, dx, net->d_normed, x, scales, gain->value, t, h);
    if (gain->gradient) {
        ink_norm_gain(l, gain->gradient, net->d_normed, x, scales, t, h, net->adds);
    }
}

/* What all layers share, unless gradients are kept as factors, is written anew for each. */
static void norm_again(const struct ink_train_lane *l, const struct ink_network *net, float *normed,
                       const float *x, float *scales, const struct ink_parameter *gain)
{
    if (!net->limits.keeps_factors) {
        ink_norm_forward(l, net->kernels, normed, scales, x, gain->value, net->batch->n_tokens,
                         net->hidden, net->architecture->norm_eps);
    }
}

static void mlp_backward(const struct ink_train_lane *l, struct ink_network *net,
                         const struct layer *w, const struct kept *kept, float *dx)
{
    const int t = net->batch->n_tokens;
    norm_again(l, net, kept->mlp_normed, kept->middle, kept->mlp_scales, w->mlp_norm);
    if (!net->limits.keeps_factors) {
        ink_swiglu_forward(l, net->kernels, kept->act, kept->gate, kept->up, t, net->inner);
    }
    ink_rows_copy(l, kept->d_down, dx, t, net->hidden);
    sync(l);
    unproject(l, net, 0, kept->d_down, &w->down);
    sync_adapter(l, net);
    const struct linear_use down = use(net, &w->down, kept->d_down, kept->act, kept, DOWN, 0);
    ink_linear_backward(l, net, net->d_act, &down, 1);
    sync(l);
    ink_swiglu_backward(l, net->kernels, kept->gate, kept->up, net->d_act, t, net->inner);
    sync(l);
    unproject(l, net, 0, kept->gate, &w->gate);
    unproject(l, net, 1, kept->up, &w->up);
    sync_adapter(l, net);
    const struct linear_use uses[] = {
        use(net, &w->gate, kept->gate, kept->mlp_normed, kept, GATE, 0),
        use(net, &w->up, kept->up, kept->mlp_normed, kept, UP, 1),
    };
    ink_linear_backward(l, net, net->d_normed, uses, 2);
    sync(l);
    norm_back(l, net, dx, kept->middle, kept->mlp_scales, w->mlp_norm);
    sync(l);
}

static void attention_backward(const struct ink_train_lane *l, struct ink_network *net,
                               const struct layer *w, const struct kept *kept, float *dx)
{
    const struct ink_architecture *a = net->architecture;
    const int t = net->batch->n_tokens;
    norm_again(l, net, kept->attention_normed, kept->input, kept->attention_scales,
               w->attention_norm);
    ink_rows_copy(l, kept->d_output, dx, t, net->hidden);
    sync(l);
    unproject(l, net, 0, kept->d_output, &w->output);
    sync_adapter(l, net);
    const struct linear_use output =
        use(net, &w->output, kept->d_output, kept->attention, kept, OUTPUT, 0);
    ink_linear_backward(l, net, net->d_attention, &output, 1);
    sync(l);
    ink_attention_backward(l, &net->attention, kept->d_query, net->d_key_heads, net->d_value_heads,
                           net->d_attention, kept->attention, kept->logs, kept->query, kept->key,
                           kept->value);
    sync(l);
    ink_attention_gather(l, kept->d_key, net->d_key_heads, t, a->n_heads, a->n_kv_heads,
                         a->head_dim);
    ink_attention_gather(l, kept->d_value, net->d_value_heads, t, a->n_heads, a->n_kv_heads,
                         a->head_dim);
    sync(l);
    rotate(l, net, kept->d_query, kept->d_key, net->back_sines);
    sync(l);
    unproject(l, net, 0, kept->d_query, &w->query);
    unproject(l, net, 1, kept->d_key, &w->key);
    unproject(l, net, 2, kept->d_value, &w->value);
    sync_adapter(l, net);
    const struct linear_use uses[] = {
        use(net, &w->query, kept->d_query, kept->attention_normed, kept, QUERY, 0),
        use(net, &w->key, kept->d_key, kept->attention_normed, kept, KEY, 1),
        use(net, &w->value, kept->d_value, kept->attention_normed, kept, VALUE, 2),
    };
    ink_linear_backward(l, net, net->d_normed, uses, 3);
    sync(l);
    norm_back(l, net, dx, kept->input, kept->attention_scales, w->attention_norm);
    sync(l);
}

void ink_layer_backward(const struct ink_train_lane *l, struct ink_network *net, int layer,
                        const struct kept *kept, float *dx)
{
    mlp_backward(l, net, &net->layers[layer], kept, dx);
    attention_backward(l, net, &net->layers[layer], kept, dx);
}
