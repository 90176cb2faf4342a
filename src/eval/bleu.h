/* BLEU as sacrebleu 2.6.0 computes it, for one reference a text: the same tokens, the same sums and
 * the same operations on them in the same order, so that scores agree to the last digits.
 *
 * The definition: texts lose white space at their end, are tokenized and cut at white space; of
 * their 1- to 4-grams `correct` counts those that both sides have (each as often as the rarer side
 * has it), `total` the hypothesis's. All is summed over the corpus, then
 *     score = BP * exp(mean over n of log(100 correct[n] / total[n])),
 *     BP = 1 if the hypotheses are at least as long as the references, else exp(1 - ref / sys). */
#ifndef INK_EVAL_BLEU_H
#define INK_EVAL_BLEU_H

#include "codes.h"

enum { INK_BLEU_ORDER = 4 };

/* How a text becomes words.
 *   13a    mteval-v13a: ASCII punctuation stands alone (not ' , - . inside words and numbers). A
 *          Chinese sentence without spaces is ONE word: identical sentences may score 0.
 *   zh     each character of the CJK blocks stands alone, and ASCII as in 13a. The blocks are
 *          sacrebleu's, with U+2001 to U+2A6D (quotes, dashes, arrows, ...) and without the
 *          ideographs from U+20000 on: its ranges say so, and scores must be comparable.
 *   char   each character is a word
 *   none   cut at white space only */
enum ink_bleu_tokenizer { INK_BLEU_13A, INK_BLEU_ZH, INK_BLEU_CHAR, INK_BLEU_NONE };

/* What an n-gram count of zero becomes.
 *   exp    the k-th such n has precision 100 / (2^k total)
 *   floor  100 * smoothing_value / total
 *   add-k  smoothing_value is added to both counts of every n > 1
 *   none   nothing: the score is 0 (but for rounding) */
enum ink_bleu_smoothing {
    INK_BLEU_SMOOTH_EXP,
    INK_BLEU_SMOOTH_FLOOR,
    INK_BLEU_SMOOTH_ADD_K,
    INK_BLEU_SMOOTH_NONE,
};

/* {0} is sacrebleu's default for a corpus; for single sentences it sets effective_order. */
struct ink_bleu_options {
    enum ink_bleu_tokenizer tokenizer;
    enum ink_bleu_smoothing smoothing;
    double smoothing_value; /* of floor and add-k; 0: 0.1 for floor, 1 for add-k */
    bool effective_order;   /* the mean is over the orders n that the hypotheses are long enough
                               for, not over all four */
};

/* Sums over a corpus. Start with {0}. */
struct ink_bleu_counts {
    uint64_t correct[INK_BLEU_ORDER], total[INK_BLEU_ORDER]; /* of n-grams, [n - 1] */
    uint64_t hypothesis_length, reference_length;            /* in words */
};

struct ink_bleu {
    double score;                      /* 0 to 100 (and a rounding error more) */
    double precisions[INK_BLEU_ORDER]; /* smoothed, in percent */
    double brevity_penalty;
};

/* "13a", "zh", "char", "none" */
const char *ink_bleu_tokenizer_name(enum ink_bleu_tokenizer tokenizer);

/* Append to *out the tokenized text, words with white space between them, for UTF-8 text
 * [n_bytes]. */
void ink_bleu_tokenize(struct ink_codes *out, enum ink_bleu_tokenizer tokenizer, const char *text,
                       size_t n_bytes);

/* Add a pair of UTF-8 texts. INK_ERROR_MEMORY is all that can go wrong; *counts is then as it was.
 */
int ink_bleu_add(struct ink_bleu_counts *counts, enum ink_bleu_tokenizer tokenizer,
                 const char *hypothesis, size_t n_hypothesis, const char *reference,
                 size_t n_reference, struct ink_error *error);

void ink_bleu_score(struct ink_bleu *out, const struct ink_bleu_counts *counts,
                    const struct ink_bleu_options *options);

/* Append what sacrebleu prints beside such a score:
 * "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0". */
void ink_bleu_signature(struct ink_string *out, const struct ink_bleu_options *options);

#endif
