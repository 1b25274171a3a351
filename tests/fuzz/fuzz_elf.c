/*
 * libFuzzer: programs and kernels as ELF files. Input: a byte (enum mode), then the file, or what
 * is changed in a good one. The reader says what a judge of few lines says, keeps what the headers
 * and notes hold, and refuses with a reason; the monitor maps files into guest memory by it.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/elf_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* EMBEDDED begins in the middle of its descriptor, as the guest kernel in samara. */
enum mode { RAW, CHANGED, CHANGED_EMBEDDED, MODES };

/* A field of width bytes becomes `value` shifted by bytes, or that more. Numbers count modulo what
 * there is; two in three changes are to the headers. */
struct change {
    uint8_t where, at, how, value;
};

enum { PAGE = 4096, START = PAGE, HEADERS = 5, NOTES = 0x200, DATA = 0x300, GOOD = 0x400 };
enum { BASE = 0x400000, XEN_ENTRY = 18, NOTES_MOST = 4096 };

struct good_file {
    Elf64_Ehdr header;
    Elf64_Phdr programs[HEADERS];
    uint8_t rest[GOOD - sizeof(Elf64_Ehdr) - HEADERS * sizeof(Elf64_Phdr)];
};
_Static_assert(sizeof(struct good_file) == GOOD, "no padding");
_Static_assert(offsetof(struct good_file, rest) <= NOTES, "notes lie behind the headers");

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- a good file --- */

static size_t put_note(uint8_t *to, const char *name, uint32_t type, const void *data,
                       uint32_t size)
{
    const Elf64_Nhdr n = {(Elf64_Word)strlen(name) + 1, size, type};
    size_t room = (n.n_namesz + 3u) & ~3u;

    memcpy(to, &n, sizeof(n));
    memcpy(to + sizeof(n), name, n.n_namesz);
    memcpy(to + sizeof(n) + room, data, size);
    return sizeof(n) + room + size;
}

/* Text, data with more behind it, and both kernels' notes. */
static void make_good(struct good_file *f)
{
    const struct samara_kernel_note note = {SAMARA_NOTE_VERSION, 16, 1, 2, 3, 4, 5, 6, 7};
    const uint32_t entry = BASE;
    uint8_t *notes = (uint8_t *)f + NOTES;
    size_t size = put_note(notes, SAMARA_NOTE_NAME, SAMARA_NOTE_ENTRY, &note, sizeof(note));

    size += put_note(notes + size, "Xen", XEN_ENTRY, &entry, sizeof(entry));
    memcpy(f->header.e_ident, "\177ELF\2\1\1", 7);
    f->header.e_type = ET_EXEC;
    f->header.e_machine = EM_X86_64;
    f->header.e_entry = BASE + 0x10;
    f->header.e_phoff = offsetof(struct good_file, programs);
    f->header.e_phentsize = sizeof(Elf64_Phdr);
    f->header.e_phnum = HEADERS;
    f->programs[0] = (Elf64_Phdr){PT_LOAD, PF_R | PF_X, 0, BASE, BASE, DATA, DATA, PAGE};
    f->programs[1] = (Elf64_Phdr){PT_NOTE, PF_R, NOTES, 0, 0, size, size, 4};
    f->programs[2] =
        (Elf64_Phdr){PT_LOAD,     PF_R | PF_W, DATA, BASE + PAGE + DATA, BASE + PAGE + DATA,
                     GOOD - DATA, 3 * PAGE,    PAGE};
    f->programs[3] = (Elf64_Phdr){.p_type = PT_GNU_STACK};
    f->programs[4] = (Elf64_Phdr){.p_type = PT_NULL};
}

static void change(uint8_t *file, const struct change *to)
{
    const size_t begin = to->where % 3 == 0 ? NOTES : 0, end = begin ? DATA : NOTES;
    const size_t width = (size_t)1 << (to->how & 3);
    const size_t at = begin + (to->where / 3 * 256u + to->at) % (end - begin) / width * width;
    const uint64_t value = (uint64_t)to->value << (to->how >> 2 & 7) * 8;
    uint64_t now = 0;

    memcpy(&now, file + at, width);
    now = to->how & 0x20 ? now + value : value;
    memcpy(file + at, &now, width);
}

/* --- the judge --- */

static uint64_t get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static bool inside(uint64_t at, uint64_t length, uint64_t size)
{
    return at <= size && length <= size - at;
}

static bool header_is_good(const uint8_t *file, size_t size)
{
    uint64_t type, count;

    if (size < 64 || memcmp(file, "\177ELF\2\1", 6) != 0)
        return false;
    type = get(file + 16, 2);
    count = get(file + 56, 2);
    return (type == 2 || type == 3) && get(file + 18, 2) == 62 && get(file + 54, 2) == 56 &&
           count >= 1 && count <= 64 && inside(get(file + 32, 8), count * 56, size);
}

/* What elf_read is to find. */
struct expected {
    unsigned segments, notes;
    uint64_t end; /* of the last segment */
    const uint8_t *headers[ELF_SEGMENTS], *note_headers[64];
};

