/* Damaged and malicious safetensors files, and indexes of shards. */
#include "bad_weights.h"

#define NAME "check_bad.safetensors"
#define T(dtype, shape, offsets) \
    "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":" offsets "}"
#define ONE(dtype, shape, offsets) "{\"a\":" T(dtype, shape, offsets) "}"

/* A file of this header and n_data zero bytes. */
static struct ink_string file_of(const char *header, size_t n_data)
{
    struct ink_string s = {0};
    put_u64(&s, strlen(header));
    ink_string_puts(&s, header);
    put_bytes(&s, 0, n_data);
    return s;
}

static void accepts_good_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        int n_tensors;
    } good[] = {
        {ONE("F32", "[2]", "[0,8]"), 8, 1},
        {ONE("F32", "[2]", "[0,8]") "     ", 8, 1},
        {"{\"b\":" T("F16", "[1,2,3]", "[4,16]") ",\"a\":" T("BF16", "[2]", "[0,4]") "}", 16, 2},
        {"{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T("F32", "[1,1,1,1]", "[0,4]") "}", 4, 1},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":[{}]}}", 4, 1},
        {"{}", 0, 0},
    };
    for (size_t i = 0; i < INK_COUNT(good); i++) {
        struct ink_string s = file_of(good[i].header, good[i].n_data);
        accepts(NAME, &s, good[i].n_tensors);
    }
}

static void refuses_headers(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *says;
    } bad[] = {
        {"", 8, "does not start"},
        {" {}", 0, "does not start"},
        {"\xEF\xBB\xBF{}", 0, "does not start"},
        {"[]", 0, "does not start"},
        {"\"a\"", 0, "does not start"},
        {"{\"a\":1}", 0, "not a JSON object"},
        {"{\"a\":null}", 0, "not a JSON object"},
        {"{\"a\"", 0, "JSON"},
        {"{} x", 0, "JSON"},
        {"{}{}", 0, "JSON"},
        {"{\"\xFF\":1}", 0, "UTF-8"},
        {"{\"\xC0\xAF\":1}", 0, "UTF-8"},
        {"{\"a\\u0000b\":1}", 0, "JSON"},
        {"{\"a\":" T("F32", "[1]", "[0,4]") ",\"a\":" T("F32", "[1]", "[4,8]") "}", 8, "duplicate"},
        {"{\"\":" T("F32", "[1]", "[0,4]") "}", 4, "name has 0 bytes"},
        {"{\"__metadata__\":1}", 0, "__metadata__"},
        {"{\"__metadata__\":[]}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
        {"{\"__metadata__\":{\"a\":{}}}", 0, "__metadata__"},
        {ONE("f32", "[2]", "[0,8]"), 8, "type \"f32\""},
        {ONE("F64", "[1]", "[0,8]"), 8, "type \"F64\""},
        {ONE("I64", "[1]", "[0,8]"), 8, "type \"I64\""},
        {ONE("F8_E4M3", "[8]", "[0,8]"), 8, "type \"F8_E4M3\""},
        {ONE("BOOL", "[8]", "[0,8]"), 8, "type \"BOOL\""},
        {ONE("", "[8]", "[0,8]"), 8, "type \"\""},
        {ONE("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "[8]", "[0,8]"), 8, "type \"?\""},
        {"{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":2,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "dtype"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":{},\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "data_offsets"},
        {ONE("F32", "[-2]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[2.5]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[\"2\"]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[null]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[1e18]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[1e999]", "[0,8]"), 8, NULL},
        {ONE("F32", "[9007199254740992]", "[0,8]"), 8, "shape"},
        {ONE("F32", "[4294967296,4294967296]", "[0,0]"), 0, "impossible shape"},
        {ONE("F32", "[2147483648,2147483648,2]", "[0,0]"), 0, "impossible shape"},
        {ONE("F32", "[4611686018427387904]", "[0,0]"), 0, "shape"},
        {ONE("F32", "[]", "[0,4]"), 4, "0 dimensions"},
        {ONE("F32", "[0]", "[0,0]"), 0, "0 elements"},
        {ONE("F32", "[2,0]", "[0,0]"), 0, "0 elements"},
        {ONE("F32", "[1,1,1,1,1]", "[0,4]"), 4, "5 dimensions"},
        {ONE("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dimensions"},
        {ONE("F32", "[2]", "[8,0]"), 8, "before it begins"},
        {ONE("F32", "[2]", "[0,4]"), 8, "4 bytes"},
        {ONE("F32", "[1]", "[0,8]"), 8, "8 bytes"},
        {ONE("F32", "[2]", "[0]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[0,8,8]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[0,\"8\"]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[-8,0]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[0,8.5]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[18446744073709551608,18446744073709551616]"), 8, "data_offsets"},
        {ONE("F32", "[2]", "[0,8]"), 7, "cut off"},
        {ONE("F32", "[2]", "[0,8]"), 0, "cut off"},
        {ONE("F32", "[2]", "[0,8]"), 9, "1 bytes after"},
        {ONE("F32", "[2]", "[4,12]"), 12, "unused bytes"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[4,12]") "}", 12,
         "overlaps"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[0,8]") "}", 8, "overlaps"},
        {"{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("F32", "[2]", "[12,20]") "}", 20, "unused"},
    };
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        struct ink_string s = file_of(bad[i].header, bad[i].n_data);
        refuses(NAME, bad[i].header, &s, bad[i].says);
    }
}

static void refuses_lengths(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {
        0, 1, 100, 16777217, 100000001, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t n = 0; n < 8; n++) {
        struct ink_string s = {0};
        put_bytes(&s, 0, n);
        refuses(NAME, "a short file", &s, "too short");
    }
    for (size_t i = 0; i < INK_COUNT(lengths); i++) {
        struct ink_string s = {0};
        put_u64(&s, lengths[i]);
        ink_string_puts(&s, "{}");
        refuses(NAME, "a wrong length", &s, NULL);
    }
}

static void refuses_what_is_appended(void **state)
{
    (void)state;
    static const char *const more[] = {"PK\5\6", "GGUF", "x"};
    for (size_t i = 0; i < INK_COUNT(more); i++) {
        struct ink_string s = file_of(ONE("F32", "[2]", "[0,8]"), 8);
        ink_string_puts(&s, more[i]);
        refuses(NAME, more[i], &s, "after the last tensor");
    }
}

/* Headers as large as are read at all: quickly refused, with bounded memory. */
static void refuses_large_headers(void **state)
{
    (void)state;
    static const struct {
        const char *head, *repeated, *tail;
    } shapes[] = {
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1", ",1", "],\"data_offsets\":[0,4]}}"},
        {"{\"a\":", "[", ""},
        {"{\"a\":", "{\"a\":", ""},
        {"{\"a\":1", ",\"a\":1", "}"},
        {"{\"a\":\"", "\\u4f60", "\"}"},
        {"{\"", "a", "\":1}"},
        {"{", " ", "}"},
    };
    for (size_t i = 0; i < INK_COUNT(shapes); i++) {
        struct ink_string header = {0};
        ink_string_puts(&header, shapes[i].head);
        while (header.length < (16u << 20) - 100) {
            ink_string_puts(&header, shapes[i].repeated);
        }
        ink_string_puts(&header, shapes[i].tail);
        struct ink_string s = file_of(header.data, 4);
        refuses(NAME, shapes[i].head, &s, NULL);
        ink_string_free(&header);
    }
}

