/* See runtime_dir.h. */
#include "monitor/runtime_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/fd_close.h"

static bool is_ours_alone(const struct stat *st)
{
    return S_ISDIR(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 077) == 0;
}

/* Whoever may rename a directory may put another in its place. */
static int check_place(const char *dir, struct err *err)
{
    char parent[UNIX_PATH_MAX + 1];
    const char *slash = strrchr(dir, '/');
    size_t len = slash > dir ? (size_t)(slash - dir) : 1;
    struct stat st;

    memcpy(parent, dir, len);
    parent[len] = '\0';
    if (stat(parent, &st) != 0)
        return err_sys(err, "make %s", dir);
    if ((st.st_uid != geteuid() && st.st_uid != 0) ||
        ((st.st_mode & 022) != 0 && !(st.st_mode & S_ISVTX)))
        return err_set(err, "%s: in a directory that others can change", dir);
    return 0;
}

/* Whoever else may write there could put another VM's socket, or none, in the place of ours. */
int runtime_dir_own(const char *dir, struct err *err)
{
    struct stat st;

    if (check_place(dir, err) != 0)
        return -1;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return err_sys(err, "make %s", dir);
    if (lstat(dir, &st) != 0)
        return err_sys(err, "%s", dir);
    if (!is_ours_alone(&st))
        return err_set(err, "%s: not a directory that is yours alone", dir);
    return 0;
}

static bool is_directory(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int compose(char to[UNIX_PATH_MAX + 1], struct err *err)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    unsigned user = geteuid();
    const size_t size = UNIX_PATH_MAX + 1;
    char of_user[32];
    int n;

    snprintf(of_user, sizeof(of_user), "/run/user/%u", user);
    if (runtime != NULL && runtime[0] == '/')
        n = snprintf(to, size, "%s/samara", runtime);
    else if (user == 0 && is_directory("/run"))
        n = snprintf(to, size, "%s", RUNTIME_DIR_ROOT);
    else if (is_directory(of_user))
        n = snprintf(to, size, "%s/samara", of_user);
    else
        n = snprintf(to, size, "/tmp/samara-%u", user);
    if (n < 0 || (size_t)n >= size)
        return err_set(err, "$XDG_RUNTIME_DIR is too long for a socket's path");
    return 0;
}

int runtime_dir_path(char to[UNIX_PATH_MAX + 1], struct err *err)
{
    return compose(to, err) != 0 ? -1 : runtime_dir_own(to, err);
}

static int open_dir(const char *path)
{
    return open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int runtime_dir_open(void)
{
    char path[UNIX_PATH_MAX + 1];
    struct stat st;
    int fd;

    if (compose(path, NULL) != 0 || check_place(path, NULL) != 0)
        return -1;
    fd = open_dir(path);
    if (fd < 0 && mkdir(path, 0700) == 0)
        fd = open_dir(path);
    if (fd >= 0 && (fstat(fd, &st) != 0 || !is_ours_alone(&st)))
        fd_close(&fd);
    return fd;
}
