/* The prefix cache against a list of texts that is as simple as it can be: the same is found, the
 * same is forgotten, and memory stays below what was said. */
#include "support.h"

#include "../src/serve/prefix.h"

enum { BLOCK_BYTES = 96, MOST_BLOCKS = 64, DEPTH = 6, N_VARIANTS = 3, N_WORDS = 3 };

static uint32_t random_state;

static int random_below(int n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (int)((random_state >> 8) % (uint32_t)n);
}

/* ------------------------------------------------------------------------- the reference model */

/* A block is named by its path: the variant, and one word for each block up to it. */
struct path {
    int variant, n;
    int words[DEPTH];
};

struct known {
    struct path path;
    uint64_t used; /* by a clock of operations */
    unsigned char fill;
};

struct reference {
    struct known blocks[MOST_BLOCKS];
    int n, most;
    uint64_t clock;
};

static bool is_same(const struct path *a, const struct path *b, int n)
{
    return a->variant == b->variant &&
           memcmp(a->words, b->words, (size_t)n * sizeof *a->words) == 0;
}

static struct known *look_up(struct reference *r, const struct path *path)
{
    for (int i = 0; i < r->n; i++) {
        if (r->blocks[i].path.n == path->n && is_same(&r->blocks[i].path, path, path->n)) {
            return &r->blocks[i];
        }
    }
    return NULL;
}

static bool has_children(const struct reference *r, const struct known *k)
{
    for (int i = 0; i < r->n; i++) {
        const struct path *p = &r->blocks[i].path;
        if (p->n == k->path.n + 1 && is_same(p, &k->path, k->path.n)) {
            return true;
        }
    }
    return false;
}

/* Where the block of `path` is to go; NULL: nowhere. */
static struct known *make_room(struct reference *r, const struct path *path)
{
    struct known *oldest = NULL;
    if (r->n < r->most) {
        return &r->blocks[r->n++];
    }
    for (int i = 0; i < r->n; i++) {
        struct known *k = &r->blocks[i];
        bool is_parent = k->path.n == path->n - 1 && is_same(&k->path, path, k->path.n);
        if (!is_parent && !has_children(r, k) && (!oldest || k->used < oldest->used)) {
            oldest = k;
        }
    }
    return oldest;
}

/* -------------------------------------------------------------------------------- both at work */

static void spell(int32_t *tokens, int word)
{
    for (int i = 0; i < INK_BLOCK; i++) {
        tokens[i] = word * 1000 + i;
    }
    tokens[INK_BLOCK - 1] = word == 1 ? -7 : tokens[INK_BLOCK - 1];
}

static void assert_filled(const unsigned char *data, unsigned char fill)
{
    for (int i = 0; i < BLOCK_BYTES; i++) {
        assert_int_equal(data[i], fill);
    }
}

static uint64_t bytes_for(int n_blocks)
{
    struct ink_error error = {0};
    for (uint64_t most = 1;; most += 8) {
        struct ink_prefix *p;
        struct ink_prefix_place place;
        int32_t tokens[INK_BLOCK];
        int n = 0;
        assert_ok(ink_prefix_open(&p, most, BLOCK_BYTES, &error));
        place = ink_prefix_begin(0);
        for (spell(tokens, 0); n < n_blocks && ink_prefix_add(p, &place, tokens); n++) {
        }
        ink_prefix_close(p);
        if (n == n_blocks) {
            return most;
        }
    }
}

