/* See file_zeroes.h. */
#include "monitor/snapshot/file_zeroes.h"

#include <errno.h>
#include <unistd.h>

#include "devices/disk_file.h"

enum { PIECE = 64 << 10 };

/* Where the file has data, from `at` on; `end` if it has a hole up to there. */
static uint64_t skip_hole(int fd, uint64_t at, uint64_t end)
{
    off_t data = lseek(fd, (off_t)at, SEEK_DATA);

    if (data < 0)
        return errno == ENXIO ? end : at; /* who cannot tell has data everywhere */
    return (uint64_t)data < end ? (uint64_t)data : end;
}

int file_check_zeroes(int fd, const char *name, uint64_t at, uint64_t end, struct err *err)
{
    uint8_t bytes[PIECE];

    while ((at = skip_hole(fd, at, end)) < end) {
        size_t want = end - at < sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
        int result = file_get(fd, bytes, at, want);

        if (result != 0) {
            errno = -result;
            return err_sys(err, "%s: read at byte %llu", name, (unsigned long long)at);
        }
        for (size_t i = 0; i < want; i++) {
            if (bytes[i] != 0)
                return err_set(err, "%s: byte %llu is not zero, and in no extent of data", name,
                               (unsigned long long)at + i);
        }
        at += want;
    }
    return 0;
}
