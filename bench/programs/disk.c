/*
 * One number about a disk, or a file, of at least 64 MiB:
 *
 *     disk read4k PATH        us of a read of 4 KiB somewhere, one after the other
 *     disk read4k-32 PATH     thousand of those a second, by 32 threads
 *     disk write4k PATH       us of a write of 4 KiB
 *     disk sync4k PATH        us of a write of 4 KiB and fdatasync
 *     disk read1m PATH        GB/s, front to back, in pieces of 1 MiB
 *     disk write1m PATH       the same of writing
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SMALL = 4096, LARGE = 1 << 20, BYTES = 64 << 20, THREADS = 32 };

static const char *path;
static char memory[LARGE];

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void check(int good, const char *what)
{
    if (!good) {
        perror(what);
        exit(1);
    }
}

static int open_disk(void)
{
    int fd = open(path, O_RDWR);

    check(fd >= 0, path);
    return fd;
}

static off_t somewhere(unsigned *random)
{
    *random = *random * 1103515245 + 12345;
    return (off_t)(*random / 16 % (BYTES / SMALL)) * SMALL;
}

static void read_somewhere(unsigned random, unsigned times)
{
    char piece[SMALL];
    int fd = open_disk();

    while (times-- > 0)
        check(pread(fd, piece, SMALL, somewhere(&random)) == SMALL, "pread");
    close(fd);
}

static void *reader(void *arg)
{
    read_somewhere((unsigned)(uintptr_t)arg, 300);
    return NULL;
}

static double read4k(void)
{
    double start = now_us();

    read_somewhere(1, 3000);
    return (now_us() - start) / 3000;
}

static double read4k_32(void)
{
    pthread_t threads[THREADS];
    double start = now_us();

    for (uintptr_t i = 0; i < THREADS; i++)
        check(pthread_create(&threads[i], NULL, reader, (void *)(i + 1)) == 0, "pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return THREADS * 300 / (now_us() - start) * 1e3;
}

static double write_small(unsigned times, int synced)
{
    unsigned random = 1;
    int fd = open_disk();
    double start = now_us();

    for (unsigned i = 0; i < times; i++) {
        check(pwrite(fd, memory, SMALL, somewhere(&random)) == SMALL, "pwrite");
        check(!synced || fdatasync(fd) == 0, "fdatasync");
    }
    return (now_us() - start) / times;
}

static double write4k(void)
{
    return write_small(2000, 0);
}

static double sync4k(void)
{
    return write_small(100, 1);
}

static double read1m(void)
{
    int fd = open_disk();
    double start = now_us();

    for (off_t at = 0; at < BYTES; at += LARGE)
        check(pread(fd, memory, LARGE, at) == LARGE, "pread");
    return BYTES / (now_us() - start) / 1e3;
}

static double write1m(void)
{
    int fd = open_disk();
    double start = now_us();

    for (off_t at = 0; at < BYTES; at += LARGE)
        check(pwrite(fd, memory, LARGE, at) == LARGE, "pwrite");
    return BYTES / (now_us() - start) / 1e3;
}

static const struct {
    const char *name;
    double (*run)(void);
} modes[] = {{"read4k", read4k}, {"read4k-32", read4k_32}, {"write4k", write4k},
             {"sync4k", sync4k}, {"read1m", read1m},       {"write1m", write1m}};

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    path = argv[2];
    memset(memory, 'm', sizeof(memory));
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            printf("%.3f\n", modes[i].run());
            return 0;
        }
    }
    return 2;
}
