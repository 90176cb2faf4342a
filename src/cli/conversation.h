/* What was said: turns of user and assistant, and the system prompt before them. */
#ifndef INK_CONVERSATION_H
#define INK_CONVERSATION_H

#include "common.h"

enum ink_role { INK_ROLE_USER, INK_ROLE_ASSISTANT, INK_ROLE_SYSTEM };

struct ink_turn {
    enum ink_role role; /* user or assistant */
    char *text;
};

/* Start with {0}. */
struct ink_conversation {
    char *system; /* NULL: none */
    struct ink_turn *turns;
    int n_turns, capacity;
};

void ink_conversation_close(struct ink_conversation *c);
/* Text NULL or "": no system prompt. */
int ink_conversation_set_system(struct ink_conversation *c, const char *text,
                                struct ink_error *error);
int ink_conversation_add(struct ink_conversation *c, enum ink_role role, const char *text,
                         struct ink_error *error);
/* The last turn's role; INK_ROLE_SYSTEM if there are no turns. */
enum ink_role ink_conversation_last(const struct ink_conversation *c);
void ink_conversation_remove_last(struct ink_conversation *c);
/* Forget the oldest question and what was answered to it, unless it is the only one. */
bool ink_conversation_remove_oldest(struct ink_conversation *c);
void ink_conversation_clear(struct ink_conversation *c); /* the system prompt stays */

/* As the model's chat template has it, up to the start of the assistant's turn. */
int ink_conversation_encode(const struct ink_conversation *c, const struct ink_model *model,
                            int32_t **out, size_t *n, struct ink_error *error);

/* {"messages": [{"role", "content"}...]}, as other chat programs write it. */
int ink_conversation_save(const struct ink_conversation *c, const char *path,
                          struct ink_error *error);
/* *c is replaced, or on failure left as it was. */
int ink_conversation_load(struct ink_conversation *c, const char *path, struct ink_error *error);

#endif
