/* Damaged and malicious GGUF files. */
#include "bad_weights.h"

#define NAME "check_bad.gguf"

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

static void put_text(struct ink_string *s, const char *text)
{
    put_u64(s, strlen(text));
    ink_string_puts(s, text);
}

static void put_head(struct ink_string *s, uint32_t version, uint64_t n_tensors, uint64_t n_keys)
{
    ink_string_puts(s, "GGUF");
    put_u32(s, version);
    put_u64(s, n_tensors);
    put_u64(s, n_keys);
}

static void put_key(struct ink_string *s, const char *key, uint32_t type)
{
    put_text(s, key);
    put_u32(s, type);
}

static void put_key_u32(struct ink_string *s, const char *key, uint32_t value)
{
    put_key(s, key, U32);
    put_u32(s, value);
}

static void put_tensor(struct ink_string *s, const char *name, uint32_t n_dims, const uint64_t *ne,
                       uint32_t type, uint64_t offset)
{
    put_text(s, name);
    put_u32(s, n_dims);
    for (uint32_t i = 0; i < n_dims && i < 5; i++) {
        put_u64(s, ne[i]);
    }
    put_u32(s, type);
    put_u64(s, offset);
}

static void put_data(struct ink_string *s, size_t n)
{
    put_bytes(s, 0, (32 - s->length % 32) % 32);
    put_bytes(s, 0, n);
}

static void refuses_heads(void **state)
{
    (void)state;
    static const uint32_t versions[] = {0, 1, 4, 0x03000000, 0x02000000, 0x00030000, UINT32_MAX};
    static const uint64_t counts[] = {1, 65537, (uint64_t)1 << 32, (uint64_t)1 << 63, UINT64_MAX};
    struct ink_string s = {0};
    put_head(&s, 3, 0, 0);
    accepts(NAME, &s, 0);
    put_head(&s, 2, 0, 0);
    accepts(NAME, &s, 0);
    for (size_t n = 0; n < 24; n++) {
        put_head(&s, 3, 0, 0);
        s.length = n;
        refuses(NAME, "a short head", &s, NULL);
    }
    put_head(&s, 3, 0, 0);
    s.data[0] = 'g';
    refuses(NAME, "a bad magic", &s, "not a GGUF file");
    for (size_t i = 0; i < INK_COUNT(versions); i++) {
        put_head(&s, versions[i], 0, 0);
        refuses(NAME, "a version", &s,
                (versions[i] & 0xFFFF) || !versions[i] ? "version" : "big-endian");
    }
    for (size_t i = 0; i < INK_COUNT(counts); i++) {
        put_head(&s, 3, counts[i], 0);
        refuses(NAME, "many tensors", &s, "more tensors");
        put_head(&s, 3, 0, counts[i]);
        refuses(NAME, "many keys", &s, "more keys");
    }
}

static void refuses_keys(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {0, 65536, 1 << 20, (uint64_t)1 << 62, UINT64_MAX};
    struct ink_string s = {0};
    for (size_t i = 0; i < INK_COUNT(lengths); i++) {
        put_head(&s, 3, 0, 1);
        put_u64(&s, lengths[i]);
        put_bytes(&s, 'k', 70000);
        refuses(NAME, "a key's length", &s, NULL);
    }
    put_head(&s, 3, 0, 2);
    put_key_u32(&s, "same", 1);
    put_key_u32(&s, "same", 1);
    refuses(NAME, "the same key twice", &s, "occurs twice");
    put_head(&s, 3, 0, 1);
    put_key_u32(&s, "\xFF\xFE", 1);
    refuses(NAME, "a key in no UTF-8", &s, "not UTF-8");
    put_head(&s, 3, 0, 1);
    put_u64(&s, 3);
    ink_string_append(&s, "a\0b", 3);
    put_u32(&s, U32);
    put_u32(&s, 1);
    refuses(NAME, "a key with NUL", &s, "not UTF-8");
}

