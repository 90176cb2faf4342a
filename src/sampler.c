#include "common.h"
#include "kernels.h"
#include "model.h"
#include "random.h"

#include <math.h>
#include <string.h>

struct candidate {
    float logit;
    int32_t id;
};

struct ink_sampler {
    struct ink_sampling settings;
    const struct ink_kernels *kernels;
    int vocab_size;
    bool *seen;     /* [V]: in prompt or answer, for the repetition penalty */
    int32_t *moved; /* [n_moved]: the ids that were seen, which penalties may move */
    int n_moved;
    uint32_t *count; /* [V]: times in the answer */
    /* Working memory of choose. */
    float *logits;         /* [V]: after penalties and temperature */
    float *weight;         /* [V]: exp(logit - best); 0: not to be drawn */
    uint16_t *bucket;      /* [V] */
    struct candidate *few; /* [V]: those whose order matters */
    uint64_t random_state;
};

void ink_sampling_defaults(const struct ink_model *model, struct ink_sampling *out)
{
    *out = model->architecture.sampling;
}

static bool within(float value, float min, float max)
{
    return value >= min && value <= max; /* false for NaN */
}

static int check_settings(const struct ink_sampling *s, struct ink_error *error)
{
    const struct {
        const char *name;
        float value, min, max;
    } ranges[] = {
        {"temperature", s->temperature, 0, 1000},
        {"top-p", s->top_p, 0, 1},
        {"repetition-penalty", s->repetition_penalty, 1e-3f, 1000},
        {"presence-penalty", s->presence_penalty, -1000, 1000},
        {"frequency-penalty", s->frequency_penalty, -1000, 1000},
        {"top-k", (float)s->top_k, 0, 1 << 24},
    };
    for (size_t i = 0; i < INK_COUNT(ranges); i++) {
        if (!within(ranges[i].value, ranges[i].min, ranges[i].max)) {
            return ink_fail(error, INK_ERROR_ARGUMENT, "%s is %g, allowed are %g to %g",
                            ranges[i].name, (double)ranges[i].value, (double)ranges[i].min,
                            (double)ranges[i].max);
        }
    }
    return INK_OK;
}

static bool has_penalties(const struct ink_sampling *p)
{
    return p->repetition_penalty != 1 || p->presence_penalty != 0 || p->frequency_penalty != 0;
}

int ink_sampling_needs(const struct ink_sampling *s)
{
    int n = s->temperature == 0 ? 1 : s->top_k;
    return has_penalties(s) || n > INK_MAX_BEST ? 0 : n;
}

uint64_t ink_sampler_bytes(const struct ink_model *model)
{
    const struct ink_sampler *s = NULL;
    uint64_t each = sizeof *s->seen + sizeof *s->moved + sizeof *s->count + sizeof *s->logits +
                    sizeof *s->weight + sizeof *s->bucket + sizeof *s->few;
    return sizeof *s + each * (uint64_t)model->architecture.vocab_size;
}

int ink_sampler_open(struct ink_sampler **out, const struct ink_model *model,
                     const struct ink_sampling *settings, struct ink_error *error)
{
    *out = NULL;
    int status = check_settings(settings, error);
    if (status != INK_OK) {
        return status;
    }
    struct ink_sampler *s = ink_calloc(1, sizeof *s);
    if (!s) {
        return ink_fail_memory(error, sizeof *s);
    }
    size_t n = (size_t)model->architecture.vocab_size;
    s->settings = *settings;
    s->vocab_size = (int)n;
    s->random_state = settings->seed;
    s->seen = ink_calloc(n, sizeof *s->seen);
    s->count = ink_calloc(n, sizeof *s->count);
    s->moved = ink_calloc(n, sizeof *s->moved);
    s->kernels = ink_kernels_find(NULL);
    s->logits = ink_calloc(n, sizeof *s->logits);
    s->weight = ink_calloc(n, sizeof *s->weight);
    s->bucket = ink_calloc(n, sizeof *s->bucket);
    s->few = ink_calloc(n, sizeof *s->few);
    if (!s->seen || !s->count || !s->moved || !s->logits || !s->weight || !s->bucket || !s->few) {
        ink_sampler_close(s);
        return ink_fail_memory(error, ink_sampler_bytes(model));
    }
    *out = s;
    return INK_OK;
}

void ink_sampler_close(struct ink_sampler *s)
{
    if (s) {
        ink_free(s->seen);
        ink_free(s->count);
        ink_free(s->moved);
        ink_free(s->logits);
        ink_free(s->weight);
        ink_free(s->bucket);
        ink_free(s->few);
        ink_free(s);
    }
}

