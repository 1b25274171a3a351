/*
 * Every field of the file is checked before it is used, in file order: header, program headers,
 * then each segment as it is mapped. The checks on segments (ascending, not overlapping, inside the
 * file and inside the program's addresses) make the sums that follow safe.
 */
#include "guest-kernel/task/exec.h"

#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/task/exec_stack.h"
#include "guest-kernel/task/process.h"

enum { ET_EXEC = 2, ET_DYN = 3, EM_X86_64 = 62 };
enum { PT_LOAD = 1, PT_INTERP = 3, PT_GNU_STACK = 0x6474e551 };
enum { PF_X = 1, PF_W = 2, PF_R = 4 };

struct elf_header {
    u8 ident[16];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
_Static_assert(sizeof(struct elf_header) == 64, "Elf64_Ehdr");

struct elf_segment {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf_segment) == 56, "Elf64_Phdr");

#define SEGMENTS_MAX 64
#define EAGER_TEXT   0x400000ul /* read-only pages mapped at once: 0.05 us each, a fault costs 10 */
#define EAGER_DATA   0x8000ul   /* data copied at once: start-up code writes most of so little */
#define ALIGN_MAX    0x40000000ul
#define PIE_BASE     0x555555554000ul /* where Linux puts them, plus up to 2^28 pages */
#define PIE_RANDOM   0xffffffful

struct loader {
    const struct exec_image *image;
    struct elf_header header;
    struct elf_segment segments[SEGMENTS_MAX];
    u64 bias;      /* added to every address of the file */
    u64 low, high; /* extent of the PT_LOADs, without the bias */
    u64 align;
    bool executable_stack;
    char *why;
    size_t why_size;
};

static u64 page_down(u64 value)
{
    return value & ~(PAGE_SIZE - 1);
}

static u64 page_up(u64 value)
{
    return page_down(value + PAGE_SIZE - 1);
}

static int refuse(const struct loader *l, int error, const char *reason)
{
    kprint_to(l->why, l->why_size, "%s", reason);
    return -error;
}

static int refuse_segment(const struct loader *l, unsigned n, const char *reason)
{
    kprint_to(l->why, l->why_size, "corrupt ELF file: segment %u %s", n, reason);
    return -ENOEXEC;
}

static bool in_file(const struct loader *l, u64 offset, u64 size)
{
    return offset <= l->image->size && size <= l->image->size - offset;
}

static int read_header(struct loader *l)
{
    struct elf_header *h = &l->header;

    if (l->image->size < sizeof(*h))
        return refuse(l, ENOEXEC, "not an ELF file (too short)");
    memcpy(h, l->image->base, sizeof(*h));
    if (memcmp(h->ident, "\177ELF", 4) != 0)
        return refuse(l, ENOEXEC, "not an ELF file");
    if (h->ident[4] != 2 || h->ident[5] != 1 || h->machine != EM_X86_64)
        return refuse(l, ENOEXEC, "built for another processor: x86-64 is needed");
    if (h->type != ET_EXEC && h->type != ET_DYN)
        return refuse(l, ENOEXEC, "an ELF file, but not a program");
    if (h->phentsize != sizeof(struct elf_segment) || h->phnum == 0 || h->phnum > SEGMENTS_MAX)
        return refuse(l, ENOEXEC, "corrupt ELF file: bad program header table");
    if (!in_file(l, h->phoff, h->phnum * sizeof(struct elf_segment)))
        return refuse(l, ENOEXEC, "truncated ELF file: program headers are missing");
    memcpy(l->segments, (const char *)l->image->base + h->phoff,
           h->phnum * sizeof(struct elf_segment));
    return 0;
}

static int refuse_interpreter(const struct loader *l, const struct elf_segment *s)
{
    char name[100] = "a dynamic loader";

    if (in_file(l, s->offset, s->filesz) && s->filesz > 1) {
        size_t length = MIN(s->filesz, sizeof(name) - 1);

        memcpy(name, (const char *)l->image->base + s->offset, length);
        name[length] = '\0';
    }
    for (char *c = name; *c; c++) {
        if (*c < ' ' || *c > '~')
            *c = '?';
    }
    kprint_to(l->why, l->why_size, "dynamically linked (needs %s): link it with -static", name);
    return -ENOEXEC;
}

static int check_segment(struct loader *l, unsigned n)
{
    const struct elf_segment *s = &l->segments[n];

    if (s->filesz > s->memsz)
        return refuse_segment(l, n, "has more bytes in the file than in memory");
    if (!in_file(l, s->offset, s->filesz))
        return refuse_segment(l, n, "lies beyond the end of the file");
    if (s->vaddr >= MM_TOP || s->memsz > MM_TOP - s->vaddr)
        return refuse_segment(l, n, "lies outside the program's addresses");
    if ((s->vaddr - s->offset) % PAGE_SIZE)
        return refuse_segment(l, n, "is not aligned to pages");
    if (s->align > 1 && ((s->align & (s->align - 1)) || s->align > ALIGN_MAX))
        return refuse_segment(l, n, "has a bad alignment");
    if (s->vaddr < l->high)
        return refuse_segment(l, n, "overlaps the one before or is out of order");
    if (l->high == 0)
        l->low = page_down(s->vaddr);
    l->high = s->vaddr + s->memsz;
    l->align = MAX(l->align, s->align);
    return 0;
}

