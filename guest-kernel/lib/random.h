/* Random bytes for the kernel and the program: ChaCha20 keyed by the monitor's seed. */
#ifndef GUEST_LIB_RANDOM_H
#define GUEST_LIB_RANDOM_H

#include "guest-kernel/lib/base.h"

/* Replaces the key by a hash-like mix of the old key and the 32 seed bytes; erases seed. */
void random_seed(u8 seed[32]);

/* renewed() is true if this machine has become another, a clone, since it was last asked, and has
 * been seeded anew. NULL, as at first: it never does. */
void random_watch(bool (*renewed)(void));

/* A function of these 32-bit words, 12 at most, that nobody can guess who does not know a secret of
 * this machine's; a clone has another. */
u32 random_function(const u32 *words, unsigned count);

/* Fills buf. A machine that becomes another meanwhile does not get what its siblings get. After
 * each call the key is replaced, so that earlier output cannot be recovered. */
void random_bytes(void *buf, size_t len);

#endif
