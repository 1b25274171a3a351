/*
 * What a signal's handler finds: the fault's details, a clean FPU, or no stack. The last property
 * ends the program: exit status 3 by the handler of SIGSEGV on its own stack.
 */
#include <fenv.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile long signo, code, err, trapno, cr2, handler_divides;
static char alt[65536];

static void note(int signal, siginfo_t *info, void *context)
{
    const greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    volatile double zero = 0, result = 1 / zero;

    (void)result;
    handler_divides = 1;
    signo = signal;
    code = info->si_code;
    err = regs[19];    /* REG_ERR, which musl hides */
    trapno = regs[20]; /* REG_TRAPNO */
    cr2 = regs[22];    /* REG_CR2 */
    siglongjmp(back, 1);
}

static void handle(int signal, int flags, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

    sigaction(signal, &action, NULL);
}

#define FAULT(what)                                                                                \
    do {                                                                                           \
        signo = handler_divides = 0;                                                               \
        if (!sigsetjmp(back, 1)) {                                                                 \
            what;                                                                                  \
        }                                                                                          \
        printf("%s: signal %ld code %ld err %ld trapno %ld cr2 %#lx handler divides %ld\n", #what, \
               signo, code, err, trapno, (unsigned long)cr2, handler_divides);                     \
    } while (0)

static volatile int *volatile low = (int *)8;

static void unmask(void)
{
    unsigned mxcsr = 0x1f80 & ~0x680u; /* invalid, divide by zero, overflow */
    unsigned short control = 0x37f & ~0xdu;

    __asm__ volatile("ldmxcsr %0\n fldcw %1" : : "m"(mxcsr), "m"(control));
}

static void divide(double a, double b)
{
    volatile double x = a, y = b, z;

    unmask();
    z = x / y;
    (void)z;
}

static void multiply(double a, double b)
{
    volatile double x = a, y = b, z;

    unmask();
    z = x * y;
    (void)z;
}

static void divide_x87(void)
{
    volatile long double x = 1, y = 0, z;

    unmask();
    z = x / y;
    (void)z;
    __asm__ volatile("fwait");
}

static void faults_have_details(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        handle(signals[i], 0, note);
    FAULT(signo = *low);
    FAULT(*low = 1);
    FAULT(((void (*)(void))(long)low)());
    FAULT(__asm__ volatile("ud2"));
    FAULT(__asm__ volatile("int3"));
    FAULT(__asm__ volatile("hlt"));
    FAULT(divide(1, 0));
    FAULT(divide(0, 0));
    FAULT(multiply(1e308, 1e308));
    FAULT(divide_x87());
}

static void nothing(int signal)
{
    (void)signal;
}

static void say_and_leave(int signal, siginfo_t *info, void *context)
{
    static const char text[] = "SIGSEGV on its own stack\n";

    (void)signal, (void)info, (void)context;
    if (write(1, text, sizeof(text) - 1) < 0)
        _exit(1);
    _exit(3);
}

static void no_stack_is_a_fault(void)
{
    stack_t stack = {.ss_sp = alt, .ss_size = sizeof(alt)};

    sigaltstack(&stack, NULL);
    handle(SIGSEGV, SA_ONSTACK, say_and_leave);
    signal(SIGUSR1, nothing);
    fflush(stdout);
    __asm__ volatile("mov $16, %%rsp\n syscall\n ud2"
                     :
                     : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
                     : "rcx", "r11", "memory");
}

int main(void)
{
    faults_have_details();
    no_stack_is_a_fault();
    return 0;
}
