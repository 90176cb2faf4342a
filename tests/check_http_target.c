/* What is read of a request's head, piece by piece: targets, hosts, origins, ids, types. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../src/serve/http_target.h"
#include "../src/serve/http_trust.h"

#include <string.h>

static void test_targets(void **state)
{
    static const struct {
        const char *raw, *path; /* path NULL: refused */
    } cases[] = {
        {"/", "/"},
        {"/a/b", "/a/b"},
        {"/a/", "/a/"},
        {"/a%20b", "/a b"},
        {"/%e7%a0%9a", "/\xe7\xa0\x9a"},
        {"/a...b/..c/.d", "/a...b/..c/.d"},
        {"/a?b=../..", "/a"},
        {"", NULL},
        {"a", NULL},
        {"*", NULL},
        {"http://localhost/", NULL},
        {"//a", NULL},
        {"/a//b", NULL},
        {"/..", NULL},
        {"/a/..", NULL},
        {"/a/../b", NULL},
        {"/./a", NULL},
        {"/a\\b", NULL},
        {"/%2e%2e/a", NULL},
        {"/%2e%2e%2fa", NULL},
        {"/%2E%2E%5Ca", NULL},
        {"/%2fa", NULL},
        {"/%00", NULL},
        {"/a%0d%0ab", NULL},
        {"/a%7f", NULL},
        {"/%", NULL},
        {"/%4", NULL},
        {"/%4g", NULL},
        {"/%ff", NULL},
        {"/%c0%af", NULL},
        {"/%ed%a0%80", NULL},
        {"/a b", NULL},
        {"/a#b", NULL},
        {"/\xe7\xa0\x9a", NULL},
        {"/a?b=%", NULL},
        {"/a?%00", NULL},
        {"/a?%ff", NULL},
    };
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_target t;
        const char *why;
        bool ok = ink_target_parse(&t, cases[i].raw, strlen(cases[i].raw), &why);
        if (ok != (cases[i].path != NULL) || (ok && strcmp(t.path, cases[i].path) != 0) ||
            ok == (why != NULL)) {
            fail_msg("%s: %s", cases[i].raw, ok ? t.path : why);
        }
        ink_target_free(&t);
    }
}

static void test_arguments(void **state)
{
    static const char raw[] = "/p?a=1+2%2B3&&b&=c&d=x=y&a=again&%c3%a9=%26";
    struct ink_target t;
    const char *why;
    (void)state;
    assert_true(ink_target_parse(&t, raw, sizeof raw - 1, &why));
    assert_string_equal(ink_target_argument(&t, "a"), "1 2+3");
    assert_string_equal(ink_target_argument(&t, "b"), "");
    assert_string_equal(ink_target_argument(&t, "d"), "x=y");
    assert_string_equal(ink_target_argument(&t, "\xc3\xa9"), "&");
    assert_null(ink_target_argument(&t, "e"));
    assert_int_equal(t.n_arguments, 6);
    ink_target_free(&t);

    char many[2 * INK_TARGET_MAX_ARGUMENTS + 8] = "/p?";
    for (int i = 0; i < INK_TARGET_MAX_ARGUMENTS; i++) {
        strcat(many, "a&");
    }
    assert_true(ink_target_parse(&t, many, strlen(many), &why));
    ink_target_free(&t);
    strcat(many, "a");
    assert_false(ink_target_parse(&t, many, strlen(many), &why));
    assert_non_null(why);
    ink_target_free(&t);
}

static void test_memory(void **state)
{
    static const char raw[] = "/a?b=c";
    (void)state;
    for (long n = 1; n <= 2; n++) {
        struct ink_target t;
        const char *why;
        ink_fail_allocation(n, false);
        assert_false(ink_target_parse(&t, raw, sizeof raw - 1, &why));
        ink_fail_allocation(0, false);
        assert_null(why);
        ink_target_free(&t);
    }
}

