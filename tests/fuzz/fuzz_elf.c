/*
 * libFuzzer: any bytes as an ELF file. Besides surviving, what is accepted must hold the promises
 * of elf_image.h, because the monitor maps files into guest memory by them.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "monitor/elf_image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct elf_image *image, uint64_t size)
{
    uint64_t end = 0;

    if (image->segment_count == 0 || image->segment_count > ELF_SEGMENTS)
        abort();
    for (unsigned i = 0; i < image->segment_count; i++) {
        const struct elf_segment *s = &image->segments[i];

        if (s->file_size > s->memory_size || s->offset > size || s->file_size > size - s->offset)
            abort();
        if (s->vaddr < end || s->memory_size == 0 || s->vaddr + s->memory_size < s->vaddr)
            abort();
        if (s->vaddr % 4096 != s->offset % 4096)
            abort();
        end = s->vaddr + s->memory_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct elf_image image;
    struct err err = {0};

    if (fd < 0)
        fd = memfd_create("elf", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        abort();
    if (elf_read(&image, fd, 0, size, &err) == 0) {
        check(&image, size);
        if (elf_read_notes(&image, fd, 0, size, &err) == 0)
            return 0;
    }
    if (!err.text[0])
        abort(); /* refused without a reason */
    return 0;
}
