/*
 * Reads and checks ELF64 files for x86-64: guest kernels and programs. Files are hostile: headers
 * are copied, then checked, then used; every range is checked against the file's size.
 */
#ifndef SAMARA_MONITOR_ELF_IMAGE_H
#define SAMARA_MONITOR_ELF_IMAGE_H

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>

#include "abi/kernel_note.h"
#include "monitor/err.h"

#define ELF_SEGMENTS 16 /* PT_LOAD */
#define ELF_HEADERS  64 /* program headers of any kind */
#define ELF_NOTES    4  /* PT_NOTE that are looked at */

struct elf_segment {
    uint64_t offset, vaddr, paddr, file_size, memory_size;
    uint32_t flags; /* PF_* */
};

struct elf_notes {
    uint64_t offset, size;
};

struct elf_image {
    uint64_t entry;
    bool position_independent;
    unsigned segment_count;
    struct elf_segment segments[ELF_SEGMENTS]; /* in order of vaddr */
    unsigned notes_count;
    struct elf_notes notes[ELF_NOTES]; /* not checked */
    /* From the notes, if they were read. */
    bool has_samara_note;
    struct samara_kernel_note note;
    bool has_pvh_entry;
    uint32_t pvh_entry;
};

/*
 * Reads the ELF that begins at byte `start` of fd and is `size` bytes long. -1 with err on anything
 * that is not a well-formed static x86-64 executable: too short, another class or machine, needs an
 * interpreter, ranges beyond the file, overlapping segments.
 */
int elf_read(struct elf_image *image, int fd, uint64_t start, uint64_t size, struct err *err);

/* Then, for a kernel, its notes; a program's are nobody's business. */
int elf_read_notes(struct elf_image *image, int fd, uint64_t start, uint64_t size, struct err *err);

#endif
