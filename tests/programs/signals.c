/*
 * Signals a program sends itself: details, masks, alternate stack, timers, restart, longjmp.
 * With an argument: waits for SIGTERM or SIGINT, says which came and exits 0.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t hits, last, code, sender_is_me;
static volatile int *volatile nowhere = (int *)0x10;
static sigjmp_buf back;
static char other_stack[32768];
static volatile sig_atomic_t on_other_stack;

static void note(int signal, siginfo_t *info, void *context)
{
    (void)context;
    hits++;
    last = signal;
    code = info->si_code;
    sender_is_me = info->si_pid == getpid();
}

static void handle(int signal, int flags, void (*handler)(int, siginfo_t *, void *))
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

    sigaction(signal, &action, NULL);
}

static void details_arrive(void)
{
    handle(SIGUSR1, 0, note);
    kill(getpid(), SIGUSR1);
    printf("kill: hits %d signal %d user %d from me %d\n", hits, last, code == SI_USER,
           sender_is_me);
    raise(SIGUSR1);
    printf("raise: hits %d tkill %d\n", hits, code == SI_TKILL);
    sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 5});
    printf("queue: hits %d queue %d\n", hits, code == SI_QUEUE);
}

static void masks_hold_back(void)
{
    sigset_t set, old, pending;

    hits = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    sigpending(&pending);
    printf("blocked: hits %d pending %d\n", hits, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("unblocked: hits %d\n", hits);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR2);
    puts("ignored");
}

static void waits_take_signals(void)
{
    struct timespec zero = {0};
    sigset_t set;
    siginfo_t info;

    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    printf("timed out %d\n", sigtimedwait(&set, &info, &zero) == -1 && errno == EAGAIN);
    raise(SIGHUP);
    printf("sigwaitinfo %d\n", sigwaitinfo(&set, &info) == SIGHUP);
}

static void jump_out(int signal, siginfo_t *info, void *context)
{
    char here;

    (void)context;
    on_other_stack = &here >= other_stack && &here < other_stack + sizeof(other_stack);
    code = info->si_code;
    last = (sig_atomic_t)(long)info->si_addr;
    siglongjmp(back, signal);
}

static void faults_are_caught(void)
{
    stack_t stack = {.ss_sp = other_stack, .ss_size = sizeof(other_stack)};
    volatile int one = 1, zero = 0;

    sigaltstack(&stack, NULL);
    handle(SIGSEGV, SA_ONSTACK, jump_out);
    handle(SIGFPE, 0, jump_out);
    handle(SIGILL, 0, jump_out);
    if (sigsetjmp(back, 1) == 0)
        *nowhere = 1;
    printf("SIGSEGV at %#x code %d alternate stack %d\n", (unsigned)last, code, on_other_stack);
    if (sigsetjmp(back, 1) == 0)
        zero = one / zero;
    printf("SIGFPE code %d alternate stack %d\n", code, on_other_stack);
    if (sigsetjmp(back, 1) == 0)
        __asm__ volatile("ud2");
    puts("SIGILL");
}

/* Floating point must survive a handler that uses it. */
static volatile double noise;

static void use_floats(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info, (void)context;
    for (int i = 1; i < 50; i++)
        noise += 1.0 / i;
    hits++;
}

static void timers_fire(void)
{
    struct itimerval every = {.it_interval = {.tv_usec = 2000}, .it_value = {.tv_usec = 2000}};
    struct itimerval off = {0};
    double sum = 0;

    hits = 0;
    handle(SIGALRM, SA_RESTART, use_floats);
    setitimer(ITIMER_REAL, &every, NULL);
    while (hits < 10) {
        sum = 0;
        for (int i = 1; i <= 10000; i++)
            sum += 1.0 / i;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    printf("interval timer, sum %.10f\n", sum);
    hits = 0;
    alarm(1);
    pause();
    printf("alarm: hits %d left %u\n", hits, alarm(0));
}

static void calls_are_interrupted(void)
{
    struct itimerval once = {.it_value = {.tv_usec = 20000}};
    struct timespec t = {.tv_sec = 30};
    char byte;
    int fds[2];

    if (pipe(fds) != 0)
        return;
    handle(SIGALRM, 0, use_floats);
    setitimer(ITIMER_REAL, &once, NULL);
    printf("nanosleep %d\n", nanosleep(&t, &t) == -1 && errno == EINTR && t.tv_sec >= 20);
    setitimer(ITIMER_REAL, &once, NULL);
    printf("read %d\n", read(fds[0], &byte, 1) == -1 && errno == EINTR);
}

static void say_and_leave(int signal)
{
    const char *text = signal == SIGTERM ? "SIGTERM\n" : "SIGINT\n";

    if (write(1, text, strlen(text)) < 0)
        _exit(1);
    _exit(0);
}

static void wait_for_the_end(void)
{
    signal(SIGTERM, say_and_leave);
    signal(SIGINT, say_and_leave);
    puts("waiting");
    fflush(stdout);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        wait_for_the_end();
    details_arrive();
    masks_hold_back();
    waits_take_signals();
    faults_are_caught();
    timers_fire();
    calls_are_interrupted();
    return 0;
}
