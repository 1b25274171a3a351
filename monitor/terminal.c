/* See terminal.h. The C library's struct termios is another one than the kernel's: plain ioctls. */
#include "monitor/terminal.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "monitor/fd_close.h"

enum { INPUT_QUEUE = 0 }; /* TCIFLUSH */

void terminal_find(struct terminal *t)
{
    int first = -1;

    for (int fd = 2; fd >= 0; fd--) {
        if (ioctl(fd, TCGETS, &t->modes) != 0)
            continue;
        t->flags |= (uint32_t)SAMARA_FLAG_STDIN_TTY << fd;
        first = fd;
    }
    if (first >= 0)
        t->fd = fcntl(first, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

void terminal_size(const struct terminal *t, uint16_t *rows, uint16_t *cols)
{
    struct winsize size = {0};

    if (t->fd >= 0)
        ioctl(t->fd, TIOCGWINSZ, &size);
    *rows = size.ws_row;
    *cols = size.ws_col;
}

void terminal_set(struct terminal *t, const struct samara_termios *wanted, bool flush)
{
    struct samara_termios modes = t->modes;

    if (t->fd < 0)
        return;
    modes.iflag = wanted->iflag;
    modes.oflag = wanted->oflag;
    modes.lflag = wanted->lflag;
    memcpy(modes.cc, wanted->cc, sizeof(modes.cc));
    if (flush)
        ioctl(t->fd, TCFLSH, INPUT_QUEUE);
    ioctl(t->fd, TCSETS, &modes);
}

/* Whoever is in the background by now would be stopped for it. */
static void restore(struct terminal *t)
{
    struct samara_termios now;
    sigset_t stop, before;

    if (t->fd < 0 || ioctl(t->fd, TCGETS, &now) != 0 || memcmp(&now, &t->modes, sizeof(now)) == 0)
        return;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTTOU);
    pthread_sigmask(SIG_BLOCK, &stop, &before);
    ioctl(t->fd, TCSETS, &t->modes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void terminal_close(struct terminal *t)
{
    restore(t);
    fd_close(&t->fd);
}
