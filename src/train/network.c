#include "network_internal.h"

#include "rope.h"
#include "system.h"

#include <math.h>
#include <string.h>

/* -------------------------------------------------------------------------------------- memory */

struct room {
    float **at;
    uint64_t floats;
};

enum { MOST_ROOMS = 40 };

/* Columns of the widest matrix. */
static int widest_of(const struct ink_network *net)
{
    const int most = net->width > net->inner ? net->width : net->inner;
    return most > net->hidden ? most : net->hidden;
}

/* The buffers of the network itself. Returns how many. */
static int list_buffers(struct ink_network *net, struct room *rooms)
{
    const uint64_t t = (uint64_t)net->limits.tokens, h = (uint64_t)net->hidden;
    const uint64_t head = (uint64_t)net->head_rows;
    const uint64_t rows = t > head ? t : head; /* d_normed serves the head too */
    const uint64_t width = (uint64_t)net->width;
    const uint64_t half = (uint64_t)net->architecture->head_dim / 2;
    const uint64_t low = t * (uint64_t)net->adapter.rank, threads = (uint64_t)net->limits.threads;
    const uint64_t widest = (uint64_t)widest_of(net);
    const struct room all[] = {
        {&net->output, t * h},
        {&net->d_residual, t * h},
        {&net->d_normed, rows * h},
        {&net->d_act, t * (uint64_t)net->inner},
        {&net->d_attention, t * width},
        {&net->d_key_heads, t * width},
        {&net->d_value_heads, t * width},
        {&net->cosines, t * half},
        {&net->sines, t * half},
        {&net->back_sines, t * half},
        {&net->frequencies, half},
        {&net->selected, head * h},
        {&net->head_normed, head * h},
        {&net->d_head, head * h},
        {&net->head_scales, head},
        {&net->logits, head * (uint64_t)net->vocabulary},
        {&net->attention.scratch, net->attention.scratch_floats * threads},
        {&net->scratch, net->scratch_floats * threads},
        {&net->d_low[0], low},
        {&net->d_low[1], low},
        {&net->d_low[2], low},
        {&net->dropped, net->adapter.dropout > 0 ? t * widest : 0},
    };
    memcpy(rooms, all, sizeof all);
    return (int)INK_COUNT(all);
}

/* What forward keeps of a layer beside its input, of t tokens. */
static int list_kept(const struct ink_network *net, struct kept *kept, struct room *rooms,
                     uint64_t t)
{
    const struct room all[] = {
        {&kept->attention_scales, t},
        {&kept->query, t * (uint64_t)net->width},
        {&kept->key, t * (uint64_t)net->kv_width},
        {&kept->value, t * (uint64_t)net->kv_width},
        {&kept->logs, t * (uint64_t)net->architecture->n_heads},
        {&kept->attention, t * (uint64_t)net->width},
        {&kept->middle, t * (uint64_t)net->hidden},
        {&kept->mlp_scales, t},
        {&kept->gate, t * (uint64_t)net->inner},
        {&kept->up, t * (uint64_t)net->inner},
    };
    int n = (int)INK_COUNT(all);
    memcpy(rooms, all, sizeof all);
    for (int i = 0; i < MATRICES; i++) {
        rooms[n++] = (struct room){&kept->low[i], t * (uint64_t)net->adapter.rank};
    }
    return n;
}

/* The rest. */
static int list_factors(const struct ink_network *net, struct kept *kept, struct room *rooms,
                        uint64_t t)
{
    const uint64_t h = (uint64_t)net->hidden, kv = (uint64_t)net->kv_width;
    const struct room all[] = {
        {&kept->attention_normed, t * h},
        {&kept->mlp_normed, t * h},
        {&kept->act, t * (uint64_t)net->inner},
        {&kept->d_query, t * (uint64_t)net->width},
        {&kept->d_key, t * kv},
        {&kept->d_value, t * kv},
        {&kept->d_output, t * h},
        {&kept->d_down, t * h},
    };
    memcpy(rooms, all, sizeof all);
    return (int)INK_COUNT(all);
}

