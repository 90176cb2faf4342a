#include "draft.h"

#include <math.h>
#include <string.h>

enum {
    MIN_MATCH = INK_DRAFT_MIN_MATCH,
    LONG_MATCH = INK_DRAFT_LONG_MATCH,
    MOST_LOOKS = 16, /* places that one search looks at */
};

/* How often guesses were right in texts of many kinds, by the length of the match: where a text
 * begins. It weighs as much as so many guesses. */
static const float usual_rate[LONG_MATCH + 1] = {0, 0, .35F, .4F, .45F, .55F, .6F, .65F, .75F};
static const float usual_weight = 4;
/* A guess of n tries ago counts memory^n. */
static const float memory = 0.95F;
/* A guess must promise this much more than a pass without one: costs are known only roughly. */
static const float margin = 1.15F;
/* Costs that keep a guess from being made fade at this rate: one measured in a bad moment must not
 * count for ever. */
static const float fading = 0.998F;

static uint32_t bucket_count(int capacity)
{
    uint32_t n = 64;
    while (n < (uint32_t)capacity && n < 1U << 24) {
        n *= 2;
    }
    return n;
}

uint64_t ink_draft_bytes(int capacity, bool with_drafts)
{
    uint64_t n = (uint64_t)capacity;
    return sizeof(int32_t) * (with_drafts ? 2 * n + bucket_count(capacity) : n);
}

int ink_draft_open(struct ink_draft *d, int capacity, bool with_drafts, struct ink_error *error)
{
    *d = (struct ink_draft){.capacity = capacity};
    size_t n_buckets = bucket_count(capacity);
    d->tokens = ink_calloc((size_t)capacity, sizeof *d->tokens);
    if (with_drafts) {
        d->latest = ink_calloc(n_buckets, sizeof *d->latest);
        d->previous = ink_calloc((size_t)capacity, sizeof *d->previous);
        d->mask = (uint32_t)n_buckets - 1;
    }
    if (!d->tokens || (with_drafts && (!d->latest || !d->previous))) {
        ink_draft_close(d);
        return ink_fail_memory(error, ink_draft_bytes(capacity, with_drafts));
    }
    if (with_drafts) {
        memset(d->latest, -1, n_buckets * sizeof *d->latest);
    }
    return INK_OK;
}

void ink_draft_close(struct ink_draft *d)
{
    ink_free(d->tokens);
    ink_free(d->latest);
    ink_free(d->previous);
    *d = (struct ink_draft){0};
}

/* --------------------------------------------------------------------------------------- places */

/* The bucket of the tokens that end at `end`. */
static int32_t *bucket(const struct ink_draft *d, int end)
{
    uint32_t hash = 0;
    for (int i = 0; i < MIN_MATCH; i++) {
        hash = (hash ^ (uint32_t)d->tokens[end - i]) * 0x9E3779B1u;
        hash ^= hash >> 15;
    }
    return &d->latest[hash & d->mask];
}

static int common_length(const struct ink_draft *d, int end)
{
    int n = 0, last = d->n - 1;
    while (n < 2 * LONG_MATCH && n <= end && d->tokens[end - n] == d->tokens[last - n]) {
        n++;
    }
    return n;
}

/* The longest match, the latest of those. */
static void find_match(struct ink_draft *d)
{
    d->match_length = 0;
    if (!d->latest || d->n < MIN_MATCH) {
        return;
    }
    int longest = MIN_MATCH - 1, looks = 0;
    for (int32_t end = *bucket(d, d->n - 1); end >= 0 && looks < MOST_LOOKS; looks++) {
        int n = common_length(d, end);
        if (n > longest) {
            longest = n;
            d->match = end + 1;
            d->match_length = n < LONG_MATCH ? n : LONG_MATCH;
        }
        end = d->previous[end];
    }
}

void ink_draft_truncate(struct ink_draft *d, int n)
{
    /* A place is entered when a token follows it, the latest at the head of its bucket: taking them
     * out from the end leaves what was there before. */
    for (int end = d->n - 2; d->latest && end >= n - 1 && end >= MIN_MATCH - 1; end--) {
        *bucket(d, end) = d->previous[end];
    }
    if (n < d->n) {
        d->n = n;
        find_match(d);
    }
}

