/* The server's life: listening before the model is there, signals, drain, keys, and the service
 * manager. HTTP, API and scheduler are stand-ins here that note what is asked of them. */
#define _DEFAULT_SOURCE

#include "support.h"

#include "../src/serve/api.h"
#include "../src/serve/http.h"
#include "../src/serve/keys.h"
#include "../src/serve/serve.h"
#include "../src/serve/service.h"
#include "../src/sync.h"
#include "../src/system.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------- stand-ins */

static struct {
    struct ink_http_options http;
    const struct ink_route *routes;
    int n_routes;
    void *context;
    atomic_int running, unsent;
    double begin, unready, stopped_accepting, drained, cancelled; /* 0: never */
    bool http_is_open, scheduler_is_open, api_is_open;
} seen;

struct ink_exchange {
    struct ink_request request;
    int status;
    char body[256];
};

const struct ink_request *ink_exchange_request(const struct ink_exchange *x)
{
    return &x->request;
}

void ink_exchange_add_header(struct ink_exchange *x, const char *name, const char *value)
{
    (void)x, (void)name, (void)value;
}

void ink_exchange_reply(struct ink_exchange *x, int status, const char *content_type,
                        const char *body, size_t n)
{
    (void)content_type;
    x->status = status;
    snprintf(x->body, sizeof x->body, "%.*s", (int)n, body);
}

int ink_http_open(struct ink_http **out, const struct ink_http_options *options,
                  const struct ink_route *routes, int n_routes, void *context,
                  struct ink_error *error)
{
    (void)error;
    seen.http = *options;
    seen.routes = routes;
    seen.n_routes = n_routes;
    seen.context = context;
    seen.http_is_open = true;
    *out = (struct ink_http *)&seen;
    return INK_OK;
}

const char *ink_http_address(const struct ink_http *h)
{
    (void)h;
    return "http://127.0.0.1:1";
}

void ink_http_stop_accepting(struct ink_http *h)
{
    (void)h;
    seen.stopped_accepting = ink_system_seconds() - seen.begin;
}

int ink_http_busy(const struct ink_http *h)
{
    (void)h;
    return atomic_load(&seen.running);
}

int ink_http_unsent(const struct ink_http *h)
{
    (void)h;
    return atomic_load(&seen.unsent);
}

void ink_http_close(struct ink_http *h)
{
    (void)h;
    assert_true(!seen.scheduler_is_open || seen.cancelled > 0); /* exchanges have ended */
    seen.http_is_open = false;
}

int ink_scheduler_open(struct ink_scheduler **out, struct ink_model *model,
                       const struct ink_scheduler_options *options, struct ink_error *error)
{
    (void)model, (void)error;
    assert_int_equal(options->n_slots, 3);
    assert_int_equal(options->n_positions, 64);
    seen.scheduler_is_open = true;
    *out = (struct ink_scheduler *)&seen;
    return INK_OK;
}

void ink_scheduler_drain(struct ink_scheduler *s)
{
    (void)s;
    seen.drained = ink_system_seconds() - seen.begin;
}

void ink_scheduler_cancel(struct ink_scheduler *s)
{
    (void)s;
    seen.cancelled = ink_system_seconds() - seen.begin;
    atomic_store(&seen.running, 0);
}

int ink_scheduler_load(const struct ink_scheduler *s, int *n_running, int *n_queued)
{
    (void)s;
    *n_queued = 0;
    return *n_running = atomic_load(&seen.running);
}

void ink_scheduler_close(struct ink_scheduler *s)
{
    (void)s;
    assert_false(seen.http_is_open); /* handlers may submit until then */
    seen.scheduler_is_open = false;
}

static void handle(void *context, struct ink_exchange *x)
{
    assert_ptr_equal(context, &seen);
    ink_exchange_reply(x, 299, "text/plain", x->request.path, strlen(x->request.path));
}

static void handle_any(void *context, struct ink_exchange *x)
{
    (void)context;
    ink_exchange_reply(x, 298, "text/plain", "", 0);
}

static const struct ink_route api_routes[] = {
    {"GET", "/*", handle_any, true, false, "page"},
    {"GET", "/health/live", handle, true, false, "live"},
    {"POST", "/v1/models", handle, false, true, "models"},
};

const struct ink_route *ink_api_routes(int *n)
{
    *n = INK_COUNT(api_routes);
    return api_routes;
}