/* Give each of n rooms its place from `base` on (NULL: only count); returns the floats so far. */
static uint64_t place(const struct room *rooms, int n, float *base, uint64_t at)
{
    for (int i = 0; i < n; i++) {
        if (base) {
            *rooms[i].at = base + at;
        }
        at += (rooms[i].floats + 15) / 16 * 16;
    }
    return at;
}

/* All buffers, laid out from `base`; the number of floats. Of numbers that are within limits, no
 * sum here overflows: 2^20 tokens by 2^24 values by a few thousand. */
static uint64_t lay_out(struct ink_network *net, float *base)
{
    struct room rooms[MOST_ROOMS];
    uint64_t at = place(rooms, list_buffers(net, rooms), base, 0);
    struct kept none = {0};
    for (int i = 0; i < net->architecture->n_layers; i++) {
        struct kept *kept = base ? &net->kept[i] : &none;
        const uint64_t t = (uint64_t)(i == 0 ? net->limits.tokens : net->limits.trained_tokens);
        const struct room input = {&kept->input, t * (uint64_t)net->hidden};
        if (base) {
            *kept = net->kept[0]; /* what it does not have of its own */
        }
        at = place(&input, 1, base, at);
        if (i == 0 || !net->limits.recomputes) {
            at = place(rooms, list_kept(net, kept, rooms, t), base, at);
        }
        if (i == 0 || net->limits.keeps_factors) {
            at = place(rooms, list_factors(net, kept, rooms, t), base, at);
        }
    }
    return at;
}

static void fill_dimensions(struct ink_network *net, const struct ink_model *model,
                            const struct ink_network_limits *limits)
{
    const struct ink_architecture *a = &model->architecture;
    net->architecture = a;
    net->limits = *limits;
    net->hidden = a->hidden_size;
    net->inner = a->intermediate_size;
    net->vocabulary = a->vocab_size;
    net->width = a->n_heads * a->head_dim;
    net->kv_width = a->n_kv_heads * a->head_dim;
    net->attention.scratch_floats = ink_attention_scratch(limits->longest);
    net->scratch_floats = ink_gemm_scratch(widest_of(net));
    net->head_rows = limits->keeps_factors ? limits->trained_tokens : HEAD_ROWS;
    net->n_factors = limits->keeps_factors ? MATRICES * a->n_layers + (a->tied_head ? 1 : 2) : 0;
}

uint64_t ink_network_bytes(const struct ink_model *model, const struct ink_network_limits *limits,
                           int rank)
{
    struct ink_network net = {.adapter = {.rank = rank, .dropout = rank > 0 ? 0.5 : 0}};
    fill_dimensions(&net, model, limits);
    return lay_out(&net, NULL) * sizeof(float) + (uint64_t)limits->tokens * sizeof(double);
}

/* ------------------------------------------------------------------------------------- opening */

static struct linear linear_of(const struct ink_network *net, const struct ink_weight *weight,
                               const struct ink_weight *bias)
{
    struct linear f = {.weight = ink_parameters_find(net->parameters, weight),
                       .bias = ink_parameters_find(net->parameters, bias),
                       .index = weight->adapted};
    if (net->adapter.rank > 0) {
        f.a = ink_parameters_find(net->adapter.parameters, weight);
        f.b = f.a ? f.a + 1 : NULL; /* as ink_lora_open has them */
    }
    return f;
}

