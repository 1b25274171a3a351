/* The device tree, read back with libfdt and with the guest kernel's own reader. */
#include "monitor/boot_fdt.h"

#include <criterion/criterion.h>
#include <libfdt.h>
#include <string.h>

#include "abi/memory_map.h"
#include "abi/platform.h"

static char buffer[65536];
static const uint8_t seed[32] = {1, 2, 3};

static struct boot_fdt example(void)
{
    return (struct boot_fdt){.ram = 128ull << 20,
                             .program_start = 0x140000,
                             .program_end = 0x140000 + 12345,
                             .free_start = 0x144000,
                             .argv = {"prog\0a b\0", 9},
                             .envp = {"K=V\0", 4},
                             .exec_path = "/bin/prog",
                             .bootargs = "",
                             .seed = seed};
}

static void write_tree(const struct boot_fdt *c)
{
    struct err err = {0};

    cr_assert(boot_fdt_size(c) <= sizeof(buffer));
    memset(buffer, 0xee, sizeof(buffer));
    cr_assert_eq(boot_fdt_write(c, buffer, boot_fdt_size(c), &err), 0, "%s", err.text);
    cr_assert_eq(fdt_check_full(buffer, boot_fdt_size(c)), 0);
}

static const void *property(const char *path, const char *name, int want)
{
    int len = 0;
    int node = fdt_path_offset(buffer, path);
    const void *value;

    cr_assert(node >= 0, "no node %s", path);
    value = fdt_getprop(buffer, node, name, &len);
    cr_assert_not_null(value, "%s: no %s", path, name);
    cr_assert_eq(len, want, "%s: %s has %d bytes", path, name, len);
    return value;
}

static uint64_t number(const void *cells, unsigned index)
{
    fdt64_t value;

    memcpy(&value, (const char *)cells + 8 * index, 8);
    return fdt64_to_cpu(value);
}

Test(boot_fdt, memory_is_one_range_below_the_hole)
{
    struct boot_fdt c = example();
    const void *reg;

    write_tree(&c);
    reg = property("/memory@0", "reg", 16);
    cr_assert_eq(number(reg, 0), 0);
    cr_assert_eq(number(reg, 1), 128ull << 20);
}

Test(boot_fdt, memory_above_the_hole_is_a_second_range)
{
    struct boot_fdt c = example();
    const void *reg;

    c.ram = 5ull << 30;
    write_tree(&c);
    reg = property("/memory@0", "reg", 32);
    cr_assert_eq(number(reg, 1), SAMARA_RAM_LOW_END);
    cr_assert_eq(number(reg, 2), SAMARA_RAM_HIGH_BASE);
    cr_assert_eq(number(reg, 1) + number(reg, 3), 5ull << 30);
}

Test(boot_fdt, chosen_has_the_program_and_its_words)
{
    struct boot_fdt c = example();

    write_tree(&c);
    cr_assert_eq(number(property("/chosen", "linux,initrd-start", 8), 0), 0x140000);
    cr_assert_eq(number(property("/chosen", "linux,initrd-end", 8), 0), 0x140000 + 12345);
    cr_assert_eq(number(property("/chosen", SAMARA_PROP_FREE_START, 8), 0), 0x144000);
    cr_assert_eq(memcmp(property("/chosen", SAMARA_PROP_ARGV, 9), "prog\0a b\0", 9), 0);
    cr_assert_eq(memcmp(property("/chosen", SAMARA_PROP_ENVP, 4), "K=V\0", 4), 0);
    cr_assert_str_eq(property("/chosen", SAMARA_PROP_EXEC_PATH, 10), "/bin/prog");
    cr_assert_eq(memcmp(property("/chosen", "rng-seed", 32), seed, 32), 0);
}

Test(boot_fdt, an_empty_environment_is_left_out)
{
    struct boot_fdt c = example();

    c.envp.size = 0;
    write_tree(&c);
    cr_assert_null(fdt_getprop(buffer, fdt_path_offset(buffer, "/chosen"), SAMARA_PROP_ENVP, NULL));
}

