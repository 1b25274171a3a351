/* See hostile_judge.h. */
#include "tests/vm/hostile_judge.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/vm/runner.h"

enum { SANITIZERS_KIB = 400 << 10 };

/* --- the monitor --- */

pid_t monitor_of(pid_t keeper)
{
    char path[64];
    int pid = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
    f = fopen(path, "r");
    CHECK(f && fscanf(f, "%d", &pid) == 1 && pid > 1);
    fclose(f);
    return pid;
}

static long status_field(pid_t pid, const char *name)
{
    char path[64], line[200];
    long value = -1;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    f = fopen(path, "r");
    CHECK(f);
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtol(line + strlen(name), NULL, 10);
    }
    fclose(f);
    CHECK(value >= 0);
    return value;
}

static long open_files(pid_t pid)
{
    char path[64];
    long count = 0;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    d = opendir(path);
    CHECK(d);
    for (const struct dirent *e; (e = readdir(d));)
        count += e->d_name[0] != '.';
    closedir(d);
    return count;
}

void is_small(pid_t monitor, long most_kib, long most_files)
{
    const long most = getenv("VM_SANITIZED") ? SANITIZERS_KIB + most_kib : most_kib;
    const long peak = status_field(monitor, "VmHWM:"), files = open_files(monitor);

    if (peak > most || files > most_files)
        fail_at(__FILE__, __LINE__, "%ld KiB at its peak, %ld files", peak, files);
}

void own_runtime_directory(void)
{
    const char *dir = scratch("run");

    CHECK(mkdir(dir, 0700) == 0 || errno == EEXIST);
    setenv("XDG_RUNTIME_DIR", dir, 1);
}

void answers_control(const char *name, const char *command)
{
    struct job job = {.argv = {samara(), command, name}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    outcome_free(&o);
}

/* --- what an attack is made of --- */

int times(int usual, int emulated)
{
    return getenv("VM_EMULATED") ? emulated : usual;
}

void own_tap(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd, control;

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    CHECK(unshare(CLONE_NEWNET) == 0);
    fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0);
    close(fd);
    control = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    r.ifr_flags = IFF_UP;
    CHECK(control >= 0 && ioctl(control, SIOCSIFFLAGS, &r) == 0);
    close(control);
}

void allow_files(unsigned count)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = count;
    if (limit.rlim_max < count)
        limit.rlim_max = count;
    CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    return a;
}
