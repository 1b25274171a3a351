/*
 * Jumps where no code can be: at the end of a program's addresses and beyond. Each is the program's
 * own fault; the last one ends it.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>

static sigjmp_buf back;
static volatile int code;

static void jump_back(int signal, siginfo_t *info, void *context)
{
    (void)context;
    code = info->si_code;
    siglongjmp(back, signal);
}

static void jump(unsigned long target)
{
    int signal = sigsetjmp(back, 1);

    if (signal == 0)
        ((void (*)(void))target)();
    printf("%#lx: signal %d\n", target, signal);
}

/* A system call in the last bytes that can be had returns behind them. */
static void last_bytes(unsigned long top)
{
    unsigned char *page = mmap((void *)(top - 4096), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int signal = SIGSEGV;

    if (page != MAP_FAILED) {
        page[4094] = 0x0f;
        page[4095] = 0x05;
        signal = sigsetjmp(back, 1);
        if (signal == 0)
            __asm__ volatile("jmp *%0" : : "r"(page + 4094), "a"(39) : "rcx", "r11", "memory");
    }
    printf("last bytes below %#lx: signal %d\n", top, signal);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = jump_back, .sa_flags = SA_SIGINFO};

    setvbuf(stdout, NULL, _IOLBF, 0);
    sigaction(SIGSEGV, &action, NULL);
    jump(0x7fc012345678);
    jump(0x7f8000fff000);
    jump(0x800000000000);
    jump(0xffff800000000000);
    last_bytes(0x7f8000000000);
    last_bytes(0x7f7fffffe000);
    signal(SIGSEGV, SIG_DFL);
    jump(0x7fc012345678);
    return 0;
}
