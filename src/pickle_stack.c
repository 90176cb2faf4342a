/* The pickle machine's memory: its stack and arrays, and reading from the pickle. */
#include "pickle_internal.h"

#include <string.h>

int ink_pickle_reject(const struct ink_pickle_machine *m, const char *why)
{
    return ink_fail(m->error, INK_ERROR_INPUT, "%s: bad pickle: %s (byte %llu of data.pkl)",
                    m->path, ink_text(why), (unsigned long long)m->opcode_at);
}

/* ------------------------------------------------------------------------------------- storage */

int ink_pickle_append(const struct ink_pickle_machine *m, struct ink_pickle_array *a,
                      const void *element, size_t size, size_t limit)
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

struct ink_pickle_value *ink_pickle_top(const struct ink_pickle_machine *m)
{
    return (struct ink_pickle_value *)m->stack.data + m->stack.n - 1;
}

int ink_pickle_push(struct ink_pickle_machine *m, struct ink_pickle_value v)
{
    return ink_pickle_append(m, &m->stack, &v, sizeof v, PICKLE_MAX_STACK);
}

int ink_pickle_push_integer(struct ink_pickle_machine *m, enum ink_pickle_kind kind, int64_t i)
{
    return ink_pickle_push(m,
                           (struct ink_pickle_value){.kind = (unsigned char)kind, .u.integer = i});
}

int ink_pickle_push_dictionary(struct ink_pickle_machine *m, bool is_ordered)
{
    return ink_pickle_push(m, (struct ink_pickle_value){.kind = PICKLE_DICT,
                                                        .is_ordered = is_ordered,
                                                        .u.at = m->n_dictionaries++});
}

/* Are there n values above the latest mark? */
bool ink_pickle_has_values(const struct ink_pickle_machine *m, size_t n)
{
    if (m->stack.n < n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (ink_pickle_top(m)[-(ptrdiff_t)i].kind == PICKLE_MARK) {
            return false;
        }
    }
    return true;
}

/* Number of values above the latest mark, in *n. */
int ink_pickle_find_mark(const struct ink_pickle_machine *m, size_t *n)
{
    for (*n = 0; *n < m->stack.n; (*n)++) {
        if (ink_pickle_top(m)[-(ptrdiff_t)*n].kind == PICKLE_MARK) {
            return INK_OK;
        }
    }
    return ink_pickle_reject(m, "there is no mark on the stack");
}

const struct ink_pickle_value *ink_pickle_tuple_values(const struct ink_pickle_machine *m,
                                                       const struct ink_pickle_value *tuple)
{
    return tuple->n ? (const struct ink_pickle_value *)m->tuples.data + tuple->u.at : NULL;
}

/* ------------------------------------------------------------------------------------- reading */

/* The next n bytes; NULL at the end. */
const unsigned char *ink_pickle_take(struct ink_pickle_machine *m, size_t n)
{
    if (n > m->n - m->at) {
        ink_pickle_reject(m, "it ends too early");
        return NULL;
    }
    m->at += n;
    return m->p + m->at - n;
}

int ink_pickle_push_string(struct ink_pickle_machine *m)
{
    const unsigned char *length = ink_pickle_take(m, 4);
    if (!length) {
        return INK_ERROR_INPUT;
    }
    uint32_t n = ink_read_u32(length);
    const unsigned char *s = ink_pickle_take(m, n);
    if (!s) {
        return INK_ERROR_INPUT;
    }
    return ink_pickle_push(
        m, (struct ink_pickle_value){.kind = PICKLE_STRING, .n = n, .u.string = (const char *)s});
}

/* An integer of n bytes, signed or not. */
int ink_pickle_push_bytes(struct ink_pickle_machine *m, size_t n, bool is_signed)
{
    const unsigned char *p = ink_pickle_take(m, n);
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
    return ink_pickle_push_integer(m, PICKLE_INTEGER, value);
}

int ink_pickle_push_long(struct ink_pickle_machine *m)
{
    const unsigned char *n = ink_pickle_take(m, 1);
    if (!n) {
        return INK_ERROR_INPUT;
    }
    return *n > 8 ? ink_pickle_reject(m, "an integer of more than 64 bits")
                  : ink_pickle_push_bytes(m, *n, true);
}
