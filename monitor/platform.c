/* See platform.h. */
#include "monitor/platform.h"

#include <string.h>

#include "abi/memory_map.h"

static uint64_t doorbell_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    (void)offset;
    (void)size;
    return 0;
}

static void doorbell_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    struct platform *platform = dev;

    (void)value;
    if (offset == SAMARA_DOORBELL_EXIT && size == 4)
        platform->exited(platform->arg);
    if (offset == SAMARA_DOORBELL_TERMINAL && size == 4)
        platform->terminal(platform->arg);
}

const struct mmio_ops platform_doorbell_ops = {doorbell_read, doorbell_write};

int platform_init(struct platform *platform, const struct guest_mem *mem,
                  const struct platform_setup *setup, struct err *err)
{
    struct samara_platform page = {
        .magic = SAMARA_PLATFORM_MAGIC,
        .version = SAMARA_PLATFORM_VERSION,
        .wall_base_ns = setup->wall_base_ns,
        .tsc_khz = setup->tsc_khz,
        .flags = setup->flags,
        .tty_rows = setup->rows,
        .tty_cols = setup->cols,
        .terminal = setup->terminal,
    };

    platform->mem = mem;
    memcpy(page.seed, setup->seed, sizeof(page.seed));
    memcpy(page.generation_id, setup->generation_id, sizeof(page.generation_id));
    if (!guest_write(mem, gpa(SAMARA_GPA_PLATFORM), &page, sizeof(page)))
        return err_set(err, "no room in guest memory for the platform page");
    return 0;
}

int platform_renew(struct platform *platform, const struct guest_mem *mem,
                   const struct platform_setup *setup, struct err *err)
{
    struct samara_platform page;

    platform->mem = mem;
    if (!guest_read(mem, gpa(SAMARA_GPA_PLATFORM), &page, sizeof(page)) ||
        page.magic != SAMARA_PLATFORM_MAGIC || page.version != SAMARA_PLATFORM_VERSION)
        return err_set(err, "no platform page of version %d in its memory (another kernel?)",
                       SAMARA_PLATFORM_VERSION);
    memcpy(page.seed, setup->seed, sizeof(page.seed));
    memcpy(page.generation_id, setup->generation_id, sizeof(page.generation_id));
    page.clone_counter++;
    page.wall_base_ns = setup->wall_base_ns;
    page.flags = setup->flags;
    page.tty_rows = setup->rows;
    page.tty_cols = setup->cols;
    page.terminal = setup->terminal;
    memset(page.stdio_error, 0, sizeof(page.stdio_error));
    guest_write(mem, gpa(SAMARA_GPA_PLATFORM), &page, sizeof(page));
    return 0;
}

void platform_set_wall(struct platform *platform, uint64_t wall_base_ns)
{
    const uint64_t at = SAMARA_GPA_PLATFORM + offsetof(struct samara_platform, wall_base_ns);

    guest_write(platform->mem, gpa(at), &wall_base_ns, sizeof(wall_base_ns));
}

bool platform_signal(struct platform *platform, int sig)
{
    const uint64_t at = SAMARA_GPA_PLATFORM + offsetof(struct samara_platform, signals);
    uint64_t bit = 1ull << (sig - 1);
    uint64_t before = 0;

    guest_or64(platform->mem, gpa(at), bit, &before);
    return !(before & bit);
}

void platform_resize(struct platform *platform, uint16_t rows, uint16_t cols)
{
    const uint64_t at = SAMARA_GPA_PLATFORM;

    guest_write(platform->mem, gpa(at + offsetof(struct samara_platform, tty_rows)), &rows, 2);
    guest_write(platform->mem, gpa(at + offsetof(struct samara_platform, tty_cols)), &cols, 2);
}

void platform_stdio_failed(struct platform *platform, int number, int reason)
{
    const uint64_t at = SAMARA_GPA_PLATFORM + offsetof(struct samara_platform, stdio_error);
    uint32_t word = (uint32_t)reason;

    guest_write(platform->mem, gpa(at + (unsigned)number * sizeof(word)), &word, sizeof(word));
}

void platform_terminal(const struct platform *platform, struct samara_termios *modes, bool *flush)
{
    const uint64_t at = SAMARA_GPA_PLATFORM;
    uint32_t word = 0;

    guest_read(platform->mem, gpa(at + offsetof(struct samara_platform, terminal)), modes,
               sizeof(*modes));
    guest_read(platform->mem, gpa(at + offsetof(struct samara_platform, terminal_flush)), &word,
               sizeof(word));
    *flush = word != 0;
}

void platform_read(const struct platform *platform, struct samara_platform *copy)
{
    if (!guest_read(platform->mem, gpa(SAMARA_GPA_PLATFORM), copy, sizeof(*copy)))
        memset(copy, 0, sizeof(*copy));
    if (copy->panic_length > SAMARA_PANIC_TEXT)
        copy->panic_length = SAMARA_PANIC_TEXT;
    if (copy->mark_count > SAMARA_MARKS)
        copy->mark_count = SAMARA_MARKS;
}
