/* See reset.h. */
#include "monitor/snapshot/reset.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "monitor/snapshot/dirty_log.h"
#include "monitor/snapshot/touched.h"
#include "monitor/vm.h"

enum { PAGE = 4096 };

static uint64_t page_count(const struct vm *vm)
{
    return vm->ram_size / PAGE;
}

/* --- what has changed --- */

/* Those that are this process's own. */
static void find_private(const struct vm *vm)
{
    for (uint64_t first = 0; first < page_count(vm); first += TOUCHED_PAGES) {
        uint64_t left = page_count(vm) - first, bits[TOUCHED_PAGES / 64];
        unsigned pages = left < TOUCHED_PAGES ? (unsigned)left : TOUCHED_PAGES;

        private_pages(vm->pagemap, vm->ram + first * PAGE, pages, bits);
        memcpy(vm->copies.bits + first / 64, bits, (pages + 63) / 64 * sizeof(bits[0]));
    }
}

static int find_changed(struct reset *r, struct err *err)
{
    if (r->logs)
        return dirty_log_read(r->vm, r->vm->copies.bits, err);
    find_private(r->vm);
    return 0;
}

/* From here on the log has what changes. A KVM that shadows the guest's page tables has not seen
 * that they are others now: what the guest has mapped since, it would find still mapped. */
static int begin_again(struct reset *r, struct err *err)
{
    struct vm *vm = r->vm;
    const uint64_t low = ram_below_hole(vm->ram_size) / PAGE;

    bool begins = !r->logs && vm->can_log;

    if (vm->shadows && dirty_log_renew(vm, err) != 0)
        return -1;
    if (begins && dirty_log_start(vm, vm->copies.written, err) != 0)
        return -1;
    if (!vm->can_log)
        return 0;
    if (begins || vm->shadows)
        memset(vm->copies.bits, 0xff, (page_count(vm) + 63) / 64 * 8);
    r->logs = true;
    dirty_log_clear_written(vm);
    if (dirty_log_clear(vm, 0, low, vm->copies.bits, err) < 0)
        return -1;
    return page_count(vm) > low
               ? dirty_log_clear(vm, low, page_count(vm) - low, vm->copies.bits + low / 64, err)
               : 0;
}

/* --- memory --- */

static void drop_changed(struct reset *r)
{
    const struct vm *vm = r->vm;
    size_t first = 0, count;

    r->pages = 0;
    for (; (count = copies_marked(&vm->copies, &first)) > 0; first += count) {
        madvise(vm->ram + first * PAGE, count * PAGE, MADV_DONTNEED);
        r->pages += count;
    }
}

/* --- disks --- */

static int empty_disks(const struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->disk_count; i++) {
        int result = block_empty(vm->disks[i].block);

        if (result == 0)
            continue;
        errno = -result;
        return err_sys(err, "disk %u: empty its overlay", i);
    }
    return 0;
}

/* --- all of it --- */

int reset_vm(struct reset *r, const struct control_reset *who, struct err *err)
{
    struct vm *vm = r->vm;

    if (empty_disks(vm, err) != 0 || find_changed(r, err) != 0)
        return -1;
    vsock_forget(vm->vsock);
    drop_changed(r);
    if (begin_again(r, err) != 0)
        return -1;
    return restored_reload(vm->restored, vm, who, err);
}
