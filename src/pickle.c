/* Opcodes: https://github.com/python/cpython/blob/main/Lib/pickletools.py (protocol 2). */
#include "pickle_internal.h"

static int check_protocol(struct ink_pickle_machine *m)
{
    const unsigned char *version = ink_pickle_take(m, 1);
    if (!version) {
        return INK_ERROR_INPUT;
    }
    return *version == 2 ? INK_OK : ink_pickle_reject(m, "its protocol is not 2");
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

static int execute(struct ink_pickle_machine *m, int opcode)
{
    switch (opcode) {
    case 0x80:
        return check_protocol(m);
    case '(':
        return ink_pickle_push(m, (struct ink_pickle_value){.kind = PICKLE_MARK});
    case '}':
        return ink_pickle_push_dictionary(m, false);
    case 'N':
        return ink_pickle_push(m, (struct ink_pickle_value){.kind = PICKLE_NONE});
    case 0x88:
        return ink_pickle_push_integer(m, PICKLE_BOOL, 1);
    case 0x89:
        return ink_pickle_push_integer(m, PICKLE_BOOL, 0);
    case 'J':
        return ink_pickle_push_bytes(m, 4, true);
    case 'K':
        return ink_pickle_push_bytes(m, 1, false);
    case 'M':
        return ink_pickle_push_bytes(m, 2, false);
    case 0x8A:
        return ink_pickle_push_long(m);
    case 'X':
        return ink_pickle_push_string(m);
    case 'c':
        return ink_pickle_push_global(m);
    case 'Q':
        return ink_pickle_push_storage(m);
    case 'R':
        return ink_pickle_reduce(m);
    case 'b':
        return ink_pickle_build(m);
    case ')':
        return ink_pickle_make_tuple(m, 0);
    case 0x85:
        return ink_pickle_make_tuple(m, 1);
    case 0x86:
        return ink_pickle_make_tuple(m, 2);
    case 0x87:
        return ink_pickle_make_tuple(m, 3);
    case 't':
        return ink_pickle_make_marked_tuple(m);
    case 's':
        return ink_pickle_has_values(m, 3) ? ink_pickle_set_items(m, 2, 0)
                                           : ink_pickle_reject(m, "too few values on the stack");
    case 'u':
        return ink_pickle_set_marked_items(m);
    case 'q':
        return ink_pickle_put(m, 1);
    case 'r':
        return ink_pickle_put(m, 4);
    case 'h':
        return ink_pickle_get(m, 1);
    case 'j':
        return ink_pickle_get(m, 4);
    default:
        return ink_fail(m->error, INK_ERROR_INPUT,
                        "%s: bad pickle: opcode 0x%02X (%s) is no part of a plain dictionary of "
                        "tensors and is refused (byte %llu of data.pkl)",
                        m->path, (unsigned)opcode, name_of_opcode(opcode),
                        (unsigned long long)m->opcode_at);
    }
}

static int run(struct ink_pickle_machine *m)
{
    for (;;) {
        m->opcode_at = m->at;
        const unsigned char *opcode = ink_pickle_take(m, 1);
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
        return ink_pickle_reject(m, "there are bytes after its end");
    }
    return m->stack.n == 1 && ink_pickle_top(m)->kind == PICKLE_DICT
               ? INK_OK
               : ink_pickle_reject(m, "it does not hold a dictionary");
}

static int visit_tensors(const struct ink_pickle_machine *m, ink_pickle_visitor *visit,
                         void *context)
{
    const struct ink_pickle_item *items = m->items.data;
    for (size_t i = 0; i < m->items.n; i++) {
        if (items[i].dictionary != ink_pickle_top(m)->u.at) {
            continue;
        }
        if (items[i].value.kind != PICKLE_TENSOR) {
            return ink_pickle_reject(m, "the dictionary holds something else than tensors");
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
    if (n > PICKLE_MAX_BYTES) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: data.pkl is too long (%llu bytes, limit %d)",
                        path, (unsigned long long)n, PICKLE_MAX_BYTES);
    }
    struct ink_pickle_machine m = {.p = data, .n = n, .path = path, .error = error};
    int status = run(&m);
    if (status == INK_OK) {
        status = visit_tensors(&m, visit, context);
    }
    struct ink_pickle_array *arrays[] = {&m.stack,    &m.memo,    &m.tuples,
                                         &m.storages, &m.tensors, &m.items};
    for (size_t i = 0; i < INK_COUNT(arrays); i++) {
        ink_free(arrays[i]->data);
    }
    return status;
}
