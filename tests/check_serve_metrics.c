/* Metrics: what is counted is printed, in a form that Prometheus reads. */
#include "support.h"

#include "../src/serve/metrics.h"
#include "../src/sync.h"

#include <math.h>

static char *print(struct ink_metrics *m)
{
    struct ink_string out = {0};
    ink_metrics_print(m, &out);
    assert_false(out.failed);
    assert_int_equal(out.data[out.length - 1], '\n');
    return out.data;
}

static void assert_line(const char *text, const char *line)
{
    const size_t n = strlen(line);
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++) {
        if ((at == text || at[-1] == '\n') && at[n] == '\n') {
            return;
        }
    }
    fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void values(void **state)
{
    (void)state;
    struct ink_metrics *m = ink_metrics_new();
    assert_non_null(m);
    ink_metrics_add(m, INK_METRIC_PROMPT_TOKENS, 5000000000);
    ink_metrics_add(m, INK_METRIC_PROMPT_TOKENS, 7);
    ink_metrics_add(m, INK_METRIC_CANCELLED_SLOW, 2);
    ink_metrics_add(m, INK_METRIC_REJECTED_LIMIT, 1);
    ink_metrics_set(m, INK_METRIC_KV_USAGE, 0.125);
    ink_metrics_set(m, INK_METRIC_QUEUED, 3);
    ink_metrics_add(m, INK_METRIC_QUEUED, 1);
    ink_metrics_count_request(m, "/v1/models", 200);
    ink_metrics_count_request(m, "/v1/models", 200);
    ink_metrics_count_request(m, "/v1/models", 401);
    char *text = print(m);
    assert_line(text, "inkstone_prompt_tokens_total 5000000007");
    assert_line(text, "inkstone_generated_tokens_total 0");
    assert_line(text, "inkstone_cancelled_total{reason=\"slow\"} 2");
    assert_line(text, "inkstone_rejected_total{reason=\"limit\"} 1");
    assert_line(text, "inkstone_rejected_total{reason=\"queue\"} 0");
    assert_line(text, "inkstone_kv_cache_usage_ratio 0.125");
    assert_line(text, "inkstone_requests_queued 4");
    assert_line(text, "inkstone_requests_total{route=\"/v1/models\",code=\"200\"} 2");
    assert_line(text, "inkstone_requests_total{route=\"/v1/models\",code=\"401\"} 1");
    assert_line(text, "# TYPE inkstone_requests_queued gauge");
    assert_line(text, "# TYPE inkstone_prompt_tokens_total counter");
    assert_non_null(strstr(text, "inkstone_build_info{version=\""));
    assert_true(ink_metrics_get(m, INK_METRIC_PROMPT_TOKENS) == 5000000007.0);
    assert_true(ink_metrics_get(m, INK_METRIC_KV_USAGE) == 0.125);
    ink_free(text);
    ink_metrics_free(m);
}

static void histograms(void **state)
{
    (void)state;
    struct ink_metrics *m = ink_metrics_new();
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, 0);
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, 0.001); /* bounds belong to their bucket */
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, 0.3);
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, 1000);
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, -1);
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, NAN);
    ink_metrics_observe(m, INK_HISTOGRAM_QUEUE, INFINITY);
    char *text = print(m);
    assert_line(text, "inkstone_queue_seconds_bucket{le=\"0.001\"} 2");
    assert_line(text, "inkstone_queue_seconds_bucket{le=\"0.2\"} 2");
    assert_line(text, "inkstone_queue_seconds_bucket{le=\"0.5\"} 3");
    assert_line(text, "inkstone_queue_seconds_bucket{le=\"100\"} 3");
    assert_line(text, "inkstone_queue_seconds_bucket{le=\"+Inf\"} 4");
    assert_line(text, "inkstone_queue_seconds_count 4");
    assert_line(text, "inkstone_queue_seconds_sum 1000.301");
    assert_line(text, "inkstone_request_seconds_count 0");
    ink_free(text);
    ink_metrics_free(m);
}

