/* Calls on files at their edges, each answer a line: compared with the host's. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char *half; /* a page that is there; behind it nothing */

static void say(const char *what, long result)
{
    printf("%s: %ld%s%s\n", what, result, result < 0 ? " " : "", result < 0 ? strerror(errno) : "");
}

static int temporary(void)
{
    char path[] = "/tmp/samara-edges-XXXXXX";
    int fd = mkstemp(path);

    unlink(path);
    return fd;
}

static void buffers_that_end(void)
{
    int fd = temporary();
    int ends[2];
    char back[8] = "";

    memset(half, 'h', 4096);
    say("write what is there", write(fd, half + 4090, 100));
    say("size", lseek(fd, 0, SEEK_END));
    say("write nothing", write(fd, half + 4096, 100));
    say("pwrite over a page", pwrite(fd, half + 4090, 8192, 4000));
    ftruncate(fd, 20000);
    say("read what fits", pread(fd, half + 4000, 5000, 10));
    say("read nothing", pread(fd, half + 4096, 5000, 10));
    if (pipe(ends) != 0)
        return;
    say("pipe takes all or nothing", write(ends[1], half + 4090, 100));
    say("pipe write", write(ends[1], "abcdef", 6));
    say("pipe gives all or nothing", read(ends[0], half + 4092, 6));
    say("to /dev/zero", read(open("/dev/zero", O_RDONLY), half + 4000, 5000));
    say("the first bytes", pread(fd, back, 6, 0));
    puts(back);
}

int main(void)
{
    half = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(half + 4096, 4096);
    buffers_that_end();
    return 0;
}