Test(boot_fdt, the_platform_and_devices_are_where_the_memory_map_says)
{
    const struct boot_device devices[2] = {
        {.slot = 0,
         .preset = {.device_id = 19, .queues = 3, .size = 128, .features = 2, .gpa = 0x200000}},
        {.slot = 1, .device_id = 2}};
    struct boot_fdt c = example();
    const void *reg;
    fdt32_t vector, id, preset[SAMARA_PRESET_CELLS];

    c.devices = devices;
    c.device_count = 2;
    write_tree(&c);
    reg = property("/platform@2000", "reg", 32);
    cr_assert_eq(number(reg, 0), SAMARA_GPA_PLATFORM);
    cr_assert_eq(number(reg, 2), SAMARA_GPA_DOORBELL);
    reg = property("/virtio_mmio@d0002000", "reg", 16);
    cr_assert_eq(number(reg, 0), SAMARA_GPA_VIRTIO + SAMARA_VIRTIO_STRIDE);
    memcpy(&vector, property("/virtio_mmio@d0002000", "interrupts", 4), 4);
    cr_assert_eq(fdt32_to_cpu(vector), SAMARA_VECTOR_VIRTIO + 1u);
    memcpy(&id, property("/virtio_mmio@d0002000", SAMARA_PROP_DEVICE_ID, 4), 4);
    cr_assert_eq(fdt32_to_cpu(id), 2);
    memcpy(preset, property("/virtio_mmio@d0001000", SAMARA_PROP_PRESET, sizeof(preset)),
           sizeof(preset));
    cr_assert_eq(fdt32_to_cpu(preset[6]), 2);
    cr_assert_null(fdt_getprop(buffer, fdt_path_offset(buffer, "/virtio_mmio@d0002000"),
                               SAMARA_PROP_PRESET, NULL));
}

Test(boot_fdt, an_interface_has_its_addresses_if_any_were_given)
{
    static const char addresses[] = "ip=10.0.0.2/24,gw=10.0.0.1";
    const struct boot_device devices[2] = {{.slot = 9, .device_id = 1, .net = addresses},
                                           {.slot = 10, .device_id = 1, .net = ""}};
    struct boot_fdt c = example();

    c.devices = devices;
    c.device_count = 2;
    write_tree(&c);
    cr_assert_str_eq(property("/virtio_mmio@d000a000", SAMARA_PROP_NET, sizeof(addresses)),
                     addresses);
    cr_assert_null(fdt_getprop(buffer, fdt_path_offset(buffer, "/virtio_mmio@d000b000"),
                               SAMARA_PROP_NET, NULL));
}

Test(boot_fdt, all_slots_with_long_addresses_fit_in_the_size_told)
{
    static char addresses[SAMARA_NET_MAX];
    struct boot_device devices[SAMARA_VIRTIO_SLOTS];
    struct boot_fdt c = example();

    memset(addresses, 'a', sizeof(addresses) - 1);
    for (unsigned i = 0; i < SAMARA_VIRTIO_SLOTS; i++)
        devices[i] = (struct boot_device){.slot = i, .device_id = 1, .net = addresses};
    c.devices = devices;
    c.device_count = SAMARA_VIRTIO_SLOTS;
    write_tree(&c);
}

Test(boot_fdt, long_arguments_fit_in_the_size_told)
{
    static char words[40000];
    struct boot_fdt c = example();

    memset(words, 'w', sizeof(words) - 1);
    c.argv = (struct string_block){words, sizeof(words)};
    c.exec_path =
        "/a/very/long/path/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    write_tree(&c);
    property("/chosen", SAMARA_PROP_ARGV, sizeof(words));
}

Test(boot_fdt, too_little_room_is_an_error)
{
    struct boot_fdt c = example();

    for (size_t size = 0; size < 600; size += 20) {
        struct err err = {0};

        cr_assert_eq(boot_fdt_write(&c, buffer, size, &err), -1, "%zu", size);
        cr_assert(strstr(err.text, "device tree"), "%s", err.text);
    }
}
