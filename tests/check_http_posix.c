/* The HTTP server in this process, with toy routes: answers from other threads at any moment,
 * clients that leave, memory that runs out, closing at any time. What goes over the wire is
 * tests/check_http_wire's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve_fakes.h"
#include "serve_routes.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static struct ink_keys keys = {.only = "Bearer open-sesame"};

struct server {
    struct ink_http *http;
    struct ink_log log;
    struct ink_metrics metrics;
    struct toys toys;
};

static const struct ink_http_options defaults = {.host = "127.0.0.1",
                                                 .n_workers = 3,
                                                 .max_body = 1000,
                                                 .max_connections = 64,
                                                 .header_seconds = 20,
                                                 .body_seconds = 20,
                                                 .idle_seconds = 20,
                                                 .keys = &keys};

static void prepare(struct server *s)
{
    memset(s, 0, sizeof *s);
    s->log.lock = ink_mutex_new();
    s->metrics.lock = ink_mutex_new();
    s->toys.lock = ink_mutex_new();
}

static int open_server(struct server *s, const struct ink_route *routes, int n, void *context,
                       struct ink_error *error)
{
    struct ink_http_options options = defaults;
    options.log = &s->log;
    options.metrics = &s->metrics;
    return ink_http_open(&s->http, &options, routes, n, context, error);
}

static void start(struct server *s)
{
    struct ink_error error = {0};
    prepare(s);
    if (open_server(s, toy_routes, (int)INK_COUNT(toy_routes), &s->toys, &error) != INK_OK) {
        fail_msg("%s", error.message);
    }
}

static void wait_until_idle(struct server *s)
{
    for (int i = 0; i < 6000 && ink_http_busy(s->http) > 0; i++) {
        ink_sleep(0.005);
    }
    assert_int_equal(ink_http_busy(s->http), 0);
}

static void free_server(struct server *s)
{
    ink_string_free(&s->log.lines);
    ink_mutex_free(s->log.lock);
    ink_mutex_free(s->metrics.lock);
    ink_mutex_free(s->toys.lock);
}

static void stop(struct server *s)
{
    wait_until_idle(s);
    ink_http_close(s->http);
    assert_int_equal((int)metric_of(&s->metrics, INK_METRIC_CONNECTIONS), 0);
    free_server(s);
}

/* --------------------------------------------------------------------------------------- client */

static int connect_to(const struct server *s)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)ink_http_port(s->http))};
    struct timeval limit = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, (socklen_t)sizeof a) != 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, (socklen_t)sizeof limit);
    return fd;
}