/* More routes and statuses than there are places: none is lost. */
static void many_routes(void **state)
{
    (void)state;
    static char names[100][8];
    struct ink_metrics *m = ink_metrics_new();
    for (int i = 0; i < 100; i++) {
        snprintf(names[i], sizeof names[i], "r%d", i);
        ink_metrics_count_request(m, names[i], 200);
        ink_metrics_count_request(m, "r0", 400 + i);
    }
    char *text = print(m), *line = text;
    double sum = 0;
    while ((line = strstr(line, "\ninkstone_requests_total{")) != NULL) {
        sum += strtod(strchr(line, '}') + 1, NULL);
        line++;
    }
    assert_true(sum == 200);
    assert_line(text, "inkstone_requests_total{route=\"other\",code=\"200\"} 37");
    ink_free(text);
    ink_metrics_free(m);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void change(void *m)
{
    static const char *const routes[] = {"a", "b", "c"};
    for (int i = 0; i < ROUNDS; i++) {
        ink_metrics_add(m, INK_METRIC_STEPS, 1);
        ink_metrics_add(m, INK_METRIC_CONNECTIONS, 1);
        ink_metrics_observe(m, INK_HISTOGRAM_WHOLE, 0.5);
        ink_metrics_count_request(m, routes[i % 3], 200 + i % 2);
    }
}

static void threads_lose_nothing(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_metrics *m = ink_metrics_new();
    struct ink_thread *threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_ok(ink_thread_start(&threads[i], change, m, &error));
    }
    for (int i = 0; i < THREADS; i++) {
        ink_thread_join(threads[i]);
    }
    assert_true(ink_metrics_get(m, INK_METRIC_STEPS) == THREADS * ROUNDS);
    assert_true(ink_metrics_get(m, INK_METRIC_CONNECTIONS) == THREADS * ROUNDS);
    char *text = print(m), line[100];
    snprintf(line, sizeof line, "inkstone_request_seconds_sum %d", THREADS * ROUNDS / 2);
    assert_line(text, line);
    snprintf(line, sizeof line, "inkstone_request_seconds_bucket{le=\"0.5\"} %d", THREADS * ROUNDS);
    assert_line(text, line);
    snprintf(line, sizeof line, "inkstone_requests_total{route=\"a\",code=\"200\"} %d",
             THREADS * ((ROUNDS + 5) / 6));
    assert_line(text, line);
    ink_free(text);
    ink_metrics_free(m);
}

/* Prometheus' own judge, where it is installed. */
static void promtool_is_content(void **state)
{
    (void)state;
    if (is_emulated() || system("promtool --version >promtool.tmp 2>&1") != 0) {
        remove("promtool.tmp");
        printf("# SKIP: no promtool (Debian: prometheus)\n");
        skip();
    }
    struct ink_metrics *m = ink_metrics_new();
    ink_metrics_count_request(m, "/v1/models", 200);
    ink_metrics_observe(m, INK_HISTOGRAM_FIRST, 0.3);
    char *text = print(m);
    FILE *f = fopen("promtool.tmp", "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    int status = system("promtool check metrics <promtool.tmp >promtool.out 2>&1 && "
                        "! grep . promtool.out | sed 's/^/# /' | grep .");
    remove("promtool.tmp");
    remove("promtool.out");
    assert_int_equal(status, 0);
    ink_free(text);
    ink_metrics_free(m);
}

static void nothing_to_count_with(void **state)
{
    (void)state;
    struct ink_string out = {0};
    ink_metrics_add(NULL, INK_METRIC_STEPS, 1);
    ink_metrics_set(NULL, INK_METRIC_SLOTS, 1);
    ink_metrics_observe(NULL, INK_HISTOGRAM_FIRST, 1);
    ink_metrics_count_request(NULL, "a", 200);
    ink_metrics_print(NULL, &out);
    assert_null(out.data);
    ink_metrics_free(NULL);
    ink_fail_allocation(1, true);
    assert_null(ink_metrics_new());
    ink_fail_allocation(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(histograms),
        cmocka_unit_test(many_routes),
        cmocka_unit_test(threads_lose_nothing),
        cmocka_unit_test(promtool_is_content),
        cmocka_unit_test(nothing_to_count_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
