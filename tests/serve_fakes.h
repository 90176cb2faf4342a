/* Keys, logs and metrics for tests of the HTTP server alone: they remember what they were told. */
#ifndef CHECK_SERVE_FAKES_H
#define CHECK_SERVE_FAKES_H

#include "../src/serve/keys.h"
#include "../src/serve/log.h"
#include "../src/serve/metrics.h"
#include "../src/sync.h"

#include <stdio.h>
#include <string.h>

struct ink_keys {
    const char *only; /* what Authorization must be */
};
bool ink_keys_allow(struct ink_keys *k, const char *authorization)
{
    return authorization && strcmp(authorization, k->only) == 0;
}

struct ink_log {
    struct ink_mutex *lock;
    struct ink_string lines;
    bool prints;
};
void ink_log_event(struct ink_log *log, const char *level, const char *event,
                   const struct ink_log_field *fields, int n_fields)
{
    if (!log) {
        return;
    }
    ink_mutex_lock(log->lock);
    size_t before = log->lines.length;
    ink_string_printf(&log->lines, "%s %s", level, event);
    for (int i = 0; i < n_fields; i++) {
        if (fields[i].text) {
            ink_string_printf(&log->lines, " %s=%s", fields[i].key, fields[i].text);
        } else {
            ink_string_printf(&log->lines, " %s=%g", fields[i].key, fields[i].number);
        }
    }
    ink_string_puts(&log->lines, "\n");
    if (log->prints) {
        fputs(log->lines.data + before, stderr);
    }
    ink_mutex_unlock(log->lock);
}

struct ink_metrics {
    struct ink_mutex *lock;
    double values[INK_METRIC_COUNT];
    struct {
        const char *route;
        int status, n;
    } requests[100];
    int n_requests;
};
void ink_metrics_add(struct ink_metrics *m, enum ink_metric metric, uint64_t n)
{
    if (m) {
        ink_mutex_lock(m->lock);
        m->values[metric] += (double)n;
        ink_mutex_unlock(m->lock);
    }
}
void ink_metrics_set(struct ink_metrics *m, enum ink_metric metric, double value)
{
    if (m) {
        ink_mutex_lock(m->lock);
        m->values[metric] = value;
        ink_mutex_unlock(m->lock);
    }
}
void ink_metrics_count_request(struct ink_metrics *m, const char *route, int status)
{
    int i = 0;
    if (!m) {
        return;
    }
    ink_mutex_lock(m->lock);
    while (i < m->n_requests &&
           (strcmp(m->requests[i].route, route) != 0 || m->requests[i].status != status)) {
        i++;
    }
    if (i < (int)INK_COUNT(m->requests)) {
        m->requests[i].route = route;
        m->requests[i].status = status;
        m->requests[i].n++;
        m->n_requests += i == m->n_requests;
    }
    ink_mutex_unlock(m->lock);
}

static inline int count_of(struct ink_metrics *m, const char *route, int status)
{
    int n = 0;
    ink_mutex_lock(m->lock);
    for (int i = 0; i < m->n_requests; i++) {
        if (strcmp(m->requests[i].route, route) == 0 && m->requests[i].status == status) {
            n = m->requests[i].n;
        }
    }
    ink_mutex_unlock(m->lock);
    return n;
}

static inline double metric_of(struct ink_metrics *m, enum ink_metric metric)
{
    ink_mutex_lock(m->lock);
    double value = m->values[metric];
    ink_mutex_unlock(m->lock);
    return value;
}

#endif
