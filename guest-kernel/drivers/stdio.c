/*
 * One file type for streams of the monitor, one for the fallback console. Descriptors 1 and 2 are
 * shut down when their file is released; what has no reader any more gives EPIPE, as a pipe would.
 * The monitor reads nothing of stdin before the program asks for it, and is told in the end how
 * much was used: what a program leaves is for whoever comes next, and a terminal is not read by a
 * program in the background that does not care.
 */
#include "guest-kernel/drivers/stdio.h"
#include "guest-kernel/arch/gate.h"
#include "guest-kernel/drivers/platform.h"
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/process.h"
#include "guest-kernel/task/signal.h"

#define COM1 0x3f8

enum { STDIN, STDOUT, STDERR, STDIO_FILES };

enum {
    IOCTL_TIOCGPGRP = 0x540f,
    IOCTL_TIOCSPGRP = 0x5410,
};

struct winsize {
    u16 rows, cols, xpixel, ypixel;
};

struct stdio_file {
    struct vsock_stream *stream; /* NULL: not opened, or given up */
    bool tty;
};

static struct stdio_file files[STDIO_FILES];

/* Why the host could not go on with the stream: -errno, or 0. */
static long host_error(const struct stdio_file *io)
{
    return -(long)platform_page()->stdio_error[io - files];
}

static long stdio_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    struct stdio_file *io = f->private;
    long n = vsock_state(io->stream);

    (void)pos;
    if (n == -EAGAIN)
        return n;
    vsock_resume(io->stream);
    n = vsock_receive(io->stream, buf, len);
    return n == 0 && len > 0 ? host_error(io) : n;
}

static long stdio_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    struct stdio_file *io = f->private;
    long n = vsock_state(io->stream);

    (void)pos;
    if (n == 0)
        n = vsock_send(io->stream, buf, len);
    if (n == -EPIPE || n == -ECONNRESET) {
        if (host_error(io) != 0)
            return host_error(io);
        signal_self(SIGPIPE);
        return -EPIPE;
    }
    return n;
}

static u32 stdio_poll(struct file *f)
{
    const struct stdio_file *io = f->private;
    u32 events;

    vsock_resume(io->stream);
    events = vsock_poll(io->stream);
    if (io == &files[STDIN])
        return events & (u32) ~(POLLOUT | POLLWRNORM);
    /* Nobody sends on an output stream: an end of that direction means nothing. */
    if (events & POLLHUP)
        return POLLOUT | POLLWRNORM | POLLERR;
    return events & (POLLOUT | POLLWRNORM);
}

/* The host's terminal does the work; all that is written so far goes there first. */
static long set_modes(u64 arg, bool flush)
{
    struct samara_termios modes;
    long error = copy_from_user(&modes, arg, sizeof(modes));

    if (error == 0) {
        vsock_flush();
        platform_set_terminal(&modes, flush);
    }
    return error;
}

static long tty_ioctl(u32 request, u64 arg)
{
    volatile struct samara_platform *page = platform_page();
    struct samara_termios modes;
    struct winsize size = {0};
    int group = PROCESS_PID;

    switch (request) {
    case IOCTL_TCGETS:
        modes = page->terminal;
        return copy_to_user(arg, &modes, sizeof(modes));
    case IOCTL_TCSETS:
    case IOCTL_TCSETSW:
    case IOCTL_TCSETSF:
        return set_modes(arg, request == IOCTL_TCSETSF);
    case IOCTL_TIOCGWINSZ:
        size.rows = page->tty_rows;
        size.cols = page->tty_cols;
        return copy_to_user(arg, &size, sizeof(size));
    case IOCTL_TIOCGPGRP:
        return copy_to_user(arg, &group, sizeof(group));
    case IOCTL_TIOCSPGRP:
        return 0;
    default:
        return -ENOTTY;
    }
}

static long stdio_ioctl(struct file *f, u32 request, u64 arg)
{
    struct stdio_file *io = f->private;
    int waiting;

    if (request == IOCTL_FIONREAD) {
        vsock_resume(io->stream);
        vsock_flush();
        waiting = (int)vsock_readable(io->stream);
        return copy_to_user(arg, &waiting, sizeof(waiting));
    }
    return io->tty ? tty_ioctl(request, arg) : -ENOTTY;
}

