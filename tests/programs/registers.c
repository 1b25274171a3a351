/*
 * Holds values in every kind of register while it spins, until a line of standard input ends that;
 * then says which of them are not what they were.
 */
#include <immintrin.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int over;
static __thread uint64_t mine = 0x0123456789abcdef; /* by FS */

static void *await_line(void *arg)
{
    char text[16];

    (void)arg;
    if (read(0, text, sizeof(text)) <= 0)
        exit(1);
    over = 1;
    return NULL;
}

static int wrong(const char *what)
{
    printf("%s differs\n", what);
    return 1;
}

enum {
    XMM_MXCSR = 0x5f80 /* round up, nothing trapped */,
    X87_CONTROL = 0x0e7f /* down, 53 bits */
};

struct floats {
    uint32_t mxcsr;
    uint16_t control;
    double stack[4];
    uint64_t vectors[16][4];
    uint64_t general[4];
};

static void fill(struct floats *f)
{
    memset(f, 0, sizeof(*f));
    f->mxcsr = XMM_MXCSR;
    f->control = X87_CONTROL;
    for (unsigned i = 0; i < 4; i++)
        f->stack[i] = 1.0 / (3 + i);
    for (unsigned i = 0; i < 16; i++) {
        for (unsigned j = 0; j < 4; j++)
            f->vectors[i][j] = (i + 1) * UINT64_C(0x1111111111111111) ^ (uint64_t)j << 56;
    }
    for (unsigned i = 0; i < 4; i++)
        f->general[i] = 0xfeed0000 + i;
}

#define EACH(X)                                                                                    \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_YMM(n)  "vmovdqu " #n "*32(%[v]), %%ymm" #n "\n"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%[v])\n"
#define LOAD_XMM(n)  "movdqu " #n "*32(%[v]), %%xmm" #n "\n"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*32(%[v])\n"

#define SPIN                                                                                       \
    "1: pause\n"                                                                                   \
    "cmpl $0, %[over]\n"                                                                           \
    "je 1b\n"

#define CLOBBERS                                                                                   \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",       \
        "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "st", "st(1)", "st(2)", "st(3)", "cc",        \
        "memory"

__attribute__((target("avx"))) static void spin_avx(struct floats *f)
{
    __asm__ volatile(EACH(LOAD_YMM) SPIN EACH(STORE_YMM)
                     : [over] "+m"(over)
                     : [v] "r"(f->vectors)
                     : CLOBBERS);
}

static void spin_sse(struct floats *f)
{
    __asm__ volatile(EACH(LOAD_XMM) SPIN EACH(STORE_XMM)
                     : [over] "+m"(over)
                     : [v] "r"(f->vectors)
                     : CLOBBERS);
}

/* Of the x87 and of the general registers, as long. */
static void spin_rest(struct floats *f)
{
    __asm__ volatile("fldl 24(%[s])\n fldl 16(%[s])\n fldl 8(%[s])\n fldl (%[s])\n"
                     "mov (%[g]), %%r12\n mov 8(%[g]), %%r13\n"
                     "mov 16(%[g]), %%r14\n mov 24(%[g]), %%r15\n" SPIN
                     "fstpl (%[s])\n fstpl 8(%[s])\n fstpl 16(%[s])\n fstpl 24(%[s])\n"
                     "mov %%r12, (%[g])\n mov %%r13, 8(%[g])\n"
                     "mov %%r14, 16(%[g])\n mov %%r15, 24(%[g])\n"
                     : [over] "+m"(over)
                     : [s] "r"(f->stack), [g] "r"(f->general)
                     : "r12", "r13", "r14", "r15", CLOBBERS);
}

static int compare(const struct floats *is, const struct floats *was)
{
    int status = 0;

    if (memcmp(is->vectors, was->vectors, sizeof(is->vectors)) != 0)
        status |= wrong("a vector register");
    if (memcmp(is->stack, was->stack, sizeof(is->stack)) != 0)
        status |= wrong("the x87 stack");
    if (memcmp(is->general, was->general, sizeof(is->general)) != 0)
        status |= wrong("a general register");
    if (is->mxcsr != was->mxcsr)
        status |= wrong("MXCSR");
    if (is->control != was->control)
        status |= wrong("the x87 control word");
    return status;
}

static int hold(void (*spin)(struct floats *))
{
    static struct floats was, is;
    pthread_t thread;
    sigset_t set;
    uint64_t tls = mine;

    fill(&was);
    fill(&is);
    over = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMAX);
    if (pthread_create(&thread, NULL, await_line, NULL) != 0)
        return 1;
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    raise(SIGUSR1); /* stays pending */
    _mm_setcsr(XMM_MXCSR);
    __asm__ volatile("fldcw %0" : : "m"(was.control));
    puts("up");
    fflush(stdout);
    spin(&is);
    is.mxcsr = _mm_getcsr() & 0xffc0;
    __asm__ volatile("fnstcw %0; fninit" : "=m"(is.control));
    _mm_setcsr(0x1f80);
    pthread_join(thread, NULL);
    if (mine != tls)
        return wrong("what FS points at");
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    if (!sigismember(&set, SIGUSR1) || !sigismember(&set, SIGRTMAX) || sigismember(&set, SIGUSR2))
        return wrong("the signal mask");
    sigpending(&set);
    if (!sigismember(&set, SIGUSR1))
        return wrong("the pending signals");
    return compare(&is, &was);
}

int main(void)
{
    int status = hold(__builtin_cpu_supports("avx") ? spin_avx : spin_sse) | hold(spin_rest);

    puts(status ? "differs" : "all as it was");
    return status;
}