static void enter(struct ink_draft *d, int end)
{
    if (d->latest && end >= MIN_MATCH - 1) {
        int32_t *head = bucket(d, end);
        d->previous[end] = *head;
        *head = end;
    }
}

static void learn_from(struct ink_draft *d, int32_t token)
{
    int m = d->match_length;
    if (m > 0) {
        d->tries[m] = d->tries[m] * memory + 1;
        d->hits[m] = d->hits[m] * memory + (d->tokens[d->match] == token);
    }
}

void ink_draft_append(struct ink_draft *d, const int32_t *tokens, int n, bool learn)
{
    for (int i = 0; i < n; i++) {
        if (learn) {
            learn_from(d, tokens[i]);
        }
        enter(d, d->n - 1);
        d->tokens[d->n++] = tokens[i];
        if (learn || i == n - 1) {
            find_match(d);
        }
    }
}

/* --------------------------------------------------------------------------------------- policy */

static float hit_rate(const struct ink_draft *d, int m)
{
    m = m < LONG_MATCH ? m : LONG_MATCH;
    return (d->hits[m] + usual_weight * usual_rate[m]) / (d->tries[m] + usual_weight);
}

/* A pass of n rows in passes of one row. Where none was seen, the largest seen below it tells, and
 * each more costs what it did up to there or what a row of the prompt took: the hopeful guess, for
 * it is put right by trying once. */
static float cost_of(const struct ink_draft *d, int n)
{
    int known = n;
    while (known > 1 && d->cost[known] == 0) {
        known--;
    }
    float cost = known > 1 ? d->cost[known] : 1, each = 0.5F;
    if (d->prompt_seconds_per_row > 0) {
        each = fminf(each, (float)(d->prompt_seconds_per_row / d->row_seconds));
    }
    if (known > 1) {
        each = fminf(each, fmaxf(cost - 1, 0) / (float)(known - 1));
    }
    return cost + each * (float)(n - known);
}

static void fade_costs(struct ink_draft *d, int most)
{
    for (int n = 2; n <= most + 1; n++) {
        if (d->cost[n] > 1) {
            d->cost[n] = 1 + (d->cost[n] - 1) * fading;
        }
    }
}

/* How many tokens give the most for their time. */
static int best_length(struct ink_draft *d, int most)
{
    float chance = 1, tokens = 1, best = margin;
    int length = 0;
    for (int k = 1; k <= most && d->row_seconds > 0; k++) {
        chance *= hit_rate(d, d->match_length + k - 1);
        tokens += chance;
        if (tokens > best * cost_of(d, 1 + k)) {
            best = tokens / cost_of(d, 1 + k);
            length = k;
        }
    }
    if (length == 0) {
        fade_costs(d, most);
    }
    return length;
}

int ink_draft_propose(struct ink_draft *d, int32_t *out, int most)
{
    if (d->match_length == 0 || most <= 0) {
        return 0;
    }
    int n = d->always ? most : best_length(d, most);
    for (int i = 0; i < n; i++) { /* past the end of the text the guess goes on with itself */
        out[i] = d->match + i < d->n ? d->tokens[d->match + i] : out[d->match + i - d->n];
    }
    return n;
}

void ink_draft_note_pass(struct ink_draft *d, int n_rows, double seconds)
{
    if (seconds <= 0) {
        return;
    }
    if (n_rows == 1) {
        double most = 2 * d->row_seconds; /* a longer one was interrupted */
        d->row_seconds += d->row_seconds == 0
                              ? seconds
                              : ((seconds < most ? seconds : most) - d->row_seconds) / 4;
    } else if (n_rows <= INK_MAX_DRAFT + 1 && d->row_seconds > 0) {
        float *cost = &d->cost[n_rows], seen = (float)(seconds / d->row_seconds);
        *cost += *cost == 0 ? seen : ((seen < 2 * *cost ? seen : 2 * *cost) - *cost) / 4;
    } else if (n_rows > INK_MAX_DRAFT + 1) {
        d->prompt_seconds_per_row = seconds / n_rows;
    }
}
