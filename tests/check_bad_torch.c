/* Damaged files of torch.save: the zip container around the pickle. */
#include "bad_torch.h"

#define NAME "check_bad.bin"

static void refuses_archives(void **state)
{
    (void)state;
    struct zip z = {{0}, {0}, 0};
    struct ink_string s = {0};
    refuses(NAME, "an empty file", &s, "torch.save");
    ink_string_puts(&s, "PK\3\4");
    refuses(NAME, "a zip of four bytes", &s, "too short");
    put_end(&s, 0, 0, 0);
    refuses(NAME, "an empty zip", &s, "torch.save");
    ink_string_append(&s, "\x80\x02\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.", 15);
    refuses(NAME, "the old format", &s, "before 1.6");
    ink_string_append(&s, "\x80\x02}.", 4);
    refuses(NAME, "a naked pickle", &s, "torch.save");
    zip_add(&z, "readme", "x", 1);
    s = zip_end(&z);
    refuses(NAME, "another zip", &s, "no data.pkl");
    zip_add(&z, "data.pkl", "\x80\x02}.", 4);
    s = zip_end(&z);
    refuses(NAME, "data.pkl at the top", &s, "no data.pkl");
    zip_add(&z, "a/b/data.pkl", "\x80\x02}.", 4);
    s = zip_end(&z);
    refuses(NAME, "data.pkl too deep", &s, "no data.pkl");
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "a/constants.pkl", "\x80\x02).", 4);
    s = zip_end(&z);
    refuses(NAME, "TorchScript", &s, "TorchScript");
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "a/byteorder", "big", 3);
    s = zip_end(&z);
    refuses(NAME, "big-endian", &s, "little-endian");
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    s = zip_end(&z);
    accepts(NAME, &s, 0);
}

static void refuses_entry_names(void **state)
{
    (void)state;
    static const char *const names[] = {"../x", "a/../../x", "/etc/passwd", "a\\b",
                                        "C:x",  "\xFF\xFE",  "a/..",        ""};
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        struct zip z = {{0}, {0}, 0};
        zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
        zip_add(&z, names[i], "x", 1);
        struct ink_string s = zip_end(&z);
        refuses(NAME, names[i], &s, "plain relative path");
    }
    struct zip z = {{0}, {0}, 0};
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "a/data.pkl", "\x80\x02N.", 4);
    struct ink_string s = zip_end(&z);
    refuses(NAME, "two entries of one name", &s, "same name");
}

/* The good archive with a number changed; `record` is the signature it is counted from. */
static void refuses_change(const char *what, const char *record, int nth, size_t at, int n_bytes,
                           uint64_t value, const char *says)
{
    struct ink_string s = good_archive();
    char bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (char)(value >> (8 * i));
    }
    patch(&s, place_of(&s, record, 4, nth) + at, bytes, (size_t)n_bytes);
    refuses(NAME, what, &s, says);
}

#define LOCAL "PK\3\4"
#define CENTRAL "PK\1\2"
#define END "PK\5\6"

static void refuses_zip_numbers(void **state)
{
    (void)state;
    struct ink_string s = good_archive();
    accepts(NAME, &s, 1);
    refuses_change("compressed", CENTRAL, 2, 10, 2, 8, "compressed");
    refuses_change("encrypted", CENTRAL, 2, 8, 2, 1, "encrypted");
    refuses_change("another compressed size", CENTRAL, 2, 20, 4, 31, "two sizes differ");
    refuses_change("another size", CENTRAL, 2, 24, 4, 31, "two sizes differ");
    refuses_change("another local size", LOCAL, 2, 22, 4, 31, "contradict");
    refuses_change("another local method", LOCAL, 2, 8, 2, 8, "contradict");
    refuses_change("another local name", LOCAL, 2, 30, 1, 'b', "contradict");
    refuses_change("a long local name", LOCAL, 2, 26, 2, 0xFFFF, "contradict");
    refuses_change("a long local extra", LOCAL, 2, 28, 2, 0xFFFF, "contradict");
    refuses_change("a local header elsewhere", CENTRAL, 2, 42, 4, 1, "contradict");
    refuses_change("a local header outside", CENTRAL, 2, 42, 4, 0x7FFFFFFF, "outside");
    refuses_change("zip64 without numbers", CENTRAL, 2, 42, 4, 0xFFFFFFFF, "zip64");
    refuses_change("zip64 sizes without numbers", CENTRAL, 2, 24, 4, 0xFFFFFFFF, "zip64");
    refuses_change("another disk", CENTRAL, 2, 34, 2, 1, "another disk");
    refuses_change("a long name", CENTRAL, 2, 28, 2, 0xFFFF, "damaged");
    refuses_change("a long comment", CENTRAL, 3, 32, 2, 0xFFFF, "damaged");
    refuses_change("no signature", CENTRAL, 1, 0, 1, 'p', "damaged");
    refuses_change("an end on another disk", END, 0, 4, 2, 1, "another disk");
    refuses_change("fewer entries", END, 0, 8, 4, 0x00030003, "damaged");
    refuses_change("more entries", END, 0, 8, 4, 0x00050005, "damaged");
    refuses_change("too many entries", END, 0, 8, 4, 0xFFFFFFFF, "more entries");
    refuses_change("different counts", END, 0, 8, 2, 3, "another disk");
    refuses_change("a larger directory", END, 0, 12, 4, 0xFFFFFFFF, "central directory");
    refuses_change("a directory elsewhere", END, 0, 16, 4, 0, "central directory");
    refuses_change("a comment", END, 0, 20, 2, 1, "appended");
}

