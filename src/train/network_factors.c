/* Gradients of matrices that are never stored: their norm and the optimizer's step from the factors
 * that a run leaves. */
#include "network_internal.h"

#include <math.h>
#include <string.h>

bool ink_network_can_keep_factors(const struct ink_model *model, int trained_tokens)
{
    const struct ink_architecture *a = &model->architecture;
    const int widths = a->hidden_size | a->intermediate_size | (a->n_heads * a->head_dim);
    return trained_tokens <= INK_GEMM_TOKENS && widths % 16 == 0;
}

bool ink_factors_allocate(struct ink_network *net)
{
    const size_t n = (size_t)net->n_factors;
    if (n == 0) {
        return true;
    }
    net->factors = ink_calloc(n, sizeof *net->factors);
    net->squares = ink_calloc(n * FACTOR_BLOCKS + 1, sizeof *net->squares);
    return net->factors && net->squares;
}

/* ------------------------------------------------------------------------------------- listing */

static void list_layer(struct factors *f, const struct layer *w, const struct kept *k, int t)
{
    const struct factors all[MATRICES] = {
        {w->query.weight, k->d_query, k->attention_normed, t},
        {w->key.weight, k->d_key, k->attention_normed, t},
        {w->value.weight, k->d_value, k->attention_normed, t},
        {w->output.weight, k->d_output, k->attention, t},
        {w->gate.weight, k->gate, k->mlp_normed, t},
        {w->up.weight, k->up, k->mlp_normed, t},
        {w->down.weight, k->d_down, k->act, t},
    };
    memcpy(f, all, sizeof all);
}

/* The embedding comes last. Of its gradient these factors are only what it has as the head. */
static void list_factors(struct ink_network *net)
{
    const struct ink_packed *b = net->batch;
    const int n_layers = net->architecture->n_layers;
    struct factors *f = net->factors;
    for (int i = 0; i < n_layers; i++, f += MATRICES) {
        list_layer(f, &net->layers[i], &net->kept[i], b->n_tokens);
    }
    *f = (struct factors){net->head, net->logits, net->head_normed, b->n_labels};
    if (net->head != net->embedding) {
        f[1] = (struct factors){net->embedding, net->logits, net->head_normed, 0};
    }
}

/* ---------------------------------------------------------------------------------------- norm */

/* x [n], as the products of an update will take it. */
static void round_bf16(const struct ink_kernels *kernels, float *x, size_t n)
{
    enum { SOME = 512 };
    uint16_t room[SOME];
    for (size_t i = 0; i < n; i += SOME) {
        const size_t some = n - i < SOME ? n - i : SOME;
        kernels->bf16_from_f32(room, x + i, some);
        kernels->f32_from_bf16(x + i, room, some);
    }
}

/* The same rows of what several matrices share are the same lane's. */
static void round_factors(const struct ink_network *net, int index, int count)
{
    for (int i = 0; i < net->n_factors; i++) {
        const struct factors *f = &net->factors[i];
        const size_t n = (size_t)f->parameter->matrix.rows, k = (size_t)f->parameter->matrix.cols;
        int begin, end;
        ink_threads_share(index, count, f->rows, 1, &begin, &end);
        for (int row = begin; row < end; row++) {
            round_bf16(net->kernels, f->dy + (size_t)row * n, n);
            round_bf16(net->kernels, f->x + (size_t)row * k, k);
        }
    }
}

static double dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += (double)a[i] * (double)b[i];
    }
    return sum;
}

/* The part of ||dyᵀ x||² in which rows from.. meet rows up to their own block: others twice. */
static double block_squares(const struct ink_kernels *kernels, float *room, const struct factors *f,
                            int from)
{
    const int n = f->rows - from < FACTOR_BLOCK ? f->rows - from : FACTOR_BLOCK, seen = from + n;
    const size_t n_out = (size_t)f->parameter->matrix.rows, k = (size_t)f->parameter->matrix.cols;
    float *dys = room, *xs = room + (size_t)FACTOR_BLOCK * INK_GEMM_TOKENS;
    double once = 0, twice = 0;
    kernels->matmul_f32(dys, (size_t)seen, f->dy + (size_t)from * n_out, n_out, n, f->dy, seen,
                        (int)n_out);
    kernels->matmul_f32(xs, (size_t)seen, f->x + (size_t)from * k, k, n, f->x, seen, (int)k);
    for (int i = 0; i < n; i++) {
        const size_t at = (size_t)i * (size_t)seen;
        twice += dot(dys + at, xs + at, from);
        once += dot(dys + at + from, xs + at + from, n);
    }
    return once + 2 * twice;
}

static bool is_embedded(const struct ink_network *net, int token)
{
    return net->batch->tokens[token] != net->architecture->pad_token;
}

/* What the embedding's rows, dx of each token, add: their own squares, and twice their products
 * with the head's gradient where that is the same matrix. */
static double embedding_squares(const struct ink_network *net, float *room)
{
    const struct ink_packed *b = net->batch;
    const int h = net->hidden, t = b->n_tokens, labels = b->n_labels;
    const float *dx = net->d_residual;
    double sum = 0;
    for (int i = 0; i < t; i++) {
        for (int j = 0; j <= i && is_embedded(net, i); j++) {
            if (b->tokens[i] == b->tokens[j]) {
                sum += (i == j ? 1 : 2) *
                       dot(dx + (size_t)i * (size_t)h, dx + (size_t)j * (size_t)h, h);
            }
        }
    }
    if (net->head != net->embedding) {
        return sum;
    }
    ink_gemm(net->kernels, room, (size_t)t, 1, net->head_normed, (size_t)h, false, dx, (size_t)h,
             true, labels, t, h, false);
    for (int i = 0; i < labels; i++) {
        const float *slopes = net->logits + (size_t)i * (size_t)net->vocabulary;
        for (int j = 0; j < t; j++) {
            if (is_embedded(net, j)) {
                sum += 2 * (double)slopes[b->tokens[j]] *
                       (double)room[(size_t)i * (size_t)t + (size_t)j];
            }
        }
    }
    return sum;
}

