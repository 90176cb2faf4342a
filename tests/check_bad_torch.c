/* Damaged and malicious files of torch.save: the zip around it, and the pickle inside. */
#include "bad_weights.h"

#define NAME "check_bad.bin"

/* ---------------------------------------------------------------------------------- the builder */

struct zip {
    struct ink_string file, directory;
    unsigned n;
};

enum { local_size = 30, central_size = 46 };

static void zip_add(struct zip *z, const char *name, const void *data, size_t n)
{
    size_t at = z->file.length;
    struct ink_string common = {
        0}; /* version, flags, method, time, date, crc, sizes, n_name, extra */
    put_u16(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, 0);
    put_u32(&common, (uint32_t)n);
    put_u32(&common, (uint32_t)n);
    put_u16(&common, (unsigned)strlen(name));
    put_u16(&common, 0);
    ink_string_append(&z->file, "PK\3\4", 4);
    ink_string_append(&z->file, common.data, common.length);
    ink_string_puts(&z->file, name);
    ink_string_append(&z->file, data, n);
    ink_string_append(&z->directory, "PK\1\2\0\0", 6);
    ink_string_append(&z->directory, common.data, common.length);
    put_bytes(&z->directory, 0, 2 + 2 + 2 + 4);
    put_u32(&z->directory, (uint32_t)at);
    ink_string_puts(&z->directory, name);
    z->n++;
    ink_string_free(&common);
}

static void put_end(struct ink_string *s, unsigned n, uint32_t size, uint32_t at)
{
    ink_string_append(s, "PK\5\6", 4);
    put_u32(s, 0);
    put_u16(s, n);
    put_u16(s, n);
    put_u32(s, size);
    put_u32(s, at);
    put_u16(s, 0);
}

/* The finished file. */
static struct ink_string zip_end(struct zip *z)
{
    struct ink_string s = z->file;
    uint32_t at = (uint32_t)s.length;
    uint32_t size = (uint32_t)z->directory.length;
    ink_string_append(&s, z->directory.data ? z->directory.data : "", size);
    put_end(&s, z->n, size, at);
    ink_string_free(&z->directory);
    *z = (struct zip){{0}, {0}, 0};
    return s;
}

/* An archive of this pickle and one storage, data/0, of 8 floats. */
static struct ink_string archive_of(const void *pickle, size_t n)
{
    static const char zeros[32];
    struct zip z = {{0}, {0}, 0};
    zip_add(&z, "archive/data.pkl", pickle, n);
    zip_add(&z, "archive/byteorder", "little", 6);
    zip_add(&z, "archive/data/0", zeros, sizeof zeros);
    zip_add(&z, "archive/version", "3\n", 2);
    return zip_end(&z);
}

static void p_string(struct ink_string *s, const char *text)
{
    ink_string_puts(s, "X");
    put_u32(s, (uint32_t)strlen(text));
    ink_string_puts(s, text);
}

static void p_integer(struct ink_string *s, int64_t v)
{
    ink_string_append(s, "\x8A\x08", 2);
    put_u64(s, (uint64_t)v);
}

/* One tensor; what a test changes of it. */
struct tensor {
    const char *function, *storage, *key;
    int64_t n_storage, offset;
    int n_dims;
    int64_t shape[6], stride[6];
};

static const struct tensor plain = {
    "torch._utils\n_rebuild_tensor_v2\n", "torch\nFloatStorage\n", "0", 8, 0, 2, {2, 4}, {4, 1}};

static void p_tuple(struct ink_string *s, const int64_t *values, int n)
{
    ink_string_puts(s, "(");
    for (int i = 0; i < n; i++) {
        p_integer(s, values[i]);
    }
    ink_string_puts(s, "t");
}

static void p_tensor(struct ink_string *s, const struct tensor *t)
{
    ink_string_printf(s, "c%s((", t->function);
    p_string(s, "storage");
    ink_string_printf(s, "c%s", t->storage);
    p_string(s, t->key);
    p_string(s, "cpu");
    p_integer(s, t->n_storage);
    ink_string_puts(s, "tQ");
    p_integer(s, t->offset);
    p_tuple(s, t->shape, t->n_dims);
    p_tuple(s, t->stride, t->n_dims);
    ink_string_puts(s, "\x89"
                       "ccollections\nOrderedDict\n)RtR");
}

