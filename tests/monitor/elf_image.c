/* The ELF reader against small files made here, each wrong in one way. */
#include "monitor/elf_image.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_SIZE 0x3000
#define BASE      0x400000u

/* Header, program headers, then a page each of text and data. */
struct file {
    union {
        uint8_t bytes[FILE_SIZE];
        struct {
            Elf64_Ehdr header;
            Elf64_Phdr programs[4];
        };
    };
    uint64_t start; /* where in the descriptor it begins */
    uint64_t size;
};

static struct file good(void)
{
    struct file f = {.size = FILE_SIZE};

    memcpy(f.header.e_ident, ELFMAG, SELFMAG);
    f.header.e_ident[EI_CLASS] = ELFCLASS64;
    f.header.e_ident[EI_DATA] = ELFDATA2LSB;
    f.header.e_ident[EI_VERSION] = EV_CURRENT;
    f.header.e_type = ET_EXEC;
    f.header.e_machine = EM_X86_64;
    f.header.e_version = EV_CURRENT;
    f.header.e_entry = BASE + 0x10;
    f.header.e_phoff = offsetof(struct file, programs);
    f.header.e_phentsize = sizeof(Elf64_Phdr);
    f.header.e_phnum = 3;
    f.programs[0] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_flags = PF_R | PF_X,
                                 .p_offset = 0x1000,
                                 .p_vaddr = BASE,
                                 .p_paddr = BASE,
                                 .p_filesz = 0x1000,
                                 .p_memsz = 0x1000};
    f.programs[1] = (Elf64_Phdr){.p_type = PT_LOAD,
                                 .p_flags = PF_R | PF_W,
                                 .p_offset = 0x2010,
                                 .p_vaddr = BASE + 0x1010,
                                 .p_paddr = BASE + 0x1010,
                                 .p_filesz = 0x100,
                                 .p_memsz = 0x5000};
    f.programs[2] = (Elf64_Phdr){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W};
    return f;
}

static int read_file(const struct file *f, struct elf_image *image, struct err *err)
{
    int fd = memfd_create("elf", MFD_CLOEXEC);
    int r;

    cr_assert(fd >= 0);
    cr_assert_eq(pwrite(fd, f->bytes, FILE_SIZE, (off_t)f->start), FILE_SIZE);
    cr_assert_eq(ftruncate(fd, (off_t)(f->start + f->size)), 0);
    r = elf_read(image, fd, f->start, f->size, err);
    if (r == 0)
        r = elf_read_notes(image, fd, f->start, f->size, err);
    close(fd);
    return r;
}

static void accepted(const struct file *f, struct elf_image *image)
{
    struct err err = {0};

    cr_assert_eq(read_file(f, image, &err), 0, "%s", err.text);
}

static void refused(const struct file *f, const char *reason)
{
    struct elf_image image;
    struct err err = {0};

    cr_assert_eq(read_file(f, &image, &err), -1, "accepted, wanted: %s", reason);
    cr_assert(strstr(err.text, reason), "'%s' does not say '%s'", err.text, reason);
}

static void put_note(struct file *f, const char *name, uint32_t type, const void *data,
                     uint32_t size)
{
    const Elf64_Nhdr n = {(Elf64_Word)strlen(name) + 1, size, type};
    uint8_t *at = f->bytes + 0x1800;

    memset(at, 0, 0x100);
    memcpy(at, &n, sizeof(n));
    memcpy(at + sizeof(n), name, n.n_namesz);
    memcpy(at + sizeof(n) + ((n.n_namesz + 3) & ~3u), data, size);
    f->programs[2] =
        (Elf64_Phdr){.p_type = PT_NOTE,
                     .p_offset = 0x1800,
                     .p_filesz = sizeof(n) + ((n.n_namesz + 3) & ~3u) + ((size + 3) & ~3u)};
}

Test(elf_image, segments_are_kept_as_they_are)
{
    struct file f = good();
    struct elf_image image;

    accepted(&f, &image);
    cr_assert_eq(image.entry, BASE + 0x10);
    cr_assert_not(image.position_independent);
    cr_assert_eq(image.segment_count, 2);
    cr_assert_eq(image.segments[0].flags, PF_R | PF_X);
    cr_assert_eq(image.segments[1].offset, 0x2010);
    cr_assert_eq(image.segments[1].vaddr, BASE + 0x1010);
    cr_assert_eq(image.segments[1].file_size, 0x100);
    cr_assert_eq(image.segments[1].memory_size, 0x5000);
}

Test(elf_image, it_may_begin_in_the_middle_of_a_file)
{
    struct file f = good();
    struct elf_image image;

    f.start = 0x5000;
    accepted(&f, &image);
    cr_assert_eq(image.segments[0].offset, 0x1000);
}

Test(elf_image, a_static_pie_is_accepted)
{
    struct file f = good();
    struct elf_image image;

    f.header.e_type = ET_DYN;
    accepted(&f, &image);
    cr_assert(image.position_independent);
}

Test(elf_image, a_script_is_told_from_other_files)
{
    struct file f = good();

    memcpy(f.bytes, "#!/bin/sh\n", 10);
    refused(&f, "script");
    memcpy(f.bytes, "just text\n", 10);
    refused(&f, "not an ELF");
}

Test(elf_image, every_short_file_is_refused)
{
    for (uint64_t size = 0; size < 0x2110; size += size < 0x200 ? 1 : 0x10) {
        struct file f = good();
        struct elf_image image;
        struct err err = {0};

        f.size = size;
        cr_assert_eq(read_file(&f, &image, &err), -1, "%llu bytes", (unsigned long long)size);
        if (size >= 4)
            cr_assert(strstr(err.text, "truncated"), "%llu bytes: %s", (unsigned long long)size,
                      err.text);
    }
}