/* Walk along a text; what is not there is added, or not. */
static void use_text(struct ink_prefix *p, struct reference *r, const struct path *text, bool adds)
{
    struct ink_prefix_place place = ink_prefix_begin(text->variant);
    struct path path = *text;
    int32_t tokens[INK_BLOCK];
    for (path.n = 1; path.n <= text->n; path.n++) {
        struct ink_prefix_place next = place;
        spell(tokens, text->words[path.n - 1]);
        const void *data = ink_prefix_find(p, &next, tokens);
        struct known *k = look_up(r, &path);
        assert_int_equal(data != NULL, k != NULL);
        if (k) {
            assert_filled(data, k->fill);
            k->used = ++r->clock;
            place = next;
            continue;
        }
        assert_true(next.node == 0);
        if (!adds) {
            return;
        }
        void *room = ink_prefix_add(p, &place, tokens);
        k = make_room(r, &path);
        assert_int_equal(room != NULL, k != NULL);
        if (!k) {
            assert_true(place.node == 0);
            assert_null(ink_prefix_find(p, &place, tokens));
            assert_null(ink_prefix_add(p, &place, tokens));
            return;
        }
        *k = (struct known){path, ++r->clock, (unsigned char)random_below(256)};
        memset(room, k->fill, BLOCK_BYTES);
    }
}

static void compare(int capacity, int n_operations)
{
    static struct reference r;
    struct ink_error error = {0};
    struct ink_prefix *p;
    uint64_t most = capacity > 0 ? bytes_for(capacity) : 0;
    r = (struct reference){.most = capacity};
    assert_ok(ink_prefix_open(&p, most, BLOCK_BYTES, &error));
    assert_true(ink_prefix_capacity(p) == most);
    for (int i = 0; i < n_operations; i++) {
        struct path text = {.variant = random_below(N_VARIANTS), .n = 1 + random_below(DEPTH)};
        for (int w = 0; w < text.n; w++) {
            text.words[w] = random_below(N_WORDS);
        }
        use_text(p, &r, &text, random_below(3) > 0);
        assert_true(capacity == 0 || ink_prefix_bytes(p) <= most);
    }
    ink_prefix_close(p);
}

static void same_as_a_list(void **state)
{
    (void)state;
    static const int capacities[] = {0, 1, 2, 3, 5, 6, 7, 16, 40, MOST_BLOCKS};
    for (size_t i = 0; i < INK_COUNT(capacities); i++) {
        random_state = (uint32_t)i;
        compare(capacities[i], is_emulated() ? 300 : 4000);
    }
}

/* Places are kept while others add and forget: what they name is found, or nothing is. */
static void old_places(void **state)
{
    (void)state;
    enum { KEPT = 50 };
    struct {
        struct ink_prefix_place place;
        struct path path; /* of the block before it */
    } kept[KEPT] = {0};
    static struct reference r;
    struct ink_error error = {0};
    struct ink_prefix *p;
    int32_t tokens[INK_BLOCK];
    int n_stale = 0, n_good = 0;
    random_state = 5;
    r = (struct reference){.most = 12};
    assert_ok(ink_prefix_open(&p, bytes_for(12), BLOCK_BYTES, &error));
    for (int i = 0; i < 20000; i++) {
        struct path text = {.variant = random_below(2), .n = 1 + random_below(4)};
        for (int w = 0; w < text.n; w++) {
            text.words[w] = random_below(N_WORDS);
        }
        use_text(p, &r, &text, true);
        int at = random_below(KEPT);
        struct ink_prefix_place place = ink_prefix_begin(text.variant);
        for (int w = 0; w < text.n && place.node; w++) {
            spell(tokens, text.words[w]);
            ink_prefix_find(p, &place, tokens);
            struct path path = text;
            path.n = w + 1;
            struct known *k = look_up(&r, &path);
            if (k) {
                k->used = ++r.clock;
            }
        }
        if (place.node) {
            kept[at].place = place;
            kept[at].path = text;
        }
        at = random_below(KEPT);
        if (kept[at].path.n == 0) {
            continue;
        }
        /* Not where it is: the block may have been forgotten and added again. */
        struct path path = kept[at].path;
        place = kept[at].place;
        path.words[path.n++] = 2;
        spell(tokens, 2);
        const void *data = ink_prefix_find(p, &place, tokens);
        struct known *k = look_up(&r, &path);
        if (data) {
            assert_non_null(k);
            assert_filled(data, k->fill);
            k->used = ++r.clock;
            n_good++;
        } else {
            place = kept[at].place;
            n_stale++;
            if (!look_up(&r, &kept[at].path)) { /* nowhere: nothing is added either */
                assert_null(ink_prefix_add(p, &place, tokens));
                assert_true(place.node == 0);
            }
        }
    }
    assert_true(n_stale > 100 && n_good > 100);
    ink_prefix_close(p);
}

