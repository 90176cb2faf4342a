/* Numbers between bounds, digit by digit. A number is written without an exponent: `whole` digits
 * before the point, perhaps some after it. While its digits are those of a bound, the next digit
 * must not cross that bound; after that it is free. */
#include "grammar_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    max_whole = 18,  /* digits before the point of an integer */
    max_digits = 15, /* of a number in all: so many survive being a double */
    room = 64,
};

/* Zero or more, in decimal: digits[0 .. whole) before the point, zeros from `n` on. */
struct decimal {
    unsigned char digits[room];
    int whole, n;
    bool is_exclusive;
};

/* v >= 0. False: it has too many digits. */
static bool to_decimal(struct decimal *d, double v)
{
    char text[64];
    int precision = 15;
    do { /* the fewest digits that mean v */
        snprintf(text, sizeof text, "%.*e", precision - 1, v);
    } while (strtod(text, NULL) != v && ++precision <= 17);
    const char *e = strchr(text, 'e');
    const int exponent = e ? atoi(e + 1) : 0;
    char digits[32];
    int n = 0;
    for (const char *c = text; c < e && n < 31; c++) {
        if (*c >= '0' && *c <= '9') {
            digits[n++] = (char)(*c - '0');
        }
    }
    memset(d, 0, sizeof *d);
    d->whole = exponent < 0 ? 1 : exponent + 1;
    const int first = exponent < 0 ? -exponent : 0; /* zeros before the digits */
    if (d->whole > max_whole || first + n > room - 1) {
        return false;
    }
    memcpy(d->digits + first, digits, (size_t)n);
    d->n = first + n > d->whole ? first + n : d->whole;
    while (d->n > d->whole && d->digits[d->n - 1] == 0) {
        d->n--;
    }
    return true;
}

struct digits {
    struct ink_builder *b;
    uint32_t rule;
    const struct decimal *low, *high; /* high NULL: no limit */
    int whole, most;                  /* digits before the point, and in all; most == whole: none
                                         after it */
    uint32_t states[room][2][2];      /* by digits so far, tight at low, tight at high; 0: none */
};

static int digit_of(const struct digits *x, const struct decimal *d, int at)
{
    const int shifted = at - (x->whole - d->whole); /* leading zeros, if d is shorter */
    return shifted >= 0 && shifted < d->n ? d->digits[shifted] : 0;
}

/* Are all digits of d from `at` on zero? */
static bool is_done(const struct digits *x, const struct decimal *d, int at)
{
    for (; at - (x->whole - d->whole) < d->n; at++) {
        if (digit_of(x, d, at) != 0) {
            return false;
        }
    }
    return true;
}

/* Is the number that ends here within the bounds? */
static bool is_within(const struct digits *x, int at, bool tight_low, bool tight_high)
{
    if (tight_low && (!is_done(x, x->low, at) || x->low->is_exclusive)) {
        return false;
    }
    return !(tight_high && x->high->is_exclusive && is_done(x, x->high, at));
}

static uint32_t add_place(struct digits *x, int at, bool tight_low, bool tight_high);

static void add_digit_edges(struct digits *x, uint32_t from, int at, bool tight_low,
                            bool tight_high, int first)
{
    const int low = tight_low ? digit_of(x, x->low, at) : 0;
    const int high = tight_high ? digit_of(x, x->high, at) : 9;
    for (int digit = low > first ? low : first; digit <= high; digit++) {
        const bool stays_low = tight_low && digit == low, stays_high = tight_high && digit == high;
        int last = digit;
        if (!stays_low && !stays_high) {
            last = tight_high ? high - 1 : 9;
        }
        uint32_t to = add_place(x, at + 1, stays_low, stays_high);
        ink_build_edge(x->b, from, '0' + (unsigned)digit, '0' + (unsigned)last, 0, to);
        digit = last;
    }
}

/* The state after `at` digits, and all that follows it. */
static uint32_t add_place(struct digits *x, int at, bool tight_low, bool tight_high)
{
    uint32_t *known = &x->states[at][tight_low][tight_high];
    if (*known || x->b->status != INK_OK) {
        return *known;
    }
    const uint32_t state = *known = ink_build_state(x->b, x->rule);
    if (at >= x->whole && is_within(x, at, tight_low, tight_high)) {
        ink_build_final(x->b, state);
    }
    if (at == x->most) {
        return state;
    }
    uint32_t from = state;
    if (at == x->whole) {
        from = ink_build_state(x->b, x->rule);
        ink_build_edge(x->b, state, '.', '.', 0, from);
    }
    add_digit_edges(x, from, at, tight_low, tight_high, 0);
    return state;
}

