/* Layout: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 to 4.5. */
#include "zip.h"

#include "utf8.h"
#include "weights.h"

#include <stdlib.h>
#include <string.h>

enum {
    end_size = 22,       /* end of central directory */
    end64_size = 56,     /* the same with 64-bit numbers */
    locator_size = 20,   /* says where the former is */
    central_size = 46,   /* an entry of the central directory, without its name */
    local_size = 30,     /* an entry's local header, without its name */
    descriptor_size = 24 /* sizes repeated after the data; 16, 12 or 20 also occur */
};
enum { max_entries = INK_MAX_TENSORS + 64, max_name = 1024 };
enum { flag_encrypted = 1, flag_descriptor = 8 };

struct directory {
    const struct ink_mapping *file;
    const char *path;
    struct ink_error *error;
    uint64_t n_entries;
    uint64_t begin, end;    /* of the central directory, in the file */
    struct extent *extents; /* [n_entries] */
};

/* From an entry's local header to the end of its data. */
struct extent {
    uint64_t begin, end;
};

static int reject(const struct directory *d, const char *why)
{
    return ink_fail(d->error, INK_ERROR_INPUT, "%s: bad zip container: %s", d->path, ink_text(why));
}

/* --------------------------------------------------------------------------------- end records */

/* The 32-bit field says the same as the 64-bit one, or refers to it by all ones. */
static bool agree(uint64_t narrow, uint64_t all_ones, uint64_t wide)
{
    return narrow == wide || narrow == all_ones;
}

/* d has the numbers of the end record; take those of the 64-bit one before it. */
static int read_end64(struct directory *d, uint64_t end_at)
{
    const unsigned char *base = d->file->data;
    const unsigned char *locator = base + end_at - locator_size;
    uint64_t at = ink_read_u64(locator + 8);
    uint64_t latest = end_at - locator_size;
    if (ink_read_u32(locator + 4) != 0 || ink_read_u32(locator + 16) > 1 || latest < end64_size ||
        at != latest - end64_size || memcmp(base + at, "PK\6\6", 4) != 0 ||
        ink_read_u64(base + at + 4) != end64_size - 12) {
        return reject(d, "the zip64 end record is damaged");
    }
    uint64_t n = ink_read_u64(base + at + 32);
    uint64_t size = ink_read_u64(base + at + 40);
    uint64_t begin = ink_read_u64(base + at + 48);
    if (ink_read_u32(base + at + 16) != 0 || ink_read_u32(base + at + 20) != 0 ||
        ink_read_u64(base + at + 24) != n) {
        return reject(d, "parts of it are on another disk");
    }
    if (!agree(d->n_entries, 0xFFFF, n) || !agree(d->end - d->begin, 0xFFFFFFFF, size) ||
        !agree(d->begin, 0xFFFFFFFF, begin)) {
        return reject(d, "its end records contradict each other");
    }
    d->n_entries = n;
    d->begin = begin;
    d->end = at;
    return begin <= at && size == at - begin
               ? INK_OK
               : reject(d, "the central directory is not where the end record says");
}

static int read_end(struct directory *d)
{
    if (d->file->size < end_size + local_size) {
        return reject(d, "it is too short");
    }
    const unsigned char *base = d->file->data;
    uint64_t end_at = d->file->size - end_size;
    const unsigned char *end = base + end_at;
    if (memcmp(end, "PK\5\6", 4) != 0 || ink_read_u16(end + 20) != 0) {
        return reject(d, "it does not end with a zip directory: cut off, or something is appended");
    }
    if (ink_read_u16(end + 4) != 0 || ink_read_u16(end + 6) != 0 ||
        ink_read_u16(end + 8) != ink_read_u16(end + 10)) {
        return reject(d, "parts of it are on another disk");
    }
    uint64_t size = ink_read_u32(end + 12);
    d->n_entries = ink_read_u16(end + 10);
    d->begin = ink_read_u32(end + 16);
    d->end = d->begin + size;
    if (end_at >= locator_size && memcmp(end - locator_size, "PK\6\7", 4) == 0) {
        return read_end64(d, end_at);
    }
    return d->end == end_at ? INK_OK
                            : reject(d, "the central directory is not where the end record says");
}

/* ------------------------------------------------------------------------------------- entries */

struct header {
    unsigned flags, method;
    uint64_t compressed, size, local;
    const char *name;
    size_t n_name, n_extra;
};

