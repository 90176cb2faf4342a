/* Malicious pickles in files of torch.save: nothing is executed, memory stays bounded. */
#include "bad_torch.h"

#define NAME "check_bad_pickle.bin"

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

static const struct {
    const char *pickle;
    size_t n;
    const char *says;
} malice[] = {
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

static void executes_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < INK_COUNT(malice); i++) {
        char what[32];
        snprintf(what, sizeof what, "pickle %d", (int)i);
        refuses_pickle(what, malice[i].pickle, malice[i].n, malice[i].says);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_tensors),
        cmocka_unit_test(executes_nothing),
        cmocka_unit_test(bounds_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
