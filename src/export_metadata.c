#include "export_metadata.h"

#include <stdio.h>
#include <string.h>

void ink_metadata_put_u32(struct ink_string *s, uint32_t x)
{
    char bytes[4];
    for (int i = 0; i < 4; i++) {
        bytes[i] = (char)(x >> 8 * i & 255);
    }
    ink_string_append(s, bytes, sizeof bytes);
}

void ink_metadata_put_u64(struct ink_string *s, uint64_t x)
{
    ink_metadata_put_u32(s, (uint32_t)x);
    ink_metadata_put_u32(s, (uint32_t)(x >> 32));
}

void ink_metadata_put_f32(struct ink_string *s, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    ink_metadata_put_u32(s, bits);
}

void ink_metadata_put_text(struct ink_string *s, const char *text, size_t n)
{
    ink_metadata_put_u64(s, n);
    ink_string_append(s, text, n);
}

static void put_key(struct ink_metadata *m, const char *key, enum ink_metadata_type type)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s", key[0] == '.' ? m->prefix : "", key);
    ink_metadata_put_text(&m->bytes, full, strlen(full));
    ink_metadata_put_u32(&m->bytes, type);
    m->n_keys++;
}

void ink_metadata_add_int(struct ink_metadata *m, const char *key, int value)
{
    put_key(m, key, INK_METADATA_U32);
    ink_metadata_put_u32(&m->bytes, (uint32_t)value);
}

void ink_metadata_add_float(struct ink_metadata *m, const char *key, float value)
{
    put_key(m, key, INK_METADATA_F32);
    ink_metadata_put_f32(&m->bytes, value);
}

void ink_metadata_add_bool(struct ink_metadata *m, const char *key, bool value)
{
    put_key(m, key, INK_METADATA_BOOL);
    ink_string_append(&m->bytes, value ? "\1" : "\0", 1);
}

void ink_metadata_add_bytes(struct ink_metadata *m, const char *key, const char *text, size_t n)
{
    put_key(m, key, INK_METADATA_STRING);
    ink_metadata_put_text(&m->bytes, text, n);
}

void ink_metadata_add_text(struct ink_metadata *m, const char *key, const char *text)
{
    ink_metadata_add_bytes(m, key, text, strlen(text));
}

void ink_metadata_add_path_name(struct ink_metadata *m, const char *key, const char *path)
{
    size_t n = strlen(path);
    while (n > 0 && path[n - 1] == '/') {
        n--;
    }
    const char *name = path + n;
    while (name > path && name[-1] != '/' && name[-1] != '\\') {
        name--;
    }
    n -= (size_t)(name - path);
    if (n > 5 && memcmp(name + n - 5, ".gguf", 5) == 0) {
        n -= 5;
    }
    if (n > 0 && name[0] != '.') {
        ink_metadata_add_bytes(m, key, name, n);
    }
}

void ink_metadata_begin_array(struct ink_metadata *m, const char *key, enum ink_metadata_type type,
                              int n)
{
    put_key(m, key, INK_METADATA_ARRAY);
    ink_metadata_put_u32(&m->bytes, type);
    ink_metadata_put_u64(&m->bytes, (uint64_t)n);
}

int ink_metadata_file_type(enum ink_type type)
{
    static const struct {
        enum ink_type type;
        int number;
    } numbers[] = {
        {INK_TYPE_F32, 0},   {INK_TYPE_F16, 1},   {INK_TYPE_Q4_0, 2},  {INK_TYPE_Q4_1, 3},
        {INK_TYPE_Q8_0, 7},  {INK_TYPE_Q5_0, 8},  {INK_TYPE_Q5_1, 9},  {INK_TYPE_Q4_K, 15},
        {INK_TYPE_Q5_K, 17}, {INK_TYPE_Q6_K, 18}, {INK_TYPE_BF16, 32},
    };
    for (size_t i = 0; i < INK_COUNT(numbers); i++) {
        if (numbers[i].type == type) {
            return numbers[i].number;
        }
    }
    return 0;
}
