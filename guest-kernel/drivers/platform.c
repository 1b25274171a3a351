/* The page is RAM that the monitor may write while we run; it is read through volatile. */
#include "guest-kernel/drivers/platform.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/cpu.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/drivers/irq.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/task/signal.h"

#define PORT_DEBUG_EXIT 0xf4 /* QEMU's isa-debug-exit */
#define PORT_COM1       0x3f8

void touch_pages(void); /* arch/touch.S */

static volatile struct samara_platform *page;
static u64 doorbell;
static u64 generation[2];

static void ring(u32 reg)
{
    /* A plain mov: the monitor may have to decode it. */
    __asm__ volatile("movl %0, (%1)" : : "r"(1u), "r"(doorbell + reg) : "memory");
}

static void take_seed(void)
{
    u8 seed[32];

    for (unsigned i = 0; i < sizeof(seed); i++) {
        seed[i] = page->seed[i];
        page->seed[i] = 0;
    }
    for (unsigned i = 0; i < ARRAY_LEN(generation); i++)
        generation[i] = page->generation_id[i];
    random_seed(seed);
}

/* Without a monitor's seed: the processor's generator where it has one, and the time stamp. */
static void seed_from_cpu(void)
{
    bool has_rdrand = cpuid(1, 0).ecx & 1u << 30;
    union {
        u64 words[4];
        u8 bytes[32];
    } seed;

    for (unsigned i = 0; i < ARRAY_LEN(seed.words); i++) {
        seed.words[i] = 0;
        if (has_rdrand)
            __asm__ volatile("rdrand %0" : "+r"(seed.words[i]) : : "cc");
        seed.words[i] ^= rdtsc();
    }
    random_seed(seed.bytes);
}

/* A snapshot of this machine goes on as somebody else, at another time. */
static bool renewed(void)
{
    if (page->generation_id[0] == generation[0] && page->generation_id[1] == generation[1])
        return false;
    take_seed();
    clock_set_wall_base(page->wall_base_ns);
    return true;
}

void platform_attend(void)
{
    u64 signals;

    if (page == NULL)
        return;
    renewed();
    signals = __atomic_exchange_n(&page->signals, 0, __ATOMIC_SEQ_CST);
    for (; signals != 0; signals &= signals - 1)
        signal_process(__builtin_ctzll(signals) + 1);
}

static void on_interrupt(void *arg)
{
    (void)arg;
    platform_attend();
}

void platform_init(const struct boot_info *info)
{
    page = NULL;
    if (info->platform_gpa != 0) {
        page = (void *)(uintptr_t)(SAMARA_WINDOW + info->platform_gpa);
        if (page->magic != SAMARA_PLATFORM_MAGIC || page->version != SAMARA_PLATFORM_VERSION)
            page = NULL;
    }
    if (page == NULL) {
        seed_from_cpu();
        return;
    }
    doorbell = SAMARA_WINDOW + info->doorbell_gpa;
    take_seed();
    random_watch(renewed);
    irq_register(info->platform_vector, on_interrupt, NULL);
}

volatile struct samara_platform *platform_page(void)
{
    return page;
}

u32 platform_flags(void)
{
    return page ? page->flags : 0;
}

void platform_set_terminal(const struct samara_termios *modes, bool flush)
{
    if (!page)
        return;
    page->terminal = *modes;
    page->terminal_flush = flush;
    ring(SAMARA_DOORBELL_TERMINAL);
}

void platform_ready(void)
{
    if (!page)
        return;
    page->touch = (uintptr_t)touch_pages;
    page->ready = 1;
}

_Noreturn void platform_exit(enum samara_exit_kind kind, u32 code)
{
    if (page) {
        if (kind == SAMARA_EXIT_STATUS || kind == SAMARA_EXIT_SIGNAL)
            platform_mark("program runs");
        page->exit_kind = kind;
        page->exit_code = code;
        ring(SAMARA_DOORBELL_EXIT);
        for (;;)
            gate_halt();
    }
    gate_out8(PORT_DEBUG_EXIT, (u8)code);
    gate_reset();
}

void platform_mark(const char *name)
{
    volatile struct samara_mark *mark;
    u32 count;

    if (!(platform_flags() & SAMARA_FLAG_TRACE))
        return;
    count = page->mark_count;
    if (count >= SAMARA_MARKS)
        return;
    mark = &page->marks[count];
    mark->ns = kvmclock_ns();
    for (unsigned i = 0; i < SAMARA_MARK_NAME && name[i] != '\0'; i++)
        mark->name[i] = name[i];
    page->mark_count = count + 1;
}

void platform_panic_text(const char *text, size_t len)
{
    u32 at;

    /* Without a page: the serial port, which every other monitor has. */
    for (size_t i = 0; page == NULL && i < len; i++)
        gate_out8(PORT_COM1, (u8)text[i]);
    if (page == NULL)
        return;
    at = MIN(page->panic_length, SAMARA_PANIC_TEXT);
    for (size_t i = 0; i < len && at < SAMARA_PANIC_TEXT; i++)
        page->panic_text[at++] = text[i];
    page->panic_length = at;
}
