/*
 * Boot tables (AMD64 APM volume 2, chapters 4, 5 and 8). Accessed and dirty bits are preset, so
 * that the processor never writes to a table and the dirty log shows only the guest's own writes.
 */
#include "monitor/boot_tables.h"

#include <string.h>

#include "abi/memory_map.h"

enum {
    ENTRIES = 512,
    PAGE = 4096,
    LARGE = 2 << 20,
    BASE = 0x67,      /* present, writable, user, accessed, dirty */
    READ_ONLY = 0x65, /* the same, not writable */
    PS = 0x80,        /* 2 MiB page */
    UNCACHED = 0x18,  /* PCD, PWT */
    WINDOW_SLOT = SAMARA_WINDOW >> 39 & 511,
    DEVICE_GIB = SAMARA_RAM_LOW_END >> 30,
};
#define NX (1ull << 63)

struct layout {
    uint64_t top, gibs, first_pt, directories; /* gpa of PML4, PDPT, PT of the first 2 MiB, PDs */
    uint64_t ram_gibs;                         /* GiB of the window that hold RAM, holes included */
    uint64_t end;                              /* of RAM in the window */
};

static uint64_t window_end(uint64_t ram)
{
    return ram <= SAMARA_RAM_LOW_END ? ram : ram - SAMARA_RAM_LOW_END + SAMARA_RAM_HIGH_BASE;
}

/* One directory for each GiB with RAM, and one for device space. */
static struct layout lay_out(uint64_t at, uint64_t ram)
{
    uint64_t gibs = (window_end(ram) + (1 << 30) - 1) >> 30;

    return (struct layout){at, at + PAGE, at + 2 * PAGE, at + 3 * PAGE, gibs, window_end(ram)};
}

uint64_t boot_page_tables_size(uint64_t ram)
{
    uint64_t gibs = lay_out(0, ram).ram_gibs;

    return (3 + (gibs > DEVICE_GIB ? gibs : gibs + 1)) * PAGE;
}

static bool put(const struct guest_mem *mem, uint64_t at, const uint64_t *table)
{
    return guest_write(mem, gpa(at), table, PAGE);
}

/* Where there is neither RAM nor a device nothing is mapped: a stray access faults. (In the last 2
 * MiB, if RAM does not fill them, it reads ones.) */
static bool put_ram_directory(const struct guest_mem *mem, uint64_t at, uint64_t gib,
                              const struct layout *l)
{
    uint64_t table[ENTRIES] = {0};
    uint64_t base = gib << 30;

    for (uint64_t i = 0; i < ENTRIES && base + i * LARGE < l->end; i++)
        table[i] = (base + i * LARGE) | NX | BASE | PS;
    if (gib == 0)
        table[0] = l->first_pt | BASE;
    return put(mem, at, table);
}

static bool put_device_directory(const struct guest_mem *mem, uint64_t at)
{
    static const uint64_t devices[] = {SAMARA_GPA_DOORBELL, SAMARA_GPA_LAPIC};
    uint64_t table[ENTRIES] = {0};

    _Static_assert(SAMARA_GPA_VIRTIO + SAMARA_VIRTIO_SLOTS * SAMARA_VIRTIO_STRIDE <=
                       SAMARA_GPA_DOORBELL + LARGE,
                   "all registers in one large page");
    for (unsigned i = 0; i < sizeof(devices) / sizeof(devices[0]); i++)
        table[devices[i] / LARGE % ENTRIES] =
            (devices[i] & ~(uint64_t)(LARGE - 1)) | NX | BASE | PS | UNCACHED;
    return put(mem, at, table);
}

static uint64_t kernel_page(const struct elf_image *kernel, uint64_t page)
{
    for (unsigned i = 0; i < kernel->segment_count; i++) {
        const struct elf_segment *s = &kernel->segments[i];

        if (page + PAGE > s->paddr && page < s->paddr + s->memory_size)
            return page | (s->flags & PF_W ? BASE : READ_ONLY) | (s->flags & PF_X ? 0 : NX);
    }
    return page | BASE | NX;
}

