#include "shuffle.h"

#include <string.h>

enum { n_state = 624, n_shift = 397 };

/* ----------------------------------------------------------------------------------- MT19937 */

static void seed_word(struct ink_twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < n_state; i++) {
        const uint32_t before = t->state[i - 1];
        t->state[i] = 1812433253U * (before ^ before >> 30) + i;
    }
    t->at = n_state;
}

/* key [n], n >= 1 */
static void seed_words(struct ink_twister *t, const uint32_t *key, size_t n)
{
    uint32_t *s = t->state;
    size_t i = 1, j = 0;
    seed_word(t, 19650218U);
    for (size_t k = n > n_state ? n : n_state; k > 0; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1664525U) + key[j] + (uint32_t)j;
        j = (j + 1) % n;
        if (++i == n_state) {
            s[0] = s[n_state - 1];
            i = 1;
        }
    }
    for (size_t k = n_state - 1; k > 0; k--) {
        s[i] = (s[i] ^ (s[i - 1] ^ s[i - 1] >> 30) * 1566083941U) - (uint32_t)i;
        if (++i == n_state) {
            s[0] = s[n_state - 1];
            i = 1;
        }
    }
    s[0] = 0x80000000U;
}

static void twist(struct ink_twister *t)
{
    uint32_t *s = t->state;
    for (int i = 0; i < n_state; i++) {
        const uint32_t y = (s[i] & 0x80000000U) | (s[(i + 1) % n_state] & 0x7FFFFFFFU);
        s[i] = s[(i + n_shift) % n_state] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFU : 0);
    }
    t->at = 0;
}

static uint32_t draw(struct ink_twister *t)
{
    if (t->at == n_state) {
        twist(t);
    }
    uint32_t y = t->state[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680U;
    y ^= y << 15 & 0xEFC60000U;
    return y ^ y >> 18;
}

static void swap(uint32_t *items, size_t i, size_t j)
{
    const uint32_t kept = items[i];
    items[i] = items[j];
    items[j] = kept;
}

/* ------------------------------------------------------------------------------------ CPython */

/* words [*n] (lowest first) = words * 10 + digit; there is room for one more. */
static void append_digit(uint32_t *words, size_t *n, unsigned digit)
{
    uint64_t carry = digit;
    for (size_t i = 0; i < *n; i++) {
        carry += (uint64_t)words[i] * 10;
        words[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry > 0) {
        words[(*n)++] = (uint32_t)carry;
    }
}

int ink_twister_seed_python(struct ink_twister *t, const char *seed, const char *shown,
                            struct ink_error *error)
{
    uint32_t words[INK_MAX_SEED_DIGITS / 9 + 1]; /* nine digits are less than 32 bits */
    size_t n = 0;
    const char *digits = seed + (*seed == '-' || *seed == '+');
    const size_t n_digits = strspn(digits, "0123456789");
    if (n_digits == 0 || digits[n_digits] != '\0' || n_digits > INK_MAX_SEED_DIGITS) {
        return ink_fail(error, INK_ERROR_ARGUMENT,
                        "%s: \"%.40s\" is not a whole number of at most %d digits", shown, seed,
                        INK_MAX_SEED_DIGITS);
    }
    for (size_t i = 0; i < n_digits; i++) {
        append_digit(words, &n, (unsigned)(digits[i] - '0'));
    }
    if (n == 0) {
        words[n++] = 0;
    }
    seed_words(t, words, n);
    return INK_OK;
}

/* As Random._randbelow: numbers of as many bits as n has, until one is below n. 1 <= n. */
static uint32_t draw_below(struct ink_twister *t, uint32_t n)
{
    int spare = 0; /* leading zero bits */
    while (!(n << spare & 0x80000000U)) {
        spare++;
    }
    uint32_t number = draw(t) >> spare;
    while (number >= n) {
        number = draw(t) >> spare;
    }
    return number;
}

void ink_twister_shuffle(struct ink_twister *t, uint32_t *items, size_t n)
{
    for (size_t i = n; i-- > 1;) {
        swap(items, i, draw_below(t, (uint32_t)(i + 1)));
    }
}

/* -------------------------------------------------------------------------------------- torch */

void ink_twister_seed_torch(struct ink_twister *t, uint64_t seed)
{
    seed_word(t, (uint32_t)seed);
}

void ink_twister_randperm(struct ink_twister *t, uint32_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = (uint32_t)i;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        swap(out, i, i + draw(t) % (uint32_t)(n - i));
    }
}