int ink_api_open(struct ink_api **out, const struct ink_api_options *options,
                 struct ink_error *error)
{
    (void)error;
    assert_string_equal(options->model_name, "stories");
    seen.api_is_open = true;
    *out = (struct ink_api *)&seen;
    return INK_OK;
}

void ink_api_close(struct ink_api *api)
{
    assert_true(!api || !seen.http_is_open);
    seen.api_is_open = false;
}

void ink_api_set_ready(struct ink_api *api, bool ready)
{
    (void)api;
    if (!ready) {
        seen.unready = ink_system_seconds() - seen.begin;
    }
}

/* ------------------------------------------------------------------------------- running it */

static struct ink_model *model;
static const char key_path[] = "check_serve.tmp";

static struct ink_serve_options usual(void)
{
    memset(&seen, 0, sizeof seen);
    seen.begin = ink_system_seconds();
    return (struct ink_serve_options){.host = "127.0.0.1",
                                      .n_slots = 3,
                                      .n_queued = 6,
                                      .n_positions = 64,
                                      .model_name = "stories",
                                      .max_per_address = -1,
                                      .drain_delay = 1,
                                      .drain_timeout = 60,
                                      .is_quiet = true};
}

/* What happens when, while the server runs: a signal (0: none), then the running answers end. */
struct event {
    double at;
    int signal;
    bool answers_end;
};
struct script {
    const struct event *events;
    int n;
};

static void play(void *context)
{
    const struct script *s = context;
    for (int i = 0; i < s->n; i++) {
        const double left = s->events[i].at - (ink_system_seconds() - seen.begin);
        if (left > 0) {
            ink_sleep(left);
        }
        if (s->events[i].answers_end) {
            atomic_store(&seen.running, 0);
        }
        if (s->events[i].signal) {
            kill(getpid(), s->events[i].signal);
        }
    }
}

/* Runs the server through the events; returns how long it ran. */
static double run(const struct ink_serve_options *options, int running, const struct event *events,
                  int n)
{
    struct ink_error error = {0};
    struct ink_serve *s = NULL;
    const struct ink_serve_model served = {.model = model};
    assert_ok(ink_serve_open(&s, options, &error));
    atomic_store(&seen.running, running);
    struct script script = {events, n};
    struct ink_thread *thread;
    seen.begin = ink_system_seconds();
    assert_ok(ink_thread_start(&thread, play, &script, &error));
    assert_ok(ink_serve_run(s, &served, &error));
    const double seconds = ink_system_seconds() - seen.begin;
    ink_thread_join(thread);
    ink_serve_close(s);
    assert_false(seen.http_is_open || seen.scheduler_is_open || seen.api_is_open);
    return seconds;
}

/* --------------------------------------------------------------------------------- the tests */

static void terminate_waits_then_drains(void **state)
{
    (void)state;
    const struct ink_serve_options o = usual();
    const struct event events[] = {{0.3, SIGTERM, false}, {2, 0, true}};
    const double seconds = run(&o, 2, events, 2);
    assert_true(seen.unready >= 0.3 && seen.unready < 1);
    assert_true(seen.stopped_accepting >= 1.3 && seen.stopped_accepting < 2);
    assert_true(seen.drained >= seen.stopped_accepting);
    assert_true(seconds >= 2 && seconds < 4);
}

static void interrupt_does_not_wait(void **state)
{
    (void)state;
    const struct ink_serve_options o = usual();
    const struct event events[] = {{0.3, SIGINT, false}};
    assert_true(run(&o, 0, events, 1) < 1.2);
    assert_true(seen.stopped_accepting >= 0.3 && seen.stopped_accepting < 1.2);
}

static void second_signal_cancels(void **state)
{
    (void)state;
    const struct ink_serve_options o = usual();
    static const int seconds_signals[] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < 2; i++) {
        const struct event events[] = {{0.2, SIGTERM, false}, {0.6, seconds_signals[i], false}};
        (void)usual();
        assert_true(run(&o, 1, events, 2) < 1.5); /* still in the delay */
        assert_true(seen.cancelled >= 0.6);
    }
    const struct event later[] = {{0.2, SIGINT, false}, {0.8, SIGTERM, false}};
    (void)usual();
    assert_true(run(&o, 1, later, 2) < 2);
    assert_true(seen.cancelled >= 0.8);
}