static bool segment_is_good(struct expected *e, const uint8_t *p, size_t size)
{
    const uint64_t offset = get(p + 8, 8), at = get(p + 16, 8), in_file = get(p + 32, 8),
                   memory = get(p + 40, 8);

    if (memory == 0)
        return true;
    if (e->segments == ELF_SEGMENTS || in_file > memory || !inside(offset, in_file, size) ||
        offset % PAGE != at % PAGE || at < e->end || !inside(at, memory, INT64_MAX))
        return false;
    e->headers[e->segments++] = p;
    e->end = at + memory;
    return true;
}

static bool file_is_good(struct expected *e, const uint8_t *file, size_t size)
{
    if (!header_is_good(file, size))
        return false;
    for (uint64_t i = 0; i < get(file + 56, 2); i++) {
        const uint8_t *p = file + get(file + 32, 8) + i * 56;

        if (get(p, 4) == PT_INTERP || (get(p, 4) == PT_LOAD && !segment_is_good(e, p, size)))
            return false;
        if (get(p, 4) == PT_NOTE)
            e->note_headers[e->notes++] = p;
    }
    return e->segments > 0;
}

struct expected_notes {
    const uint8_t *samara, *xen; /* the last of its kind */
};

static bool walk_notes(struct expected_notes *found, const uint8_t *notes, uint64_t size)
{
    uint64_t at = 0;

    while (size - at >= 12) {
        const uint64_t name = get(notes + at, 4), data = get(notes + at + 4, 4),
                       type = get(notes + at + 8, 4), data_at = at + 12 + (name + 3) / 4 * 4,
                       next = data_at + (data + 3) / 4 * 4;

        if (next > size)
            return false;
        if (name == 7 && memcmp(notes + at + 12, "samara", 7) == 0 && type == 1 && data == 64)
            found->samara = notes + data_at;
        if (name == 4 && memcmp(notes + at + 12, "Xen", 4) == 0 && type == XEN_ENTRY &&
            (data == 4 || data == 8))
            found->xen = notes + data_at;
        at = next;
    }
    return true;
}

/* Of the first four; longer ones are nobody's. */
static bool notes_are_good(struct expected_notes *found, const struct expected *e,
                           const uint8_t *file, size_t size)
{
    for (unsigned i = 0; i < e->notes && i < ELF_NOTES; i++) {
        const uint64_t at = get(e->note_headers[i] + 8, 8),
                       length = get(e->note_headers[i] + 32, 8);

        if (length > NOTES_MOST)
            continue;
        if (!inside(at, length, size) || !walk_notes(found, file + at, length))
            return false;
    }
    return true;
}

/* --- the reader --- */

static void segments_are_kept(const struct elf_image *image, const struct expected *e,
                              const uint8_t *file)
{
    must(image->segment_count == e->segments);
    must(image->entry == get(file + 24, 8));
    must(image->position_independent == (get(file + 16, 2) == ET_DYN));
    for (unsigned i = 0; i < e->segments; i++) {
        const struct elf_segment *s = &image->segments[i];
        const uint8_t *p = e->headers[i];

        must(s->flags == get(p + 4, 4) && s->offset == get(p + 8, 8) &&
             s->vaddr == get(p + 16, 8) && s->paddr == get(p + 24, 8) &&
             s->file_size == get(p + 32, 8) && s->memory_size == get(p + 40, 8));
    }
}

static void notes_are_kept(const struct elf_image *image, const struct expected_notes *found)
{
    must(image->has_samara_note == (found->samara && get(found->samara, 4) == 1));
    must(!found->samara || memcmp(&image->note, found->samara, sizeof(image->note)) == 0);
    must(image->has_pvh_entry == (found->xen != NULL));
    must(!found->xen || image->pvh_entry == get(found->xen, 4));
}

static void is_one_line(const struct err *err)
{
    must(err->text[0] && !strchr(err->text, '\n'));
}

static void try_file(const uint8_t *file, size_t size, uint64_t start)
{
    static int fd = -1;
    struct expected e = {0};
    struct expected_notes found = {0};
    struct elf_image image;
    struct err err = {0};
    bool good = file_is_good(&e, file, size);

    if (fd < 0)
        fd = memfd_create("elf", MFD_CLOEXEC);
    must(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, file, size, (off_t)start) == (ssize_t)size);
    must(ftruncate(fd, (off_t)(start + size + PAGE)) == 0); /* more follows, which is not its own */
    must((elf_read(&image, fd, start, size, &err) == 0) == good);
    if (!good) {
        is_one_line(&err);
        return;
    }
    segments_are_kept(&image, &e, file);
    good = notes_are_good(&found, &e, file, size);
    must((elf_read_notes(&image, fd, start, size, &err) == 0) == good);
    if (good)
        notes_are_kept(&image, &found);
    else
        is_one_line(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mode mode = size > 0 ? data[0] % MODES : RAW;
    struct good_file good = {0};
    struct change to;

    if (size == 0)
        return 0;
    data++;
    size--;
    if (mode == RAW) {
        try_file(data, size, 0);
        return 0;
    }
    make_good(&good);
    for (; size >= sizeof(to); data += sizeof(to), size -= sizeof(to)) {
        memcpy(&to, data, sizeof(to));
        change((uint8_t *)&good, &to);
    }
    try_file((uint8_t *)&good, sizeof(good), mode == CHANGED_EMBEDDED ? START : 0);
    return 0;
}