static void refuses_values(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {
        100, 1 << 30, (uint64_t)1 << 61, (uint64_t)1 << 62, (uint64_t)1 << 63, UINT64_MAX};
    struct ink_string s = {0};
    for (uint32_t type = 13; type < 20; type++) {
        put_head(&s, 3, 0, 1);
        put_key(&s, "key", type);
        put_bytes(&s, 0, 64);
        refuses(NAME, "an unknown type", &s, "type is unknown");
    }
    for (uint32_t type = 0; type <= F64; type++) {
        for (size_t i = 0; i < INK_COUNT(lengths) && type != ARRAY; i++) {
            put_head(&s, 3, 0, 1);
            put_key(&s, "key", ARRAY);
            put_u32(&s, type);
            put_u64(&s, lengths[i]);
            put_bytes(&s, 0, 64);
            refuses(NAME, "a long array", &s, "too early");
        }
    }
    for (size_t i = 0; i < INK_COUNT(lengths); i++) {
        put_head(&s, 3, 0, 1);
        put_key(&s, "key", STRING);
        put_u64(&s, lengths[i]);
        put_bytes(&s, 'x', 64);
        refuses(NAME, "a long string", &s, "too early");
        put_head(&s, 3, 0, 1);
        put_key(&s, "key", ARRAY);
        put_u32(&s, STRING);
        put_u64(&s, 2);
        put_text(&s, "x");
        put_u64(&s, lengths[i]);
        put_bytes(&s, 'x', 64);
        refuses(NAME, "a long string in an array", &s, "too early");
    }
    put_head(&s, 3, 0, 1);
    put_key(&s, "key", ARRAY);
    for (int i = 0; i < 1000; i++) {
        put_u32(&s, ARRAY);
        put_u64(&s, 1);
    }
    refuses(NAME, "nested arrays", &s, "array of arrays");
    put_head(&s, 3, 0, 1);
    put_key(&s, "key", ARRAY);
    put_u32(&s, 13);
    put_u64(&s, 1);
    put_bytes(&s, 0, 64);
    refuses(NAME, "an array of an unknown type", &s, "type is unknown");
    put_head(&s, 3, 0, 1);
    put_key(&s, "key", BOOL);
    put_bytes(&s, 2, 1);
    refuses(NAME, "a boolean of 2", &s, "boolean");
}

static void refuses_alignments(void **state)
{
    (void)state;
    static const uint32_t bad[] = {0, 1, 3, 4, 24, 33, 131072, 1u << 30, UINT32_MAX};
    struct ink_string s = {0};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        put_head(&s, 3, 0, 1);
        put_key_u32(&s, "general.alignment", bad[i]);
        refuses(NAME, "an alignment", &s, "general.alignment");
    }
    put_head(&s, 3, 0, 1);
    put_key(&s, "general.alignment", STRING);
    put_text(&s, "32");
    refuses(NAME, "an alignment in words", &s, "not an integer");
    put_head(&s, 3, 0, 1);
    put_key_u32(&s, "split.count", 2);
    refuses(NAME, "a split file", &s, "split");
}

/* Two tensors of 64 bytes each, the second with these properties, and n_data bytes of data. */
static void refuses_tensor(const char *what, const char *name, uint32_t n_dims, const uint64_t *ne,
                           uint32_t type, uint64_t offset, size_t n_data, const char *says)
{
    static const uint64_t first[] = {16};
    struct ink_string s = {0};
    put_head(&s, 3, 2, 0);
    put_tensor(&s, "first", 1, first, 0, 0);
    put_tensor(&s, name, n_dims, ne, type, offset);
    put_data(&s, n_data);
    if (says) {
        refuses(NAME, what, &s, says);
    } else {
        accepts(NAME, &s, 2);
    }
}