/* Every prefix of a file, and every byte of its header changed: refused, or at least not crashed.
 */
static void survives_truncation_and_change(void **state)
{
    (void)state;
    struct ink_string good =
        file_of("{\"a\":" T("F32", "[2]", "[0,8]") ",\"b\":" T("BF16", "[2,2]", "[8,16]") "}", 16);
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
            ink_safetensors_read(&w, &file, NAME, &error);
            ink_weights_close(&w);
            good.data[i] ^= (char)(1 << bit);
        }
    }
    ink_string_free(&good);
}

/* ------------------------------------------------------------------------------------- shards */

#define FOLDER "check_bad_shards"
#define INDEX FOLDER "/model.safetensors.index.json"

static void write_shard(const char *path, const char *header)
{
    struct ink_string s = file_of(header, 4);
    write_file(path, &s);
    ink_string_free(&s);
}

static int make_shards(void **state)
{
    (void)state;
    if (ink_make_folder(FOLDER, NULL) != INK_OK) {
        return -1;
    }
    write_shard(FOLDER "/1.safetensors", "{\"a\":" T("F32", "[1]", "[0,4]") "}");
    write_shard(FOLDER "/2.safetensors", "{\"b\":" T("F32", "[1]", "[0,4]") "}");
    write_shard(FOLDER "/3.safetensors", "{\"a\":" T("F16", "[2]", "[0,4]") "}");
    write_shard("check_outside.safetensors", "{\"c\":" T("F32", "[1]", "[0,4]") "}");
    return 0;
}