void ink_sampler_accept(struct ink_sampler *s, const int32_t *tokens, int n_tokens, bool is_prompt)
{
    for (int i = 0; i < n_tokens; i++) {
        if (tokens[i] >= 0 && tokens[i] < s->vocab_size) {
            if (!s->seen[tokens[i]]) {
                s->seen[tokens[i]] = true;
                s->moved[s->n_moved++] = tokens[i];
            }
            s->count[tokens[i]] += !is_prompt;
        }
    }
}

static double next_random(struct ink_sampler *s)
{
    return (double)(ink_random_next(&s->random_state) >> 11) * 0x1p-53; /* 0 <= u < 1 */
}

static float penalised(const struct ink_sampler *s, float logit, int id)
{
    const struct ink_sampling *p = &s->settings;
    if (s->seen[id] && p->repetition_penalty != 1) {
        logit = logit < 0 ? logit * p->repetition_penalty : logit / p->repetition_penalty;
    }
    if (s->count[id] > 0) {
        logit -= p->presence_penalty;
        logit -= p->frequency_penalty * (float)s->count[id];
    }
    return logit != logit ? -INFINITY : logit;
}

/* The order of candidates: better logit first, then the lower id. */
static bool comes_before(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift_down(struct candidate *heap, int n, int at)
{
    for (int child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && comes_before(heap[child + 1], heap[child])) {
            child++;
        }
        if (!comes_before(heap[child], heap[at])) {
            return;
        }
        struct candidate swap = heap[at];
        heap[at] = heap[child];
        heap[child] = swap;
    }
}

static void build_heap(struct candidate *heap, int n)
{
    for (int i = n / 2 - 1; i >= 0; i--) {
        sift_down(heap, n, i);
    }
}

/* Take the best off a heap of n; it ends up at heap[n - 1]. */
static struct candidate pop(struct candidate *heap, int n)
{
    struct candidate best = heap[0];
    heap[0] = heap[n - 1];
    heap[n - 1] = best;
    sift_down(heap, n - 1, 0);
    return best;
}

/* The largest of x [n], by 16 running maxima that a compiler makes a vector of; NaN never counts.
 */
static float largest(const float *x, int n)
{
    float lanes[16], most = -INFINITY;
    int i = 0;
    for (int k = 0; k < 16; k++) {
        lanes[k] = -INFINITY;
    }
    for (; i + 16 <= n; i += 16) {
        for (int k = 0; k < 16; k++) {
            lanes[k] = x[i + k] > lanes[k] ? x[i + k] : lanes[k];
        }
    }
    for (; i < n; i++) {
        most = x[i] > most ? x[i] : most;
    }
    for (int k = 0; k < 16; k++) {
        most = lanes[k] > most ? lanes[k] : most;
    }
    return most;
}

/* Greedy: of equals the lowest id. The few that penalties move are looked at by themselves. */
static int32_t best_token(struct ink_sampler *s, const float *logits)
{
    const float *x = logits;
    if (has_penalties(&s->settings)) {
        memcpy(s->logits, logits, (size_t)s->vocab_size * sizeof *logits);
        for (int i = 0; i < s->n_moved; i++) {
            s->logits[s->moved[i]] = penalised(s, logits[s->moved[i]], s->moved[i]);
        }
        x = s->logits;
    }
    float best = largest(x, s->vocab_size);
    int32_t id = 0;
    while (id < s->vocab_size - 1 && x[id] != best) {
        id++;
    }
    return best == -INFINITY ? -1 : id;
}

/* --------------------------------------------------------------------------------- a sampled
 * choice
 *
 * Only few tokens need to be put in order: those in the one bucket through which the limit of top-k
 * or top-p goes. Buckets are steps of 1/64 down from the best logit; the last takes the rest. */

enum { BUCKETS = 4096, BUCKETS_PER_UNIT = 64 };

static void fill_buckets(struct ink_sampler *s, float best)
{
    for (int i = 0; i < s->vocab_size; i++) {
        float down = (best - s->logits[i]) * BUCKETS_PER_UNIT;
        s->bucket[i] = (uint16_t)(down < BUCKETS - 1 ? down : BUCKETS - 1);
    }
}

/* The tokens of one bucket that may be drawn, as a heap; how many. */
static int gather(struct ink_sampler *s, int bucket)
{
    int n = 0;
    for (int i = 0; i < s->vocab_size; i++) {
        if (s->bucket[i] == bucket && s->weight[i] > 0) {
            s->few[n++] = (struct candidate){s->logits[i], i};
        }
    }
    build_heap(s->few, n);
    return n;
}

