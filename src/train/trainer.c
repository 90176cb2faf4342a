#include "trainer.h"

#include "data/shuffle.h"
#include "initial.h"
#include "random.h"
#include "system.h"

#include <math.h>
#include <string.h>

enum { EVAL_TOKENS = 512 }; /* of a batch of evaluation, where samples are that short */

/* ------------------------------------------------------------------------------------- opening */

static struct ink_network_limits limits_of(const struct ink_model *model,
                                           const struct ink_corpus *train,
                                           const struct ink_corpus *val,
                                           const struct ink_trainer_settings *s)
{
    struct ink_network_limits limits = {
        .trained_tokens = ink_corpus_largest_batch(train, s->batch_size),
        .longest = train->longest,
        .threads = s->threads,
        .recomputes = s->recomputes,
        .is_bf16 = s->is_bf16,
    };
    if (val && val->longest > limits.longest) {
        limits.longest = val->longest;
    }
    limits.tokens = limits.trained_tokens > limits.longest ? limits.trained_tokens : limits.longest;
    if (val && limits.tokens < EVAL_TOKENS) {
        limits.tokens = EVAL_TOKENS;
    }
    limits.keeps_factors = !s->is_lora && !s->recomputes && s->accumulation == 1 &&
                           ink_cluster_size(s->cluster) == 1 &&
                           ink_network_can_keep_factors(model, limits.trained_tokens);
    return limits;
}

static enum ink_base base_of(const struct ink_trainer_settings *s,
                             const struct ink_network_limits *limits)
{
    return s->is_lora ? s->base : limits->keeps_factors ? INK_BASE_FACTORS : INK_BASE_TRAINED;
}

bool ink_trainer_prefers_bf16(void)
{
    return ink_kernels_find(NULL)->has_bf16 != 0;
}

uint64_t ink_trainer_bytes(const struct ink_model *model, const struct ink_corpus *train,
                           const struct ink_corpus *val,
                           const struct ink_trainer_settings *settings)
{
    const struct ink_network_limits limits = limits_of(model, train, val, settings);
    const uint64_t weights = ink_parameters_bytes(model, base_of(settings, &limits));
    const uint64_t activations =
        ink_network_bytes(model, &limits, settings->is_lora ? settings->lora.rank : 0);
    /* and two moments for each value; of an adapter also values and gradients */
    return weights + activations +
           (settings->is_lora ? 4 * ink_lora_floats(model, &settings->lora) * sizeof(float)
                              : ink_parameters_bytes(model, INK_BASE_TRAINED));
}

static int open_parts(struct ink_trainer *t, const struct ink_corpus *val, struct ink_error *error)
{
    const struct ink_trainer_settings *s = &t->settings;
    const struct ink_network_limits limits = limits_of(t->model, t->train, val, s);
    const struct ink_optimizer_settings adamw = {s->beta1,        s->beta2, s->epsilon,
                                                 s->weight_decay, s->clip,  s->threads};
    struct ink_network_adapter adapter = {NULL, s->lora.rank, 0, s->dropout};
    int status = ink_parameters_open(&t->base, t->model, base_of(s, &limits), error);
    if (status == INK_OK && ink_model_is_new(t->model)) {
        ink_initial_fill(t->base, t->model, s->seed);
    }
    t->trained = t->base;
    t->eval_tokens = limits.tokens;
    if (status == INK_OK && s->is_lora) {
        status = ink_lora_open(&t->trained, t->model, &s->lora, error);
        adapter.parameters = t->trained;
        adapter.scale = ink_lora_scale(&s->lora);
    }
    if (status == INK_OK) {
        status = ink_network_open(&t->net, t->model, t->base, s->is_lora ? &adapter : NULL, &limits,
                                  error);
    }
    if (status == INK_OK) {
        status = ink_optimizer_open(&t->optimizer, t->trained, &adamw, error);
    }
    return status;
}

static int64_t ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

int ink_trainer_open(struct ink_trainer **out, struct ink_model *model,
                     const struct ink_corpus *train, const struct ink_corpus *val,
                     const struct ink_trainer_settings *settings, struct ink_error *error)
{
    struct ink_trainer *t = ink_calloc(1, sizeof *t);
    *out = NULL;
    if (!t) {
        return ink_fail_memory(error, sizeof *t);
    }
    t->settings = *settings;
    t->model = model;
    t->train = train;
    t->order_epoch = -1;
    t->steps_a_epoch =
        ceil_div(ceil_div((int64_t)train->n, settings->batch_size), settings->accumulation);
    t->max_steps = settings->max_steps > 0
                       ? settings->max_steps
                       : (int64_t)ceil(settings->epochs * (double)t->steps_a_epoch);
    t->order = ink_malloc(train->n * sizeof *t->order);
    int status =
        t->order ? open_parts(t, val, error) : ink_fail_memory(error, train->n * sizeof *t->order);
    if (status != INK_OK) {
        ink_trainer_close(t);
        return status;
    }
    *out = t;
    return INK_OK;
}

