/* Overlays upon overlays, and what snapshots ask of them. */
#include "devices/overlay.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/disk_file.h"

enum { BLOCK = OVERLAY_BLOCK, BLOCKS = 40, SIZE = BLOCKS * BLOCK - 512, LAYERS = 3 };

static const struct overlay_base the_base = {.size = SIZE, .changed_ns = 77};
static int base_fd;
static int files[LAYERS];
static struct overlay *layers[LAYERS]; /* the first is the lowest */

static int file(size_t size)
{
    int fd = memfd_create("overlay", MFD_CLOEXEC);

    cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    return fd;
}

/* Each layer has blocks of its own: layer i those from 4 * i on, eight of them, filled with
 * '1' + i. */
static void make_layer(unsigned i)
{
    uint8_t bytes[8 * BLOCK], bits[2] = {0};

    files[i] = file(0);
    cr_assert_eq(overlay_create(files[i], &the_base, i, NULL), 0);
    memset(bytes, '1' + (int)i, sizeof(bytes));
    for (unsigned block = 4 * i; block < 4 * i + 8; block++)
        bits[block / 8] |= (uint8_t)(1u << (block % 8));
    cr_assert_eq(
        file_put(files[i], bytes, overlay_data_offset(SIZE) + 4ul * i * BLOCK, sizeof(bytes)), 0);
    cr_assert_eq(file_put(files[i], bits, OVERLAY_BITMAP, sizeof(bits)), 0);
    layers[i] = overlay_load(files[i], base_fd, &the_base, NULL);
    cr_assert(layers[i]);
}

static void make(void)
{
    uint8_t block[BLOCK];

    base_fd = file(SIZE);
    memset(block, 'b', sizeof(block));
    for (uint64_t i = 0; i < BLOCKS; i++)
        cr_assert_eq(file_put(base_fd, block, i * BLOCK, i + 1 < BLOCKS ? BLOCK : BLOCK - 512), 0);
    for (unsigned i = 0; i < LAYERS; i++) {
        make_layer(i);
        if (i > 0)
            overlay_put_upon(layers[i], layers[i - 1]);
    }
}

static void unmake(void)
{
    overlay_free(layers[LAYERS - 1]);
    close(files[LAYERS - 1]);
    close(base_fd);
}

TestSuite(overlay, .init = make, .fini = unmake, .timeout = 60);

static uint8_t byte_of(struct overlay *o, uint64_t block)
{
    uint8_t bytes[BLOCK];
    size_t whole = block + 1 < BLOCKS ? BLOCK : BLOCK - 512;

    cr_assert_eq(overlay_get(o, block, 1, bytes), 0);
    cr_assert_eq(memcmp(bytes, bytes + 1, whole - 1), 0);
    for (size_t i = whole; i < BLOCK; i++)
        cr_assert_eq(bytes[i], 0);
    return bytes[0];
}

static uint8_t expected(uint64_t block)
{
    return block >= 8 && block < 16 ? '3' : block >= 4 && block < 8 ? '2' : block < 4 ? '1' : 'b';
}

Test(overlay, a_block_is_the_uppermost_layers_that_has_it)
{
    struct overlay *top = layers[LAYERS - 1];
    uint8_t all[BLOCKS * BLOCK];

    for (uint64_t block = 0; block < BLOCKS; block++)
        cr_assert_eq(byte_of(top, block), expected(block), "block %d", (int)block);
    cr_assert_eq(overlay_get(top, 0, BLOCKS, all), 0);
    for (uint64_t at = 0; at < SIZE; at++)
        cr_assert_eq(all[at], expected(at / BLOCK));
}

/* A part that is cleared takes the rest of its block from where it lies. */
Test(overlay, what_is_first_written_comes_up_from_beneath)
{
    struct overlay *top = layers[LAYERS - 1];
    uint8_t bytes[BLOCK];

    cr_assert_eq(overlay_zero(top, 5 * BLOCK + 512, 1024), 0);
    cr_assert_eq(overlay_get(top, 5, 1, bytes), 0);
    for (unsigned i = 0; i < BLOCK; i++)
        cr_assert_eq(bytes[i], i >= 512 && i < 1536 ? 0 : '2', "byte %u", i);
    cr_assert_eq(overlay_get(layers[1], 5, 1, bytes), 0);
    cr_assert(bytes[512] == '2');
    cr_assert_eq(overlay_zero(top, 20 * BLOCK + 512, 512), 0);
    cr_assert_eq(overlay_get(top, 20, 1, bytes), 0);
    cr_assert(bytes[0] == 'b' && bytes[512] == 0 && bytes[1024] == 'b');
}

Test(overlay, a_discard_leaves_what_lies_beneath)
{
    struct overlay *top = layers[LAYERS - 1];

    cr_assert_eq(overlay_discard(top, 0, 20ul * BLOCK), 0);
    for (uint64_t block = 0; block < BLOCKS; block++)
        cr_assert_eq(byte_of(top, block), block >= 8 && block < 16 ? 0 : expected(block));
}

