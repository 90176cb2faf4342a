#include "trainer.h"

#include "data/shuffle.h"
#include "initial.h"
#include "random.h"

#include <math.h>

enum { EVAL_TOKENS = 512 }; /* of a batch of evaluation, where samples are that short */

/* ------------------------------------------------------------------------------------- opening */

static struct ink_network_limits limits_of(const struct ink_corpus *train,
                                           const struct ink_corpus *val,
                                           const struct ink_trainer_settings *s)
{
    const int largest = ink_corpus_largest_batch(train, s->batch_size);
    int longest = train->longest;
    if (val && val->longest > longest) {
        longest = val->longest;
    }
    int tokens = largest > longest ? largest : longest;
    if (val && tokens < EVAL_TOKENS) {
        tokens = EVAL_TOKENS;
    }
    return (struct ink_network_limits){tokens, longest, s->threads, s->recomputes};
}

uint64_t ink_trainer_bytes(const struct ink_model *model, const struct ink_corpus *train,
                           const struct ink_corpus *val,
                           const struct ink_trainer_settings *settings)
{
    const struct ink_network_limits limits = limits_of(train, val, settings);
    const enum ink_base base = settings->is_lora ? settings->base : INK_BASE_TRAINED;
    const uint64_t weights = ink_parameters_bytes(model, base);
    const uint64_t activations =
        ink_network_bytes(model, &limits, settings->is_lora ? settings->lora.rank : 0);
    /* values, gradients and two moments; ink_parameters_bytes has the first two of a full run */
    return weights + activations +
           (settings->is_lora ? 4 * ink_lora_floats(model, &settings->lora) * sizeof(float)
                              : weights);
}

static int open_parts(struct ink_trainer *t, const struct ink_corpus *val, struct ink_error *error)
{
    const struct ink_trainer_settings *s = &t->settings;
    const struct ink_network_limits limits = limits_of(t->train, val, s);
    const struct ink_optimizer_settings adamw = {s->beta1,        s->beta2, s->epsilon,
                                                 s->weight_decay, s->clip,  s->threads};
    struct ink_network_adapter adapter = {NULL, s->lora.rank, 0, s->dropout};
    int status =
        ink_parameters_open(&t->base, t->model, s->is_lora ? s->base : INK_BASE_TRAINED, error);
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

/* The gradient of the samples order[0..n-1], a batch at a time. */
static int accumulate(struct ink_trainer *t, const uint32_t *order, int n,
                      struct ink_trainer_report *report, struct ink_error *error)
{
    const int size = t->settings.batch_size;
    double sum = 0, loss;
    int status = INK_OK;
    for (int i = 0; i < n && status == INK_OK; i += size) {
        status =
            ink_corpus_pack(t->train, &t->batch, order + i, n - i < size ? n - i : size, error);
        if (status == INK_OK) {
            ink_network_set_seed(
                t->net, t->settings.seed +
                            INK_RANDOM_STEP *
                                (uint64_t)(t->step * t->settings.accumulation + i / size + 1));
            status = ink_network_run(t->net, &t->batch.packed, 1.0 / (double)report->n_labels,
                                     i > 0, &loss, error);
        }
        if (status == INK_OK) {
            report->n_tokens += t->batch.packed.n_tokens;
            sum += loss;
        }
    }
    report->loss = sum / (double)report->n_labels;
    return status;
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
    int status = accumulate(t, order, n, report, error);
    if (status != INK_OK) {
        return status;
    }
    report->norm = ink_optimizer_norm(t->optimizer);
    if (!isfinite(report->loss) || !isfinite(report->norm)) {
        return ink_fail(error, INK_ERROR_LIMIT,
                        "the loss of step %lld is no finite number (its first sample is in line "
                        "%llu); a lower --lr may help",
                        (long long)report->step, (unsigned long long)t->train->lines[order[0]]);
    }
    ink_optimizer_step(t->optimizer, report->rate, report->norm);
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
    double all = 0, means = 0;
    int status = INK_OK;
    *out = (struct ink_trainer_evaluation){.n_samples = corpus->n};
    for (size_t i = 0; i < corpus->n && status == INK_OK; i += (size_t)eval_batch) {
        const size_t n = corpus->n - i < (size_t)eval_batch ? corpus->n - i : (size_t)eval_batch;
        double sum = 0;
        uint64_t labels = 0;
        status = evaluate_batch(t, corpus, i, n, &sum, &labels, error);
        all += sum;
        means += status == INK_OK ? sum / (double)labels * (double)n : 0;
        out->n_labels += labels;
        out->n_batches++;
    }
    out->loss = all / (double)out->n_labels;
    out->mean_of_means = means / (double)corpus->n;
    return status;
}
