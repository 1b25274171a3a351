/* See broken_kernel.h. */
#include "tests/vm/broken_kernel.h"

#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vm/runner.h"

struct image {
    unsigned char *bytes;
    size_t size;
};

static const void *part(const struct image *image, size_t at, size_t size)
{
    CHECK(at <= image->size && size <= image->size - at);
    return image->bytes + at;
}

static struct image read_image(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct image image = {0};

    CHECK(file && fseek(file, 0, SEEK_END) == 0);
    image.size = (size_t)ftell(file);
    image.bytes = malloc(image.size);
    rewind(file);
    CHECK(image.bytes && fread(image.bytes, 1, image.size, file) == image.size);
    fclose(file);
    return image;
}

static uint64_t address_of(const struct image *image, const char *function)
{
    const Elf64_Ehdr *header = part(image, 0, sizeof(*header));
    const Elf64_Shdr *sections =
        part(image, header->e_shoff, header->e_shnum * sizeof(sections[0]));

    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Shdr *table = &sections[i];
        const Elf64_Sym *symbols;
        const char *names;

        if (table->sh_type != SHT_SYMTAB)
            continue;
        symbols = part(image, table->sh_offset, table->sh_size);
        names = part(image, sections[table->sh_link].sh_offset, 0);
        for (size_t j = 0; j < table->sh_size / sizeof(symbols[0]); j++) {
            if (strcmp(names + symbols[j].st_name, function) == 0)
                return symbols[j].st_value;
        }
    }
    fail_at(__FILE__, __LINE__, "the guest kernel has no %s", function);
}

static size_t offset_of(const struct image *image, uint64_t address)
{
    const Elf64_Ehdr *header = part(image, 0, sizeof(*header));
    const Elf64_Phdr *segments =
        part(image, header->e_phoff, header->e_phnum * sizeof(segments[0]));

    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_LOAD && address >= segments[i].p_vaddr &&
            address - segments[i].p_vaddr < segments[i].p_filesz)
            return segments[i].p_offset + (address - segments[i].p_vaddr);
    }
    fail_at(__FILE__, __LINE__, "nothing of the guest kernel is at %#llx",
            (unsigned long long)address);
}

const char *broken_kernel(const char *function)
{
    static const unsigned char ud2[] = {0x0f, 0x0b};
    struct image image = read_image(program("guest-kernel.elf"));
    size_t at = offset_of(&image, address_of(&image, function));
    const char *path = scratch("broken-kernel.elf");
    FILE *file;

    part(&image, at, sizeof(ud2));
    memcpy(image.bytes + at, ud2, sizeof(ud2));
    file = fopen(path, "wb");
    CHECK(file && fwrite(image.bytes, 1, image.size, file) == image.size && fclose(file) == 0);
    free(image.bytes);
    return path;
}
