#include "metrics.h"

#include "platform.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

/* The last place of each is for all that find no other. */
enum { MAX_ROUTES = 64, MAX_STATUSES = 24, OTHER_STATUS = 999 };

/* ------------------------------------------------------------------------------------- names */

/* Values of one name and several labels stand together. */
struct family {
    const char *name, *help;
    bool is_counter;
    enum ink_metric first;
    int n;
    const char *label, *values[4]; /* NULL: one value without label */
};
static const struct family families[] = {
    {"inkstone_prompt_tokens_total",
     "Prompt tokens of requests that began.",
     true,
     INK_METRIC_PROMPT_TOKENS,
     1,
     NULL,
     {NULL}},
    {"inkstone_prompt_tokens_cached_total",
     "Prompt tokens that were taken from the prefix cache instead of being read.",
     true,
     INK_METRIC_PROMPT_TOKENS_CACHED,
     1,
     NULL,
     {NULL}},
    {"inkstone_generated_tokens_total",
     "Tokens of answers.",
     true,
     INK_METRIC_GENERATED_TOKENS,
     1,
     NULL,
     {NULL}},
    {"inkstone_cancelled_total",
     "Requests given up: the client left, did not read, or the server stopped.",
     true,
     INK_METRIC_CANCELLED_GONE,
     3,
     "reason",
     {"gone", "slow", "shutdown"}},
    {"inkstone_rejected_total",
     "Requests refused: queue full, server draining, key or host or origin not allowed, a limit of "
     "HTTP exceeded.",
     true,
     INK_METRIC_REJECTED_QUEUE,
     4,
     "reason",
     {"queue", "draining", "denied", "limit"}},
    {"inkstone_steps_total",
     "Passes of the scheduler over the model.",
     true,
     INK_METRIC_STEPS,
     1,
     NULL,
     {NULL}},
    {"inkstone_requests_running",
     "Requests that have a slot.",
     false,
     INK_METRIC_RUNNING,
     1,
     NULL,
     {NULL}},
    {"inkstone_requests_queued",
     "Requests that wait for a slot.",
     false,
     INK_METRIC_QUEUED,
     1,
     NULL,
     {NULL}},
    {"inkstone_slots",
     "Answers that can be written at the same time.",
     false,
     INK_METRIC_SLOTS,
     1,
     NULL,
     {NULL}},
    {"inkstone_kv_cache_usage_ratio",
     "Part of the slots' positions in use, 0 to 1.",
     false,
     INK_METRIC_KV_USAGE,
     1,
     NULL,
     {NULL}},
    {"inkstone_prefix_cache_bytes",
     "Memory of the prefix cache in use.",
     false,
     INK_METRIC_PREFIX_BYTES,
     1,
     NULL,
     {NULL}},
    {"inkstone_prefix_cache_capacity_bytes",
     "Memory that the prefix cache may use.",
     false,
     INK_METRIC_PREFIX_CAPACITY,
     1,
     NULL,
     {NULL}},
    {"inkstone_ready",
     "Whether new requests are taken: 1, or 0 while loading and draining.",
     false,
     INK_METRIC_READY,
     1,
     NULL,
     {NULL}},
    {"inkstone_connections",
     "Open client connections.",
     false,
     INK_METRIC_CONNECTIONS,
     1,
     NULL,
     {NULL}},
};

static const struct {
    const char *name, *help;
} histograms[INK_HISTOGRAM_COUNT] = {
    [INK_HISTOGRAM_QUEUE] = {"inkstone_queue_seconds", "From a request's arrival to its slot."},
    [INK_HISTOGRAM_FIRST] = {"inkstone_time_to_first_token_seconds",
                             "From a request's arrival to the first token of its answer."},
    [INK_HISTOGRAM_BETWEEN] = {"inkstone_time_between_tokens_seconds",
                               "From one token of an answer to the next."},
    [INK_HISTOGRAM_WHOLE] = {"inkstone_request_seconds",
                             "From a request's arrival to the end of its answer."},
};