static int check_segments(struct loader *l)
{
    bool entry_found = false;

    for (unsigned n = 0; n < l->header.phnum; n++) {
        const struct elf_segment *s = &l->segments[n];
        int error = 0;

        if (s->type == PT_INTERP)
            return refuse_interpreter(l, s);
        if (s->type == PT_GNU_STACK)
            l->executable_stack = s->flags & PF_X;
        if (s->type == PT_LOAD && s->memsz > 0)
            error = check_segment(l, n);
        if (error)
            return error;
        if (s->type == PT_LOAD && (s->flags & PF_X) && l->header.entry >= s->vaddr &&
            l->header.entry - s->vaddr < s->memsz)
            entry_found = true;
    }
    if (l->high == 0)
        return refuse(l, ENOEXEC, "corrupt ELF file: it has no segments to load");
    if (!entry_found)
        return refuse(l, ENOEXEC, "its entry point is not in executable code (a shared library?)");
    if (l->header.type == ET_EXEC && l->low < MM_LOWEST)
        return refuse(l, ENOEXEC, "a segment lies below address 0x10000");
    return 0;
}

static int choose_bias(struct loader *l)
{
    u64 random;

    if (l->header.type == ET_EXEC)
        return 0;
    random_bytes(&random, sizeof(random));
    u64 base = PIE_BASE + (random & PIE_RANDOM) * PAGE_SIZE;
    base &= ~(MAX(l->align, PAGE_SIZE) - 1);
    if (l->high > MM_TOP - base)
        return refuse(l, ENOEXEC, "its segments are too far apart");
    l->bias = base;
    return 0;
}

static u8 segment_prot(const struct elf_segment *s)
{
    return (u8)((s->flags & PF_R ? PROT_READ : 0) | (s->flags & PF_W ? PROT_WRITE : 0) |
                (s->flags & PF_X ? PROT_EXEC : 0));
}

/* The part of the segment's last page behind the file's bytes is zero, not the file's next bytes.
 */
static bool clear_tail(u64 start, u64 end, u8 prot)
{
    static const char zeroes[PAGE_SIZE];

    if (start == end)
        return true;
    mm_protect(page_down(start), PAGE_SIZE, PROT_READ | PROT_WRITE);
    mm_populate(page_down(start), end);
    if (!mm_poke(start, zeroes, end - start))
        return false;
    return mm_protect(page_down(start), PAGE_SIZE, prot) == 0;
}

static bool map_segment(const struct loader *l, const struct elf_segment *s)
{
    u8 prot = segment_prot(s);
    u64 start = page_down(l->bias + s->vaddr);
    u64 file_end = l->bias + s->vaddr + s->filesz;
    u64 file_page_end = s->filesz ? page_up(file_end) : start;
    u64 end = page_up(l->bias + s->vaddr + s->memsz);

    if (file_page_end > start) {
        struct area image = {.kind = AREA_IMAGE,
                             .prot = prot,
                             .offset = page_gpa(l->image->base) + page_down(s->offset)};

        if (mm_map(start, file_page_end - start, true, image) < 0)
            return false;
    }
    if (end > file_page_end) {
        struct area bss = {.kind = AREA_ANON, .prot = prot};

        if (mm_map(file_page_end, end - file_page_end, true, bss) < 0)
            return false;
    }
    if (!(prot & PROT_WRITE))
        mm_populate(start, MIN(file_page_end, start + EAGER_TEXT));
    else if (file_page_end - start <= EAGER_DATA)
        mm_populate(start, file_page_end);
    if (s->memsz == s->filesz || s->filesz == 0)
        return true;
    return clear_tail(file_end, MIN(file_page_end, l->bias + s->vaddr + s->memsz), prot);
}

static int map_segments(const struct loader *l)
{
    for (unsigned n = 0; n < l->header.phnum; n++) {
        const struct elf_segment *s = &l->segments[n];

        if (s->type == PT_LOAD && s->memsz > 0 && !map_segment(l, s))
            return refuse(l, ENOMEM, "not enough memory to load it");
    }
    return 0;
}

/* Where the program finds its own program headers; 0 if no segment holds them. */
static u64 header_address(const struct loader *l)
{
    u64 at = l->header.phoff, size = l->header.phnum * sizeof(struct elf_segment);

    for (unsigned n = 0; n < l->header.phnum; n++) {
        const struct elf_segment *s = &l->segments[n];

        if (s->type == PT_LOAD && at >= s->offset && at - s->offset <= s->filesz &&
            size <= s->filesz - (at - s->offset))
            return l->bias + s->vaddr + (at - s->offset);
    }
    return 0;
}

int exec_program(const struct exec_image *image, struct exec_start *out, char *why, size_t why_size)
{
    struct loader l = {.image = image, .why = why, .why_size = why_size};
    int error;

    if ((error = read_header(&l)) != 0 || (error = check_segments(&l)) != 0 ||
        (error = choose_bias(&l)) != 0 || (error = map_segments(&l)) != 0)
        return error;
    mm_set_brk(l.bias + l.high);
    process.image_gpa = page_gpa(image->base);

    u64 top = mm_map_stack(l.executable_stack);
    if (!top)
        return refuse(&l, ENOMEM, "no room for its stack");
    struct exec_stack stack = {
        .image = image,
        .top = top,
        .entry = l.bias + l.header.entry,
        .headers = header_address(&l),
        .header_size = sizeof(struct elf_segment),
        .header_count = l.header.phnum,
    };
    error = exec_stack_build(&stack, &out->rsp);
    if (error == -E2BIG)
        return refuse(&l, E2BIG, "arguments and environment are too long");
    if (error)
        return refuse(&l, -error, "not enough memory for its stack");
    out->rip = stack.entry;
    return 0;
}
