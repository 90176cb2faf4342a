/* Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py (protocol 2). */
#include "pickle.h"

#include "utf8.h"
#include "weights.h"

#include <string.h>

/* Limits, stated in the messages. A tensor takes about 16 values and 8 memo entries. */
enum {
    max_pickle = 16 << 20,
    max_stack = 65536,
    max_memo = 1 << 20,
    max_tuple_values = 1 << 20,
    max_items = 4 * INK_MAX_TENSORS
};

enum kind { NONE, BOOL, INTEGER, STRING, GLOBAL, TUPLE, DICT, STORAGE, TENSOR, MARK };

/* Something on the stack, in the memo or in a tuple. Plain data: copies are free, nothing refers
 * back, so cycles cannot be made. */
struct value {
    unsigned char kind;
    bool is_ordered; /* DICT: an OrderedDict */
    uint32_t n;      /* STRING, TUPLE: length */
    union {
        int64_t integer;    /* BOOL, INTEGER */
        const char *string; /* STRING */
        int global;         /* GLOBAL: enum global */
        size_t at;          /* TUPLE: first of its values; others: number of the object */
    } u;
};

struct storage {
    enum ink_type type;
    struct value key;
    uint64_t n_values;
};

/* dictionary[key] = value, in the order of the pickle. */
struct item {
    size_t dictionary;
    struct value key, value;
};

/* Growing arrays. */
struct array {
    void *data;
    size_t n, capacity;
};

struct machine {
    const unsigned char *p; /* the pickle [n], read up to `at` */
    size_t n, at;
    size_t opcode_at;
    struct array stack;    /* struct value */
    struct array memo;     /* struct value */
    struct array tuples;   /* struct value: the contents of all tuples */
    struct array storages; /* struct storage */
    struct array tensors;  /* struct ink_pickle_tensor, without name */
    struct array items;    /* struct item */
    size_t n_dictionaries;
    const char *path;
    struct ink_error *error;
};

static int reject(const struct machine *m, const char *why)
{
    return ink_fail(m->error, INK_ERROR_INPUT, "%s: bad pickle: %s (byte %llu of data.pkl)",
                    m->path, ink_text(why), (unsigned long long)m->opcode_at);
}

/* ------------------------------------------------------------------------------------- storage */

static int append(const struct machine *m, struct array *a, const void *element, size_t size,
                  size_t limit)
{
    if (a->n == limit) {
        return ink_fail(m->error, INK_ERROR_INPUT,
                        "%s: bad pickle: more than %llu values at once (byte %llu of data.pkl)",
                        m->path, (unsigned long long)limit, (unsigned long long)m->opcode_at);
    }
    if (a->n == a->capacity) {
        size_t capacity = a->capacity ? 2 * a->capacity : 64;
        void *grown = ink_realloc(a->data, capacity, size);
        if (!grown) {
            return ink_fail_memory(m->error, capacity * size);
        }
        a->data = grown;
        a->capacity = capacity;
    }
    memcpy((char *)a->data + a->n++ * size, element, size);
    return INK_OK;
}

static struct value *top(const struct machine *m)
{
    return (struct value *)m->stack.data + m->stack.n - 1;
}

static int push(struct machine *m, struct value v)
{
    return append(m, &m->stack, &v, sizeof v, max_stack);
}

static int push_integer(struct machine *m, enum kind kind, int64_t i)
{
    return push(m, (struct value){.kind = (unsigned char)kind, .u.integer = i});
}

static int push_dictionary(struct machine *m, bool is_ordered)
{
    return push(
        m, (struct value){.kind = DICT, .is_ordered = is_ordered, .u.at = m->n_dictionaries++});
}

/* Are there n values above the latest mark? */
static bool has_values(const struct machine *m, size_t n)
{
    if (m->stack.n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (top(m)[-(ptrdiff_t)i].kind == MARK) {
            return false;
        }
    }
    return true;
}

/* Number of values above the latest mark, in *n. */
static int find_mark(const struct machine *m, size_t *n)
{
    for (*n = 0; *n < m->stack.n; (*n)++) {
        if (top(m)[-(ptrdiff_t)*n].kind == MARK) {
            return INK_OK;
        }
    }
    return reject(m, "there is no mark on the stack");
}

static bool is_text(const struct value *v, const char *text)
{
    return v->kind == STRING && v->n == strlen(text) && memcmp(v->u.string, text, v->n) == 0;
}

static const struct value *tuple_values(const struct machine *m, const struct value *tuple)
{
    return tuple->n ? (const struct value *)m->tuples.data + tuple->u.at : NULL;
}

