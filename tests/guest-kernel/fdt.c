/* The device tree reader against trees that libfdt built, and against what it would never build. */
#include <criterion/criterion.h>
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include "abi/platform.h"
#include "guest-kernel/boot/fdt.h"

static const char argv_list[] = "prog\0one\0two";

static void put_reg(void *fdt, const uint64_t *cells, int count)
{
    fdt64_t be[8];

    for (int i = 0; i < count; i++)
        be[i] = cpu_to_fdt64(cells[i]);
    fdt_property(fdt, "reg", be, count * 8);
}

static void put_virtio(void *fdt, const char *name, uint64_t at, uint32_t vector)
{
    fdt_begin_node(fdt, name);
    fdt_property_string(fdt, "compatible", "virtio,mmio");
    put_reg(fdt, (uint64_t[]){at, 0x1000}, 2);
    fdt_property_u32(fdt, "interrupts", vector);
    fdt_end_node(fdt);
}

static void begin(void *fdt, int size)
{
    fdt_create(fdt, size);
    fdt_finish_reservemap(fdt);
    fdt_begin_node(fdt, "");
    fdt_property_u32(fdt, "#address-cells", 2);
    fdt_property_u32(fdt, "#size-cells", 2);
}

static size_t end(void *fdt)
{
    fdt_end_node(fdt);
    cr_assert_eq(fdt_finish(fdt), 0);
    return fdt_totalsize(fdt);
}

static size_t build(void *fdt, int size)
{
    begin(fdt, size);
    fdt_begin_node(fdt, "memory@0");
    fdt_property_string(fdt, "device_type", "memory");
    put_reg(fdt, (uint64_t[]){0, 0xc0000000, 0x100000000, 0x40000000}, 4);
    fdt_end_node(fdt);
    fdt_begin_node(fdt, "chosen");
    fdt_property_string(fdt, "bootargs", "quiet");
    fdt_property_u64(fdt, "linux,initrd-start", 0x400000);
    fdt_property_u64(fdt, "linux,initrd-end", 0x480000);
    fdt_property_u64(fdt, "samara,free-start", 0x500000);
    fdt_property(fdt, "samara,argv", argv_list, sizeof(argv_list));
    fdt_property_string(fdt, "samara,exec-path", "/bin/prog");
    fdt_end_node(fdt);
    fdt_begin_node(fdt, "platform@2000");
    put_reg(fdt, (uint64_t[]){0x2000, 0x1000, 0xd0000000, 0x1000}, 4);
    fdt_property_u32(fdt, "interrupts", 0x21);
    fdt_property_string(fdt, "compatible", "samara,platform");
    fdt_end_node(fdt);
    put_virtio(fdt, "virtio@d0001000", 0xd0001000, 0x22);
    put_virtio(fdt, "virtio@d0002000", 0xd0002000, 0x23);
    return end(fdt);
}

Test(fdt, a_tree_is_read_whole)
{
    static char blob[4096];
    struct boot_info info;

    cr_assert(fdt_parse(blob, build(blob, sizeof(blob)), &info));
    cr_expect_eq(info.ram_bytes, 0x100000000);
    cr_expect_eq(info.free_start, 0x500000);
    cr_expect_eq(info.program_start, 0x400000);
    cr_expect_eq(info.program_end, 0x480000);
    cr_expect_eq(info.argv_len, sizeof(argv_list));
    cr_expect_eq(memcmp(info.argv, argv_list, sizeof(argv_list)), 0);
    cr_expect_eq(info.envp_len, 0);
    cr_expect_str_eq(info.exec_path, "/bin/prog");
    cr_expect_str_eq(info.bootargs, "quiet");
    cr_expect_eq(info.platform_gpa, 0x2000);
    cr_expect_eq(info.doorbell_gpa, 0xd0000000);
    cr_expect_eq(info.platform_vector, 0x21);
    cr_assert_eq(info.virtio_count, 2);
    cr_expect_eq(info.virtio[1].gpa, 0xd0002000);
    cr_expect_eq(info.virtio[1].size, 0x1000);
    cr_expect_eq(info.virtio[1].vector, 0x23);
}

/* One device whose SAMARA_PROP_NET has these bytes. */
static size_t build_net(void *fdt, size_t size, const void *net, int len)
{
    begin(fdt, (int)size);
    fdt_begin_node(fdt, "virtio@d0001000");
    put_reg(fdt, (uint64_t[]){0xd0001000, 0x1000}, 2);
    fdt_property_u32(fdt, "interrupts", 0x22);
    fdt_property_string(fdt, "compatible", "virtio,mmio");
    fdt_property(fdt, SAMARA_PROP_NET, net, len);
    fdt_end_node(fdt);
    return end(fdt);
}