static int remove_shards(void **state)
{
    (void)state;
    remove("check_outside.safetensors");
    ink_remove_folder(FOLDER);
    return 0;
}

static void write_index(const char *map)
{
    struct ink_string s = {0};
    ink_string_printf(&s, "{\"weight_map\":%s}", map);
    write_file(INDEX, &s);
    ink_string_free(&s);
}

static void refuses_indexes(void **state)
{
    (void)state;
    static const struct {
        const char *map, *says;
    } bad[] = {
        {"[]", "weight_map"},
        {"null", "weight_map"},
        {"{\"a\":1}", "plain file name"},
        {"{\"a\":null}", "plain file name"},
        {"{\"c\":\"../check_outside.safetensors\"}", "plain file name"},
        {"{\"c\":\"..\\\\check_outside.safetensors\"}", "plain file name"},
        {"{\"c\":\"/etc/check.safetensors\"}", "plain file name"},
        {"{\"c\":\"C:check.safetensors\"}", "plain file name"},
        {"{\"c\":\"sub/1.safetensors\"}", "plain file name"},
        {"{\"c\":\"..\"}", "plain file name"},
        {"{\"c\":\"\"}", "plain file name"},
        {"{\"c\":\".safetensors\"}", "plain file name"},
        {"{\"a\":\"1.bin\"}", "plain file name"},
        {"{\"\":\"1.safetensors\"}", "name has 0 bytes"},
        {"{\"a\":\"1.safetensors\",\"a\":\"1.safetensors\"}", "duplicate"},
        {"{\"a\":\"missing.safetensors\"}", "missing.safetensors: "},
        {"{\"a\":\"2.safetensors\"}", "\"a\" is not in"},
        {"{\"a\":\"1.safetensors\",\"b\":\"1.safetensors\"}", "\"b\" is not in"},
        {"{\"a\":\"2.safetensors\",\"b\":\"1.safetensors\"}", "is not in"},
        {"{\"a\":\"1.safetensors\",\"b\":\"3.safetensors\"}", "\"a\" occurs twice"},
        {"{\"a\":\"1.safetensors\",\"c\":\"2.safetensors\"}", "\"c\" is not in"},
    };
    struct ink_error error = {0};
    struct ink_weights w;
    write_index("{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}");
    assert_ok(ink_weights_open(&w, FOLDER, &error));
    assert_int_equal(w.n_tensors, 2);
    ink_weights_close(&w);
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        write_index(bad[i].map);
        refuses_path(FOLDER, FOLDER, bad[i].map, bad[i].says);
    }
    write_shard(FOLDER "/1.safetensors",
                "{\"a\":" T("F16", "[1]", "[0,2]") ",\"x\":" T("F16", "[1]", "[2,4]") "}");
    write_index("{\"b\":\"2.safetensors\",\"a\":\"1.safetensors\"}");
    refuses_path(FOLDER, FOLDER, "an extra tensor", "\"x\", which is not in");
}

static void names_git_lfs_pointers(void **state)
{
    (void)state;
    struct ink_string s = {0};
    ink_string_puts(&s,
                    "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 721514768\n");
    refuses(NAME, "a Git LFS pointer", &s, "git lfs pull");
}

static void refuses_what_is_no_file(void **state)
{
    (void)state;
    refuses_path("check_no_such_file", "check_no_such_file", "no file", NULL);
    ink_make_folder("check_empty_folder", NULL);
    refuses_path("check_empty_folder", "check_empty_folder", "an empty folder", "no weights");
    ink_make_folder("check_empty_folder/model.safetensors", NULL);
    refuses_path("check_empty_folder", "model.safetensors", "a folder of that name", NULL);
    remove("check_empty_folder/model.safetensors");
    ink_remove_folder("check_empty_folder/model.safetensors");
    ink_remove_folder("check_empty_folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_good_headers),
        cmocka_unit_test(refuses_headers),
        cmocka_unit_test(refuses_lengths),
        cmocka_unit_test(refuses_what_is_appended),
        cmocka_unit_test(refuses_large_headers),
        cmocka_unit_test(survives_truncation_and_change),
        cmocka_unit_test_setup_teardown(refuses_indexes, make_shards, remove_shards),
        cmocka_unit_test(names_git_lfs_pointers),
        cmocka_unit_test(refuses_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
