/* See boot_pvh.h. */
#include "monitor/boot_pvh.h"

#include <stdio.h>
#include <string.h>

#include "abi/memory_map.h"
#include "monitor/guest_mem.h"

enum {
    START_MAGIC = 0x336ec578,
    START_VERSION = 1,
    MEMMAP_RAM = 1,
    RANGES = 3,
    DEVICE_WORD = 48,         /* virtio_mmio.device=... */
    COMMAND_LINE_WORDS = 256, /* what precedes path and arguments, and then some */
};

struct pvh_start {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, memmap;
    uint32_t memmap_count, reserved;
};
_Static_assert(sizeof(struct pvh_start) == 56, "hvm_start_info");

struct pvh_module {
    uint64_t address, size, command_line, reserved;
};

struct pvh_range {
    uint64_t address, size;
    uint32_t type, reserved;
};

struct pvh_info {
    struct pvh_start start;
    struct pvh_module program;
    struct pvh_range ram[RANGES];
};

size_t boot_pvh_size(const struct boot_pvh *c)
{
    return sizeof(struct pvh_info) + COMMAND_LINE_WORDS + c->device_count * DEVICE_WORD +
           strlen(c->exec_path) + c->argv.size;
}

/* Below 0x4000 lie the pages of abi/memory_map.h. */
static uint32_t fill_ranges(struct pvh_range ram[RANGES], uint64_t size)
{
    uint64_t low = ram_below_hole(size);

    ram[0] = (struct pvh_range){.address = 0x4000, .size = 0x9c000, .type = MEMMAP_RAM};
    ram[1] = (struct pvh_range){
        .address = SAMARA_GPA_KERNEL, .size = low - SAMARA_GPA_KERNEL, .type = MEMMAP_RAM};
    ram[2] =
        (struct pvh_range){.address = SAMARA_RAM_HIGH_BASE, .size = size - low, .type = MEMMAP_RAM};
    return size > low ? 3 : 2;
}

static size_t write_devices(const struct boot_pvh *c, char *line, size_t size)
{
    size_t used = 0;

    for (unsigned i = 0; i < c->device_count && used < size; i++) {
        unsigned slot = c->devices[i].slot;

        used += (size_t)snprintf(line + used, size - used, "virtio_mmio.device=4K@0x%x:%u ",
                                 SAMARA_GPA_VIRTIO + slot * SAMARA_VIRTIO_STRIDE,
                                 SAMARA_VECTOR_VIRTIO + slot);
    }
    return used;
}

static int write_command_line(const struct boot_pvh *c, char *line, size_t size, struct err *err)
{
    size_t used = write_devices(c, line, size);

    if (used < size)
        used += (size_t)snprintf(line + used, size - used, "samara.path=%s --", c->exec_path);
    if (used + c->argv.size + 1 > size)
        return err_set(err, "PVH: no room for the command line");
    if (strpbrk(c->exec_path, " \t\n"))
        return err_set(err, "PVH: the command line cannot carry blanks in '%.64s'", c->exec_path);
    for (size_t at = 0; at < c->argv.size;) {
        const char *word = c->argv.data + at;
        size_t len = strlen(word);

        if (!*word || strpbrk(word, " \t\n"))
            return err_set(err, "PVH: the command line cannot carry the argument '%.64s'", word);
        line[used++] = ' ';
        memcpy(line + used, word, len);
        used += len;
        at += len + 1;
    }
    line[used] = '\0';
    return 0;
}

int boot_pvh_write(const struct boot_pvh *c, uint64_t at, void *buf, size_t size, struct err *err)
{
    struct pvh_info info = {
        .start = {.magic = START_MAGIC,
                  .version = START_VERSION,
                  .module_count = 1,
                  .modules = at + offsetof(struct pvh_info, program),
                  .command_line = at + sizeof(info),
                  .memmap = at + offsetof(struct pvh_info, ram)},
        .program = {.address = c->program_start, .size = c->program_end - c->program_start},
    };

    if (size < sizeof(info))
        return err_set(err, "PVH: no room for hvm_start_info");
    info.start.memmap_count = fill_ranges(info.ram, c->ram);
    memcpy(buf, &info, sizeof(info));
    return write_command_line(c, (char *)buf + sizeof(info), size - sizeof(info), err);
}