static bool say(int fd, const char *method, const char *path, const char *more, const char *body)
{
    char text[2048];
    int n = snprintf(text, sizeof text,
                     "%s %s HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s", method,
                     path, more, (int)strlen(body), body);
    return send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

/* The whole of one answer, as text; its status, 0 if the connection ended before it. */
static int hear(int fd, char *text, size_t size)
{
    size_t n = 0, head = 0, need = 0;
    bool is_chunked = false;
    text[0] = 0;
    for (;;) {
        if (head &&
            (is_chunked ? n >= 5 && strcmp(text + n - 5, "0\r\n\r\n") == 0 : n >= head + need)) {
            return atoi(text + 9);
        }
        ssize_t got = n + 1 < size ? recv(fd, text + n, size - 1 - n, 0) : 0;
        if (got <= 0) {
            return 0;
        }
        n += (size_t)got;
        text[n] = 0;
        char *end = strstr(text, "\r\n\r\n");
        if (!head && end) {
            const char *length = strstr(text, "Content-Length: ");
            head = (size_t)(end - text) + 4;
            need = length ? (size_t)atoi(length + 16) : 0;
            is_chunked = strstr(text, "chunked") != NULL;
        }
    }
}

static int ask(const struct server *s, const char *method, const char *path, const char *more,
               const char *body, char *text, size_t size)
{
    int fd = connect_to(s);
    int status = fd >= 0 && say(fd, method, path, more, body) ? hear(fd, text, size) : 0;
    if (fd >= 0) {
        close(fd);
    }
    return status;
}

static const char json[] = "Content-Type: application/json\r\n";

/* ---------------------------------------------------------------------------------------- tests */

static void test_answers(void **state)
{
    struct server s;
    char text[4096];
    (void)state;
    start(&s);
    assert_true(strncmp(ink_http_address(s.http), "http://127.0.0.1:", 17) == 0);
    assert_int_equal(ask(&s, "GET", "/hello", "", "", text, sizeof text), 200);
    assert_non_null(strstr(text, "\r\n\r\nhello\n"));
    assert_int_equal(ask(&s, "POST", "/echo", json, "[1]", text, sizeof text), 200);
    assert_non_null(strstr(text, "\r\n\r\n[1]"));
    assert_int_equal(ask(&s, "POST", "/slow-echo", json, "[2]", text, sizeof text), 200);
    assert_int_equal(ask(&s, "GET", "/secret", "", "", text, sizeof text), 401);
    assert_int_equal(
        ask(&s, "GET", "/nothing?secret=1", "X-Request-Id: it\r\n", "", text, sizeof text), 404);
    assert_int_equal(ask(&s, "GET", "/stream?n=100&ms=0", "", "", text, sizeof text), 200);
    assert_non_null(strstr(text, "data: 99\n"));
    assert_int_equal(count_of(&s.metrics, "hello", 200), 1);
    assert_int_equal(count_of(&s.metrics, "secret", 401), 1);
    assert_int_equal(count_of(&s.metrics, "other", 404), 1);
    assert_int_equal((int)metric_of(&s.metrics, INK_METRIC_REJECTED_KEY), 1);
    wait_until_idle(&s);
    ink_http_close(s.http);
    assert_non_null(
        strstr(s.log.lines.data, "info request id=it method=GET route=other status=404"));
    assert_non_null(strstr(s.log.lines.data, "peer=127.0.0.1"));
    assert_null(strchr(s.log.lines.data, '?'));
    free_server(&s);
}

/* Answers what /hold holds as soon as it is there: before, while or after the handler returns. */
struct answerer {
    struct server *server;
    volatile bool stops;
    int n;
};

static void answer_held(void *context)
{
    struct answerer *a = context;
    bool stops = false;
    while (!stops) {
        ink_mutex_lock(a->server->toys.lock);
        stops = a->stops;
        ink_mutex_unlock(a->server->toys.lock);
        struct ink_exchange *x = take_held(&a->server->toys);
        if (!x) {
            continue;
        }
        a->n++;
        if (a->n % 3 == 0) {
            ink_exchange_begin(x, 200, "text/plain");
            ink_exchange_write(x, "held\n", 5);
            ink_exchange_end(x, true);
        } else {
            ink_exchange_reply(x, 200, "text/plain", "held\n", 5);
        }
    }
}

static void test_answered_at_once(void **state)
{
    struct server s;
    struct ink_error error = {0};
    struct ink_thread *thread;
    char text[4096];
    (void)state;
    start(&s);
    struct answerer a = {.server = &s};
    assert_int_equal(ink_thread_start(&thread, answer_held, &a, &error), INK_OK);
    int fd = connect_to(&s);
    for (int i = 0; i < 1000; i++) {
        assert_true(say(fd, "GET", "/hold", "", ""));
        assert_int_equal(hear(fd, text, sizeof text), 200);
        assert_non_null(strstr(text, "held\n"));
    }
    close(fd);
    ink_mutex_lock(s.toys.lock);
    a.stops = true;
    ink_mutex_unlock(s.toys.lock);
    ink_thread_join(thread);
    stop(&s);
}

/* Clients that ask all kinds of things, and leave in the midst of some. */
struct client {
    const struct server *server;
    unsigned seed;
    int n_wrong;
};

static void be_client(void *context)
{
    static const struct {
        const char *method, *path, *more, *body;
        int status;
    } questions[] = {
        {"GET", "/hello", "", "", 200},
        {"POST", "/slow-echo", json, "{}", 200},
        {"GET", "/slow?ms=3", "", "", 200},
        {"GET", "/stream?n=50&ms=0", "", "", 200},
        {"GET", "/stream?n=3&ms=2", "", "", 200},
        {"GET", "/nothing", "", "", 404},
        {"POST", "/echo", "Content-Type: text/plain\r\n", "{}", 415},
        {"GET", "/flood?mb=1", "", "", -1},
    };
    struct client *c = context;
    static const size_t size = 65536;
    char *text = malloc(size);
    for (int i = 0; i < 150; i++) {
        c->seed = c->seed * 1664525u + 1013904223u;
        size_t which = (c->seed >> 16) % INK_COUNT(questions);
        bool leaves = (c->seed >> 24) % 4 == 0 || questions[which].status < 0;
        int fd = connect_to(c->server);
        if (fd < 0 || !say(fd, questions[which].method, questions[which].path,
                           questions[which].more, questions[which].body)) {
            c->n_wrong++;
        } else if (leaves) {
            ink_sleep((c->seed >> 8) % 8 * 0.0005);
        } else {
            c->n_wrong += hear(fd, text, size) != questions[which].status;
        }
        close(fd);
    }
    free(text);
}

static void test_many_clients(void **state)
{
    enum { N = 8 };
    struct server s;
    struct ink_error error = {0};
    struct ink_thread *threads[N];
    struct client clients[N];
    (void)state;
    start(&s);
    for (int i = 0; i < N; i++) {
        clients[i] = (struct client){&s, (unsigned)i * 77u + 1u, 0};
        assert_int_equal(ink_thread_start(&threads[i], be_client, &clients[i], &error), INK_OK);
    }
    for (int i = 0; i < N; i++) {
        ink_thread_join(threads[i]);
        assert_int_equal(clients[i].n_wrong, 0);
    }
    stop(&s);
}

/* Connects and asks until it is refused: an answer to everything that was let in. */
static void ask_to_the_end(void *context)
{
    struct client *c = context;
    char text[4096];
    int fd;
    while ((fd = connect_to(c->server)) >= 0) {
        c->n_wrong += !say(fd, "POST", "/echo", json, "[1]") || hear(fd, text, sizeof text) != 200;
        close(fd);
    }
}

static void test_stops_accepting(void **state)
{
    enum { N = 4 };
    struct ink_error error = {0};
    (void)state;
    for (int round = 0; round < 40; round++) {
        struct server s;
        struct ink_thread *threads[N];
        struct client clients[N];
        start(&s);
        for (int i = 0; i < N; i++) {
            clients[i] = (struct client){.server = &s};
            assert_int_equal(ink_thread_start(&threads[i], ask_to_the_end, &clients[i], &error),
                             INK_OK);
        }
        ink_sleep(0.002 + round % 7 * 0.0007);
        ink_http_stop_accepting(s.http);
        for (int i = 0; i < N; i++) {
            ink_thread_join(threads[i]);
            assert_int_equal(clients[i].n_wrong, 0);
        }
        stop(&s);
    }
}

static void test_gone_is_seen(void **state)
{
    struct server s;
    (void)state;
    start(&s);
    int fd = connect_to(&s);
    assert_true(say(fd, "GET", "/hold", "", ""));
    struct ink_exchange *x = NULL;
    for (int i = 0; i < 2000 && !(x = take_held(&s.toys)); i++) {
        ink_sleep(0.001);
    }
    assert_non_null(x);
    assert_int_equal(ink_http_busy(s.http), 1);
    assert_false(ink_exchange_is_gone(x));
    /* more bytes are no leaving */
    assert_true(say(fd, "GET", "/hello", "", ""));
    ink_sleep(0.05);
    assert_false(ink_exchange_is_gone(x));
    double start_at = ink_system_seconds();
    close(fd);
    while (!ink_exchange_is_gone(x) && ink_system_seconds() < start_at + 5) {
        ink_sleep(0.0005);
    }
    double took = ink_system_seconds() - start_at;
    printf("# seen after %.1f ms\n", took * 1000);
    assert_true(took < 1); /* 20 ms on a machine that has time */
    ink_exchange_begin(x, 200, "text/plain");
    assert_false(ink_exchange_write(x, "a", 1));
    ink_exchange_end(x, false);
    stop(&s);
}

/* Closed while clients are in every state. */
static void test_closing(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        struct server s;
        char text[4096];
        start(&s);
        int idle = connect_to(&s), half = connect_to(&s), body = connect_to(&s);
        int held = connect_to(&s), streaming = connect_to(&s);
        assert_true(say(idle, "GET", "/hello", "", ""));
        assert_int_equal(hear(idle, text, sizeof text), 200);
        assert_true(send(half, "GET /", 5, MSG_NOSIGNAL) == 5);
        assert_true(say(body, "POST", "/echo", "Content-Type: application/json\r\n", ""));
        assert_true(say(held, "GET", "/hold", "", ""));
        assert_true(say(streaming, "GET", "/stream?n=20&ms=0", "", ""));
        struct ink_exchange *x = NULL;
        while (!(x = take_held(&s.toys))) {
            ink_sleep(0.0005);
        }
        if (i % 2) {
            ink_http_stop_accepting(s.http);
            assert_true(connect_to(&s) < 0);
        }
        ink_exchange_reply(x, 503, "text/plain", "bye", 3);
        wait_until_idle(&s);
        if (i % 3 == 0) {
            close(streaming);
        }
        ink_http_close(s.http);
        assert_int_equal(hear(held, text, sizeof text), 503);
        close(idle);
        close(half);
        close(body);
        close(held);
        if (i % 3) {
            close(streaming);
        }
        free_server(&s);
    }
}

