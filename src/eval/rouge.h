/* ROUGE-L of one pair of texts: with l the length of the longest common subsequence of their words,
 *     precision = l / words of the hypothesis, recall = l / words of the reference,
 *     f = 2 precision recall / (precision + recall),
 * all 0 where a side has no words. A corpus's figure is the mean over its pairs. */
#ifndef INK_EVAL_ROUGE_H
#define INK_EVAL_ROUGE_H

#include "codes.h"

/* What a word is.
 *   latin       as rouge_score with use_stemmer=True: runs of ASCII letters and digits,
 * lower-cased, those longer than 3 stemmed (porter.h). Everything else is no word: a pair of purely
 *               Chinese texts scores 0 even if they are equal.
 *   unstemmed   the same without the stemmer
 *   characters  made for Chinese: runs of ASCII letters and digits, lower-cased, are a word, and so
 *               is every other character but white space, punctuation too */
enum ink_rouge_words { INK_ROUGE_LATIN, INK_ROUGE_UNSTEMMED, INK_ROUGE_CHARACTERS };

struct ink_rouge {
    double precision, recall, f; /* 0 to 1 */
    bool is_blind; /* a side has text, but no words by this definition: the score says nothing */
};

/* UTF-8 texts. INK_ERROR_MEMORY is all that can go wrong. Time is the product of their lengths. */
int ink_rouge_l(struct ink_rouge *out, enum ink_rouge_words words, const char *hypothesis,
                size_t n_hypothesis, const char *reference, size_t n_reference,
                struct ink_error *error);

/* Append to *out the words of UTF-8 text [n_bytes], with spaces between them. */
void ink_rouge_tokenize(struct ink_codes *out, enum ink_rouge_words words, const char *text,
                        size_t n_bytes);

#endif