/* Replace the fields that are all ones by those of the zip64 extra field at extra[n]. */
static int apply_zip64(const struct directory *d, struct header *h, const unsigned char *extra,
                       size_t n)
{
    uint64_t *fields[] = {&h->size, &h->compressed, &h->local};
    size_t wanted = 0;
    for (size_t i = 0; i < INK_COUNT(fields); i++) {
        wanted += *fields[i] == 0xFFFFFFFF;
    }
    while (wanted && n >= 4) {
        size_t length = ink_read_u16(extra + 2);
        if (length > n - 4) {
            break;
        }
        if (ink_read_u16(extra) == 1) {
            if (length < 8 * wanted) {
                break;
            }
            const unsigned char *p = extra + 4;
            for (size_t i = 0; i < INK_COUNT(fields); i++) {
                if (*fields[i] == 0xFFFFFFFF) {
                    *fields[i] = ink_read_u64(p);
                    p += 8;
                }
            }
            return INK_OK;
        }
        extra += 4 + length;
        n -= 4 + length;
    }
    return wanted ? reject(d, "an entry's zip64 sizes are missing") : INK_OK;
}

static bool is_safe_name(const char *name, size_t n)
{
    if (n < 1 || n > max_name || name[0] == '/' || memchr(name, 0, n) || memchr(name, '\\', n) ||
        memchr(name, ':', n) || ink_utf8_valid_prefix(name, n) != n) {
        return false;
    }
    for (size_t i = 0; i + 1 < n; i++) {
        if (name[i] == '.' && name[i + 1] == '.') {
            return false;
        }
    }
    return true;
}

/* The entry of the central directory at *at; moves *at behind it. */
static int read_central(const struct directory *d, struct header *h, uint64_t *at)
{
    const unsigned char *p = d->file->data + *at;
    uint64_t room = d->end - *at;
    if (room < central_size || memcmp(p, "PK\1\2", 4) != 0) {
        return reject(d, "the central directory is damaged");
    }
    *h = (struct header){.flags = ink_read_u16(p + 8),
                         .method = ink_read_u16(p + 10),
                         .compressed = ink_read_u32(p + 20),
                         .size = ink_read_u32(p + 24),
                         .local = ink_read_u32(p + 42),
                         .name = (const char *)p + central_size,
                         .n_name = ink_read_u16(p + 28),
                         .n_extra = ink_read_u16(p + 30)};
    uint64_t length = (uint64_t)central_size + h->n_name + h->n_extra + ink_read_u16(p + 32);
    if (length > room) {
        return reject(d, "the central directory is damaged");
    }
    if (ink_read_u16(p + 34) != 0) {
        return reject(d, "parts of it are on another disk");
    }
    *at += length;
    return apply_zip64(d, h, p + central_size + h->n_name, h->n_extra);
}

static int check_central(const struct directory *d, const struct header *h)
{
    if (!is_safe_name(h->name, h->n_name)) {
        return reject(d, "an entry's name is not a plain relative path");
    }
    if (h->flags & flag_encrypted) {
        return reject(d, "an entry is encrypted");
    }
    if (h->method != 0) {
        return reject(d, "an entry is compressed; torch.save never does that");
    }
    if (h->size != h->compressed) {
        return reject(d, "an entry's two sizes differ");
    }
    return INK_OK;
}

/* A local header repeats the entry; its sizes may be left to a descriptor behind the data. */
static int read_local(const struct directory *d, struct ink_zip_entry *entry, struct extent *extent,
                      const struct header *h)
{
    if (h->local > d->begin || d->begin - h->local < local_size) {
        return reject(d, "an entry lies outside the file");
    }
    const unsigned char *p = d->file->data + h->local;
    uint64_t room = d->begin - h->local - local_size;
    size_t n_name = ink_read_u16(p + 26);
    size_t n_extra = ink_read_u16(p + 28);
    if (memcmp(p, "PK\3\4", 4) != 0 || n_name != h->n_name || n_name + n_extra > room ||
        memcmp(p + local_size, h->name, n_name) != 0 || ink_read_u16(p + 8) != h->method ||
        ((ink_read_u16(p + 6) ^ h->flags) & (flag_encrypted | flag_descriptor)) != 0) {
        return reject(d, "an entry's two headers contradict each other");
    }
    if (h->size > room - n_name - n_extra) {
        return reject(d, "an entry lies outside the file");
    }
    struct header local = {.compressed = ink_read_u32(p + 18), .size = ink_read_u32(p + 22)};
    bool is_postponed = (h->flags & flag_descriptor) && local.size == 0 && local.compressed == 0;
    if (!is_postponed) {
        int status = apply_zip64(d, &local, p + local_size + n_name, n_extra);
        if (status != INK_OK) {
            return status;
        }
        if (local.size != h->size || local.compressed != h->size) {
            return reject(d, "an entry's two headers contradict each other");
        }
    }
    *entry = (struct ink_zip_entry){h->name, h->n_name, p + local_size + n_name + n_extra, h->size};
    *extent = (struct extent){h->local, h->local + local_size + n_name + n_extra + h->size};
    return INK_OK;
}