/* ------------------------------------------------------------------------------------- reading */

/* The next n bytes; NULL at the end. */
static const unsigned char *take(struct machine *m, size_t n)
{
    if (n > m->n - m->at) {
        reject(m, "it ends too early");
        return NULL;
    }
    m->at += n;
    return m->p + m->at - n;
}

static int push_string(struct machine *m)
{
    const unsigned char *length = take(m, 4);
    if (!length) {
        return INK_ERROR_INPUT;
    }
    uint32_t n = ink_read_u32(length);
    const unsigned char *s = take(m, n);
    if (!s) {
        return INK_ERROR_INPUT;
    }
    return push(m, (struct value){.kind = STRING, .n = n, .u.string = (const char *)s});
}

/* An integer of n bytes, signed or not. */
static int push_bytes(struct machine *m, size_t n, bool is_signed)
{
    const unsigned char *p = take(m, n);
    if (!p) {
        return INK_ERROR_INPUT;
    }
    uint64_t bits = 0;
    for (size_t i = 0; i < n; i++) {
        bits |= (uint64_t)p[i] << (8 * i);
    }
    if (is_signed && n > 0 && p[n - 1] >= 128) {
        bits |= n < 8 ? UINT64_MAX << (8 * n) : 0;
    }
    int64_t value;
    memcpy(&value, &bits, sizeof value);
    return push_integer(m, INTEGER, value);
}

static int push_long(struct machine *m)
{
    const unsigned char *n = take(m, 1);
    if (!n) {
        return INK_ERROR_INPUT;
    }
    return *n > 8 ? reject(m, "an integer of more than 64 bits") : push_bytes(m, *n, true);
}

/* ----------------------------------------------------------------------------------- the names */

enum global {
    FLOAT_STORAGE,
    HALF_STORAGE,
    BFLOAT16_STORAGE,
    ORDERED_DICT,
    REBUILD_TENSOR,
    REBUILD_PARAMETER,
};

static const struct {
    const char *module, *name;
} globals[] = {
    [FLOAT_STORAGE] = {"torch", "FloatStorage"},
    [HALF_STORAGE] = {"torch", "HalfStorage"},
    [BFLOAT16_STORAGE] = {"torch", "BFloat16Storage"},
    [ORDERED_DICT] = {"collections", "OrderedDict"},
    [REBUILD_TENSOR] = {"torch._utils", "_rebuild_tensor_v2"},
    [REBUILD_PARAMETER] = {"torch._utils", "_rebuild_parameter"},
};

/* A line of the pickle as a string; NULL if it is cut off, too long or not text. */
static const char *take_line(struct machine *m, char *line, size_t size)
{
    size_t n = 0;
    while (n < size && m->at + n < m->n && m->p[m->at + n] != '\n') {
        n++;
    }
    const char *p = (const char *)m->p + m->at;
    if (n == size || m->at + n == m->n || memchr(p, 0, n) || ink_utf8_valid_prefix(p, n) != n) {
        reject(m, "a name is cut off, too long or not text");
        return NULL;
    }
    memcpy(line, p, n);
    line[n] = '\0';
    m->at += n + 1;
    return line;
}

static int push_global(struct machine *m)
{
    char module[128], name[128];
    if (!take_line(m, module, sizeof module) || !take_line(m, name, sizeof name)) {
        return INK_ERROR_INPUT;
    }
    for (size_t i = 0; i < INK_COUNT(globals); i++) {
        if (strcmp(module, globals[i].module) == 0 && strcmp(name, globals[i].name) == 0) {
            return push(m, (struct value){.kind = GLOBAL, .u.global = (int)i});
        }
    }
    return ink_fail(m->error, INK_ERROR_INPUT,
                    "%s: the pickle asks for \"%s.%s\"; only float32, float16 and bfloat16 tensors "
                    "in a dictionary can be read, and no code is ever executed",
                    m->path, module, name);
}

