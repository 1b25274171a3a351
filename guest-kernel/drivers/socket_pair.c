/* socketpair: two pipes, crosswise. Nothing else of AF_UNIX: there is nobody to connect to. */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/errno.h"

long pair_receive(const struct socket *sock, void *buf, size_t len)
{
    u64 pos = 0;

    return sock->in ? sock->in->ops->read(sock->in, buf, len, &pos) : 0;
}

long pair_peek(const struct socket *sock, size_t skip, void *buf, size_t len)
{
    return sock->in ? pipe_peek(sock->in, skip, buf, len) : 0;
}

long pair_send(const struct socket *sock, const void *buf, size_t len)
{
    return sock->out ? pipe_send(sock->out, buf, len) : -EPIPE;
}

u32 pair_poll(const struct socket *sock)
{
    u32 in = sock->in ? file_poll(sock->in) : POLLHUP;
    u32 out = sock->out ? file_poll(sock->out) : POLLERR;
    u32 events = (in & (POLLIN | POLLRDNORM)) | (out & (POLLOUT | POLLWRNORM));

    if (in & POLLHUP)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (out & POLLERR)
        events |= POLLOUT | POLLWRNORM;
    if (in & POLLHUP && out & POLLERR)
        events |= POLLHUP;
    return events;
}

void pair_shutdown(struct socket *sock, bool receive, bool send)
{
    if (receive) {
        file_put(sock->in);
        sock->in = NULL;
    }
    if (send) {
        file_put(sock->out);
        sock->out = NULL;
    }
    if (sock->pair)
        file_wake(&sock->wait);
}

/* Takes both ends over. */
static struct file *half_new(u32 flags, struct file *in, struct file *out)
{
    struct file *f = socket_new(flags);
    struct socket *sock;

    if (f == NULL) {
        file_put(in);
        file_put(out);
        return NULL;
    }
    sock = f->private;
    sock->pair = true;
    sock->in = in;
    sock->out = out;
    f->wait = &sock->wait;
    pipe_wait_at(in, f->wait);
    pipe_wait_at(out, f->wait);
    return f;
}

static long pair_new(u32 flags, u64 address)
{
    struct file *in[2], *out[2], *half[2];

    if (pipe_new(0, &in[0], &out[1]) != 0)
        return -ENOMEM;
    if (pipe_new(0, &in[1], &out[0]) != 0) {
        file_put(in[0]);
        file_put(out[1]);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < ARRAY_LEN(half); i++)
        half[i] = half_new(flags, in[i], out[i]);
    if (half[0] == NULL || half[1] == NULL) {
        file_put(half[0]);
        file_put(half[1]);
        return -ENOMEM;
    }
    return sys_new_fds(half[0], half[1], flags, address);
}

long sys_socketpair(const u64 a[6])
{
    u32 type = (u32)a[1];

    if (type & ~(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    if (a[0] != AF_UNIX)
        return a[0] == AF_VSOCK ? -EOPNOTSUPP : -EAFNOSUPPORT;
    if ((type & SOCK_TYPE_MASK) != SOCK_STREAM)
        return -ESOCKTNOSUPPORT;
    if (a[2] != 0 && a[2] != AF_UNIX)
        return -EPROTONOSUPPORT;
    return pair_new(type, a[3]);
}
