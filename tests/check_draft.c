/* Guesses against a search of the whole text, and when they are made. */
#include "support.h"

#include "../src/draft.h"

static uint32_t state = 1;

static int random_below(int n)
{
    state = state * 1664525u + 1013904223u;
    return (int)((state >> 8) % (uint32_t)n);
}

/* The longest match of the end of the text, at most `most` tokens, that the drafter could find. */
static int longest_match(const struct ink_draft *d, int most)
{
    int longest = 0;
    for (int end = 0; end < d->n - 1; end++) {
        int n = 0;
        while (n < most && n <= end && d->tokens[end - n] == d->tokens[d->n - 1 - n]) {
            n++;
        }
        longest = n > longest ? n : longest;
    }
    return longest >= INK_DRAFT_MIN_MATCH ? longest : 0;
}

static bool is_match(const struct ink_draft *d)
{
    int n = 0;
    while (n < d->match_length && d->tokens[d->match - 1 - n] == d->tokens[d->n - 1 - n]) {
        n++;
    }
    return n == d->match_length;
}

/* Random texts that grow and are cut again. Few tokens of each kind, so that a search never has
 * more places to look at than it takes: then the longest match must be found. */
static void finds_the_longest_match(void **unused)
{
    (void)unused;
    enum { capacity = 300 };
    struct ink_error error = {0};
    struct ink_draft d;
    assert_ok(ink_draft_open(&d, capacity, true, &error));
    for (int round = 0; round < 3000; round++) {
        int n = random_below(20), cut = random_below(4);
        if (cut == 0 || d.n + n > capacity) {
            ink_draft_truncate(&d, random_below(d.n + 2));
        }
        for (int i = 0; i < n && d.n < capacity; i++) {
            int32_t token = random_below(25);
            if (d.n > 40 && random_below(2)) { /* repeat something, so that matches are long */
                token = d.tokens[d.n - 37];
            }
            ink_draft_append(&d, &token, 1, random_below(2));
        }
        if (longest_match(&d, INK_DRAFT_LONG_MATCH) != d.match_length || !is_match(&d)) {
            /* only where the search gave up */
            int places = 0;
            for (int end = 1; end < d.n - 1; end++) {
                places +=
                    d.tokens[end] == d.tokens[d.n - 1] && d.tokens[end - 1] == d.tokens[d.n - 2];
            }
            assert_true(is_match(&d) && places >= 8);
        }
    }
    ink_draft_close(&d);
}

/* After any truncation everything is as if the rest had never been there. */
static void truncation_leaves_no_trace(void **unused)
{
    (void)unused;
    enum { capacity = 200 };
    struct ink_error error = {0};
    struct ink_draft a, b;
    int32_t text[capacity];
    assert_ok(ink_draft_open(&a, capacity, true, &error));
    assert_ok(ink_draft_open(&b, capacity, true, &error));
    for (int i = 0; i < capacity; i++) {
        text[i] = random_below(6);
    }
    for (int cut = 0; cut <= capacity; cut++) {
        ink_draft_append(&a, text + a.n, capacity - a.n, true);
        ink_draft_truncate(&a, cut);
        ink_draft_truncate(&b, 0);
        ink_draft_append(&b, text, cut, true);
        assert_int_equal(a.n, cut);
        assert_int_equal(a.match_length, b.match_length);
        assert_true(a.match_length == 0 || a.match == b.match);
        assert_memory_equal(a.latest, b.latest, ((size_t)a.mask + 1) * sizeof *a.latest);
    }
    ink_draft_close(&a);
    ink_draft_close(&b);
}

/* A text of a period goes on with it, beyond what was written. */
static void guesses_go_on_with_themselves(void **unused)
{
    (void)unused;
    struct ink_error error = {0};
    struct ink_draft d;
    int32_t text[] = {5, 1, 2, 3, 1, 2, 3}, guess[INK_MAX_DRAFT];
    const int32_t wanted[INK_MAX_DRAFT] = {1, 2, 3, 1, 2, 3, 1, 2};
    assert_ok(ink_draft_open(&d, 10, true, &error));
    d.always = true;
    ink_draft_append(&d, text, 7, false);
    assert_int_equal(ink_draft_propose(&d, guess, INK_MAX_DRAFT), INK_MAX_DRAFT);
    assert_memory_equal(guess, wanted, sizeof wanted);
    assert_int_equal(ink_draft_propose(&d, guess, 3), 3);
    assert_int_equal(ink_draft_propose(&d, guess, 0), 0);
    assert_int_equal(ink_draft_propose(&d, guess, -1), 0);
    ink_draft_close(&d);
}

/* Write `text`, with passes that cost `slope` for each further row; what plain passes take over
 * what was taken. */
static double speed_of(const int32_t *text, int n, double slope)
{
    struct ink_error error = {0};
    struct ink_draft d;
    int32_t guess[INK_MAX_DRAFT];
    double units = 0;
    assert_ok(ink_draft_open(&d, n, true, &error));
    ink_draft_append(&d, text, 1, false);
    while (d.n < n) {
        int most = n - d.n - 1 < INK_MAX_DRAFT ? n - d.n - 1 : INK_MAX_DRAFT;
        int k = ink_draft_propose(&d, guess, most), right = 0;
        units += 1 + slope * k;
        ink_draft_note_pass(&d, 1 + k, 0.02 * (1 + slope * k));
        while (right < k && guess[right] == text[d.n + right]) {
            right++;
        }
        ink_draft_append(&d, text + d.n, right + 1, true);
    }
    ink_draft_close(&d);
    return (n - 1) / units;
}

static void guesses_only_where_it_pays(void **unused)
{
    (void)unused;
    enum { n = 4000 };
    static int32_t unique[n], noise[n], period[n];
    for (int i = 0; i < n; i++) {
        unique[i] = i;
        noise[i] = random_below(40);
        period[i] = i % 50;
    }
    for (double slope = 0; slope <= 1; slope += 0.125) {
        assert_true(speed_of(unique, n, slope) == 1);
        double slowest = speed_of(noise, n, slope), fastest = speed_of(period, n, slope);
        if (slowest < 0.98 || fastest < (slope < 0.8 ? 1.1 : 0.98)) {
            fail_msg("slope %g: noise %g, repetition %g", slope, slowest, fastest);
        }
    }
    assert_true(speed_of(period, n, 0) > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_longest_match),
        cmocka_unit_test(truncation_leaves_no_trace),
        cmocka_unit_test(guesses_go_on_with_themselves),
        cmocka_unit_test(guesses_only_where_it_pays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
