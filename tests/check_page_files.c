/* The page in the program: the text of web/, each file under its address, nothing named that is
 * not there, nothing from elsewhere. */
#include "support.h"

#include "../src/serve/page.h"

/* What m4/embed does: no indentation, no lines that are comments. The length that is left. */
static size_t shorten(char *text, size_t n)
{
    size_t kept = 0;
    for (size_t at = 0; at < n;) {
        while (at < n && text[at] == ' ') {
            at++;
        }
        const char *newline = memchr(text + at, '\n', n - at);
        size_t end = newline ? (size_t)(newline - text) + 1 : n;
        if (end - at < 3 || memcmp(text + at, "// ", 3) != 0) {
            memmove(text + kept, text + at, end - at);
            kept += end - at;
        }
        at = end;
    }
    return kept;
}

static char *read_web(const char *name, size_t *n)
{
    static char buffer[1 << 18];
    const char *data = getenv("INKSTONE_TEST_DATA");
    char path[1024];
    if (!data) {
        printf("# SKIP: no INKSTONE_TEST_DATA, beside which web/ is\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/../../web/%s", data, name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *n = fread(buffer, 1, sizeof buffer, f);
    assert_true(*n > 0 && *n < sizeof buffer);
    fclose(f);
    *n = shorten(buffer, *n);
    return buffer;
}

static void test_bytes(void **state)
{
    (void)state;
    int count;
    const struct ink_page_file *files = ink_page_files(&count);
    assert_true(count > 3);
    for (int i = 0; i < count; i++) {
        size_t n;
        const char *name = strcmp(files[i].path, "/") == 0 ? "index.html" : files[i].path + 1;
        const char *bytes = read_web(name, &n);
        assert_int_equal(n, files[i].n);
        assert_memory_equal(bytes, files[i].data, n);
        assert_ptr_equal(ink_page_find(files[i].path), &files[i]);
    }
    assert_null(ink_page_find("/index.htm"));
    assert_null(ink_page_find(""));
}

static void test_headers(void **state)
{
    (void)state;
    int count;
    const struct ink_page_file *files = ink_page_files(&count);
    for (int i = 0; i < count; i++) {
        size_t length = strlen(files[i].etag);
        assert_true(length > 4 && files[i].etag[0] == '"' && files[i].etag[length - 1] == '"');
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(files[i].etag, files[j].etag);
        }
    }
    assert_string_equal(ink_page_find("/")->content_type, "text/html; charset=utf-8");
    assert_string_equal(ink_page_find("/app.js")->content_type, "text/javascript; charset=utf-8");
    assert_string_equal(ink_page_find("/style.css")->content_type, "text/css; charset=utf-8");
    assert_non_null(strstr(ink_page_policy, "default-src 'none'"));
    assert_null(strstr(ink_page_policy, "unsafe"));
}

/* Every name that follows `before` in a file, up to a quote, is a file of the page. */
static int find_names(const struct ink_page_file *file, const char *before)
{
    int found = 0;
    size_t length = strlen(before);
    for (size_t i = 0; i + length < file->n; i++) {
        if (memcmp(file->data + i, before, length) != 0) {
            continue;
        }
        char path[64] = "/";
        const char *start = file->data + i + length;
        size_t n = strcspn(start, "\"'");
        assert_true(n > 0 && n < sizeof path - 1);
        memcpy(path + 1, start, n);
        if (!ink_page_find(path)) {
            fail_msg("%s names %s, which is not in web_files of Makefile.am", file->path, path);
        }
        found++;
    }
    return found;
}

static void test_names(void **state)
{
    (void)state;
    int count;
    int imports = 0;
    const struct ink_page_file *files = ink_page_files(&count);
    for (int i = 0; i < count; i++) {
        imports += find_names(&files[i], "from './");
    }
    assert_true(imports >= count - 5);
    assert_int_equal(find_names(ink_page_find("/"), "script src=\""), 1);
    assert_int_equal(find_names(ink_page_find("/"), "module\" src=\""), 1);
    assert_int_equal(find_names(ink_page_find("/"), "stylesheet\" href=\""), 1);
}

static void test_size(void **state)
{
    (void)state;
    int count;
    size_t total = 0;
    const struct ink_page_file *files = ink_page_files(&count);
    for (int i = 0; i < count; i++) {
        total += files[i].n;
    }
    printf("# the page has %zu bytes\n", total);
    assert_true(total < 120000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
