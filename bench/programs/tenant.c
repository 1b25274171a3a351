/*
 * tenant MIB [churn | tick]: a program worth a snapshot. Writes MIB of memory, says that it is up,
 * and answers each line of its input, a number, after it has written that many pages. With `churn`
 * it rewrites the first MiB for ever and answers nobody; with `tick` it answers every millisecond,
 * unasked, as QEMU's serial port gives it no input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { PAGE = 4096, CHURNED = (1 << 20) / PAGE };

static uint64_t written;

/* Each word differs, so that nothing is taken for zero or for the same page. */
static void write_pages(unsigned char *memory, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        written++;
        memcpy(memory + i * PAGE + (written % 509) * 8, &written, sizeof(written));
    }
}

static int answer(const char *text)
{
    return puts(text) < 0 || fflush(stdout) != 0;
}

static int tick(void)
{
    const struct timespec nap = {.tv_nsec = 1000000};

    while (answer("done") == 0)
        nanosleep(&nap, NULL);
    return 1;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 2 ? argv[2] : "";
    size_t mib = argc > 1 ? strtoul(argv[1], NULL, 10) : 1, pages = mib << 20 >> 12;
    unsigned char *memory =
        mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char line[32];

    if (memory == MAP_FAILED)
        return 1;
    write_pages(memory, pages);
    if (answer("up") != 0)
        return 1;
    if (strcmp(mode, "tick") == 0)
        return tick();
    while (strcmp(mode, "churn") == 0)
        write_pages(memory, pages < CHURNED ? pages : CHURNED);
    while (fgets(line, sizeof(line), stdin)) {
        size_t wanted = strtoul(line, NULL, 10);

        write_pages(memory, wanted < pages ? wanted : pages);
        if (answer("done") != 0)
            return 1;
    }
    return 0;
}
