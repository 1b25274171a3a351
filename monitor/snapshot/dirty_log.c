/* See dirty_log.h. */
#include "monitor/snapshot/dirty_log.h"

#include <string.h>

#include "monitor/kvm.h"
#include "monitor/vm.h"

enum { PAGE = 4096 };

/* Linux 5.7; in <linux/kvm.h> since then. */
enum { BOTH_WAYS = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET };

bool dirty_log_offered(const struct vm *vm)
{
    struct kvm_enable_cap manual = {.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, .args = {BOTH_WAYS}};

    return KVM_CALL(vm->fd, KVM_ENABLE_CAP, &manual, NULL) == 0;
}

static int set_logging(const struct vm *vm, unsigned slot, uint32_t flags, struct err *err)
{
    const struct guest_region *from = &vm->mem.regions[slot];
    struct kvm_userspace_memory_region region = {.slot = slot,
                                                 .flags = flags,
                                                 .guest_phys_addr = from->gpa,
                                                 .memory_size = from->size,
                                                 .userspace_addr = (uint64_t)(uintptr_t)from->host};

    return KVM_CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &region, err);
}

int dirty_log_start(struct vm *vm, uint64_t *written, struct err *err)
{
    for (unsigned i = 0; i < vm->mem.count; i++) {
        if (set_logging(vm, i, KVM_MEM_LOG_DIRTY_PAGES, err) < 0)
            return -1;
    }
    vm->mem.written = written;
    return 0;
}

/* Of no size it is deleted, and KVM forgets all that it has mapped of it. */
static int remove_slot(const struct vm *vm, unsigned slot, struct err *err)
{
    struct kvm_userspace_memory_region none = {.slot = slot};

    return KVM_CALL(vm->fd, KVM_SET_USER_MEMORY_REGION, &none, err);
}

int dirty_log_renew(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->mem.count; i++) {
        if (remove_slot(vm, i, err) < 0 ||
            set_logging(vm, i, vm->mem.written ? KVM_MEM_LOG_DIRTY_PAGES : 0, err) < 0)
            return -1;
    }
    return 0;
}

void dirty_log_stop(struct vm *vm)
{
    for (unsigned i = 0; i < vm->mem.count; i++)
        set_logging(vm, i, 0, NULL);
    vm->mem.written = NULL;
}

static uint64_t pages_of(const struct guest_region *region)
{
    return region->size / PAGE;
}

static size_t words(const struct vm *vm)
{
    return (vm->ram_size / PAGE + 63) / 64;
}

void dirty_log_clear_written(struct vm *vm)
{
    memset(vm->mem.written, 0, words(vm) * sizeof(vm->mem.written[0]));
}

int dirty_log_read(struct vm *vm, uint64_t *bits, struct err *err)
{
    uint64_t first = 0;

    for (unsigned i = 0; i < vm->mem.count; i++) {
        struct kvm_dirty_log log = {.slot = i, .dirty_bitmap = bits + first / 64};

        if (KVM_CALL(vm->fd, KVM_GET_DIRTY_LOG, &log, err) < 0)
            return -1;
        first += pages_of(&vm->mem.regions[i]);
    }
    for (size_t i = 0; i < words(vm); i++)
        bits[i] |= vm->mem.written[i];
    return 0;
}

int dirty_log_clear(struct vm *vm, uint64_t first, uint64_t pages, const uint64_t *bits,
                    struct err *err)
{
    const uint64_t low = pages_of(&vm->mem.regions[0]);
    struct kvm_clear_dirty_log clear = {.slot = first >= low,
                                        .first_page = first >= low ? first - low : first,
                                        .num_pages = (uint32_t)pages,
                                        .dirty_bitmap = (void *)(uintptr_t)bits};

    return KVM_CALL(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear, err);
}
