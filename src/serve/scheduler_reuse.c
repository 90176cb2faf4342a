/* What need not be read again: prefixes of prompts that the cache holds, or another slot. */
#include "scheduler_internal.h"

/* Whole blocks of what the slot has read go into the prefix cache. */
void ink_reuse_keep(struct ink_scheduler *s, const struct ink_slot *slot)
{
    const struct ink_session *session = ink_generator_session(slot->generator);
    int n, read = ink_session_length(session);
    const int32_t *text = ink_generator_text(slot->generator, &n);
    struct ink_prefix_place place = ink_prefix_begin(slot->variant);
    for (int i = 0; s->prefix && (i + 1) * INK_BLOCK <= read; i++) {
        struct ink_prefix_place next = place;
        if (!ink_prefix_find(s->prefix, &next, text + i * INK_BLOCK)) {
            next = place;
            void *data = ink_prefix_add(s->prefix, &next, text + i * INK_BLOCK);
            if (!data) {
                return;
            }
            ink_session_read_block(session, data, i);
        }
        place = next;
    }
}

/* From the prefix cache: blocks from `block` on. Returns the first that is not there. */
static int restore_from_cache(struct ink_scheduler *s, struct ink_slot *slot, int block)
{
    const struct ink_job_request *r = &slot->job->r;
    struct ink_prefix_place place = ink_prefix_begin(slot->variant);
    const void *data;
    for (int i = 0; s->prefix && (i + 1) * INK_BLOCK < r->n_prompt &&
                    (data = ink_prefix_find(s->prefix, &place, r->prompt + i * INK_BLOCK)) != NULL;
         i++) {
        if (i == block && ink_generator_put_block(slot->generator, data, i)) {
            block++;
        }
    }
    return block;
}

/* From another slot that reads or writes a text that begins alike. */
static void restore_from_slot(struct ink_scheduler *s, struct ink_slot *slot, int block)
{
    const struct ink_job_request *r = &slot->job->r;
    const struct ink_session *from = NULL;
    int most = 0;
    for (int i = 0; i < s->options.n_slots; i++) {
        const struct ink_slot *other = &s->slots[i];
        int shared = other != slot && other->variant == slot->variant
                         ? ink_generator_shared(other->generator, r->prompt, r->n_prompt)
                         : 0;
        if (shared > most) {
            most = shared;
            from = ink_generator_session(other->generator);
        }
    }
    for (; (block + 1) * INK_BLOCK <= most; block++) {
        ink_session_read_block(from, s->block, block);
        if (!ink_generator_put_block(slot->generator, s->block, block)) {
            return;
        }
    }
}

int ink_reuse_restore(struct ink_scheduler *s, struct ink_slot *slot)
{
    int n_prompt = slot->job->r.n_prompt;
    int read = n_prompt - ink_generator_unread(slot->generator);
    restore_from_slot(s, slot, restore_from_cache(s, slot, read / INK_BLOCK));
    return n_prompt - ink_generator_unread(slot->generator);
}

/* Tokens that two prompts begin with alike. */
static int shared_prompt(const struct ink_job_request *a, const struct ink_job_request *b)
{
    int n = 0, most = a->n_prompt < b->n_prompt ? a->n_prompt : b->n_prompt;
    while (n < most && a->prompt[n] == b->prompt[n]) {
        n++;
    }
    return n;
}

bool ink_reuse_follow(struct ink_scheduler *s, struct ink_slot *slot, struct ink_slot *const *older,
                      int n_older)
{
    int read = slot->job->r.n_prompt - ink_generator_unread(slot->generator);
    for (int i = 0; i < n_older; i++) {
        const struct ink_slot *other = older[i];
        int shared =
            other->variant == slot->variant ? shared_prompt(&other->job->r, &slot->job->r) : 0;
        if (shared < read + INK_BLOCK) {
            continue;
        }
        restore_from_slot(s, slot, read / INK_BLOCK);
        read = slot->job->r.n_prompt - ink_generator_unread(slot->generator);
        if (other->is_reading && shared >= read + INK_BLOCK) {
            return true;
        }
    }
    return false;
}
