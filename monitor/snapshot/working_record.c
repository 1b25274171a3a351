/* See working_record.h. What is the process's own was written, by the guest or by us; what else is
 * mapped was read, or lies beside what was. */
#include "monitor/snapshot/working_record.h"

#include <errno.h>
#include <sys/uio.h>

#include "monitor/fd_close.h"
#include "monitor/snapshot/touched.h"
#include "monitor/vm.h"

enum { PAGE = 4096 };

static struct working_set set;

static bool bit(const uint64_t *bits, unsigned page)
{
    return bits[page / 64] >> (page % 64) & 1;
}

static void add_pages(const struct vm *vm, uint64_t first, unsigned pages)
{
    uint64_t there[TOUCHED_PAGES / 64], own[TOUCHED_PAGES / 64];
    const uint8_t *at = vm->ram + first * PAGE;
    uint64_t any = 0;

    touched_pages(vm->pagemap, at, pages, there);
    for (unsigned i = 0; i < TOUCHED_PAGES / 64; i++)
        any |= there[i];
    if (!any)
        return;
    private_pages(vm->pagemap, at, pages, own);
    for (unsigned i = 0; i < pages; i++) {
        if (bit(there, i))
            working_set_add(&set, first + i, bit(own, i) ? WORKING_WRITTEN : WORKING_READ);
    }
}

void working_record(struct vm *vm)
{
    struct restored *r = vm->restored;
    const uint64_t count = vm->ram_size / PAGE;
    struct iovec iov = {.iov_base = &set};
    ssize_t n;

    working_set_clear(&set);
    if (vm->pagemap < 0) { /* nobody knows */
        fd_close(&r->record_fd);
        return;
    }
    for (uint64_t first = 0; first < count; first += TOUCHED_PAGES) {
        uint64_t left = count - first;

        add_pages(vm, first, left < TOUCHED_PAGES ? (unsigned)left : TOUCHED_PAGES);
    }
    working_set_seal(&set, r->chain.layers[0].header.id);
    iov.iov_len = working_set_size(&set);
    do
        n = writev(r->record_fd, &iov, 1); /* it is empty, and has room for all: or nobody reads */
    while (n < 0 && errno == EINTR);
    fd_close(&r->record_fd);
}