static void drain_has_an_end(void **state)
{
    (void)state;
    struct ink_serve_options o = usual();
    o.drain_timeout = 1;
    const struct event events[] = {{0.1, SIGINT, false}};
    const double seconds = run(&o, 1, events, 1);
    assert_true(seconds >= 1.1 && seconds < 3);
    assert_true(seen.cancelled >= 1.1);
}

/* A client that does not take its answer holds the end up no longer than answers that are not
 * finished would, and a second signal no longer at all. */
static void drain_waits_for_what_is_unsent(void **state)
{
    (void)state;
    struct ink_serve_options o = usual();
    o.drain_timeout = 1;
    atomic_store(&seen.unsent, 1);
    const struct event events[] = {{0.1, SIGINT, false}, {0.4, SIGINT, false}};
    double seconds = run(&o, 0, events, 1);
    assert_true(seconds >= 1.1 && seconds < 3);
    o = usual();
    atomic_store(&seen.unsent, 1);
    assert_true(run(&o, 0, events, 2) < 1.5);
}

static void put_keys(const char *text)
{
    FILE *f = fopen(key_path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    chmod(key_path, 0600);
}

static void check_new_key(void *unused)
{
    (void)unused;
    assert_true(ink_keys_allow(seen.http.keys, "Bearer first-key"));
    put_keys("second-key\n");
    kill(getpid(), SIGHUP);
    for (int i = 0; i < 100 && !ink_keys_allow(seen.http.keys, "Bearer second-key"); i++) {
        ink_sleep(0.05);
    }
    atomic_store(&seen.running, ink_keys_allow(seen.http.keys, "Bearer second-key") &&
                                    !ink_keys_allow(seen.http.keys, "Bearer first-key"));
    kill(getpid(), SIGINT);
}

static void hang_up_reads_keys(void **state)
{
    (void)state;
    struct ink_serve_options o = usual();
    struct ink_error error = {0};
    struct ink_serve *s = NULL;
    struct ink_thread *thread;
    const struct ink_serve_model served = {.model = model};
    put_keys("first-key\n");
    o.key_file = key_path;
    o.host = "0.0.0.0";
    o.drain_timeout = 0;
    assert_ok(ink_serve_open(&s, &o, &error));
    assert_int_equal(seen.http.max_per_address, 64);
    assert_ok(ink_thread_start(&thread, check_new_key, NULL, &error));
    assert_ok(ink_serve_run(s, &served, &error));
    ink_thread_join(thread);
    assert_true(seen.cancelled > 0); /* that one "request" says that the new keys were there */
    ink_serve_close(s);
    remove(key_path);
    /* without a file of keys it ends the server */
    o = usual();
    const struct event events[] = {{0.2, SIGHUP, false}};
    assert_true(run(&o, 0, events, 1) < 1);
}

static void readable_keys_are_told_of(void **state)
{
    (void)state;
    static const struct {
        mode_t mode;
        bool warns;
    } cases[] = {{0600, false}, {0400, false}, {0640, true}, {0604, true}, {0644, true}};
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_error error = {0};
        struct ink_keys *k = NULL;
        char *warning = NULL;
        put_keys("first-key\n");
        chmod(key_path, cases[i].mode);
        assert_ok(ink_keys_open(&k, NULL, 0, key_path, &warning, &error));
        assert_int_equal(warning != NULL, cases[i].warns);
        assert_true(!warning || strstr(warning, key_path));
        ink_free(warning);
        ink_keys_close(k);
    }
    remove(key_path);
}

static void safe_by_default(void **state)
{
    (void)state;
    static const char *const open_hosts[] = {"0.0.0.0",         "::", "192.168.1.2", "example.org",
                                             "127.example.org", ""};
    static const char *const local_hosts[] = {"127.0.0.1", "127.1.2.3", "::1", "localhost",
                                              "unix:/tmp/x"};
    static const char *const keys[] = {"a-long-key"};
    struct ink_error error = {0};
    for (size_t i = 0; i < INK_COUNT(open_hosts); i++) {
        struct ink_serve_options o = usual();
        struct ink_serve *s = NULL;
        o.host = open_hosts[i];
        assert_int_equal(ink_serve_open(&s, &o, &error), INK_ERROR_ARGUMENT);
        assert_null(s);
        assert_non_null(strstr(error.message, "--insecure-no-auth"));
        o.is_open_to_everyone = true;
        assert_ok(ink_serve_open(&s, &o, &error));
        assert_null(seen.http.keys);
        ink_serve_close(s);
        o.is_open_to_everyone = false;
        o.keys = keys;
        o.n_keys = 1;
        assert_ok(ink_serve_open(&s, &o, &error));
        assert_true(ink_keys_allow(seen.http.keys, "Bearer a-long-key"));
        ink_serve_close(s);
    }
    for (size_t i = 0; i < INK_COUNT(local_hosts); i++) {
        struct ink_serve_options o = usual();
        struct ink_serve *s = NULL;
        o.host = local_hosts[i];
        assert_ok(ink_serve_open(&s, &o, &error));
        assert_int_equal(seen.http.max_per_address, 0);
        ink_serve_close(s);
    }
    struct ink_serve_options o = usual();
    struct ink_serve *s = NULL;
    o.tls_key = "key.pem";
    assert_int_equal(ink_serve_open(&s, &o, &error), INK_ERROR_ARGUMENT);
}