static bool put_first_pages(const struct guest_mem *mem, uint64_t at,
                            const struct elf_image *kernel)
{
    uint64_t table[ENTRIES];

    table[0] = 0;
    for (uint64_t i = 1; i < ENTRIES; i++)
        table[i] = kernel_page(kernel, i * PAGE);
    return put(mem, at, table);
}

int boot_page_tables(const struct guest_mem *mem, uint64_t at, uint64_t ram,
                     const struct elf_image *kernel, struct err *err)
{
    const struct layout l = lay_out(at, ram);
    uint64_t top[ENTRIES] = {0};
    uint64_t gibs[ENTRIES] = {0};
    uint64_t next = l.directories;
    bool good = true;

    top[WINDOW_SLOT] = l.gibs | BASE;
    for (uint64_t gib = 0; gib < ENTRIES && good; gib++) {
        if (gib >= l.ram_gibs && gib != DEVICE_GIB)
            continue;
        gibs[gib] = next | BASE;
        good = gib == DEVICE_GIB ? put_device_directory(mem, next)
                                 : put_ram_directory(mem, next, gib, &l);
        next += PAGE;
    }
    good = good && put(mem, l.top, top) && put(mem, l.gibs, gibs) &&
           put_first_pages(mem, l.first_pt, kernel);
    return good ? 0 : err_set(err, "no room in guest memory for page tables");
}

/* --- descriptors --- */

static uint64_t code_or_data(uint64_t access)
{
    return 0x00a0000000000000 | 0x000f00000000ffff | access << 40;
}

static void fill_gdt(uint64_t gdt[SAMARA_GDT_BYTES / 8])
{
    const uint64_t tss = SAMARA_WINDOW + SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET;

    gdt[2] = code_or_data(0x9b); /* kernel code, 64-bit */
    gdt[3] = 0x00cf93000000ffff; /* kernel data */
    gdt[4] = 0x00cffb000000ffff; /* 32-bit program code: SYSRET counts from it */
    gdt[5] = 0x00cff3000000ffff; /* program data */
    gdt[6] = code_or_data(0xfb); /* program code, 64-bit */
    gdt[8] = 0x67 | (tss & 0xffffff) << 16 | 0x8bull << 40 | (tss >> 24 & 0xff) << 56;
    gdt[9] = tss >> 32;
}

static void fill_idt(uint64_t *idt, const struct samara_kernel_note *note)
{
    for (unsigned v = 0; v < SAMARA_VECTORS; v++) {
        uint64_t at = note->trap_stubs + (uint64_t)v * note->trap_stride;
        uint64_t ist = v >= 32 ? 1 : (v == 2 || v == 8 || v == 18) ? 2 : 0;
        uint64_t type = v == 3 ? 0xee : 0x8e; /* interrupt gate; vector 3 from ring 3 too */

        idt[2 * v] = (at & 0xffff) | (uint64_t)SAMARA_SEL_KERNEL_CS << 16 | ist << 32 | type << 40 |
                     (at >> 16 & 0xffff) << 48;
        idt[2 * v + 1] = at >> 32;
    }
}

int boot_descriptor_tables(const struct guest_mem *mem, const struct samara_kernel_note *note,
                           struct err *err)
{
    union {
        uint8_t bytes[PAGE];
        uint64_t words[ENTRIES];
    } page = {{0}};
    uint8_t *tss = page.bytes + SAMARA_TSS_OFFSET;

    fill_gdt(page.words);
    memcpy(tss + 4, &note->exception_stack, 8);  /* RSP0 */
    memcpy(tss + 36, &note->interrupt_stack, 8); /* IST1 */
    memcpy(tss + 44, &note->fault_stack, 8);     /* IST2 */
    fill_idt(page.words + SAMARA_IDT_OFFSET / 8, note);
    if (!guest_write(mem, gpa(SAMARA_GPA_TABLES), &page, sizeof(page)))
        return err_set(err, "no room in guest memory for descriptor tables");
    return 0;
}