static const double bounds[] = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                0.5,   1,     2,     5,    10,   20,   50,  100};

/* ------------------------------------------------------------------------------------ changes */

/* Counters hold integers, gauges the bits of a double. */
struct histogram {
    atomic_uint_fast64_t buckets[INK_COUNT(bounds) + 1]; /* each by itself, not cumulated */
    atomic_uint_fast64_t nanoseconds;                    /* sum */
};
struct route {
    _Atomic(const char *) name; /* NULL: free. Taken once, never changed */
    struct {
        atomic_int status; /* 0: free */
        atomic_uint_fast64_t n;
    } statuses[MAX_STATUSES];
};
struct ink_metrics {
    atomic_uint_fast64_t values[INK_METRIC_COUNT];
    struct histogram histograms[INK_HISTOGRAM_COUNT];
    struct route routes[MAX_ROUTES];
    double start; /* seconds since 1970 */
};

struct ink_metrics *ink_metrics_new(void)
{
    struct ink_metrics *m = ink_calloc(1, sizeof *m);
    if (m) {
        m->start = (double)time(NULL);
    }
    return m;
}

void ink_metrics_free(struct ink_metrics *m)
{
    ink_free(m);
}

static bool is_counter(enum ink_metric metric)
{
    return metric < INK_METRIC_RUNNING;
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double value_of(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void ink_metrics_add(struct ink_metrics *m, enum ink_metric metric, uint64_t n)
{
    if (!m) {
        return;
    }
    if (is_counter(metric)) {
        atomic_fetch_add_explicit(&m->values[metric], n, memory_order_relaxed);
        return;
    }
    uint_fast64_t old = atomic_load_explicit(&m->values[metric], memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&m->values[metric], &old,
                                                  bits_of(value_of(old) + (double)n),
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void ink_metrics_set(struct ink_metrics *m, enum ink_metric metric, double value)
{
    if (m) {
        atomic_store_explicit(&m->values[metric],
                              is_counter(metric) ? (uint64_t)value : bits_of(value),
                              memory_order_relaxed);
    }
}

double ink_metrics_get(const struct ink_metrics *m, enum ink_metric metric)
{
    if (!m) {
        return 0;
    }
    const uint64_t value = atomic_load_explicit(&m->values[metric], memory_order_relaxed);
    return is_counter(metric) ? (double)value : value_of(value);
}

void ink_metrics_observe(struct ink_metrics *m, enum ink_histogram histogram, double seconds)
{
    if (!m || !(seconds >= 0 && seconds < 1e9)) {
        return;
    }
    struct histogram *h = &m->histograms[histogram];
    size_t i = 0;
    while (i < INK_COUNT(bounds) && seconds > bounds[i]) {
        i++;
    }
    atomic_fetch_add_explicit(&h->buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->nanoseconds, (uint64_t)(seconds * 1e9), memory_order_relaxed);
}

/* The place of that name, taken if it is new. */
static struct route *find_route(struct ink_metrics *m, const char *name)
{
    int i = 0;
    for (; i < MAX_ROUTES - 1; i++) {
        const char *taken = NULL;
        if (atomic_compare_exchange_strong(&m->routes[i].name, &taken, name) ||
            strcmp(taken, name) == 0) {
            return &m->routes[i];
        }
    }
    atomic_store(&m->routes[i].name, "other");
    return &m->routes[i];
}

void ink_metrics_count_request(struct ink_metrics *m, const char *route, int status)
{
    if (!m) {
        return;
    }
    struct route *r = find_route(m, route);
    int i = 0;
    for (; i < MAX_STATUSES - 1; i++) {
        int taken = 0;
        if (atomic_compare_exchange_strong(&r->statuses[i].status, &taken, status) ||
            taken == status) {
            break;
        }
    }
    if (i == MAX_STATUSES - 1) {
        atomic_store(&r->statuses[i].status, OTHER_STATUS);
    }
    atomic_fetch_add_explicit(&r->statuses[i].n, 1, memory_order_relaxed);
}

/* ----------------------------------------------------------------------------------- printing */

static void print_head(struct ink_string *out, const char *name, const char *help, const char *type)
{
    ink_string_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void print_value(struct ink_string *out, double value)
{
    if (value == floor(value) && fabs(value) < 1e15) {
        ink_string_printf(out, " %.0f\n", value);
    } else {
        ink_string_printf(out, " %.9g\n", value);
    }
}

static void print_families(const struct ink_metrics *m, struct ink_string *out)
{
    for (size_t i = 0; i < INK_COUNT(families); i++) {
        const struct family *f = &families[i];
        print_head(out, f->name, f->help, f->is_counter ? "counter" : "gauge");
        for (int j = 0; j < f->n; j++) {
            ink_string_puts(out, f->name);
            if (f->label) {
                ink_string_printf(out, "{%s=\"%s\"}", f->label, f->values[j]);
            }
            print_value(out, ink_metrics_get(m, (enum ink_metric)((int)f->first + j)));
        }
    }
}

static void print_histogram(struct ink_metrics *m, enum ink_histogram id, struct ink_string *out)
{
    struct histogram *h = &m->histograms[id];
    const char *name = histograms[id].name;
    print_head(out, name, histograms[id].help, "histogram");
    uint64_t n = 0;
    for (size_t i = 0; i < INK_COUNT(bounds); i++) {
        n += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        ink_string_printf(out, "%s_bucket{le=\"%g\"} %llu\n", name, bounds[i],
                          (unsigned long long)n);
    }
    n += atomic_load_explicit(&h->buckets[INK_COUNT(bounds)], memory_order_relaxed);
    ink_string_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum", name, (unsigned long long)n,
                      name);
    print_value(out, (double)atomic_load_explicit(&h->nanoseconds, memory_order_relaxed) * 1e-9);
    ink_string_printf(out, "%s_count %llu\n", name, (unsigned long long)n);
}

static void print_requests(struct ink_metrics *m, struct ink_string *out)
{
    static const char name[] = "inkstone_requests_total";
    print_head(out, name, "Answers, by route and HTTP status.", "counter");
    for (int i = 0; i < MAX_ROUTES; i++) {
        const char *route = atomic_load(&m->routes[i].name);
        for (int j = 0; route && j < MAX_STATUSES; j++) {
            const int status = atomic_load(&m->routes[i].statuses[j].status);
            if (status != 0) {
                ink_string_printf(out, "%s{route=\"%s\",code=\"%d\"} %llu\n", name, route, status,
                                  (unsigned long long)atomic_load(&m->routes[i].statuses[j].n));
            }
        }
    }
}

static void print_process(const struct ink_metrics *m, struct ink_string *out)
{
    const uint64_t resident = ink_platform_resident();
    const int open_files = ink_platform_open_files();
    print_head(out, "inkstone_build_info", "The version in its label; always 1.", "gauge");
    ink_string_printf(out, "inkstone_build_info{version=\"%s\"} 1\n", ink_version());
    print_head(out, "process_start_time_seconds", "When the process began, seconds since 1970.",
               "gauge");
    ink_string_puts(out, "process_start_time_seconds");
    print_value(out, m->start);
    if (resident > 0) {
        print_head(out, "process_resident_memory_bytes", "Resident memory.", "gauge");
        ink_string_printf(out, "process_resident_memory_bytes %llu\n",
                          (unsigned long long)resident);
    }
    if (open_files >= 0) {
        print_head(out, "process_open_fds", "Open file descriptors.", "gauge");
        ink_string_printf(out, "process_open_fds %d\n", open_files);
    }
}

void ink_metrics_print(struct ink_metrics *m, struct ink_string *out)
{
    if (!m) {
        return;
    }
    print_requests(m, out);
    print_families(m, out);
    for (int i = 0; i < INK_HISTOGRAM_COUNT; i++) {
        print_histogram(m, (enum ink_histogram)i, out);
    }
    print_process(m, out);
}
