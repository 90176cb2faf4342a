#include "bleu.h"

#include <math.h>
#include <stdlib.h>

const char *ink_bleu_tokenizer_name(enum ink_bleu_tokenizer tokenizer)
{
    static const char *const names[] = {"13a", "zh", "char", "none"};
    return names[tokenizer];
}

/* ------------------------------------------------------------------------------------ n-grams */

struct gram {
    const int32_t *ids; /* [n] */
    size_t n;
};

static int compare_grams(const void *a, const void *b)
{
    const struct gram *x = a, *y = b;
    for (size_t i = 0; i < x->n; i++) {
        if (x->ids[i] != y->ids[i]) {
            return x->ids[i] < y->ids[i] ? -1 : 1;
        }
    }
    return 0;
}

/* The n-grams of a text into list, sorted: how many. */
static size_t list_grams(struct gram *list, const struct ink_words *words, size_t n)
{
    const size_t count = words->n >= n ? words->n - n + 1 : 0;
    for (size_t i = 0; i < count; i++) {
        list[i] = (struct gram){words->ids + i, n};
    }
    if (count > 0) {
        qsort(list, count, sizeof *list, compare_grams);
    }
    return count;
}

/* Each n-gram as often as the rarer side has it: pairs of equals in two sorted lists. */
static uint64_t count_common(const struct gram *a, size_t n_a, const struct gram *b, size_t n_b)
{
    uint64_t common = 0;
    for (size_t i = 0, j = 0; i < n_a && j < n_b;) {
        const int order = compare_grams(&a[i], &b[j]);
        common += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return common;
}

static int add_words(struct ink_bleu_counts *counts, const struct ink_words *hypothesis,
                     const struct ink_words *reference, struct ink_error *error)
{
    const size_t room = hypothesis->n + reference->n;
    struct gram *grams = ink_calloc(room, sizeof *grams);
    if (!grams) {
        return ink_fail_memory(error, room * sizeof *grams);
    }
    struct gram *others = grams + hypothesis->n;
    for (size_t n = 1; n <= INK_BLEU_ORDER; n++) {
        const size_t n_grams = list_grams(grams, hypothesis, n);
        const size_t n_others = list_grams(others, reference, n);
        counts->total[n - 1] += n_grams;
        counts->correct[n - 1] += count_common(grams, n_grams, others, n_others);
    }
    counts->hypothesis_length += hypothesis->n;
    counts->reference_length += reference->n;
    ink_free(grams);
    return INK_OK;
}

int ink_bleu_add(struct ink_bleu_counts *counts, enum ink_bleu_tokenizer tokenizer,
                 const char *hypothesis, size_t n_hypothesis, const char *reference,
                 size_t n_reference, struct ink_error *error)
{
    struct ink_codes texts[2] = {{0}, {0}};
    struct ink_words words[2];
    ink_bleu_tokenize(&texts[0], tokenizer, hypothesis, n_hypothesis);
    ink_bleu_tokenize(&texts[1], tokenizer, reference, n_reference);
    int status = ink_words_number(&words[0], &words[1], &texts[0], &texts[1], error);
    if (status == INK_OK) {
        status = add_words(counts, &words[0], &words[1], error);
    }
    for (int i = 0; i < 2; i++) {
        ink_codes_free(&texts[i]);
        ink_free(words[i].ids);
    }
    return status;
}

/* -------------------------------------------------------------------------------------- scores */

static double smoothing_value(const struct ink_bleu_options *options)
{
    const double standard = options->smoothing == INK_BLEU_SMOOTH_FLOOR ? 0.1 : 1;
    return options->smoothing_value > 0 ? options->smoothing_value : standard;
}

/* Precision of n-grams, n = order + 1, in percent; *halving is exp's state, 1 at first. */
static double smooth(double correct, double total, const struct ink_bleu_options *options,
                     double *halving)
{
    if (correct > 0) {
        return 100 * correct / total;
    }
    if (options->smoothing == INK_BLEU_SMOOTH_EXP) {
        *halving *= 2;
        return 100 / (*halving * total);
    }
    return options->smoothing == INK_BLEU_SMOOTH_FLOOR ? 100 * smoothing_value(options) / total : 0;
}

static double log_of(double precision)
{
    return precision > 0 ? log(precision) : -9999999999.0;
}

/* Fill precisions; the orders that the mean is over. */
static int find_precisions(struct ink_bleu *out, const struct ink_bleu_counts *counts,
                           const struct ink_bleu_options *options)
{
    double halving = 1;
    int order = INK_BLEU_ORDER;
    for (int i = 0; i < INK_BLEU_ORDER; i++) {
        const bool adds = options->smoothing == INK_BLEU_SMOOTH_ADD_K && i > 0;
        const double extra = adds ? smoothing_value(options) : 0;
        const double total = (double)counts->total[i] + extra;
        if (!(total > 0)) {
            break;
        }
        order = options->effective_order ? i + 1 : order;
        out->precisions[i] = smooth((double)counts->correct[i] + extra, total, options, &halving);
    }
    return order;
}

void ink_bleu_score(struct ink_bleu *out, const struct ink_bleu_counts *counts,
                    const struct ink_bleu_options *options)
{
    const double sys = (double)counts->hypothesis_length, ref = (double)counts->reference_length;
    uint64_t any = 0;
    *out = (struct ink_bleu){.brevity_penalty = 1};
    if (sys < ref) {
        out->brevity_penalty = sys > 0 ? exp(1 - ref / sys) : 0;
    }
    for (int i = 0; i < INK_BLEU_ORDER; i++) {
        any |= counts->correct[i];
    }
    if (any == 0) {
        return;
    }
    const int order = find_precisions(out, counts, options);
    double sum = 0;
    for (int i = 0; i < order; i++) {
        sum += log_of(out->precisions[i]);
    }
    out->score = out->brevity_penalty * exp(sum / order);
}

void ink_bleu_signature(struct ink_string *out, const struct ink_bleu_options *options)
{
    static const char *const smoothings[] = {"exp", "floor", "add-k", "none"};
    const bool has_value =
        options->smoothing == INK_BLEU_SMOOTH_FLOOR || options->smoothing == INK_BLEU_SMOOTH_ADD_K;
    ink_string_printf(out, "nrefs:1|case:mixed|eff:%s|tok:%s|smooth:%s",
                      options->effective_order ? "yes" : "no",
                      ink_bleu_tokenizer_name(options->tokenizer), smoothings[options->smoothing]);
    if (has_value) {
        ink_string_printf(out, "[%.2f]", smoothing_value(options));
    }
    ink_string_puts(out, "|version:2.6.0");
}
