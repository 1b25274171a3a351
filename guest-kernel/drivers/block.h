/*
 * Disks: virtio-block devices (Virtio 1.2, 5.2). Whole sectors go through memory of the kernel's
 * own, since the program's may go away while the device works. A call sleeps until its request is
 * done; several threads may have one under way each.
 *
 * Nothing is asked of a device before its disk is first opened: a program that uses none pays for
 * none.
 */
#ifndef GUEST_KERNEL_DRIVERS_BLOCK_H
#define GUEST_KERNEL_DRIVERS_BLOCK_H

#include "guest-kernel/boot/boot_info.h"

#define BLOCK_SECTOR 512u
#define BLOCK_MOST   8
#define BLOCK_PIECE  (128u << 10) /* bytes of a request, at most */

struct block_disk;

/* Once, at boot. */
void block_init(const struct boot_info *info);
unsigned block_count(void);

/* Starts the device if nobody has. NULL if it cannot be. */
struct block_disk *block_disk(unsigned number);

u64 block_bytes(const struct block_disk *disk);
bool block_read_only(const struct block_disk *disk);

/* A buffer of BLOCK_PIECE bytes for requests, one of each thread's; NULL: out of memory. */
void *block_buffer(void);
void block_buffer_free(void *buffer);

/* Move whole sectors, at most BLOCK_PIECE, in range. 0, -EIO or -ENOMEM. */
int block_read(struct block_disk *disk, u64 at, void *buffer, u32 len);
int block_write(struct block_disk *disk, u64 at, void *buffer, u32 len);

/* What was written is on stable storage. Does nothing if the device has no cache. */
int block_flush(struct block_disk *disk);

int block_flush_all(void); /* of those that were started */

/* Gives the range's space back, or makes it zero; whole sectors. -EOPNOTSUPP if the device cannot.
 */
int block_discard(struct block_disk *disk, u64 at, u64 len);
int block_zero(struct block_disk *disk, u64 at, u64 len);

#endif