/* Part i: a block of a factor; the last: of the embedding. */
static double part_squares(const struct ink_network *net, float *room, int i)
{
    if (i == net->n_factors * FACTOR_BLOCKS) {
        return embedding_squares(net, room);
    }
    const struct factors *f = &net->factors[i / FACTOR_BLOCKS];
    const int from = i % FACTOR_BLOCKS * FACTOR_BLOCK;
    return from < f->rows ? block_squares(net->kernels, room, f, from) : 0;
}

static void sum_parts(void *context, struct ink_team *team, int index, int count)
{
    struct ink_network *net = context;
    float *room = net->scratch + (size_t)index * net->scratch_floats;
    if (net->math.is_bf16) {
        round_factors(net, index, count);
        ink_threads_barrier(team, count);
    }
    struct ink_loop loop =
        ink_loop_begin(team, index, count, net->n_factors * FACTOR_BLOCKS + 1, 1);
    int i, end;
    while (ink_loop_take(&loop, 1, &i, &end)) {
        net->squares[i] = part_squares(net, room, i);
    }
}

/* Of one matrix. Where gradients of rows cancel out, rounding may leave less than nothing. */
static double matrix_squares(const struct ink_network *net, int matrix)
{
    const double *parts = net->squares + (size_t)matrix * FACTOR_BLOCKS;
    const int n = FACTOR_BLOCKS + (matrix == net->n_factors - 1 ? 1 : 0); /* the embedding's */
    double sum = 0;
    for (int i = 0; i < n; i++) {
        sum += parts[i];
    }
    return sum < 0 ? 0 : sum; /* NaN stays */
}

double ink_network_squares(struct ink_network *net)
{
    double sum = 0;
    if (net->n_factors == 0) {
        return 0;
    }
    list_factors(net);
    ink_threads_run(net->limits.threads, sum_parts, net);
    for (int i = 0; i < net->n_factors; i++) {
        sum += matrix_squares(net, i);
    }
    return sum;
}

/* -------------------------------------------------------------------------------------- update */

struct factors_update {
    struct ink_network *net;
    struct ink_optimizer *optimizer;
    const struct ink_adamw *by;
    struct ink_parameter *parameter; /* of the lane at the moment */
};

/* A piece of the embedding's gradient += dx of the tokens that its rows stand for. */
static void add_embedded(const struct ink_network *net, const struct ink_gemm_piece *p,
                         float *gradient, size_t ld)
{
    const struct ink_packed *b = net->batch;
    for (int i = 0; i < b->n_tokens; i++) {
        const int at = b->tokens[i] - p->row;
        if (at >= 0 && at < p->n_rows && is_embedded(net, i)) {
            const float *dx = net->d_residual + (size_t)i * (size_t)net->hidden + (size_t)p->col;
            float *to = gradient + (size_t)at * ld;
            for (int j = 0; j < p->n_cols; j++) {
                to[j] += dx[j];
            }
        }
    }
}

/* Where row i of a piece begins among all values, and so among the moments. */
static size_t place_of(const struct factors_update *u, const struct ink_gemm_piece *p, int i)
{
    const size_t first = (size_t)(u->parameter->value - u->optimizer->parameters->values);
    return first + (size_t)(p->row + i) * (size_t)u->parameter->matrix.cols + (size_t)p->col;
}

/* The values and their moments. */
static void expect_piece(void *context, const struct ink_gemm_piece *p, struct ink_fetch *fetch)
{
    const struct factors_update *u = context;
    const struct ink_optimizer *o = u->optimizer;
    const size_t at = place_of(u, p, 0);
    *fetch =
        (struct ink_fetch){.places = {o->parameters->values + at, o->means + at, o->squares + at},
                           .n_places = 3,
                           .rows = p->n_rows,
                           .row_bytes = (size_t)p->n_cols * sizeof(float),
                           .stride = (size_t)u->parameter->matrix.cols * sizeof(float)};
}

static void update_piece(void *context, const struct ink_gemm_piece *p, float *gradient, size_t ld)
{
    const struct factors_update *u = context;
    const struct ink_optimizer *o = u->optimizer;
    if (u->parameter == u->net->embedding) {
        add_embedded(u->net, p, gradient, ld);
    }
    for (int i = 0; i < p->n_rows; i++) {
        const size_t at = place_of(u, p, i);
        o->kernels->adamw(o->parameters->values + at, o->means + at, o->squares + at,
                          gradient + (size_t)i * ld, (size_t)p->n_cols, u->by);
    }
}

static void update_share(void *context, struct ink_team *team, int index, int count)
{
    struct factors_update u = *(const struct factors_update *)context;
    const struct ink_network *net = u.net;
    const struct ink_train_lane lane = {team, index, count,
                                        net->scratch + (size_t)index * net->scratch_floats};
    const struct ink_gemm_user user = {expect_piece, update_piece, &u};
    for (int i = 0; i < net->n_factors; i++) {
        const struct factors *f = &net->factors[i];
        u.parameter = f->parameter;
        ink_gemm_weight_pieces(&lane, &net->math, f->dy, f->x, f->rows, f->parameter->matrix.rows,
                               f->parameter->matrix.cols, &user);
    }
}

void ink_network_update(struct ink_network *net, struct ink_optimizer *optimizer,
                        const struct ink_adamw *by)
{
    struct factors_update update = {net, optimizer, by, NULL};
    ink_threads_run(net->limits.threads, update_share, &update);
}
