/*
 * The raw floor: the least that any KVM monitor on this machine must do before its guest can say
 * something. No C library, no tables the guest does not need, one page of program: open /dev/kvm,
 * VM, memory, split irqchip, vCPU, 64-bit ring 3, one MMIO write; then that byte goes to stdout.
 *
 * The order (memory before irqchip before vCPU) is the fast one, and the irqchip is there because a
 * vCPU without one takes longer to create and because no useful guest lives without.
 */
#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SYS_WRITE = 1,
    SYS_OPEN = 2,
    SYS_MMAP = 9,
    SYS_IOCTL = 16,

    O_RDWR_CLOEXEC = 02 | 02000000,
    PROT_READ_WRITE = 3,
    MAP_SHARED_FD = 0x01,
    MAP_ANON_PRIVATE = 0x22 | 0x4000, /* with MAP_NORESERVE */

    RAM_BYTES = 32 << 20,
    PAGE = 4096,
    GPA_PML4 = 0x1000,
    GPA_PDPT = 0x2000,
    GPA_PD = 0x3000,
    GPA_CODE = 0x4000,
    GPA_STACK = 0x6000,

    PTE_USER_ALL = 0x67, /* present, writable, user, accessed, dirty */
    PTE_LARGE = 0x80,
};

#define GPA_DEVICE 0xd0000000ull

extern const char guest_code[], guest_code_end[];
long sys(long number, long a, long b, long c, long d, long e, long f);
int floor_main(void);
void *memset(void *to, int byte, size_t size);
void *memcpy(void *restrict to, const void *restrict from, size_t size);

/* gcc may call these two for large structs. */
void *memset(void *to, int byte, size_t size)
{
    void *at = to;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *at = to;
    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(size) : : "memory");
    return to;
}

static long ioctl(long fd, unsigned long request, const void *arg)
{
    return sys(SYS_IOCTL, fd, (long)request, (long)arg, 0, 0, 0);
}

static void *map(long size, int flags, long fd)
{
    return (void *)sys(SYS_MMAP, 0, size, PROT_READ_WRITE, flags, fd, 0);
}

static int map_failed(const void *at)
{
    return (uintptr_t)at > (uintptr_t)-PAGE;
}

/* Identity map: 2 MiB of RAM, and the 2 MiB of device space at GPA_DEVICE. */
static void write_tables(char *ram)
{
    uint64_t *pml4 = (uint64_t *)(void *)(ram + GPA_PML4);
    uint64_t *pdpt = (uint64_t *)(void *)(ram + GPA_PDPT);
    uint64_t *pd = (uint64_t *)(void *)(ram + GPA_PD);

    pml4[0] = GPA_PDPT | PTE_USER_ALL;
    pdpt[0] = GPA_PD | PTE_USER_ALL;
    pdpt[GPA_DEVICE >> 30] = GPA_PD | PTE_USER_ALL; /* one directory serves both */
    pd[0] = PTE_USER_ALL | PTE_LARGE;
    pd[GPA_DEVICE >> 21 & 511] = GPA_DEVICE | PTE_USER_ALL | PTE_LARGE;
}

static long enter_ring3(long vcpu)
{
    static const struct kvm_segment code = {.limit = 0xffffffff,
                                            .selector = 0x33,
                                            .type = 11,
                                            .present = 1,
                                            .dpl = 3,
                                            .s = 1,
                                            .l = 1,
                                            .g = 1};
    static const struct kvm_segment data = {.limit = 0xffffffff,
                                            .selector = 0x2b,
                                            .type = 3,
                                            .present = 1,
                                            .dpl = 3,
                                            .s = 1,
                                            .db = 1,
                                            .g = 1};
    static const struct kvm_segment tss = {
        .limit = 0x67, .selector = 0x40, .type = 11, .present = 1};
    static const struct kvm_regs regs = {
        .rip = GPA_CODE, .rsp = GPA_STACK, .rdi = GPA_DEVICE, .rflags = 0x202};
    static struct kvm_sregs sregs;

    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        return -1;
    sregs.cr0 = 0x80050033;
    sregs.cr3 = GPA_PML4;
    sregs.cr4 = 0x620;
    sregs.efer = 0xd01;
    sregs.cs = code;
    sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
    sregs.tr = tss;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
        return -1;
    return ioctl(vcpu, KVM_SET_REGS, &regs);
}

int floor_main(void)
{
    static const struct kvm_enable_cap split_irqchip = {.cap = KVM_CAP_SPLIT_IRQCHIP, .args = {24}};
    long kvm = sys(SYS_OPEN, (long)"/dev/kvm", O_RDWR_CLOEXEC, 0, 0, 0, 0);
    long vm = ioctl(kvm, KVM_CREATE_VM, NULL);
    char *ram = map(RAM_BYTES, MAP_ANON_PRIVATE, -1);
    struct kvm_userspace_memory_region slot = {.memory_size = RAM_BYTES,
                                               .userspace_addr = (uint64_t)ram};
    struct kvm_run *run;
    long vcpu;

    if (kvm < 0 || vm < 0 || map_failed(ram))
        return 2;
    write_tables(ram);
    memcpy(ram + GPA_CODE, guest_code, (size_t)(guest_code_end - guest_code));
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
        return 3;
    if (ioctl(vm, KVM_ENABLE_CAP, &split_irqchip) < 0)
        return 4;
    vcpu = ioctl(vm, KVM_CREATE_VCPU, NULL);
    run = map(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL), MAP_SHARED_FD, vcpu);
    if (vcpu < 0 || map_failed(run) || enter_ring3(vcpu) < 0)
        return 5;
    if (ioctl(vcpu, KVM_RUN, NULL) < 0 || run->exit_reason != KVM_EXIT_MMIO ||
        run->mmio.phys_addr != GPA_DEVICE)
        return 6;
    return sys(SYS_WRITE, 1, (long)run->mmio.data, 1, 0, 0, 0) == 1 ? 0 : 7;
}
