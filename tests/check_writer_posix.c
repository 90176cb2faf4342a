/* Files that appear whole or not at all. */
#define _POSIX_C_SOURCE 200809L

#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

static const char path[] = "check_writer.tmp";

static void assert_holds(const char *text)
{
    struct ink_error error = {0};
    struct ink_mapping file;
    assert_ok(ink_map_file(&file, path, &error));
    assert_int_equal(file.size, strlen(text));
    assert_memory_equal(file.data, text, strlen(text));
    ink_unmap_file(&file);
}

static void put(struct ink_writer *w, const char *text)
{
    struct ink_error error = {0};
    assert_ok(ink_writer_put(w, text, strlen(text), &error));
}

/* Two at once write two files; the last one committed is there, whole. */
static void two_writers_of_one_path(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_writer a, b;
    assert_ok(ink_writer_open(&a, path, &error));
    put(&a, "first, ");
    assert_ok(ink_writer_open(&b, path, &error));
    assert_string_not_equal(a.temporary, b.temporary);
    put(&b, "second");
    assert_ok(ink_writer_commit(&b, &error));
    assert_holds("second");
    put(&a, "whole");
    assert_ok(ink_writer_commit(&a, &error));
    assert_holds("first, whole");
    ink_writer_close(&a);
    ink_writer_close(&b);
    unlink(path);
}

static void given_up(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_writer w;
    assert_ok(ink_writer_open(&w, path, &error));
    char *temporary = ink_strdup(w.temporary);
    put(&w, "half");
    ink_writer_close(&w);
    assert_int_equal(ink_path_kind(path), INK_PATH_NONE);
    assert_int_equal(ink_path_kind(temporary), INK_PATH_NONE);
    ink_free(temporary);
}

static void only_regular_files_are_replaced(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_writer w;
    struct stat st;
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(ink_writer_open(&w, path, &error), INK_ERROR_SYSTEM);
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
    unlink(path);
    assert_int_equal(ink_writer_open(&w, ".", &error), INK_ERROR_SYSTEM);
    assert_int_equal(ink_writer_open(&w, "no/such/folder/x", &error), INK_ERROR_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_writers_of_one_path),
        cmocka_unit_test(given_up),
        cmocka_unit_test(only_regular_files_are_replaced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
