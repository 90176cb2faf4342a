/* The JSON gate: what it lets through and what not. */
#include "support.h"

static int check(const char *text, size_t n)
{
    struct ink_error error = {0};
    return ink_json_check(text, n, &ink_json_file_limits, "test", &error);
}

static void accepts_json(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1.5e+10",
        "\"\"",
        "[1,2,[3]]",
        "{\"a\":{\"b\":[{},[],\"\\u4f60\\ud83d\\ude00\\n\"]},\"c\":1e9}",
        "\"\xE4\xBD\xA0\"",
        "\r\n{\t\"a\" :\n1 }\r\n",
        "\"\x7F\"",
    };
    for (size_t i = 0; i < INK_COUNT(good); i++) {
        if (check(good[i], strlen(good[i])) != INK_OK) {
            fail_msg("refused: %s", good[i]);
        }
    }
}

static void refuses_the_rest(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "[1 2]",
        "]",
        "}",
        "[}",
        "{]",
        "{} x",
        "{}{}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x10",
        "NaN",
        "Infinity",
        "-",
        "tru",
        "nul",
        "True",
        "\"",
        "\"\n\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\xFF\"",
        "\"\xC0\xAF\"",
        "\"\xED\xA0\x80\"",
        "\"\xE4\xBD\"",
        "\xEF\xBB\xBF{}",
        "'a'",
        "// c\n1",
        "[1e1111111111111111111111111111111111111111111111111111111111111111]",
    };
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        if (check(bad[i], strlen(bad[i])) != INK_ERROR_INPUT) {
            fail_msg("accepted: %s", bad[i]);
        }
    }
    assert_int_equal(check("\"a\0b\"", 5), INK_ERROR_INPUT);
    assert_int_equal(check("{}\0", 3), INK_ERROR_INPUT);
}

static void limits_hold(void **state)
{
    (void)state;
    struct ink_error error = {0};
    static char deep[200001];
    memset(deep, '[', 100000);
    memset(deep + 100000, ']', 100000);
    assert_int_equal(check(deep, 200000), INK_ERROR_INPUT);
    assert_int_equal(check(deep + 100000 - 64, 128), INK_OK);
    assert_int_equal(check(deep + 100000 - 65, 130), INK_ERROR_INPUT);
    const struct ink_json_limits few = {100, 4, 8};
    assert_int_equal(ink_json_check("[1,2,3]", 7, &few, "t", &error), INK_OK);
    assert_int_equal(ink_json_check("[1,2,3,4]", 9, &few, "t", &error), INK_ERROR_INPUT);
    assert_int_equal(ink_json_check(deep, 101, &few, "t", &error), INK_ERROR_INPUT);
}

static void duplicate_keys(void **state)
{
    (void)state;
    struct ink_error error = {0};
    static const char *const bad[] = {"{\"a\":1,\"b\":2,\"a\":3}", "[[{\"x\":{\"k\":1,\"k\":1}}]]",
                                      "{\"a\":1,\"\\u0061\":2}"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        cJSON *root;
        assert_int_equal(
            ink_json_parse(&root, bad[i], strlen(bad[i]), &ink_json_file_limits, "f", &error),
            INK_ERROR_INPUT);
        assert_null(root);
        assert_non_null(strstr(error.message, "duplicate"));
    }
}

static void numbers_beyond_a_double(void **state)
{
    (void)state;
    struct ink_error error = {0};
    static const char *const bad[] = {"1e999", "[{\"a\":-1e999}]"};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        cJSON *root;
        assert_int_equal(
            ink_json_parse(&root, bad[i], strlen(bad[i]), &ink_json_file_limits, "f", &error),
            INK_ERROR_INPUT);
    }
}

static void typed_members(void **state)
{
    (void)state;
    struct ink_error error = {0};
    static const char text[] =
        "{\"i\":7,\"f\":1.5,\"big\":1e308,\"s\":\"x\",\"b\":true,\"n\":null}";
    cJSON *root;
    assert_ok(ink_json_parse(&root, text, sizeof text - 1, &ink_json_file_limits, "f", &error));
    int i = 1;
    float f = 2;
    bool b = false;
    const char *s = "old";
    assert_int_equal(ink_json_get_int(root, "i", 0, 10, true, &i, "f", &error), INK_OK);
    assert_int_equal(i, 7);
    assert_int_equal(ink_json_get_int(root, "n", 0, 10, false, &i, "f", &error), INK_OK);
    assert_int_equal(ink_json_get_int(root, "I", 0, 10, false, &i, "f", &error), INK_OK);
    assert_int_equal(i, 7);
    static const char *const not_ints[] = {"f", "big", "s", "b", "n", "none"};
    for (size_t k = 0; k < INK_COUNT(not_ints); k++) {
        assert_int_equal(ink_json_get_int(root, not_ints[k], 0, 10, true, &i, "f", &error),
                         INK_ERROR_INPUT);
        assert_non_null(strstr(error.message, not_ints[k]));
    }
    assert_int_equal(ink_json_get_int(root, "i", 8, 10, true, &i, "f", &error), INK_ERROR_INPUT);
    assert_int_equal(ink_json_get_float(root, "big", 0, 1e9, true, &f, "f", &error),
                     INK_ERROR_INPUT);
    assert_int_equal(ink_json_get_float(root, "f", 0, 1e9, true, &f, "f", &error), INK_OK);
    assert_true(f == 1.5f);
    assert_int_equal(ink_json_get_bool(root, "b", true, &b, "f", &error), INK_OK);
    assert_true(b);
    assert_int_equal(ink_json_get_bool(root, "i", true, &b, "f", &error), INK_ERROR_INPUT);
    assert_int_equal(ink_json_get_string(root, "s", true, &s, "f", &error), INK_OK);
    assert_string_equal(s, "x");
    assert_int_equal(ink_json_get_string(root, "i", true, &s, "f", &error), INK_ERROR_INPUT);
    cJSON_Delete(root);
}

static void written_strings_read_back(void **state)
{
    (void)state;
    struct ink_error error = {0};
    static const char text[] = "q\" b\\ /\b\f\n\r\t\x01\x1F\x7F \xE4\xBD\xA0\xF0\x9F\x98\x80";
    struct ink_string s = {0};
    ink_json_append_string(&s, text, sizeof text - 1);
    cJSON *root;
    assert_ok(ink_json_parse(&root, s.data, s.length, &ink_json_file_limits, "f", &error));
    assert_string_equal(root->valuestring, text);
    cJSON_Delete(root);
    ink_string_free(&s);
    ink_json_append_string(&s, "a\xFF\0b", 4);
    assert_string_equal(s.data, "\"a\xEF\xBF\xBD\\u0000b\"");
    ink_string_free(&s);
}

static void messages_are_one_clean_line(void **state)
{
    (void)state;
    struct ink_error error = {0};
    char *name = malloc(3001);
    for (int i = 0; i < 3000; i += 3) {
        memcpy(name + i, "\xE4\xBD\xA0", 4);
    }
    for (int cut = 0; cut < 3; cut++) { /* whatever the cut, no part of a character is left */
        assert_int_equal(ink_fail(&error, INK_ERROR_INPUT, "%s: %s", "a\nb", name + 3 * cut),
                         INK_ERROR_INPUT);
        assert_null(strchr(error.message, '\n'));
        assert_int_equal((strlen(error.message) - strlen("a?b: ")) % 3, 0);
    }
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_json),
        cmocka_unit_test(refuses_the_rest),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(numbers_beyond_a_double),
        cmocka_unit_test(typed_members),
        cmocka_unit_test(written_strings_read_back),
        cmocka_unit_test(messages_are_one_clean_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
