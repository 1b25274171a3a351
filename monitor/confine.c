/* See confine.h. */
#include "monitor/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "monitor/fd_close.h"
#include "monitor/room.h"

/* Connections of vsock, and some for all else. */
enum { FILES_MOST = 4096 + 128 };
enum { CAPABILITIES_MOST = 64 };

/* linux/landlock.h of Debian 12 ends with version 2 (Documentation/userspace-api/landlock.rst). */
enum { LANDLOCK_VERSION = 1 };

struct landlock_rules {
    uint64_t fs, net, scoped;
};

/* By version: the first has 13 rights over files, later ones add a bit each, then two over TCP,
 * then two scopes. */
static const struct {
    struct landlock_rules rules;
    size_t size;
} landlock_versions[] = {
    {{.fs = (1 << 13) - 1}, 8},
    {{.fs = (1 << 14) - 1}, 8},
    {{.fs = (1 << 15) - 1}, 8},
    {{.fs = (1 << 15) - 1, .net = 3}, 16},
    {{.fs = (1 << 16) - 1, .net = 3}, 16},
    {{.fs = (1 << 16) - 1, .net = 3, .scoped = 3}, 24},
};

static const char *const names[CONFINE_MEASURES] = {
    [CONFINE_USER_NS] = "user namespace",    [CONFINE_PID_NS] = "PID namespace",
    [CONFINE_MOUNT_NS] = "mount namespace",  [CONFINE_IPC_NS] = "IPC namespace",
    [CONFINE_UTS_NS] = "UTS namespace",      [CONFINE_NET_NS] = "network namespace",
    [CONFINE_ROOT] = "empty root",           [CONFINE_NO_NEW_PRIVS] = "no new privileges",
    [CONFINE_CAPABILITIES] = "capabilities", [CONFINE_LANDLOCK] = "Landlock",
    [CONFINE_LIMITS] = "resource limits",    [CONFINE_NOT_DUMPABLE] = "not dumpable",
    [CONFINE_SECCOMP] = "seccomp",
};

const char *confine_name(enum confine_measure measure)
{
    return names[measure];
}

/* What has failed in one thread has failed. */
static void note(struct confinement *c, enum confine_measure measure, int reason)
{
    int before = atomic_load(&c->reason[measure]);

    while ((before == 0 || before == EINPROGRESS) &&
           !atomic_compare_exchange_weak(&c->reason[measure], &before, reason))
        ;
}

static void note_call(struct confinement *c, enum confine_measure measure, long result)
{
    note(c, measure, result < 0 ? errno : 0);
}

void confine_init(struct confinement *c, unsigned long namespaces, bool all, unsigned user)
{
    static const struct {
        unsigned long flag;
        enum confine_measure measure;
        bool late; /* if it is not there yet, it may still be made */
    } spaces[] = {{CLONE_NEWUSER, CONFINE_USER_NS, false}, {CLONE_NEWPID, CONFINE_PID_NS, false},
                  {CLONE_NEWUTS, CONFINE_UTS_NS, false},   {CLONE_NEWIPC, CONFINE_IPC_NS, true},
                  {CLONE_NEWNET, CONFINE_NET_NS, true},    {CLONE_NEWNS, CONFINE_MOUNT_NS, true},
                  {CLONE_NEWNS, CONFINE_ROOT, true}};

    *c = (struct confinement){.all = all, .user = user};
    for (unsigned i = 0; i < CONFINE_MEASURES; i++)
        atomic_init(&c->reason[i], EINPROGRESS);
    for (unsigned i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        if (namespaces & spaces[i].flag)
            note(c, spaces[i].measure, 0);
        else if (!spaces[i].late)
            note(c, spaces[i].measure, EPERM);
    }
}

/* --- the process --- */

void confine_process(struct confinement *c)
{
    umask(077);
    note_call(c, CONFINE_NO_NEW_PRIVS, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED);
}

/* By prlimit(), for which resources are plain numbers in both C libraries' eyes. What is wanted, if
 * the limit is not lower anyway. */
static int set_limit(int resource, rlim_t want)
{
    struct rlimit limit;

    if (syscall(SYS_prlimit64, 0, resource, NULL, &limit) != 0)
        return -1;
    if (limit.rlim_max > want)
        limit.rlim_max = want;
    limit.rlim_cur = limit.rlim_max;
    return (int)syscall(SYS_prlimit64, 0, resource, &limit, NULL);
}