static const struct {
    const char *text, *host; /* NULL: refused */
    int port;
    bool is_ipv6, is_loopback;
} authorities[] = {
    {"localhost", "localhost", 0, false, true},
    {"LocalHost.:80", "localhost", 80, false, true},
    {"127.0.0.1:65535", "127.0.0.1", 65535, false, true},
    {"127.255.255.255", "127.255.255.255", 0, false, true},
    {"127.0.0.256", "127.0.0.256", 0, false, false},
    {"127.0.0.01", "127.0.0.01", 0, false, false},
    {"127.0.0", "127.0.0", 0, false, false},
    {"127.0.0.1.2", "127.0.0.1.2", 0, false, false},
    {"127.1", "127.1", 0, false, false},
    {"2130706433", "2130706433", 0, false, false},
    {"0x7f.0.0.1", "0x7f.0.0.1", 0, false, false},
    {"localhost.evil", "localhost.evil", 0, false, false},
    {"[::1]", "::1", 0, true, true},
    {"[::1]:80", "::1", 80, true, true},
    {"[0:0:0:0:0:0:0:1]", "0:0:0:0:0:0:0:1", 0, true, true},
    {"[FE80::A]", "fe80::a", 0, true, false},
    {"[::ffff:127.0.0.1]", "::ffff:127.0.0.1", 0, true, false},
    {"a_b.example", "a_b.example", 0, false, false},
    {"", NULL, 0, false, false},
    {":80", NULL, 0, false, false},
    {"a:", NULL, 0, false, false},
    {"a:0", NULL, 0, false, false},
    {"a:65536", NULL, 0, false, false},
    {"a:99999999999", NULL, 0, false, false},
    {"a:80x", NULL, 0, false, false},
    {"a:80:80", NULL, 0, false, false},
    {"::1", NULL, 0, false, false},
    {"[::1", NULL, 0, false, false},
    {"[]", NULL, 0, false, false},
    {"[::1]x", NULL, 0, false, false},
    {"[localhost]", NULL, 0, false, false},
    {"[fe80::1%25eth0]", NULL, 0, false, false},
    {"a b", NULL, 0, false, false},
    {"a/b", NULL, 0, false, false},
    {"u@a", NULL, 0, false, false},
    {"a%2eb", NULL, 0, false, false},
};

static void test_authorities(void **state)
{
    struct ink_authority a;
    (void)state;
    for (size_t i = 0; i < INK_COUNT(authorities); i++) {
        bool ok = ink_authority_parse(&a, authorities[i].text, false);
        if (ok != (authorities[i].host != NULL) ||
            (ok && (strcmp(a.host, authorities[i].host) != 0 || a.port != authorities[i].port ||
                    a.is_ipv6 != authorities[i].is_ipv6 ||
                    ink_authority_is_loopback(&a) != authorities[i].is_loopback))) {
            fail_msg("%s: %d %s:%d", authorities[i].text, ok, a.host, a.port);
        }
    }
    char longest[300];
    memset(longest, 'a', sizeof longest);
    longest[255] = 0;
    assert_true(ink_authority_parse(&a, longest, false));
    longest[255] = 'a';
    longest[256] = 0;
    assert_false(ink_authority_parse(&a, longest, false));
    assert_true(ink_authority_parse(&a, "::1", true));
    assert_true(a.is_ipv6);
}

