/* Files, folders, devices and what /proc tells of the program itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char base[] = "/tmp/samara-files.XXXXXX";

#define SAY(what, cond)  printf("%s %d\n", what, (cond) ? 1 : 0)
#define FAILS(call, why) ((call) == -1 && errno == (why))

static int make(const char *name, const char *text)
{
    int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0640);

    if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        printf("make %s: %s\n", name, strerror(errno));
    return fd;
}

static void reading_and_writing(void)
{
    char buf[32] = "";
    struct iovec parts[2] = {{.iov_base = buf, .iov_len = 3}, {.iov_base = buf + 8, .iov_len = 4}};
    int fd = make("a", "hello world");

    SAY("lseek", lseek(fd, 6, SEEK_SET) == 6 && read(fd, buf, 32) == 5 && !memcmp(buf, "world", 5));
    SAY("end", read(fd, buf, 32) == 0 && lseek(fd, 0, SEEK_CUR) == 11);
    SAY("pread", pread(fd, buf, 5, 0) == 5 && !memcmp(buf, "hello", 5));
    lseek(fd, 0, SEEK_SET);
    SAY("readv", readv(fd, parts, 2) == 7 && !memcmp(buf + 8, "lo w", 4));
    SAY("sparse", lseek(fd, 10000, SEEK_SET) == 10000 && write(fd, "x", 1) == 1 &&
                      pread(fd, buf, 1, 9999) == 1 && buf[0] == 0 &&
                      lseek(fd, 0, SEEK_END) == 10001);
    SAY("truncate", ftruncate(fd, 5) == 0 && lseek(fd, 0, SEEK_END) == 5);
    SAY("grow", ftruncate(fd, 6) == 0 && pread(fd, buf, 9, 0) == 6 && buf[5] == 0);
    SAY("seek before start", FAILS(lseek(fd, -1, SEEK_SET), EINVAL));
    close(fd);
    SAY("closed", FAILS(write(fd, "x", 1), EBADF));
    fd = open("a", O_WRONLY | O_APPEND);
    SAY("append", write(fd, "!", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 7);
    SAY("no reading", FAILS(read(fd, buf, 1), EBADF));
    close(fd);
}

static void names(void)
{
    struct stat st;

    close(make("b", "bb"));
    SAY("rename", rename("b", "c") == 0 && FAILS(stat("b", &st), ENOENT));
    close(make("d", "dddd"));
    SAY("rename over", rename("d", "c") == 0 && stat("c", &st) == 0 && st.st_size == 4);
    SAY("mode", S_ISREG(st.st_mode) && (st.st_mode & 0777) == 0640 && st.st_nlink == 1);
    SAY("exclusive", FAILS(open("c", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST));
    SAY("link", link("c", "e") == 0 && stat("e", &st) == 0 && st.st_nlink == 2);
    SAY("symlink", symlink("c", "s") == 0 && lstat("s", &st) == 0 && S_ISLNK(st.st_mode));
    SAY("follow", stat("s", &st) == 0 && S_ISREG(st.st_mode));
    SAY("chmod", chmod("c", 0400) == 0 && stat("c", &st) == 0 && (st.st_mode & 0777) == 0400);
    SAY("unlink", unlink("e") == 0 && unlink("s") == 0 && FAILS(unlink("e"), ENOENT));
    SAY("access", access("c", F_OK) == 0 && FAILS(access("nowhere", F_OK), ENOENT));
}

static void unlinked_files_live_on(void)
{
    char buf[8] = "";
    int fd = make("gone", "still");

    unlink("gone");
    SAY("unlinked", pread(fd, buf, 5, 0) == 5 && !strcmp(buf, "still"));
    close(fd);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *name)
{
    char *found[64];
    int n = 0;
    DIR *d = opendir(name);
    struct dirent *e;

    while (d && (e = readdir(d)) && n < 64)
        found[n++] = strdup(e->d_name);
    if (d)
        closedir(d);
    qsort(found, (size_t)n, sizeof(found[0]), by_name);
    printf("in %s:", name);
    for (int i = 0; i < n; i++)
        printf(" %s", found[i]);
    putchar('\n');
}

static void folders(void)
{
    struct stat st;
    char here[PATH_MAX];
    int fd;

    SAY("mkdir", mkdir("dir", 0755) == 0 && stat("dir", &st) == 0 && S_ISDIR(st.st_mode));
    SAY("mkdir again", FAILS(mkdir("dir", 0755), EEXIST));
    close(make("dir/one", "1"));
    close(make("dir/two", "2"));
    list("dir");
    SAY("rmdir full", FAILS(rmdir("dir"), ENOTEMPTY));
    SAY("file as folder", FAILS(open("c/x", O_RDONLY), ENOTDIR));
    SAY("folder as file", FAILS(open("dir", O_WRONLY), EISDIR));
    fd = open("dir", O_RDONLY | O_DIRECTORY);
    SAY("openat", fstatat(fd, "one", &st, 0) == 0 && unlinkat(fd, "one", 0) == 0);
    close(fd);
    SAY("chdir",
        chdir("dir") == 0 && getcwd(here, sizeof(here)) && !strcmp(strrchr(here, '/'), "/dir"));
    SAY("dots", stat("../c", &st) == 0 && stat("./two", &st) == 0);
    SAY("rmdir", chdir("..") == 0 && unlink("dir/two") == 0 && rmdir("dir") == 0);
}

static void devices(void)
{
    char buf[64];
    struct stat st;
    int fd = open("/dev/null", O_RDWR);

    SAY("null", write(fd, buf, 64) == 64 && read(fd, buf, 64) == 0);
    SAY("null is a device", fstat(fd, &st) == 0 && S_ISCHR(st.st_mode));
    close(fd);
    fd = open("/dev/zero", O_RDWR);
    memset(buf, 1, 64);
    SAY("zero", read(fd, buf, 64) == 64 && buf[0] == 0 && buf[63] == 0);
    close(fd);
    fd = open("/dev/full", O_RDWR);
    SAY("full", FAILS(write(fd, buf, 1), ENOSPC));
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    SAY("urandom", read(fd, buf, 64) == 64 && memcmp(buf, buf + 32, 32) != 0);
    close(fd);
}

static void proc_self(void)
{
    char link_target[PATH_MAX] = "", line[512], magic[4];
    FILE *maps = fopen("/proc/self/maps", "r");
    int fd = open("/proc/self/exe", O_RDONLY);
    int stack = 0, self = 0;
    unsigned long here = (unsigned long)&stack, code = (unsigned long)proc_self;
    unsigned long from, to;
    char *name;

    SAY("exe link", readlink("/proc/self/exe", link_target, sizeof(link_target) - 1) > 0);
    name = strrchr(link_target, '/');
    SAY("exe name", name && !strncmp(name, "/files", 6));
    SAY("exe", read(fd, magic, 4) == 4 && !memcmp(magic, "\177ELF", 4));
    close(fd);
    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx", &from, &to) != 2)
            continue;
        stack |= from <= here && here < to && strstr(line, "[stack]");
        self |= from <= code && code < to && strstr(line, "r-xp");
    }
    if (maps)
        fclose(maps);
    printf("maps: stack %d code %d\n", stack, self);
}

static void descriptors(void)
{
    int fd = make("dup", "abc");
    int copy = dup(fd);
    char c;
    int fds[2];

    SAY("shared offset", lseek(fd, 1, SEEK_SET) == 1 && read(copy, &c, 1) == 1 && c == 'b');
    SAY("dup2", dup2(fd, 77) == 77 && fcntl(77, F_GETFD) == 0);
    SAY("cloexec", fcntl(77, F_SETFD, FD_CLOEXEC) == 0 && fcntl(77, F_GETFD) == FD_CLOEXEC);
    SAY("flags", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    close(77);
    SAY("pipe", pipe(fds) == 0 && write(fds[1], "p", 1) == 1 && read(fds[0], &c, 1) == 1);
    close(fds[1]);
    SAY("pipe end", read(fds[0], &c, 1) == 0);
    close(fds[0]);
    close(fd);
    close(copy);
}

static void large_file(void)
{
    static char block[65536];
    FILE *f = fopen("large", "w+");
    unsigned sum = 0;

    for (int i = 0; f && i < 64; i++) {
        memset(block, i, sizeof(block));
        fwrite(block, 1, sizeof(block), f);
    }
    if (f)
        rewind(f);
    for (int i = 0; f && i < 64; i++) {
        if (fread(block, 1, sizeof(block), f) == sizeof(block))
            sum += (unsigned)block[777];
    }
    printf("large %u at %ld\n", sum, f ? ftell(f) : -1);
    if (f)
        fclose(f);
    unlink("large");
}

int main(void)
{
    if (!mkdtemp(base) || chdir(base) != 0)
        return 2;
    umask(022);
    reading_and_writing();
    names();
    unlinked_files_live_on();
    folders();
    devices();
    proc_self();
    descriptors();
    large_file();
    list(".");
    unlink("a");
    unlink("c");
    unlink("dup");
    SAY("clean", chdir("/") == 0 && rmdir(base) == 0);
    return 0;
}
