/* Groups that must not be torn: which records are one, and which part each goes to. */
#include "split_internal.h"

#include "sha256.h"

#include <stdlib.h>
#include <string.h>

/* --------------------------------------------------------------------------------- equal values */

struct ink_digest ink_digest_of(const char *text, size_t n)
{
    struct ink_sha256 sha;
    char hex[65];
    struct ink_digest digest;
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, text, n);
    ink_sha256_finish(&sha, hex);
    hex[32] = '\0';
    digest.low = strtoull(hex + 16, NULL, 16);
    hex[16] = '\0';
    digest.high = strtoull(hex, NULL, 16);
    return digest;
}

int ink_digest_compare(const struct ink_digest *a, const struct ink_digest *b)
{
    return a->high != b->high ? (a->high > b->high) - (a->high < b->high)
                              : (a->low > b->low) - (a->low < b->low);
}

/* A value and where it stands in the order. */
struct place {
    struct ink_digest digest;
    uint32_t at;
};

static int compare_places(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    const int by_digest = ink_digest_compare(&a->digest, &b->digest);
    return by_digest ? by_digest : (a->at > b->at) - (a->at < b->at);
}

static int read_places(struct place *places, const struct ink_dataset *d, const uint32_t *order,
                       const struct ink_split_options *options, struct ink_error *error)
{
    const size_t n = ink_dataset_get_info(d)->n_samples;
    struct ink_string value = {0};
    int status = INK_OK;
    for (size_t i = 0; i < n && status == INK_OK; i++) {
        value.length = 0;
        ink_string_puts(&value, "");
        status = ink_dataset_append_field(d, &value, order[i], options->group_by, error);
        if (status == INK_OK) {
            const char *end =
                options->group_until ? strstr(value.data, options->group_until) : NULL;
            const size_t length = end ? (size_t)(end - value.data) : value.length;
            places[i] = (struct place){ink_digest_of(value.data, length), (uint32_t)i};
        }
    }
    ink_string_free(&value);
    return status;
}

int ink_split_find_groups(uint32_t *groups, size_t *n_groups, const struct ink_dataset *d,
                          const uint32_t *order, const struct ink_split_options *options,
                          struct ink_error *error)
{
    const size_t n = ink_dataset_get_info(d)->n_samples;
    struct place *places = ink_calloc(n, sizeof *places);
    uint32_t *first = ink_calloc(n, sizeof *first); /* by place: where its value comes first */
    uint32_t count = 0;
    int status = places && first ? read_places(places, d, order, options, error)
                                 : ink_fail_memory(error, n * (sizeof *places + sizeof *first));
    if (status == INK_OK) {
        qsort(places, n, sizeof *places, compare_places);
        for (size_t i = 0, start = 0; i < n; i++) {
            start = ink_digest_compare(&places[start].digest, &places[i].digest) ? i : start;
            first[places[i].at] = places[start].at;
        }
        for (size_t i = 0; i < n; i++) {
            groups[order[i]] = first[i] == i ? count++ : groups[order[first[i]]];
        }
    }
    ink_free(places);
    ink_free(first);
    *n_groups = count;
    return status;
}

/* ---------------------------------------------------------------------------------------- parts */

struct assignment {
    unsigned char *parts;
    const uint32_t *sizes;
    size_t n_groups;
    int64_t missing[INK_SPLIT_PARTS]; /* target less size; below 0: too many */
    uint32_t *by_size;                /* groups, the largest first */
    uint32_t *distinct;               /* [n_distinct] sizes, the largest first */
    size_t n_distinct;
    uint32_t *counts; /* [n_distinct][3]: groups of that size in each part */
};

/* A stable sort by counting down would need an array as long as the largest group: merge instead,
 * through qsort with the number as tie-break. */
struct sized {
    uint32_t size, group;
};

static int compare_sized(const void *x, const void *y)
{
    const struct sized *a = x, *b = y;
    return a->size != b->size ? (a->size < b->size) - (a->size > b->size)
                              : (a->group > b->group) - (a->group < b->group);
}

static int sort_by_size(struct assignment *a, struct ink_error *error)
{
    struct sized *list = ink_calloc(a->n_groups, sizeof *list);
    if (!list) {
        return ink_fail_memory(error, a->n_groups * sizeof *list);
    }
    for (size_t g = 0; g < a->n_groups; g++) {
        list[g] = (struct sized){a->sizes[g], (uint32_t)g};
    }
    qsort(list, a->n_groups, sizeof *list, compare_sized);
    for (size_t i = 0; i < a->n_groups; i++) {
        a->by_size[i] = list[i].group;
        if (i == 0 || list[i].size != list[i - 1].size) {
            a->distinct[a->n_distinct++] = list[i].size;
        }
    }
    ink_free(list);
    return INK_OK;
}

/* The part that is filled least, of those into which the group fits; else the one that lacks most.
 */
