/*
 * Records that are synced one by one, on several disks, until the power fails; and whether they are
 * still there.
 *
 *     durable write DEVICE...          prints the number of each record that all disks have
 *     durable check COUNT DEVICE...    records 0 to COUNT - 1
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORD = 4096, SLOTS = 1024, STEP = 389 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Scattered, so that each is an extent, or a block of an overlay, of its own. */
static off_t place(unsigned number)
{
    return (off_t)(number * STEP % SLOTS) * RECORD;
}

static void fill(unsigned char record[RECORD], unsigned number, unsigned disk)
{
    for (unsigned i = 0; i < RECORD; i++)
        record[i] = (unsigned char)((i + 1) * 131 + number * 7919 + disk * 31 + (i >> 8));
}

static void write_records(char **devices, int count)
{
    unsigned char record[RECORD];
    int fds[8];

    for (int d = 0; d < count; d++) {
        fds[d] = open(devices[d], O_RDWR);
        if (fds[d] < 0)
            fail(devices[d]);
    }
    for (unsigned n = 0; n < SLOTS; n++) {
        for (int d = 0; d < count; d++) {
            fill(record, n, (unsigned)d);
            if (pwrite(fds[d], record, RECORD, place(n)) != RECORD || fdatasync(fds[d]) != 0)
                fail(devices[d]);
        }
        printf("%u\n", n);
        fflush(stdout);
    }
}

static void check_records(unsigned records, char **devices, int count)
{
    unsigned char want[RECORD], got[RECORD];

    for (int d = 0; d < count; d++) {
        int fd = open(devices[d], O_RDONLY);

        if (fd < 0)
            fail(devices[d]);
        for (unsigned n = 0; n < records; n++) {
            fill(want, n, (unsigned)d);
            if (pread(fd, got, RECORD, place(n)) != RECORD)
                fail(devices[d]);
            if (memcmp(want, got, RECORD) != 0) {
                fprintf(stderr, "%s: record %u is not there\n", devices[d], n);
                exit(1);
            }
        }
    }
    printf("%u records are there\n", records);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && argc <= 10 && strcmp(argv[1], "write") == 0)
        write_records(argv + 2, argc - 2);
    else if (argc >= 4 && strcmp(argv[1], "check") == 0)
        check_records((unsigned)atoi(argv[2]), argv + 3, argc - 3);
    else
        return 2;
    return 0;
}
