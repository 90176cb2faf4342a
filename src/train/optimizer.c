#include "optimizer.h"

#include "lane.h"
#include "system.h"

#include <math.h>

enum { PIECE = 1 << 16 }; /* values of a partial sum, or of a lane's unit of work */

static float *allocate(uint64_t n, struct ink_error *error)
{
    float *p = n < SIZE_MAX / sizeof *p ? ink_alloc_aligned((size_t)n * sizeof *p) : NULL;
    if (!p) {
        ink_fail_memory(error, n * sizeof *p);
    } else {
        ink_system_prefer_large_pages(p, (size_t)n * sizeof *p);
    }
    return p;
}

int ink_optimizer_open(struct ink_optimizer **out, struct ink_parameters *parameters,
                       const struct ink_optimizer_settings *settings, struct ink_error *error)
{
    struct ink_optimizer *o = ink_calloc(1, sizeof *o);
    *out = NULL;
    if (!o) {
        return ink_fail_memory(error, sizeof *o);
    }
    o->parameters = parameters;
    o->settings = *settings;
    o->means = allocate(parameters->n_values, error);
    o->squares = o->means ? allocate(parameters->n_values, error) : NULL;
    if (!o->squares) {
        ink_optimizer_close(o);
        return INK_ERROR_MEMORY;
    }
    *out = o;
    return INK_OK;
}

void ink_optimizer_close(struct ink_optimizer *o)
{
    if (o) {
        ink_free_aligned(o->means);
        ink_free_aligned(o->squares);
        ink_free(o);
    }
}

/* Pieces are summed by any lane, and their sums in order, some at a time. */
enum { SUMS = 1024 };

struct norm {
    const float *gradients;
    uint64_t begin, n;
    double sums[SUMS];
};

static void sum_pieces(void *context, struct ink_team *team, int index, int count)
{
    struct norm *norm = context;
    int begin, end;
    (void)team;
    ink_threads_share(index, count, SUMS, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        const uint64_t from = norm->begin + (uint64_t)i * PIECE;
        const uint64_t to = from + PIECE < norm->n ? from + PIECE : norm->n;
        double lanes[8] = {0}, sum = 0;
        for (uint64_t j = from; j < to; j++) {
            lanes[j % 8] += (double)norm->gradients[j] * (double)norm->gradients[j];
        }
        for (int k = 0; k < 8; k++) {
            sum += lanes[k];
        }
        norm->sums[i] = sum;
    }
}

double ink_optimizer_norm(const struct ink_optimizer *o)
{
    struct norm norm = {.gradients = o->parameters->gradients, .n = o->parameters->n_values};
    double sum = 0;
    for (; norm.begin < norm.n; norm.begin += (uint64_t)SUMS * PIECE) {
        ink_threads_run(o->settings.threads, sum_pieces, &norm);
        for (int i = 0; i < SUMS; i++) {
            sum += norm.sums[i];
        }
    }
    return sqrt(sum);
}

/* A step's constants, in the order in which PyTorch rounds them. */
struct step {
    struct ink_optimizer *optimizer;
    float gradient_by, keep, beta1, rest1, beta2, rest2, rate, root, epsilon;
};

static void update(const struct step *s, uint64_t at, uint64_t n, float keep)
{
    float *restrict p = s->optimizer->parameters->values + at;
    float *restrict m = s->optimizer->means + at, *restrict v = s->optimizer->squares + at;
    const float *restrict gradients = s->optimizer->parameters->gradients + at;
    for (uint64_t i = 0; i < n; i++) {
        const float g = gradients[i] * s->gradient_by;
        m[i] = s->beta1 * m[i] + s->rest1 * g;
        v[i] = s->beta2 * v[i] + s->rest2 * (g * g);
        p[i] = p[i] * keep - s->rate * (m[i] / (sqrtf(v[i]) / s->root + s->epsilon));
    }
}

static void update_share(void *context, struct ink_team *team, int index, int count)
{
    const struct step *s = context;
    const struct ink_parameters *all = s->optimizer->parameters;
    (void)team;
    for (int i = 0; i < all->n; i++) {
        const struct ink_parameter *one = &all->list[i];
        const uint64_t n = (uint64_t)one->rows * (uint64_t)one->cols;
        int begin, end;
        ink_threads_share(index, count, (int)((n + PIECE - 1) / PIECE), 1, &begin, &end);
        const uint64_t from = (uint64_t)begin * PIECE, to = (uint64_t)end * PIECE;
        if (begin < end) {
            update(s, (uint64_t)(one->value - all->values) + from, (to < n ? to : n) - from,
                   one->is_vector ? 1.0f : s->keep);
        }
    }
}

void ink_optimizer_step(struct ink_optimizer *o, double rate, double norm)
{
    const struct ink_optimizer_settings *s = &o->settings;
    const double t = (double)++o->steps, clip = s->clip / (norm + 1e-6);
    struct step step = {
        .optimizer = o,
        .gradient_by = s->clip > 0 && clip < 1 ? (float)clip : 1.0f,
        .keep = (float)(1 - rate * s->weight_decay),
        .beta1 = (float)s->beta1,
        .rest1 = (float)(1 - s->beta1),
        .beta2 = (float)s->beta2,
        .rest2 = (float)(1 - s->beta2),
        .rate = (float)(rate / (1 - pow(s->beta1, t))),
        .root = (float)sqrt(1 - pow(s->beta2, t)),
        .epsilon = (float)s->epsilon,
    };
    ink_threads_run(s->threads, update_share, &step);
}

double ink_schedule_factor(enum ink_schedule schedule, int64_t step, int64_t warmup, int64_t total)
{
    const double pi = 3.14159265358979323846;
    if (step < warmup) {
        return (double)step / (double)warmup;
    }
    const double left = total > warmup ? (double)(total - step) / (double)(total - warmup) : 0;
    switch (schedule) {
    case INK_SCHEDULE_LINEAR:
        return left > 0 ? left : 0;
    case INK_SCHEDULE_COSINE:
        return left > 0 ? 0.5 * (1 + cos(pi * (1 - left))) : 0;
    default:
        return 1;
    }
}