/* { "a": the tensor } */
static struct ink_string pickle_of(const struct tensor *t)
{
    struct ink_string s = {0};
    ink_string_puts(&s, "\x80\x02}(");
    p_string(&s, "a");
    p_tensor(&s, t);
    ink_string_puts(&s, "u.");
    return s;
}

static struct ink_string good_archive(void)
{
    struct ink_string pickle = pickle_of(&plain);
    struct ink_string s = archive_of(pickle.data, pickle.length);
    ink_string_free(&pickle);
    return s;
}

static void refuses_pickle(const char *what, const void *pickle, size_t n, const char *says)
{
    struct ink_string s = archive_of(pickle, n);
    if (says) {
        refuses(NAME, what, &s, says);
    } else {
        accepts(NAME, &s, 1);
    }
}

static void refuses_tensor(const char *what, const struct tensor *t, const char *says)
{
    struct ink_string pickle = pickle_of(t);
    refuses_pickle(what, pickle.data, pickle.length, says);
    ink_string_free(&pickle);
}

/* -------------------------------------------------------------------------------------- tensors */

static void refuses_tensors(void **state)
{
    (void)state;
    refuses_tensor("good", &plain, NULL);
    struct tensor t = plain;
    t.storage = "torch\nLongStorage\n";
    refuses_tensor("integers", &t, "torch.LongStorage");
    t.storage = "torch\nDoubleStorage\n";
    refuses_tensor("doubles", &t, "torch.DoubleStorage");
    t.storage = "torch._utils\n_rebuild_tensor_v2\n";
    refuses_tensor("a storage that is none", &t, "wrong values");
    t.storage = "torch\nHalfStorage\n";
    refuses_tensor("another type", &t, "not as long as it says");
    t = plain;
    t.key = "1";
    refuses_tensor("no such storage", &t, "not in the file");
    t.key = "../data/0";
    refuses_tensor("a key that leads away", &t, "not in the file");
    t.key = "00000000000000000000000000000000000000000000000000000000000000000000000000000000";
    refuses_tensor("a long key", &t, "not in the file");
    t = plain;
    t.n_storage = 9;
    refuses_tensor("a longer storage", &t, "not as long as it says");
    t.n_storage = INT64_MAX;
    refuses_tensor("a storage of 2^63", &t, "not as long as it says");
    t.n_storage = -8;
    refuses_tensor("a negative storage", &t, "wrong values");
    t = plain;
    t.offset = 1;
    refuses_tensor("an offset too far", &t, "beyond its storage");
    t.offset = INT64_MAX;
    refuses_tensor("an offset of 2^63", &t, "beyond its storage");
    t.offset = -1;
    refuses_tensor("a negative offset", &t, "wrong values");
    t = plain;
    t.stride[0] = 1, t.stride[1] = 2;
    refuses_tensor("transposed", &t, "not contiguous");
    t.stride[0] = -4, t.stride[1] = 1;
    refuses_tensor("a negative stride", &t, "not contiguous");
    t.stride[0] = 0, t.stride[1] = 0;
    refuses_tensor("expanded", &t, "not contiguous");
    t = plain;
    t.shape[0] = 3;
    refuses_tensor("too large", &t, "beyond its storage");
    t.shape[0] = -2;
    refuses_tensor("a negative shape", &t, "wrong values");
    t.shape[0] = 0;
    refuses_tensor("an empty tensor", &t, "0 elements");
    t.shape[0] = INT64_MAX;
    refuses_tensor("a shape of 2^63", &t, "tensor \"a\"");
    t = plain;
    t.shape[0] = 1, t.shape[1] = 8, t.stride[0] = 77;
    refuses_tensor("any stride of one row", &t, NULL);
    t.n_dims = 0;
    refuses_tensor("a scalar", &t, "0 dimensions");
    t.n_dims = 5;
    t.shape[2] = t.shape[3] = t.shape[4] = 1;
    refuses_tensor("five dimensions", &t, "5 dimensions");
    t = plain;
    t.function = "torch._utils\n_rebuild_parameter\n";
    refuses_tensor("a parameter of no tensor", &t, "wrong arguments");
    t.function = "collections\nOrderedDict\n";
    refuses_tensor("an OrderedDict with arguments", &t, "wrong arguments");
    t.function = "torch\nFloatStorage\n";
    refuses_tensor("a storage called", &t, "wrong arguments");
}

/* --------------------------------------------------------------------------------------- malice */

