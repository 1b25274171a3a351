/* The block device against a driver of few scruples, upon a file, with a worker's thread or none.
 */
#include "devices/block_state.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "abi/virtio_blk.h"
#include "tests/devices/fake_guest.h"

enum { SIZE = 1 << 20, QUEUE = 64, HEADER = FAKE_DATA, STATUS = FAKE_DATA + 0x100 };
enum { DATA = FAKE_DATA + 0x1000, UNTOUCHED = 0xee };

static const uint64_t flushes = VIRTIO_FEATURE(VIRTIO_BLK_F_FLUSH);

static struct fake_guest guest;
static struct device_lock lock = DEVICE_LOCK_INIT;
static struct worker worker;
static struct event_loop loop;
static pthread_t thread;
static bool has_thread;
static struct block *block;
static int file;
static uint16_t next;

static void *worker_main(void *arg)
{
    (void)arg;
    worker_run(&worker);
    return NULL;
}

static int overlay;
static struct rate_config limit;

static struct overlay_base the_base(void)
{
    return (struct overlay_base){.size = SIZE, .changed_ns = 1};
}

static void make(bool read_only, bool with_thread)
{
    char path[] = "/tmp/samara-block.XXXXXX";
    struct block_config config = {.number = 3, .id = "serial"};
    struct virtio_host host;

    fake_open(&guest);
    host = fake_host(&guest);
    file = mkstemp(path);
    for (uint64_t i = 0; i < SIZE / 8; i++)
        cr_assert_eq(pwrite(file, &i, 8, (off_t)(i * 8)), 8);
    config.disk = (struct disk){.overlay_fd = -1, .base = {.size = SIZE}, .read_only = read_only};
    config.disk.fd = open(path, read_only ? O_RDONLY : O_RDWR);
    if (overlay > 0) {
        config.disk.overlay_fd = dup(overlay);
        config.disk.base = the_base();
        cr_assert_eq(disk_start(&config.disk, NULL), 0);
    }
    unlink(path);
    cr_assert_eq(loop_init(&loop, &lock, NULL), 0);
    config.rate = limit;
    worker_init(&worker, &lock);
    has_thread = with_thread;
    if (with_thread)
        pthread_create(&thread, NULL, worker_main, NULL);
    block = block_new(&config, &host, &worker, &loop, NULL);
    cr_assert(block);
    guest.dev = block_device(block);
    device_lock_take(&lock);
    fake_start(&guest, flushes, 1, QUEUE);
    device_lock_release(&lock);
}

static void make_both(void)
{
    make(false, true);
}

static void unmake(void)
{
    if (has_thread) {
        worker_stop(&worker);
        pthread_join(thread, NULL);
    }
    block_free(block);
    loop_close(&loop);
    fake_close(&guest);
    close(file);
}

static void make_read_only(void)
{
    make(true, true);
}

static void make_overlay(void)
{
    const struct overlay_base base = the_base();
    char path[] = "/tmp/samara-overlay.XXXXXX";

    overlay = mkstemp(path);
    unlink(path);
    cr_assert_eq(overlay_create(overlay, &base, OVERLAY_RESERVES | OVERLAY_LASTS, NULL), 0);
    make(false, true);
}

static void make_without_thread(void)
{
    make(false, false);
}

TestSuite(block, .init = make_both, .fini = unmake, .timeout = 60);
static void make_limited(void)
{
    limit = (struct rate_config){.bytes = 65536, .burst_ns = 1000000000};
    make(false, true);
}

TestSuite(block_limited, .init = make_limited, .fini = unmake, .timeout = 60);
TestSuite(block_overlay, .init = make_overlay, .fini = unmake, .timeout = 60);
TestSuite(block_read_only, .init = make_read_only, .fini = unmake, .timeout = 60);
TestSuite(block_without_worker, .init = make_without_thread, .fini = unmake, .timeout = 60);

static void kick(void)
{
    device_lock_take(&lock);
    fake_kick(&guest, 0);
    device_lock_release(&lock);
}