static void test_trust(void **state)
{
    static const char *const hosts[] = {"ink.example", "other.example:8443"};
    static const char *const origins[] = {"https://app.example"};
    static const char *const any[] = {"*"};
    const struct ink_trust local = {"127.0.0.1", 7860, hosts, 2, origins, 1};
    const struct ink_trust named = {"ink.lan", 7860, NULL, 0, NULL, 0};
    const struct ink_trust wild = {"0.0.0.0", 7860, NULL, 0, NULL, 0};
    const struct ink_trust open = {"127.0.0.1", 7860, any, 1, NULL, 0};
    const struct ink_trust file = {"unix:/run/ink", 0, NULL, 0, NULL, 0};
    const struct {
        const struct ink_trust *trust;
        const char *host, *local, *origin; /* origin NULL: only whether the host is let in */
        int expected;                      /* -1: the host is not */
    } cases[] = {
        {&local, "localhost", "", NULL, 0},
        {&local, "localhost:7860", "", NULL, 0},
        {&local, "localhost:7861", "", NULL, -1},
        {&local, "evil.example", "", NULL, -1},
        {&local, "ink.example", "", NULL, 0},
        {&local, "ink.example:99", "", NULL, 0},
        {&local, "other.example:8443", "", NULL, 0},
        {&local, "other.example", "", NULL, -1},
        {&local, "192.168.1.2", "192.168.1.2", NULL, -1},
        {&named, "ink.lan", "", NULL, 0},
        {&named, "INK.LAN.:7860", "", NULL, 0},
        {&named, "localhost", "", NULL, 0},
        {&wild, "192.168.1.2:7860", "192.168.1.2", NULL, 0},
        {&wild, "192.168.1.3", "192.168.1.2", NULL, -1},
        {&wild, "0.0.0.0", "127.0.0.1", NULL, -1},
        {&wild, "[fe80::1]", "fe80::1", NULL, 0},
        {&wild, "evil.example", "192.168.1.2", NULL, -1},
        {&open, "evil.example:1", "", NULL, 0},
        {&file, "localhost", "", NULL, 0},
        {&file, "localhost:1", "", NULL, 0},
        {&file, "evil.example", "", NULL, -1},
        {&local, "localhost:7860", "", "http://localhost:7860", INK_ORIGIN_OWN},
        {&local, "localhost:7860", "", "https://127.0.0.1:7860", INK_ORIGIN_OWN},
        {&local, "localhost", "", "http://localhost", INK_ORIGIN_FOREIGN},
        {&local, "localhost", "", "http://localhost:80", INK_ORIGIN_FOREIGN},
        {&local, "localhost", "", "http://localhost:7861", INK_ORIGIN_FOREIGN},
        {&local, "localhost", "", "null", INK_ORIGIN_FOREIGN},
        {&local, "localhost", "", "https://app.example", INK_ORIGIN_LISTED},
        {&local, "localhost", "", "https://app.example:443", INK_ORIGIN_FOREIGN},
        {&local, "localhost", "", "https://app.example/", INK_ORIGIN_FOREIGN},
        {&local, "ink.example", "", "https://ink.example", INK_ORIGIN_OWN},
        {&local, "ink.example", "", "https://ink.example:444", INK_ORIGIN_FOREIGN},
        {&local, "ink.example:99", "", "http://ink.example:99", INK_ORIGIN_OWN},
        {&local, "localhost", "", "https://ink.example", INK_ORIGIN_FOREIGN},
        {&wild, "192.168.1.2:7860", "192.168.1.2", "http://192.168.1.2:7860", INK_ORIGIN_OWN},
        {&wild, "192.168.1.2:7860", "192.168.1.2", "http://192.168.1.3:7860", INK_ORIGIN_FOREIGN},
        {&file, "localhost", "", "http://localhost:80", INK_ORIGIN_FOREIGN},
    };
    (void)state;
    for (size_t i = 0; i < INK_COUNT(cases); i++) {
        struct ink_authority host;
        assert_true(ink_authority_parse(&host, cases[i].host, false));
        bool is_in = ink_trust_host(cases[i].trust, &host, cases[i].local);
        int seen = !is_in             ? -1
                   : !cases[i].origin ? 0
                                      : (int)ink_trust_origin(cases[i].trust, cases[i].origin,
                                                              &host, cases[i].local);
        if (seen != cases[i].expected) {
            fail_msg("%d: %s, %s: %d", (int)i, cases[i].host,
                     cases[i].origin ? cases[i].origin : "-", seen);
        }
    }
}

static void test_words(void **state)
{
    (void)state;
    assert_true(ink_same_word("Content-Type", "content-type"));
    assert_false(ink_same_word("a", "ab"));
    assert_false(ink_same_word("ab", "a"));
    assert_true(ink_is_token("X-A_b!~", 7));
    assert_false(ink_is_token("", 0));
    assert_false(ink_is_token("a b", 3));
    assert_false(ink_is_token("a\0b", 3));
    assert_false(ink_is_token("a:", 2));
    assert_true(ink_is_field_value("a\tb \xe7", 5));
    assert_false(ink_is_field_value("a\rb", 3));
    assert_false(ink_is_field_value("a\0b", 3));
    assert_true(ink_is_request_id("A-z.0_9"));
    assert_false(ink_is_request_id(""));
    assert_false(ink_is_request_id("a b"));
    assert_false(ink_is_request_id("a\n"));
    assert_true(ink_is_json_type("application/json"));
    assert_true(ink_is_json_type("APPLICATION/JSON ; charset=UTF-8 "));
    assert_true(ink_is_json_type("application/json;charset=\"utf-8\""));
    assert_false(ink_is_json_type("application/json;"));
    assert_false(ink_is_json_type("application/jsonp"));
    assert_false(ink_is_json_type("application/json; charset=gbk"));
    assert_false(ink_is_json_type("application/json; charset=utf-8; a=b"));
    assert_false(ink_is_json_type("text/plain"));
    assert_false(ink_is_json_type(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets), cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_memory),  cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_trust),   cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
