/* pytorch_model.bin: torch.save's zip container of a pickled dictionary and its storages. */
#include "weights.h"

#include "pickle.h"
#include "zip.h"

#include <string.h>

enum { max_key = 64 };

struct archive {
    struct ink_weights *w;
    const char *path;
    struct ink_zip zip;
    const char *prefix; /* [n_prefix]: the folder that all entries are in, with its slash */
    size_t n_prefix;
};

/* Entry PREFIX + name[n_name]. */
static const struct ink_zip_entry *find_entry(const struct archive *a, const char *name,
                                              size_t n_name)
{
    char full[1024 + max_key + 8];
    if (a->n_prefix + n_name > sizeof full) {
        return NULL;
    }
    memcpy(full, a->prefix, a->n_prefix);
    memcpy(full + a->n_prefix, name, n_name);
    return ink_zip_find(&a->zip, full, a->n_prefix + n_name);
}

static const struct ink_zip_entry *find_storage(const struct archive *a,
                                                const struct ink_pickle_tensor *t)
{
    char name[5 + max_key] = "data/";
    if (t->n_storage_key > max_key) {
        return NULL;
    }
    memcpy(name + 5, t->storage_key, t->n_storage_key);
    return find_entry(a, name, 5 + t->n_storage_key);
}

/* Elements of the tensor; false if there are too many to count. */
static bool count_values(uint64_t *out, const struct ink_pickle_tensor *t)
{
    *out = 1;
    for (int i = 0; i < t->n_dims && i < INK_MAX_DIMS; i++) {
        if (!ink_mul_u64(out, *out, (uint64_t)t->shape[i])) {
            return false;
        }
    }
    return true;
}

static int bad_tensor(const struct archive *a, const struct ink_pickle_tensor *t, const char *why,
                      struct ink_error *error)
{
    return ink_fail(error, INK_ERROR_INPUT, "%s: tensor \"%.*s\": %s", a->path, (int)t->n_name,
                    t->name, ink_text(why));
}

static int add_tensor(void *context, const struct ink_pickle_tensor *t, struct ink_error *error)
{
    struct archive *a = context;
    int status = ink_weights_check_name(t->name, t->n_name, a->path, error);
    if (status != INK_OK) {
        return status;
    }
    uint64_t size = (uint64_t)ink_type_facts(t->type)->block_bytes;
    uint64_t n_storage, n, end;
    const struct ink_zip_entry *storage = find_storage(a, t);
    if (!storage) {
        return bad_tensor(a, t, "its storage is not in the file", error);
    }
    if (!ink_mul_u64(&n_storage, t->storage_values, size) || n_storage != storage->size) {
        return bad_tensor(a, t, "its storage is not as long as it says", error);
    }
    if (t->n_dims <= INK_MAX_DIMS && !t->is_contiguous) {
        return bad_tensor(a, t, "its elements are not stored row after row (not contiguous)",
                          error);
    }
    if (!count_values(&n, t) || !ink_add_u64(&end, t->offset, n) || end > t->storage_values) {
        return bad_tensor(a, t, "it reaches beyond its storage", error);
    }
    return ink_weights_add(a->w, t->name, t->n_name, t->type, t->shape, t->n_dims,
                           storage->data + t->offset * size, n * size, a->path, error);
}

/* The one entry FOLDER/data.pkl; sets the prefix. */
static const struct ink_zip_entry *find_pickle(struct archive *a)
{
    static const char name[] = "/data.pkl";
    const size_t n = sizeof name - 1;
    for (size_t i = 0; i < a->zip.n_entries; i++) {
        const struct ink_zip_entry *e = &a->zip.entries[i];
        if (e->n_name > n && memcmp(e->name + e->n_name - n, name, n) == 0 &&
            memchr(e->name, '/', e->n_name) == e->name + e->n_name - n) {
            a->prefix = e->name;
            a->n_prefix = e->n_name - n + 1;
            return e;
        }
    }
    return NULL;
}

static int read_archive(struct archive *a, struct ink_error *error)
{
    const struct ink_zip_entry *pickle = find_pickle(a);
    if (!pickle) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: a zip file, but not one of torch.save (it has no data.pkl)", a->path);
    }
    if (find_entry(a, "constants.pkl", 13)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: a TorchScript program; only weights saved by torch.save can be read",
                        a->path);
    }
    const struct ink_zip_entry *order = find_entry(a, "byteorder", 9);
    if (order && (order->size != 6 || memcmp(order->data, "little", 6) != 0)) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: its numbers are not little-endian (saved on another kind of computer)",
                        a->path);
    }
    return ink_pickle_read(pickle->data, (size_t)pickle->size, add_tensor, a, a->path, error);
}

int ink_torchbin_read(struct ink_weights *w, const struct ink_mapping *file, const char *path,
                      struct ink_error *error)
{
    /* the magic number, pickled, of torch.save before version 1.6 */
    static const unsigned char legacy[] = {0x80, 2,    0x8A, 10,   0x6C, 0xFC, 0x9C,
                                           0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19};
    if (file->size >= sizeof legacy && memcmp(file->data, legacy, sizeof legacy) == 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: saved in the old format of torch before 1.6; load and save it again "
                        "with a newer torch, or use safetensors",
                        path);
    }
    if (file->size < 4 || memcmp(file->data, "PK\3\4", 4) != 0) {
        return ink_fail(error, INK_ERROR_INPUT,
                        "%s: not a file of torch.save (it does not start as a zip file)", path);
    }
    struct archive a = {.w = w, .path = path};
    int status = ink_zip_read(&a.zip, file, path, error);
    if (status == INK_OK) {
        status = read_archive(&a, error);
    }
    ink_zip_close(&a.zip);
    return status;
}
