/*
 * virtio-blk (Virtio 1.2, 5.2): a disk of 512-byte sectors.
 */
#ifndef SAMARA_ABI_VIRTIO_BLK_H
#define SAMARA_ABI_VIRTIO_BLK_H

#include <stdint.h>

#define VIRTIO_BLK_SECTOR 512u
#define VIRTIO_BLK_ID_BYTES                                                                        \
    20u /* of the answer to GET_ID; without NUL if the name is that long                           \
         */

/* Feature bit numbers (5.2.3). */
enum {
    VIRTIO_BLK_F_SIZE_MAX = 1,
    VIRTIO_BLK_F_SEG_MAX = 2,
    VIRTIO_BLK_F_RO = 5,
    VIRTIO_BLK_F_BLK_SIZE = 6,
    VIRTIO_BLK_F_FLUSH = 9,
    VIRTIO_BLK_F_MQ = 12,
    VIRTIO_BLK_F_DISCARD = 13,
    VIRTIO_BLK_F_WRITE_ZEROES = 14,
};

/* Configuration space (5.2.4). */
struct virtio_blk_config {
    uint64_t capacity; /* sectors */
    uint32_t size_max;
    uint32_t seg_max; /* F_SEG_MAX: data segments of a request */
    uint16_t cylinders;
    uint8_t heads, sectors;
    uint32_t blk_size; /* F_BLK_SIZE: best unit of I/O */
    uint8_t physical_block_exp, alignment_offset;
    uint16_t min_io_size;
    uint32_t opt_io_size;
    uint8_t writeback;
    uint8_t unused0;
    uint16_t num_queues;               /* F_MQ */
    uint32_t max_discard_sectors;      /* F_DISCARD: of a range ... */
    uint32_t max_discard_seg;          /* ... and ranges of a request */
    uint32_t discard_sector_alignment; /* sectors */
    uint32_t max_write_zeroes_sectors; /* F_WRITE_ZEROES */
    uint32_t max_write_zeroes_seg;
    uint8_t write_zeroes_may_unmap;
    uint8_t unused1[3];
    uint32_t max_secure_erase_sectors; /* two more follow, of a feature that nobody here has */
};
_Static_assert(sizeof(struct virtio_blk_config) == 64, "5.2.4");

/* What a request begins with; data follows, then one byte of status (5.2.6). */
struct virtio_blk_header {
    uint32_t type; /* enum virtio_blk_type */
    uint32_t reserved;
    uint64_t sector; /* of IN and OUT, else 0 */
};
_Static_assert(sizeof(struct virtio_blk_header) == 16, "5.2.6");

enum virtio_blk_type {
    VIRTIO_BLK_T_IN = 0,
    VIRTIO_BLK_T_OUT = 1,
    VIRTIO_BLK_T_FLUSH = 4,
    VIRTIO_BLK_T_GET_ID = 8,
    VIRTIO_BLK_T_DISCARD = 11,
    VIRTIO_BLK_T_WRITE_ZEROES = 13,
};

enum virtio_blk_status {
    VIRTIO_BLK_S_OK = 0,
    VIRTIO_BLK_S_IOERR = 1,
    VIRTIO_BLK_S_UNSUPP = 2,
};

/* The data of DISCARD and WRITE_ZEROES: a range. */
struct virtio_blk_range {
    uint64_t sector;
    uint32_t sectors;
    uint32_t flags;
};
_Static_assert(sizeof(struct virtio_blk_range) == 16, "5.2.6");

enum { VIRTIO_BLK_RANGE_UNMAP = 1 }; /* WRITE_ZEROES: the space may be given back */

#endif
