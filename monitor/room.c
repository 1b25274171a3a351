/* See room.h. */
#include "monitor/room.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/runtime_dir.h"

#define ROOM RUNTIME_DIR_ROOT "/room"

static const struct {
    const char *path, *name;
    int type;
} spaces[ROOM_SPACES] = {{ROOM "/ipc", "ipc", CLONE_NEWIPC},
                         {ROOM "/net", "net", CLONE_NEWNET},
                         {ROOM "/mnt", "mnt", CLONE_NEWNS}};

static const unsigned long nothing_special = MS_NOSUID | MS_NODEV | MS_NOEXEC;

/* --- the empty root --- */

/* The working directory becomes the root, and what was the root goes. An initial RAM file system
 * cannot be pivoted away (pivot_root(2)): there the new root is put on top of it. */
static int change_root(void)
{
    if (syscall(SYS_pivot_root, ".", ".") == 0)
        return umount2(".", MNT_DETACH);
    if (errno != EINVAL || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0)
        return -1;
    return chdir("/");
}

int room_empty_root(bool own_user)
{
    if ((!own_user && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) ||
        mount("none", "/tmp", "tmpfs", nothing_special, "size=4k,nr_inodes=1") != 0 ||
        chdir("/tmp") != 0 || change_root() != 0)
        return -1;
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | nothing_special, NULL);
}

/* --- making one that is shared --- */

/* A process that is there until its namespaces are pinned: says so on `end`, waits until the other
 * is closed. */
static _Noreturn void be_occupant(int end)
{
    char byte = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (room_empty_root(false) == 0 && write(end, &byte, 1) == 1)
        (void)!read(end, &byte, 1);
    _exit(0);
}

static int pin(pid_t occupant, unsigned i)
{
    char from[64];
    int fd = open(spaces[i].path, O_RDONLY | O_CREAT | O_CLOEXEC, 0400);

    if (fd < 0)
        return -1;
    fd_close(&fd);
    snprintf(from, sizeof(from), "/proc/%d/ns/%s", (int)occupant, spaces[i].name);
    return mount(from, spaces[i].path, NULL, MS_BIND, NULL);
}

/* 0 or the reason, as errno has it. */
static int pin_all(pid_t occupant, int end)
{
    char byte;

    if (read(end, &byte, 1) != 1)
        return ECHILD;
    for (unsigned i = 0; i < ROOM_SPACES; i++) {
        if (pin(occupant, i) != 0)
            return errno;
    }
    return 0;
}

/* A mount namespace can be pinned only where mounts are not passed on to other namespaces. */
static int make_place(void)
{
    umount2(ROOM, MNT_DETACH); /* what somebody has left half done */
    if (mkdir(ROOM, 0700) != 0 && errno != EEXIST)
        return -1;
    if (mount("none", ROOM, "tmpfs", nothing_special, "size=16k,mode=0700") != 0)
        return -1;
    return mount(NULL, ROOM, NULL, MS_PRIVATE, NULL);
}

/* 0 or the reason, as errno has it. */
static int try_to_make(void)
{
    unsigned long flags = SIGCHLD;
    int error;
    pid_t occupant;
    int ends[2];

    for (unsigned i = 0; i < ROOM_SPACES; i++)
        flags |= (unsigned)spaces[i].type;
    if (make_place() != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return errno;
    occupant = (pid_t)syscall(SYS_clone, flags, 0L, 0L, 0L, 0L);
    error = occupant < 0 ? errno : 0;
    if (occupant == 0) {
        fd_close(&ends[0]);
        be_occupant(ends[1]);
    }
    fd_close(&ends[1]);
    if (occupant > 0)
        error = pin_all(occupant, ends[0]);
    fd_close(&ends[0]);
    while (occupant > 0 && waitpid(occupant, NULL, 0) < 0 && errno == EINTR)
        ;
    return error;
}

/* A mount namespace is pinned only in one with a lower number (against circles), and since Linux
 * 6.18 each processor has a stock of numbers: a newer one from another processor may be lower. One
 * of them has the highest. */
static void make_room(void)
{
    cpu_set_t allowed, one;

    if (try_to_make() != EINVAL || sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        return;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (CPU_ISSET(cpu, &allowed) && sched_setaffinity(0, sizeof(one), &one) == 0 &&
            try_to_make() == 0)
            break;
    }
    sched_setaffinity(0, sizeof(allowed), &allowed);
}

/* --- finding it --- */

static bool open_all(struct room *room)
{
    for (unsigned i = 0; i < ROOM_SPACES; i++) {
        room->spaces[i] = open(spaces[i].path, O_RDONLY | O_CLOEXEC);
        if (room->spaces[i] < 0 || ioctl(room->spaces[i], NS_GET_NSTYPE) != spaces[i].type) {
            room_close(room);
            return false;
        }
    }
    return true;
}

/* One makes it; who comes meanwhile does without. */
void room_open(struct room *room)
{
    int lock;

    if (geteuid() != 0 || open_all(room) || runtime_dir_own(RUNTIME_DIR_ROOT, NULL) != 0)
        return;
    lock = open(RUNTIME_DIR_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock >= 0 && flock(lock, LOCK_EX | LOCK_NB) == 0 && !open_all(room)) {
        make_room();
        open_all(room);
    }
    fd_close(&lock);
}

void room_close(struct room *room)
{
    for (unsigned i = 0; i < ROOM_SPACES; i++)
        fd_close(&room->spaces[i]);
}

/* --- going in --- */

/* As room_empty_root leaves it: in a tmpfs of one inode there is nothing but its root. Made by a
 * process in a chroot, the namespace has another root than that process had. */
static bool root_is_empty(void)
{
    struct statvfs root;

    return statvfs("/", &root) == 0 && root.f_files == 1 && root.f_flag & ST_RDONLY;
}

unsigned long room_join(const struct room *room)
{
    unsigned long joined = 0;

    for (unsigned i = 0; i < ROOM_SPACES; i++) {
        if (room->spaces[i] >= 0 && setns(room->spaces[i], spaces[i].type) == 0)
            joined |= (unsigned)spaces[i].type;
    }
    return joined & CLONE_NEWNS && !root_is_empty() ? joined & ~(unsigned long)CLONE_NEWNS : joined;
}
