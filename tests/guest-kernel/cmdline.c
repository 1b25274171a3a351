#include <criterion/criterion.h>
#include <string.h>
#include "guest-kernel/boot/cmdline.h"

static struct boot_info parse(const char *line)
{
    struct boot_info info = {0};

    cmdline_parse(line, &info);
    return info;
}

Test(cmdline, devices_are_read_in_order)
{
    struct boot_info info =
        parse("quiet virtio_mmio.device=4K@0xd0000000:5 virtio_mmio.device=512@0xfeb00e00:12:3");

    cr_assert_eq(info.virtio_count, 2);
    cr_expect_eq(info.virtio[0].gpa, 0xd0000000);
    cr_expect_eq(info.virtio[0].size, 4096);
    cr_expect_eq(info.virtio[0].vector, 5);
    cr_expect_eq(info.virtio[1].size, 512);
    cr_expect_eq(info.virtio[1].vector, 12);
}

Test(cmdline, a_malformed_device_is_skipped)
{
    static const char *const lines[] = {
        "virtio_mmio.device=",
        "virtio_mmio.device=4K",
        "virtio_mmio.device=4K@",
        "virtio_mmio.device=4K@0x:5",
        "virtio_mmio.device=4K@0xd0000000",
        "virtio_mmio.device=4K@0xd0000000:5x",
        "virtio_mmio.device=4K@0xd0000000:4294967296",
        "virtio_mmio.device=4K@0xffffffffffffffff:5",
        "virtio_mmio.device=99999999999999999999@0:5",
        "virtio_mmio.device=0xffffffffffffffffK@0:5",
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        cr_expect_eq(parse(lines[i]).virtio_count, 0, "%s", lines[i]);
}

Test(cmdline, more_devices_than_there_is_room_for_are_left_out)
{
    char line[1024] = "";

    for (int i = 0; i < BOOT_VIRTIO_MAX + 1; i++)
        strcat(line, "virtio_mmio.device=4K@0xd0000000:5 ");
    cr_expect_eq(parse(line).virtio_count, BOOT_VIRTIO_MAX);
}

Test(cmdline, words_after_two_dashes_are_the_programs)
{
    struct boot_info info =
        parse("samara.path=/bin/x  --  prog\ta  --b -- virtio_mmio.device=4K@0:1 ");
    static const char expected[] = "prog\0a\0--b\0--\0virtio_mmio.device=4K@0:1";

    cr_expect_str_eq(info.exec_path, "/bin/x");
    cr_assert_eq(info.argv_len, sizeof(expected));
    cr_expect_eq(memcmp(info.argv, expected, sizeof(expected)), 0);
    cr_expect_eq(info.virtio_count, 0);
}

Test(cmdline, arguments_beyond_the_limit_are_cut_at_a_word)
{
    static char line[2 * CMDLINE_ARGV_MAX];
    struct boot_info info;

    strcpy(line, "--");
    while (strlen(line) < CMDLINE_ARGV_MAX + 100)
        strcat(line, " abcdefg");
    info = parse(line);
    cr_expect_eq(info.argv_len, CMDLINE_ARGV_MAX);
    cr_expect_eq(info.argv[info.argv_len - 1], '\0');
}

Test(cmdline, interfaces_have_their_addresses_by_number)
{
    struct boot_info info =
        parse("samara.net1=ip=10.0.0.2/24 samara.net9=x samara.netx=y samara.net0 "
              "samara.net0=ip=fd00::2,gw=fd00::1 -- p samara.net2=z");

    cr_assert_not_null(info.net[0]);
    cr_expect_eq(strncmp(info.net[0], "ip=fd00::2,gw=fd00::1 ", 22), 0);
    cr_expect_eq(strncmp(info.net[1], "ip=10.0.0.2/24 ", 15), 0);
    cr_expect_null(info.net[2]);
    cr_expect_null(info.net[3]);
}

Test(cmdline, an_empty_line_says_nothing)
{
    struct boot_info info = parse("");

    cr_expect_eq(info.virtio_count, 0);
    cr_expect_null(info.argv);
    cr_expect_str_eq(info.bootargs, "");
}