#define PICKLE(bytes) bytes, sizeof(bytes) - 1

static void executes_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *pickle;
        size_t n;
        const char *says;
    } bad[] = {
        {PICKLE("\x80\x02"
                "cos\nsystem\nX\4\0\0\0exit\x85R."),
         "\"os.system\""},
        {PICKLE("\x80\x02"
                "cposix\nsystem\nX\4\0\0\0exit\x85R."),
         "\"posix.system\""},
        {PICKLE("\x80\x02"
                "c__builtin__\neval\nX\1\0\0\0"
                "1\x85R."),
         "\"__builtin__.eval\""},
        {PICKLE("\x80\x02"
                "cbuiltins\nexec\n."),
         "\"builtins.exec\""},
        {PICKLE("\x80\x02"
                "ctorch._utils\n_rebuild_tensor\n."),
         "_rebuild_tensor\""},
        {PICKLE("\x80\x02"
                "ctorch._utils\n_rebuild_tensor_v2.__globals__\n."),
         "__globals__"},
        {PICKLE("\x80\x02"
                "ctorch\n\n."),
         "\"torch.\""},
        {PICKLE("\x80\x02"
                "c\n\n."),
         "\".\""},
        {PICKLE("\x80\x02"
                "c\xFF\n\n."),
         "not text"},
        {PICKLE("\x80\x02"
                "cos\nsystem"),
         "cut off"},
        {PICKLE("\x80\x04\x95\0\0\0\0\0\0\0\0."), "protocol"},
        {PICKLE("\x80\x02\x8C\2os\x8C\6system\x93."), "SHORT_BINUNICODE"},
        {PICKLE("\x80\x02\x93."), "STACK_GLOBAL"},
        {PICKLE("(S'exit'\nios\nsystem\n."), "STRING"},
        {PICKLE("(ios\nsystem\n."), "INST"},
        {PICKLE("(o."), "OBJ"},
        {PICKLE("\x80\x02})\x81."), "NEWOBJ"},
        {PICKLE("\x80\x02\x82\1."), "EXT1"},
        {PICKLE("\x80\x02Paway\n."), "PERSID"},
        {PICKLE("\x80\x02\xFF."), "0xFF (?)"},
        {PICKLE("\x80\x02]."), "EMPTY_LIST"},
        {PICKLE("\x80\x02}0."), "POP"},
        {PICKLE("\x80\x02}2."), "DUP"},
        /* calls, attributes and items of what is nothing of the kind */
        {PICKLE("\x80\x02R."), "a call"},
        {PICKLE("\x80\x02)R."), "a call"},
        {PICKLE("\x80\x02})R."), "a call"},
        {PICKLE("\x80\x02"
                "ccollections\nOrderedDict\n}R."),
         "a call"},
        {PICKLE("\x80\x02}}b."), "attributes"},
        {PICKLE("\x80\x02"
                "ccollections\nOrderedDict\n)RNb."),
         "attributes"},
        {PICKLE("\x80\x02"
                "ccollections\nOrderedDict\n}b."),
         "attributes"},
        {PICKLE("\x80\x02"
                "b."),
         "attributes"},
        {PICKLE("\x80\x02Q."), "five values"},
        {PICKLE("\x80\x02)Q."), "five values"},
        {PICKLE("\x80\x02NQ."), "five values"},
        {PICKLE("\x80\x02(NNNNNtQ."), "wrong values"},
        {PICKLE("\x80\x02}NNs."), "not text"},
        {PICKLE("\x80\x02}K\1Ns."), "not text"},
        {PICKLE("\x80\x02NX\1\0\0\0aNs."), "no dictionary"},
        {PICKLE("\x80\x02X\1\0\0\0aNs."), "too few"},
        {PICKLE("\x80\x02s."), "too few"},
        {PICKLE("\x80\x02u."), "no mark"},
        {PICKLE("\x80\x02(u."), "too few"},
        {PICKLE("\x80\x02}(Nu."), "too few"},
        {PICKLE("\x80\x02N(X\1\0\0\0aNu."), "no dictionary"},
        {PICKLE("\x80\x02((X\1\0\0\0aNu."), "no dictionary"},
        {PICKLE("\x80\x02}X\1\0\0\0a(Ns."), "too few"},
        {PICKLE("\x80\x02t."), "no mark"},
        {PICKLE("\x80\x02\x85."), "too few"},
        {PICKLE("\x80\x02N\x86."), "too few"},
        {PICKLE("\x80\x02(\x85."), "too few"},
        {PICKLE("\x80\x02NN\x87."), "too few"},
        /* the memo */
        {PICKLE("\x80\x02h\0."), "memo"},
        {PICKLE("\x80\x02q\0."), "memo"},
        {PICKLE("\x80\x02}q\1."), "memo"},
        {PICKLE("\x80\x02}r\xFF\xFF\xFF\xFF."), "memo"},
        {PICKLE("\x80\x02}q\0h\1."), "memo"},
        {PICKLE("\x80\x02}q\0j\0\0\0\1."), "memo"},
        {PICKLE("\x80\x02(q\0."), "memo"},
        /* a dictionary within itself, a tuple of it within it */
        {PICKLE("\x80\x02}q\0X\1\0\0\0ah\0s."), "else than tensors"},
        {PICKLE("\x80\x02}q\0X\1\0\0\0ah\0\x85q\1s."), "else than tensors"},
        {PICKLE("\x80\x02}X\1\0\0\0aNs."), "else than tensors"},
        /* ends */
        {PICKLE(""), "too early"},
        {PICKLE("\x80"), "too early"},
        {PICKLE("\x80\x02"), "too early"},
        {PICKLE("\x80\x02}"), "too early"},
        {PICKLE("\x80\x02."), "not hold a dictionary"},
        {PICKLE("\x80\x02N."), "not hold a dictionary"},
        {PICKLE("\x80\x02)."), "not hold a dictionary"},
        {PICKLE("\x80\x02}}."), "not hold a dictionary"},
        {PICKLE("\x80\x02(}."), "not hold a dictionary"},
        {PICKLE("\x80\x02}.."), "after its end"},
        {PICKLE("\x80\x02}X\xFF\xFF\xFF\xFF"
                "a."),
         "too early"},
        {PICKLE("\x80\x02}X\1\0"), "too early"},
        {PICKLE("\x80\x02\x8A\xFF"), "64 bits"},
        {PICKLE("\x80\x02\x8A\x09"
                "123456789."),
         "64 bits"},
        {PICKLE("\x80\x02\x8A\x08"
                "1234567"),
         "too early"},
    };
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        char what[32];
        snprintf(what, sizeof what, "pickle %d", (int)i);
        refuses_pickle(what, bad[i].pickle, bad[i].n, bad[i].says);
    }
}