static void expect_runs(const struct overlay *o, enum overlay_set set, const uint64_t (*runs)[2],
                        unsigned count)
{
    uint64_t first = 0, n, all = 0;

    for (unsigned i = 0; i < count; i++) {
        n = overlay_next(o, set, &first, overlay_blocks(o), 1000);
        cr_assert(first == runs[i][0] && n == runs[i][1], "run %u: %d, %d", i, (int)first, (int)n);
        first += n;
        all += n;
    }
    cr_assert_eq(overlay_next(o, set, &first, overlay_blocks(o), 1000), 0);
    cr_assert_eq(first, BLOCKS);
    cr_assert_eq(overlay_count(o, set), all);
}

#define RUNS(o, set, ...)                                                                          \
    expect_runs(o, set, (const uint64_t[][2]){__VA_ARGS__},                                        \
                sizeof((const uint64_t[][2]){__VA_ARGS__}) / 16)

Test(overlay, sets_are_its_own_or_all)
{
    struct overlay *top = layers[LAYERS - 1];
    uint64_t first = 2;

    cr_assert_eq(overlay_blocks(top), BLOCKS);
    RUNS(top, OVERLAY_OWN, {8, 8});
    RUNS(top, OVERLAY_ALL, {0, 16});
    cr_assert_eq(overlay_next(top, OVERLAY_ALL, &first, BLOCKS, 5), 5);
    cr_assert_eq(first, 2);
    cr_assert_eq(overlay_next(top, OVERLAY_ALL, &first, 2, 5), 0);
    cr_assert_eq(overlay_zero(top, (BLOCKS - 1) * BLOCK, BLOCK - 512), 0);
    RUNS(top, OVERLAY_ALL, {0, 16}, {39, 1});
}

Test(overlay, what_is_written_is_noted_while_it_tracks)
{
    struct overlay *top = layers[LAYERS - 1];

    cr_assert_eq(overlay_zero(top, 0, BLOCK), 0);
    overlay_track(top);
    cr_assert_eq(overlay_written(top), 0);
    cr_assert_eq(overlay_zero(top, 3 * BLOCK + 512, BLOCK), 0);
    cr_assert_eq(overlay_discard(top, 30 * BLOCK, BLOCK), 0);
    cr_assert_eq(overlay_zero(top, 3 * BLOCK + 512, 512), 0);
    RUNS(top, OVERLAY_WRITTEN, {3, 2}, {30, 1});
    cr_assert_eq(overlay_written(top), 3);
    overlay_forget(top, 3, 1);
    cr_assert_eq(overlay_written(top), 2);
    RUNS(top, OVERLAY_WRITTEN, {4, 1}, {30, 1});
    overlay_track_no_more(top);
    cr_assert_eq(overlay_written(top), 0);
    cr_assert_eq(overlay_zero(top, 9 * BLOCK, BLOCK), 0);
    cr_assert_eq(overlay_count(top, OVERLAY_WRITTEN), 0);
}

/* Not even data that lie where no bit is set. */
Test(overlay, an_emptied_one_has_nothing_in_memory_or_file)
{
    struct overlay *top = layers[LAYERS - 1];
    uint64_t data = overlay_data_offset(SIZE);
    uint8_t bytes[BLOCK];

    memset(bytes, 'x', sizeof(bytes));
    cr_assert_eq(file_put(files[LAYERS - 1], bytes, data + 30 * BLOCK, BLOCK), 0);
    cr_assert_eq(overlay_zero(top, 20 * BLOCK + 512, 512), 0);
    cr_assert_eq(overlay_flush(top), 0);
    for (unsigned sync = 0; sync < 2; sync++) {
        cr_assert_eq(overlay_zero(top, 21 * BLOCK + 512, 512), 0);
        cr_assert_eq(overlay_clear(top, sync), 0);
        cr_assert_eq(overlay_count(top, OVERLAY_OWN), 0);
        cr_assert_eq(lseek(files[LAYERS - 1], (off_t)data, SEEK_DATA), -1);
        cr_assert_eq(errno, ENXIO);
        cr_assert_eq(file_get(files[LAYERS - 1], bytes, OVERLAY_BITMAP, BLOCK), 0);
        cr_assert(bytes[0] == 0 && memcmp(bytes, bytes + 1, BLOCK - 1) == 0);
        for (uint64_t block = 0; block < BLOCKS; block++)
            cr_assert_eq(byte_of(top, block), block < 4 ? '1' : block < 12 ? '2' : 'b');
    }
    cr_assert_eq(overlay_zero(top, 0, BLOCK), 0);
    cr_assert_eq(overlay_flush(top), 0);
    RUNS(top, OVERLAY_OWN, {0, 1});
    overlay_free(overlay_load(files[LAYERS - 1], base_fd, &the_base, NULL));
}
