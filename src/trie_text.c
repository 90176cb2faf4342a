/* Where a trie holds plain text: below such a node a grammar that reads any characters, of the
 * kinds that are there, allows every token, so that walks need not look at them. */
#include "trie.h"

enum { least_nodes = 3, most_texts = UINT16_MAX, not_text = UINT32_MAX };

int ink_trie_kind(unsigned lead)
{
    if (lead >= 0x20 && lead < 0x80) {
        return lead == '"' || lead == '\\' ? -1 : (int)lead;
    }
    if (lead >= 0xC2 && lead <= 0xDF) {
        return 16 + (int)(lead - 0xC2) / 2;
    }
    if (lead >= 0xE0 && lead <= 0xEF) {
        return (int)lead - 0xE0;
    }
    return lead >= 0xF0 && lead <= 0xF4 ? 31 : -1;
}

int ink_trie_follow(unsigned lead, unsigned *low, unsigned *high)
{
    *low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80; /* Unicode's table 3-7 */
    *high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    return lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
}

/* Add to *text what follows `node`, of whose character n bytes are missing, the first of them
 * low..high. texts: of the nodes behind it. */
static void add_below(const struct ink_trie *trie, const struct ink_trie_text *texts,
                      struct ink_trie_text *text, uint32_t node, int n, unsigned low, unsigned high)
{
    const struct ink_trie_text *below = &texts[node];
    if (n == 0) {
        if (below->height == not_text) {
            text->height = not_text;
        } else if (text->height != not_text) {
            text->kinds[0] |= below->kinds[0];
            text->kinds[1] |= below->kinds[1];
            text->height = text->height > below->height ? text->height : below->height + 1;
        }
        return;
    }
    if (ink_trie_n_tokens(&trie->nodes[node]) > 0) {
        text->height = not_text;
    }
    for (uint32_t c = node + 1; c < trie->nodes[node].end && text->height != not_text;
         c = trie->nodes[c].end) {
        const unsigned byte = trie->nodes[c].byte;
        if (byte < low || byte > high) {
            text->height = not_text;
        } else {
            add_below(trie, texts, text, c, n - 1, 0x80, 0xBF);
        }
    }
}

static void find_text(const struct ink_trie *trie, struct ink_trie_text *texts, uint32_t node)
{
    struct ink_trie_text *text = &texts[node];
    for (uint32_t c = node + 1; c < trie->nodes[node].end && text->height != not_text;
         c = trie->nodes[c].end) {
        const unsigned lead = trie->nodes[c].byte;
        const int kind = ink_trie_kind(lead);
        unsigned low, high;
        const int n = ink_trie_follow(lead, &low, &high);
        if (kind < 0) {
            text->height = not_text;
            return;
        }
        text->kinds[kind / 64] |= (uint64_t)1 << kind % 64;
        add_below(trie, texts, text, c, n, low, high);
    }
}

int ink_trie_find_texts(struct ink_trie *trie, struct ink_error *error)
{
    struct ink_trie_text *all = ink_calloc((size_t)trie->n_nodes + 1, sizeof *all);
    trie->text_of = ink_calloc((size_t)trie->n_nodes + 1, sizeof *trie->text_of);
    uint32_t n = 1;
    for (uint32_t i = trie->n_nodes; all && trie->text_of && i-- > 0;) {
        find_text(trie, all, i);
        if (all[i].height != not_text && trie->nodes[i].end - i > least_nodes && n < most_texts) {
            trie->text_of[i] = (uint16_t)n++;
        }
    }
    trie->n_texts = n;
    trie->texts = ink_calloc(n, sizeof *trie->texts);
    const bool is_done = all && trie->text_of && trie->texts;
    for (uint32_t i = 0; is_done && i < trie->n_nodes; i++) {
        if (trie->text_of[i]) {
            trie->texts[trie->text_of[i]] = all[i];
        }
    }
    ink_free(all);
    return is_done ? INK_OK : ink_fail_memory(error, (uint64_t)trie->n_nodes * sizeof *all);
}
