/* How much of the prompts a pass may read: as much as fits into one pass while nobody waits for the
 * next token, else what lengthens the passes of running answers to at most `stretch` times. */
#include "scheduler_internal.h"

static const double stretch = 2.2; /* the promise is 3; passes are not all alike */

enum {
    WHOLE_PASS = 256, /* tokens that the engine reads at once */
    LEAST = 4,        /* so that prompts are read at all */
    FIRST_GUESS = 16, /* while times are not known */
};

int ink_pace_open(struct ink_pace *pace, int n_slots, struct ink_error *error)
{
    size_t n = (size_t)n_slots + 1;
    *pace = (struct ink_pace){.n_slots = n_slots};
    pace->decode_seconds = ink_calloc(n, sizeof *pace->decode_seconds);
    return pace->decode_seconds ? INK_OK : ink_fail_memory(error, n * sizeof *pace->decode_seconds);
}

void ink_pace_close(struct ink_pace *pace)
{
    ink_free(pace->decode_seconds);
}

/* Of a pass for n answers; that for the nearest lower number that is known (which is a little less,
 * so the budget errs to the careful side), else for a higher one. */
static double decode_seconds(const struct ink_pace *pace, int n)
{
    for (int i = n; i > 0; i--) {
        if (pace->decode_seconds[i] > 0) {
            return pace->decode_seconds[i];
        }
    }
    for (int i = n + 1; i <= pace->n_slots; i++) {
        if (pace->decode_seconds[i] > 0) {
            return pace->decode_seconds[i] * n / i;
        }
    }
    return 0;
}

int ink_pace_budget(const struct ink_pace *pace, int n_decode)
{
    double decode = decode_seconds(pace, n_decode);
    if (n_decode == 0) {
        return WHOLE_PASS;
    }
    if (decode == 0 || pace->prompt_seconds == 0) {
        return FIRST_GUESS;
    }
    double n = (stretch - 1) * decode / pace->prompt_seconds;
    int most = WHOLE_PASS - n_decode;
    most = most > LEAST ? most : LEAST;
    return n < LEAST ? LEAST : n > most ? most : (int)n;
}

static void blend(double *average, double value, double weight)
{
    *average = *average > 0 ? *average + weight * (value - *average) : value;
}

void ink_pace_note(struct ink_pace *pace, int n_decode, int n_prompt, double seconds)
{
    if (n_prompt == 0) {
        double *known = &pace->decode_seconds[n_decode];
        /* one pass that the system interrupted says little */
        double most = *known > 0 ? 4 * *known : seconds;
        blend(known, seconds < most ? seconds : most, 0.1);
        return;
    }
    /* Of a pass that reads nothing but prompts, one token is as dear as an answer's: the weights
     * are read for it. */
    double decode = decode_seconds(pace, n_decode > 0 ? n_decode : 1);
    int n_more = n_decode > 0 || decode == 0 ? n_prompt : n_prompt - 1;
    if ((n_decode > 0 && decode == 0) || n_more == 0) {
        return;
    }
    double each = (seconds - decode) / n_more;
    if (each > 0) {
        /* what few tokens add is lost in what passes differ by anyway */
        blend(&pace->prompt_seconds, each, 0.2 * n_more / (n_more + 16));
    }
}
