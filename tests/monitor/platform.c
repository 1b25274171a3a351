/* The platform page: what the guest finds there, and what is believed of what it leaves. */
#include "monitor/platform.h"

#include <criterion/criterion.h>
#include <string.h>

#include "abi/memory_map.h"
#include "tests/vm/kernels/platform.h"

/* What the test kernels, written in assembler, believe. */
_Static_assert(offsetof(struct samara_platform, clone_counter) == PLATFORM_CLONE_COUNTER, "");
_Static_assert(offsetof(struct samara_platform, exit_kind) == PLATFORM_EXIT_KIND, "");
_Static_assert(offsetof(struct samara_platform, exit_code) == PLATFORM_EXIT_CODE, "");
_Static_assert(offsetof(struct samara_platform, panic_length) == PLATFORM_PANIC_LENGTH, "");
_Static_assert(offsetof(struct samara_platform, panic_text) == PLATFORM_PANIC_TEXT, "");
_Static_assert(SAMARA_EXIT_STATUS == EXIT_STATUS && SAMARA_EXIT_PANIC == EXIT_PANIC, "");

static uint8_t ram[0x4000] __attribute__((aligned(4096)));
static struct guest_mem mem;
static struct platform platform;
static unsigned exits, terminals;

static struct samara_platform *page(void)
{
    return (struct samara_platform *)(void *)(ram + SAMARA_GPA_PLATFORM);
}

static void exited(void *arg)
{
    cr_assert_eq(arg, &platform);
    exits++;
}

static void terminal(void *arg)
{
    cr_assert_eq(arg, &platform);
    terminals++;
}

static void set_up(void)
{
    struct platform_setup setup = {
        .flags = SAMARA_FLAG_VERBOSE, .rows = 24, .cols = 80, .wall_base_ns = 5, .seed = {9}};

    cr_assert_eq(guest_mem_add(&mem, 0, sizeof(ram), ram, NULL), 0);
    memset(ram, 0xaa, sizeof(ram));
    platform = (struct platform){.exited = exited, .terminal = terminal, .arg = &platform};
    cr_assert_eq(platform_init(&platform, &mem, &setup, NULL), 0);
}

Test(platform, the_guest_finds_what_was_set_up, .init = set_up)
{
    cr_assert_eq(page()->magic, SAMARA_PLATFORM_MAGIC);
    cr_assert_eq(page()->version, SAMARA_PLATFORM_VERSION);
    cr_assert_eq(page()->flags, SAMARA_FLAG_VERBOSE);
    cr_assert_eq(page()->tty_rows, 24);
    cr_assert_eq(page()->tty_cols, 80);
    cr_assert_eq(page()->wall_base_ns, 5);
    cr_assert_eq(page()->seed[0], 9);
    cr_assert_eq(page()->signals, 0);
    cr_assert_eq(page()->exit_kind, 0);
}

Test(platform, the_terminals_modes_are_taken_as_a_copy, .init = set_up)
{
    struct samara_termios modes;
    bool flush;

    page()->terminal.lflag = 0x12;
    page()->terminal_flush = 7;
    platform_doorbell_ops.write(&platform, SAMARA_DOORBELL_TERMINAL, 2, 1);
    cr_assert_eq(terminals, 0, "a doorbell of another size");
    platform_doorbell_ops.write(&platform, SAMARA_DOORBELL_TERMINAL, 4, 1);
    cr_assert_eq(terminals, 1);
    platform_terminal(&platform, &modes, &flush);
    cr_assert_eq(modes.lflag, 0x12);
    cr_assert(flush);
}

Test(platform, memory_without_room_for_it_is_an_error)
{
    struct platform_setup setup = {0};
    struct guest_mem small = {0};
    struct err err = {0};

    guest_mem_add(&small, 0, 0x2000, ram, NULL);
    cr_assert_eq(platform_init(&platform, &small, &setup, &err), -1);
    cr_assert(err.text[0]);
}

Test(platform, signals_add_up, .init = set_up)
{
    cr_assert(platform_signal(&platform, 2));
    cr_assert(platform_signal(&platform, 15));
    cr_assert_not(platform_signal(&platform, 15), "nobody has taken the first");
    cr_assert_eq(page()->signals, 1ull << 1 | 1ull << 14);
}

Test(platform, a_new_size_is_stored, .init = set_up)
{
    platform_resize(&platform, 50, 132);
    cr_assert_eq(page()->tty_rows, 50);
    cr_assert_eq(page()->tty_cols, 132);
    cr_assert_eq(page()->flags, SAMARA_FLAG_VERBOSE);
}

Test(platform, lengths_the_guest_wrote_are_cut_to_size, .init = set_up)
{
    static struct samara_platform copy;

    page()->panic_length = UINT32_MAX;
    page()->mark_count = UINT32_MAX;
    page()->exit_code = UINT32_MAX;
    platform_read(&platform, &copy);
    cr_assert_eq(copy.panic_length, SAMARA_PANIC_TEXT);
    cr_assert_eq(copy.mark_count, SAMARA_MARKS);
}

Test(platform, only_a_word_to_the_exit_register_ends_the_guest, .init = set_up)
{
    const struct mmio_ops *ops = &platform_doorbell_ops;

    ops->write(&platform, SAMARA_DOORBELL_EXIT + 4, 4, 1);
    ops->write(&platform, SAMARA_DOORBELL_EXIT, 1, 1);
    ops->write(&platform, SAMARA_DOORBELL_EXIT + 2, 2, 1);
    ops->write(&platform, 0xffc, 4, 1);
    ops->read(&platform, SAMARA_DOORBELL_EXIT, 4);
    cr_assert_eq(exits, 0);
    ops->write(&platform, SAMARA_DOORBELL_EXIT, 4, 0);
    cr_assert_eq(exits, 1);
}

/* tests/vm/kernels/kernel.h has these as numbers, for the assembler. */
Test(platform, the_test_kernels_agree_about_the_layout)
{
    cr_assert_eq(offsetof(struct samara_platform, exit_kind), 96);
    cr_assert_eq(offsetof(struct samara_platform, exit_code), 100);
    cr_assert_eq(offsetof(struct samara_platform, panic_length), 108);
    cr_assert_eq(offsetof(struct samara_platform, panic_text), 1136);
}
