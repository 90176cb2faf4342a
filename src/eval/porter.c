/* M. F. Porter, An algorithm for suffix stripping, Program 14 (3), 1980, with NLTK's extensions.
 * Below, a stem has the form [C](VC)^m[V], where C and V are runs of consonants and vowels: m is
 * its measure. Stems are the beginnings word[0..n) of the word that is being worked on. */
#include "porter.h"

#include "common.h"

#include <string.h>

static bool is_vowel_letter(char c)
{
    return memchr("aeiou", c, 5) != NULL;
}

/* y is a consonant at the start and after a vowel, so that a run of y alternates. */
static bool is_consonant(const char *word, size_t i)
{
    size_t first = i;
    while (first > 0 && word[i] == 'y' && word[first - 1] == 'y') {
        first--;
    }
    if (word[i] != 'y') {
        return !is_vowel_letter(word[i]);
    }
    const bool starts = first == 0 || is_vowel_letter(word[first - 1]);
    return starts == ((i - first) % 2 == 0);
}

static int measure(const char *word, size_t n)
{
    bool before = true; /* the letter before is a consonant */
    int m = 0;
    for (size_t i = 0; i < n; i++) {
        const bool is = word[i] == 'y' ? i == 0 || !before : !is_vowel_letter(word[i]);
        m += is && !before;
        before = is;
    }
    return m;
}

static bool has_vowel(const char *word, size_t n)
{
    bool has = false;
    for (size_t i = 0; i < n && !has; i++) {
        has = is_vowel_letter(word[i]) || (word[i] == 'y' && i > 0);
    }
    return has;
}

static bool ends_double(const char *word, size_t n)
{
    return n >= 2 && word[n - 1] == word[n - 2] && is_consonant(word, n - 1);
}

/* Porter's *o, and also a two-letter word of a vowel and a consonant. */
static bool ends_cvc(const char *word, size_t n)
{
    if (n >= 3) {
        return is_consonant(word, n - 3) && !is_consonant(word, n - 2) &&
               is_consonant(word, n - 1) && !memchr("wxy", word[n - 1], 3);
    }
    return n == 2 && !is_consonant(word, 0) && is_consonant(word, 1);
}

static bool ends_with(const char *word, size_t n, const char *suffix)
{
    const size_t length = strlen(suffix);
    return length <= n && memcmp(word + n - length, suffix, length) == 0;
}

/* ----------------------------------------------------------------------------- lists of rules */

struct rule {
    const char *suffix, *to;
    int least;        /* the measure that the stem must have at least */
    const char *last; /* NULL, or what its last letter must be one of */
    size_t kept;      /* letters of the suffix that count as the stem's when it is measured */
};

/* The first rule whose suffix fits is the one that counts, even if its condition fails. */
static size_t apply(char *word, size_t n, const struct rule *rules, size_t n_rules)
{
    for (size_t i = 0; i < n_rules; i++) {
        const struct rule *r = &rules[i];
        if (!ends_with(word, n, r->suffix)) {
            continue;
        }
        const size_t stem = n - strlen(r->suffix);
        const bool fits = measure(word, stem + r->kept) >= r->least &&
                          (!r->last || (stem > 0 && strchr(r->last, word[stem - 1])));
        if (!fits) {
            return n;
        }
        memcpy(word + stem, r->to, strlen(r->to));
        return stem + strlen(r->to);
    }
    return n;
}

/* -------------------------------------------------------------------------------------- steps */

static size_t step_1a(char *word, size_t n)
{
    static const struct rule rules[] = {{.suffix = "sses", .to = "ss"},
                                        {.suffix = "ies", .to = "i"},
                                        {.suffix = "ss", .to = "ss"},
                                        {.suffix = "s", .to = ""}};
    return n == 4 && ends_with(word, n, "ies") ? 3 : apply(word, n, rules, INK_COUNT(rules));
}

/* What -ed or -ing leaves behind is mended. */
static size_t mend(char *word, size_t n)
{
    if (ends_with(word, n, "at") || ends_with(word, n, "bl") || ends_with(word, n, "iz")) {
        word[n] = 'e';
        return n + 1;
    }
    if (ends_double(word, n)) {
        return memchr("lsz", word[n - 1], 3) ? n : n - 1;
    }
    if (measure(word, n) == 1 && ends_cvc(word, n)) {
        word[n] = 'e';
        return n + 1;
    }
    return n;
}

static size_t step_1b(char *word, size_t n)
{
    if (ends_with(word, n, "ied")) {
        return n == 4 ? n - 1 : n - 2;
    }
    if (ends_with(word, n, "eed")) {
        return measure(word, n - 3) > 0 ? n - 1 : n;
    }
    if (ends_with(word, n, "ed") && has_vowel(word, n - 2)) {
        return mend(word, n - 2);
    }
    if (ends_with(word, n, "ing") && has_vowel(word, n - 3)) {
        return mend(word, n - 3);
    }
    return n;
}

