/* See checksum.h. Debian's library is glibc's; its header has all of it, which musl can have too.
 */
#include "monitor/snapshot/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

_Static_assert(sizeof(struct checksum) == sizeof(XXH3_state_t) &&
                   _Alignof(struct checksum) == _Alignof(XXH3_state_t),
               "struct checksum is xxhash's state");
_Static_assert(DIGEST_SIZE == sizeof(XXH128_canonical_t), "a digest");

static const XXH3_state_t *state_of(const struct checksum *c)
{
    return (const void *)c;
}

void checksum_begin(struct checksum *c)
{
    XXH3_128bits_reset((void *)c); /* the same as XXH3_64bits_reset */
}

void checksum_add(struct checksum *c, const void *bytes, size_t size)
{
    XXH3_128bits_update((void *)c, bytes, size);
}

uint64_t checksum_64(const struct checksum *c)
{
    return XXH3_64bits_digest(state_of(c));
}

void checksum_128(const struct checksum *c, uint8_t digest[DIGEST_SIZE])
{
    XXH128_canonicalFromHash((void *)digest, XXH3_128bits_digest(state_of(c)));
}
