/* API keys: from the command line and from a file, one a line ("#" begins a comment). */
#ifndef INK_KEYS_H
#define INK_KEYS_H

#include "common.h"

struct ink_keys;
/* `file` may be NULL. A key is 8 to 256 visible ASCII characters. INK_ERROR_INPUT names the line,
 * never the key; a file without a key is one too. *warning (malloc'ed, or NULL): others may read
 * the file. Keys are kept as digests only. */
int ink_keys_open(struct ink_keys **out, const char *const *keys, int n_keys, const char *file,
                  char **warning, struct ink_error *error);
void ink_keys_close(struct ink_keys *k);
/* Read the file anew; on failure the old keys stay. Any thread. */
int ink_keys_reload(struct ink_keys *k, char **warning, struct ink_error *error);
/* Is the Authorization header ("Bearer KEY"; NULL: none) one of them? Takes the same time for every
 * wrong key. Any thread. */
bool ink_keys_allow(struct ink_keys *k, const char *authorization);

#endif
