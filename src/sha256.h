/* SHA-256 (FIPS 180-4), to recognise published files. Our own: a hundred lines are less than a
 * dependency, and nothing here keeps a secret. */
#ifndef INK_SHA256_H
#define INK_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct ink_sha256 {
    uint32_t state[8];
    uint64_t n_bytes;
    unsigned char block[64]; /* the bytes that do not fill a block yet */
};

void ink_sha256_start(struct ink_sha256 *s);
void ink_sha256_add(struct ink_sha256 *s, const void *bytes, size_t n);
/* The digest as 64 hexadecimal digits, lower case, and a terminator. *s is then used up. */
void ink_sha256_finish(struct ink_sha256 *s, char hex[65]);

#endif
