/* ELF64 (System V ABI, chapters 4 and 5); see elf_image.h. */
#include "monitor/elf_image.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
    PAGE = 4096,
    NOTES_MAX = 4096,
    XEN_PHYS32_ENTRY = 18,
};

struct source {
    int fd;
    uint64_t start, size;
};

static bool within(const struct source *s, uint64_t at, uint64_t len)
{
    return at <= s->size && len <= s->size - at;
}

static int read_at(const struct source *s, uint64_t at, void *to, size_t len, const char *what,
                   struct err *err)
{
    ssize_t n;

    if (!within(s, at, len))
        return err_set(err, "truncated: the file ends before its %s", what);
    n = pread(s->fd, to, len, (off_t)(s->start + at));
    if (n < 0)
        return err_sys(err, "read %s", what);
    return (size_t)n == len ? 0 : err_set(err, "truncated while reading %s", what);
}

static int check_header(const Elf64_Ehdr *h, struct err *err)
{
    if (memcmp(h->e_ident, "#!", 2) == 0)
        return err_set(err, "a script, not an ELF program: run its interpreter instead");
    if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
        return err_set(err, "not an ELF file");
    if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB ||
        h->e_machine != EM_X86_64)
        return err_set(err, "an ELF file for another machine (wanted: x86-64, 64-bit)");
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return err_set(err, "an ELF file, but not an executable");
    if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0)
        return err_set(err, "corrupt ELF file: no program headers");
    if (h->e_phnum > ELF_HEADERS)
        return err_set(err, "%u program headers, at most %d are handled", h->e_phnum, ELF_HEADERS);
    return 0;
}

static int add_segment(struct elf_image *image, const struct source *s, const Elf64_Phdr *p,
                       struct err *err)
{
    const struct elf_segment *before = NULL;

    if (p->p_memsz == 0)
        return 0;
    if (image->segment_count == ELF_SEGMENTS)
        return err_set(err, "more than %d segments", ELF_SEGMENTS);
    if (image->segment_count)
        before = &image->segments[image->segment_count - 1];
    if (p->p_filesz > p->p_memsz || p->p_vaddr > INT64_MAX || p->p_memsz > INT64_MAX - p->p_vaddr)
        return err_set(err, "corrupt ELF file: segment at 0x%llx has impossible sizes",
                       (unsigned long long)p->p_vaddr);
    if (!within(s, p->p_offset, p->p_filesz))
        return err_set(err, "truncated: segment at 0x%llx lies beyond the end of the file",
                       (unsigned long long)p->p_vaddr);
    if ((p->p_offset ^ p->p_vaddr) % PAGE != 0)
        return err_set(err,
                       "corrupt ELF file: segment at 0x%llx is not aligned with its place in "
                       "the file",
                       (unsigned long long)p->p_vaddr);
    if (before && p->p_vaddr < before->vaddr + before->memory_size)
        return err_set(err, "corrupt ELF file: overlapping or unordered segments at 0x%llx",
                       (unsigned long long)p->p_vaddr);
    image->segments[image->segment_count++] = (struct elf_segment){
        p->p_offset, p->p_vaddr, p->p_paddr, p->p_filesz, p->p_memsz, p->p_flags};
    return 0;
}

static void take_note(struct elf_image *image, const char *name, uint32_t name_size, uint32_t type,
                      const uint8_t *data, uint32_t size)
{
    if (name_size == sizeof(SAMARA_NOTE_NAME) && memcmp(name, SAMARA_NOTE_NAME, name_size) == 0 &&
        type == SAMARA_NOTE_ENTRY && size == sizeof(image->note)) {
        memcpy(&image->note, data, sizeof(image->note));
        image->has_samara_note = image->note.version == SAMARA_NOTE_VERSION;
    } else if (name_size == 4 && memcmp(name, "Xen", 4) == 0 && type == XEN_PHYS32_ENTRY &&
               (size == 4 || size == 8)) {
        memcpy(&image->pvh_entry, data, 4);
        image->has_pvh_entry = true;
    }
}

static int read_notes(struct elf_image *image, const struct source *s, const struct elf_notes *from,
                      struct err *err)
{
    uint8_t notes[NOTES_MAX];
    size_t size = from->size;

    if (size > sizeof(notes))
        return 0; /* none of ours is that long */
    if (read_at(s, from->offset, notes, size, "notes", err) != 0)
        return -1;
    for (size_t at = 0; size - at >= sizeof(Elf64_Nhdr);) {
        Elf64_Nhdr n;
        uint64_t name_room, data_room;

        memcpy(&n, notes + at, sizeof(n));
        at += sizeof(n);
        name_room = ((uint64_t)n.n_namesz + 3) & ~3ull;
        data_room = ((uint64_t)n.n_descsz + 3) & ~3ull;
        if (name_room > size - at || data_room > size - at - name_room)
            return err_set(err, "corrupt ELF file: a note lies beyond its segment");
        take_note(image, (const char *)notes + at, n.n_namesz, n.n_type, notes + at + name_room,
                  n.n_descsz);
        at += name_room + data_room;
    }
    return 0;
}

int elf_read_notes(struct elf_image *image, int fd, uint64_t start, uint64_t size, struct err *err)
{
    const struct source s = {fd, start, size};

    for (unsigned i = 0; i < image->notes_count; i++) {
        if (read_notes(image, &s, &image->notes[i], err) != 0)
            return -1;
    }
    return 0;
}

static int take_header(struct elf_image *image, const struct source *s, const Elf64_Phdr *p,
                       struct err *err)
{
    switch (p->p_type) {
    case PT_LOAD:
        return add_segment(image, s, p, err);
    case PT_NOTE:
        if (image->notes_count < ELF_NOTES)
            image->notes[image->notes_count++] = (struct elf_notes){p->p_offset, p->p_filesz};
        return 0;
    case PT_INTERP:
        return err_set(
            err, "dynamically linked, and there are no libraries inside: link it with -static");
    default:
        return 0;
    }
}

int elf_read(struct elf_image *image, int fd, uint64_t start, uint64_t size, struct err *err)
{
    const struct source s = {fd, start, size};
    Elf64_Ehdr h = {0};
    Elf64_Phdr p[ELF_HEADERS];

    memset(image, 0, sizeof(*image));
    if (size >= 4 && size < sizeof(h)) {
        if (read_at(&s, 0, &h, 4, "ELF header", err) != 0 || check_header(&h, err) != 0) {
            if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
                return -1;
        }
        return err_set(err, "truncated: the file ends before its ELF header");
    }
    if (size < 4)
        return err_set(err, size ? "not an ELF file" : "not an ELF file: it is empty");
    if (read_at(&s, 0, &h, sizeof(h), "ELF header", err) != 0 || check_header(&h, err) != 0)
        return -1;
    if (read_at(&s, h.e_phoff, p, h.e_phnum * sizeof(p[0]), "program headers", err) != 0)
        return -1;
    for (unsigned i = 0; i < h.e_phnum; i++) {
        if (take_header(image, &s, &p[i], err) != 0)
            return -1;
    }
    if (image->segment_count == 0)
        return err_set(err, "corrupt ELF file: nothing to load");
    image->entry = h.e_entry;
    image->position_independent = h.e_type == ET_DYN;
    return 0;
}
