/* Stop strings: text that ends an answer and is not part of it. */
#ifndef INK_STOP_H
#define INK_STOP_H

#include "common.h"

/* Holds back text that may become a stop string. Start with {.stops, .n_stops}. */
struct ink_stopper {
    const char *const *stops; /* [n_stops], none empty */
    int n_stops;
    struct ink_string held;
    bool found;
};

/* Take the next piece of text; append to *out what is surely part of the answer. When a stop
 * string is complete, `found` is set, and what came before it is the last that is given out. The
 * one that is complete first wins; of those, the one that begins first. */
void ink_stopper_push(struct ink_stopper *s, struct ink_string *out, const char *text, size_t n);
/* The answer is over: give out what is held, unless a stop string was found. */
void ink_stopper_flush(struct ink_stopper *s, struct ink_string *out);
void ink_stopper_close(struct ink_stopper *s);

#endif