void ink_trainer_close(struct ink_trainer *t)
{
    if (!t) {
        return;
    }
    ink_optimizer_close(t->optimizer);
    ink_network_close(t->net);
    if (t->trained != t->base) {
        ink_parameters_close(t->trained);
    }
    ink_parameters_close(t->base);
    ink_batch_memory_free(&t->batch);
    ink_free(t->order);
    ink_free(t);
}

/* ------------------------------------------------------------------------------------ stepping */

static void set_order(struct ink_trainer *t, int64_t epoch)
{
    struct ink_twister twister;
    if (t->order_epoch != epoch) {
        ink_twister_seed_torch(&twister, t->settings.seed + (uint64_t)epoch);
        ink_twister_randperm(&twister, t->order, t->train->n);
        t->order_epoch = epoch;
    }
}

/* Tokens of a sample as they are packed. */
static int64_t count_tokens(const struct ink_corpus *c, uint32_t sample)
{
    return (int64_t)(c->begins[sample + 1] - c->begins[sample]) - 1;
}

static int64_t count_labels(const struct ink_corpus *c, const uint32_t *order, int n)
{
    int64_t labels = 0;
    for (int i = 0; i < n; i++) {
        for (uint64_t j = c->begins[order[i]]; j < c->begins[order[i] + 1]; j++) {
            labels += c->trained[j];
        }
    }
    return labels;
}

/* What of a step's samples order[0..n-1] this process does: begin..end-1, and the tokens that go
 * before. A sample is the process's in whose equal part of all tokens its middle lies. */
struct share {
    int begin, end;
    int64_t first_row;
};

static struct share share_of(const struct ink_trainer *t, const uint32_t *order, int n,
                             int64_t n_tokens)
{
    const int64_t rank = ink_cluster_rank(t->settings.cluster);
    const int64_t size = ink_cluster_size(t->settings.cluster);
    struct share share = {0, 0, 0};
    int64_t before = 0;
    for (int i = 0; i < n; i++) {
        const int64_t tokens = count_tokens(t->train, order[i]);
        const int64_t place = n_tokens > 0 ? (2 * before + tokens) * size / (2 * n_tokens) : 0;
        const int64_t owner = place < size ? place : size - 1;
        share.begin += owner < rank;
        share.end += owner <= rank;
        share.first_row += owner < rank ? tokens : 0;
        before += tokens;
    }
    return share;
}

/* The gradient of this process's share of the samples, a batch at a time, and the sum of their
 * losses. */
static int accumulate(struct ink_trainer *t, const uint32_t *order, struct share share,
                      int64_t n_labels, double *sum, struct ink_error *error)
{
    const int size = t->settings.batch_size;
    double loss;
    int status = INK_OK;
    *sum = 0;
    ink_network_set_seed(t->net, t->settings.seed + INK_RANDOM_STEP * (uint64_t)(t->step + 1));
    for (int i = share.begin; i < share.end && status == INK_OK; i += size) {
        const int left = share.end - i;
        status = ink_corpus_pack(t->train, &t->batch, order + i, left < size ? left : size, error);
        if (status == INK_OK) {
            t->batch.packed.first_row = share.first_row;
            status = ink_network_run(t->net, &t->batch.packed, 1.0 / (double)n_labels,
                                     i > share.begin, &loss, error);
        }
        if (status == INK_OK) {
            share.first_row += t->batch.packed.n_tokens;
            *sum += loss;
        }
    }
    return status;
}

/* Gradients and loss become those of all processes' samples. */
static int sum_over_processes(struct ink_trainer *t, struct share share, double *loss,
                              double *seconds, struct ink_error *error)
{
    struct ink_cluster *cluster = t->settings.cluster;
    const struct ink_parameters *p = t->trained;
    const double start = ink_system_seconds();
    if (share.begin == share.end) {
        memset(p->gradients, 0, (size_t)p->n_gradients * sizeof *p->gradients);
    }
    int status = ink_cluster_sum_doubles(cluster, loss, 1, error);
    if (status == INK_OK) {
        status = ink_cluster_sum_floats(cluster, p->gradients, p->n_gradients, error);
    }
    *seconds = ink_system_seconds() - start;
    return status;
}

static void update(struct ink_trainer *t, struct ink_optimizer_step by)
{
    ink_optimizer_update(t->optimizer, &by);
    ink_network_update(t->net, t->optimizer, &by.matrices);
}

