/* Sessions and ink_eval: cutting steps into passes. */
#ifndef INK_SESSION_H
#define INK_SESSION_H

#include "model.h"

/* The arrays behind one struct ink_batch of INK_MAX_ROWS rows. */
struct ink_pass_arrays *ink_pass_arrays_new(void); /* NULL if memory ran out */
void ink_pass_arrays_free(struct ink_pass_arrays *a);
uint64_t ink_pass_arrays_bytes(void);

#endif
