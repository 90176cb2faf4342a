#include "grammars.h"

#include "common.h"
#include "sync.h"

#include <string.h>

struct ink_grammar_use {
    struct ink_grammar *grammar;
    struct ink_string key;
    int n_users;
    bool is_kept;
    struct ink_grammar_use *next; /* of the kept ones: used before this one */
};

struct ink_grammars {
    const struct ink_model *model;
    struct ink_mutex *lock;
    struct ink_grammar_use *kept; /* the one used last is the first */
};

/* ----------------------------------------------------------------------------------------- keys */

/* A text with its length before it, so that no two lists of texts are one key. */
static void add_text(struct ink_string *key, const char *text, size_t n)
{
    ink_string_printf(key, "%llu:", (unsigned long long)n);
    ink_string_append(key, text ? text : "", n);
}

static void add_word(struct ink_string *key, const char *text)
{
    add_text(key, text, text ? strlen(text) : 0);
    ink_string_puts(key, text ? "" : "-");
}

static void add_tools(struct ink_string *key, const struct ink_tools *t)
{
    ink_string_printf(key, "tools %d %d ", t->is_required, t->is_single);
    add_word(key, t->before);
    add_word(key, t->after);
    add_word(key, t->between);
    add_word(key, t->name_key);
    add_word(key, t->arguments_key);
    for (int i = 0; i < t->n_tools; i++) {
        add_word(key, t->tools[i].name);
        add_text(key, t->tools[i].parameters, t->tools[i].n_parameters);
        ink_string_puts(key, t->tools[i].parameters ? "" : "-");
    }
}

static int make_key(struct ink_string *key, const struct ink_grammar_source *source,
                    struct ink_error *error)
{
    if (source->tools) {
        add_tools(key, source->tools);
    } else if (source->schema) {
        ink_string_puts(key, "schema ");
        ink_string_append(key, source->schema, source->n);
    } else {
        ink_string_puts(key, "json");
    }
    return key->failed ? ink_fail_memory(error, source->n) : INK_OK;
}

/* ------------------------------------------------------------------------------- with the lock */

static struct ink_grammar_use *find(struct ink_grammars *g, const struct ink_string *key)
{
    for (struct ink_grammar_use **link = &g->kept; *link; link = &(*link)->next) {
        struct ink_grammar_use *use = *link;
        if (use->key.length == key->length && memcmp(use->key.data, key->data, key->length) == 0) {
            *link = use->next;
            use->next = g->kept;
            g->kept = use;
            return use;
        }
    }
    return NULL;
}

static uint64_t bytes_of(const struct ink_grammar_use *use)
{
    return sizeof *use + use->key.length + ink_grammar_bytes(use->grammar);
}

/* Those that are too many are no longer kept; *unused: a list of those that nobody has. Masks make
 * grammars grow, so that sizes are asked for each time. */
static void drop_last(struct ink_grammars *g, struct ink_grammar_use **unused)
{
    uint64_t bytes = 0;
    int n = 0;
    struct ink_grammar_use **link = &g->kept;
    while (*link) {
        struct ink_grammar_use *use = *link;
        bytes += bytes_of(use);
        if (++n == 1 || (n <= INK_GRAMMARS_KEPT && bytes <= INK_GRAMMARS_BYTES)) {
            link = &use->next;
            continue;
        }
        *link = use->next;
        use->is_kept = false;
        if (use->n_users == 0) {
            use->next = *unused;
            *unused = use;
        }
    }
}

/* ---------------------------------------------------------------------------------------- using */

static void close_use(struct ink_grammar_use *use)
{
    ink_grammar_close(use->grammar);
    ink_string_free(&use->key);
    ink_free(use);
}

static void close_all(struct ink_grammar_use *list)
{
    while (list) {
        struct ink_grammar_use *next = list->next;
        close_use(list);
        list = next;
    }
}

