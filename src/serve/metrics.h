/* Counters, gauges and histograms in Prometheus' text format 0.0.4. Any thread may change them, no
 * call waits or fails. Names are inkstone_*; none has a label that a client chooses. */
#ifndef INK_METRICS_H
#define INK_METRICS_H

#include "common.h"

enum ink_metric {
    /* counters */
    INK_METRIC_PROMPT_TOKENS,        /* prompt tokens of requests that began */
    INK_METRIC_PROMPT_TOKENS_CACHED, /* of them, taken from the prefix cache */
    INK_METRIC_GENERATED_TOKENS,
    INK_METRIC_CANCELLED_GONE,     /* requests given up: the client left, */
    INK_METRIC_CANCELLED_SLOW,     /* did not read, */
    INK_METRIC_CANCELLED_SHUTDOWN, /* or the server stopped */
    INK_METRIC_REJECTED_QUEUE,     /* requests refused: queue full, */
    INK_METRIC_REJECTED_DRAINING,  /* draining, */
    INK_METRIC_REJECTED_KEY,       /* key, host or origin not allowed, */
    INK_METRIC_REJECTED_LIMIT,     /* a limit of HTTP */
    INK_METRIC_STEPS,              /* passes of the scheduler */
    /* gauges */
    INK_METRIC_RUNNING,
    INK_METRIC_QUEUED,
    INK_METRIC_SLOTS,
    INK_METRIC_KV_USAGE, /* part of the slots' positions in use, 0 to 1 */
    INK_METRIC_PREFIX_BYTES,
    INK_METRIC_PREFIX_CAPACITY,
    INK_METRIC_READY,
    INK_METRIC_CONNECTIONS,
    INK_METRIC_COUNT,
};
enum ink_histogram {
    INK_HISTOGRAM_QUEUE,   /* seconds from arrival to a slot */
    INK_HISTOGRAM_FIRST,   /* to the first token */
    INK_HISTOGRAM_BETWEEN, /* between one token and the next */
    INK_HISTOGRAM_WHOLE,   /* to the end */
    INK_HISTOGRAM_COUNT,
};

struct ink_metrics;
struct ink_metrics *ink_metrics_new(void); /* NULL: out of memory */
void ink_metrics_free(struct ink_metrics *m);
/* `m` may be NULL in all of these: nothing happens. */
/* Counters are added to, gauges set. */
void ink_metrics_add(struct ink_metrics *m, enum ink_metric metric, uint64_t n);
void ink_metrics_set(struct ink_metrics *m, enum ink_metric metric, double value);
void ink_metrics_observe(struct ink_metrics *m, enum ink_histogram histogram, double seconds);
/* An answer of a route (a static string, fit for a label as it is) with that status. */
void ink_metrics_count_request(struct ink_metrics *m, const char *route, int status);
/* Everything, with build information and, where the system tells, resident memory and open
 * descriptors of the process. */
void ink_metrics_print(struct ink_metrics *m, struct ink_string *out);
/* One value, for /props and tests. */
double ink_metrics_get(const struct ink_metrics *m, enum ink_metric metric);

#endif
