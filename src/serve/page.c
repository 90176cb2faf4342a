#include "page.h"

#include "page_files.h"

#include <string.h>

/* The page's scripts and styles are files, so nothing inline is let in: what a model writes could
 * do no harm even if it became markup. */
const char ink_page_policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                               "img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                               "form-action 'none'; frame-ancestors 'none'";

const struct ink_page_file *ink_page_files(int *n)
{
    *n = ink_page_table_n;
    return ink_page_table;
}

const struct ink_page_file *ink_page_find(const char *path)
{
    for (int i = 0; i < ink_page_table_n; i++) {
        if (strcmp(ink_page_table[i].path, path) == 0) {
            return &ink_page_table[i];
        }
    }
    return NULL;
}