static void limit_process(struct confinement *c, bool files_grow)
{
    int result = 0;

    result |= set_limit(RLIMIT_NOFILE, FILES_MOST);
    result |= set_limit(RLIMIT_CORE, 0);
    result |= set_limit(RLIMIT_MEMLOCK, 0);
    if (!files_grow)
        result |= set_limit(RLIMIT_FSIZE, 0);
    note_call(c, CONFINE_LIMITS, result);
}

/* --- the room --- */

/* So that the owner's other processes are seen as his by SO_PEERCRED; without, all are nobody's. */
static void map_user(const struct confinement *c, int proc)
{
    char line[64];
    int fd = openat(proc, "self/uid_map", O_WRONLY | O_CLOEXEC);
    int len = snprintf(line, sizeof(line), "%u %u 1", c->user, c->user);
    ssize_t written = fd >= 0 ? write(fd, line, (size_t)len) : 0;

    (void)written; /* if not, peers will be refused, that is all */
    fd_close(&fd);
}

static bool has(const struct confinement *c, enum confine_measure measure)
{
    return atomic_load(&c->reason[measure]) == 0;
}

static void make_space(struct confinement *c, enum confine_measure measure, int flag)
{
    if (!has(c, measure))
        note_call(c, measure, unshare(flag));
}

/*
 * A network namespace is three quarters of a millisecond of work for the kernel, more than all else
 * that is given up, and as much again when it goes. Without it no socket can be made either
 * (seccomp), nor connected or bound (Landlock); so where there is no shared one, it is made only
 * for those who want all there is.
 */
static void make_net(struct confinement *c)
{
    if (c->all || has(c, CONFINE_NET_NS))
        make_space(c, CONFINE_NET_NS, CLONE_NEWNET);
    else
        note(c, CONFINE_NET_NS, ECANCELED);
}

void confine_make_room(struct confinement *c, int proc)
{
    if (has(c, CONFINE_USER_NS))
        map_user(c, proc);
    make_space(c, CONFINE_IPC_NS, CLONE_NEWIPC);
    make_net(c);
    make_space(c, CONFINE_MOUNT_NS, CLONE_NEWNS);
    if (!has(c, CONFINE_MOUNT_NS))
        note(c, CONFINE_ROOT, c->reason[CONFINE_MOUNT_NS]);
    else if (!has(c, CONFINE_ROOT))
        note_call(c, CONFINE_ROOT, room_empty_root(has(c, CONFINE_USER_NS)));
}

/* --- privileges --- */

/* Forty calls for the bounding set, until a capability is not known. */
static void drop_capabilities(struct confinement *c)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct nothing[2] = {{0}};
    int result = 0;

    for (int i = 0; i < CAPABILITIES_MOST && result == 0; i++)
        result = prctl(PR_CAPBSET_DROP, i, 0, 0, 0);
    if (result != 0 && errno != EINVAL)
        note(c, CONFINE_CAPABILITIES, errno);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    note_call(c, CONFINE_CAPABILITIES, syscall(SYS_capset, &header, nothing));
}

static int restrict_by(const struct landlock_rules *rules, size_t size)
{
    int set = (int)syscall(SYS_landlock_create_ruleset, rules, size, 0);
    int result = set < 0 ? -1 : (int)syscall(SYS_landlock_restrict_self, set, 0);

    fd_close(&set);
    return result;
}

static int enter_landlock(void)
{
    const long versions = sizeof(landlock_versions) / sizeof(landlock_versions[0]);
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);

    if (version < 1)
        return -1;
    version = version < versions ? version : versions;
    return restrict_by(&landlock_versions[version - 1].rules, landlock_versions[version - 1].size);
}

void confine_thread(struct confinement *c, bool files_grow)
{
    note_call(c, CONFINE_LANDLOCK, enter_landlock());
    limit_process(c, files_grow);
    note_call(c, CONFINE_NOT_DUMPABLE, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
    drop_capabilities(c);
}

void confine_seccomp(struct confinement *c, bool protects)
{
    note(c, CONFINE_SECCOMP, protects ? 0 : ECANCELED);
}

const char *confine_reason(const struct confinement *c, enum confine_measure measure)
{
    int reason = atomic_load(&c->reason[measure]);

    return reason == ECANCELED ? "not wanted" : strerror(reason);
}

void confine_missing(const struct confinement *c, char *to, size_t size)
{
    size_t at = 0;

    to[0] = '\0';
    for (unsigned i = 0; i < CONFINE_MEASURES; i++) {
        int n;

        if (c->reason[i] == 0 || at >= size)
            continue;
        n = snprintf(to + at, size - at, "%s%s: %s", at ? ", " : "", names[i],
                     confine_reason(c, i));
        at += n > 0 ? (size_t)n : 0;
    }
}
