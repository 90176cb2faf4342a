/* Compiled grammars by what they were compiled of, so that a request whose schema or tools came
 * before neither compiles them again nor begins without masks.
 *
 * Any thread. A grammar that was taken stays until it is released, whether it is kept or not; kept
 * are the 32 used last, and of those no more than 16 MiB. */
#ifndef INK_GRAMMARS_H
#define INK_GRAMMARS_H

#include "inkstone.h"

#include <stdbool.h>
#include <stddef.h>

enum { INK_GRAMMARS_KEPT = 32, INK_GRAMMARS_BYTES = 16 << 20 };

struct ink_grammars;
/* One of them, while somebody has it. */
struct ink_grammar_use;

/* What a grammar is of: `tools`, or else n bytes of a JSON Schema, or if `schema` is NULL, too, any
 * JSON object. */
struct ink_grammar_source {
    const struct ink_tools *tools;
    const char *schema;
    size_t n;
};

/* Also compiles the grammar of any JSON object, so that the index of the model's vocabulary is
 * there before the first request. The model must stay open. */
int ink_grammars_open(struct ink_grammars **out, const struct ink_model *model,
                      struct ink_error *error);
/* All must have been released. */
void ink_grammars_close(struct ink_grammars *g);
/* The kept grammar, or a new one. Errors are those of ink_grammar_open_*. */
int ink_grammars_take(struct ink_grammars *g, struct ink_grammar_use **out,
                      const struct ink_grammar_source *source, struct ink_error *error);
const struct ink_grammar *ink_grammar_use_get(const struct ink_grammar_use *use);
/* NULL: nothing. */
void ink_grammars_release(struct ink_grammars *g, struct ink_grammar_use *use);
/* How many are kept, and their bytes. */
int ink_grammars_kept(struct ink_grammars *g, uint64_t *bytes);

#endif
