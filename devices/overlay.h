/*
 * An overlay: what is written to a disk whose image others share. Blocks of 4 KiB are in the base
 * until they are written for the first time, then in the overlay's file, where a bitmap says so.
 *
 *     header │ bitmap │ data, sparse: a block at the same offset as on the disk
 *
 * docs/overlay-format.md specifies the file. In memory a bit is set once its block has been
 * written, and reaches the file with the next flush, after the block: whatever is interrupted, a
 * block whose bit is set is there, and what was flushed is found again.
 *
 * There may be others between it and the base, which are only read: what snapshots hold of a disk.
 *
 * Who may wait (the disk's thread) may do anything; who may not reads, and overwrites blocks that
 * are in the overlay already. So only one thread sets bits. Ranges and results are as in disk.h.
 */
#ifndef SAMARA_DEVICES_OVERLAY_H
#define SAMARA_DEVICES_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtqueue.h"
#include "monitor/err.h"

#define OVERLAY_MAGIC   "samaraov"
#define OVERLAY_VERSION 1u

enum { OVERLAY_BLOCK = 4096, OVERLAY_BITMAP = 4096 /* where in the file */ };

/* Which base it belongs to: that had this size, and was last changed then. */
struct overlay_base {
    uint64_t size;
    int64_t changed_ns; /* since 1970 */
};

struct overlay;

enum {
    OVERLAY_RESERVES = 1 << 0, /* room for its bitmap, so that a full disk is found out early */
    OVERLAY_LASTS = 1 << 1,    /* on stable storage when it is made */
};

/* Makes an empty one in an empty file. -1 with err. */
int overlay_create(int fd, const struct overlay_base *base, unsigned flags, struct err *err);

/* Where the data begin in the file, and how many bytes before them the bitmap has. */
uint64_t overlay_data_offset(uint64_t size);
uint64_t overlay_bitmap_size(uint64_t size);

/* Checks the file and reads its bitmap. Both descriptors stay the caller's and outlive it; without
 * a base, -1, only blocks that it has can be read. NULL with err. */
struct overlay *overlay_load(int fd, int base_fd, const struct overlay_base *base, struct err *err);

/* `lower`, of the same base, and all beneath it lie between o and the base from here on; before
 * anybody uses o. They and their descriptors become o's. */
void overlay_put_upon(struct overlay *o, struct overlay *lower);
void overlay_free(struct overlay *overlay);

ssize_t overlay_read(struct overlay *overlay, struct vq_request *to, uint64_t at, size_t max,
                     unsigned flags);
ssize_t overlay_write(struct overlay *overlay, struct vq_request *from, uint64_t at, size_t max,
                      unsigned flags);
int overlay_flush(struct overlay *overlay);
int overlay_discard(struct overlay *overlay, uint64_t at, uint64_t len);
int overlay_zero(struct overlay *overlay, uint64_t at, uint64_t len);

/* --- what snapshots want to know; overlay_blocks.c --- */

uint64_t overlay_blocks(const struct overlay *overlay); /* of the disk, the last a part of one */

/* Sets of blocks, 64 to a word, the lowest first: those in the overlay, in it or beneath it, or
 * written since overlay_track. */
enum overlay_set { OVERLAY_OWN, OVERLAY_ALL, OVERLAY_WRITTEN };

uint64_t overlay_word(const struct overlay *overlay, enum overlay_set set, uint64_t word);

/* Of a page of a bitmap, 512 words: what is empty need not be looked at. Where blocks may be added
 * at the moment, in the disk's thread. */
bool overlay_page_is_empty(const struct overlay *overlay, enum overlay_set set, uint64_t page);

/* The next run of blocks of the set, from *first on, which becomes where it begins; how many they
 * are, at most `most`. 0: there is none before `end`, which *first becomes. */
uint64_t overlay_next(const struct overlay *overlay, enum overlay_set set, uint64_t *first,
                      uint64_t end, uint64_t most);

/* Blocks of a set. */
uint64_t overlay_count(const struct overlay *overlay, enum overlay_set set);

/* These blocks as they are now, wherever they lie; what is beyond the disk's end is zero. 0 or
 * -errno. */
int overlay_get(const struct overlay *overlay, uint64_t first, uint64_t count, uint8_t *to);

/* From here on blocks are noted that are written, zeroed or discarded, after that has happened: who
 * forgets one and then reads it has it as it is, or finds it again. Not in the disk's thread. */
void overlay_track(struct overlay *overlay);
void overlay_track_no_more(struct overlay *overlay);
uint64_t overlay_written(const struct overlay *overlay); /* about how many */
void overlay_forget(struct overlay *overlay, uint64_t first, uint64_t count);

/* Nothing was written to it since it was made or emptied. While nobody uses it. */
bool overlay_is_empty(const struct overlay *overlay);

/* Empties it: nothing of what was written stays in it, its file or memory. Once it is durable, if
 * `sync`, that no bit is set any more; otherwise power that fails may leave bits without blocks. By
 * who may wait, while nobody else uses it. 0 or -errno. */
int overlay_clear(struct overlay *overlay, bool sync);

#endif
