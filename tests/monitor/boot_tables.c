/* Page tables and descriptors, read back the way a processor reads them. */
#include "monitor/boot_tables.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "abi/memory_map.h"

#define RAM      (16ull << 20)
#define TABLES   0x300000ull
#define PRESENT  1ull
#define WRITABLE 2ull
#define USER     4ull
#define UNCACHED 0x18ull
#define A_D      0x60ull
#define LARGE    0x80ull
#define NX       (1ull << 63)
#define ADDRESS  0x000ffffffffff000ull

static uint8_t *ram;
static struct guest_mem mem;

static const struct elf_image kernel = {
    .segment_count = 3,
    .segments = {{.paddr = 0x100000, .memory_size = 0x1800, .flags = PF_R | PF_X},
                 {.paddr = 0x102000, .memory_size = 0x1000, .flags = PF_R},
                 {.paddr = 0x103000, .memory_size = 0x5000, .flags = PF_R | PF_W}},
};

static void make_ram(void)
{
    ram = aligned_alloc(4096, RAM);
    memset(ram, 0, RAM);
    mem = (struct guest_mem){0};
    cr_assert_eq(guest_mem_add(&mem, 0, RAM, ram, NULL), 0);
}

static uint64_t entry(uint64_t table, uint64_t index)
{
    uint64_t value;

    cr_assert(table + 4096 <= RAM, "a table outside of memory");
    memcpy(&value, ram + table + index * 8, 8);
    return value;
}

/* The entry that maps a virtual address, 0 if there is none. All levels must be there for ring 3.
 */
static uint64_t walk(uint64_t at)
{
    uint64_t table = TABLES;

    for (int shift = 39; shift >= 12; shift -= 9) {
        uint64_t e = entry(table, at >> shift & 511);

        if (!(e & PRESENT))
            return 0;
        cr_assert(e & USER, "0x%llx: not for ring 3", (unsigned long long)at);
        cr_assert_eq(e & A_D, shift > 21 ? e & A_D : A_D);
        if (shift == 12 || (shift == 21 && (e & LARGE)))
            return e;
        table = e & ADDRESS;
    }
    return 0;
}

static uint64_t window(uint64_t gpa)
{
    return walk(SAMARA_WINDOW + gpa);
}

static void lay_out(uint64_t size)
{
    struct err err = {0};

    make_ram();
    cr_assert_eq(boot_page_tables(&mem, TABLES, size, &kernel, &err), 0, "%s", err.text);
}

Test(boot_tables, page_zero_and_the_programs_half_are_empty)
{
    lay_out(RAM);
    cr_assert_eq(window(0), 0);
    cr_assert_eq(walk(0), 0);
    cr_assert_eq(walk(0x400000), 0);
    cr_assert_eq(walk(0xffff800000000000), 0);
}

Test(boot_tables, every_page_of_ram_is_at_its_place)
{
    lay_out(RAM);
    for (uint64_t at = 0x1000; at < RAM; at += 0x1000) {
        uint64_t e = window(at);
        uint64_t mask = e & LARGE ? 0x1fffff : 0xfff;

        cr_assert(e, "0x%llx is not mapped", (unsigned long long)at);
        cr_assert_eq((e & ADDRESS & ~mask) | (at & mask), at);
    }
}

Test(boot_tables, kernel_segments_have_their_own_permissions)
{
    lay_out(RAM);
    for (uint64_t at = 0x100000; at < 0x102000; at += 0x1000) {
        cr_assert_not(window(at) & WRITABLE, "text can be written");
        cr_assert_not(window(at) & NX, "text cannot run");
    }
    cr_assert_not(window(0x102000) & WRITABLE);
    cr_assert(window(0x102000) & NX);
    for (uint64_t at = 0x103000; at < 0x108000; at += 0x1000)
        cr_assert_eq(window(at) & (WRITABLE | NX), WRITABLE | NX);
}

Test(boot_tables, nothing_is_both_writable_and_executable)
{
    lay_out(RAM);
    for (uint64_t at = 0x1000; at < RAM; at += 0x1000)
        cr_assert_not((window(at) & WRITABLE) && !(window(at) & NX), "0x%llx",
                      (unsigned long long)at);
}

Test(boot_tables, device_space_is_uncached)
{
    static const uint64_t devices[] = {SAMARA_GPA_DOORBELL, SAMARA_GPA_VIRTIO, SAMARA_GPA_LAPIC};

    lay_out(RAM);
    for (size_t i = 0; i < 3; i++) {
        uint64_t e = window(devices[i]);

        cr_assert_eq(e & (WRITABLE | UNCACHED | NX), WRITABLE | UNCACHED | NX);
        cr_assert_eq(e & ADDRESS, devices[i] & ~0x1fffffull);
    }
}

Test(boot_tables, ram_above_the_hole_is_mapped_too)
{
    const uint64_t size = 6ull << 30;

    lay_out(size);
    cr_assert_eq(window(SAMARA_RAM_LOW_END - 0x200000) & UNCACHED, 0);
    cr_assert_eq(window(SAMARA_RAM_HIGH_BASE) & UNCACHED, 0);
    cr_assert_eq(window(SAMARA_RAM_HIGH_BASE + (3ull << 30) - 0x200000) & ADDRESS,
                 SAMARA_RAM_HIGH_BASE + (3ull << 30) - 0x200000);
    cr_assert_eq(window(SAMARA_RAM_HIGH_BASE + (3ull << 30)), 0);
}