static void variants_share_nothing(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_prefix *p;
    int32_t tokens[INK_BLOCK];
    spell(tokens, 0);
    assert_ok(ink_prefix_open(&p, 1 << 20, BLOCK_BYTES, &error));
    for (int variant = 0; variant < 100; variant++) {
        struct ink_prefix_place place = ink_prefix_begin(variant);
        assert_null(ink_prefix_find(p, &place, tokens));
        place = ink_prefix_begin(variant);
        memset(ink_prefix_add(p, &place, tokens), variant, BLOCK_BYTES);
    }
    for (int variant = 0; variant < 100; variant++) {
        struct ink_prefix_place place = ink_prefix_begin(variant);
        assert_filled(ink_prefix_find(p, &place, tokens), (unsigned char)variant);
    }
    ink_prefix_close(p);
}

/* Less than a block's memory is a cache that keeps nothing; no allocation fails badly. */
static void little_memory(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_prefix *p;
    int32_t tokens[INK_BLOCK];
    spell(tokens, 0);
    uint64_t one = bytes_for(1);
    for (uint64_t most = 0; most < one; most += 7) {
        struct ink_prefix_place place = ink_prefix_begin(0);
        assert_ok(ink_prefix_open(&p, most, BLOCK_BYTES, &error));
        assert_null(ink_prefix_find(p, &place, tokens));
        place = ink_prefix_begin(0);
        assert_null(ink_prefix_add(p, &place, tokens));
        ink_prefix_close(p);
    }
    long n = 1;
    for (;; n++) {
        ink_fail_allocation(n, true);
        int status = ink_prefix_open(&p, 1 << 16, BLOCK_BYTES, &error);
        ink_fail_allocation(0, false);
        if (status == INK_OK) {
            break;
        }
        assert_int_equal(status, INK_ERROR_MEMORY);
        assert_null(p);
    }
    assert_int_equal(n, 4);
    ink_prefix_close(p);
    ink_prefix_close(NULL);
}

/* Where there is no memory for a further block, one that is there gives way; with none, nothing is
 * kept, and all goes on later. */
static void memory_runs_out(void **state)
{
    (void)state;
    struct ink_error error = {0};
    struct ink_prefix *p;
    int32_t tokens[INK_BLOCK];
    assert_ok(ink_prefix_open(&p, bytes_for(8), BLOCK_BYTES, &error));
    struct ink_prefix_place place = ink_prefix_begin(0);
    spell(tokens, 0);
    ink_fail_allocation(1, true);
    assert_null(ink_prefix_add(p, &place, tokens));
    ink_fail_allocation(0, false);
    for (int word = 0; word < 3; word++) {
        place = ink_prefix_begin(0);
        spell(tokens, word);
        assert_non_null(ink_prefix_add(p, &place, tokens));
    }
    uint64_t bytes = ink_prefix_bytes(p);
    ink_fail_allocation(1, true);
    for (int word = 3; word < 9; word++) {
        place = ink_prefix_begin(0);
        spell(tokens, word);
        assert_non_null(ink_prefix_add(p, &place, tokens));
    }
    ink_fail_allocation(0, false);
    assert_true(ink_prefix_bytes(p) == bytes);
    for (int word = 0; word < 9; word++) {
        place = ink_prefix_begin(0);
        spell(tokens, word);
        assert_int_equal(ink_prefix_find(p, &place, tokens) != NULL, word >= 6);
    }
    ink_prefix_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_a_list),         cmocka_unit_test(old_places),
        cmocka_unit_test(variants_share_nothing), cmocka_unit_test(little_memory),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