static void refuses_overlaps(void **state)
{
    (void)state;
    /* an entry whose data holds another entry, header and all */
    struct ink_string inner = {0}, s = {0};
    struct zip z = {{0}, {0}, 0};
    zip_add(&z, "a/data/0", "12345678", 8);
    ink_string_append(&inner, z.file.data, z.file.length);
    ink_string_free(&z.file);
    ink_string_free(&z.directory);
    z.n = 0;
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    zip_add(&z, "a/data/1", inner.data, inner.length);
    size_t at = place_of(&z.file, LOCAL, 4, 2);
    struct ink_string whole = z.file;
    z.file = (struct ink_string){0};
    zip_add(&z, "a/data/0", "12345678", 8);
    ink_string_free(&z.file);
    z.file = whole;
    char place[4] = {(char)at, (char)(at >> 8), 0, 0};
    patch(&z.directory, place_of(&z.directory, CENTRAL, 4, 2) + 42, place, 4);
    s = zip_end(&z);
    refuses(NAME, "an entry within another", &s, "overlap");
    ink_string_free(&inner);
    /* bytes before, between and after */
    ink_string_puts(&z.file, "MZ");
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    s = zip_end(&z);
    refuses(NAME, "bytes before", &s, NULL);
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    put_bytes(&z.file, 'x', 100);
    zip_add(&z, "a/version", "3", 1);
    s = zip_end(&z);
    refuses(NAME, "bytes between", &s, "belong to no entry");
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    put_bytes(&z.file, 'x', 100);
    s = zip_end(&z);
    refuses(NAME, "bytes after", &s, "belong to no entry");
    s = good_archive();
    ink_string_puts(&s, "more");
    refuses(NAME, "bytes at the end", &s, "appended");
}

/* An archive of one entry with zip64 records; the changed one of their numbers. */
static void refuses_zip64(const char *what, size_t at, uint64_t value, int n_bytes,
                          const char *says)
{
    struct zip z = {{0}, {0}, 0};
    struct ink_string s = {0}, records = {0};
    zip_add(&z, "a/data.pkl", "\x80\x02}.", 4);
    uint64_t begin = z.file.length, size = z.directory.length;
    ink_string_append(&s, z.file.data, z.file.length);
    ink_string_append(&s, z.directory.data, z.directory.length);
    ink_string_append(&records, "PK\6\6", 4);
    put_u64(&records, 44);
    put_u32(&records, 0);
    put_u64(&records, 0);
    put_u64(&records, 1);
    put_u64(&records, 1);
    put_u64(&records, size);
    put_u64(&records, begin);
    ink_string_append(&records, "PK\6\7", 4);
    put_u32(&records, 0);
    put_u64(&records, begin + size);
    put_u32(&records, 1);
    put_end(&records, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF);
    for (int i = 0; i < n_bytes; i++) {
        patch_byte(&records, at + (size_t)i, (int)(value >> (8 * i) & 255));
    }
    ink_string_append(&s, records.data, records.length);
    ink_string_free(&records);
    ink_string_free(&z.file);
    ink_string_free(&z.directory);
    if (says) {
        refuses(NAME, what, &s, says);
    } else {
        accepts(NAME, &s, 0);
    }
}

static void refuses_zip64_nonsense(void **state)
{
    (void)state;
    static const uint64_t odd[] = {0,         2, 1u << 20, (uint64_t)1 << 32, (uint64_t)1 << 63,
                                   UINT64_MAX};
    refuses_zip64("good", 0, 0, 0, NULL);
    for (size_t i = 0; i < INK_COUNT(odd); i++) {
        refuses_zip64("a record's size", 4, odd[i], 8, "zip64");
        refuses_zip64("entries of this disk", 24, odd[i], 8, "another disk");
        refuses_zip64("a directory's size", 40, odd[i], 8, "");
        refuses_zip64("a directory's place", 48, odd[i], 8, "");
        refuses_zip64("the record's place", 56 + 8, odd[i], 8, "zip64");
    }
    refuses_zip64("another disk", 16, 1, 4, "another disk");
    refuses_zip64("disks", 56 + 16, 2, 4, "zip64");
    refuses_zip64("no signature", 0, 'p', 1, "zip64");
    refuses_zip64("other numbers at the end", 56 + 20 + 10, 7, 2, "");
}

static void survives_truncation_and_change(void **state)
{
    (void)state;
    struct ink_string good = good_archive();
    for (size_t n = 0; n < good.length; n++) {
        struct ink_string s = {0};
        ink_string_append(&s, good.data, n);
        refuses(NAME, "a prefix", &s, NULL);
    }
    for (size_t i = 0; i < good.length; i++) {
        for (int bit = 0; bit < 8; bit++) {
            struct ink_error error = {0};
            struct ink_weights w = {0};
            good.data[i] ^= (char)(1 << bit);
            const struct ink_mapping file = {.data = (const void *)good.data, .size = good.length};
            ink_torchbin_read(&w, &file, NAME, &error);
            ink_weights_close(&w);
            good.data[i] ^= (char)(1 << bit);
        }
    }
    ink_string_free(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_archives),       cmocka_unit_test(refuses_entry_names),
        cmocka_unit_test(refuses_zip_numbers),    cmocka_unit_test(refuses_overlaps),
        cmocka_unit_test(refuses_zip64_nonsense), cmocka_unit_test(survives_truncation_and_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
