#include "stop.h"

#include <string.h>

/* Does a stop string end at held[end]? Where it begins: the earliest; SIZE_MAX if none does. */
static size_t find_match(const struct ink_stopper *s, size_t end)
{
    size_t first = SIZE_MAX;
    for (int i = 0; i < s->n_stops; i++) {
        size_t n = strlen(s->stops[i]);
        if (n <= end && end - n < first && memcmp(s->held.data + end - n, s->stops[i], n) == 0) {
            first = end - n;
        }
    }
    return first;
}

/* Bytes at the end of `held` that begin a stop string: the most. */
static size_t unfinished(const struct ink_stopper *s)
{
    size_t most = 0;
    for (int i = 0; i < s->n_stops; i++) {
        size_t n = strlen(s->stops[i]) - 1;
        for (n = n < s->held.length ? n : s->held.length; n > most; n--) {
            if (memcmp(s->held.data + s->held.length - n, s->stops[i], n) == 0) {
                most = n;
            }
        }
    }
    return most;
}

void ink_stopper_push(struct ink_stopper *s, struct ink_string *out, const char *text, size_t n)
{
    if (s->found || n == 0) {
        return;
    }
    size_t known = s->held.length;
    ink_string_append(&s->held, text, n);
    if (s->held.failed) {
        out->failed = true;
        return;
    }
    size_t start = SIZE_MAX;
    for (size_t end = known + 1; end <= s->held.length && start == SIZE_MAX; end++) {
        start = find_match(s, end);
    }
    s->found = start != SIZE_MAX;
    size_t safe = s->found ? start : s->held.length - unfinished(s);
    ink_string_append(out, s->held.data, safe);
    s->held.length -= safe;
    memmove(s->held.data, s->held.data + safe, s->held.length);
}

void ink_stopper_flush(struct ink_stopper *s, struct ink_string *out)
{
    if (!s->found && s->held.length > 0) {
        ink_string_append(out, s->held.data, s->held.length);
    }
    s->held.length = 0;
}

void ink_stopper_close(struct ink_stopper *s)
{
    ink_string_free(&s->held);
}