Test(fdt, an_interface_has_its_addresses)
{
    static char blob[8192], text[SAMARA_NET_MAX + 1];
    struct boot_info info;

    cr_assert(fdt_parse(blob, build_net(blob, sizeof(blob), "ip=10.0.0.2", 12), &info));
    cr_assert_eq(info.virtio_count, 1);
    cr_expect_str_eq(info.virtio[0].net, "ip=10.0.0.2");
    cr_expect_not(fdt_parse(blob, build_net(blob, sizeof(blob), "ip=10.0.0.2", 11), &info));
    memset(text, 'x', sizeof(text) - 1);
    cr_expect_not(fdt_parse(blob, build_net(blob, sizeof(blob), text, sizeof(text)), &info));
}

/* On the heap at its exact size, so that a sanitizer sees a read beyond it. */
static bool parse_exact(const char *blob, size_t size, struct boot_info *info)
{
    char *copy = malloc(size ? size : 1);
    bool ok;

    memcpy(copy, blob, size);
    ok = fdt_parse(copy, size, info);
    free(copy);
    return ok;
}

Test(fdt, a_blob_cut_anywhere_is_refused)
{
    static char blob[4096];
    size_t size = build(blob, sizeof(blob));
    struct boot_info info;

    for (size_t cut = 0; cut < size; cut++) {
        cr_assert_not(parse_exact(blob, cut, &info), "accepted %zu bytes", cut);
        cr_assert_null(info.argv);
    }
}

Test(fdt, a_structure_block_cut_anywhere_is_refused)
{
    static char blob[4096];
    size_t size = build(blob, sizeof(blob));
    uint32_t structure = fdt_size_dt_struct(blob);
    struct boot_info info;

    for (uint32_t cut = 0; cut < structure; cut++) {
        fdt_set_size_dt_struct(blob, cut);
        cr_assert_not(parse_exact(blob, size, &info), "accepted %u bytes", cut);
    }
}

Test(fdt, any_changed_byte_is_survived)
{
    static char blob[4096];
    size_t size = build(blob, sizeof(blob));
    struct boot_info info;

    for (size_t at = 0; at < size; at++) {
        char was = blob[at];

        for (unsigned bit = 0; bit < 8; bit++) {
            blob[at] = (char)(was ^ 1 << bit);
            parse_exact(blob, size, &info);
        }
        blob[at] = (char)0xff;
        parse_exact(blob, size, &info);
        blob[at] = was;
    }
}

static bool parse_chosen(const char *name, const void *value, int len)
{
    char blob[1024];
    struct boot_info info;

    begin(blob, sizeof(blob));
    fdt_begin_node(blob, "chosen");
    fdt_property(blob, name, value, len);
    fdt_end_node(blob);
    return fdt_parse(blob, end(blob), &info);
}

Test(fdt, a_string_without_its_nul_is_refused)
{
    cr_expect(parse_chosen("samara,argv", "a\0b", 4));
    cr_expect_not(parse_chosen("samara,argv", "a\0b", 3));
    cr_expect_not(parse_chosen("bootargs", "quiet", 5));
    cr_expect_not(parse_chosen("bootargs", "", 0));
    cr_expect_not(parse_chosen("samara,exec-path", "/x", 2));
}

Test(fdt, a_number_of_odd_size_is_refused)
{
    cr_expect(parse_chosen("samara,free-start", "\0\0\0\1", 4));
    cr_expect(parse_chosen("samara,free-start", "\0\0\0\0\0\0\0\1", 8));
    cr_expect_not(parse_chosen("samara,free-start", "\0\0\0\1", 3));
    cr_expect_not(parse_chosen("samara,free-start", "\0\0\0\0\0\0\0\0\0\0\0\1", 12));
}

Test(fdt, a_program_that_ends_before_it_starts_is_refused)
{
    cr_expect_not(parse_chosen("linux,initrd-start", "\0\0\0\1", 4));
}

Test(fdt, nodes_nested_too_deep_are_refused)
{
    char blob[1024];
    struct boot_info info;

    begin(blob, sizeof(blob));
    for (int i = 0; i < 8; i++)
        fdt_begin_node(blob, "n");
    for (int i = 0; i < 8; i++)
        fdt_end_node(blob);
    cr_expect_not(fdt_parse(blob, end(blob), &info));
}

Test(fdt, a_range_that_wraps_is_refused)
{
    char blob[1024];
    struct boot_info info;

    begin(blob, sizeof(blob));
    fdt_begin_node(blob, "memory@0");
    fdt_property_string(blob, "device_type", "memory");
    put_reg(blob, (uint64_t[]){0x1000, UINT64_MAX}, 2);
    fdt_end_node(blob);
    cr_expect_not(fdt_parse(blob, end(blob), &info));
}
