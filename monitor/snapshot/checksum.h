/*
 * XXH3: what a snapshot's records and memory are checked with. It finds damage, not forgery:
 * whoever can write a snapshot can write its checksums.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_CHECKSUM_H
#define SAMARA_MONITOR_SNAPSHOT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 16

/* Of bytes that come in pieces; both kinds of result may be asked for, at any time. */
struct checksum {
    _Alignas(64) unsigned char state[576];
};

void checksum_begin(struct checksum *c);
void checksum_add(struct checksum *c, const void *bytes, size_t size);
uint64_t checksum_64(const struct checksum *c);
void checksum_128(const struct checksum *c, uint8_t digest[DIGEST_SIZE]); /* canonical form */

#endif