static void stdio_attr(struct file *f, struct file_attr *out)
{
    const struct stdio_file *io = f->private;

    out->ino = (u64)(io - files) + 1;
    out->mode = io->tty ? MODE_CHAR | 0620 : MODE_FIFO | 0600;
    out->rdev = io->tty ? 0x8800 : 0; /* /dev/pts/0 */
}

static void stdio_release(struct file *f)
{
    struct stdio_file *io = f->private;
    struct vsock_stream *s = io->stream;

    if (io == &files[STDIN]) {
        io->stream = NULL;
        vsock_close(s);
    } else {
        vsock_shutdown(s, VSOCK_SHUT_SEND); /* stays for klog_program's and stdio_finish's checks */
    }
}

static const struct file_ops stdio_ops = {
    .read = stdio_read,
    .write = stdio_write,
    .ioctl = stdio_ioctl,
    .poll = stdio_poll,
    .attr = stdio_attr,
    .release = stdio_release,
    .gathers = true,
};

/* ---- the fallback console ---- */

static void console_put(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        gate_out8(COM1, (u8)text[i]);
}

static long console_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)f, (void)buf, (void)len, (void)pos;
    return 0;
}

static long console_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    (void)f, (void)pos;
    console_put(buf, len);
    return (long)len;
}

static void console_attr(struct file *f, struct file_attr *out)
{
    (void)f;
    out->ino = 1;
    out->mode = MODE_CHAR | 0620;
    out->rdev = 0x501; /* /dev/console */
}

static const struct file_ops console_ops = {
    .read = console_read,
    .write = console_write,
    .attr = console_attr,
};

/* ---- start and end ---- */

static bool use_vsock(void)
{
    /* Another monitor may have vsock, but nobody behind our ports. */
    return vsock_present() && platform_page() != NULL;
}

static bool is_closed(u32 fd)
{
    return platform_flags() & ((u32)SAMARA_FLAG_STDIN_CLOSED << fd);
}

static bool request_streams(void)
{
    int error;

    if (!use_vsock())
        return false;
    for (u32 i = 0; i < STDIO_FILES; i++) {
        if (is_closed(i))
            continue;
        files[i].stream =
            vsock_request(VSOCK_PORT_ANY, SAMARA_STDIO_PORT + i, VSOCK_BYTES, i == STDIN, &error);
        if (files[i].stream == NULL)
            return false;
    }
    vsock_flush();
    return true;
}

static void install(int fd, bool on_vsock)
{
    struct stdio_file *io = &files[fd];
    struct file *f = file_new(on_vsock ? &stdio_ops : &console_ops, io);

    if (f == NULL)
        return;
    f->flags = fd == STDIN ? O_RDONLY : O_WRONLY;
    if (on_vsock) {
        io->tty = platform_flags() & ((u32)SAMARA_FLAG_STDIN_TTY << fd);
        f->wait = vsock_wait_queue(io->stream);
    }
    if (fd_install(fd, f) != 0)
        file_put(f);
}

void stdio_init(void)
{
    bool on_vsock = request_streams();

    for (int fd = 0; fd < STDIO_FILES; fd++) {
        if (!is_closed((u32)fd))
            install(fd, on_vsock);
    }
}

void stdio_finish(void)
{
    if (!use_vsock())
        return;
    vsock_end();
    if (files[STDIN].stream != NULL && vsock_resumed(files[STDIN].stream))
        vsock_shutdown(files[STDIN].stream, VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND);
    for (unsigned i = STDOUT; i < STDIO_FILES; i++) {
        if (files[i].stream != NULL)
            vsock_shutdown(files[i].stream, VSOCK_SHUT_SEND);
    }
}

void klog_program(const char *text)
{
    struct vsock_stream *s = files[STDERR].stream;
    char line[256];
    size_t len = kprint_to(line, sizeof(line), "%s\n", text);

    if (!use_vsock())
        console_put(line, len);
    else if (s != NULL && vsock_state(s) == 0)
        vsock_send(s, line, len);
}
