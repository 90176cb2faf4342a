/* The translations behind ink_text and ink_fail: one table, English format to Chinese format. */
#ifndef INK_TEXTS_H
#define INK_TEXTS_H

/* NULL where the table has no such text. A test holds the sources and this table together: every
 * literal given to ink_fail or ink_text must be here, with the same conversions in the same
 * order. */
const char *ink_texts_find_chinese(const char *english);

#endif
