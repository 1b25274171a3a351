/* Nanoseconds per getpid system call, over as many as take some tens of milliseconds. */
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CALLS = 20000 };

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(void)
{
    double start = now_ns();

    for (int i = 0; i < CALLS; i++)
        syscall(SYS_getpid);
    printf("%.1f\n", (now_ns() - start) / CALLS);
    return 0;
}
