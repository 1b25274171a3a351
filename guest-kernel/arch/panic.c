/* Reports; see panic.h. */
#include "guest-kernel/arch/panic.h"
#include "abi/memory_map.h"
#include "guest-kernel/arch/symbols.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/lib/print.h"

static const struct symbol *find_symbol(u64 address)
{
    u32 low = 0;
    u32 high;

    if (!symbol_table || address < SAMARA_WINDOW || address - SAMARA_WINDOW > UINT32_MAX)
        return NULL;
    for (high = symbol_count; low < high;) {
        u32 middle = low + (high - low) / 2;

        if (symbol_table[middle].offset <= address - SAMARA_WINDOW)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &symbol_table[low - 1] : NULL;
}

size_t symbol_name(char *buf, size_t size, u64 address)
{
    const struct symbol *s = find_symbol(address);

    if (!s)
        return kprint_to(buf, size, "0x%lx", address);
    return kprint_to(buf, size, "%s+0x%lx", symbol_names + s->name,
                     address - SAMARA_WINDOW - s->offset);
}

static void say(const char *fmt, ...)
{
    char line[192];
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = kvprint_to(line, sizeof(line), fmt, ap);
    va_end(ap);
    platform_panic_text(line, n);
}

static void say_registers(const struct regs *r)
{
    char at[64];

    symbol_name(at, sizeof(at), r->rip);
    say("rip %016lx %s in the %s\n", r->rip, at, r->rip >= SAMARA_WINDOW ? "kernel" : "program");
    say("rsp %016lx rbp %016lx flags %lx\n", r->rsp, r->rbp, r->rflags);
    say("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    say("rsi %016lx rdi %016lx r8  %016lx r9  %016lx\n", r->rsi, r->rdi, r->r8, r->r9);
    say("r10 %016lx r11 %016lx r12 %016lx r13 %016lx\n", r->r10, r->r11, r->r12, r->r13);
    say("r14 %016lx r15 %016lx\n", r->r14, r->r15);
}

/* Words on the stack that point into kernel text: a guess at the call chain that needs no frames.
 */
static void say_stack(u64 rsp)
{
    const u64 page_end = (rsp | (PAGE_SIZE - 1)) - 7;
    char at[64];
    unsigned shown = 0;

    for (u64 p = rsp & ~7ul; p < page_end && shown < 10; p += 8) {
        u64 word = *(const u64 *)(uintptr_t)p;

        if (!find_symbol(word) || word >= (u64)(uintptr_t)symbol_table)
            continue;
        symbol_name(at, sizeof(at), word);
        say("  from %s\n", at);
        shown++;
    }
}

_Noreturn void panic(const struct regs *regs, const char *fmt, ...)
{
    static bool again;
    char line[192];
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = kvprint_to(line, sizeof(line), fmt, ap);
    va_end(ap);
    platform_panic_text(line, n);
    platform_panic_text("\n", 1);
    if (!again) {
        u64 rsp = (u64)(uintptr_t)__builtin_frame_address(0);

        again = true;
        if (regs) {
            say_registers(regs);
            rsp = regs->rsp;
        }
        if (rsp >= SAMARA_WINDOW)
            say_stack(rsp);
    }
    platform_exit(SAMARA_EXIT_PANIC, 0);
}
