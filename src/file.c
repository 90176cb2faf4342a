#include "file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool ink_is_lfs_pointer(const struct ink_mapping *mapping)
{
    static const char start[] = "version https://git-lfs";
    size_t n = sizeof start - 1;
    return mapping->size >= n && memcmp(mapping->data, start, n) == 0;
}

int ink_writer_put(struct ink_writer *w, const void *bytes, size_t n, struct ink_error *error)
{
    if (n > 0 && fwrite(bytes, 1, n, w->stream) != n) {
        return ink_fail_write(error, w->path, errno);
    }
    w->written += n;
    return INK_OK;
}

int ink_writer_align(struct ink_writer *w, size_t alignment, struct ink_error *error)
{
    static const char zeros[64];
    int status = INK_OK;
    size_t n = (size_t)((alignment - w->written % alignment) % alignment);
    while (n > 0 && status == INK_OK) {
        size_t part = n < sizeof zeros ? n : sizeof zeros;
        status = ink_writer_put(w, zeros, part, error);
        n -= part;
    }
    return status;
}
