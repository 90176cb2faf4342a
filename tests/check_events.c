/* TensorBoard's event files: bytes known from elsewhere, and files that grow.
 * tests/oracle_train_files has TensorBoard itself read one. */
#include "support.h"

#include "../src/system.h"
#include "../src/train/events.h"

static void checksum(void **state)
{
    (void)state;
    assert_int_equal(ink_events_crc32c("123456789", 9), 0xE3069283);
    assert_int_equal(ink_events_crc32c("", 0), 0);
    unsigned char zeros[32] = {0}; /* RFC 3720, B.4 */
    assert_int_equal(ink_events_crc32c(zeros, 32), 0x8A9136AA);
}

/* The record that TensorFlow's own writer starts a file with at time 1.0. */
static void first_record(void **state)
{
    (void)state;
    static const unsigned char golden[] = {0x18, 0,    0,    0,   0,   0,   0,    0,    0xA3, 0x7F,
                                           0x4B, 0x22, 0x09, 0,   0,   0,   0,    0,    0,    0xF0,
                                           0x3F, 0x1A, 0x0D, 'b', 'r', 'a', 'i',  'n',  '.',  'E',
                                           'v',  'e',  'n',  't', ':', '2', 0x86, 0xBF, 0x57, 0x7A};
    struct ink_string out = {0};
    ink_events_print_start(&out, 1.0);
    assert_int_equal(out.length, sizeof golden);
    assert_memory_equal(out.data, golden, sizeof golden);
    ink_string_free(&out);
}

static int count_entry(void *context, const char *name)
{
    const int is_events = strncmp(name, "events.out.tfevents.1700000000.", 31) == 0;
    *(int *)context += is_events;
    return is_events ? 0 : -99;
}

static int remove_entry(void *context, const char *name)
{
    char *path = ink_path_join(context, name);
    remove(path);
    ink_free(path);
    return 0;
}

/* Two files in one second have two names; each row is in the file as soon as it is added. */
static void files(void **state)
{
    (void)state;
    static const char folder[] = "check_events.tmp";
    struct ink_error error = {0};
    struct ink_events a, b;
    const struct ink_history_row row = {INK_HISTORY_TRAIN, 300, 1.5, {0.5, 2e-5, 3.25}};
    ink_remove_folder(folder);
    assert_ok(ink_events_open(&a, folder, 1.7e9, &error));
    assert_ok(ink_events_open(&b, folder, 1.7e9, &error));
    int n = 0;
    assert_ok(ink_visit_folder(folder, count_entry, &n, &error));
    assert_int_equal(n, 2);
    struct ink_string text = {0};
    ink_events_print_start(&text, 1.7e9);
    ink_events_print_row(&text, 1.7e9 + 1, &row);
    assert_ok(ink_events_add(&a, 1.7e9 + 1, &row, &error));
    struct ink_mapping file;
    assert_ok(ink_map_file(&file, a.writer.path, &error));
    assert_int_equal(file.size, text.length);
    assert_memory_equal(file.data, text.data, text.length);
    ink_unmap_file(&file);
    ink_string_free(&text);
    ink_events_close(&a);
    ink_events_close(&b);
    assert_ok(ink_visit_folder(folder, remove_entry, (void *)(uintptr_t)folder, &error));
    ink_remove_folder(folder);
    assert_int_equal(ink_events_open(&a, "no/such/folder", 1, &error), INK_ERROR_SYSTEM);
    ink_events_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksum),
        cmocka_unit_test(first_record),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
