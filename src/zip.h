/* The zip containers that torch.save writes: entries stored as they are, no compression. */
#ifndef INK_ZIP_H
#define INK_ZIP_H

#include "file.h"

struct ink_zip_entry {
    const char *name; /* [n_name], in the mapping; UTF-8, relative, no "..", no backslash */
    size_t n_name;
    const unsigned char *data; /* [size], in the mapping */
    uint64_t size;
};

/* Start with {0}. entries [n_entries] are sorted by name (bytes, then length). */
struct ink_zip {
    struct ink_zip_entry *entries;
    size_t n_entries;
};

/* List a zip that is exactly what its end record says: nothing before, between or after its parts
 * but padding inside local headers, no two entries of one name or over the same bytes, no
 * compression, no encryption, one disk. CRCs are not checked. INK_ERROR_INPUT otherwise. */
int ink_zip_read(struct ink_zip *out, const struct ink_mapping *file, const char *path,
                 struct ink_error *error);
void ink_zip_close(struct ink_zip *zip);
/* NULL if there is none of that name. */
const struct ink_zip_entry *ink_zip_find(const struct ink_zip *zip, const char *name,
                                         size_t n_name);

#endif
