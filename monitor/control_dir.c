/* See control_dir.h. */
#include "monitor/control_dir.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/runtime_dir.h"

static bool is_name_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

int vm_name_check(const char *name, struct err *err)
{
    size_t len = strlen(name);
    bool good = len >= 1 && len <= VM_NAME_MAX && isalnum((unsigned char)name[0]);

    for (size_t i = 0; i < len && good; i++)
        good = is_name_char(name[i]);
    return good ? 0
                : err_set(err, "'%.64s' is not a name: 1 to %d letters, digits, '.', '_' and '-'",
                          name, VM_NAME_MAX);
}

void vm_name_default(char to[VM_NAME_MAX + 1], const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *base = slash ? slash + 1 : program;
    int len = 0;

    for (; base[len] != '\0' && len < VM_NAME_MAX - 12; len++)
        to[len] = is_name_char(base[len]) ? base[len] : '-';
    if (len == 0 || !isalnum((unsigned char)to[0]))
        to[0] = 'p';
    len = len > 0 ? len : 1;
    snprintf(to + len, (size_t)(VM_NAME_MAX + 1 - len), "-%d", (int)getpid());
}

int control_path(char to[UNIX_PATH_MAX + 1], const char *name, struct err *err)
{
    size_t len, room;

    if (vm_name_check(name, err) != 0 || runtime_dir_path(to, err) != 0)
        return -1;
    len = strlen(to);
    room = UNIX_PATH_MAX + 1 - len;
    if ((size_t)snprintf(to + len, room, "/%s.sock", name) >= room)
        return err_set(err, "%s: the path of its socket would be longer than %d characters", name,
                       (int)UNIX_PATH_MAX);
    return 0;
}

/* Nobody listens there: left by a keeper that was killed. */
static bool is_stale(const char *path)
{
    int fd = unix_connect(path);

    if (fd >= 0)
        close(fd);
    return fd == -ECONNREFUSED;
}

/* The name is there only once somebody listens: a socket where nobody does is a stale one. */
static int take_name(struct unix_listener *listener, const char *path)
{
    if (unix_rename(listener, path) == 0)
        return 0;
    if (errno == EEXIST && is_stale(path) && unlink(path) == 0 && unix_rename(listener, path) == 0)
        return 0;
    return -1;
}

static int listen_in(struct unix_listener *listener, const char *dir, struct err *err)
{
    char path[UNIX_PATH_MAX + 1];
    mode_t before = umask(0177);
    int result;

    if ((size_t)snprintf(path, sizeof(path), "%s/.%d", dir, (int)getpid()) >= sizeof(path))
        return err_set(err, "%s: too long", dir);
    unlink(path); /* of one with our number, that was killed at the wrong moment */
    result = unix_listen(listener, path, UNIX_PATH_MAX, err);
    umask(before);
    return result;
}

int control_listen(struct unix_listener *listener, const char *name, struct err *err)
{
    char path[UNIX_PATH_MAX + 1], dir[UNIX_PATH_MAX + 1];
    int why;

    if (control_path(path, name, err) != 0 || runtime_dir_path(dir, err) != 0 ||
        listen_in(listener, dir, err) != 0)
        return -1;
    if (take_name(listener, path) == 0)
        return 0;
    why = errno;
    err_sys(err, "%s", path);
    if (why == EEXIST)
        err_set(err, "a VM called %s runs already (see `samara ps`)", name);
    unix_unlisten(listener);
    return -1;
}