int ink_trainer_step(struct ink_trainer *t, struct ink_trainer_report *report,
                     struct ink_error *error)
{
    const struct ink_trainer_settings *s = &t->settings;
    const int64_t epoch = t->step / t->steps_a_epoch, within = t->step % t->steps_a_epoch;
    const int64_t window = (int64_t)s->batch_size * s->accumulation;
    const int64_t begin = within * window, left = (int64_t)t->train->n - begin;
    const int n = (int)(left < window ? left : window);
    set_order(t, epoch);
    const uint32_t *order = t->order + begin;
    *report = (struct ink_trainer_report){
        .step = t->step + 1,
        .epoch = (double)epoch + (double)(within + 1) / (double)t->steps_a_epoch,
        .n_labels = count_labels(t->train, order, n),
        .rate = s->rate * ink_schedule_factor(s->schedule, t->step, s->warmup, t->max_steps),
    };
    for (int i = 0; i < n; i++) {
        report->n_tokens += count_tokens(t->train, order[i]);
    }
    const struct share share = share_of(t, order, n, report->n_tokens);
    double sum;
    int status = accumulate(t, order, share, report->n_labels, &sum, error);
    if (status == INK_OK && s->cluster) {
        status = sum_over_processes(t, share, &sum, &report->sum_seconds, error);
    }
    if (status != INK_OK) {
        return status;
    }
    report->loss = sum / (double)report->n_labels;
    report->norm = sqrt(ink_optimizer_squares(t->optimizer) + ink_network_squares(t->net));
    if (!isfinite(report->loss) || !isfinite(report->norm)) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "the loss of step %lld is no finite number (its first sample is in line "
                        "%llu); a lower --lr may help",
                        (long long)report->step, (unsigned long long)t->train->lines[order[0]]);
    }
    update(t, ink_optimizer_begin(t->optimizer, report->rate, report->norm));
    t->step++;
    return INK_OK;
}

void ink_trainer_go_on(struct ink_trainer *t, int64_t step)
{
    t->step = step;
    t->optimizer->steps = step;
}

/* ---------------------------------------------------------------------------------- evaluating */

/* As many of the samples from `first` on as fit, up to n: at least one always does. */
static int fitting(const struct ink_trainer *t, const struct ink_corpus *c, size_t first, size_t n)
{
    int count = 0;
    uint64_t tokens = 0;
    while ((size_t)count < n) {
        const size_t i = first + (size_t)count;
        tokens += c->begins[i + 1] - c->begins[i] - 1;
        if (count > 0 && tokens > (uint64_t)t->eval_tokens) {
            break;
        }
        count++;
    }
    return count;
}

/* Samples first..first+n-1: the sum of their losses, and their labels. */
static int evaluate_batch(struct ink_trainer *t, const struct ink_corpus *c, size_t first, size_t n,
                          double *sum, uint64_t *labels, struct ink_error *error)
{
    int status = INK_OK;
    for (size_t at = 0; at < n && status == INK_OK;) {
        uint32_t order[64];
        const size_t left = n - at < INK_COUNT(order) ? n - at : INK_COUNT(order);
        const int count = fitting(t, c, first + at, left);
        double loss;
        for (int i = 0; i < count; i++) {
            order[i] = (uint32_t)(first + at) + (uint32_t)i;
        }
        status = ink_corpus_pack(c, &t->batch, order, count, error);
        if (status == INK_OK) {
            status = ink_network_loss(t->net, &t->batch.packed, &loss, error);
        }
        if (status == INK_OK) {
            *sum += loss;
            *labels += (uint64_t)t->batch.packed.n_labels;
            at += (size_t)count;
        }
    }
    return status;
}

int ink_trainer_evaluate(struct ink_trainer *t, const struct ink_corpus *corpus, int eval_batch,
                         struct ink_trainer_evaluation *out, struct ink_error *error)
{
    const size_t batch = (size_t)eval_batch, rank = (size_t)ink_cluster_rank(t->settings.cluster);
    const size_t size = (size_t)ink_cluster_size(t->settings.cluster);
    double sums[3] = {0, 0, 0}; /* of losses, of batches' means by their samples, of labels */
    int status = INK_OK;
    *out = (struct ink_trainer_evaluation){.n_samples = corpus->n,
                                           .n_batches = (corpus->n + batch - 1) / batch};
    for (size_t i = rank * batch; i < corpus->n && status == INK_OK; i += size * batch) {
        const size_t n = corpus->n - i < batch ? corpus->n - i : batch;
        double sum = 0;
        uint64_t labels = 0;
        status = evaluate_batch(t, corpus, i, n, &sum, &labels, error);
        sums[0] += sum;
        sums[1] += status == INK_OK ? sum / (double)labels * (double)n : 0;
        sums[2] += (double)labels;
    }
    if (status == INK_OK) {
        status = ink_cluster_sum_doubles(t->settings.cluster, sums, INK_COUNT(sums), error);
    }
    out->n_labels = (uint64_t)sums[2];
    out->loss = sums[0] / sums[2];
    out->mean_of_means = sums[1] / (double)corpus->n;
    return status;
}
