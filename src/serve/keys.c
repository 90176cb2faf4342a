#include "keys.h"

#include "platform.h"
#include "sha256.h"
#include "sync.h"

#include <string.h>

enum { MIN_KEY = 8, MAX_KEY = 256, MAX_FILE = 1 << 20, DIGEST = 64 };

/* Digests of keys: comparing them takes the same time however much of a key was guessed. */
struct set {
    char (*digests)[DIGEST + 1];
    size_t n, capacity;
};

struct ink_keys {
    struct ink_mutex *mutex; /* around `all` */
    struct set given, all;   /* from the command line; and with those of the file */
    char *file;              /* or NULL */
};

/* ------------------------------------------------------------------------------------ reading */

static int add(struct set *s, const char *key, size_t n, struct ink_error *error)
{
    if (s->n == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 8;
        void *grown = ink_realloc(s->digests, capacity, sizeof *s->digests);
        if (!grown) {
            return ink_fail_memory(error, capacity * sizeof *s->digests);
        }
        s->digests = grown;
        s->capacity = capacity;
    }
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, key, n);
    ink_sha256_finish(&sha, s->digests[s->n++]);
    return INK_OK;
}

static bool is_visible(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~') {
            return false;
        }
    }
    return true;
}

/* `where` is "--api-key" or "FILE: line 3"; a key itself is never shown. */
static int check_and_add(struct set *s, const char *key, size_t n, const char *where,
                         struct ink_error *error)
{
    if (n < MIN_KEY || n > MAX_KEY) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: a key of %llu characters (allowed are %d to %d)", where,
                        (unsigned long long)n, MIN_KEY, MAX_KEY);
    }
    if (!is_visible(key, n)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: a key may hold letters, digits and signs of ASCII, and no spaces",
                        where);
    }
    return add(s, key, n, error);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static int add_line(struct set *s, const char *line, size_t n, const char *file, size_t number,
                    struct ink_error *error)
{
    while (n > 0 && is_blank(line[n - 1])) {
        n--;
    }
    while (n > 0 && is_blank(*line)) {
        line++;
        n--;
    }
    if (n == 0 || *line == '#') {
        return INK_OK;
    }
    struct ink_error where;
    ink_fail(&where, INK_OK, "%s: line %llu", file, (unsigned long long)number);
    return check_and_add(s, line, n, where.message, error);
}

static void add_warning(char **warning, const char *file)
{
    struct ink_error text;
    ink_fail(&text, INK_OK, "%s: other users may read the keys in it (chmod 600 would help)", file);
    *warning = ink_strdup(text.message);
}

static int add_file(struct set *s, const char *file, char **warning, struct ink_error *error)
{
    char *text;
    size_t n = 0, number = 0;
    bool others_may_read = false;
    int status = ink_platform_read_private(&text, &n, &others_may_read, file, MAX_FILE, error);
    if (status != INK_OK) {
        return status;
    }
    const size_t before = s->n;
    const char *at = text, *end = text + n;
    at += n >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0; /* Windows editors' BOM */
    while (at < end && status == INK_OK) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        newline = newline ? newline : end;
        status = add_line(s, at, (size_t)(newline - at), file, ++number, error);
        at = newline + 1;
    }
    memset(text, 0, n);
    ink_free(text);
    if (status == INK_OK && s->n == before) {
        status = ink_fail(error, INK_ERROR_INPUT, "%s: there is no key in it", file);
    }
    if (status == INK_OK && others_may_read) {
        add_warning(warning, file);
    }
    return status;
}

static int read_all(struct set *out, const struct ink_keys *k, char **warning,
                    struct ink_error *error)
{
    *out = (struct set){0};
    int status = INK_OK;
    if (k->given.n > 0) {
        const size_t size = k->given.n * sizeof *out->digests;
        out->digests = ink_malloc(size);
        if (!out->digests) {
            return ink_fail_memory(error, size);
        }
        memcpy(out->digests, k->given.digests, size);
        out->n = out->capacity = k->given.n;
    }
    if (k->file) {
        status = add_file(out, k->file, warning, error);
    }
    if (status != INK_OK) {
        ink_free(out->digests);
        *out = (struct set){0};
    }
    return status;
}

/* ------------------------------------------------------------------------------------- the set */

int ink_keys_open(struct ink_keys **out, const char *const *keys, int n_keys, const char *file,
                  char **warning, struct ink_error *error)
{
    *out = NULL;
    *warning = NULL;
    struct ink_keys *k = ink_calloc(1, sizeof *k);
    if (!k || !(k->mutex = ink_mutex_new()) || (file && !(k->file = ink_strdup(file)))) {
        ink_keys_close(k);
        return ink_fail_memory(error, sizeof *k);
    }
    int status = INK_OK;
    for (int i = 0; i < n_keys && status == INK_OK; i++) {
        status = check_and_add(&k->given, keys[i], strlen(keys[i]), "--api-key", error);
    }
    if (status == INK_OK) {
        status = read_all(&k->all, k, warning, error);
    }
    if (status != INK_OK) {
        ink_keys_close(k);
        return status;
    }
    *out = k;
    return INK_OK;
}

void ink_keys_close(struct ink_keys *k)
{
    if (k) {
        ink_mutex_free(k->mutex);
        ink_free(k->given.digests);
        ink_free(k->all.digests);
        ink_free(k->file);
        ink_free(k);
    }
}

int ink_keys_reload(struct ink_keys *k, char **warning, struct ink_error *error)
{
    struct set fresh;
    *warning = NULL;
    int status = read_all(&fresh, k, warning, error);
    if (status != INK_OK) {
        return status;
    }
    ink_mutex_lock(k->mutex);
    struct set old = k->all;
    k->all = fresh;
    ink_mutex_unlock(k->mutex);
    ink_free(old.digests);
    return INK_OK;
}

/* ------------------------------------------------------------------------------------- asking */

/* What follows "Bearer ", or NULL. The scheme's name may be in any case (RFC 9110). */
static const char *key_of(const char *authorization)
{
    static const char scheme[] = "bearer";
    for (size_t i = 0; i < sizeof scheme - 1; i++) {
        if ((authorization[i] | 0x20) != scheme[i]) {
            return NULL;
        }
    }
    const char *key = authorization + sizeof scheme - 1;
    if (*key != ' ') {
        return NULL;
    }
    return key + strspn(key, " ");
}

bool ink_keys_allow(struct ink_keys *k, const char *authorization)
{
    const char *key = authorization ? key_of(authorization) : NULL;
    if (!key) {
        return false;
    }
    char digest[DIGEST + 1];
    struct ink_sha256 sha;
    ink_sha256_start(&sha);
    ink_sha256_add(&sha, key, strlen(key));
    ink_sha256_finish(&sha, digest);
    bool found = false;
    ink_mutex_lock(k->mutex);
    for (size_t i = 0; i < k->all.n; i++) {
        unsigned char differs = 0;
        for (int j = 0; j < DIGEST; j++) {
            differs |= (unsigned char)(digest[j] ^ k->all.digests[i][j]);
        }
        found |= differs == 0;
    }
    ink_mutex_unlock(k->mutex);
    return found;
}