static void bind_parameters(struct ink_network *net, const struct ink_model *m)
{
    const struct ink_parameters *p = net->parameters;
    net->embedding = ink_parameters_find(p, &m->embedding);
    net->final_norm = ink_parameters_find(p, &m->final_norm);
    net->head = m->architecture.tied_head ? net->embedding : ink_parameters_find(p, &m->head);
    for (int i = 0; i < m->architecture.n_layers; i++) {
        const struct ink_layer *w = &m->layers[i];
        net->layers[i] = (struct layer){
            .attention_norm = ink_parameters_find(p, &w->attention_norm),
            .mlp_norm = ink_parameters_find(p, &w->mlp_norm),
            .query = linear_of(net, &w->query, &w->query_bias),
            .key = linear_of(net, &w->key, &w->key_bias),
            .value = linear_of(net, &w->value, &w->value_bias),
            .output = linear_of(net, &w->output, &w->output_bias),
            .gate = linear_of(net, &w->gate, &w->gate_bias),
            .up = linear_of(net, &w->up, &w->up_bias),
            .down = linear_of(net, &w->down, &w->down_bias),
        };
    }
}

static bool allocate(struct ink_network *net)
{
    const size_t n_layers = (size_t)net->architecture->n_layers;
    const uint64_t bytes = lay_out(net, NULL) * sizeof(float);
    net->layers = ink_calloc(n_layers, sizeof *net->layers);
    net->kept = ink_calloc(n_layers, sizeof *net->kept);
    net->losses = ink_calloc((size_t)net->limits.tokens, sizeof *net->losses);
    net->memory = bytes < SIZE_MAX ? ink_alloc_aligned((size_t)bytes) : NULL;
    if (!net->layers || !net->kept || !net->losses || !net->memory) {
        return false;
    }
    ink_system_prefer_large_pages(net->memory, (size_t)bytes);
    lay_out(net, net->memory);
    return ink_factors_allocate(net);
}

int ink_network_open(struct ink_network **out, struct ink_model *model,
                     struct ink_parameters *parameters, const struct ink_network_adapter *adapter,
                     const struct ink_network_limits *limits, struct ink_error *error)
{
    struct ink_network *net = ink_calloc(1, sizeof *net);
    *out = NULL;
    if (!net) {
        return ink_fail_memory(error, sizeof *net);
    }
    net->parameters = parameters;
    if (adapter) {
        net->adapter = *adapter;
    }
    fill_dimensions(net, model, limits);
    net->kernels = ink_kernels_find(NULL);
    net->math = (struct ink_gemm_math){net->kernels, limits->is_bf16};
    if (!allocate(net)) {
        const int rank = net->adapter.rank;
        ink_network_close(net);
        return ink_fail_memory(error, ink_network_bytes(model, limits, rank));
    }
    net->attention.kernels = net->kernels;
    net->attention.n_heads = net->architecture->n_heads;
    net->attention.n_kv_heads = net->architecture->n_kv_heads;
    net->attention.head_dim = net->architecture->head_dim;
    net->attention.scale = 1.0f / sqrtf((float)net->architecture->head_dim);
    bind_parameters(net, model);
    ink_rope_frequencies(net->frequencies, net->architecture->rope_theta,
                         net->architecture->head_dim);
    *out = net;
    return INK_OK;
}

void ink_network_close(struct ink_network *net)
{
    if (net) {
        ink_free(net->layers);
        ink_free(net->kept);
        ink_free(net->losses);
        ink_free(net->factors);
        ink_free(net->squares);
        ink_free_aligned(net->memory);
        ink_free(net);
    }
}

/* ------------------------------------------------------------------------------------- running */

static void fill_angles(const struct ink_train_lane *l, struct ink_network *net)
{
    const int dim = net->architecture->head_dim;
    int begin, end;
    ink_train_share(l, net->batch->n_tokens, &begin, &end);
    for (int i = begin; i < end; i++) {
        const size_t at = (size_t)i * (size_t)(dim / 2);
        ink_rope_angles(net->cosines + at, net->sines + at, net->batch->positions[i],
                        net->frequencies, dim);
        for (int j = 0; j < dim / 2; j++) {
            net->back_sines[at + (size_t)j] = -net->sines[at + (size_t)j];
        }
    }
}

