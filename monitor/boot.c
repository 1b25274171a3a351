/* See boot.h. Kernel and program are mapped, not copied: text is shared through the page cache. */
#include "monitor/boot.h"

#include <string.h>
#include <sys/random.h>

#include "abi/memory_map.h"
#include "abi/virtio.h"
#include "abi/virtio_vsock.h"
#include "monitor/boot_fdt.h"
#include "monitor/boot_pvh.h"
#include "monitor/boot_tables.h"
#include "monitor/populate.h"

_Static_assert(BOOT_DISK_SLOT + VM_DISKS == BOOT_NET_SLOT &&
                   BOOT_NET_SLOT + VM_NETS == SAMARA_VIRTIO_SLOTS,
               "a slot for each");

enum { PAGE = 4096, VSOCK_QUEUE_SIZE = 128 };

/* How much of free memory has been touched when a small program ends. */
#define EARLY_MEMORY (20ull * PAGE)

/* Least RAM behind the program, for what it does. */
#define ROOM_TO_RUN (4ull << 20)

struct place {
    uint64_t tables, queues, info, program, free_start; /* gpa, in this order */
};

static uint64_t page_up(uint64_t at)
{
    return (at + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

static int map_program(const struct boot *b, uint64_t at, struct err *err)
{
    const struct program *p = b->program;
    uint64_t low = ram_below_hole(b->ram_size);

    if (at > low || p->size > low - at || low - at - p->size < ROOM_TO_RUN)
        return err_set(err, "%s: too big for the VM's memory (%llu MiB): use --mem", p->path,
                       (unsigned long long)(b->ram_size >> 20));
    if (mmap(b->ram + at, p->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, p->fd, 0) ==
        MAP_FAILED)
        return err_sys(err, "%s: map", p->path);
    return 0;
}

/*
 * Gives pages their memory before the guest touches them: KVM maps neighbours that are there
 * together with the one that was missed, so nine misses of 5 us become one or two. Only for speed:
 * what cannot be done (Linux before 5.14) is done at the miss.
 */
static void populate(const struct boot *b, uint64_t from, uint64_t to)
{
    from &= ~(uint64_t)(PAGE - 1);
    madvise(b->ram + from, page_up(to) - from, MADV_POPULATE_WRITE);
}

/* --- samara's note --- */

/* vsock's rx and tx queues; nobody listens to its event queue. */
static struct virtio_preset vsock_preset(uint64_t gpa)
{
    return (struct virtio_preset){.device_id = VIRTIO_ID_VSOCK,
                                  .queues = 2,
                                  .size = VSOCK_QUEUE_SIZE,
                                  .features = VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET),
                                  .gpa = gpa};
}

static struct place lay_out(const struct boot *b, uint64_t kernel_end, size_t info_size)
{
    const struct virtio_preset queues = vsock_preset(0);
    struct place p = {.tables = kernel_end};

    p.queues = p.tables + boot_page_tables_size(b->ram_size);
    p.info = p.queues + queues.queues * virtio_preset_stride(&queues);
    p.program = page_up(p.info + info_size);
    p.free_start = page_up(p.program + b->program->size);
    return p;
}

static uint64_t data_start(const struct elf_image *kernel)
{
    for (unsigned i = 0; i < kernel->segment_count; i++) {
        if (kernel->segments[i].flags & PF_W)
            return kernel->segments[i].paddr;
    }
    return 0;
}

/* What every guest writes before its program starts; the page at 0 is never mapped. */
static void populate_early(const struct boot *b, const struct place *at)
{
    populate(b, SAMARA_GPA_TABLES, SAMARA_GPA_KVMCLOCK + PAGE);
    populate(b, data_start(&b->kernel->elf), at->program);
    populate(b, at->free_start, at->free_start + EARLY_MEMORY);
}

/* In the order of their slots; vsock, which every VM has, comes first. */
static unsigned list_devices(const struct vm_config *c, struct boot_device to[SAMARA_VIRTIO_SLOTS])
{
    unsigned count = 0;

    to[count++] = (struct boot_device){.slot = BOOT_VSOCK_SLOT, .device_id = VIRTIO_ID_VSOCK};
    for (unsigned i = 0; i < c->disk_count; i++)
        to[count++] =
            (struct boot_device){.slot = BOOT_DISK_SLOT + i, .device_id = VIRTIO_ID_BLOCK};
    for (unsigned i = 0; i < c->net_count; i++)
        to[count++] = (struct boot_device){
            .slot = BOOT_NET_SLOT + i, .device_id = VIRTIO_ID_NET, .net = c->nets[i].addresses};
    return count;
}

static int load_native(const struct boot *b, uint64_t kernel_end, struct boot_loaded *to,
                       struct err *err)
{
    const struct samara_kernel_note *note = &b->kernel->elf.note;
    const struct vm_config *c = b->config;
    struct boot_device devices[SAMARA_VIRTIO_SLOTS];
    uint8_t seed[32];
    struct boot_fdt fdt = {.ram = b->ram_size,
                           .argv = c->argv,
                           .envp = c->envp,
                           .exec_path = b->program->path,
                           .bootargs = "",
                           .seed = seed,
                           .devices = devices,
                           .device_count = list_devices(c, devices)};
    size_t size = boot_fdt_size(&fdt);
    struct place at = lay_out(b, kernel_end, size);

    if (getrandom(seed, sizeof(seed), 0) != sizeof(seed))
        return err_sys(err, "getrandom");
    to->vsock = devices[0].preset = vsock_preset(at.queues);
    to->end = at.free_start;
    fdt.program_start = at.program;
    fdt.program_end = at.program + b->program->size;
    fdt.free_start = at.free_start;
    if (map_program(b, at.program, err) != 0)
        return -1;
    populate_early(b, &at);
    if (boot_fdt_write(&fdt, b->ram + at.info, size, err) != 0 ||
        boot_page_tables(b->mem, at.tables, b->ram_size, &b->kernel->elf, err) != 0 ||
        boot_descriptor_tables(b->mem, note, err) != 0)
        return -1;
    to->start = (struct vcpu_start){.rip = note->entry,
                                    .rsp = note->stack_top,
                                    .rdi = SAMARA_WINDOW + at.info,
                                    .rsi = size,
                                    .rdx = at.tables,
                                    .cr3 = at.tables};
    return 0;
}

/* --- PVH --- */

static int load_pvh(const struct boot *b, uint64_t kernel_end, struct boot_loaded *to,
                    struct err *err)
{
    const struct vm_config *c = b->config;
    struct boot_device devices[SAMARA_VIRTIO_SLOTS];
    struct boot_pvh pvh = {.ram = b->ram_size,
                           .devices = devices,
                           .device_count = list_devices(c, devices),
                           .exec_path = b->program->path,
                           .argv = c->argv};
    size_t size = boot_pvh_size(&pvh);

    pvh.program_start = page_up(kernel_end + size);
    pvh.program_end = pvh.program_start + b->program->size;
    if (map_program(b, pvh.program_start, err) != 0 ||
        boot_pvh_write(&pvh, kernel_end, b->ram + kernel_end, size, err) != 0)
        return -1;
    to->end = pvh.program_end;
    to->start = (struct vcpu_start){
        .pvh = true, .rip = b->kernel->elf.pvh_entry, .start_info = (uint32_t)kernel_end};
    return 0;
}

int boot_load(const struct boot *b, struct boot_loaded *to, struct err *err)
{
    uint64_t kernel_end = kernel_image_map(b->kernel, b->ram, b->ram_size, err);

    memset(to, 0, sizeof(*to));
    if (!kernel_end)
        return -1;
    if (b->kernel->elf.has_samara_note)
        return load_native(b, kernel_end, to, err);
    return load_pvh(b, kernel_end, to, err);
}
