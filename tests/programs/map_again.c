/* Says "up"; for a line `file` or `zeroes` maps a file's pages, or new ones, at the same place, and
 * says what is in them. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 4 };

static char text[PAGES * PAGE];
static char *const place = (char *)0x200000000000;

static int map(int fd, int flags)
{
    volatile char *at =
        mmap(place, sizeof(text), PROT_READ, MAP_PRIVATE | MAP_FIXED | flags, fd, 0);

    if (at == MAP_FAILED)
        return 1;
    for (unsigned i = 0; i < PAGES; i++)
        printf("%s%c", i ? " " : "", at[i * PAGE] ? at[i * PAGE] : '0');
    puts("");
    return fflush(stdout);
}

int main(void)
{
    int fd = open("/tmp/file", O_RDWR | O_CREAT, 0600);
    char line[16];

    memset(text, 'x', sizeof(text));
    if (fd < 0 || write(fd, text, sizeof(text)) != sizeof(text) || puts("up") < 0)
        return 1;
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin)) {
        if (line[0] == 'f' ? map(fd, 0) : map(-1, MAP_ANONYMOUS))
            return 1;
    }
    return 0;
}
