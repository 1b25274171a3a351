/* Clocks advance, agree with each other, and sleeping takes the time it should. */
#include <errno.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static long long now(clockid_t id)
{
    struct timespec t;

    if (clock_gettime(id, &t) != 0)
        return -1;
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int monotonic_never_goes_back(void)
{
    long long last = now(CLOCK_MONOTONIC);

    for (int i = 0; i < 20000; i++) {
        long long t = now(CLOCK_MONOTONIC);

        if (t < last)
            return 0;
        last = t;
    }
    return 1;
}

/* At least as long as asked; the upper limit is generous, machines are busy. */
static int sleep_takes(long ms)
{
    struct timespec t = {.tv_nsec = ms * 1000000};
    long long start = now(CLOCK_MONOTONIC);
    long long took;

    if (nanosleep(&t, NULL) != 0)
        return 0;
    took = now(CLOCK_MONOTONIC) - start;
    return took >= ms * 1000000 && took < (ms + 2000) * 1000000;
}

static int sleep_until_works(void)
{
    long long goal = now(CLOCK_MONOTONIC) + 20000000;
    struct timespec t = {.tv_sec = goal / 1000000000, .tv_nsec = goal % 1000000000};

    return clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == 0 &&
           now(CLOCK_MONOTONIC) >= goal;
}

int main(void)
{
    struct timeval tv;
    struct timespec bad = {.tv_nsec = 2000000000};
    long long real = now(CLOCK_REALTIME);
    long long difference;

    gettimeofday(&tv, NULL);
    difference = tv.tv_sec * 1000000000LL + tv.tv_usec * 1000LL - real;
    printf("monotonic %d\n", monotonic_never_goes_back());
    printf("this century %d\n", real > 1600000000LL * 1000000000LL);
    printf("gettimeofday agrees %d\n", difference > -1000000000 && difference < 5000000000LL);
    printf("time agrees %d\n", time(NULL) - real / 1000000000 < 5);
    printf("sleeps %d %d %d\n", sleep_takes(1), sleep_takes(30), sleep_takes(0));
    printf("absolute sleep %d\n", sleep_until_works());
    printf("bad sleep %d\n", nanosleep(&bad, NULL) == -1 && errno == EINVAL);
    printf("cpu time %d\n", now(CLOCK_PROCESS_CPUTIME_ID) > 0);
    printf("coarse %d\n", now(CLOCK_MONOTONIC_COARSE) > 0 && now(CLOCK_BOOTTIME) > 0);
    return 0;
}
