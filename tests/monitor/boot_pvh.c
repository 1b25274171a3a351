/* hvm_start_info, read back by address as a kernel would. */
#include "monitor/boot_pvh.h"

#include <criterion/criterion.h>
#include <string.h>

#include "abi/memory_map.h"

#define AT 0x140000ull

static char buffer[4096];
static const struct boot_device devices[3] = {{.slot = 0}, {.slot = 1}, {.slot = 9}};

static struct boot_pvh example(void)
{
    return (struct boot_pvh){.ram = 128ull << 20,
                             .devices = devices,
                             .device_count = 1,
                             .program_start = 0x150000,
                             .program_end = 0x150000 + 777,
                             .exec_path = "/bin/prog",
                             .argv = {"prog\0one\0two\0", 13}};
}

static void write_info(const struct boot_pvh *c)
{
    struct err err = {0};

    cr_assert(boot_pvh_size(c) <= sizeof(buffer));
    cr_assert_eq(boot_pvh_write(c, AT, buffer, boot_pvh_size(c), &err), 0, "%s", err.text);
}

static uint64_t word(uint64_t gpa, unsigned offset)
{
    uint64_t value;

    cr_assert(gpa >= AT && gpa + offset + 8 <= AT + sizeof(buffer));
    memcpy(&value, buffer + (gpa - AT) + offset, 8);
    return value;
}

Test(boot_pvh, the_program_is_the_one_module)
{
    struct boot_pvh c = example();
    uint64_t module;

    write_info(&c);
    cr_assert_eq((uint32_t)word(AT, 0), 0x336ec578);
    cr_assert_eq(word(AT, 8) >> 32, 1);
    module = word(AT, 16);
    cr_assert_eq(word(module, 0), 0x150000);
    cr_assert_eq(word(module, 8), 777);
}

Test(boot_pvh, the_command_line_carries_device_path_and_arguments)
{
    struct boot_pvh c = example();

    write_info(&c);
    cr_assert_str_eq(buffer + (word(AT, 24) - AT),
                     "virtio_mmio.device=4K@0xd0001000:34 samara.path=/bin/prog -- prog one two");
}

Test(boot_pvh, each_device_is_named_wherever_its_slot_is)
{
    struct boot_pvh c = example();

    c.device_count = 3;
    write_info(&c);
    cr_assert(
        strstr(buffer + (word(AT, 24) - AT),
               ":34 virtio_mmio.device=4K@0xd0002000:35 virtio_mmio.device=4K@0xd000a000:43 "));
}

Test(boot_pvh, memory_is_what_the_machine_has)
{
    struct boot_pvh c = example();
    uint64_t map, count, sum = 0;

    c.ram = 5ull << 30;
    write_info(&c);
    map = word(AT, 40);
    count = (uint32_t)word(AT, 48);
    cr_assert_eq(count, 3);
    for (uint64_t i = 0; i < count; i++) {
        cr_assert_eq((uint32_t)word(map, (unsigned)(24 * i + 16)), 1);
        if (word(map, (unsigned)(24 * i)) >= SAMARA_GPA_KERNEL)
            sum += word(map, (unsigned)(24 * i + 8));
    }
    cr_assert_eq(sum, (5ull << 30) - SAMARA_GPA_KERNEL);
}

Test(boot_pvh, arguments_with_blanks_are_refused)
{
    static const struct string_block bad[] = {{"a b\0", 4}, {"a\0\0", 3}, {"a\nb\0", 4}};

    for (size_t i = 0; i < 3; i++) {
        struct boot_pvh c = example();
        struct err err = {0};

        c.argv = bad[i];
        cr_assert_eq(boot_pvh_write(&c, AT, buffer, sizeof(buffer), &err), -1);
        cr_assert(strstr(err.text, "cannot carry"), "%s", err.text);
    }
}

Test(boot_pvh, too_little_room_is_an_error)
{
    struct boot_pvh c = example();

    for (size_t size = 0; size < 220; size += 10) {
        struct err err = {0};

        cr_assert_eq(boot_pvh_write(&c, AT, buffer, size, &err), -1, "%zu", size);
    }
}
