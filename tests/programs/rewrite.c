/*
 * rewrite COUNT: writes blocks from one buffer, which it fills with other bytes as soon as a write
 * has returned. The buffer begins within a page and is longer than a packet.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WITHIN = 13, BLOCK = 300001 };

static char buffer[WITHIN + BLOCK];

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 1;

    for (int i = 0; i < count; i++) {
        memset(buffer + WITHIN, i + 1, BLOCK);
        for (size_t done = 0; done < BLOCK;) {
            ssize_t n = write(1, buffer + WITHIN + done, BLOCK - done);

            if (n <= 0)
                return 1;
            done += (size_t)n;
        }
    }
    return 0;
}