/* A chain of header, `len` bytes of data and a status; not yet seen by the device. */
static uint16_t post(uint32_t type, uint64_t sector, uint32_t len, bool device_writes)
{
    const struct virtio_blk_header header = {.type = type, .sector = sector};
    uint16_t head = next;

    memcpy(fake_at(&guest, HEADER), &header, sizeof(header));
    memset(fake_at(&guest, STATUS), UNTOUCHED, 1);
    fake_desc(&guest, 0, head, HEADER, sizeof(header), VIRTQ_DESC_F_NEXT, (uint16_t)(head + 1));
    if (len > 0)
        fake_desc(&guest, 0, (uint16_t)(head + 1), DATA, len,
                  (uint16_t)(VIRTQ_DESC_F_NEXT | (device_writes ? VIRTQ_DESC_F_WRITE : 0)),
                  (uint16_t)(head + 2));
    fake_desc(&guest, 0, (uint16_t)(head + (len > 0 ? 2 : 1)), STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest, 0, head);
    next = (uint16_t)((next + 3) % (QUEUE - 3));
    return head;
}

static bool answered(struct virtq_used_elem *elem)
{
    bool there;

    device_lock_take(&lock);
    there = fake_used(&guest, 0, elem);
    device_lock_release(&lock);
    return there;
}

/* The status, after waiting for the worker if need be; *written: what the device said it wrote. */
static int request(uint32_t type, uint64_t sector, uint32_t len, bool device_writes,
                   uint32_t *written)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    struct virtq_used_elem elem;
    uint16_t head = post(type, sector, len, device_writes);

    kick();
    for (int i = 0; !answered(&elem); i++) {
        cr_assert_lt(i, 5000, "no answer");
        nanosleep(&moment, NULL);
    }
    cr_assert_eq(elem.id, head);
    if (written)
        *written = elem.len;
    return *(uint8_t *)fake_at(&guest, STATUS);
}

static int read_disk(uint64_t sector, uint32_t len)
{
    uint32_t written;
    int status = request(VIRTIO_BLK_T_IN, sector, len, true, &written);

    cr_assert_eq(written, len + 1);
    return status;
}

static int write_disk(uint64_t sector, uint32_t len)
{
    uint32_t written;
    int status = request(VIRTIO_BLK_T_OUT, sector, len, false, &written);

    cr_assert_eq(written, 1);
    return status;
}

static uint64_t file_word(uint64_t at)
{
    uint64_t word;

    cr_assert_eq(pread(file, &word, sizeof(word), (off_t)at), sizeof(word));
    return word;
}

static void assert_alive(void)
{
    cr_assert(!fake_needs_reset(&guest));
    cr_assert_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
}

/* --- reading and writing --- */

Test(block, what_is_in_memory_is_read_within_the_notification)
{
    struct virtq_used_elem elem;

    post(VIRTIO_BLK_T_IN, 100, 4096, true);
    kick();
    cr_assert(answered(&elem));
    cr_assert_eq(elem.len, 4097);
    for (uint64_t i = 0; i < 512; i++)
        cr_assert_eq(((uint64_t *)fake_at(&guest, DATA))[i], 100 * 64 + i);
    cr_assert_eq(guest.irqs, 1);
}

Test(block, a_write_reaches_the_file_and_a_large_read_comes_from_the_worker)
{
    memset(fake_at(&guest, DATA), 'w', 8192);
    cr_assert_eq(write_disk(8, 8192), VIRTIO_BLK_S_OK);
    cr_assert_eq(file_word(8 * 512), 0x7777777777777777);
    cr_assert_eq(file_word(8 * 512 + 8184), 0x7777777777777777);
    cr_assert_eq(file_word(8 * 512 + 8192), (8 * 512 + 8192) / 8);
    cr_assert_eq(read_disk(0, SIZE), VIRTIO_BLK_S_OK);
    cr_assert_eq(*(uint64_t *)fake_at(&guest, DATA + 8 * 512), 0x7777777777777777);
    cr_assert_eq(*(uint64_t *)fake_at(&guest, DATA + SIZE - 8), SIZE / 8 - 1);
}

Test(block, flush_and_id_are_answered)
{
    char id[20];

    cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(VIRTIO_BLK_T_GET_ID, 0, 20, true, NULL), VIRTIO_BLK_S_OK);
    memcpy(id, fake_at(&guest, DATA), sizeof(id));
    cr_assert_str_eq(id, "serial");
    cr_assert_eq(request(VIRTIO_BLK_T_GET_ID, 0, 19, true, NULL), VIRTIO_BLK_S_IOERR);
}