/* Opening with the n-th allocation failing: an error, or a server that works. */
static void test_memory_opening(void **state)
{
    int n_failed = 0;
    (void)state;
    for (long n = 1; n < 60; n++) {
        struct server s;
        struct ink_error error = {0};
        prepare(&s);
        ink_fail_allocation(n, false);
        int rc = open_server(&s, toy_routes, (int)INK_COUNT(toy_routes), &s.toys, &error);
        ink_fail_allocation(0, false);
        if (rc == INK_OK) {
            ink_http_close(s.http);
        } else {
            assert_true(rc == INK_ERROR_MEMORY || rc == INK_ERROR_INPUT);
            assert_true(error.message[0] != 0);
            n_failed++;
        }
        free_server(&s);
    }
    assert_true(n_failed > 8);
}

/* Each question with the n-th allocation failing: an answer, or the connection ends. The log is not
 * written: its own memory is not in question. */
static void test_memory_answering(void **state)
{
    static const char *const paths[] = {"/hello",    "/slow?ms=0", "/stream?n=3&ms=0",
                                        "/show?a=b", "/nothing",   "/secret"};
    struct server s;
    struct ink_error error = {0};
    struct ink_http_options options = defaults;
    char text[8192];
    (void)state;
    prepare(&s);
    assert_int_equal(
        ink_http_open(&s.http, &options, toy_routes, (int)INK_COUNT(toy_routes), &s.toys, &error),
        INK_OK);
    for (size_t i = 0; i < INK_COUNT(paths); i++) {
        for (long n = 1; n < 30; n++) {
            ink_fail_allocation(n, n % 2 == 0);
            ask(&s, "GET", paths[i], "X-A: b\r\n", "", text, sizeof text);
            wait_until_idle(&s);
            ink_fail_allocation(0, false);
        }
        assert_in_range(ask(&s, "GET", paths[i], "", "", text, sizeof text), 200, 404);
    }
    for (long n = 1; n < 40; n++) {
        ink_fail_allocation(n, false);
        ask(&s, "POST", "/slow-echo", json, "[1,2,3]", text, sizeof text);
        wait_until_idle(&s);
        ink_fail_allocation(0, false);
    }
    stop(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),        cmocka_unit_test(test_answered_at_once),
        cmocka_unit_test(test_many_clients),   cmocka_unit_test(test_stops_accepting),
        cmocka_unit_test(test_gone_is_seen),   cmocka_unit_test(test_closing),
        cmocka_unit_test(test_memory_opening), cmocka_unit_test(test_memory_answering),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
