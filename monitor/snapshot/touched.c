/* See touched.h. */
#include "monitor/snapshot/touched.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE = 4096 };

static const uint64_t present_or_swapped = UINT64_C(3) << 62, of_a_file = UINT64_C(1) << 61;

int touched_open(int proc)
{
    return proc >= 0 ? openat(proc, "self/pagemap", O_RDONLY | O_CLOEXEC) : -1;
}

/* By the one call that the seccomp policy has for reading at a place. */
static ssize_t read_at(int fd, void *to, size_t size, uint64_t at)
{
    struct iovec iov = {.iov_base = to, .iov_len = size};

    return syscall(SYS_preadv2, fd, &iov, 1L, (long)at, 0L, 0L);
}

/* Sets the bits of pages that are there and have none of `without`. */
static void find(int pagemap, const void *at, unsigned pages, uint64_t without,
                 uint64_t bits[TOUCHED_PAGES / 64])
{
    uint64_t entries[TOUCHED_PAGES];
    const size_t size = pages * sizeof(entries[0]);
    const uint64_t first = (uint64_t)(uintptr_t)at / PAGE;

    memset(bits, 0, TOUCHED_PAGES / 8);
    if (read_at(pagemap, entries, size, first * sizeof(entries[0])) != (ssize_t)size) {
        for (unsigned i = 0; i < pages; i++)
            entries[i] = present_or_swapped;
    }
    for (unsigned i = 0; i < pages; i++) {
        if (entries[i] & present_or_swapped && !(entries[i] & without))
            bits[i / 64] |= UINT64_C(1) << (i % 64);
    }
}

void touched_pages(int pagemap, const void *at, unsigned pages, uint64_t bits[TOUCHED_PAGES / 64])
{
    find(pagemap, at, pages, 0, bits);
}

void private_pages(int pagemap, const void *at, unsigned pages, uint64_t bits[TOUCHED_PAGES / 64])
{
    find(pagemap, at, pages, of_a_file, bits);
}