/* Drop what lies in buckets behind this one. */
static void drop_behind(struct ink_sampler *s, int bucket)
{
    for (int i = 0; i < s->vocab_size; i++) {
        s->weight[i] = s->bucket[i] > bucket ? 0 : s->weight[i];
    }
}

/* Keep the k best and whatever ties with the k-th. */
static void keep_top_k(struct ink_sampler *s, int k)
{
    int count[BUCKETS] = {0}, before = 0, bucket = 0;
    for (int i = 0; i < s->vocab_size; i++) {
        count[s->bucket[i]]++;
    }
    while (bucket < BUCKETS && before + count[bucket] < k) {
        before += count[bucket++];
    }
    if (bucket == BUCKETS) {
        return; /* there are no more than k */
    }
    float last = 0;
    int n = gather(s, bucket), taken = 0;
    while (taken < n && (before + taken < k || s->few[0].logit == last)) {
        last = pop(s->few, n - taken++).logit;
    }
    for (int i = 0; i < n - taken; i++) { /* those that are left are the heap */
        s->weight[s->few[i].id] = 0;
    }
    drop_behind(s, bucket);
}

/* In the order of ids, so that it is the same on every machine. */
static double sum_weights(const struct ink_sampler *s)
{
    double lanes[16] = {0}, sum = 0;
    int i = 0;
    for (; i + 16 <= s->vocab_size; i += 16) {
        for (int k = 0; k < 16; k++) {
            lanes[k] += (double)s->weight[i + k];
        }
    }
    for (; i < s->vocab_size; i++) {
        sum += (double)s->weight[i];
    }
    for (int k = 0; k < 16; k++) {
        sum += lanes[k];
    }
    return sum;
}

/* Keep a token while the probability of those before it, from the best down, is below top_p. */
static void keep_top_p(struct ink_sampler *s, float top_p)
{
    double mass[BUCKETS] = {0}, before = 0, limit = (double)top_p * sum_weights(s);
    int bucket = 0;
    for (int i = 0; i < s->vocab_size; i++) {
        mass[s->bucket[i]] += (double)s->weight[i];
    }
    while (bucket < BUCKETS - 1 && before + mass[bucket] < limit) {
        before += mass[bucket++];
    }
    int n = gather(s, bucket), taken = 0;
    while (taken < n && (before < limit || (bucket == 0 && taken == 0))) {
        before += (double)s->weight[pop(s->few, n - taken++).id];
    }
    for (int i = 0; i < n - taken; i++) {
        s->weight[s->few[i].id] = 0;
    }
    drop_behind(s, bucket);
}

/* One draw, along the ids. */
static int32_t draw(struct ink_sampler *s)
{
    double target = next_random(s) * sum_weights(s), passed = 0;
    int32_t last = -1;
    for (int i = 0; i < s->vocab_size; i++) {
        if (s->weight[i] > 0) {
            last = i;
            passed += (double)s->weight[i];
            if (target < passed) {
                return i;
            }
        }
    }
    return last; /* sums in another order may differ in the last bit */
}

static void temper(struct ink_sampler *s, const float *logits)
{
    float temperature = s->settings.temperature;
    for (int i = 0; i < s->vocab_size; i++) {
        s->logits[i] = (logits[i] == logits[i] ? logits[i] : -INFINITY) / temperature;
    }
    for (int i = 0; i < s->n_moved && has_penalties(&s->settings); i++) {
        int32_t id = s->moved[i];
        s->logits[id] = penalised(s, logits[id], id) / temperature;
    }
}

int32_t ink_sampler_choose(struct ink_sampler *s, const float *logits)
{
    const struct ink_sampling *p = &s->settings;
    if (p->temperature == 0 || p->top_k == 1) {
        return best_token(s, logits);
    }
    temper(s, logits);
    float best = largest(s->logits, s->vocab_size);
    if (!isfinite(best)) {
        return best_token(s, logits);
    }
    s->kernels->exp_below(s->weight, s->logits, best, (size_t)s->vocab_size);
    if (p->top_k > 0 || p->top_p < 1) {
        fill_buckets(s, best);
    }
    if (p->top_k > 0 && p->top_k < s->vocab_size) {
        keep_top_k(s, p->top_k);
    }
    if (p->top_p < 1) {
        keep_top_p(s, p->top_p);
    }
    return draw(s);
}