static void go_back(const struct ink_train_lane *l, struct ink_network *net)
{
    const struct ink_packed *b = net->batch;
    const int h = net->hidden;
    float *dx = net->d_residual;
    for (int i = net->architecture->n_layers - 1; i >= 0; i--) {
        if (net->limits.recomputes) {
            ink_rows_copy(l, net->output, net->kept[i].input, b->n_tokens, h);
            ink_train_sync(l);
            ink_layer_forward(l, net, i, &net->kept[i], net->output);
        }
        ink_layer_backward(l, net, i, &net->kept[i], dx);
    }
    struct ink_parameter *table = net->embedding;
    if (!table->gradient) {
        return;
    }
    if (net->head != table && !net->adds) {
        ink_rows_clear(l, table->gradient, table->matrix.rows, h);
        ink_train_sync(l);
    }
    ink_embed_backward(l, table->gradient, dx, b->tokens, b->n_tokens, h,
                       net->architecture->pad_token);
}

static void pass(void *context, struct ink_team *team, int index, int count)
{
    struct ink_network *net = context;
    const struct ink_train_lane lane = {team, index, count,
                                        net->scratch + (size_t)index * net->scratch_floats};
    const struct ink_train_lane *l = &lane;
    fill_angles(l, net);
    ink_embed_forward(l, net->kernels, net->output, &net->embedding->matrix, net->batch->tokens,
                      net->batch->n_tokens);
    ink_train_sync(l);
    for (int i = 0; i < net->architecture->n_layers; i++) {
        ink_layer_forward(l, net, i, &net->kept[net->goes_back ? i : 0], net->output);
    }
    ink_head_run(l, net, net->output, net->d_residual);
    if (net->goes_back) {
        go_back(l, net);
    }
}

static bool is_within(const struct ink_network *net, const struct ink_packed *b)
{
    const int v = net->vocabulary;
    const int most = net->goes_back ? net->limits.trained_tokens : net->limits.tokens;
    bool good = b->n_tokens >= 1 && b->n_tokens <= most && b->n_labels >= 1 &&
                b->n_labels <= b->n_tokens && b->n_sequences >= 1 && b->begins[0] == 0 &&
                b->begins[b->n_sequences] == b->n_tokens;
    for (int i = 0; i < b->n_sequences && good; i++) {
        const int length = b->begins[i + 1] - b->begins[i];
        good = length >= 1 && length <= net->limits.longest;
    }
    for (int i = 0; i < b->n_tokens && good; i++) {
        good = b->tokens[i] >= 0 && b->tokens[i] < v && b->positions[i] >= 0 &&
               b->positions[i] < INK_MAX_POSITIONS;
    }
    for (int i = 0; i < b->n_labels && good; i++) {
        good = b->label_tokens[i] >= 0 && b->label_tokens[i] < v && b->label_rows[i] >= 0 &&
               b->label_rows[i] < b->n_tokens &&
               (i == 0 || b->label_rows[i] > b->label_rows[i - 1]);
    }
    return good;
}

static int run(struct ink_network *net, const struct ink_packed *batch, double *loss,
               struct ink_error *error)
{
    if (!is_within(net, batch)) {
        return ink_fail(error, INK_ERROR_ARGUMENT, "the batch does not fit the network's limits");
    }
    net->batch = net->attention.batch = batch;
    ink_threads_run(net->limits.threads, pass, net);
    *loss = 0;
    for (int i = 0; i < batch->n_labels; i++) {
        *loss += net->losses[i];
    }
    return INK_OK;
}

void ink_network_set_seed(struct ink_network *net, uint64_t seed)
{
    net->seed = seed;
}

int ink_network_loss(struct ink_network *net, const struct ink_packed *batch, double *loss,
                     struct ink_error *error)
{
    net->goes_back = false;
    return run(net, batch, loss, error);
}

int ink_network_run(struct ink_network *net, const struct ink_packed *batch, double by, bool adds,
                    double *loss, struct ink_error *error)
{
    net->goes_back = true;
    net->by = (float)by;
    net->adds = adds;
    return run(net, batch, loss, error);
}
