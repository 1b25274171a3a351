/*
 * libFuzzer: a driver that asks a disk for anything. Input: records of twelve bytes, each a
 * request, its shape and what happens to it. Beside the disk there is a model, and every verdict is
 * known beforehand: status, bytes written, contents of both; after a reset nothing is answered; a
 * chain without room for header and status asks for reset. Links to tests/devices/fake_guest.c.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "devices/block.h"
#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 256 << 10, QUEUE = 16, UNTOUCHED = 0xee };
enum { HEADER = FAKE_DATA, STATUS = FAKE_DATA + 0x100, DATA = FAKE_DATA + 0x1000 };

struct record {
    uint8_t type, shape, fate, pieces;
    uint16_t sector, length;
    uint32_t extra;
};
_Static_assert(sizeof(struct record) == 12, "a record");

enum shape { WHOLE, NO_STATUS, SHORT_HEADER, ODD_LENGTH, FAR_SECTOR, SHAPES };
enum fate { SERVED, RESET_BEFORE_WORK, FATES };

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct fake_guest guest;
static struct worker worker;
static struct event_loop loop;
static struct block *block;
static uint8_t model[SIZE], got[SIZE];
static bool unknown[SIZE]; /* discarded: may read as anything */
static int file = -1, overlay = -1, lower = -1;
static bool with_overlay, with_lower; /* one that is only read lies beneath it */

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- what is asked --- */

struct request {
    uint32_t type;
    uint64_t sector;
    uint32_t length; /* of data */
    bool device_writes;
    struct virtio_blk_range range;
};

static bool is_range(uint32_t type)
{
    return type == VIRTIO_BLK_T_DISCARD || type == VIRTIO_BLK_T_WRITE_ZEROES;
}

static struct request request_of(const struct record *record)
{
    static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 2, 99};
    struct request r = {.type = types[record->type % 8],
                        .sector = record->sector % (SIZE / 512 + 4)};

    r.device_writes = r.type == VIRTIO_BLK_T_IN || r.type == VIRTIO_BLK_T_GET_ID;
    r.length = record->length % 300 * 512;
    if (r.type == VIRTIO_BLK_T_GET_ID)
        r.length = record->extra & 1 ? VIRTIO_BLK_ID_BYTES : record->length % 40;
    if (is_range(r.type)) {
        r.range = (struct virtio_blk_range){r.sector, record->length % 600, record->extra & 3};
        r.length = record->extra & 4 ? record->length % 40 : sizeof(r.range);
        if (record->extra & 8)
            r.range.sectors = record->extra;
    }
    if (record->shape % SHAPES == ODD_LENGTH)
        r.length += 1 + record->extra % 511;
    if (record->shape % SHAPES == FAR_SECTOR)
        r.sector = r.range.sector = UINT64_MAX - record->extra;
    return r;
}

/* --- what is to come of it --- */

static bool fits(uint64_t sector, uint64_t bytes)
{
    return bytes % 512 == 0 && sector <= SIZE / 512 && bytes <= SIZE - sector * 512;
}

static enum virtio_blk_status range_verdict(const struct request *r)
{
    const uint32_t allowed = r->type == VIRTIO_BLK_T_WRITE_ZEROES ? VIRTIO_BLK_RANGE_UNMAP : 0;

    if (r->length != sizeof(r->range))
        return VIRTIO_BLK_S_IOERR;
    if (r->range.flags & ~allowed)
        return VIRTIO_BLK_S_UNSUPP;
    return fits(r->range.sector, (uint64_t)r->range.sectors * 512) ? VIRTIO_BLK_S_OK
                                                                   : VIRTIO_BLK_S_IOERR;
}

