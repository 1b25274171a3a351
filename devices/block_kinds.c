/* What each kind of request means (Virtio 1.2, 5.2.6): see block_state.h. */
#include "devices/block_state.h"

#include <errno.h>

static bool in_range(const struct disk *disk, uint64_t sector, uint64_t bytes)
{
    uint64_t sectors = disk_size(disk) / VIRTIO_BLK_SECTOR;

    return bytes % VIRTIO_BLK_SECTOR == 0 && sector <= sectors &&
           bytes / VIRTIO_BLK_SECTOR <= sectors - sector;
}

static enum virtio_blk_status take_range(struct block_request *r, uint64_t sector, uint64_t bytes)
{
    if (!in_range(&r->block->disk, sector, bytes))
        return VIRTIO_BLK_S_IOERR;
    r->at = sector * VIRTIO_BLK_SECTOR;
    r->left = bytes;
    return VIRTIO_BLK_S_OK;
}

/* How far a transfer has got. */
static int moved(struct block_request *r, ssize_t n)
{
    if (n < 0)
        return (int)n;
    r->at += (uint64_t)n;
    r->left -= (uint64_t)n;
    return r->left > 0 ? -EAGAIN : 0;
}

static enum virtio_blk_status prepare_in(struct block_request *r, uint64_t sector)
{
    return take_range(r, sector, vq_writable(&r->req) - 1);
}

static int work_in(struct block_request *r, unsigned flags)
{
    return moved(r, disk_read(&r->block->disk, &r->req, r->at, r->left, flags));
}

static enum virtio_blk_status prepare_out(struct block_request *r, uint64_t sector)
{
    return take_range(r, sector, vq_readable(&r->req));
}

/* One that failed is told once by the kernel, which has given up what it could not write by then;
 * so whoever asks later is told as well. (An overlay knows what it can try again.) */
static int flush(struct block *b)
{
    int result = b->lost ? b->lost : disk_flush(&b->disk);

    if (!b->disk.overlay)
        b->lost = result;
    return result;
}

/* For a driver that does not flush. */
static int make_last(const struct block_request *r, int result)
{
    return result == 0 && r->block->durable ? flush(r->block) : result;
}

static int work_out(struct block_request *r, unsigned flags)
{
    struct block *b = r->block;
    int result;

    if (flags & DISK_NOWAIT && (b->durable || b->writes_wait))
        return -EAGAIN;
    result = moved(r, disk_write(&b->disk, &r->req, r->at, r->left, flags));
    result = make_last(r, result);
    b->writes_wait |= flags & DISK_NOWAIT && result == -EOPNOTSUPP;
    return result;
}

static enum virtio_blk_status prepare_flush(struct block_request *r, uint64_t sector)
{
    (void)sector;
    r->left = 0;
    return VIRTIO_BLK_S_OK;
}

static int work_flush(struct block_request *r, unsigned flags)
{
    struct block *b = r->block;

    if (flags & DISK_NOWAIT)
        return b->dirty || b->flushes > 0 ? -EAGAIN : 0;
    return flush(b);
}

static enum virtio_blk_status prepare_id(struct block_request *r, uint64_t sector)
{
    (void)sector;
    r->left = 0;
    return vq_writable(&r->req) == VIRTIO_BLK_ID_BYTES + 1 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
}

static int work_id(struct block_request *r, unsigned flags)
{
    (void)flags;
    vq_write(&r->req, r->block->id, VIRTIO_BLK_ID_BYTES);
    return 0;
}

static enum virtio_blk_status take_one_range(struct block_request *r, uint32_t flags_allowed)
{
    struct virtio_blk_range range;

    if (vq_readable(&r->req) != sizeof(range) || !vq_read(&r->req, &range, sizeof(range)))
        return VIRTIO_BLK_S_IOERR;
    if (range.flags & ~flags_allowed)
        return VIRTIO_BLK_S_UNSUPP;
    if (range.sectors > BLOCK_RANGE_SECTORS)
        return VIRTIO_BLK_S_IOERR;
    r->may_unmap = range.flags & VIRTIO_BLK_RANGE_UNMAP;
    return take_range(r, range.sector, (uint64_t)range.sectors * VIRTIO_BLK_SECTOR);
}

static enum virtio_blk_status prepare_discard(struct block_request *r, uint64_t sector)
{
    (void)sector;
    return take_one_range(r, 0);
}

static int work_discard(struct block_request *r, unsigned flags)
{
    if (flags & DISK_NOWAIT)
        return -EAGAIN;
    return r->left > 0 ? disk_discard(&r->block->disk, r->at, r->left) : 0;
}

static enum virtio_blk_status prepare_zeroes(struct block_request *r, uint64_t sector)
{
    (void)sector;
    return take_one_range(r, VIRTIO_BLK_RANGE_UNMAP);
}

static int work_zeroes(struct block_request *r, unsigned flags)
{
    if (flags & DISK_NOWAIT)
        return -EAGAIN;
    return make_last(r, r->left > 0 ? disk_zero(&r->block->disk, r->at, r->left, r->may_unmap) : 0);
}

static const struct block_kind kinds[] = {
    {VIRTIO_BLK_T_IN, "read", .moves_data = true, .prepare = prepare_in, .work = work_in},
    {VIRTIO_BLK_T_OUT, "write", .writes = true, .moves_data = true, .prepare = prepare_out,
     .work = work_out},
    {VIRTIO_BLK_T_FLUSH, "flush", .flushes = true, .prepare = prepare_flush, .work = work_flush},
    {VIRTIO_BLK_T_GET_ID, "id", .prepare = prepare_id, .work = work_id},
    {VIRTIO_BLK_T_DISCARD, "discard", .writes = true, .prepare = prepare_discard,
     .work = work_discard},
    {VIRTIO_BLK_T_WRITE_ZEROES, "write zeroes", .writes = true, .moves_data = true,
     .prepare = prepare_zeroes, .work = work_zeroes},
};

const struct block_kind *block_kind_of(uint32_t type)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (kinds[i].type == type)
            return &kinds[i];
    }
    return NULL;
}
