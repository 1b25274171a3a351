/* Calls on files at their edges, each answer a line: compared with the host's. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
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

static void *write_pair(void *arg)
{
    static char as[4000], bs[400];
    int end = ((const int *)arg)[1];
    struct iovec a[2] = {{as, 3000}, {as + 3000, 1000}};
    struct iovec b[2] = {{bs, 300}, {bs + 300, 100}};

    memset(as, 'a', sizeof(as));
    memset(bs, 'b', sizeof(bs));
    return writev(end, ((const int *)arg)[2] == 'a' ? a : b, 2) > 0 ? arg : NULL;
}

/* Two short vectors into a pipe with room for parts of them: neither is torn. */
static void vectors_into_a_pipe(void)
{
    static char data[70000], got[65536 + 4400];
    int arg[2][3] = {{0}};
    size_t n = 0, runs = 0;
    pthread_t thread[2];

    if (pipe(arg[0]) != 0)
        return;
    memcpy(arg[1], arg[0], sizeof(arg[0]));
    arg[0][2] = 'a';
    arg[1][2] = 'b';
    for (int i = 0; i < 16; i++)
        write(arg[0][1], data, 4096);
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread[i], NULL, write_pair, arg[i]);
        usleep(20000);
    }
    n = (size_t)read(arg[0][0], got, 3500);
    usleep(20000);
    while (n < sizeof(got)) {
        ssize_t more = read(arg[0][0], got + n, sizeof(got) - n);

        if (more <= 0)
            break;
        n += (size_t)more;
    }
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    for (size_t i = 1; i < n; i++)
        runs += got[i] != got[i - 1];
    printf("pipe: %zu bytes, %zu runs\n", n, runs);
}

static void counters(void)
{
    int fd = eventfd(0, EFD_NONBLOCK);
    uint64_t two[2] = {3, 4};
    struct iovec halves[2] = {{two, 4}, {(char *)two + 4, 4}};

    say("eventfd writev 4 + 4", writev(fd, halves, 2));
    say("eventfd write 8", write(fd, two, 8));
    say("eventfd read 16", read(fd, two, 16));
    printf("%d\n", (int)two[0]);
}

static void link_open(const char *what, int fd, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    say(what, linkat(AT_FDCWD, path, AT_FDCWD, name, AT_SYMLINK_FOLLOW));
}

static void links_to_files_without_names(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), other = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    int never = open("/tmp", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    char first[64], second[64];
    struct stat st;

    if (fd < 0)
        return;
    write(fd, "abc", 3);
    snprintf(first, sizeof(first), "/tmp/samara-edges-a%d", (int)getpid());
    snprintf(second, sizeof(second), "/tmp/samara-edges-b%d", (int)getpid());
    link_open("link", fd, first);
    link_open("link the other", other, second);
    say("link to the first", link(first, second));
    say("stat", stat(first, &st));
    printf("size %d, links %d\n", (int)st.st_size, (int)st.st_nlink);
    unlink(first);
    unlink(second);
    link_open("link when all names are gone", fd, first);
    link_open("link exclusive", never, first);
}

static void times_before_1970(void)
{
    const struct timespec times[2] = {{-5, 7}, {-1000000, 999999999}};
    int fd = temporary();
    struct stat st;

    say("futimens", futimens(fd, times));
    fstat(fd, &st);
    printf("%d.%09d %d.%09d\n", (int)st.st_atim.tv_sec, (int)st.st_atim.tv_nsec,
           (int)st.st_mtim.tv_sec, (int)st.st_mtim.tv_nsec);
}

static void copies_within_a_file(void)
{
    static const struct {
        int from, to, len;
    } cases[] = {{0, 4, 6}, {0, 6, 6}, {6, 3, 100}, {3, 3, 1}, {0, 0, 0}, {100, 100, 5}};
    int fd = temporary();

    write(fd, "abcdefgh", 8);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        off_t from = cases[i].from, to = cases[i].to;

        say("copy_file_range", copy_file_range(fd, &from, fd, &to, (size_t)cases[i].len, 0));
    }
    fd = open("/proc/self/cmdline", O_RDONLY);
    say("whence -1", lseek(fd, 5, -1));
    say("back too far", lseek(fd, -9, SEEK_CUR));
}

static void seals(void)
{
    int fd = memfd_create("a", 0);

    say("seals", fcntl(fd, F_GET_SEALS));
    say("add", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    fd = memfd_create("b", MFD_ALLOW_SEALING);
    say("seals", fcntl(fd, F_GET_SEALS));
    ftruncate(fd, 12288);
    say("add shrink", fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK));
    say("shrink", ftruncate(fd, 4096));
    say("add grow", fcntl(fd, F_ADD_SEALS, F_SEAL_GROW));
    say("grow", ftruncate(fd, 16384));
    say("write behind the end", pwrite(fd, "x", 1, 20000));
    say("write over the end", pwrite(fd, "xyz", 3, 12287));
    say("write", pwrite(fd, "x", 1, 0));
    say("add write", fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    say("write", pwrite(fd, "x", 1, 0));
    say("punch", fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    say("add seal", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    say("add again", fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    say("seals", fcntl(fd, F_GET_SEALS));
    say("unknown", fcntl(memfd_create("c", MFD_ALLOW_SEALING), F_ADD_SEALS, 0x1000));
}

int main(void)
{
    half = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(half + 4096, 4096);
    buffers_that_end();
    vectors_into_a_pipe();
    counters();
    links_to_files_without_names();
    times_before_1970();
    copies_within_a_file();
    seals();
    return 0;
}
