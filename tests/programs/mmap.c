/* Memory: anonymous, protected, fixed, moved, grown, from files, and the break. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };

static sigjmp_buf back;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)context;
    siglongjmp(back, signal == SIGSEGV ? info->si_code : 100);
}

/* 0, or SEGV_MAPERR, or SEGV_ACCERR, or 100 for SIGBUS. */
static int touch(volatile char *p, int write)
{
    int code = sigsetjmp(back, 1);

    if (code == 0 && write)
        *p = 1;
    else if (code == 0)
        (void)*p;
    return code;
}

static char *map(size_t pages, int prot)
{
    char *p = mmap(NULL, pages * PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED) {
        printf("mmap: %s\n", strerror(errno));
        exit(1);
    }
    return p;
}

static int all(const char *p, size_t n, char value)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != value)
            return 0;
    }
    return 1;
}

static void protection(void)
{
    char *p = map(4, PROT_READ | PROT_WRITE);

    printf("zero %d\n", all(p, 4 * PAGE, 0));
    memset(p, 7, 4 * PAGE);
    mprotect(p + PAGE, PAGE, PROT_READ);
    printf("read-only: read %d write %d beside %d\n", touch(p + PAGE, 0),
           touch(p + PAGE, 1) == SEGV_ACCERR, touch(p, 1));
    mprotect(p + PAGE, PAGE, PROT_NONE);
    printf("none: read %d\n", touch(p + PAGE, 0) == SEGV_ACCERR);
    mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE);
    printf("again: write %d kept %d\n", touch(p + PAGE, 1), all(p + PAGE + 1, PAGE - 1, 7));
    munmap(p + 2 * PAGE, PAGE);
    printf("hole: read %d around %d\n", touch(p + 2 * PAGE, 0) == SEGV_MAPERR,
           touch(p + 3 * PAGE, 0));
    printf("mprotect over a hole %d\n", mprotect(p, 4 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
    munmap(p, 4 * PAGE);
}

static void fixed(void)
{
    char *p = map(8, PROT_READ | PROT_WRITE);
    char *q;

    memset(p, 1, 8 * PAGE);
    q = mmap(p + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    printf("fixed %d new %d old %d\n", q == p + 2 * PAGE, all(q, 2 * PAGE, 0),
           all(p, 2 * PAGE, 1) && all(p + 4 * PAGE, 4 * PAGE, 1));
    q = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("noreplace %d\n", q == MAP_FAILED && errno == EEXIST);
    munmap(p, 8 * PAGE);
}

static void remap(void)
{
    char *p = map(2, PROT_READ | PROT_WRITE);
    char *q;

    memset(p, 3, 2 * PAGE);
    q = mremap(p, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE);
    printf("grown %d kept %d rest %d\n", q != MAP_FAILED, all(q, 2 * PAGE, 3),
           all(q + 2 * PAGE, 598 * PAGE, 0));
    p = mremap(q, 600 * PAGE, PAGE, 0);
    printf("shrunk %d tail %d\n", p == q && all(p, PAGE, 3), touch(p + PAGE, 0) == SEGV_MAPERR);
    munmap(p, PAGE);
}

static void execute(void)
{
    static const unsigned char code[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; /* mov $42, %eax; ret */
    char *p = map(1, PROT_READ | PROT_WRITE);
    int (*function)(void);

    memcpy(p, code, sizeof(code));
    memcpy(&function, &p, sizeof(p));
    printf("exec denied %d\n", sigsetjmp(back, 1) == 0 ? function() : -1);
    mprotect(p, PAGE, PROT_READ | PROT_EXEC);
    printf("exec %d\n", function());
    munmap(p, PAGE);
}

static void files(void)
{
    char path[] = "/tmp/samara-mmap.XXXXXX";
    int fd = mkstemp(path);
    char *p, *q;
    char text[8] = "";

    if (fd < 0 || ftruncate(fd, 3 * PAGE) != 0 || pwrite(fd, "content", 7, PAGE) != 7)
        exit(1);
    p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, PAGE);
    printf("private %.7s\n", p);
    p[0] = 'X';
    if (pread(fd, text, 7, PAGE) != 7)
        exit(1);
    printf("file still %s\n", text);
    q = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (q == MAP_FAILED) {
        printf("shared: %s\n", strerror(errno));
    } else {
        memcpy(q, "shared", 6);
        msync(q, PAGE, MS_SYNC);
        if (pread(fd, text, 6, 0) != 6)
            exit(1);
        printf("shared %.6s\n", text);
    }
    unlink(path);
    close(fd);
}

static void large(void)
{
    size_t size = (size_t)1 << 30; /* far more than memory: only what is touched counts */
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);

    if (p == MAP_FAILED) {
        printf("large: %s\n", strerror(errno));
        return;
    }
    for (size_t i = 0; i < size; i += size / 64)
        p[i] = (char)(i / (size / 64));
    printf("large %d\n", p[size / 2] == 32);
    madvise(p, size, MADV_DONTNEED);
    printf("dropped %d\n", p[size / 2] == 0);
    munmap(p, size);
}

static void the_break(void)
{
    long start = syscall(SYS_brk, 0); /* musl's sbrk moves nothing */
    char *block;

    if (syscall(SYS_brk, start + 5 * PAGE) != start + 5 * PAGE) {
        puts("no break");
        return;
    }
    block = memset((char *)start, 9, 5 * PAGE);
    printf("break grew %d\n", all(block, 5 * PAGE, 9));
    printf("break shrank %d\n", syscall(SYS_brk, start) == start);
}

static void many(void)
{
    static char *blocks[300];
    int good = 0;

    for (int i = 0; i < 300; i++) {
        blocks[i] = map(1 + (size_t)(i % 7), i % 2 ? PROT_READ | PROT_WRITE : PROT_READ);
        if (i % 2)
            blocks[i][0] = (char)i;
    }
    for (int i = 0; i < 300; i++) {
        good += blocks[i][0] == (i % 2 ? (char)i : 0);
        good += munmap(blocks[i], (1 + (size_t)(i % 7)) * PAGE) == 0;
    }
    printf("many %d\n", good);
}

static const char *errno_of(long result)
{
    return result == -1 ? strerror(errno) : "done";
}

static void unknown_bits_are_refused(void)
{
    int fd = memfd_create("bits", 0);
    char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED || ftruncate(fd, 4096) != 0)
        return;
    printf("mprotect 0x40: %s\n", errno_of(mprotect(p, 4096, 0x40)));
    printf("madvise 12345: %s\n", errno_of(madvise(p, 4096, 12345)));
    printf("madvise random: %s\n", errno_of(madvise(p, 4096, MADV_RANDOM)));
    printf("validated: %s\n", errno_of((long)mmap(NULL, 4096, PROT_READ, 3 | 0x400000, fd, 0)));
    printf("validated, anonymous: %s\n",
           errno_of((long)mmap(NULL, 4096, PROT_READ, 3 | MAP_ANONYMOUS, -1, 0)));
    printf("mremap with unknown flags: %s\n", errno_of((long)mremap(p, 4096, 4096, 0x40)));
    munmap(p + 2 * 4096, 4096);
    printf("mprotect over a hole: %s\n", errno_of(mprotect(p, 4 * 4096, PROT_NONE)));
    printf("before it %s", errno_of(write(fd, p, 1)));
    printf(", behind it %s\n", errno_of(write(fd, p + 3 * 4096, 1)));
    close(fd);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    protection();
    fixed();
    remap();
    execute();
    files();
    large();
    the_break();
    many();
    printf("bad length %d\n",
           mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED &&
               errno == EINVAL);
    unknown_bits_are_refused();
    return 0;
}
