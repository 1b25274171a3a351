/* A socket as a file, and what its system calls share. */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/signal.h"

/* Connected, now or before: there may be something to read. */
static bool has_peer(const struct socket *sock)
{
    return sock->stream != NULL && vsock_state(sock->stream) != -EAGAIN;
}

long socket_receive(const struct socket *sock, void *buf, size_t len)
{
    if (sock->pair)
        return pair_receive(sock, buf, len);
    return has_peer(sock) ? vsock_receive(sock->stream, buf, len) : -ENOTCONN;
}

long socket_peek(const struct socket *sock, size_t skip, void *buf, size_t len)
{
    if (sock->pair)
        return pair_peek(sock, skip, buf, len);
    return has_peer(sock) ? vsock_peek(sock->stream, skip, buf, len) : -ENOTCONN;
}

long socket_send(const struct socket *sock, const void *buf, size_t len)
{
    if (sock->pair)
        return pair_send(sock, buf, len);
    return has_peer(sock) ? vsock_send(sock->stream, buf, len) : -ENOTCONN;
}

static long socket_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    (void)pos;
    return socket_receive(f->private, buf, len);
}

static long socket_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    long n = socket_send(f->private, buf, len);

    (void)pos;
    if (n == -EPIPE)
        signal_self(SIGPIPE);
    return n;
}

static u32 socket_poll(struct file *f)
{
    struct socket *sock = f->private;

    if (sock->pair)
        return pair_poll(sock);
    if (sock->listener != NULL)
        return vsock_accept_ready(sock->listener) ? POLLIN | POLLRDNORM : 0;
    if (sock->stream == NULL)
        return POLLOUT | POLLWRNORM | POLLHUP;
    if (sock->connecting && vsock_state(sock->stream) == -ECONNRESET)
        return vsock_poll(sock->stream) | POLLERR;
    return vsock_poll(sock->stream);
}

static long socket_ioctl(struct file *f, u32 request, u64 arg)
{
    struct socket *sock = f->private;
    int waiting;

    if (sock->in != NULL)
        return sock->in->ops->ioctl(sock->in, request, arg);
    waiting = sock->stream ? (int)vsock_readable(sock->stream) : 0;

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &waiting, sizeof(waiting)) : -ENOTTY;
}

static void socket_attr(struct file *f, struct file_attr *out)
{
    out->ino = (u64)(uintptr_t)f->private >> 4 & 0xffffffff;
    out->mode = MODE_SOCKET | 0777;
}

void socket_drop_stream(struct file *f)
{
    struct socket *sock = f->private;

    if (sock->stream != NULL)
        vsock_close(sock->stream);
    sock->stream = NULL;
    f->wait = NULL;
}

static void socket_release(struct file *f)
{
    struct socket *sock = f->private;

    socket_drop_stream(f);
    if (sock->listener != NULL)
        vsock_unlisten(sock->listener);
    pair_shutdown(sock, true, true);
    kfree(sock);
}

static const struct file_ops socket_ops = {
    .read = socket_read,
    .write = socket_write,
    .ioctl = socket_ioctl,
    .poll = socket_poll,
    .attr = socket_attr,
    .release = socket_release,
    .gathers = true,
};

struct file *socket_new(u32 flags)
{
    struct socket *sock = kzalloc(sizeof(*sock));
    struct file *f = sock ? file_new(&socket_ops, sock) : NULL;

    if (f == NULL) {
        kfree(sock);
        return NULL;
    }
    sock->port = VSOCK_PORT_ANY;
    f->flags = O_RDWR | (flags & O_NONBLOCK);
    return f;
}

/* ---- what the calls share ---- */

/* The socket's file with a reference, or NULL and *error. */
static struct file *socket_get(u64 fd, long *error)
{
    struct file *f = fd_get((int)fd);

    *error = -EBADF;
    if (f == NULL)
        return NULL;
    if (f->ops == &socket_ops)
        return f;
    file_put(f);
    *error = -ENOTSOCK;
    return NULL;
}

long with_socket(const u64 a[6], long (*call)(struct file *f, const u64 a[6]))
{
    long result;
    struct file *f = socket_get(a[0], &result);

    if (f == NULL)
        return result;
    result = call(f, a);
    file_put(f);
    return result;
}

u64 deadline_after(u64 timeout)
{
    return timeout ? clock_monotonic_ns() + timeout : WAIT_FOREVER;
}

int socket_wait(struct file *f, u64 deadline)
{
    int err = f->wait ? wait_on(f->wait, deadline) : -ENOTCONN;

    return err == -ETIMEDOUT ? -EAGAIN : err;
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

int give_address(u64 at, u64 len_at, u32 cid, u32 port)
{
    const struct sockaddr_vm address = {.family = AF_VSOCK, .port = port, .cid = cid};

    return give_value(at, len_at, &address, sizeof(address));
}
