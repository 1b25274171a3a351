/* Writes a file until it is refused, then needs memory all the same. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

static char block[1 << 16];

static unsigned long room(void)
{
    struct statvfs s;

    return statvfs("/tmp", &s) == 0 ? s.f_bavail : 0;
}

int main(void)
{
    unsigned long before = room(), written = 0;
    int fd = open("/tmp/big", O_CREAT | O_RDWR, 0600);
    char *memory;
    ssize_t n;

    while (written < 1 << 30 && (n = write(fd, block, sizeof(block))) > 0)
        written += (unsigned long)n;
    printf("%s after %s\n", strerror(errno), written / 4096 == before ? "what statfs said" : "?");
    printf("room %lu, reserving more: %s\n", room(), strerror(posix_fallocate(fd, 0, 1 << 30)));
    memory = malloc(4 << 20);
    if (memory)
        memset(memory, 1, 4 << 20);
    puts(memory ? "there is memory" : "no memory");
    close(fd);
    unlink("/tmp/big");
    printf("%s\n", room() == before ? "given back" : "lost");
    return 0;
}
