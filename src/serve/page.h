/* The web page: the files of web/, embedded in the program. */
#ifndef INK_PAGE_H
#define INK_PAGE_H

#include <stddef.h>

struct ink_page_file {
    const char *path; /* "/", "/app.js", ... */
    const char *content_type;
    const char *etag; /* with quotes, from the content */
    const char *data; /* [n] */
    size_t n;
};
/* NULL: there is no such file. */
const struct ink_page_file *ink_page_find(const char *path);
/* All of them, to make routes of. */
const struct ink_page_file *ink_page_files(int *n);

/* Content-Security-Policy of every answer. */
extern const char ink_page_policy[];

#endif
