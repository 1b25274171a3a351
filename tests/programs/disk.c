/*
 * Threads upon one disk, each in regions of its own: what a thread wrote last is what it reads.
 * Lengths and places are odd, so that neighbours share sectors. Then all of it once more through a
 * second descriptor.
 *
 *     disk threads DEVICE     prints "threads agree"
 *     disk clear DEVICE       discards and zeroes the second half, prints "cleared"
 *     disk late DEVICE        waits for a line, then reads all; errors end it
 *     disk synced DEVICE      writes and syncs, prints "synced", waits for ever
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 60, REGION = 70001 };

static const char *device;
static volatile int sector_done;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void fill(unsigned char *to, size_t len, unsigned seed)
{
    for (size_t i = 0; i < len; i++)
        to[i] = (unsigned char)((i * 131 + seed * 7919) >> 2);
}

static void compare(int fd, const unsigned char *want, size_t len, off_t at)
{
    static __thread unsigned char got[REGION];

    if (pread(fd, got, len, at) != (ssize_t)len)
        fail("pread");
    if (memcmp(got, want, len) != 0) {
        fprintf(stderr, "at %lld: not what was written\n", (long long)at);
        exit(1);
    }
}

static void *use_region(void *arg)
{
    static __thread unsigned char model[REGION], part[REGION];
    uintptr_t number = (uintptr_t)arg;
    off_t base = (off_t)number * REGION;
    unsigned random = (unsigned)number + 1;
    int fd = open(device, O_RDWR);

    if (fd < 0)
        fail(device);
    fill(model, REGION, random);
    if (pwrite(fd, model, REGION, base) != REGION)
        fail("pwrite");
    for (int i = 0; i < ROUNDS; i++) {
        size_t at, len;

        random = random * 1103515245 + 12345;
        at = random / 8 % REGION;
        len = (random >> 20) * 37 % (REGION - at);
        fill(part, len, random);
        memcpy(model + at, part, len);
        if (pwrite(fd, part, len, base + (off_t)at) != (ssize_t)len)
            fail("pwrite");
        if (i % 8 == 0 && fdatasync(fd) != 0)
            fail("fdatasync");
        compare(fd, model, REGION, base);
    }
    close(fd);
    fd = open(device, O_RDONLY);
    compare(fd, model, REGION, base);
    close(fd);
    return NULL;
}

/* The last byte of a sector of which somebody else writes all, to have the first ones back. */
static void *write_last_byte(void *arg)
{
    int fd = open(device, O_RDWR);

    (void)arg;
    if (fd < 0)
        fail(device);
    while (!sector_done) {
        if (pwrite(fd, "x", 1, 511) != 1)
            fail("pwrite");
    }
    return NULL;
}

static void *write_sector(void *arg)
{
    static unsigned char sector[512];
    int fd = open(device, O_RDWR);

    (void)arg;
    if (fd < 0)
        fail(device);
    for (uint64_t i = 0; i < 500; i++) {
        memcpy(sector, &i, sizeof(i));
        if (pwrite(fd, sector, sizeof(sector), 0) != sizeof(sector))
            fail("pwrite");
        sched_yield();
        compare(fd, sector, sizeof(i), 0);
    }
    sector_done = 1;
    return NULL;
}

static void share_a_sector(void)
{
    pthread_t last, all;

    if (pthread_create(&last, NULL, write_last_byte, NULL) != 0 ||
        pthread_create(&all, NULL, write_sector, NULL) != 0)
        fail("pthread_create");
    pthread_join(all, NULL);
    pthread_join(last, NULL);
}

static void run_threads(void)
{
    pthread_t threads[THREADS];

    for (uintptr_t i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, use_region, (void *)i) != 0)
            fail("pthread_create");
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    share_a_sector();
    puts("threads agree");
}

static void read_late(void)
{
    static unsigned char piece[100000];
    ssize_t n;
    int fd = open(device, O_RDONLY);

    if (fd < 0)
        fail(device);
    getchar();
    while ((n = read(fd, piece, sizeof(piece))) > 0)
        ;
    if (n < 0)
        fail("read");
}

static void clear(void)
{
    static unsigned char got[4096];
    uint64_t size, range[2];
    int fd = open(device, O_RDWR);

    if (fd < 0 || ioctl(fd, BLKGETSIZE64, &size) != 0)
        fail(device);
    range[0] = size / 2 / 4096 * 4096;
    range[1] = size - range[0];
    if (ioctl(fd, BLKDISCARD, range) != 0)
        fail("BLKDISCARD");
    if (pwrite(fd, "x", 1, (off_t)range[0]) != 1 || ioctl(fd, BLKZEROOUT, range) != 0)
        fail("BLKZEROOUT");
    if (pread(fd, got, sizeof(got), (off_t)range[0]) < 512)
        fail("pread");
    for (size_t i = 0; i < sizeof(got); i++) {
        if (got[i] != 0) {
            fputs("not cleared\n", stderr);
            exit(1);
        }
    }
    puts("cleared");
}

static void write_and_sync(void)
{
    int fd = open(device, O_WRONLY);

    if (fd < 0 || pwrite(fd, "this was synced", 15, 12345) != 15 || fsync(fd) != 0)
        fail(device);
    puts("synced");
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    device = argv[2];
    if (strcmp(argv[1], "threads") == 0)
        run_threads();
    else if (strcmp(argv[1], "clear") == 0)
        clear();
    else if (strcmp(argv[1], "late") == 0)
        read_late();
    else
        write_and_sync();
    return 0;
}
