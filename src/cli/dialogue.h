/* The state of `inkstone chat`: what chat.c's loop and chat_commands.c's commands share. */
#ifndef INK_DIALOGUE_H
#define INK_DIALOGUE_H

#include "answer.h"
#include "cli.h"
#include "conversation.h"
#include "lineedit.h"

#include <stdio.h>

struct ink_dialogue {
    struct ink_options options;
    struct ink_model *model;
    struct ink_adapter *adapter; /* NULL: none */
    struct ink_generator *generator;
    struct ink_lineedit *lineedit;
    struct ink_conversation conversation;
    struct ink_answer last; /* figures of the last answer; its text and ids are gone */
    FILE *notes;            /* what is not an answer: stdout on a terminal, else stderr */
    int prompt_cut;         /* plain prompts are cut to so many tokens; 0: never */
    uint64_t n_answers;     /* moves the seed on, so that /regen gives another answer */
    bool interactive, has_template, leaving;
};

/* What comes of a step; a failure that ends the chat is a status below zero. */
enum ink_dialogue_result { INK_DIALOGUE_GOES_ON = 0, INK_DIALOGUE_ENDS = 1 };

/* Put a question and write the answer to stdout. Complains by itself about what only concerns this
 * question. */
int ink_dialogue_ask(struct ink_dialogue *d, const char *question, struct ink_error *error);
/* Answer the last question of the conversation once more. */
int ink_dialogue_answer(struct ink_dialogue *d, struct ink_error *error);
/* A problem that need not end the chat: told on a terminal, else given back. */
int ink_dialogue_trouble(const struct ink_dialogue *d, int status, const struct ink_error *error);

/* Run "/name arguments". */
int ink_dialogue_command(struct ink_dialogue *d, const char *line, struct ink_error *error);

int ink_dialogue_max_new_tokens(const struct ink_dialogue *d);

#endif