static int ask(const char *method, const char *path)
{
    struct ink_exchange x = {.request = {.method = method, .path = path, .rest = ""}};
    for (int i = seen.n_routes - 1; i >= 0; i--) {
        if (strcmp(seen.routes[i].path, path) == 0 || strcmp(seen.routes[i].path, "/*") == 0) {
            seen.routes[i].handle(seen.context, &x);
            return x.status;
        }
    }
    return 0;
}

static void ask_and_stop(void *out)
{
    int *statuses = out;
    while (statuses[0] != 299) {
        statuses[0] = ask("GET", "/health/live");
        ink_sleep(0.02);
    }
    statuses[1] = ask("HEAD", "/health/live");
    statuses[2] = ask("POST", "/v1/models");
    statuses[3] = ask("GET", "/app.js");
    statuses[4] = ask("PUT", "/app.js");
    kill(getpid(), SIGINT);
}

static void listens_before_the_model_is_there(void **state)
{
    (void)state;
    const struct ink_serve_options o = usual();
    struct ink_error error = {0};
    struct ink_serve *s = NULL;
    struct ink_thread *thread;
    const struct ink_serve_model served = {.model = model};
    assert_ok(ink_serve_open(&s, &o, &error));
    assert_int_equal(seen.n_routes, INK_COUNT(api_routes));
    assert_true(seen.routes[1].is_public && seen.routes[2].is_slow);
    assert_int_equal(ask("GET", "/health/live"), 200);
    assert_int_equal(ask("POST", "/v1/models"), 503);
    assert_int_equal(ask("GET", "/app.js"), 503);
    int statuses[5] = {0};
    assert_ok(ink_thread_start(&thread, ask_and_stop, statuses, &error));
    assert_ok(ink_serve_run(s, &served, &error));
    ink_thread_join(thread);
    assert_int_equal(statuses[1], 299);
    assert_int_equal(statuses[2], 299);
    assert_int_equal(statuses[3], 298);
    assert_int_equal(statuses[4], 404);
    ink_serve_close(s);
    ink_serve_close(NULL);
}

/* A signal before the model is there ends the process. */
static void signals_while_loading(void **state)
{
    (void)state;
    static const struct {
        int signal, code;
    } cases[] = {{SIGTERM, 0}, {SIGINT, 130}, {SIGHUP, 130}};
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            const struct ink_serve_options o = usual();
            struct ink_serve *s = NULL;
            ink_serve_open(&s, &o, NULL);
            kill(getpid(), cases[i].signal);
            ink_sleep(10);
            _exit(77);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), cases[i].code);
    }
}

/* What came to the manager's socket, up to n messages, joined by ";". */
static void receive(int fd, char *out, size_t size)
{
    out[0] = '\0';
    for (;;) {
        char message[256];
        const ssize_t n = recv(fd, message, sizeof message - 1, MSG_DONTWAIT);
        if (n < 0) {
            return;
        }
        message[n] = '\0';
        strncat(out, message, size - strlen(out) - 1);
        strncat(out, ";", size - strlen(out) - 1);
    }
}

