/* The orders of CPython and PyTorch, against what they gave (tests/ref/make_shuffle_golden.py). */
#include "support.h"

#include "../src/data/shuffle.h"

static void compare(const cJSON *golden, const uint32_t *order, size_t n)
{
    const cJSON *first = cJSON_GetObjectItem(golden, "first");
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (uint32_t)(i + 1) * order[i];
    }
    int i = 0;
    for (const cJSON *item = first->child; item; item = item->next) {
        assert_int_equal(order[i++], item->valuedouble);
    }
    assert_int_equal(sum, (uint32_t)cJSON_GetObjectItem(golden, "sum")->valuedouble);
}

static uint32_t *in_order(size_t n)
{
    uint32_t *order = malloc((n + 1) * sizeof *order);
    for (size_t i = 0; i < n; i++) {
        order[i] = (uint32_t)i;
    }
    return order;
}

static void orders_of_python(void **state)
{
    (void)state;
    struct ink_error error = {0};
    cJSON *root = read_json(shared_path("shuffle_golden.json"));
    int count = 0;
    for (const cJSON *c = cJSON_GetObjectItem(root, "python")->child; c; c = c->next, count++) {
        const size_t n = (size_t)cJSON_GetObjectItem(c, "n")->valuedouble;
        uint32_t *order = in_order(n);
        struct ink_twister t;
        assert_ok(ink_twister_seed_python(&t, cJSON_GetObjectItem(c, "seed")->valuestring, "seed",
                                          &error));
        ink_twister_shuffle(&t, order, n);
        compare(c, order, n);
        free(order);
    }
    assert_int_equal(count, 19);
    cJSON_Delete(root);
}

static void orders_of_torch(void **state)
{
    (void)state;
    cJSON *root = read_json(shared_path("shuffle_golden.json"));
    int count = 0;
    for (const cJSON *c = cJSON_GetObjectItem(root, "torch")->child; c; c = c->next, count++) {
        const size_t n = (size_t)cJSON_GetObjectItem(c, "n")->valuedouble;
        uint32_t *order = in_order(n);
        struct ink_twister t;
        ink_twister_seed_torch(&t, strtoull(cJSON_GetObjectItem(c, "seed")->valuestring, NULL, 10));
        ink_twister_randperm(&t, order, n);
        compare(c, order, n);
        free(order);
    }
    assert_int_equal(count, 16);
    cJSON_Delete(root);
}

static void seeds_are_whole_numbers(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "-", "+", "1.5", "0x1", " 1", "1 ", "--1", "1_000"};
    struct ink_twister a, b;
    char digits[INK_MAX_SEED_DIGITS + 2];
    struct ink_error error = {0};
    for (size_t i = 0; i < INK_COUNT(bad); i++) {
        assert_int_equal(ink_twister_seed_python(&a, bad[i], "seed", &error), INK_ERROR_ARGUMENT);
    }
    memset(digits, '9', sizeof digits);
    digits[sizeof digits - 1] = '\0';
    assert_int_equal(ink_twister_seed_python(&a, digits, "seed", &error), INK_ERROR_ARGUMENT);
    digits[sizeof digits - 2] = '\0';
    assert_ok(ink_twister_seed_python(&a, digits, "seed", &error));
    assert_ok(ink_twister_seed_python(&a, "-0042", "seed", &error));
    assert_ok(ink_twister_seed_python(&b, "42", "seed", &error));
    assert_memory_equal(&a, &b, sizeof a);
    ink_twister_shuffle(&a, NULL, 0); /* of nothing */
    ink_twister_randperm(&a, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_of_python),
        cmocka_unit_test(orders_of_torch),
        cmocka_unit_test(seeds_are_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