static int clear(uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    const struct virtio_blk_range range = {sector, sectors, flags};

    memcpy(fake_at(&guest, DATA), &range, sizeof(range));
    return request(type, 0, sizeof(range), false, NULL);
}

Test(block, ranges_are_zeroed_or_given_back)
{
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 16, 8, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(file_word(16 * 512), 0);
    cr_assert_eq(file_word(24 * 512 - 8), 0);
    cr_assert_eq(file_word(24 * 512), 24 * 64);
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 32, 8, VIRTIO_BLK_RANGE_UNMAP), VIRTIO_BLK_S_OK);
    cr_assert_eq(file_word(32 * 512), 0);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 48, 8, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(file_word(56 * 512), 56 * 64);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, 0, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(lseek(file, 0, SEEK_END), SIZE);
}

/* A byte each: header, data, and the status with the last of what is read. */
Test(block, a_request_may_be_divided_anywhere)
{
    const struct virtio_blk_header header = {.type = VIRTIO_BLK_T_IN, .sector = 7};
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA + 0x8000);
    struct virtq_used_elem elem;
    unsigned count = 0;

    device_lock_take(&lock);
    fake_start(&guest, flushes | VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC), 1, QUEUE);
    device_lock_release(&lock);
    memcpy(fake_at(&guest, HEADER), &header, sizeof(header));
    for (unsigned i = 0; i < sizeof(header); i++, count++)
        table[count] = (struct virtq_desc){HEADER + i, 1, VIRTQ_DESC_F_NEXT, (uint16_t)(count + 1)};
    for (unsigned i = 0; i < 16; i++, count++)
        table[count] = (struct virtq_desc){DATA + i, 1, VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE,
                                           (uint16_t)(count + 1)};
    table[count++] = (struct virtq_desc){DATA + 16, 512 - 16 + 1, VIRTQ_DESC_F_WRITE, 0};
    fake_desc(&guest, 0, 0, FAKE_DATA + 0x8000, count * 16, VIRTQ_DESC_F_INDIRECT, 0);
    fake_add(&guest, 0, 0);
    kick();
    cr_assert(answered(&elem));
    cr_assert_eq(elem.len, 513);
    for (uint64_t i = 0; i < 64; i++)
        cr_assert_eq(((uint64_t *)fake_at(&guest, DATA))[i], 7 * 64 + i);
    cr_assert_eq(*(uint8_t *)fake_at(&guest, DATA + 512), VIRTIO_BLK_S_OK);
}

Test(block, the_configuration_is_what_it_offers)
{
    const uint32_t offers = 1u << VIRTIO_BLK_F_SIZE_MAX | 1u << VIRTIO_BLK_F_SEG_MAX |
                            1u << VIRTIO_BLK_F_BLK_SIZE | 1u << VIRTIO_BLK_F_FLUSH |
                            1u << VIRTIO_BLK_F_DISCARD | 1u << VIRTIO_BLK_F_WRITE_ZEROES |
                            1u << VIRTIO_F_INDIRECT_DESC | 1u << VIRTIO_F_EVENT_IDX;
    struct virtio_blk_config config;
    uint32_t *words = (uint32_t *)&config;

    for (uint32_t i = 0; i < sizeof(config) / 4; i++)
        words[i] = fake_reg(&guest, VIRTIO_MMIO_CONFIG + 4 * i);
    fake_set_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES), offers);
    cr_assert_eq(config.capacity, SIZE / 512);
    cr_assert_eq(config.blk_size, 512);
    cr_assert(config.seg_max > 0 && config.seg_max + 2 <= VQ_MAX_SEGMENTS);
    cr_assert(config.max_discard_seg == 1 && config.max_write_zeroes_seg == 1);
    cr_assert(config.max_discard_sectors > 0 && config.max_write_zeroes_sectors > 0);
    cr_assert_eq(config.write_zeroes_may_unmap, 1);
    cr_assert_eq(config.unused0, 0);
    for (unsigned i = 0; i < sizeof(config.unused1); i++)
        cr_assert_eq(config.unused1[i], 0);
}

/* --- what is refused --- */

