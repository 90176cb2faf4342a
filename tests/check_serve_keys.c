/* API keys: what is let in, what a file may hold, and reading it anew. */
#include "support.h"

#include "../src/serve/keys.h"
#include "../src/sync.h"

#include <stdatomic.h>

static const char path[] = "check_serve_keys.tmp";
static char *warning;

static void write_file(const char *text)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static struct ink_keys *open_keys(const char *const *keys, int n, const char *file)
{
    struct ink_error error = {0};
    struct ink_keys *k = NULL;
    assert_ok(ink_keys_open(&k, keys, n, file, &warning, &error));
    ink_free(warning);
    return k;
}

static void bearer_alone_is_let_in(void **state)
{
    (void)state;
    static const char *const keys[] = {"first-key-1", "second#key"};
    struct ink_keys *k = open_keys(keys, 2, NULL);
    static const char *const good[] = {"Bearer first-key-1", "bearer second#key",
                                       "BEARER   first-key-1"};
    static const char *const bad[] = {"",
                                      "Bearer",
                                      "Bearer ",
                                      "first-key-1",
                                      "Bearerfirst-key-1",
                                      "Basic first-key-1",
                                      "Bearer first-key-",
                                      "Bearer first-key-11",
                                      "Bearer first-key-1 ",
                                      "Bearer first-key-1,second#key",
                                      "Bearer FIRST-KEY-1",
                                      "B"};
    for (size_t i = 0; i < INK_COUNT(good); i++) {
        assert_true(ink_keys_allow(k, good[i]));
    }
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_false(ink_keys_allow(k, bad[i]));
    }
    assert_false(ink_keys_allow(k, NULL));
    ink_keys_close(k);
    ink_keys_close(NULL);
}

static void files_have_comments(void **state)
{
    (void)state;
    write_file("\xEF\xBB\xBF# keys\r\n\r\n  padded-key \t\r\n#commented-key\nlast-key-no-newline");
    static const char *const keys[] = {"given-key"};
    struct ink_keys *k = open_keys(keys, 1, path);
    assert_true(ink_keys_allow(k, "Bearer given-key"));
    assert_true(ink_keys_allow(k, "Bearer padded-key"));
    assert_true(ink_keys_allow(k, "Bearer last-key-no-newline"));
    assert_false(ink_keys_allow(k, "Bearer #commented-key"));
    assert_false(ink_keys_allow(k, "Bearer commented-key"));
    ink_keys_close(k);
    remove(path);
}

static void refuse(const char *text, const char *message)
{
    struct ink_error error = {0};
    struct ink_keys *k = NULL;
    write_file(text);
    assert_int_equal(ink_keys_open(&k, NULL, 0, path, &warning, &error), INK_ERROR_INPUT);
    assert_null(k);
    assert_null(warning);
    assert_non_null(strstr(error.message, message));
    assert_null(strstr(error.message, "secret"));
    remove(path);
}

static void bad_files(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_keys *k = NULL;
    refuse("", "no key");
    refuse("# nothing\n\n", "no key");
    refuse("good-key-1\nsecret\n", "line 2: a key of 6 characters");
    refuse("secret with spaces\n", "line 1");
    refuse("\n\nsecret-\xC3\xA9t\xC3\xA9\n", "line 3");
    refuse("secret-\x7F\n", "line 1");
    char longest[300];
    memset(longest, 'k', 257);
    longest[257] = '\0';
    refuse(longest, "257 characters");
    assert_int_equal(ink_keys_open(&k, NULL, 0, "no-such-file", &warning, &error), INK_ERROR_INPUT);
    assert_int_equal(ink_keys_open(&k, NULL, 0, ".", &warning, &error), INK_ERROR_INPUT);
    static const char *const given[] = {"good-key-1", "short"};
    assert_int_equal(ink_keys_open(&k, given, 2, NULL, &warning, &error), INK_ERROR_INPUT);
    assert_non_null(strstr(error.message, "--api-key"));
    assert_null(strstr(error.message, "short"));
    static char big[(1 << 20) + 2];
    memset(big, '#', sizeof big - 1);
    refuse(big, "too many");
}

static void reload_takes_all_or_nothing(void **state)
{
    (void)state;
    struct ink_error error = {0};
    write_file("old-key-1\n");
    static const char *const given[] = {"given-key"};
    struct ink_keys *k = open_keys(given, 1, path);
    write_file("new-key-1\nnew-key-2\n");
    assert_ok(ink_keys_reload(k, &warning, &error));
    ink_free(warning);
    assert_true(ink_keys_allow(k, "Bearer given-key"));
    assert_true(ink_keys_allow(k, "Bearer new-key-2"));
    assert_false(ink_keys_allow(k, "Bearer old-key-1"));
    write_file("other-key\nbad\n");
    assert_int_equal(ink_keys_reload(k, &warning, &error), INK_ERROR_INPUT);
    assert_true(ink_keys_allow(k, "Bearer new-key-1"));
    assert_false(ink_keys_allow(k, "Bearer other-key"));
    remove(path);
    assert_int_equal(ink_keys_reload(k, &warning, &error), INK_ERROR_INPUT);
    assert_true(ink_keys_allow(k, "Bearer new-key-1"));
    ink_keys_close(k);
}

/* One key is in every version of the file: it must be let in at any moment. */
struct asker {
    struct ink_keys *keys;
    atomic_bool stop, refused;
};

static void ask(void *context)
{
    struct asker *a = context;
    while (!atomic_load(&a->stop)) {
        if (!ink_keys_allow(a->keys, "Bearer steady-key")) {
            atomic_store(&a->refused, true);
        }
    }
}

static void reload_is_atomic(void **state)
{
    (void)state;
    struct ink_error error = {0};
    write_file("steady-key\n");
    struct asker a = {.keys = open_keys(NULL, 0, path)};
    struct ink_thread *thread;
    assert_ok(ink_thread_start(&thread, ask, &a, &error));
    for (int i = 0; i < 200; i++) {
        write_file(i % 2 ? "steady-key\nother-key\n" : "other-key\nsteady-key\n");
        assert_ok(ink_keys_reload(a.keys, &warning, &error));
        ink_free(warning);
    }
    atomic_store(&a.stop, true);
    ink_thread_join(thread);
    assert_false(atomic_load(&a.refused));
    ink_keys_close(a.keys);
    remove(path);
}

static void memory_runs_out(void **state)
{
    (void)state;
    struct ink_error error = {0};
    write_file("key-number-1\nkey-number-2\n");
    static const char *const given[] = {"given-key"};
    for (long n = 1;; n++) {
        struct ink_keys *k = NULL;
        ink_fail_allocation(n, true);
        int status = ink_keys_open(&k, given, 1, path, &warning, &error);
        ink_fail_allocation(0, false);
        if (status == INK_OK) {
            ink_free(warning);
            ink_keys_close(k);
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
        assert_null(k);
    }
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bearer_alone_is_let_in),
        cmocka_unit_test(files_have_comments),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(reload_takes_all_or_nothing),
        cmocka_unit_test(reload_is_atomic),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
