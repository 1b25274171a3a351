/* socket, bind, listen, accept, connect, shutdown. */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"

#define CONNECT_TIMEOUT (2 * NS_PER_S) /* Linux's default for vsock */

static int take_address(u64 at, u64 len, struct sockaddr_vm *out)
{
    if (len < sizeof(*out))
        return -EINVAL;
    if (copy_from_user(out, at, sizeof(*out)) != 0)
        return -EFAULT;
    return out->family == AF_VSOCK ? 0 : -EAFNOSUPPORT;
}

long sys_socket(const u64 a[6])
{
    u32 type = (u32)a[1];
    struct file *f;
    int fd;

    if (a[0] != AF_VSOCK)
        return -EAFNOSUPPORT;
    if ((type & SOCK_TYPE_MASK) != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    if (type & ~(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    if (a[2] != 0 && a[2] != AF_VSOCK)
        return -EPROTONOSUPPORT;
    f = socket_new(type);
    if (f == NULL)
        return -ENOMEM;
    fd = fd_new(f, 0, type & O_CLOEXEC);
    if (fd < 0)
        file_put(f);
    return fd;
}

static long bind_socket(struct file *f, const u64 a[6])
{
    struct socket *sock = f->private;
    struct sockaddr_vm address;
    int err = take_address(a[1], (u32)a[2], &address);

    if (err != 0)
        return err;
    if (sock->pair || sock->port != VSOCK_PORT_ANY || sock->stream || sock->listener)
        return -EINVAL;
    if (address.cid != VSOCK_CID_ANY && address.cid != vsock_cid())
        return -EADDRNOTAVAIL;
    sock->port = address.port;
    return 0;
}

long sys_bind(const u64 a[6])
{
    return with_socket(a, bind_socket);
}

static long listen_on(struct file *f, const u64 a[6])
{
    struct socket *sock = f->private;
    int error = 0;

    if (sock->pair || sock->stream != NULL)
        return -EINVAL;
    if (sock->listener != NULL)
        return 0;
    sock->listener = vsock_listen(sock->port, MIN((u32)a[1], 4096u), &error);
    if (sock->listener == NULL)
        return error;
    f->wait = vsock_listener_wait_queue(sock->listener);
    return 0;
}

long sys_listen(const u64 a[6])
{
    return with_socket(a, listen_on);
}

static struct vsock_stream *wait_for_connection(struct file *f, long *err)
{
    struct socket *sock = f->private;
    u64 deadline = deadline_after(sock->receive_timeout);
    struct vsock_stream *s;

    for (;;) {
        *err = -EINVAL;
        if (sock->listener == NULL)
            return NULL;
        s = vsock_accept(sock->listener);
        *err = f->flags & O_NONBLOCK ? -EAGAIN : 0;
        if (s != NULL || *err != 0)
            return s;
        *err = socket_wait(f, deadline);
        if (*err != 0)
            return NULL;
    }
}

static long accept_on(struct file *f, const u64 a[6], u32 flags)
{
    struct vsock_stream *s;
    struct file *made;
    long err;

    s = wait_for_connection(f, &err);
    if (s == NULL)
        return err;
    made = socket_new(flags);
    if (made == NULL) {
        vsock_close(s);
        return -ENOMEM;
    }
    ((struct socket *)made->private)->stream = s;
    made->wait = vsock_wait_queue(s);
    err = give_address(a[1], a[2], VSOCK_CID_HOST, vsock_peer_port(s));
    if (err == 0)
        err = fd_new(made, 0, flags & O_CLOEXEC);
    if (err < 0)
        file_put(made);
    return err;
}

static long accept_plain(struct file *f, const u64 a[6])
{
    return accept_on(f, a, 0);
}

static long accept_flags(struct file *f, const u64 a[6])
{
    return accept_on(f, a, (u32)a[3]);
}

long sys_accept(const u64 a[6])
{
    return with_socket(a, accept_plain);
}

long sys_accept4(const u64 a[6])
{
    if (a[3] & ~(u64)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    return with_socket(a, accept_flags);
}

int socket_connect_outcome(struct file *f)
{
    struct socket *sock = f->private;
    int state;

    if (sock->stream == NULL)
        return -ECONNABORTED;
    state = vsock_state(sock->stream);
    if (state == -EAGAIN)
        return state;
    sock->connecting = false;
    if (state != 0)
        socket_drop_stream(f);
    return state;
}

static int connect_wait(struct file *f)
{
    struct socket *sock = f->private;
    u64 deadline = deadline_after(sock->send_timeout ? sock->send_timeout : CONNECT_TIMEOUT);
    int err;

    while ((err = socket_connect_outcome(f)) == -EAGAIN) {
        if (f->flags & O_NONBLOCK)
            return -EINPROGRESS;
        err = wait_on(f->wait, deadline);
        if (err == -ETIMEDOUT) {
            sock->connecting = false;
            socket_drop_stream(f);
        }
        if (err != 0)
            return err;
    }
    return err;
}

static int connect_start(struct file *f, const struct sockaddr_vm *to)
{
    struct socket *sock = f->private;
    int err = 0;

    if (to->cid != VSOCK_CID_HOST)
        return to->cid == VSOCK_CID_ANY ? -EINVAL : -ENODEV;
    sock->stream = vsock_request(sock->port, to->port, false, &err);
    if (sock->stream == NULL)
        return err;
    sock->connecting = true;
    f->wait = vsock_wait_queue(sock->stream);
    vsock_flush();
    return connect_wait(f);
}

static int connect_to(struct file *f, const struct sockaddr_vm *to)
{
    struct socket *sock = f->private;
    int err;

    if (sock->pair)
        return -EISCONN;
    if (sock->listener != NULL)
        return -EINVAL;
    if (sock->stream == NULL)
        return connect_start(f, to);
    if (!sock->connecting)
        return -EISCONN;
    err = f->flags & O_NONBLOCK ? socket_connect_outcome(f) : connect_wait(f);
    return err == -EAGAIN ? -EALREADY : err;
}

static long connect_socket(struct file *f, const u64 a[6])
{
    struct sockaddr_vm address;
    int err = take_address(a[1], (u32)a[2], &address);

    return err ? err : connect_to(f, &address);
}

long sys_connect(const u64 a[6])
{
    return with_socket(a, connect_socket);
}

static long shut_down(struct file *f, const u64 a[6])
{
    struct socket *sock = f->private;

    if (a[1] > 2)
        return -EINVAL;
    if (sock->pair) {
        pair_shutdown(sock, a[1] != 1, a[1] != 0);
        return 0;
    }
    return sock->stream ? vsock_shutdown(sock->stream, (unsigned)a[1] + 1) : -ENOTCONN;
}

long sys_shutdown(const u64 a[6])
{
    return with_socket(a, shut_down);
}
