/* Groups that stay whole: sizes as near the target as exchanging groups can bring them. And memory
 * that runs out in a split. tests/check_split looks at the rest. */
#include "support.h"

#include "../src/data/split_internal.h"

static uint32_t random_state = 1;

static uint32_t draw(uint32_t below)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % below;
}

static int64_t distance(const int64_t size[3], const size_t target[3])
{
    int64_t sum = 0;
    for (int k = 0; k < 3; k++) {
        sum += llabs(size[k] - (int64_t)target[k]);
    }
    return sum;
}

static void add_up(int64_t size[3], const unsigned char *parts, const uint32_t *sizes, size_t n)
{
    memset(size, 0, 3 * sizeof *size);
    for (size_t g = 0; g < n; g++) {
        assert_in_range(parts[g], 0, 2);
        size[parts[g]] += sizes[g];
    }
}

/* The least distance of any assignment: 3^n are tried. */
static int64_t best_of_all(const uint32_t *sizes, size_t n, const size_t target[3])
{
    unsigned char parts[16] = {0};
    int64_t best = INT64_MAX;
    for (;;) {
        int64_t size[3];
        add_up(size, parts, sizes, n);
        best = distance(size, target) < best ? distance(size, target) : best;
        size_t g = 0;
        while (g < n && parts[g] == 2) {
            parts[g++] = 0;
        }
        if (g == n) {
            return best;
        }
        parts[g]++;
    }
}

static size_t make_sizes(uint32_t *sizes, size_t n, uint32_t most, size_t target[3])
{
    size_t sum = 0;
    for (size_t g = 0; g < n; g++) {
        sizes[g] = 1 + draw(most);
        sum += sizes[g];
    }
    target[0] = sum * 8 / 10;
    target[1] = sum * 9 / 10 - target[0];
    target[2] = sum - target[0] - target[1];
    return sum;
}

/* No group moved and no two exchanged would bring the parts nearer. */
static void assert_settled(const unsigned char *parts, const uint32_t *sizes, size_t n,
                           const size_t target[3])
{
    int64_t size[3];
    add_up(size, parts, sizes, n);
    const int64_t now = distance(size, target);
    for (size_t g = 0; g < n; g++) {
        for (int to = 0; to < 3; to++) {
            int64_t moved[3] = {size[0], size[1], size[2]};
            moved[parts[g]] -= sizes[g];
            moved[to] += sizes[g];
            assert_true(distance(moved, target) >= now);
        }
        for (size_t h = g + 1; h < n; h++) {
            int64_t moved[3] = {size[0], size[1], size[2]};
            const int64_t d = (int64_t)sizes[g] - sizes[h];
            moved[parts[g]] -= d;
            moved[parts[h]] += d;
            assert_true(parts[g] == parts[h] || distance(moved, target) >= now);
        }
    }
}

static void parts_come_near(void **state)
{
    (void)state;
    static uint32_t sizes[200];
    static unsigned char parts[200], again[200];
    struct ink_error error = {0};
    for (int round = 0; round < 200; round++) {
        const size_t n = 1 + draw(200);
        size_t target[3];
        make_sizes(sizes, n, 1 + draw(40), target);
        assert_ok(ink_split_assign(parts, sizes, n, target, &error));
        assert_settled(parts, sizes, n, target);
        assert_ok(ink_split_assign(again, sizes, n, target, &error));
        assert_memory_equal(parts, again, n);
    }
}

/* With small groups among them the target is met, and few groups come near the best there is. */
static void targets_are_met_where_they_can_be(void **state)
{
    (void)state;
    static uint32_t sizes[5000];
    static unsigned char parts[5000];
    struct ink_error error = {0};
    size_t target[3];
    int64_t size[3], excess = 0;
    for (size_t g = 0; g < 5000; g++) {
        sizes[g] = g % 50 == 0 ? 1 + draw(300) : 1 + draw(3);
    }
    size_t sum = 0;
    for (size_t g = 0; g < 5000; g++) {
        sum += sizes[g];
    }
    target[0] = sum * 8 / 10;
    target[1] = sum / 10;
    target[2] = sum - target[0] - target[1];
    assert_ok(ink_split_assign(parts, sizes, 5000, target, &error));
    add_up(size, parts, sizes, 5000);
    assert_int_equal(distance(size, target), 0);
    for (int round = 0; round < 40; round++) {
        const size_t n = 3 + draw(7);
        make_sizes(sizes, n, 12, target);
        assert_ok(ink_split_assign(parts, sizes, n, target, &error));
        add_up(size, parts, sizes, n);
        excess += distance(size, target) - best_of_all(sizes, n, target);
    }
    print_message("# %d records further off than the best, in 40 small splits\n", (int)excess);
    assert_true(excess <= 40);
}

static int split_all(const struct ink_dataset *d, const char *folder, struct ink_error *error)
{
    const struct ink_split_options options = {
        .ratio = {2, 1, 1}, .seed = "42", .group_by = "input", .group_until = "x"};
    struct ink_split split = {0};
    struct ink_split_statistics statistics;
    struct ink_split_file files[INK_SPLIT_PARTS] = {{0}};
    int status = ink_split_check_folder(folder, d, false, error);
    if (status == INK_OK) {
        status = ink_split_plan(&split, d, &options, error);
    }
    if (status == INK_OK) {
        status = ink_split_measure(&statistics, d, &split, NULL, NULL, NULL, error);
    }
    if (status == INK_OK) {
        status = ink_split_write(files, folder, d, &split, &options, NULL, NULL, error);
    }
    if (status == INK_OK) {
        assert_int_equal(split.n_groups, 3);
        assert_int_equal(statistics.duplicates, 1);
        assert_int_equal(strlen(files[0].sha256), 64);
    }
    ink_split_free_files(files);
    ink_split_free(&split);
    return status;
}

/* It is said, nothing leaks, and the folder has whole files or none. */
static void allocations_may_fail(void **state)
{
    (void)state;
    static const char text[] = "input,output\naxb,1\naxc,2\nd,3\ne,4\naxb,1\n";
    static const char path[] = "check_split_groups.csv", folder[] = "check_split_groups_folder";
    struct ink_error error = {0};
    struct ink_dataset *d;
    FILE *f = fopen(path, "wb");
    fputs(text, f);
    fclose(f);
    assert_ok(ink_dataset_open(&d, path, NULL, &error));
    int n = 0;
    for (int status = INK_ERROR_MEMORY; status != INK_OK; n++) {
        assert_true(n < 1000);
        ink_remove_folder(folder);
        ink_fail_allocation(n + 1, false);
        status = split_all(d, folder, &error);
        ink_fail_allocation(0, false);
        assert_true(status == INK_OK || status == INK_ERROR_MEMORY);
    }
    assert_true(n > 20);
    ink_dataset_close(d);
    ink_remove_folder(folder);
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_come_near),
        cmocka_unit_test(targets_are_met_where_they_can_be),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
