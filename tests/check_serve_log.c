/* Lines of the log, read back from stderr. */
#include "support.h"

#include "../src/serve/log.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>

static const char path[] = "check_serve_log.tmp";

/* The one line that an event gives; lives until the next call. */
static const char *line_of(enum ink_log_format format, const char *level, const char *event,
                           const struct ink_log_field *fields, int n)
{
    static char text[8192];
    struct ink_log *log = ink_log_new(format);
    assert_non_null(log);
    fflush(stderr);
    int saved = dup(2), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    dup2(fd, 2);
    ink_log_event(log, level, event, fields, n);
    dup2(saved, 2);
    close(saved);
    lseek(fd, 0, SEEK_SET);
    long size = (long)read(fd, text, sizeof text - 1);
    close(fd);
    remove(path);
    ink_log_free(log);
    assert_true(size > 0);
    text[size] = '\0';
    assert_int_equal(text[size - 1], '\n');
    assert_ptr_equal(strchr(text, '\n'), text + size - 1);
    text[size - 1] = '\0';
    return text;
}

/* 2026-11-26T08:00:00.123Z */
static void check_time(const char *time)
{
    static const char shape[] = "dddd-dd-ddTdd:dd:dd.dddZ";
    for (size_t i = 0; i < sizeof shape - 1; i++) {
        assert_true(shape[i] == 'd' ? time[i] >= '0' && time[i] <= '9' : time[i] == shape[i]);
    }
}

static const struct ink_log_field fields[] = {
    {"method", "POST", 0},
    {"path", "/v1/a b\n\"c\"\xC2\x9B[2J\x1B\xFF\xE7\xA0\x9A", 0},
    {"status", NULL, 200},
    {"seconds", NULL, 0.25},
    {"empty", "", 0},
    {"odd", NULL, NAN},
    {"big", NULL, 123456789012.0},
};

static void text_lines(void **state)
{
    (void)state;
    const char *line = line_of(INK_LOG_TEXT, "info", "request", fields, INK_COUNT(fields));
    check_time(line);
    assert_string_equal(line + 24,
                        " info request method=POST path=\"/v1/a b\\n\\\"c\\\"\\u009b[2J\\u001b"
                        "\xEF\xBF\xBD\xE7\xA0\x9A\" status=200 seconds=0.25 empty=\"\" odd=null "
                        "big=123456789012");
    assert_string_equal(line_of(INK_LOG_TEXT, "error", "stop", NULL, 0) + 24, " error stop");
}

static void json_lines(void **state)
{
    (void)state;
    struct ink_error error = {0};
    cJSON *root = NULL;
    const char *line = line_of(INK_LOG_JSON, "warning", "request", fields, INK_COUNT(fields));
    assert_ok(ink_json_parse(&root, line, strlen(line), &ink_json_file_limits, "line", &error));
    check_time(ink_json_get(root, "time")->valuestring);
    assert_string_equal(ink_json_get(root, "level")->valuestring, "warning");
    assert_string_equal(ink_json_get(root, "event")->valuestring, "request");
    assert_string_equal(ink_json_get(root, "method")->valuestring, "POST");
    assert_string_equal(ink_json_get(root, "path")->valuestring,
                        "/v1/a b\n\"c\"\xC2\x9B[2J\x1B\xEF\xBF\xBD\xE7\xA0\x9A");
    assert_int_equal(ink_json_get(root, "status")->valueint, 200);
    assert_true(ink_json_get(root, "seconds")->valuedouble == 0.25);
    assert_null(ink_json_get(root, "odd"));
    assert_true(ink_json_get(root, "big")->valuedouble == 123456789012.0);
    cJSON_Delete(root);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "\xE7\xA0\x9A"[i % 3];
    }
    text[sizeof text - 1] = '\0';
    const struct ink_log_field field = {"text", text, 0};
    const char *line = line_of(INK_LOG_TEXT, "info", "e", &field, 1);
    assert_int_equal(strlen(line), strlen("2026-11-26T08:00:00.123Z info e text=\"\"") + 1023 + 3);
    assert_null(strstr(line, "\xEF\xBF\xBD"));
}

static void no_log_is_fine(void **state)
{
    (void)state;
    ink_log_event(NULL, "info", "nothing", NULL, 0);
    ink_log_free(NULL);
    ink_fail_allocation(1, true);
    assert_null(ink_log_new(INK_LOG_TEXT));
    ink_fail_allocation(0, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(no_log_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
