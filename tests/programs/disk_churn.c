/*
 * A disk that is never at rest, of which any copy that is not of one instant shows, and of the same
 * instant as memory: each thread writes blocks of its own, whole ones and parts, with the number of
 * the write in each sector; memory has the number that each sector was last written with, and every
 * other step compares one block with it. A sector that is older was lost, one that is newer is of
 * another time.
 *
 *     disk_churn DEVICE [still]     prints "up"; then answers lines of standard input:
 *     check       all blocks are as memory says: "sound"
 *     mark TEXT   writes it to a block of its own, and flushes: "marked"
 *     mark?       what is there: "mark TEXT"
 *
 * With the word "still" nothing is written but what lines ask for.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, BLOCKS = 160, SECTORS = 8, SECTOR = 512, WORDS = SECTOR / 8 };
enum { MARK = 1 << 23 };

struct sector {
    uint64_t place, number;
    uint64_t rest[WORDS - 2];
};

struct region {
    int fd;
    uint64_t first; /* block */
    uint64_t numbers[BLOCKS][SECTORS], last;
    unsigned random;
    pthread_mutex_t lock; /* one step at a time */
};

static struct region regions[THREADS];
static volatile int
    asked; /* somebody wants the locks, which those who have them would not let go */

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

static unsigned next_random(struct region *r)
{
    r->random = r->random * 1103515245 + 12345;
    return r->random >> 12;
}

static void fill(struct sector *s, uint64_t place, uint64_t number)
{
    s->place = place;
    s->number = number;
    for (unsigned i = 0; i < WORDS - 2; i++)
        s->rest[i] = number * 0x9e3779b97f4a7c15 + place + i;
}

/* Nobody has written what has the number 0. */
static int is_good(const struct sector *s, uint64_t place, uint64_t number)
{
    static const struct sector nothing;
    struct sector want;

    if (number == 0)
        return memcmp(s, &nothing, sizeof(nothing)) == 0;
    fill(&want, place, number);
    return memcmp(s, &want, sizeof(want)) == 0;
}

static void check_block(struct region *r, unsigned block)
{
    uint64_t place = (r->first + block) * SECTORS;
    struct sector is[SECTORS];

    if (pread(r->fd, is, sizeof(is), (off_t)(place * SECTOR)) != sizeof(is))
        fail("pread");
    for (unsigned i = 0; i < SECTORS; i++) {
        if (is_good(&is[i], place + i, r->numbers[block][i]))
            continue;
        printf("torn: sector %llu: place %llu, number %llu, not %llu\n",
               (unsigned long long)(place + i), (unsigned long long)is[i].place,
               (unsigned long long)is[i].number, (unsigned long long)r->numbers[block][i]);
        fflush(stdout);
        _exit(9);
    }
}

static void write_block(struct region *r, unsigned block)
{
    unsigned from = next_random(r) % SECTORS, count = next_random(r) % (SECTORS - from) + 1;
    uint64_t place = (r->first + block) * SECTORS + from;
    struct sector now[SECTORS];

    if (next_random(r) % 2) {
        place -= from;
        from = 0;
        count = SECTORS;
    }
    r->last++;
    for (unsigned i = 0; i < count; i++) {
        fill(&now[i], place + i, r->last);
        r->numbers[block][from + i] = r->last;
    }
    if (pwrite(r->fd, now, count * SECTOR, (off_t)(place * SECTOR)) != (ssize_t)count * SECTOR)
        fail("pwrite");
}

static void *churn(void *arg)
{
    struct region *r = arg;

    for (unsigned step = 0;; step++) {
        while (asked)
            usleep(500);
        pthread_mutex_lock(&r->lock);
        write_block(r, next_random(r) % BLOCKS);
        check_block(r, next_random(r) % BLOCKS);
        if (step % 64 == 0 && fsync(r->fd) != 0)
            fail("fsync");
        pthread_mutex_unlock(&r->lock);
    }
}

static void check(void)
{
    asked = 1;
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_mutex_lock(&regions[i].lock);
        for (unsigned block = 0; block < BLOCKS; block++)
            check_block(&regions[i], block);
        pthread_mutex_unlock(&regions[i].lock);
    }
    asked = 0;
    puts("sound");
}

static void mark(int fd, const char *text)
{
    char bytes[SECTOR] = "";

    snprintf(bytes, sizeof(bytes), "%s", text);
    if (pwrite(fd, bytes, sizeof(bytes), MARK) != sizeof(bytes) || fsync(fd) != 0)
        fail("mark");
    puts("marked");
}

static void tell_mark(int fd)
{
    char bytes[SECTOR + 1] = "";

    if (pread(fd, bytes, SECTOR, MARK) != SECTOR)
        fail("mark");
    printf("mark %s\n", bytes);
}

static void answer(int fd, char *line)
{
    line[strcspn(line, "\n")] = '\0';
    if (strcmp(line, "check") == 0)
        check();
    else if (strcmp(line, "mark?") == 0)
        tell_mark(fd);
    else if (strncmp(line, "mark ", 5) == 0)
        mark(fd, line + 5);
    fflush(stdout);
}

int main(int argc, char *argv[])
{
    int fd = open(argv[1], O_RDWR);
    pthread_t thread;
    char line[128];

    if (fd < 0)
        fail(argv[1]);
    for (unsigned i = 0; i < THREADS; i++) {
        regions[i] = (struct region){.fd = fd,
                                     .first = 1 + (uint64_t)i * BLOCKS * 2,
                                     .random = i,
                                     .lock = PTHREAD_MUTEX_INITIALIZER};
        if (argc < 3 && pthread_create(&thread, NULL, churn, &regions[i]) != 0)
            fail("thread");
    }
    puts("up");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin))
        answer(fd, line);
    return 0;
}