static int choose(const struct assignment *a, uint32_t size, const size_t target[INK_SPLIT_PARTS])
{
    int best = -1, emptiest = 0;
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        emptiest = a->missing[k] > a->missing[emptiest] ? k : emptiest;
        if (a->missing[k] < (int64_t)size) {
            continue;
        }
        const double lacks = (double)a->missing[k] / (double)target[k];
        if (best < 0 || lacks > (double)a->missing[best] / (double)target[best]) {
            best = k;
        }
    }
    return best >= 0 ? best : emptiest;
}

static void fill(struct assignment *a, const size_t target[INK_SPLIT_PARTS])
{
    for (size_t i = 0, at = 0; i < a->n_groups; i++) {
        const uint32_t group = a->by_size[i], size = a->sizes[group];
        const int part = choose(a, size, target);
        at += size != a->distinct[at];
        a->parts[group] = (unsigned char)part;
        a->missing[part] -= size;
        a->counts[at * INK_SPLIT_PARTS + (size_t)part]++;
    }
}

/* A group of sizes[give] from one part to another, and one of sizes[take] back (SIZE_MAX: none). */
struct exchange {
    int from, to;
    size_t give, take;
    int64_t gain;
};

static int64_t distance(int64_t missing)
{
    return missing < 0 ? -missing : missing;
}

static void consider(struct exchange *best, const struct assignment *a, int from, int to,
                     size_t give, size_t take)
{
    const int64_t moved =
        (int64_t)a->distinct[give] - (take == SIZE_MAX ? 0 : (int64_t)a->distinct[take]);
    const int64_t gain = distance(a->missing[from]) + distance(a->missing[to]) -
                         distance(a->missing[from] + moved) - distance(a->missing[to] - moved);
    if (gain > best->gain) {
        *best = (struct exchange){from, to, give, take, gain};
    }
}

static void consider_all(struct exchange *best, const struct assignment *a, int from, int to)
{
    for (size_t give = 0; give < a->n_distinct; give++) {
        if (a->counts[give * INK_SPLIT_PARTS + (size_t)from] == 0) {
            continue;
        }
        consider(best, a, from, to, give, SIZE_MAX);
        for (size_t take = give + 1; take < a->n_distinct; take++) { /* smaller ones */
            if (a->counts[take * INK_SPLIT_PARTS + (size_t)to] > 0) {
                consider(best, a, from, to, give, take);
            }
        }
    }
}

/* The last group of a size in a part goes to another. */
static void move(struct assignment *a, size_t which, int from, int to)
{
    const uint32_t size = a->distinct[which];
    size_t i = a->n_groups;
    do {
        i--;
    } while (a->sizes[a->by_size[i]] != size || a->parts[a->by_size[i]] != from);
    a->parts[a->by_size[i]] = (unsigned char)to;
    a->counts[which * INK_SPLIT_PARTS + (size_t)from]--;
    a->counts[which * INK_SPLIT_PARTS + (size_t)to]++;
    a->missing[from] += size;
    a->missing[to] -= size;
}

/* Every round brings the parts nearer by at least 1, so there is a last one. */
static void improve(struct assignment *a)
{
    for (;;) {
        struct exchange best = {.gain = 0};
        for (int from = 0; from < INK_SPLIT_PARTS; from++) {
            for (int to = 0; to < INK_SPLIT_PARTS; to++) {
                if (a->missing[from] < 0 && a->missing[to] > 0) {
                    consider_all(&best, a, from, to);
                }
            }
        }
        if (best.gain == 0) {
            return;
        }
        move(a, best.give, best.from, best.to);
        if (best.take != SIZE_MAX) {
            move(a, best.take, best.to, best.from);
        }
    }
}

int ink_split_assign(unsigned char *parts, const uint32_t *sizes, size_t n_groups,
                     const size_t target[INK_SPLIT_PARTS], struct ink_error *error)
{
    struct assignment a = {.parts = parts, .sizes = sizes, .n_groups = n_groups};
    for (int k = 0; k < INK_SPLIT_PARTS; k++) {
        a.missing[k] = (int64_t)target[k];
    }
    a.by_size = ink_calloc(n_groups, sizeof *a.by_size);
    a.distinct = ink_calloc(n_groups, sizeof *a.distinct);
    int status = a.by_size && a.distinct ? sort_by_size(&a, error)
                                         : ink_fail_memory(error, 2 * n_groups * sizeof *a.by_size);
    if (status == INK_OK) {
        a.counts = ink_calloc(a.n_distinct, INK_SPLIT_PARTS * sizeof *a.counts);
        status = a.counts ? INK_OK : ink_fail_memory(error, a.n_distinct * sizeof *a.counts);
    }
    if (status == INK_OK) {
        fill(&a, target);
        improve(&a);
    }
    ink_free(a.by_size);
    ink_free(a.distinct);
    ink_free(a.counts);
    return status;
}
