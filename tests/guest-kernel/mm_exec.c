/* The program loader on good, corrupt and random files. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/task/exec.h"
#include "tests/guest-kernel/mm_fake.h"

#define FILE_GPA  0x100000ul
#define FILE_SIZE 0x3000ul

struct segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct program {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
    struct segment segments[3];
};

static struct program *file;
static size_t file_size;
static struct exec_start start;
static char why[160];

/* Text at 0x400000, data at 0x402800 with bss up to 0x405000, no executable stack. */
static void setup(void)
{
    fake_machine(32 << 20);
    file = page_at(FILE_GPA);
    file_size = FILE_SIZE;
    memset(file, 0x77, FILE_SIZE);
    *file = (struct program){
        .ident = {0x7f, 'E', 'L', 'F', 2, 1, 1},
        .type = 2,
        .machine = 62,
        .version = 1,
        .entry = 0x400100,
        .phoff = 64,
        .ehsize = 64,
        .phentsize = 56,
        .phnum = 3,
        .segments = {{1, 5, 0, 0x400000, 0, 0x1000, 0x1000, 0x1000},
                     {1, 6, 0x1800, 0x402800, 0, 0x100, 0x2800, 0x1000},
                     {0x6474e551, 6, 0, 0, 0, 0, 0, 0}},
    };
}

TestSuite(exec, .init = setup);

static int run(void)
{
    static const char argv[] = "prog\0one", envp[] = "K=V";
    const struct exec_image image = {
        .base = file,
        .size = file_size,
        .argv = argv,
        .argv_length = sizeof(argv),
        .envp = envp,
        .envp_length = sizeof(envp),
        .exec_path = "/bin/prog",
    };

    return exec_program(&image, &start, why, sizeof(why));
}

static u64 word(u64 addr)
{
    u64 value;

    memcpy(&value, fake_byte(addr), sizeof(value));
    return value;
}

static u64 aux(u64 type)
{
    for (u64 at = start.rsp + 7 * 8; word(at); at += 16) {
        if (word(at) == type)
            return word(at + 8);
    }
    return ~0ul;
}

Test(exec, a_program_finds_arguments_environment_and_auxv)
{
    cr_assert_eq(run(), 0, "%s", why);
    cr_assert_eq(start.rip, 0x400100);
    cr_assert_eq(start.rsp % 16, 0);
    cr_assert_eq(word(start.rsp), 2);
    cr_assert_str_eq((char *)fake_byte(word(start.rsp + 8)), "prog");
    cr_assert_str_eq((char *)fake_byte(word(start.rsp + 16)), "one");
    cr_assert_eq(word(start.rsp + 24), 0);
    cr_assert_str_eq((char *)fake_byte(word(start.rsp + 32)), "K=V");
    cr_assert_eq(word(start.rsp + 40), 0);
    /* argc, two arguments, NULL, one variable, NULL: auxv is the seventh word. */
    cr_assert_eq(word(start.rsp + 48), 16);
    start.rsp -= 8;
    cr_assert_eq(aux(3), 0x400040);
    cr_assert_eq(aux(5), 3);
    cr_assert_eq(aux(9), 0x400100);
    cr_assert_str_eq((char *)fake_byte(aux(31)), "/bin/prog");
    cr_assert_str_eq((char *)fake_byte(aux(15)), "x86_64");
    cr_assert_eq(aux(51), 3000);
}

Test(exec, text_is_the_file_itself_and_data_a_copy_with_a_zero_tail)
{
    cr_assert_eq(run(), 0, "%s", why);
    cr_assert_eq((void *)fake_byte(0x400000), (void *)file);
    cr_assert_eq(mm_fault(0x400000, FAULT_WRITE), FAULT_SEGV_ACCERR);
    cr_assert_eq(*fake_byte(0x4028ff), 0x77);
    cr_assert_eq(*fake_byte(0x402900), 0);
    cr_assert_eq(*fake_byte(0x402fff), 0);
    cr_assert_eq(((u8 *)file)[0x1900], 0x77, "the file must stay as it is");
    cr_assert_eq(mm_fault(0x404fff, FAULT_WRITE), FAULT_OK);
    cr_assert_eq(mm_fault(0x405000, FAULT_WRITE), FAULT_SEGV_MAPERR);
    cr_assert_eq(mm_fault(start.rsp, FAULT_FETCH), FAULT_SEGV_ACCERR);
    cr_assert_eq(mm_brk(0), 0x405000);
}

Test(exec, a_position_independent_program_is_moved)
{
    file->type = 3;
    for (int i = 0; i < 2; i++)
        file->segments[i].vaddr -= 0x400000;
    file->entry = 0x100;
    cr_assert_eq(run(), 0, "%s", why);
    cr_assert_geq(start.rip, 0x555555554100);
    cr_assert_eq(start.rip % 4096, 0x100);
}

static void refused(const char *reason)
{
    cr_assert_lt(run(), 0, "not refused: %s", reason);
    cr_assert_not_null(strstr(why, reason), "\"%s\" does not say \"%s\"", why, reason);
    setup();
}

Test(exec, each_corruption_is_named)
{
    file->ident[0] = 0;
    refused("not an ELF");
    file_size = 10;
    refused("too short");
    file->machine = 183;
    refused("another processor");
    file->type = 1;
    refused("not a program");
    file->phnum = 0xffff;
    refused("header table");
    file->phoff = UINT64_MAX - 8;
    refused("headers are missing");
    file->segments[0].offset = UINT64_MAX - 0xfff;
    refused("beyond the end");
    file->segments[1].filesz = file->segments[1].memsz = 0x1801;
    refused("beyond the end");
    file->segments[1].memsz = 1;
    refused("more bytes");
    file->segments[1].memsz = UINT64_MAX - 0x402800;
    refused("outside");
    file->segments[1].vaddr = 0x400800;
    refused("overlaps");
    file->segments[1].vaddr += 1;
    refused("not aligned");
    file->segments[1].align = 3;
    refused("bad alignment");
    file->entry = 0x402800;
    refused("entry point");
    file->segments[0].type = file->segments[1].type = 0;
    refused("no segments");
    file->segments[0].vaddr = 0;
    file->entry = 0x100;
    refused("below");
    file->segments[2] = (struct segment){3, 4, 0x2000, 0, 0, 28, 28, 1};
    strcpy((char *)file + 0x2000, "/lib64/ld-linux-x86-64.so.2");
    refused("needs /lib64/ld-linux-x86-64.so.2): link it with -static");
}

Test(exec, random_corruption_never_escapes_the_program)
{
    srand(3);
    for (unsigned round = 0; round < 3000; round++) {
        setup();
        for (unsigned i = 0; i < 1 + round % 6; i++)
            ((u8 *)file)[rand() % (int)sizeof(*file)] ^= (u8)(1 << rand() % 8);
        if (run() != 0) {
            cr_assert_neq(why[0], 0);
            continue;
        }
        for (size_t i = 0; i < mm_areas.count; i++) {
            const struct area *a = &mm_areas.areas[i];

            cr_assert_leq(a->end, MM_TOP);
            cr_assert(a->kind != AREA_IMAGE ||
                          (a->offset >= FILE_GPA &&
                           a->offset - FILE_GPA + (a->end - a->start) <= FILE_SIZE),
                      "maps what is not the file");
        }
    }
}