/* ("storage", storage type, key, location, length) becomes a storage. */
static int push_storage(struct machine *m)
{
    static const enum ink_type types[] = {[FLOAT_STORAGE] = INK_TYPE_F32,
                                          [HALF_STORAGE] = INK_TYPE_F16,
                                          [BFLOAT16_STORAGE] = INK_TYPE_BF16};
    if (!has_values(m, 1) || top(m)->kind != TUPLE || top(m)->n != 5) {
        return reject(m, "a storage is not described by five values");
    }
    const struct value *id = tuple_values(m, top(m));
    if (!is_text(&id[0], "storage") || id[1].kind != GLOBAL || id[1].u.global > BFLOAT16_STORAGE ||
        id[2].kind != STRING || id[3].kind != STRING || id[4].kind != INTEGER ||
        id[4].u.integer < 0) {
        return reject(m, "a storage's description has wrong values");
    }
    struct storage s = {types[id[1].u.global], id[2], (uint64_t)id[4].u.integer};
    m->stack.n--;
    int status = append(m, &m->storages, &s, sizeof s, max_items);
    return status == INK_OK ? push(m, (struct value){.kind = STORAGE, .u.at = m->storages.n - 1})
                            : status;
}

/* shape and stride are tuples of integers of the same length. */
static bool read_dims(const struct machine *m, struct ink_pickle_tensor *t,
                      const struct value *shape, const struct value *stride)
{
    if (shape->kind != TUPLE || stride->kind != TUPLE || shape->n != stride->n) {
        return false;
    }
    const struct value *dims = tuple_values(m, shape);
    const struct value *steps = tuple_values(m, stride);
    uint64_t expected = 1;
    t->n_dims = (int)shape->n;
    t->is_contiguous = shape->n <= INK_MAX_DIMS;
    for (size_t i = shape->n; i-- > 0;) {
        if (dims[i].kind != INTEGER || dims[i].u.integer < 0 || steps[i].kind != INTEGER) {
            return false;
        }
        if (i < INK_MAX_DIMS) {
            t->shape[i] = dims[i].u.integer;
        }
        /* the stride of a dimension of one element says nothing */
        if (dims[i].u.integer != 1 && (uint64_t)steps[i].u.integer != expected) {
            t->is_contiguous = false;
        }
        if (!ink_mul_u64(&expected, expected, (uint64_t)dims[i].u.integer)) {
            t->is_contiguous = false;
        }
    }
    return true;
}

/* (storage, offset, shape, stride, requires_grad, hooks) becomes a tensor. */
static int push_tensor(struct machine *m, const struct value *args, size_t n_args)
{
    struct ink_pickle_tensor t = {0};
    if (n_args != 6 || args[0].kind != STORAGE || args[1].kind != INTEGER ||
        args[1].u.integer < 0 || args[4].kind != BOOL || args[5].kind != DICT ||
        !read_dims(m, &t, &args[2], &args[3])) {
        return reject(m, "a tensor's description has wrong values");
    }
    const struct storage *s = (const struct storage *)m->storages.data + args[0].u.at;
    t.storage_key = s->key.u.string;
    t.n_storage_key = s->key.n;
    t.storage_values = s->n_values;
    t.type = s->type;
    t.offset = (uint64_t)args[1].u.integer;
    int status = append(m, &m->tensors, &t, sizeof t, INK_MAX_TENSORS);
    return status == INK_OK ? push(m, (struct value){.kind = TENSOR, .u.at = m->tensors.n - 1})
                            : status;
}

/* name, arguments: what the call would give. */
static int reduce(struct machine *m)
{
    if (!has_values(m, 2) || top(m)->kind != TUPLE || top(m)[-1].kind != GLOBAL) {
        return reject(m, "a call without a known name and a tuple");
    }
    struct value tuple = *top(m);
    int global = top(m)[-1].u.global;
    const struct value *args = tuple_values(m, &tuple);
    m->stack.n -= 2;
    if (global == ORDERED_DICT && tuple.n == 0) {
        return push_dictionary(m, true);
    }
    if (global == REBUILD_TENSOR) {
        return push_tensor(m, args, tuple.n);
    }
    if (global == REBUILD_PARAMETER && tuple.n == 3 && args[0].kind == TENSOR) {
        return push(m, args[0]);
    }
    return reject(m, "a call with wrong arguments");
}

/* ---------------------------------------------------------------------------- tuples, items, memo
 */

/* The n values on top become a tuple. */
static int make_tuple(struct machine *m, size_t n)
{
    if (!has_values(m, n)) {
        return reject(m, "too few values on the stack");
    }
    struct value tuple = {.kind = TUPLE, .n = (uint32_t)n, .u.at = m->tuples.n};
    for (size_t i = n; i-- > 0;) {
        const struct value *v = top(m) - i;
        int status = append(m, &m->tuples, v, sizeof *v, max_tuple_values);
        if (status != INK_OK) {
            return status;
        }
    }
    m->stack.n -= n;
    return push(m, tuple);
}