static uint64_t any_entry(uint64_t table)
{
    uint64_t any = 0;

    for (unsigned i = 0; i < 512; i++)
        any |= entry(table, i);
    return any;
}

Test(boot_tables, they_stay_within_the_size_that_was_told)
{
    static const uint64_t sizes[] = {16ull << 20, 1ull << 30,          (1ull << 30) + 4096,
                                     3ull << 30,  (3ull << 30) + 4096, 6ull << 30,
                                     256ull << 30};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t told = boot_page_tables_size(sizes[i]);

        lay_out(sizes[i]);
        cr_assert_eq(told % 4096, 0);
        for (uint64_t at = TABLES + told; at < TABLES + told + 0x10000; at++)
            cr_assert_eq(ram[at], 0, "size %zu: byte beyond", i);
        cr_assert_neq(any_entry(TABLES + told - 4096), 0, "size %zu: told more than is used", i);
        free(ram);
    }
}

Test(boot_tables, memory_too_small_for_them_is_an_error)
{
    struct err err = {0};

    make_ram();
    cr_assert_eq(boot_page_tables(&mem, RAM - 4096, RAM, &kernel, &err), -1);
    cr_assert(err.text[0]);
}

/* --- descriptors --- */

static const struct samara_kernel_note note = {
    .version = SAMARA_NOTE_VERSION,
    .trap_stride = 64,
    .trap_stubs = SAMARA_WINDOW + 0x100040,
    .exception_stack = SAMARA_WINDOW + 0x111110,
    .interrupt_stack = SAMARA_WINDOW + 0x222220,
    .fault_stack = SAMARA_WINDOW + 0x333330,
};

static void lay_out_descriptors(void)
{
    make_ram();
    cr_assert_eq(boot_descriptor_tables(&mem, &note, NULL), 0);
}

static uint64_t gdt(unsigned selector)
{
    return entry(SAMARA_GPA_TABLES, selector / 8);
}

static unsigned access_byte(unsigned selector)
{
    return (unsigned)(gdt(selector) >> 40 & 0xff);
}

Test(boot_tables, segments_are_what_linux_has)
{
    lay_out_descriptors();
    cr_assert_eq(gdt(0), 0);
    cr_assert_eq(access_byte(SAMARA_SEL_KERNEL_CS), 0x9b);
    cr_assert_eq(access_byte(SAMARA_SEL_KERNEL_DS), 0x93);
    cr_assert_eq(access_byte(SAMARA_SEL_USER_DS), 0xf3);
    cr_assert_eq(access_byte(SAMARA_SEL_USER_CS), 0xfb);
    cr_assert(gdt(SAMARA_SEL_USER_CS) >> 53 & 1, "user code is 64-bit");
    cr_assert(gdt(SAMARA_SEL_KERNEL_CS) >> 53 & 1, "kernel code is 64-bit");
}

Test(boot_tables, the_task_segment_points_at_the_stacks)
{
    const uint64_t base = SAMARA_WINDOW + SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET;
    uint64_t low, high, stack;

    lay_out_descriptors();
    low = gdt(SAMARA_SEL_TSS);
    high = gdt(SAMARA_SEL_TSS + 8);
    cr_assert_eq((low >> 16 & 0xffffff) | (low >> 56 & 0xff) << 24 | high << 32, base);
    cr_assert_eq(access_byte(SAMARA_SEL_TSS), 0x8b);
    memcpy(&stack, ram + SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET + 4, 8);
    cr_assert_eq(stack, note.exception_stack);
    memcpy(&stack, ram + SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET + 36, 8);
    cr_assert_eq(stack, note.interrupt_stack);
    memcpy(&stack, ram + SAMARA_GPA_TABLES + SAMARA_TSS_OFFSET + 44, 8);
    cr_assert_eq(stack, note.fault_stack);
}

Test(boot_tables, gates_lead_to_the_stubs_on_the_right_stacks)
{
    lay_out_descriptors();
    for (unsigned v = 0; v < SAMARA_VECTORS; v++) {
        uint64_t low = entry(SAMARA_GPA_TABLES, (SAMARA_IDT_OFFSET / 8) + 2 * v);
        uint64_t high = entry(SAMARA_GPA_TABLES, (SAMARA_IDT_OFFSET / 8) + 2 * v + 1);
        uint64_t target = (low & 0xffff) | (low >> 48 & 0xffff) << 16 | high << 32;
        unsigned ist = (unsigned)(low >> 32 & 7), type = (unsigned)(low >> 40 & 0xff);

        cr_assert_eq(target, note.trap_stubs + (uint64_t)v * note.trap_stride);
        cr_assert_eq(low >> 16 & 0xffff, SAMARA_SEL_KERNEL_CS);
        cr_assert_eq(ist, v >= 32 ? 1u : v == 2 || v == 8 || v == 18 ? 2u : 0u, "vector %u", v);
        cr_assert_eq(type, v == 3 ? 0xeeu : 0x8eu, "only vector 3 is for ring 3: %u", v);
    }
}
