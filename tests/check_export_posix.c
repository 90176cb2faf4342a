/* Export where the system says no: a full disk, a folder that cannot be written. Nothing may be
 * left behind, and an older file stays what it was. */
#if defined(_WIN32)
#include <stdio.h>

int main(void)
{
    puts("1..0 # SKIP limits on file sizes are POSIX's");
    return 0;
}
#else
#define _POSIX_C_SOURCE 200809L
#define _XOPEN_SOURCE 700

#include "support.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char scratch[] = "check_export_posix.tmp";
static const char gguf_path[] = "check_export_posix.tmp/x.gguf";
static const char folder_path[] = "check_export_posix.tmp/x";

static const char link_path[] = "check_export_posix.tmp/link.gguf";

static int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    int n = 0;
    while (folder && readdir(folder)) {
        n++;
    }
    if (folder) {
        closedir(folder);
    }
    return n - 2;
}

static int set_up(void **state)
{
    (void)state;
    ink_remove_folder(folder_path);
    ink_remove_folder(scratch);
    return ink_make_folder(scratch, NULL);
}

static int tear_down(void **state)
{
    (void)state;
    chmod(scratch, 0755);
    unlink(link_path);
    ink_remove_folder(folder_path);
    ink_remove_folder(scratch);
    return 0;
}

static void limit_file_size(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int export_limited(const struct ink_model *m, const char *path, rlim_t n)
{
    struct ink_error error = {0};
    limit_file_size(n);
    int status = ink_export(m, path, NULL, NULL, NULL, &error);
    limit_file_size(RLIM_INFINITY);
    return status;
}

/* Full at the first byte, in the header, in the data, and at the very end. */
static void test_full_disk(void **state)
{
    static const rlim_t sizes[] = {0, 100, 9000, 20000, 700000, 1040000};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < INK_COUNT(sizes); i++) {
        assert_int_equal(export_limited(m, gguf_path, sizes[i]), INK_ERROR_SYSTEM);
        assert_int_equal(count_entries(scratch), 0);
        assert_int_equal(export_limited(m, folder_path, sizes[i]), INK_ERROR_SYSTEM);
        assert_int_equal(count_entries(scratch), 0);
    }
    assert_int_equal(export_limited(m, gguf_path, RLIM_INFINITY), INK_OK);
    assert_int_equal(export_limited(m, folder_path, RLIM_INFINITY), INK_OK);
    assert_int_equal(count_entries(scratch), 2);
    ink_model_close(m);
}

static void test_older_file_stays(void **state)
{
    struct ink_error error = {0};
    struct ink_mapping before, after;
    (void)state;
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    signal(SIGXFSZ, SIG_IGN);
    assert_ok(ink_export(m, gguf_path, "q8_0", NULL, NULL, &error));
    assert_ok(ink_map_file(&before, gguf_path, &error));
    assert_int_equal(export_limited(m, gguf_path, 20000), INK_ERROR_SYSTEM);
    assert_ok(ink_map_file(&after, gguf_path, &error));
    assert_true(before.size == after.size);
    assert_memory_equal(before.data, after.data, (size_t)before.size);
    assert_int_equal(count_entries(scratch), 1);
    ink_unmap_file(&before);
    ink_unmap_file(&after);
    ink_model_close(m);
}

static int stop(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    return done > total / 2;
}

static void test_cancel_leaves_nothing(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    assert_int_equal(ink_export(m, gguf_path, NULL, stop, NULL, &error), INK_ERROR_CANCELLED);
    assert_int_equal(ink_export(m, folder_path, NULL, stop, NULL, &error), INK_ERROR_CANCELLED);
    assert_int_equal(count_entries(scratch), 0);
    ink_model_close(m);
}

static void test_read_only_folder(void **state)
{
    struct ink_error error = {0};
    (void)state;
    if (geteuid() == 0) {
        puts("# SKIP: root may write into read-only folders");
        skip();
    }
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    assert_int_equal(chmod(scratch, 0555), 0);
    assert_int_equal(ink_export(m, gguf_path, NULL, NULL, NULL, &error), INK_ERROR_SYSTEM);
    assert_int_equal(ink_export(m, folder_path, NULL, NULL, NULL, &error), INK_ERROR_SYSTEM);
    assert_int_equal(count_entries(scratch), 0);
    ink_model_close(m);
}

/* The target's name leads to the model itself. */
static void test_link_to_input(void **state)
{
    struct ink_error error = {0};
    (void)state;
    struct ink_model *m = open_model_at(shared_path("data/stories260K/as-ernie45"), 1, NULL);
    assert_ok(ink_export(m, gguf_path, NULL, NULL, NULL, &error));
    ink_model_close(m);
    m = open_model_at(gguf_path, 1, NULL);
    assert_int_equal(symlink("x.gguf", link_path), 0);
    assert_int_equal(ink_export(m, link_path, NULL, NULL, NULL, &error), INK_ERROR_ARGUMENT);
    ink_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_older_file_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cancel_leaves_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_read_only_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_link_to_input, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
