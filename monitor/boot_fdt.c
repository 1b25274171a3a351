/* See boot_fdt.h; properties of our own are in abi/platform.h. */
#include "monitor/boot_fdt.h"

#include <libfdt.h>
#include <stdio.h>
#include <string.h>

#include "abi/memory_map.h"
#include "monitor/guest_mem.h"
#include "abi/platform.h"

enum { SKELETON = 4096 };

struct range {
    uint64_t at, size;
};

size_t boot_fdt_size(const struct boot_fdt *c)
{
    size_t size = SKELETON + c->argv.size + c->envp.size;

    for (unsigned i = 0; i < c->device_count; i++)
        size += c->devices[i].net ? strlen(c->devices[i].net) : 0;
    return size + strlen(c->exec_path) + strlen(c->bootargs);
}

static int put_ranges(void *fdt, const char *name, const struct range *ranges, unsigned count)
{
    fdt64_t cells[4];

    for (unsigned i = 0; i < count; i++) {
        cells[2 * i] = cpu_to_fdt64(ranges[i].at);
        cells[2 * i + 1] = cpu_to_fdt64(ranges[i].size);
    }
    return fdt_property(fdt, name, cells, (int)(count * 2 * sizeof(cells[0])));
}

static int put_string(void *fdt, const char *name, const char *text)
{
    return fdt_property(fdt, name, text, (int)strlen(text) + 1);
}

static int put_memory(void *fdt, const struct boot_fdt *c)
{
    const struct range ram[2] = {
        {0, ram_below_hole(c->ram)},
        {SAMARA_RAM_HIGH_BASE, c->ram - SAMARA_RAM_LOW_END},
    };
    int r = fdt_begin_node(fdt, "memory@0");

    r = r ? r : put_string(fdt, "device_type", "memory");
    r = r ? r : put_ranges(fdt, "reg", ram, c->ram > SAMARA_RAM_LOW_END ? 2 : 1);
    return r ? r : fdt_end_node(fdt);
}

static int put_chosen(void *fdt, const struct boot_fdt *c)
{
    int r = fdt_begin_node(fdt, "chosen");

    r = r ? r : put_string(fdt, "bootargs", c->bootargs);
    r = r ? r : fdt_property(fdt, "rng-seed", c->seed, 32);
    r = r ? r : fdt_property_u64(fdt, "linux,initrd-start", c->program_start);
    r = r ? r : fdt_property_u64(fdt, "linux,initrd-end", c->program_end);
    r = r ? r : fdt_property_u64(fdt, SAMARA_PROP_FREE_START, c->free_start);
    r = r ? r : fdt_property(fdt, SAMARA_PROP_ARGV, c->argv.data, (int)c->argv.size);
    if (c->envp.size)
        r = r ? r : fdt_property(fdt, SAMARA_PROP_ENVP, c->envp.data, (int)c->envp.size);
    r = r ? r : put_string(fdt, SAMARA_PROP_EXEC_PATH, c->exec_path);
    return r ? r : fdt_end_node(fdt);
}

/* Leaves the node open. */
static int begin_device(void *fdt, const char *kind, const char *compatible,
                        const struct range *ranges, unsigned count, uint32_t vector)
{
    char name[40];
    int r;

    snprintf(name, sizeof(name), "%s@%llx", kind, (unsigned long long)ranges[0].at);
    r = fdt_begin_node(fdt, name);
    r = r ? r : put_string(fdt, "compatible", compatible);
    r = r ? r : put_ranges(fdt, "reg", ranges, count);
    return r ? r : fdt_property_u32(fdt, "interrupts", vector);
}

static int put_preset(void *fdt, const struct virtio_preset *p)
{
    const uint32_t values[SAMARA_PRESET_CELLS] = {
        p->device_id,     p->queues,
        p->size,          (uint32_t)(p->gpa >> 32),
        (uint32_t)p->gpa, (uint32_t)virtio_preset_stride(p),
        p->features};
    fdt32_t cells[SAMARA_PRESET_CELLS];

    for (unsigned i = 0; i < SAMARA_PRESET_CELLS; i++)
        cells[i] = cpu_to_fdt32(values[i]);
    return fdt_property(fdt, SAMARA_PROP_PRESET, cells, sizeof(cells));
}

static int put_virtio(void *fdt, const struct boot_device *d)
{
    const struct range regs = {SAMARA_GPA_VIRTIO + (uint64_t)d->slot * SAMARA_VIRTIO_STRIDE,
                               SAMARA_VIRTIO_STRIDE};
    int r =
        begin_device(fdt, "virtio_mmio", "virtio,mmio", &regs, 1, SAMARA_VECTOR_VIRTIO + d->slot);

    r = r ? r : fdt_property_u32(fdt, SAMARA_PROP_DEVICE_ID, d->device_id);
    if (d->preset.queues)
        r = r ? r : put_preset(fdt, &d->preset);
    if (d->net && d->net[0])
        r = r ? r : put_string(fdt, SAMARA_PROP_NET, d->net);
    return r ? r : fdt_end_node(fdt);
}

static int put_devices(void *fdt, const struct boot_fdt *c)
{
    const struct range platform[2] = {{SAMARA_GPA_PLATFORM, 0x1000}, {SAMARA_GPA_DOORBELL, 0x1000}};
    int r = begin_device(fdt, "platform", "samara,platform", platform, 2, SAMARA_VECTOR_PLATFORM);

    r = r ? r : fdt_end_node(fdt);
    for (unsigned i = 0; i < c->device_count; i++)
        r = r ? r : put_virtio(fdt, &c->devices[i]);
    return r;
}

int boot_fdt_write(const struct boot_fdt *c, void *fdt, size_t size, struct err *err)
{
    /* Looking for each name in the string table costs more than storing it twice. */
    int r = fdt_create_with_flags(fdt, (int)size, FDT_CREATE_FLAG_NO_NAME_DEDUP);

    r = r ? r : fdt_finish_reservemap(fdt);
    r = r ? r : fdt_begin_node(fdt, "");
    r = r ? r : fdt_property_u32(fdt, "#address-cells", 2);
    r = r ? r : fdt_property_u32(fdt, "#size-cells", 2);
    r = r ? r : put_memory(fdt, c);
    r = r ? r : put_chosen(fdt, c);
    r = r ? r : put_devices(fdt, c);
    r = r ? r : fdt_end_node(fdt);
    r = r ? r : fdt_finish(fdt);
    return r ? err_set(err, "device tree: %s", fdt_strerror(r)) : 0;
}