static void tells_the_manager(void **state)
{
    (void)state;
    for (int is_abstract = 0; is_abstract < 2; is_abstract++) {
        char name[100], text[1000];
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (is_abstract) {
            snprintf(name, sizeof name, "@inkstone-test-%ld", (long)getpid());
        } else {
            snprintf(name, sizeof name, "/tmp/inkstone-test-%ld", (long)getpid());
        }
        memcpy(address.sun_path, name, strlen(name));
        if (is_abstract) {
            address.sun_path[0] = '\0';
        }
        const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&address,
                              (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name))),
                         0);
        setenv("NOTIFY_SOCKET", name, 1);
        setenv("WATCHDOG_USEC", "600000", 1);
        const struct ink_serve_options o = usual();
        const struct event events[] = {{0.5, SIGINT, false}};
        run(&o, 0, events, 1);
        receive(fd, text, sizeof text);
        assert_int_equal(strncmp(text, "READY=1;WATCHDOG=1;", 19), 0);
        assert_non_null(strstr(text, ";STOPPING=1;"));
        /* requests run and no pass is made: the manager is to notice */
        (void)usual();
        const struct event stuck[] = {{0.9, SIGINT, true}};
        run(&o, 1, stuck, 1);
        receive(fd, text, sizeof text);
        assert_null(strstr(text, "WATCHDOG=1"));
        close(fd);
        unlink(name);
    }
    setenv("WATCHDOG_PID", "1", 1);
    assert_true(ink_service_watchdog() == 0);
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_true(ink_service_watchdog() == 0);
    setenv("NOTIFY_SOCKET", "relative", 1);
    ink_service_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}

static void takes_a_socket_over(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    const int saved = dup(3), fd = socket(AF_INET, SOCK_STREAM, 0);
    char pid[20];
    bool is_local = false;
    int got = -1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    dup2(fd, 3);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("LISTEN_PID", pid, 1);
    setenv("LISTEN_FDS", "1", 1);
    assert_int_equal(ink_service_listen_fd(&got, &is_local, &error), INK_ERROR_ARGUMENT);
    assert_int_equal(listen(fd, 1), 0);
    assert_ok(ink_service_listen_fd(&got, &is_local, &error));
    assert_int_equal(got, 3);
    assert_true(is_local);
    struct ink_serve_options o = usual();
    struct ink_serve *s = NULL;
    assert_ok(ink_serve_open(&s, &o, &error));
    assert_int_equal(seen.http.listen_fd, 3);
    ink_serve_close(s);
    setenv("LISTEN_FDS", "2", 1);
    assert_int_equal(ink_service_listen_fd(&got, &is_local, &error), INK_ERROR_ARGUMENT);
    setenv("LISTEN_FDS", "1", 1);
    setenv("LISTEN_PID", "1", 1);
    assert_ok(ink_service_listen_fd(&got, &is_local, &error));
    assert_int_equal(got, 0);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    close(fd);
    close(3);
    if (saved >= 0) {
        dup2(saved, 3);
        close(saved);
    }
}

static void memory_runs_out(void **state)
{
    (void)state;
    static const char *const keys[] = {"a-long-key"};
    struct ink_serve_options o = usual();
    o.keys = keys;
    o.n_keys = 1;
    for (long n = 1;; n++) {
        struct ink_error error = {0};
        struct ink_serve *s = NULL;
        ink_fail_allocation(n, true);
        int status = ink_serve_open(&s, &o, &error);
        ink_fail_allocation(0, false);
        if (status == INK_OK) {
            ink_serve_close(s);
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
        assert_null(s);
    }
}

static int open_small_model(void **state)
{
    (void)state;
    char path[1024];
    const char *srcdir = getenv("srcdir");
    snprintf(path, sizeof path, "%s/models/stories260K.gguf", srcdir ? srcdir : ".");
    struct ink_model_options options = {.threads = 1};
    return ink_model_open(&model, path, &options, NULL);
}

static int close_small_model(void **state)
{
    (void)state;
    ink_model_close(model);
    return 0;
}

int main(void)
{
    if (is_emulated()) {
        puts("1..0 # SKIP an emulated processor: nothing of this depends on it");
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terminate_waits_then_drains),
        cmocka_unit_test(interrupt_does_not_wait),
        cmocka_unit_test(second_signal_cancels),
        cmocka_unit_test(drain_has_an_end),
        cmocka_unit_test(drain_waits_for_what_is_unsent),
        cmocka_unit_test(hang_up_reads_keys),
        cmocka_unit_test(readable_keys_are_told_of),
        cmocka_unit_test(safe_by_default),
        cmocka_unit_test(listens_before_the_model_is_there),
        cmocka_unit_test(signals_while_loading),
        cmocka_unit_test(tells_the_manager),
        cmocka_unit_test(takes_a_socket_over),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, open_small_model, close_small_model);
}
