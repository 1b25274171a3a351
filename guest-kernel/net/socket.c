/* A socket as a file, and what its system calls share. */
#include "guest-kernel/net/socket.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/signal.h"

struct socket *socket_of(const struct file *f)
{
    return f->private;
}

static long socket_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    struct socket *s = socket_of(f);
    struct socket_message m = {.at_once = f->flags & O_NONBLOCK};

    (void)pos;
    return s->ops->receive(s, buf, len, &m);
}

static long socket_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    struct socket *s = socket_of(f);
    struct socket_message m = {.peek = false};
    long n;

    (void)pos;
    if (!socket_is_stream(s) && len > MESSAGE_MOST)
        return -EMSGSIZE;
    n = s->ops->send(s, buf, len, &m);
    if (n == -EPIPE)
        signal_self(SIGPIPE);
    return n;
}

static u32 socket_poll(struct file *f)
{
    struct socket *s = socket_of(f);

    return s->ops->poll(s) | (s->error ? POLLERR : 0);
}

static long socket_ioctl(struct file *f, u32 request, u64 arg)
{
    struct socket *s = socket_of(f);

    return s->ops->ioctl ? s->ops->ioctl(s, request, arg) : -ENOTTY;
}

static u64 socket_timeout(const struct file *f, bool write)
{
    const struct socket *s = socket_of(f);

    return write ? s->send_timeout : s->receive_timeout;
}

static void socket_attr(struct file *f, struct file_attr *out)
{
    out->ino = (u64)(uintptr_t)f->private >> 4 & 0xffffffff;
    out->mode = MODE_SOCKET | 0777;
}

static void socket_release(struct file *f)
{
    struct socket *s = socket_of(f);

    if (s->ops->release)
        s->ops->release(s);
    kfree(s);
}

static const struct file_ops stream_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
    .poll = socket_poll,
    .attr = socket_attr,
    .timeout = socket_timeout,
    .release = socket_release,
    .vector = socket_vector,
};

static const struct file_ops message_file_ops = {
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
    .poll = socket_poll,
    .attr = socket_attr,
    .timeout = socket_timeout,
    .release = socket_release,
    .vector = socket_vector,
};

static bool is_socket(const struct file *f)
{
    return f->ops == &stream_file_ops || f->ops == &message_file_ops;
}

static struct file *socket_make(const struct socket *pattern, u32 flags, int *error)
{
    struct socket *s = kzalloc(pattern->ops->size);
    bool stream = socket_is_stream(pattern);
    struct file *f = s ? file_new(stream ? &stream_file_ops : &message_file_ops, s) : NULL;

    *error = -ENOMEM;
    if (!f) {
        kfree(s);
        return NULL;
    }
    *s = *pattern;
    s->file = f;
    f->flags = O_RDWR | (flags & O_NONBLOCK);
    f->wait = &s->wait;
    *error = s->ops->create ? s->ops->create(s) : 0;
    if (*error == 0)
        return f;
    file_put(f);
    return NULL;
}

struct file *socket_new(const struct socket_kind *kind, u32 flags, int *error)
{
    const struct socket pattern = {
        .ops = kind->ops, .family = kind->family, .type = kind->type, .protocol = kind->told};

    return socket_make(&pattern, flags, error);
}

struct file *socket_like(const struct socket *s, u32 flags, int *error)
{
    const struct socket pattern = {.ops = s->ops,
                                   .family = s->family,
                                   .type = s->type,
                                   .protocol = s->protocol,
                                   .switches = s->switches,
                                   .linger = s->linger,
                                   .receive_least = s->receive_least,
                                   .send_buffer = s->send_buffer,
                                   .receive_buffer = s->receive_buffer};

    return socket_make(&pattern, flags, error);
}

void socket_wake(struct socket *s, u32 events)
{
    file_wake_for(&s->wait, events);
}

int socket_take_error(struct socket *s)
{
    int error = s->error;

    s->error = 0;
    return -error;
}

/* --- what the calls share --- */

/* The socket's file with a reference, or NULL and *error. */
static struct file *socket_get(u64 fd, long *error)
{
    struct file *f = fd_get((int)fd);

    *error = -EBADF;
    if (f == NULL)
        return NULL;
    if (is_socket(f))
        return f;
    file_put(f);
    *error = -ENOTSOCK;
    return NULL;
}

long with_socket(const u64 a[6], long (*call)(struct socket *s, const u64 a[6]))
{
    long result;
    struct file *f = socket_get(a[0], &result);

    if (f == NULL)
        return result;
    result = call(socket_of(f), a);
    file_put(f);
    return result;
}

u64 deadline_after(u64 timeout)
{
    return timeout ? clock_monotonic_ns() + timeout : WAIT_FOREVER;
}

int socket_wait(struct socket *s, u64 deadline)
{
    int err = wait_on(s->file->wait, deadline);

    return err == -ETIMEDOUT ? -EAGAIN : err;
}

int take_address(u64 at, u64 len, struct socket_address *out)
{
    *out = (struct socket_address){.length = 0};
    if (len > SOCKADDR_MOST || len < sizeof(out->family))
        return -EINVAL;
    if (copy_from_user(out->bytes, at, len) != 0)
        return -EFAULT;
    out->length = (u32)len;
    return 0;
}

int give_value(u64 at, u64 len_at, const void *value, u32 size)
{
    u32 len;

    if (at == 0)
        return 0;
    if (copy_from_user(&len, len_at, sizeof(len)) != 0)
        return -EFAULT;
    if (len > INT32_MAX)
        return -EINVAL;
    if (copy_to_user(at, value, MIN(len, size)) != 0)
        return -EFAULT;
    return copy_to_user(len_at, &size, sizeof(size));
}

int give_address(u64 at, u64 len_at, const struct socket_address *address)
{
    return give_value(at, len_at, address->bytes, address->length);
}