Test(elf_image, other_machines_are_refused)
{
    struct file f = good();

    f.header.e_machine = EM_AARCH64;
    refused(&f, "x86-64");
    f = good();
    f.header.e_ident[EI_CLASS] = ELFCLASS32;
    refused(&f, "64-bit");
    f = good();
    f.header.e_ident[EI_DATA] = ELFDATA2MSB;
    refused(&f, "x86-64");
}

Test(elf_image, objects_and_core_files_are_refused)
{
    struct file f = good();

    f.header.e_type = ET_REL;
    refused(&f, "not an executable");
    f.header.e_type = ET_CORE;
    refused(&f, "not an executable");
}

Test(elf_image, a_dynamic_program_is_told_to_be_static)
{
    struct file f = good();

    f.programs[2].p_type = PT_INTERP;
    refused(&f, "-static");
}

Test(elf_image, program_headers_must_be_there_and_few)
{
    struct file f = good();

    f.header.e_phnum = 0;
    refused(&f, "no program headers");
    f = good();
    f.header.e_phentsize = 32;
    refused(&f, "corrupt");
    f = good();
    f.header.e_phnum = 65535;
    refused(&f, "program headers");
    f = good();
    f.header.e_phoff = FILE_SIZE - 100;
    refused(&f, "truncated");
    f.header.e_phoff = UINT64_MAX - 10; /* wraps */
    refused(&f, "truncated");
}

Test(elf_image, overlapping_segments_are_refused)
{
    struct file f = good();

    f.programs[1].p_vaddr = BASE + 0x10;
    refused(&f, "overlapping");
}

Test(elf_image, segments_out_of_order_are_refused)
{
    struct file f = good();
    Elf64_Phdr first = f.programs[0];

    f.programs[0] = f.programs[1];
    f.programs[1] = first;
    refused(&f, "unordered");
}

Test(elf_image, impossible_sizes_are_refused)
{
    struct file f = good();

    f.programs[1].p_memsz = 0x10; /* less than is in the file */
    refused(&f, "impossible");
    f = good();
    f.programs[1].p_memsz = UINT64_MAX; /* wraps */
    refused(&f, "impossible");
    f = good();
    f.programs[1].p_vaddr = UINT64_MAX - 0xfef;
    refused(&f, "impossible");
}

Test(elf_image, segments_beyond_the_file_are_refused)
{
    struct file f = good();

    f.programs[1].p_filesz = 0x2000;
    refused(&f, "truncated");
    f = good();
    f.programs[1].p_offset = UINT64_MAX - 0xfef; /* wraps */
    refused(&f, "truncated");
}

Test(elf_image, a_segment_keeps_its_offset_within_a_page)
{
    struct file f = good();

    f.programs[1].p_vaddr += 8;
    refused(&f, "aligned");
}

Test(elf_image, a_file_with_nothing_to_load_is_refused)
{
    struct file f = good();

    f.programs[0].p_type = f.programs[1].p_type = PT_NULL;
    refused(&f, "nothing to load");
}

Test(elf_image, the_samara_note_is_found)
{
    struct samara_kernel_note note = {.version = SAMARA_NOTE_VERSION, .entry = 0x123456789a};
    struct file f = good();
    struct elf_image image;

    put_note(&f, SAMARA_NOTE_NAME, SAMARA_NOTE_ENTRY, &note, sizeof(note));
    accepted(&f, &image);
    cr_assert(image.has_samara_note);
    cr_assert_not(image.has_pvh_entry);
    cr_assert_eq(image.note.entry, 0x123456789a);
}

Test(elf_image, a_note_of_another_version_or_length_is_not_ours)
{
    struct samara_kernel_note note = {.version = SAMARA_NOTE_VERSION + 1};
    struct file f = good();
    struct elf_image image;

    put_note(&f, SAMARA_NOTE_NAME, SAMARA_NOTE_ENTRY, &note, sizeof(note));
    accepted(&f, &image);
    cr_assert_not(image.has_samara_note);
    note.version = SAMARA_NOTE_VERSION;
    put_note(&f, SAMARA_NOTE_NAME, SAMARA_NOTE_ENTRY, &note, sizeof(note) - 4);
    accepted(&f, &image);
    cr_assert_not(image.has_samara_note);
}

Test(elf_image, the_pvh_note_is_found)
{
    uint32_t entry = 0x100020;
    struct file f = good();
    struct elf_image image;

    put_note(&f, "Xen", 18, &entry, sizeof(entry));
    accepted(&f, &image);
    cr_assert(image.has_pvh_entry);
    cr_assert_eq(image.pvh_entry, entry);
}

Test(elf_image, a_note_longer_than_its_segment_is_refused)
{
    uint32_t entry = 0;
    struct file f = good();
    Elf64_Nhdr n;

    put_note(&f, "Xen", 18, &entry, sizeof(entry));
    memcpy(&n, f.bytes + 0x1800, sizeof(n));
    n.n_namesz = UINT32_MAX;
    memcpy(f.bytes + 0x1800, &n, sizeof(n));
    refused(&f, "note");
    n.n_namesz = 4;
    n.n_descsz = UINT32_MAX - 2;
    memcpy(f.bytes + 0x1800, &n, sizeof(n));
    refused(&f, "note");
}
