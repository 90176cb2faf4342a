#include "spm_proto.h"

#include "utf8.h"

#include <string.h>

/* A precompiled_charsmap is a length (uint32), a double-array trie of that many bytes (Darts,
 * uint32 units), and the replacements, each zero-terminated. SentencePiece walks the trie along the
 * text without bounds, into an array of 32 results. Here every path is walked once. */

enum { max_results = 32, max_replacement = 256, max_depth = 64 };

struct trie {
    const unsigned char *units; /* [n] little-endian uint32 */
    uint32_t n;
    const char *text; /* [n_text] */
    size_t n_text;
};

/* A unit: bits 0-7 and 31 label, 8 leaf below, 9 offset is in steps of 256, 10-30 offset. A leaf's
 * unit has bit 31 set and its value in the others. */
static uint32_t unit_at(const struct trie *t, uint32_t at)
{
    return ink_read_u32(t->units + 4 * (size_t)at);
}

static uint32_t offset_of(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

static uint32_t label_of(uint32_t unit)
{
    return unit & (1u << 31 | 0xFFu);
}

/* A replacement: inside, at the start of a character, ended by a zero, not too long. */
static bool replacement_is_good(const struct trie *t, uint32_t value)
{
    if (value >= t->n_text || ((unsigned char)t->text[value] & 0xC0) == 0x80) {
        return false;
    }
    const size_t left = t->n_text - value;
    return memchr(t->text + value, 0, left < max_replacement ? left : max_replacement) != NULL;
}

/* The children of a node are the units base ^ byte; nodes with equal children share them. */
struct step {
    uint32_t base;
    int next_byte;
    int leaf; /* 1: a rule ends at this node */
    int most; /* rules that end along one path below it, at most */
};

/* The node of unit `at`, not the root. */
static const char *look_at(const struct trie *t, uint32_t at, struct step *node)
{
    const uint32_t unit = unit_at(t, at);
    *node = (struct step){.base = at ^ offset_of(unit), .leaf = (int)(unit >> 8 & 1)};
    if ((node->base | 0xFF) >= t->n) {
        return "its trie points outside itself";
    }
    if (node->leaf && !replacement_is_good(t, unit_at(t, node->base) & 0x7FFFFFFFu)) {
        return "a replacement is outside its text or too long";
    }
    return NULL;
}

enum { on_path = 255 };

/* The next child of steps[*depth]; descends if its children are new. */
static const char *advance(const struct trie *t, unsigned char *seen, struct step *steps,
                           int *depth)
{
    struct step *parent = &steps[*depth], node;
    const uint32_t byte = (uint32_t)parent->next_byte++;
    const uint32_t at = parent->base ^ byte;
    if (label_of(unit_at(t, at)) != byte) {
        return NULL;
    }
    const char *why = look_at(t, at, &node);
    if (why) {
        return why;
    }
    if (seen[node.base] == on_path || *depth + 1 == max_depth) {
        return "its trie has a cycle, or a rule is too long";
    }
    if (seen[node.base] == 0) {
        seen[node.base] = on_path;
        steps[++*depth] = node;
        return NULL;
    }
    const int most = node.leaf + seen[node.base] - 1;
    parent->most = most > parent->most ? most : parent->most;
    return NULL;
}

/* Walk every path once. seen [n]: 0, on_path, or 1 + `most` of the node with that base. */
static const char *walk(const struct trie *t, unsigned char *seen)
{
    struct step steps[max_depth] = {{0}};
    int depth = 0;
    steps[0].base = offset_of(unit_at(t, 0));
    if ((steps[0].base | 0xFF) >= t->n) {
        return "its trie points outside itself";
    }
    seen[steps[0].base] = on_path;
    for (;;) {
        const struct step *step = &steps[depth];
        if (step->next_byte <= 255) {
            const char *why = advance(t, seen, steps, &depth);
            if (why) {
                return why;
            }
            continue;
        }
        seen[step->base] = (unsigned char)(1 + step->most);
        const int most = step->leaf + step->most;
        if (most > max_results) {
            return "too many rules begin with one another";
        }
        if (depth-- == 0) {
            return NULL;
        }
        steps[depth].most = most > steps[depth].most ? most : steps[depth].most;
    }
}

static const char *find_fault(const unsigned char *blob, size_t n, unsigned char *seen)
{
    const uint32_t n_trie = ink_read_u32(blob);
    const struct trie t = {blob + 4, n_trie / 4, (const char *)blob + 4 + n_trie, n - 4 - n_trie};
    if (t.text[t.n_text - 1] != '\0') {
        return "its text has no end";
    }
    if (ink_utf8_valid_prefix(t.text, t.n_text) != t.n_text) {
        return "its text is not UTF-8";
    }
    return walk(&t, seen);
}

int ink_charsmap_check(const unsigned char *blob, size_t n, const char *path,
                       struct ink_error *error)
{
    const char *why = "its length does not fit";
    if (n > 8 && ink_read_u32(blob) < n - 4 && ink_read_u32(blob) % 1024 == 0 &&
        ink_read_u32(blob) > 0) {
        unsigned char *seen = ink_calloc(ink_read_u32(blob) / 4, 1);
        if (!seen) {
            return ink_fail_memory(error, ink_read_u32(blob) / 4);
        }
        why = find_fault(blob, n, seen);
        ink_free(seen);
    }
    if (why) {
        return ink_fail(error, INK_ERROR_INPUT, "%s: precompiled_charsmap is damaged: %s", path,
                        ink_text(why));
    }
    return INK_OK;
}
