/* What m4/embed makes of web/ when inkstone is built. Only page.c uses it. */
#ifndef INK_PAGE_FILES_H
#define INK_PAGE_FILES_H

#include "page.h"

extern const struct ink_page_file ink_page_table[]; /* [ink_page_table_n] */
extern const int ink_page_table_n;

#endif
