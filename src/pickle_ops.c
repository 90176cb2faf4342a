/* What the opcodes of a state dict do. */
#include "pickle_internal.h"

#include "utf8.h"

#include <string.h>

static bool is_text(const struct ink_pickle_value *v, const char *text)
{
    return v->kind == PICKLE_STRING && v->n == strlen(text) && memcmp(v->u.string, text, v->n) == 0;
}

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
static const char *take_line(struct ink_pickle_machine *m, char *line, size_t size)
{
    size_t n = 0;
    while (n < size && m->at + n < m->n && m->p[m->at + n] != '\n') {
        n++;
    }
    const char *p = (const char *)m->p + m->at;
    if (n == size || m->at + n == m->n || memchr(p, 0, n) || ink_utf8_valid_prefix(p, n) != n) {
        ink_pickle_reject(m, "a name is cut off, too long or not text");
        return NULL;
    }
    memcpy(line, p, n);
    line[n] = '\0';
    m->at += n + 1;
    return line;
}

int ink_pickle_push_global(struct ink_pickle_machine *m)
{
    char module[128], name[128];
    if (!take_line(m, module, sizeof module) || !take_line(m, name, sizeof name)) {
        return INK_ERROR_INPUT;
    }
    for (size_t i = 0; i < INK_COUNT(globals); i++) {
        if (strcmp(module, globals[i].module) == 0 && strcmp(name, globals[i].name) == 0) {
            return ink_pickle_push(
                m, (struct ink_pickle_value){.kind = PICKLE_GLOBAL, .u.global = (int)i});
        }
    }
    return ink_fail(m->error, INK_ERROR_INPUT,
                    "%s: the pickle asks for \"%s.%s\"; only float32, float16 and bfloat16 tensors "
                    "in a dictionary can be read, and no code is ever executed",
                    m->path, module, name);
}

/* ("storage", storage type, key, location, length) becomes a storage. */
int ink_pickle_push_storage(struct ink_pickle_machine *m)
{
    static const enum ink_type types[] = {[FLOAT_STORAGE] = INK_TYPE_F32,
                                          [HALF_STORAGE] = INK_TYPE_F16,
                                          [BFLOAT16_STORAGE] = INK_TYPE_BF16};
    if (!ink_pickle_has_values(m, 1) || ink_pickle_top(m)->kind != PICKLE_TUPLE ||
        ink_pickle_top(m)->n != 5) {
        return ink_pickle_reject(m, "a storage is not described by five values");
    }
    const struct ink_pickle_value *id = ink_pickle_tuple_values(m, ink_pickle_top(m));
    if (!is_text(&id[0], "storage") || id[1].kind != PICKLE_GLOBAL ||
        id[1].u.global > BFLOAT16_STORAGE || id[2].kind != PICKLE_STRING ||
        id[3].kind != PICKLE_STRING || id[4].kind != PICKLE_INTEGER || id[4].u.integer < 0) {
        return ink_pickle_reject(m, "a storage's description has wrong values");
    }
    struct ink_pickle_storage s = {types[id[1].u.global], id[2], (uint64_t)id[4].u.integer};
    m->stack.n--;
    int status = ink_pickle_append(m, &m->storages, &s, sizeof s, PICKLE_MAX_ITEMS);
    return status == INK_OK
               ? ink_pickle_push(m, (struct ink_pickle_value){.kind = PICKLE_STORAGE,
                                                              .u.at = m->storages.n - 1})
               : status;
}

