/*
 * The ring-3 half of the PVH entry: hvm_start_info (Xen
 * xen/include/public/arch-x86/hvm/start_info.h) becomes struct boot_info, and the IDT is filled in.
 */
#include "abi/kernel_note.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/boot/cmdline.h"
#include "guest-kernel/boot/main.h"

enum {
    START_MAGIC = 0x336ec578,
    MEMMAP_RAM = 1,
    GATE_RING0 = 0x8e,
    GATE_RING3 = 0xee,
    TRAP_STRIDE = 64,
};

struct start_info {
    u32 magic, version, flags, module_count;
    u64 modules, cmdline, rsdp;
    u64 memmap; /* version 1 */
    u32 memmap_entries, reserved;
};

struct module {
    u64 address, size, cmdline, reserved;
};

struct memmap_entry {
    u64 address, size;
    u32 type, reserved;
};

extern char kernel_end[], trap_stubs[];
extern u64 pvh_pml4[];

void pvh_main(u64 start_info);

static const void *in_window(u64 gpa)
{
    return (const void *)(uintptr_t)(SAMARA_WINDOW + gpa);
}

static void fill_idt(void)
{
    u64 *idt = (u64 *)(SAMARA_WINDOW + SAMARA_GPA_TABLES + SAMARA_IDT_OFFSET);

    for (u32 v = 0; v < SAMARA_VECTORS; v++) {
        u64 at = (u64)(uintptr_t)trap_stubs + (u64)v * TRAP_STRIDE;
        u64 ist = v >= 32 ? 1 : (v == 2 || v == 8 || v == 18) ? 2 : 0;
        u64 type = v == 3 ? GATE_RING3 : GATE_RING0;

        idt[2 * v] = (at & 0xffff) | (u64)SAMARA_SEL_KERNEL_CS << 16 | ist << 32 | type << 40 |
                     (at >> 16 & 0xffff) << 48;
        idt[2 * v + 1] = at >> 32;
    }
}

/* RAM that starts at or below 1 MiB and lies below the device hole: what the window maps. */
static u64 ram_end(const struct start_info *start)
{
    const struct memmap_entry *map = in_window(start->memmap);
    u64 end = 0;

    if (start->version < 1 || !start->memmap)
        return 0;
    for (u32 i = 0; i < start->memmap_entries; i++) {
        u64 stop = map[i].address + map[i].size;

        if (map[i].type == MEMMAP_RAM && map[i].address <= SAMARA_GPA_KERNEL && stop > end)
            end = MIN(stop, (u64)SAMARA_RAM_LOW_END);
    }
    return end & ~(PAGE_SIZE - 1);
}

/* The program lies where the monitor put it: behind the kernel or at the end of RAM. What is free
 * is the larger part that is left. */
static void place_program(const struct start_info *start, struct boot_info *boot)
{
    const struct module *module = in_window(start->modules);
    u64 kernel_stop = (u64)(uintptr_t)kernel_end - SAMARA_WINDOW;

    boot->free_start = (kernel_stop + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    if (start->module_count == 0)
        return;
    boot->program_start = module->address;
    boot->program_end = module->address + module->size;
    if (boot->program_start - boot->free_start > boot->ram_bytes / 2)
        boot->ram_bytes = boot->program_start & ~(PAGE_SIZE - 1);
    else
        boot->free_start = (boot->program_end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

void pvh_main(u64 start_gpa)
{
    const struct start_info *start = in_window(start_gpa);
    struct boot_info boot = {0};

    fill_idt();
    pvh_pml4[0] = 0; /* the identity map of the way here: it is the program's space now */
    gate_reload_cr3();
    if (start->magic != START_MAGIC)
        __builtin_trap();
    cmdline_parse(start->cmdline ? in_window(start->cmdline) : "", &boot);
    boot.ram_bytes = ram_end(start);
    place_program(start, &boot);
    kernel_boot(&boot, (u64)(uintptr_t)pvh_pml4 - SAMARA_WINDOW);
}