static void step_1c(char *word, size_t n)
{
    if (n > 2 && word[n - 1] == 'y' && is_consonant(word, n - 2)) {
        word[n - 1] = 'i';
    }
}

static size_t step_2(char *word, size_t n)
{
    static const struct rule rules[] = {
        {"ational", "ate", 1, NULL, 0}, {"tional", "tion", 1, NULL, 0},
        {"enci", "ence", 1, NULL, 0},   {"anci", "ance", 1, NULL, 0},
        {"izer", "ize", 1, NULL, 0},    {"bli", "ble", 1, NULL, 0},
        {"alli", "al", 1, NULL, 0},     {"entli", "ent", 1, NULL, 0},
        {"eli", "e", 1, NULL, 0},       {"ousli", "ous", 1, NULL, 0},
        {"ization", "ize", 1, NULL, 0}, {"ation", "ate", 1, NULL, 0},
        {"ator", "ate", 1, NULL, 0},    {"alism", "al", 1, NULL, 0},
        {"iveness", "ive", 1, NULL, 0}, {"fulness", "ful", 1, NULL, 0},
        {"ousness", "ous", 1, NULL, 0}, {"aliti", "al", 1, NULL, 0},
        {"iviti", "ive", 1, NULL, 0},   {"biliti", "ble", 1, NULL, 0},
        {"fulli", "ful", 1, NULL, 0},   {"logi", "log", 1, NULL, 1}};
    while (ends_with(word, n, "alli") && measure(word, n - 4) > 0) {
        n -= 2; /* "al", and once more */
    }
    return apply(word, n, rules, INK_COUNT(rules));
}

static size_t step_3(char *word, size_t n)
{
    static const struct rule rules[] = {{"icate", "ic", 1, NULL, 0}, {"ative", "", 1, NULL, 0},
                                        {"alize", "al", 1, NULL, 0}, {"iciti", "ic", 1, NULL, 0},
                                        {"ical", "ic", 1, NULL, 0},  {"ful", "", 1, NULL, 0},
                                        {"ness", "", 1, NULL, 0}};
    return apply(word, n, rules, INK_COUNT(rules));
}

static size_t step_4(char *word, size_t n)
{
    static const struct rule rules[] = {
        {"al", "", 2, NULL, 0},   {"ance", "", 2, NULL, 0}, {"ence", "", 2, NULL, 0},
        {"er", "", 2, NULL, 0},   {"ic", "", 2, NULL, 0},   {"able", "", 2, NULL, 0},
        {"ible", "", 2, NULL, 0}, {"ant", "", 2, NULL, 0},  {"ement", "", 2, NULL, 0},
        {"ment", "", 2, NULL, 0}, {"ent", "", 2, NULL, 0},  {"ion", "", 2, "st", 0},
        {"ou", "", 2, NULL, 0},   {"ism", "", 2, NULL, 0},  {"ate", "", 2, NULL, 0},
        {"iti", "", 2, NULL, 0},  {"ous", "", 2, NULL, 0},  {"ive", "", 2, NULL, 0},
        {"ize", "", 2, NULL, 0}};
    return apply(word, n, rules, INK_COUNT(rules));
}

static size_t step_5(const char *word, size_t n)
{
    if (word[n - 1] == 'e') {
        const int m = measure(word, n - 1);
        n -= m > 1 || (m == 1 && !ends_cvc(word, n - 1));
    }
    return n - (ends_with(word, n, "ll") && measure(word, n - 1) > 1);
}

static size_t find_irregular(char *word, size_t n)
{
    static const char *const pool[][2] = {
        {"sky", "sky"},        {"skies", "sky"},       {"dying", "die"},
        {"lying", "lie"},      {"tying", "tie"},       {"news", "news"},
        {"inning", "inning"},  {"innings", "inning"},  {"outing", "outing"},
        {"outings", "outing"}, {"canning", "canning"}, {"cannings", "canning"},
        {"howe", "howe"},      {"proceed", "proceed"}, {"exceed", "exceed"},
        {"succeed", "succeed"}};
    for (size_t i = 0; i < INK_COUNT(pool); i++) {
        if (strlen(pool[i][0]) == n && memcmp(pool[i][0], word, n) == 0) {
            const size_t length = strlen(pool[i][1]);
            memcpy(word, pool[i][1], length);
            return length;
        }
    }
    return 0;
}

size_t ink_porter_stem(char *word, size_t n)
{
    const size_t known = find_irregular(word, n);
    if (known > 0 || n <= 2) {
        return known > 0 ? known : n;
    }
    n = step_1a(word, n);
    n = step_1b(word, n);
    step_1c(word, n);
    n = step_2(word, n);
    n = step_3(word, n);
    n = step_4(word, n);
    return step_5(word, n);
}