/* Pickles that would grow without end. */
static void bounds_memory(void **state)
{
    (void)state;
    static const struct {
        const char *head, *repeated;
        size_t n_repeated;
    } bad[] = {
        {"\x80\x02", "(", 1},
        {"\x80\x02", "}", 1},
        {"\x80\x02", ")\x85", 2},
        {"\x80\x02}", "\x85", 1},
        {"\x80\x02}q", "\0h", 2},
        {"\x80\x02}X", "\1\0\0\0ah\0sX", 9},
        {"\x80\x02}", "X\0\0\0\0Ns", 7},
        {"\x80\x02}", "(NNNNNNNNt", 10},
        {"\x80\x02", "((((t", 5},
    };
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        struct ink_string pickle = {0};
        ink_string_puts(&pickle, bad[i].head);
        while (pickle.length < 16000000) {
            ink_string_append(&pickle, bad[i].repeated, bad[i].n_repeated);
        }
        ink_string_puts(&pickle, ".");
        refuses_pickle("a large pickle", pickle.data, pickle.length, "");
        ink_string_free(&pickle);
    }
    struct ink_string pickle = {0};
    put_bytes(&pickle, '}', (16 << 20) + 1);
    refuses_pickle("a pickle over the limit", pickle.data, pickle.length, "too long");
    ink_string_free(&pickle);
}

/* ---------------------------------------------------------------------------------- the archive */

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
            struct ink_mapping file = {(const unsigned char *)good.data, good.length, NULL};
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
        cmocka_unit_test(refuses_tensors),
        cmocka_unit_test(executes_nothing),
        cmocka_unit_test(bounds_memory),
        cmocka_unit_test(refuses_archives),
        cmocka_unit_test(refuses_entry_names),
        cmocka_unit_test(refuses_zip_numbers),
        cmocka_unit_test(refuses_overlaps),
        cmocka_unit_test(refuses_zip64_nonsense),
        cmocka_unit_test(survives_truncation_and_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