static enum virtio_blk_status verdict(const struct request *r)
{
    switch (r->type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
        return fits(r->sector, r->length) ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
    case VIRTIO_BLK_T_FLUSH:
        return VIRTIO_BLK_S_OK;
    case VIRTIO_BLK_T_GET_ID:
        return r->length == VIRTIO_BLK_ID_BYTES ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
        return range_verdict(r);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

static void model_is(uint64_t at, const void *data, size_t len, bool known)
{
    if (data)
        memcpy(model + at, data, len);
    else
        memset(model + at, 0, len);
    memset(unknown + at, !known, len);
}

/* A hole in a file reads as zeroes, discarded or not; an overlay may keep what the base has. */
static void change_model(const struct request *r)
{
    if (r->type == VIRTIO_BLK_T_OUT)
        model_is(r->sector * 512, fake_at(&guest, DATA), r->length, true);
    if (is_range(r->type))
        model_is(r->range.sector * 512, NULL, (size_t)r->range.sectors * 512,
                 r->type == VIRTIO_BLK_T_WRITE_ZEROES || !with_overlay);
}

static bool is_as_modelled(const uint8_t *data, uint64_t at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (data[i] != model[at + i] && !unknown[at + i])
            return false;
    }
    return true;
}

static void check_data(const struct request *r, enum virtio_blk_status status)
{
    const uint8_t *data = fake_at(&guest, DATA);

    if (!r->device_writes || r->length == 0)
        return;
    if (status == VIRTIO_BLK_S_OK && r->type == VIRTIO_BLK_T_IN)
        must(is_as_modelled(data, r->sector * 512, r->length));
    if (status != VIRTIO_BLK_S_OK) /* told to be written, so it is */
        must(data[0] == 0 && data[r->length - 1] == 0);
}

/* --- asking --- */

/* Data in up to three pieces of any size. Returns the last descriptor's number. */
static uint16_t put_data(const struct record *record, const struct request *r, uint16_t at)
{
    const uint16_t flags =
        (uint16_t)(VIRTQ_DESC_F_NEXT | (r->device_writes ? VIRTQ_DESC_F_WRITE : 0));
    uint32_t done = 0;

    for (unsigned i = record->pieces % 3; done < r->length; i--) {
        uint32_t part = i == 0 ? r->length - done : 1 + record->extra % (r->length - done);

        fake_desc(&guest, 0, at, DATA + done, part, flags, (uint16_t)(at + 1));
        at++;
        done += part;
        if (i == 0)
            break;
    }
    return at;
}

static void post(const struct record *record, const struct request *r)
{
    const struct virtio_blk_header header = {.type = r->type, .sector = r->sector};
    const unsigned shape = record->shape % SHAPES;
    uint16_t last;

    memset(fake_at(&guest, DATA), (int)(record->extra >> 8), r->length + 1);
    if (is_range(r->type))
        memcpy(fake_at(&guest, DATA), &r->range, sizeof(r->range));
    memcpy(fake_at(&guest, HEADER), &header, sizeof(header));
    *(uint8_t *)fake_at(&guest, STATUS) = UNTOUCHED;
    if (shape == NO_STATUS || shape == SHORT_HEADER) {
        fake_desc(&guest, 0, 0, HEADER, shape == NO_STATUS ? 16 : record->extra % 15 + 1,
                  shape == NO_STATUS ? 0 : VIRTQ_DESC_F_NEXT, 1);
        fake_desc(&guest, 0, 1, STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    } else {
        fake_desc(&guest, 0, 0, HEADER, 8, VIRTQ_DESC_F_NEXT, 1);
        fake_desc(&guest, 0, 1, HEADER + 8, 8, VIRTQ_DESC_F_NEXT, 2);
        last = put_data(record, r, 2);
        fake_desc(&guest, 0, last, STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    }
    fake_add(&guest, 0, 0);
    fake_kick(&guest, 0);
}

static void start(void)
{
    fake_start(&guest, VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH), 1, QUEUE);
    must(!fake_needs_reset(&guest));
}

static void serve(const struct request *r)
{
    const enum virtio_blk_status want = verdict(r);
    struct virtq_used_elem used;

    while (worker_turn(&worker))
        ;
    must(fake_used(&guest, 0, &used) && used.id == 0);
    must(!fake_used(&guest, 0, &used));
    must(*(uint8_t *)fake_at(&guest, STATUS) == want);
    must(used.len == (r->device_writes ? r->length : 0) + 1);
    if (want == VIRTIO_BLK_S_OK)
        change_model(r);
    check_data(r, want);
}

/* Before the worker came to it: who was quick has answered, nobody else does. */
static void reset(const struct request *r)
{
    const bool waits = worker.jobs != NULL;
    struct virtq_used_elem used;

    if (!waits) {
        serve(r);
        return;
    }
    fake_set_reg(&guest, VIRTIO_MMIO_STATUS, 0);
    must(!worker_turn(&worker));
    must(*(uint8_t *)fake_at(&guest, STATUS) == UNTOUCHED);
    must(!fake_used(&guest, 0, &used));
    start();
}

static void act(const struct record *record)
{
    const unsigned shape = record->shape % SHAPES;
    const struct request r = request_of(record);

    post(record, &r);
    if (shape == NO_STATUS || shape == SHORT_HEADER) {
        must(fake_needs_reset(&guest) && worker.jobs == NULL);
        start();
    } else if (record->fate % FATES == RESET_BEFORE_WORK) {
        reset(&r);
    } else {
        serve(&r);
    }
    must(!fake_needs_reset(&guest));
}

/* It has the second block and the last. */
static void make_lower(const struct overlay_base *base)
{
    const uint64_t last = (SIZE - 1) / OVERLAY_BLOCK, places[] = {1, last};
    uint8_t bits[SIZE / OVERLAY_BLOCK / 8 + 1] = {0};
    const size_t end = SIZE - last * OVERLAY_BLOCK;

    memset(model + OVERLAY_BLOCK, 'l', OVERLAY_BLOCK);
    memset(model + last * OVERLAY_BLOCK, 'l', end);
    if (lower >= 0)
        return;
    lower = memfd_create("lower", 0);
    must(overlay_create(lower, base, 0, NULL) == 0);
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t at = places[i] * OVERLAY_BLOCK;
        const size_t len = places[i] == last ? end : OVERLAY_BLOCK;

        bits[places[i] / 8] |= (uint8_t)(1u << (places[i] % 8));
        must(file_put(lower, model + at, overlay_data_offset(SIZE) + at, len) == 0);
    }
    must(file_put(lower, bits, OVERLAY_BITMAP, sizeof(bits)) == 0);
}

static void put_lower_beneath(const struct disk *disk)
{
    struct overlay *o = overlay_load(dup(lower), disk->fd, &disk->base, NULL);

    must(o != NULL);
    overlay_put_upon(disk->overlay, o);
}

static void make_files(void)
{
    const struct overlay_base base = {.size = SIZE, .changed_ns = 7};

    if (file < 0) {
        fake_open(&guest);
        file = memfd_create("disk", 0);
        overlay = memfd_create("overlay", 0);
    }
    must(ftruncate(file, 0) == 0 && ftruncate(file, SIZE) == 0);
    memset(model, 0, sizeof(model));
    memset(unknown, 0, sizeof(unknown));
    if (!with_overlay)
        return;
    memset(model, 'b', sizeof(model));
    must(pwrite(file, model, SIZE, 0) == SIZE);
    if (with_lower)
        make_lower(&base);
    must(ftruncate(overlay, 0) == 0 && overlay_create(overlay, &base, OVERLAY_RESERVES, NULL) == 0);
}

static void open_disk(void)
{
    struct block_config config = {.id = "fuzz",
                                  .disk = {.fd = dup(file),
                                           .overlay_fd = with_overlay ? dup(overlay) : -1,
                                           .base = {.size = SIZE, .changed_ns = 7}}};
    struct virtio_host host = fake_host(&guest);

    must(disk_start(&config.disk, NULL) == 0);
    if (with_lower)
        put_lower_beneath(&config.disk);
    worker_init(&worker, &lock);
    block = block_new(&config, &host, &worker, &loop, NULL);
    must(block != NULL);
    guest.dev = block_device(block);
    start();
}

/* All of it, by one request. */
static void read_all(void)
{
    const struct record record = {.type = 0};
    const struct request r = {.length = SIZE, .device_writes = true};

    post(&record, &r);
    serve(&r);
}

/* What was flushed is found again; a base is never written. */
static void check_files(void)
{
    const struct record record = {.type = 2};
    const struct request flush = {.type = VIRTIO_BLK_T_FLUSH};

    post(&record, &flush);
    serve(&flush);
    block_free(block);
    open_disk();
    read_all();
    must(pread(file, got, SIZE, 0) == SIZE && lseek(file, 0, SEEK_END) == SIZE);
    for (size_t i = 0; i < SIZE && with_overlay; i++)
        must(got[i] == 'b');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;

    if (size == 0)
        return 0;
    with_overlay = data[0] & 1;
    with_lower = with_overlay && data[0] & 2;
    data++;
    size--;
    device_lock_take(&lock);
    make_files();
    open_disk();
    for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
        memcpy(&record, data, sizeof(record));
        act(&record);
    }
    check_files();
    block_free(block);
    device_lock_release(&lock);
    return 0;
}
