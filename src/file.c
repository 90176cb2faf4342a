#include "file.h"

#include <errno.h>
#include <stdio.h>

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
