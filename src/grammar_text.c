/* Places from which plain text goes on whatever it says, as inside a string: what a walk through
 * the trie need not look at. */
#include "grammar.h"

/* The place to which all of the bytes lead; INK_RUN_DEAD: they differ, or it is not known. */
static uint32_t common_next(struct ink_grammar_run *run, uint32_t place, unsigned low,
                            unsigned high)
{
    const uint32_t next = ink_run_next(run, place, low);
    if (next == INK_RUN_UNKNOWN) {
        return INK_RUN_DEAD;
    }
    for (unsigned byte = low + 1; byte <= high && next != INK_RUN_DEAD; byte++) {
        if (ink_run_next(run, place, byte) != next) {
            return INK_RUN_DEAD;
        }
    }
    return next;
}

/* The place to which all characters with this first byte lead. */
static uint32_t after_characters(struct ink_grammar_run *run, uint32_t place, unsigned lead)
{
    unsigned low, high;
    place = common_next(run, place, lead, lead);
    for (int n = ink_trie_follow(lead, &low, &high); n > 0 && place != INK_RUN_DEAD; n--) {
        place = common_next(run, place, low, high);
        low = 0x80;
        high = 0xBF;
    }
    return place;
}

/* The kinds all of whose characters lead to the place to which most do: to where an `e` leads, or
 * else a Chinese character. */
static const struct ink_place_text *text_of(struct ink_grammar_run *run, uint32_t place)
{
    struct ink_place_text *text = &run->table.texts[place];
    if (text->is_known) {
        return text;
    }
    *text = (struct ink_place_text){.is_known = false};
    if (run->table.texts_left == 0) {
        return text;
    }
    run->table.texts_left--;
    uint64_t others[2] = {0};
    uint32_t next = after_characters(run, place, 'e');
    next = next != INK_RUN_DEAD ? next : after_characters(run, place, 0xE5);
    *text = (struct ink_place_text){.next = (uint16_t)next, .is_known = true};
    for (unsigned lead = 0x20; lead <= 0xF4 && next != INK_RUN_DEAD; lead++) {
        const int kind = ink_trie_kind(lead);
        if (kind >= 0) {
            const bool is_same = after_characters(run, place, lead) == next;
            (is_same ? text->kinds : others)[kind / 64] |= (uint64_t)1 << kind % 64;
        }
    }
    text->kinds[0] &= ~others[0];
    text->kinds[1] &= ~others[1];
    return text;
}

bool ink_run_reads_all(struct ink_grammar_run *run, uint32_t node, uint32_t place, uint32_t most,
                       bool ends_matter, uint32_t *dearest)
{
    const struct ink_trie *trie = run->grammar->trie;
    const struct ink_trie_text *wanted = &trie->texts[trie->text_of[node]];
    *dearest = 0;
    for (uint32_t i = 0; i < wanted->height; i++) {
        const struct ink_place_text *text = text_of(run, place);
        if ((wanted->kinds[0] & ~text->kinds[0]) || (wanted->kinds[1] & ~text->kinds[1])) {
            return false;
        }
        place = text->next;
        const struct ink_place *p = &run->table.places[place];
        if (run->table.width > 0 && p->end - p->begin > run->table.width) {
            return false;
        }
        const uint32_t cost = run->table.cost[place];
        *dearest = cost > *dearest ? cost : *dearest;
        if (cost > most || (ends_matter && p->is_complete)) {
            return false;
        }
    }
    return true;
}