static void refuses_tensors(void **state)
{
    (void)state;
    static const uint64_t ok[] = {4, 4, 1, 1, 1}, empty[] = {4, 0}, negative[] = {UINT64_MAX, 1},
                          large[] = {((uint64_t)1 << 42) + 1, 1}, huge[] = {1u << 31, 1u << 31, 4},
                          half_block[] = {16}, block[] = {32}, k_half[] = {128, 2};
    char name[100];
    memset(name, 'n', sizeof name);
    refuses_tensor("good", "b", 2, ok, 0, 64, 128, NULL);
    refuses_tensor("good q8_0", "b", 1, block, 8, 64, 64 + 34, NULL);
    name[64] = 0;
    refuses_tensor("64 bytes of name", name, 2, ok, 0, 64, 128, NULL);
    name[64] = 'n';
    name[65] = 0;
    refuses_tensor("65 bytes of name", name, 2, ok, 0, 64, 128, "name has 65 bytes");
    refuses_tensor("no name", "", 2, ok, 0, 64, 128, "name has 0 bytes");
    refuses_tensor("no UTF-8", "\xFF", 2, ok, 0, 64, 128, "not UTF-8");
    refuses_tensor("the same name", "first", 2, ok, 0, 64, 128, "occurs twice");
    refuses_tensor("no dims", "b", 0, ok, 0, 64, 128, "0 dimensions");
    refuses_tensor("5 dims", "b", 5, ok, 0, 64, 128, "5 dimensions");
    refuses_tensor("a million dims", "b", 1000000, ok, 0, 64, 128, "1000000 dimensions");
    refuses_tensor("an empty dim", "b", 2, empty, 0, 64, 128, "dimension");
    refuses_tensor("a negative dim", "b", 2, negative, 0, 64, 128, "dimension");
    refuses_tensor("a large dim", "b", 2, large, 0, 64, 128, "beyond the end");
    refuses_tensor("a huge product", "b", 3, huge, 0, 64, 128, "too many elements");
    refuses_tensor("Q4_2", "b", 2, ok, 4, 64, 128, "type Q4_2");
    refuses_tensor("IQ2_XS", "b", 2, ok, 17, 64, 128, "type IQ2_XS");
    refuses_tensor("I32", "b", 2, ok, 26, 64, 128, "type I32");
    refuses_tensor("an unknown type", "b", 2, ok, 99, 64, 128, "type ? (99)");
    refuses_tensor("type -1", "b", 2, ok, UINT32_MAX, 64, 128, "type ?");
    refuses_tensor("half a block", "b", 1, half_block, 8, 64, 128, "whole blocks");
    refuses_tensor("half a K block", "b", 2, k_half, 12, 64, 1024, "whole blocks");
    refuses_tensor("not aligned", "b", 2, ok, 0, 65, 256, "not aligned");
    refuses_tensor("overlap", "b", 2, ok, 0, 32, 128, "overlaps");
    refuses_tensor("the same place", "b", 2, ok, 0, 0, 128, "overlaps");
    refuses_tensor("truncated by a byte", "b", 2, ok, 0, 64, 127, "beyond the end");
    refuses_tensor("truncated blocks", "b", 1, block, 8, 64, 64 + 33, "beyond the end");
    refuses_tensor("beyond", "b", 2, ok, 0, 128, 128, "beyond the end");
    refuses_tensor("offset 2^64 - 32", "b", 2, ok, 0, UINT64_MAX - 31, 128, "beyond the end");
    refuses_tensor("no data", "b", 2, ok, 0, 64, 0, "beyond the end");
}

static void survives_truncation_and_change(void **state)
{
    (void)state;
    static const uint64_t ne[] = {4, 2};
    struct ink_string good = {0};
    put_head(&good, 3, 1, 4);
    put_key_u32(&good, "general.alignment", 32);
    put_key(&good, "words", ARRAY);
    put_u32(&good, STRING);
    put_u64(&good, 2);
    put_text(&good, "one");
    put_text(&good, "");
    put_key(&good, "text", STRING);
    put_text(&good, "hello");
    put_key(&good, "yes", BOOL);
    put_bytes(&good, 1, 1);
    put_tensor(&good, "matrix", 2, ne, 0, 0);
    put_data(&good, 32);
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
            ink_gguf_read(&w, &file, NAME, &error);
            ink_weights_close(&w);
            good.data[i] ^= (char)(1 << bit);
        }
    }
    accepts(NAME, &good, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_heads),   cmocka_unit_test(refuses_keys),
        cmocka_unit_test(refuses_values),  cmocka_unit_test(refuses_alignments),
        cmocka_unit_test(refuses_tensors), cmocka_unit_test(survives_truncation_and_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