/* shape and stride are tuples of integers of the same length. */
static bool read_dims(const struct ink_pickle_machine *m, struct ink_pickle_tensor *t,
                      const struct ink_pickle_value *shape, const struct ink_pickle_value *stride)
{
    if (shape->kind != PICKLE_TUPLE || stride->kind != PICKLE_TUPLE || shape->n != stride->n) {
        return false;
    }
    const struct ink_pickle_value *dims = ink_pickle_tuple_values(m, shape);
    const struct ink_pickle_value *steps = ink_pickle_tuple_values(m, stride);
    uint64_t expected = 1;
    t->n_dims = (int)shape->n;
    t->is_contiguous = shape->n <= INK_MAX_DIMS;
    for (size_t i = shape->n; i-- > 0;) {
        if (dims[i].kind != PICKLE_INTEGER || dims[i].u.integer < 0 ||
            steps[i].kind != PICKLE_INTEGER) {
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
static int push_tensor(struct ink_pickle_machine *m, const struct ink_pickle_value *args,
                       size_t n_args)
{
    struct ink_pickle_tensor t = {0};
    if (n_args != 6 || args[0].kind != PICKLE_STORAGE || args[1].kind != PICKLE_INTEGER ||
        args[1].u.integer < 0 || args[4].kind != PICKLE_BOOL || args[5].kind != PICKLE_DICT ||
        !read_dims(m, &t, &args[2], &args[3])) {
        return ink_pickle_reject(m, "a tensor's description has wrong values");
    }
    const struct ink_pickle_storage *s =
        (const struct ink_pickle_storage *)m->storages.data + args[0].u.at;
    t.storage_key = s->key.u.string;
    t.n_storage_key = s->key.n;
    t.storage_values = s->n_values;
    t.type = s->type;
    t.offset = (uint64_t)args[1].u.integer;
    int status = ink_pickle_append(m, &m->tensors, &t, sizeof t, INK_MAX_TENSORS);
    return status == INK_OK
               ? ink_pickle_push(
                     m, (struct ink_pickle_value){.kind = PICKLE_TENSOR, .u.at = m->tensors.n - 1})
               : status;
}

/* name, arguments: what the call would give. */
int ink_pickle_reduce(struct ink_pickle_machine *m)
{
    if (!ink_pickle_has_values(m, 2) || ink_pickle_top(m)->kind != PICKLE_TUPLE ||
        ink_pickle_top(m)[-1].kind != PICKLE_GLOBAL) {
        return ink_pickle_reject(m, "a call without a known name and a tuple");
    }
    struct ink_pickle_value tuple = *ink_pickle_top(m);
    int global = ink_pickle_top(m)[-1].u.global;
    const struct ink_pickle_value *args = ink_pickle_tuple_values(m, &tuple);
    m->stack.n -= 2;
    if (global == ORDERED_DICT && tuple.n == 0) {
        return ink_pickle_push_dictionary(m, true);
    }
    if (global == REBUILD_TENSOR) {
        return push_tensor(m, args, tuple.n);
    }
    if (global == REBUILD_PARAMETER && tuple.n == 3 && args[0].kind == PICKLE_TENSOR) {
        return ink_pickle_push(m, args[0]);
    }
    return ink_pickle_reject(m, "a call with wrong arguments");
}

/* ---------------------------------------------------------------------------- tuples, items, memo
 */

/* The n values on top become a tuple. */
int ink_pickle_make_tuple(struct ink_pickle_machine *m, size_t n)
{
    if (!ink_pickle_has_values(m, n)) {
        return ink_pickle_reject(m, "too few values on the stack");
    }
    struct ink_pickle_value tuple = {.kind = PICKLE_TUPLE, .n = (uint32_t)n, .u.at = m->tuples.n};
    for (size_t i = n; i-- > 0;) {
        const struct ink_pickle_value *v = ink_pickle_top(m) - i;
        int status = ink_pickle_append(m, &m->tuples, v, sizeof *v, PICKLE_MAX_TUPLE_VALUES);
        if (status != INK_OK) {
            return status;
        }
    }
    m->stack.n -= n;
    return ink_pickle_push(m, tuple);
}

int ink_pickle_make_marked_tuple(struct ink_pickle_machine *m)
{
    size_t n;
    int status = ink_pickle_find_mark(m, &n);
    if (status == INK_OK) {
        status = ink_pickle_make_tuple(m, n);
    }
    if (status == INK_OK) { /* over the mark */
        ink_pickle_top(m)[-1] = *ink_pickle_top(m);
        m->stack.n--;
    }
    return status;
}

/* Below the n values on top (and n_marks marks) is a dictionary: add them as keys and values. */
int ink_pickle_set_items(struct ink_pickle_machine *m, size_t n, size_t n_marks)
{
    if (n % 2 != 0 || m->stack.n < n + n_marks + 1) {
        return ink_pickle_reject(m, "too few values on the stack");
    }
    const struct ink_pickle_value *values = ink_pickle_top(m) + 1 - n;
    const struct ink_pickle_value *dictionary = values - n_marks - 1;
    if (dictionary->kind != PICKLE_DICT) {
        return ink_pickle_reject(m, "items for something that is no dictionary");
    }
    for (size_t i = 0; i < n; i += 2) {
        if (values[i].kind != PICKLE_STRING) {
            return ink_pickle_reject(m, "a dictionary's key is not text");
        }
        struct ink_pickle_item item = {dictionary->u.at, values[i], values[i + 1]};
        int status = ink_pickle_append(m, &m->items, &item, sizeof item, PICKLE_MAX_ITEMS);
        if (status != INK_OK) {
            return status;
        }
    }
    m->stack.n -= n + n_marks;
    return INK_OK;
}

int ink_pickle_set_marked_items(struct ink_pickle_machine *m)
{
    size_t n;
    int status = ink_pickle_find_mark(m, &n);
    return status == INK_OK ? ink_pickle_set_items(m, n, 1) : status;
}

/* An OrderedDict's attributes (torch keeps version numbers there) mean nothing here. */
int ink_pickle_build(struct ink_pickle_machine *m)
{
    if (!ink_pickle_has_values(m, 2) || ink_pickle_top(m)->kind != PICKLE_DICT ||
        ink_pickle_top(m)[-1].kind != PICKLE_DICT || !ink_pickle_top(m)[-1].is_ordered) {
        return ink_pickle_reject(m, "attributes for something else than an OrderedDict");
    }
    m->stack.n--;
    return INK_OK;
}

/* Pickles number their memo entries in order, so a gap is no pickle's doing. */
int ink_pickle_put(struct ink_pickle_machine *m, size_t n_bytes)
{
    const unsigned char *p = ink_pickle_take(m, n_bytes);
    if (!p) {
        return INK_ERROR_INPUT;
    }
    size_t i = n_bytes == 1 ? *p : ink_read_u32(p);
    if (!ink_pickle_has_values(m, 1) || i > m->memo.n) {
        return ink_pickle_reject(m, "a memo entry out of order, or of nothing");
    }
    if (i < m->memo.n) {
        ((struct ink_pickle_value *)m->memo.data)[i] = *ink_pickle_top(m);
        return INK_OK;
    }
    return ink_pickle_append(m, &m->memo, ink_pickle_top(m), sizeof *ink_pickle_top(m),
                             PICKLE_MAX_MEMO);
}

int ink_pickle_get(struct ink_pickle_machine *m, size_t n_bytes)
{
    const unsigned char *p = ink_pickle_take(m, n_bytes);
    if (!p) {
        return INK_ERROR_INPUT;
    }
    size_t i = n_bytes == 1 ? *p : ink_read_u32(p);
    return i < m->memo.n ? ink_pickle_push(m, ((const struct ink_pickle_value *)m->memo.data)[i])
                         : ink_pickle_reject(m, "a memo entry that does not exist");
}