static int make_marked_tuple(struct machine *m)
{
    size_t n;
    int status = find_mark(m, &n);
    if (status == INK_OK) {
        status = make_tuple(m, n);
    }
    if (status == INK_OK) { /* over the mark */
        top(m)[-1] = *top(m);
        m->stack.n--;
    }
    return status;
}

/* Below the n values on top (and n_marks marks) is a dictionary: add them as keys and values. */
static int set_items(struct machine *m, size_t n, size_t n_marks)
{
    if (n % 2 != 0 || m->stack.n < n + n_marks + 1) {
        return reject(m, "too few values on the stack");
    }
    const struct value *values = top(m) + 1 - n;
    const struct value *dictionary = values - n_marks - 1;
    if (dictionary->kind != DICT) {
        return reject(m, "items for something that is no dictionary");
    }
    for (size_t i = 0; i < n; i += 2) {
        if (values[i].kind != STRING) {
            return reject(m, "a dictionary's key is not text");
        }
        struct item item = {dictionary->u.at, values[i], values[i + 1]};
        int status = append(m, &m->items, &item, sizeof item, max_items);
        if (status != INK_OK) {
            return status;
        }
    }
    m->stack.n -= n + n_marks;
    return INK_OK;
}

static int set_marked_items(struct machine *m)
{
    size_t n;
    int status = find_mark(m, &n);
    return status == INK_OK ? set_items(m, n, 1) : status;
}

/* An OrderedDict's attributes (torch keeps version numbers there) mean nothing here. */
static int build(struct machine *m)
{
    if (!has_values(m, 2) || top(m)->kind != DICT || top(m)[-1].kind != DICT ||
        !top(m)[-1].is_ordered) {
        return reject(m, "attributes for something else than an OrderedDict");
    }
    m->stack.n--;
    return INK_OK;
}

/* Pickles number their memo entries in order, so a gap is no pickle's doing. */
static int put(struct machine *m, size_t n_bytes)
{
    const unsigned char *p = take(m, n_bytes);
    if (!p) {
        return INK_ERROR_INPUT;
    }
    size_t i = n_bytes == 1 ? *p : ink_read_u32(p);
    if (!has_values(m, 1) || i > m->memo.n) {
        return reject(m, "a memo entry out of order, or of nothing");
    }
    if (i < m->memo.n) {
        ((struct value *)m->memo.data)[i] = *top(m);
        return INK_OK;
    }
    return append(m, &m->memo, top(m), sizeof *top(m), max_memo);
}

static int get(struct machine *m, size_t n_bytes)
{
    const unsigned char *p = take(m, n_bytes);
    if (!p) {
        return INK_ERROR_INPUT;
    }
    size_t i = n_bytes == 1 ? *p : ink_read_u32(p);
    return i < m->memo.n ? push(m, ((const struct value *)m->memo.data)[i])
                         : reject(m, "a memo entry that does not exist");
}

/* ---------------------------------------------------------------------------------- the machine */

static int check_protocol(struct machine *m)
{
    const unsigned char *version = take(m, 1);
    if (!version) {
        return INK_ERROR_INPUT;
    }
    return *version == 2 ? INK_OK : reject(m, "its protocol is not 2");
}

static const char *name_of_opcode(int opcode)
{
    static const struct {
        unsigned char opcode;
        const char *name;
    } names[] = {
        {'0', "POP"},
        {'1', "POP_MARK"},
        {'2', "DUP"},
        {'F', "FLOAT"},
        {'I', "INT"},
        {'L', "LONG"},
        {'P', "PERSID"},
        {'S', "STRING"},
        {'T', "BINSTRING"},
        {'U', "SHORT_BINSTRING"},
        {'V', "UNICODE"},
        {'a', "APPEND"},
        {'d', "DICT"},
        {'e', "APPENDS"},
        {'g', "GET"},
        {'i', "INST"},
        {'l', "LIST"},
        {'o', "OBJ"},
        {'p', "PUT"},
        {']', "EMPTY_LIST"},
        {'G', "BINFLOAT"},
        {'B', "BINBYTES"},
        {'C', "SHORT_BINBYTES"},
        {0x81, "NEWOBJ"},
        {0x82, "EXT1"},
        {0x83, "EXT2"},
        {0x84, "EXT4"},
        {0x8B, "LONG4"},
        {0x8C, "SHORT_BINUNICODE"},
        {0x8D, "BINUNICODE8"},
        {0x8E, "BINBYTES8"},
        {0x8F, "EMPTY_SET"},
        {0x90, "ADDITEMS"},
        {0x91, "FROZENSET"},
        {0x92, "NEWOBJ_EX"},
        {0x93, "STACK_GLOBAL"},
        {0x94, "MEMOIZE"},
        {0x95, "FRAME"},
        {0x96, "BYTEARRAY8"},
        {0x97, "NEXT_BUFFER"},
        {0x98, "READONLY_BUFFER"},
    };
    for (size_t i = 0; i < INK_COUNT(names); i++) {
        if (names[i].opcode == opcode) {
            return names[i].name;
        }
    }
    return "?";
}