static int compile(struct ink_grammars *g, struct ink_grammar **out,
                   const struct ink_grammar_source *source, struct ink_error *error)
{
    return source->tools ? ink_grammar_open_tools(out, g->model, source->tools, error)
           : source->schema
               ? ink_grammar_open_schema(out, g->model, source->schema, source->n, error)
               : ink_grammar_open_json(out, g->model, error);
}

static struct ink_grammar_use *take_kept(struct ink_grammars *g, const struct ink_string *key)
{
    ink_mutex_lock(g->lock);
    struct ink_grammar_use *use = find(g, key);
    if (use) {
        use->n_users++;
    }
    ink_mutex_unlock(g->lock);
    return use;
}

/* Keep it, unless another thread was faster: then that one is taken. */
static struct ink_grammar_use *keep(struct ink_grammars *g, struct ink_grammar_use *use)
{
    struct ink_grammar_use *unused = NULL;
    ink_mutex_lock(g->lock);
    struct ink_grammar_use *there = find(g, &use->key);
    if (there) {
        use->next = NULL;
        unused = use;
        use = there;
    } else {
        use->is_kept = true;
        use->next = g->kept;
        g->kept = use;
        drop_last(g, &unused);
    }
    use->n_users++;
    ink_mutex_unlock(g->lock);
    close_all(unused);
    return use;
}

int ink_grammars_take(struct ink_grammars *g, struct ink_grammar_use **out,
                      const struct ink_grammar_source *source, struct ink_error *error)
{
    struct ink_string key = {0};
    *out = NULL;
    int status = make_key(&key, source, error);
    if (status == INK_OK) {
        *out = take_kept(g, &key);
    }
    if (status != INK_OK || *out) {
        ink_string_free(&key);
        return status;
    }
    struct ink_grammar_use *use = ink_calloc(1, sizeof *use);
    status = use ? compile(g, &use->grammar, source, error) : ink_fail_memory(error, sizeof *use);
    if (status != INK_OK) {
        ink_free(use);
        ink_string_free(&key);
        return status;
    }
    use->key = key;
    *out = keep(g, use);
    return INK_OK;
}

const struct ink_grammar *ink_grammar_use_get(const struct ink_grammar_use *use)
{
    return use ? use->grammar : NULL;
}

void ink_grammars_release(struct ink_grammars *g, struct ink_grammar_use *use)
{
    if (use) {
        ink_mutex_lock(g->lock);
        const bool is_last = --use->n_users == 0 && !use->is_kept;
        ink_mutex_unlock(g->lock);
        if (is_last) {
            close_use(use);
        }
    }
}

int ink_grammars_kept(struct ink_grammars *g, uint64_t *bytes)
{
    int n = 0;
    *bytes = 0;
    ink_mutex_lock(g->lock);
    for (const struct ink_grammar_use *use = g->kept; use; use = use->next) {
        *bytes += bytes_of(use);
        n++;
    }
    ink_mutex_unlock(g->lock);
    return n;
}

/* ------------------------------------------------------------------------------- open and close */

int ink_grammars_open(struct ink_grammars **out, const struct ink_model *model,
                      struct ink_error *error)
{
    *out = NULL;
    struct ink_grammars *g = ink_calloc(1, sizeof *g);
    if (!g || !(g->lock = ink_mutex_new())) {
        ink_free(g);
        return ink_fail_memory(error, sizeof *g);
    }
    g->model = model;
    const struct ink_grammar_source any_object = {0};
    struct ink_grammar_use *use;
    int status = ink_grammars_take(g, &use, &any_object, error);
    ink_grammars_release(g, use);
    if (status != INK_OK) {
        ink_grammars_close(g);
        return status;
    }
    *out = g;
    return INK_OK;
}

void ink_grammars_close(struct ink_grammars *g)
{
    if (g) {
        close_all(g->kept);
        ink_mutex_free(g->lock);
        ink_free(g);
    }
}
