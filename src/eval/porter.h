/* Porter's stemmer in the variant that rouge_score uses: NLTK's PorterStemmer() with its default
 * mode, NLTK_EXTENSIONS. It differs from Porter's paper in some irregular words, in short ones
 * ("ties", "died", "enjoy"), in "alli", "fulli", "logi", and in what ends
 * consonant-vowel-consonant. */
#ifndef INK_EVAL_PORTER_H
#define INK_EVAL_PORTER_H

#include <stddef.h>

/* word [n], of a-z and 0-9 (a digit counts as a consonant), becomes its stem in place: the stem's
 * length, which is at most n. */
size_t ink_porter_stem(char *word, size_t n);

#endif