Test(block, nothing_beyond_the_end_is_touched)
{
    memset(fake_at(&guest, DATA), UNTOUCHED, 1024);
    cr_assert_eq(read_disk(SIZE / 512, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(*(uint8_t *)fake_at(&guest, DATA), 0, "what is told to be written is");
    cr_assert_eq(read_disk(SIZE / 512 - 1, 1024), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(read_disk(UINT64_MAX, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(read_disk(UINT64_MAX / 512, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(write_disk(SIZE / 512, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(write_disk(SIZE / 512 - 1, 1024), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, SIZE / 512, 1, 0), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, UINT64_MAX, 2, 0), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(lseek(file, 0, SEEK_END), SIZE);
    assert_alive();
}

Test(block, parts_of_sectors_unknown_types_and_flags_are_refused)
{
    cr_assert_eq(read_disk(0, 511), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(write_disk(0, 513), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(2, 0, 512, true, NULL), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(request(UINT32_MAX, 0, 0, true, NULL), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, 8, VIRTIO_BLK_RANGE_UNMAP), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(request(VIRTIO_BLK_T_DISCARD, 0, 15, false, NULL), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(request(VIRTIO_BLK_T_DISCARD, 0, 32, false, NULL), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
    assert_alive();
}

Test(block_read_only, refuses_writes)
{
    cr_assert_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(write_disk(0, 512), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 0), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), VIRTIO_BLK_S_IOERR);
    cr_assert_eq(file_word(8), 1);
    fake_set_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
    cr_assert(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES) & 1u << VIRTIO_BLK_F_RO);
    cr_assert(!(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES) & 1u << VIRTIO_BLK_F_DISCARD));
}

Test(block_read_only, unknown_flags_are_unknown_there_too)
{
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, 8, VIRTIO_BLK_RANGE_UNMAP), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 0, 8, 1u << 31), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 2), VIRTIO_BLK_S_UNSUPP);
    cr_assert_eq(file_word(8), 1);
}

static void assert_fault(const char *line)
{
    kick();
    cr_assert(fake_needs_reset(&guest));
    cr_assert_str_eq(guest.line, line);
}

Test(block, a_request_without_status_asks_for_reset)
{
    fake_desc(&guest, 0, 0, HEADER, 16, 0, 0);
    fake_add(&guest, 0, 0);
    assert_fault("disk 3: a request without room for header and status");
}

Test(block, half_a_header_asks_for_reset)
{
    fake_desc(&guest, 0, 0, HEADER, 15, VIRTQ_DESC_F_NEXT, 1);
    fake_desc(&guest, 0, 1, STATUS, 1, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest, 0, 0);
    assert_fault("disk 3: a request without room for header and status");
}

Test(block, a_looping_chain_asks_for_reset)
{
    fake_desc(&guest, 0, 0, HEADER, 16, VIRTQ_DESC_F_NEXT, 0);
    fake_add(&guest, 0, 0);
    assert_fault("disk 3: chain loops");
}

Test(block, a_kick_for_nothing_is_nothing)
{
    struct virtq_used_elem elem;

    for (int i = 0; i < 3; i++)
        kick();
    cr_assert(!answered(&elem));
    cr_assert_eq(guest.irqs, 0);
    assert_alive();
}

/* --- errors of the host --- */

Test(block, a_file_that_became_shorter_is_an_io_error)
{
    cr_assert_eq(ftruncate(file, 4096), 0);
    cr_assert_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(read_disk(4, 4096), VIRTIO_BLK_S_IOERR);
    cr_assert(strstr(guest.line, "disk 3: read at byte"), "%s", guest.line);
    cr_assert(strstr(guest.line, "Input/output error"), "%s", guest.line);
    assert_alive();
}

/* /dev/null takes what is written and cannot flush it. */
static void take_file_away(void)
{
    int null = open("/dev/null", O_RDWR);

    cr_assert_eq(dup2(null, block->disk.fd), block->disk.fd);
    close(null);
}

Test(block, a_flush_is_the_files_and_one_that_failed_stays_failed)
{
    cr_assert_eq(write_disk(0, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
    take_file_away();
    cr_assert_eq(write_disk(0, 512), VIRTIO_BLK_S_OK);
    cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR);
    dup2(file, block->disk.fd);
    cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_IOERR,
                 "what was lost is not there now");
}

Test(block, without_flush_a_write_is_flushed_by_itself)
{
    device_lock_take(&lock);
    fake_start(&guest, 0, 1, QUEUE);
    device_lock_release(&lock);
    next = 0;
    cr_assert_eq(write_disk(0, 512), VIRTIO_BLK_S_OK);
    take_file_away();
    cr_assert_eq(write_disk(0, 512), VIRTIO_BLK_S_IOERR);
}

/* --- resets --- */

/* Nobody works: a flush stays where it is. */
Test(block_without_worker, after_a_reset_nothing_is_answered_any_more)
{
    struct virtq_used_elem elem;

    for (int i = 0; i < 5; i++)
        post(VIRTIO_BLK_T_FLUSH, 0, 0, false);
    kick();
    cr_assert(!answered(&elem));
    cr_assert(worker.jobs);
    fake_set_reg(&guest, VIRTIO_MMIO_STATUS, 0);
    cr_assert(!worker.jobs);
    cr_assert_eq(*(uint8_t *)fake_at(&guest, STATUS), UNTOUCHED);
    fake_start(&guest, flushes, 1, QUEUE);
    next = 0;
    cr_assert_eq(read_disk(0, 512), VIRTIO_BLK_S_OK);
}

Test(block_without_worker, a_queue_that_is_taken_away_ends_its_requests)
{
    post(VIRTIO_BLK_T_FLUSH, 0, 0, false);
    kick();
    cr_assert(worker.jobs);
    fake_set_reg(&guest, VIRTIO_MMIO_QUEUE_SEL, 0);
    fake_set_reg(&guest, VIRTIO_MMIO_QUEUE_READY, 0);
    cr_assert(!worker.jobs);
    cr_assert_eq(*(uint8_t *)fake_at(&guest, STATUS), UNTOUCHED);
}

/* With indirect tables every descriptor is a request; one more can only be one that is there. */
Test(block_without_worker, more_than_all_is_a_fault)
{
    enum { ALL = 128 };
    const struct virtio_blk_header header = {.type = VIRTIO_BLK_T_FLUSH};
    struct virtq_desc *table = fake_at(&guest, FAKE_DATA + 0x8000);
    struct virtq_used_elem elem;

    fake_start(&guest, flushes | VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC), 1, ALL);
    memcpy(fake_at(&guest, HEADER), &header, sizeof(header));
    table[0] = (struct virtq_desc){HEADER, sizeof(header), VIRTQ_DESC_F_NEXT, 1};
    table[1] = (struct virtq_desc){STATUS, 1, VIRTQ_DESC_F_WRITE, 0};
    for (uint16_t i = 0; i < ALL; i++) {
        fake_desc(&guest, 0, i, FAKE_DATA + 0x8000, 32, VIRTQ_DESC_F_INDIRECT, 0);
        fake_add(&guest, 0, i);
    }
    kick();
    cr_assert(!answered(&elem));
    cr_assert(!fake_needs_reset(&guest));
    fake_add(&guest, 0, 5);
    assert_fault("disk 3: chain made available twice");
}

/* All that a queue can hold, again and again: none is lost, none is answered twice. */
Test(block, a_full_queue_is_worked_off)
{
    const struct timespec moment = {.tv_nsec = 100000};
    struct virtq_used_elem elem;

    for (int round = 0; round < 20; round++) {
        unsigned seen = 0;

        next = 0;
        for (unsigned i = 0; i < QUEUE / 3; i++)
            post(i % 2 ? VIRTIO_BLK_T_FLUSH : VIRTIO_BLK_T_IN, 0, i % 2 ? 0 : 1 << 18, true);
        kick();
        while (seen < QUEUE / 3) {
            if (answered(&elem))
                seen++;
            else
                nanosleep(&moment, NULL);
        }
        cr_assert(!answered(&elem));
    }
}

/* --- turns --- */

static unsigned answers(void)
{
    struct virtq_used_elem elem;
    unsigned count = 0;

    while (answered(&elem))
        count++;
    return count;
}

static unsigned answers_of_a_turn(void)
{
    cr_assert_eq(loop_turn(&loop, 0, NULL), 0);
    return answers();
}

/* What a refused request had room for is zeroed, of which there can be 4 MiB each. */
Test(block, refused_megabytes_are_answered_in_turns)
{
    unsigned seen = 0, now;

    for (unsigned i = 0; i < 16; i++)
        post(99, 0, 1 << 20, true);
    kick();
    now = answers();
    for (unsigned turns = 0; turns < 100 && seen < 16; turns++) {
        cr_assert_leq(now, 1);
        seen += now;
        now = answers_of_a_turn();
    }
    cr_assert_eq(seen, 16);
    assert_alive();
}

/* A read whose data is the index of the available ring and the sector of the next such read. */
static void put_read_that_adds(uint16_t at, uint64_t header_at)
{
    const uint64_t idx = (uint64_t)FAKE_RINGS + 0x4000 + 2;
    const struct virtio_blk_header header = {.type = VIRTIO_BLK_T_IN};
    const struct {
        uint64_t to;
        uint32_t len;
    } parts[] = {{idx, 2}, {DATA, 14}, {header_at + 8, 8}, {DATA, 488}, {STATUS, 1}};

    memcpy(fake_at(&guest, header_at), &header, sizeof(header));
    fake_desc(&guest, 0, at, header_at, sizeof(header), VIRTQ_DESC_F_NEXT, (uint16_t)(at + 1));
    for (unsigned i = 0; i < 5; i++) {
        at++;
        fake_desc(&guest, 0, at, parts[i].to, parts[i].len,
                  (uint16_t)(VIRTQ_DESC_F_WRITE | (i < 4 ? VIRTQ_DESC_F_NEXT : 0)),
                  (uint16_t)(at + 1));
    }
}

/* So that the device itself makes a queue's worth of requests available, again and again. */
Test(block, a_ring_without_an_end_is_served_in_turns)
{
    enum { ROUNDS = 20, READ = 10 };
    unsigned seen = 0, now;
    uint16_t head;

    for (uint64_t i = 0; i < ROUNDS; i++) {
        const uint64_t sector[3] = {(i + 2) * QUEUE, 0, i + 1};

        cr_assert_eq(pwrite(file, sector, sizeof(sector), (off_t)(i * 512)), sizeof(sector));
    }
    cr_assert_eq(pwrite(file, &(uint64_t){(ROUNDS + 1) * QUEUE}, 8, ROUNDS * 512), 8);
    head = post(VIRTIO_BLK_T_GET_ID, 0, VIRTIO_BLK_ID_BYTES, true);
    for (unsigned i = 1; i + 1 < QUEUE; i++)
        fake_add(&guest, 0, head);
    put_read_that_adds(READ, FAKE_DATA + 0x200);
    fake_add(&guest, 0, READ);
    kick();
    now = answers();
    for (unsigned turns = 0; turns < 100 && seen < (ROUNDS + 1) * QUEUE; turns++) {
        cr_assert_leq(now, 2 * QUEUE + 1, "%u at once", now);
        seen += now;
        now = answers_of_a_turn();
    }
    cr_assert_eq(seen, (ROUNDS + 1) * QUEUE);
    cr_assert(!fake_needs_reset(&guest));
}

/* --- overlays --- */

static uint64_t disk_word(uint64_t at)
{
    cr_assert_eq(read_disk(at / 512, 512), VIRTIO_BLK_S_OK);
    return *(uint64_t *)fake_at(&guest, DATA + at % 512);
}

static void fill(uint64_t sector, uint32_t len, int byte)
{
    memset(fake_at(&guest, DATA), byte, len);
    cr_assert_eq(write_disk(sector, len), VIRTIO_BLK_S_OK);
}

Test(block_overlay, what_is_written_is_not_in_the_base)
{
    cr_assert_eq(disk_word(8 * 512), 8 * 64);
    fill(8, 8192, 'w');
    cr_assert_eq(disk_word(8 * 512), 0x7777777777777777);
    cr_assert_eq(disk_word(24 * 512 - 8), 0x7777777777777777);
    cr_assert_eq(disk_word(24 * 512), 24 * 64);
    for (uint64_t i = 0; i < SIZE; i += 512)
        cr_assert_eq(file_word(i), i / 8);
}

/* A sector in the middle of a block, and a range that begins and ends in one. */
Test(block_overlay, the_rest_of_a_block_comes_from_the_base)
{
    fill(3, 512, 'a');
    fill(13, 5 * 512, 'b');
    for (uint64_t sector = 0; sector < 32; sector++) {
        uint64_t want = sector * 64;

        if (sector == 3)
            want = 0x6161616161616161;
        if (sector >= 13 && sector < 18)
            want = 0x6262626262626262;
        cr_assert_eq(disk_word(sector * 512), want, "sector %d", (int)sector);
    }
    fill(4, 512, 'c');
    cr_assert_eq(disk_word(3 * 512), 0x6161616161616161);
    cr_assert_eq(disk_word(5 * 512), 5 * 64);
}

Test(block_overlay, zeroes_hide_the_base_and_discards_do_not)
{
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 5, 30, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(disk_word(4 * 512), 4 * 64);
    for (uint64_t sector = 5; sector < 35; sector++)
        cr_assert_eq(disk_word(sector * 512), 0);
    cr_assert_eq(disk_word(35 * 512), 35 * 64);
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 80, 16, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(disk_word(80 * 512), 80 * 64);
    fill(80, 4096, 'd');
    cr_assert_eq(clear(VIRTIO_BLK_T_DISCARD, 80, 16, 0), VIRTIO_BLK_S_OK);
    cr_assert_eq(disk_word(80 * 512), 0);
    cr_assert_eq(disk_word(88 * 512), 88 * 64);
}

/* As it is in the file now: what somebody finds after the power has failed, at best. */
static bool is_in_file(uint64_t number)
{
    uint8_t byte;

    cr_assert_eq(pread(overlay, &byte, 1, (off_t)(OVERLAY_BITMAP + number / 8)), 1);
    return byte >> (number % 8) & 1;
}

Test(block_overlay, a_bit_comes_after_its_block_was_flushed)
{
    fill(8, 4096, 'e');
    cr_assert(!is_in_file(1));
    cr_assert_eq(request(VIRTIO_BLK_T_FLUSH, 0, 0, false, NULL), VIRTIO_BLK_S_OK);
    cr_assert(is_in_file(1) && !is_in_file(0) && !is_in_file(2));
    fill(16, 4096, 'f');
    cr_assert(!is_in_file(2));
    device_lock_take(&lock);
    cr_assert_eq(block_finish(block), 0);
    device_lock_release(&lock);
    cr_assert(is_in_file(2));
}

Test(block_overlay, without_flush_a_write_is_durable_by_itself)
{
    device_lock_take(&lock);
    fake_start(&guest, 0, 1, QUEUE);
    device_lock_release(&lock);
    next = 0;
    fill(8, 4096, 'g');
    cr_assert(is_in_file(1));
    cr_assert_eq(clear(VIRTIO_BLK_T_WRITE_ZEROES, 24, 8, 0), VIRTIO_BLK_S_OK);
    cr_assert(is_in_file(3));
}

Test(block_overlay, another_bases_is_refused)
{
    struct overlay_base base = the_base();
    struct err err;

    base.size += 512;
    cr_assert_null(overlay_load(overlay, file, &base, &err));
    cr_assert(strstr(err.text, "another base"), "%s", err.text);
    base = the_base();
    base.changed_ns++;
    cr_assert_null(overlay_load(overlay, file, &base, &err));
    cr_assert(strstr(err.text, "was changed since"), "%s", err.text);
    base = the_base();
    for (off_t at = 32; at < OVERLAY_BITMAP; at += 4063) { /* the first, the last */
        cr_assert_eq(pwrite(overlay, "x", 1, at), 1);
        cr_assert_null(overlay_load(overlay, file, &base, &err));
        cr_assert(strstr(err.text, "where version 1 has zeroes"), "%s", err.text);
        cr_assert_eq(pwrite(overlay, "", 1, at), 1);
    }
    overlay_free(overlay_load(overlay, file, &base, &err));
    cr_assert_eq(ftruncate(overlay, 8192), 0);
    cr_assert_null(overlay_load(overlay, file, &base, &err));
    cr_assert(strstr(err.text, "a part is missing"), "%s", err.text);
    cr_assert_eq(pwrite(overlay, "\2", 1, 8), 1);
    cr_assert_null(overlay_load(overlay, file, &base, &err));
    cr_assert(strstr(err.text, "an overlay of version 2"), "%s", err.text);
    cr_assert_eq(pwrite(overlay, "x", 1, 0), 1);
    cr_assert_null(overlay_load(overlay, file, &base, &err));
    cr_assert(strstr(err.text, "no overlay of samara's"), "%s", err.text);
}

/* --- limits --- */

/* A burst is a second's worth, and what is begun may end in the next. */
Test(block_limited, what_is_above_the_limit_waits)
{
    for (int i = 0; i < 6; i++)
        post(VIRTIO_BLK_T_IN, 0, 65536, true);
    kick();
    cr_assert_eq(answers(), 2);
    cr_assert(loop.timers);
    kick();
    cr_assert_eq(answers(), 0, "asking again does not help");
    for (int i = 0; i < 100 && answers() == 0; i++)
        cr_assert_eq(loop_turn(&loop, 100, NULL), 0);
    cr_assert(loop.timers, "one came, and the next waits");
}

Test(block_limited, a_reset_ends_the_waiting)
{
    for (int i = 0; i < 6; i++)
        post(VIRTIO_BLK_T_IN, 0, 65536, true);
    kick();
    cr_assert_eq(answers(), 2);
    device_lock_take(&lock);
    fake_set_reg(&guest, VIRTIO_MMIO_STATUS, 0);
    cr_assert(!loop.timers);
    fake_start(&guest, flushes, 1, QUEUE);
    device_lock_release(&lock);
    next = 0;
    cr_assert(!loop.timers);
}

Test(block_limited, operations_are_counted_alone)
{
    struct rate rate;

    rate_init(&rate, &(struct rate_config){.operations = 10, .burst_ns = 1000000000});
    for (int i = 0; i < 11; i++) {
        cr_assert_eq(rate_wait(&rate, 5000000000), 0, "%d", i);
        rate_use(&rate, 5000000000, 1 << 30);
    }
    cr_assert_eq(rate_wait(&rate, 5000000000), 5100000000);
    cr_assert_eq(rate_wait(&rate, 5100000000), 0);
}

/* --- standing, for a snapshot --- */

static uint16_t next_avail(void)
{
    return block->device.queues[0].state.next_avail;
}

static void stand(void)
{
    device_lock_take(&lock);
    block_stand(block);
    device_lock_release(&lock);
}

static void go_on_again(void)
{
    device_lock_take(&lock);
    block_go_on(block);
    device_lock_release(&lock);
}

/* Turns the loop until that many have been answered, and a bit: there are no more. */
static void assert_answers(unsigned want)
{
    unsigned got = answers();

    for (int i = 0; i < 500 && got < want; i++) {
        cr_assert_eq(loop_turn(&loop, 20, NULL), 0);
        got += answers();
    }
    cr_assert_eq(got, want);
    cr_assert_eq(loop_turn(&loop, 20, NULL), 0);
    cr_assert_eq(answers(), 0, "each once");
}

/* It waited for its time; in the snapshot it lies in the ring. */
Test(block_limited, one_that_waits_goes_back_and_is_done_once)
{
    for (int i = 0; i < 4; i++)
        post(VIRTIO_BLK_T_IN, 0, 65536, true);
    kick();
    cr_assert_eq(answers(), 2);
    cr_assert(block->held);
    cr_assert_eq(next_avail(), 3);
    stand();
    cr_assert_null(block->held);
    cr_assert(!loop.timers);
    cr_assert_eq(next_avail(), 2, "as if it had never been taken");
    kick();
    cr_assert_eq(next_avail(), 2, "nothing is taken meanwhile");
    cr_assert_eq(answers(), 0);
    go_on_again();
    assert_answers(2);
    cr_assert_eq(next_avail(), 4);
}

/* What the worker has is finished before the moment comes. */
Test(block, one_under_way_is_waited_for)
{
    for (uint16_t i = 0; i < 8; i++) {
        post(VIRTIO_BLK_T_FLUSH, 0, 0, false);
        kick();
        stand();
        cr_assert_eq(next_avail(), block->device.queues[0].state.next_used,
                     "what was taken has been given back");
        go_on_again();
        assert_answers(1);
    }
}

Test(block, what_comes_while_it_stands_is_done_after)
{
    stand();
    post(VIRTIO_BLK_T_IN, 0, 512, true);
    kick();
    cr_assert_eq(answers(), 0);
    cr_assert_eq(next_avail(), 0);
    go_on_again();
    assert_answers(1);
    go_on_again(); /* a second time is none */
    assert_alive();
}
