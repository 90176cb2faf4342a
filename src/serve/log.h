/* What happened, a line an event, on stderr: as text, or as one JSON object a line. Never holds
 * prompts, answers or keys. */
#ifndef INK_LOG_H
#define INK_LOG_H

#include "common.h"

enum ink_log_format { INK_LOG_TEXT, INK_LOG_JSON };
struct ink_log;
struct ink_log *ink_log_new(enum ink_log_format format); /* NULL: out of memory */
void ink_log_free(struct ink_log *log);

struct ink_log_field {
    const char *key;
    const char *text; /* NULL: number */
    double number;
};
/* level: "info", "warning", "error". All but level, event (words) and, as text, keys is escaped; a
 * text is cut after 1024 bytes. One write for a line. Out of memory: the line is lost. Any thread.
 * `log` may be NULL. */
void ink_log_event(struct ink_log *log, const char *level, const char *event,
                   const struct ink_log_field *fields, int n_fields);

#endif
