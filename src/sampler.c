#include "common.h"
#include "fixedmath.h"
#include "model.h"

#include <math.h>
#include <string.h>

struct candidate {
    float logit;
    int32_t id;
};

struct ink_sampler {
    struct ink_sampling settings;
    int vocab_size;
    bool *seen;               /* [V]: in prompt or answer, for the repetition penalty */
    uint32_t *count;          /* [V]: times in the answer */
    struct candidate *sorted; /* [V]: working memory of choose */
    double *weight;           /* [V] */
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

int ink_sampling_needs(const struct ink_sampling *s)
{
    bool moves =
        s->repetition_penalty != 1 || s->presence_penalty != 0 || s->frequency_penalty != 0;
    int n = s->temperature == 0 ? 1 : s->top_k;
    return moves || n > INK_MAX_BEST ? 0 : n;
}

uint64_t ink_sampler_bytes(const struct ink_model *model)
{
    const struct ink_sampler *s = NULL;
    uint64_t each = sizeof *s->seen + sizeof *s->count + sizeof *s->sorted + sizeof *s->weight;
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
    s->sorted = ink_calloc(n, sizeof *s->sorted);
    s->weight = ink_calloc(n, sizeof *s->weight);
    if (!s->seen || !s->count || !s->sorted || !s->weight) {
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
        ink_free(s->sorted);
        ink_free(s->weight);
        ink_free(s);
    }
}

void ink_sampler_accept(struct ink_sampler *s, const int32_t *tokens, int n_tokens, bool is_prompt)
{
    for (int i = 0; i < n_tokens; i++) {
        if (tokens[i] >= 0 && tokens[i] < s->vocab_size) {
            s->seen[tokens[i]] = true;
            s->count[tokens[i]] += !is_prompt;
        }
    }
}

/* splitmix64 (Steele, Lea, Flood 2014): integers only, so the same on any machine. */
static double next_random(struct ink_sampler *s)
{
    uint64_t z = s->random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53; /* 0 <= u < 1 */
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

static int32_t best_token(const struct ink_sampler *s, const float *logits)
{
    struct candidate best = {penalised(s, logits[0], 0), 0};
    for (int i = 1; i < s->vocab_size; i++) {
        struct candidate c = {penalised(s, logits[i], i), i};
        if (comes_before(c, best)) {
            best = c;
        }
    }
    return best.logit == -INFINITY ? -1 : best.id;
}

/* exp(logit - best) for the first n candidates in memory order, and their sum. */
static double weigh(struct ink_sampler *s, const struct candidate *c, int n, float best)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        s->weight[c[i].id] = ink_fixed_exp((double)c[i].logit - (double)best);
        sum += s->weight[c[i].id];
    }
    return sum;
}

/* Keep the k best and whatever ties with the k-th: they are moved to the front. Returns how many.
 */
static int keep_top_k(struct candidate *c, int n, int k)
{
    if (k <= 0 || k >= n) {
        return n;
    }
    build_heap(c, n);
    int taken = 0;
    float last = 0;
    while (taken < n && (taken < k || c[0].logit == last)) {
        last = pop(c, n - taken).logit;
        taken++;
    }
    /* they lie at the end, the best last: bring them to the front, the best first */
    for (int i = 0; i < taken && i < n - 1 - i; i++) {
        struct candidate swap = c[i];
        c[i] = c[n - 1 - i];
        c[n - 1 - i] = swap;
    }
    return taken;
}

/* Walk from the best down: a token is in while the probability of those before it is below top_p.
 * Draw among those that are in. */
static int32_t draw(struct ink_sampler *s, int n, double total)
{
    struct candidate *heap = s->sorted;
    double limit = s->settings.top_p < 1 ? (double)s->settings.top_p * total : INFINITY;
    double mass = 0;
    int kept = 0;
    build_heap(heap, n);
    while (kept < n && (kept == 0 || mass < limit)) {
        mass += s->weight[pop(heap, n - kept).id];
        kept++;
    }
    double target = next_random(s) * mass, passed = 0;
    for (int i = 0; i < kept; i++) { /* popped ones lie from the end backwards */
        passed += s->weight[heap[n - 1 - i].id];
        if (target < passed) {
            return heap[n - 1 - i].id;
        }
    }
    return heap[n - kept].id;
}

int32_t ink_sampler_choose(struct ink_sampler *s, const float *logits)
{
    const struct ink_sampling *p = &s->settings;
    if (p->temperature == 0 || p->top_k == 1) {
        return best_token(s, logits);
    }
    float best = -INFINITY;
    for (int i = 0; i < s->vocab_size; i++) {
        float logit = penalised(s, logits[i], i) / p->temperature;
        s->sorted[i] = (struct candidate){logit, i};
        best = logit > best ? logit : best;
    }
    if (!isfinite(best)) {
        return best_token(s, logits);
    }
    int n = keep_top_k(s->sorted, s->vocab_size, p->top_k);
    return draw(s, n, weigh(s, s->sorted, n, best));
}