static int read_entries(struct directory *d, struct ink_zip *zip)
{
    uint64_t at = d->begin;
    while (zip->n_entries < d->n_entries) {
        struct header h;
        int status = read_central(d, &h, &at);
        if (status == INK_OK) {
            status = check_central(d, &h);
        }
        if (status == INK_OK) {
            status = read_local(d, &zip->entries[zip->n_entries], &d->extents[zip->n_entries], &h);
        }
        if (status != INK_OK) {
            return status;
        }
        zip->n_entries++;
    }
    return at == d->end ? INK_OK : reject(d, "the central directory is damaged");
}

/* ---------------------------------------------------------------------------------- all of them */

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static int compare_names(const char *a, size_t n_a, const char *b, size_t n_b)
{
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : n_a < n_b ? -1 : n_a > n_b;
}

static int compare_entries(const void *a, const void *b)
{
    const struct ink_zip_entry *x = a, *y = b;
    return compare_names(x->name, x->n_name, y->name, y->n_name);
}

/* Between the entries there is room for a descriptor at most: nothing can hide in the file. */
static int check_extents(struct directory *d, const struct ink_zip *zip)
{
    qsort(d->extents, zip->n_entries, sizeof *d->extents, compare_extents);
    uint64_t at = 0;
    for (size_t i = 0; i <= zip->n_entries; i++) {
        uint64_t next = i < zip->n_entries ? d->extents[i].begin : d->begin;
        if (next < at) {
            return reject(d, "two entries overlap");
        }
        if (next - at > (i > 0 ? descriptor_size : 0)) {
            return reject(d, "there are bytes that belong to no entry");
        }
        at = i < zip->n_entries ? d->extents[i].end : at;
    }
    return INK_OK;
}

static int check_names(const struct directory *d, const struct ink_zip *zip)
{
    for (size_t i = 1; i < zip->n_entries; i++) {
        if (compare_entries(&zip->entries[i - 1], &zip->entries[i]) == 0) {
            return reject(d, "two entries have the same name");
        }
    }
    return INK_OK;
}

int ink_zip_read(struct ink_zip *out, const struct ink_mapping *file, const char *path,
                 struct ink_error *error)
{
    *out = (struct ink_zip){0};
    struct directory d = {.file = file, .path = path, .error = error};
    int status = read_end(&d);
    if (status != INK_OK) {
        return status;
    }
    if (d.n_entries > max_entries || d.n_entries > (d.end - d.begin) / central_size) {
        return reject(&d, "it has more entries than fit, or than a model needs");
    }
    out->entries = ink_calloc((size_t)d.n_entries, sizeof *out->entries);
    d.extents = ink_calloc((size_t)d.n_entries, sizeof *d.extents);
    if (!out->entries || !d.extents) {
        status = ink_fail_memory(error, d.n_entries * sizeof *out->entries);
    }
    if (status == INK_OK) {
        status = read_entries(&d, out);
    }
    if (status == INK_OK) {
        status = check_extents(&d, out);
    }
    if (status == INK_OK) {
        qsort(out->entries, out->n_entries, sizeof *out->entries, compare_entries);
        status = check_names(&d, out);
    }
    ink_free(d.extents);
    if (status != INK_OK) {
        ink_zip_close(out);
    }
    return status;
}

void ink_zip_close(struct ink_zip *zip)
{
    ink_free(zip->entries);
    *zip = (struct ink_zip){0};
}

const struct ink_zip_entry *ink_zip_find(const struct ink_zip *zip, const char *name, size_t n_name)
{
    size_t low = 0, high = zip->n_entries;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct ink_zip_entry *e = &zip->entries[middle];
        int order = compare_names(name, n_name, e->name, e->n_name);
        if (order == 0) {
            return e;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}
