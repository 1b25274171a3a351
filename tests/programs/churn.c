/*
 * Memory that is never at rest, and of which any copy that is not of one instant shows: sweep after
 * sweep counts up every page, and the next one finds a page that was counted too often or not often
 * enough. A line of standard input is answered after two more sweeps. With the word "still" it
 * touches none of it until there is a line.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGES = 4096, WORDS = 512, STEP = 73 }; /* words between those that count */

static uint64_t (*pages)[WORDS];

static void sweep(uint64_t before)
{
    for (unsigned i = 0; i < PAGES; i++) {
        for (unsigned j = 0; j < WORDS; j += STEP) {
            if (pages[i][j] != before) {
                printf("torn: page %u word %u: %llu, not %llu\n", i, j,
                       (unsigned long long)pages[i][j], (unsigned long long)before);
                exit(9);
            }
            pages[i][j] = before + 1;
        }
    }
}

/* 1: there is a line; 0: not yet; -1: nor will there be. */
static int line(int patience_ms)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    char text[64];

    if (poll(&in, 1, patience_ms) == 0)
        return 0;
    return read(0, text, sizeof(text)) > 0 ? 1 : -1;
}

int main(int argc, char *argv[])
{
    const int patience_ms = argc > 1 && strcmp(argv[1], "still") == 0 ? -1 : 0;

    uint64_t n = 0;
    int asked;

    pages = mmap(NULL, PAGES * sizeof(pages[0]), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        return 1;
    sweep(n++);
    puts("up");
    fflush(stdout);
    while ((asked = line(patience_ms)) >= 0) {
        sweep(n++);
        if (!asked)
            continue;
        sweep(n++);
        puts("sound");
        fflush(stdout);
    }
    return 0;
}
