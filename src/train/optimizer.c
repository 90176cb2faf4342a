#include "optimizer.h"

#include "fixedmath.h"
#include "lane.h"

#include <math.h>

/* Values of a partial sum in float32, and of a unit of work: few enough for the sum's error to stay
 * near the last place. */
enum { PIECE = 1 << 14 };

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
    o->kernels = ink_kernels_find(NULL);
    const uint64_t bytes = parameters->n_values * sizeof *o->means;
    o->means = ink_parameters_allocate(bytes, error);
    o->squares = o->means ? ink_parameters_allocate(bytes, error) : NULL;
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
    const struct ink_optimizer *optimizer;
    uint64_t begin;
    double sums[SUMS];
};

static uint64_t piece_length(uint64_t n, uint64_t from)
{
    return from >= n ? 0 : n - from < PIECE ? n - from : PIECE;
}

static void sum_pieces(void *context, struct ink_team *team, int index, int count)
{
    struct norm *norm = context;
    const struct ink_optimizer *o = norm->optimizer;
    int begin, end;
    (void)team;
    ink_threads_share(index, count, SUMS, 1, &begin, &end);
    for (int i = begin; i < end; i++) {
        const uint64_t from = norm->begin + (uint64_t)i * PIECE;
        norm->sums[i] =
            (double)o->kernels->sum_squares(o->parameters->gradients + from,
                                            (size_t)piece_length(o->parameters->n_gradients, from));
    }
}

double ink_optimizer_squares(const struct ink_optimizer *o)
{
    struct norm norm = {.optimizer = o};
    double sum = 0;
    for (; norm.begin < o->parameters->n_gradients; norm.begin += (uint64_t)SUMS * PIECE) {
        ink_threads_run(o->settings.threads, sum_pieces, &norm);
        for (int i = 0; i < SUMS; i++) {
            sum += norm.sums[i];
        }
    }
    return sum;
}

struct update {
    struct ink_optimizer *optimizer;
    const struct ink_optimizer_step *by;
};

/* A lane's pieces of each parameter, the gap behind it included: 0 stays 0. */
static void update_share(void *context, struct ink_team *team, int index, int count)
{
    const struct update *u = context;
    const struct ink_optimizer *o = u->optimizer;
    (void)team;
    for (int i = 0; i < o->parameters->n; i++) {
        const struct ink_parameter *one = &o->parameters->list[i];
        const uint64_t n =
            ink_parameters_padded((uint64_t)one->matrix.rows * (uint64_t)one->matrix.cols);
        const size_t at = (size_t)(one->value - o->parameters->values);
        int begin, end;
        ink_threads_share(index, count, (int)((n + PIECE - 1) / PIECE), 1, &begin, &end);
        for (int j = begin; j < end && one->gradient; j++) {
            const size_t from = (size_t)j * PIECE;
            o->kernels->adamw(one->value + from, o->means + at + from, o->squares + at + from,
                              one->gradient + from, (size_t)piece_length(n, from),
                              one->is_vector ? &u->by->vectors : &u->by->matrices);
        }
    }
}

struct ink_optimizer_step ink_optimizer_begin(struct ink_optimizer *o, double rate, double norm)
{
    const struct ink_optimizer_settings *s = &o->settings;
    const double clip = s->clip / (norm + 1e-6);
    const uint64_t t = (uint64_t)++o->steps;
    const double root = sqrt(1 - ink_fixed_power(s->beta2, t));
    struct ink_optimizer_step step;
    step.vectors = (struct ink_adamw){
        .clip = s->clip > 0 && clip < 1 ? (float)clip : 1.0f,
        .keep = 1.0f,
        .beta1 = (float)s->beta1,
        .rest1 = (float)(1 - s->beta1),
        .beta2 = (float)s->beta2,
        .rest2 = (float)(1 - s->beta2),
        .rate = (float)(rate * root / (1 - ink_fixed_power(s->beta1, t))),
        .epsilon = (float)(s->epsilon * root),
    };
    step.matrices = step.vectors;
    step.matrices.keep = (float)(1 - rate * s->weight_decay);
    return step;
}

void ink_optimizer_update(struct ink_optimizer *o, const struct ink_optimizer_step *step)
{
    struct update update = {o, step};
    ink_threads_run(o->settings.threads, update_share, &update);
}

double ink_schedule_factor(enum ink_schedule schedule, int64_t step, int64_t warmup, int64_t total)
{
    const double pi = 3.14159265358979323846;
    if (step < warmup) {
        return (double)step / (double)warmup;
    }
    const double left = total > warmup ? (double)(total - step) / (double)(total - warmup) : 0;
    double sine, cosine;
    switch (schedule) {
    case INK_SCHEDULE_LINEAR:
        return left > 0 ? left : 0;
    case INK_SCHEDULE_COSINE:
        ink_fixed_sincos(pi * (1 - left), &sine, &cosine);
        return left > 0 ? 0.5 * (1 + cosine) : 0;
    default:
        return 1;
    }
}