static int execute(struct machine *m, int opcode)
{
    switch (opcode) {
    case 0x80:
        return check_protocol(m);
    case '(':
        return push(m, (struct value){.kind = MARK});
    case '}':
        return push_dictionary(m, false);
    case 'N':
        return push(m, (struct value){.kind = NONE});
    case 0x88:
        return push_integer(m, BOOL, 1);
    case 0x89:
        return push_integer(m, BOOL, 0);
    case 'J':
        return push_bytes(m, 4, true);
    case 'K':
        return push_bytes(m, 1, false);
    case 'M':
        return push_bytes(m, 2, false);
    case 0x8A:
        return push_long(m);
    case 'X':
        return push_string(m);
    case 'c':
        return push_global(m);
    case 'Q':
        return push_storage(m);
    case 'R':
        return reduce(m);
    case 'b':
        return build(m);
    case ')':
        return make_tuple(m, 0);
    case 0x85:
        return make_tuple(m, 1);
    case 0x86:
        return make_tuple(m, 2);
    case 0x87:
        return make_tuple(m, 3);
    case 't':
        return make_marked_tuple(m);
    case 's':
        return has_values(m, 3) ? set_items(m, 2, 0) : reject(m, "too few values on the stack");
    case 'u':
        return set_marked_items(m);
    case 'q':
        return put(m, 1);
    case 'r':
        return put(m, 4);
    case 'h':
        return get(m, 1);
    case 'j':
        return get(m, 4);
    default:
        return ink_fail(m->error, INK_ERROR_INPUT,
                        "%s: bad pickle: opcode 0x%02X (%s) is no part of a plain dictionary of "
                        "tensors and is refused (byte %llu of data.pkl)",
                        m->path, (unsigned)opcode, name_of_opcode(opcode),
                        (unsigned long long)m->opcode_at);
    }
}

static int run(struct machine *m)
{
    for (;;) {
        m->opcode_at = m->at;
        const unsigned char *opcode = take(m, 1);
        if (!opcode) {
            return INK_ERROR_INPUT;
        }
        if (*opcode == '.') {
            break;
        }
        int status = execute(m, *opcode);
        if (status != INK_OK) {
            return status;
        }
    }
    if (m->at != m->n) {
        return reject(m, "there are bytes after its end");
    }
    return m->stack.n == 1 && top(m)->kind == DICT ? INK_OK
                                                   : reject(m, "it does not hold a dictionary");
}

static int visit_tensors(const struct machine *m, ink_pickle_visitor *visit, void *context)
{
    const struct item *items = m->items.data;
    for (size_t i = 0; i < m->items.n; i++) {
        if (items[i].dictionary != top(m)->u.at) {
            continue;
        }
        if (items[i].value.kind != TENSOR) {
            return reject(m, "the dictionary holds something else than tensors");
        }
        struct ink_pickle_tensor t =
            ((const struct ink_pickle_tensor *)m->tensors.data)[items[i].value.u.at];
        t.name = items[i].key.u.string;
        t.n_name = items[i].key.n;
        int status = visit(context, &t, m->error);
        if (status != INK_OK) {
            return status;
        }
    }
    return INK_OK;
}

int ink_pickle_read(const unsigned char *data, size_t n, ink_pickle_visitor *visit, void *context,
                    const char *path, struct ink_error *error)
{
    if (n > max_pickle) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: data.pkl is too long (%llu bytes, limit %d)",
                        path, (unsigned long long)n, max_pickle);
    }
    struct machine m = {.p = data, .n = n, .path = path, .error = error};
    int status = run(&m);
    if (status == INK_OK) {
        status = visit_tensors(&m, visit, context);
    }
    struct array *arrays[] = {&m.stack, &m.memo, &m.tuples, &m.storages, &m.tensors, &m.items};
    for (size_t i = 0; i < INK_COUNT(arrays); i++) {
        ink_free(arrays[i]->data);
    }
    return status;
}