/* Numbers with `whole` digits before the point. */
static void add_numbers(struct ink_builder *b, uint32_t rule, uint32_t from, bool is_integer,
                        int whole, const struct decimal *low, const struct decimal *high)
{
    struct digits x = {.b = b, .rule = rule, .low = low, .high = high, .whole = whole};
    x.most = is_integer || whole > max_digits ? whole : max_digits;
    const bool tight_low = whole == low->whole;
    const bool tight_high = high && whole == high->whole;
    add_digit_edges(&x, from, 0, tight_low, tight_high, whole > 1 ? 1 : 0);
}

static void add_magnitudes(struct ink_builder *b, uint32_t rule, uint32_t from, bool is_integer,
                           const struct decimal *low, const struct decimal *high)
{
    const int limit = is_integer ? max_whole : max_digits;
    const int most = high && high->whole < limit ? high->whole : limit;
    for (int whole = low->whole; whole <= most; whole++) {
        add_numbers(b, rule, from, is_integer, whole, low, high);
    }
}

/* Bounds of an integer: inclusive, and integers themselves. Doubles beyond 2^53 stand for several
 * integers of the text: the next one inward is meant. */
static void round_inward(struct ink_json_bound *bound, bool is_low)
{
    const double toward = is_low ? INFINITY : -INFINITY,
                 whole = is_low ? ceil(bound->value) : floor(bound->value);
    if (!bound->is_set) {
        return;
    }
    if (fabs(bound->value) >= 0x1p53) {
        bound->value = nextafter(bound->value, toward);
    } else if (whole == bound->value && bound->is_exclusive) {
        bound->value += is_low ? 1 : -1;
    } else {
        bound->value = whole;
    }
    bound->is_exclusive = false;
}

static int empty(const char **why)
{
    *why = ink_text("no number lies between the bounds");
    return INK_ERROR_ARGUMENT;
}

/* Numbers from low to high, both zero or more (high not set: no limit), with a minus sign if
 * `minus`. */
static int add_side(struct ink_builder *b, uint32_t rule, bool is_integer, bool minus,
                    struct ink_json_bound low, struct ink_json_bound high, const char **why)
{
    struct decimal from, to;
    const double limit = 1e18;
    if (high.is_set && high.value >= limit) {
        high.is_set = false;
    }
    if (low.value >= limit || !to_decimal(&from, low.value) ||
        (high.is_set && !to_decimal(&to, high.value))) {
        *why = ink_text("the bound has too many digits");
        return INK_ERROR_ARGUMENT;
    }
    from.is_exclusive = low.is_exclusive;
    to.is_exclusive = high.is_set && high.is_exclusive;
    uint32_t at = ink_build_start(b, rule);
    if (minus) {
        uint32_t next = ink_build_state(b, rule);
        ink_build_edge(b, at, '-', '-', 0, next);
        at = next;
    }
    add_magnitudes(b, rule, at, is_integer, &from, high.is_set ? &to : NULL);
    return INK_OK;
}

int ink_json_number_within(struct ink_builder *b, uint32_t *rule, bool is_integer,
                           struct ink_json_bound low, struct ink_json_bound high, const char **why)
{
    *why = NULL;
    if (is_integer) {
        round_inward(&low, true);
        round_inward(&high, false);
    }
    if (low.is_set && high.is_set &&
        (low.value > high.value ||
         (low.value == high.value && (low.is_exclusive || high.is_exclusive)))) {
        return empty(why);
    }
    int status = INK_OK;
    *rule = ink_build_rule(b);
    const struct ink_json_bound none = {0}, above_zero = {true, true, 0}, zero = {true, false, 0},
                                one = {true, false, 1};
    if (!high.is_set || high.value >= 0) {
        status = add_side(b, *rule, is_integer, false, low.is_set && low.value >= 0 ? low : zero,
                          high, why);
    }
    if (status == INK_OK && (!low.is_set || low.value < 0)) {
        struct ink_json_bound least = is_integer ? one : above_zero, most = none;
        if (high.is_set && high.value < 0) {
            least = (struct ink_json_bound){true, high.is_exclusive, -high.value};
        }
        if (low.is_set) {
            most = (struct ink_json_bound){true, low.is_exclusive, -low.value};
        }
        status = add_side(b, *rule, is_integer, true, least, most, why);
    }
    return status == INK_OK ? b->status : status;
}
