/*
 * What a snapshot has to keep, and what not: answers a line of standard input each with a line.
 * With the word "small" one megabyte takes the place of eight.
 *
 *     random     sixteen bytes of getrandom(2)
 *     count      how many lines there have been
 *     memory     a checksum of eight megabytes that were filled at the start, and keep changing
 *     monotonic  CLOCK_MONOTONIC in ms
 *     real       CLOCK_REALTIME in ms
 *     timer      sleeps 20 ms, and says for how many ms by CLOCK_MONOTONIC
 *     keep TEXT  remembers it in several places
 *     when it wakes  says "asleep", waits until CLOCK_REALTIME jumps, says `random` and ends
 *     exit N
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 1 << 20, FEW_WORDS = 1 << 17 };
static uint64_t words[WORDS];
static unsigned used = WORDS;
static unsigned lines;

static uint64_t next(uint64_t x)
{
    return x * 6364136223846793005u + 1442695040888963407u;
}

static void fill(uint64_t seed)
{
    for (unsigned i = 0; i < used; i++)
        words[i] = seed = next(seed);
}

static uint64_t checksum(void)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < used; i++)
        sum = next(sum ^ words[i]);
    return sum;
}

static long long now_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static void say_random(void)
{
    unsigned char bytes[16];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        exit(1);
    for (unsigned i = 0; i < sizeof(bytes); i++)
        printf("%02x", bytes[i]);
    putchar('\n');
}

static void say_timer(void)
{
    const struct timespec nap = {.tv_nsec = 20000000};
    long long before = now_ms(CLOCK_MONOTONIC);

    nanosleep(&nap, NULL);
    printf("%lld\n", now_ms(CLOCK_MONOTONIC) - before);
}

/* On the heap, in a static buffer and in a file. */
static void keep(const char *text)
{
    static char kept[64];
    FILE *f = fopen("/tmp/kept", "w");

    strcpy(kept, text);
    if (!f || fputs(strdup(text), f) < 0 || fclose(f) != 0)
        exit(1);
    puts("kept");
}

/* A clone's wall clock is ahead of its other one by all the time that it has not lived. */
static void wait_to_be_another(void)
{
    long long apart = now_ms(CLOCK_REALTIME) - now_ms(CLOCK_MONOTONIC);

    puts("asleep");
    fflush(stdout);
    while (now_ms(CLOCK_REALTIME) - now_ms(CLOCK_MONOTONIC) < apart + 20)
        ;
    say_random();
    fflush(stdout);
    _exit(0);
}

static void answer(const char *line)
{
    if (strcmp(line, "random\n") == 0) {
        say_random();
    } else if (strcmp(line, "count\n") == 0) {
        printf("%u\n", lines);
    } else if (strcmp(line, "memory\n") == 0) {
        printf("%016llx\n", (unsigned long long)checksum());
        fill(words[7]);
    } else if (strcmp(line, "monotonic\n") == 0) {
        printf("%lld\n", now_ms(CLOCK_MONOTONIC));
    } else if (strcmp(line, "real\n") == 0) {
        printf("%lld\n", now_ms(CLOCK_REALTIME));
    } else if (strcmp(line, "timer\n") == 0) {
        say_timer();
    } else if (strcmp(line, "when it wakes\n") == 0) {
        wait_to_be_another();
    } else if (strncmp(line, "keep ", 5) == 0) {
        keep(line + 5);
    } else if (strncmp(line, "exit ", 5) == 0) {
        exit(atoi(line + 5));
    } else {
        printf("what?\n");
    }
    fflush(stdout);
}

int main(int argc, char *argv[])
{
    char line[64];

    if (argc > 1 && strcmp(argv[1], "small") == 0)
        used = FEW_WORDS;
    fill(1);
    puts("up");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        lines++;
        answer(line);
    }
    return 0;
}
