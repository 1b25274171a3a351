/* socket, socketpair, bind, listen, accept, connect, shutdown. */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/net/inet.h"
#include "guest-kernel/net/socket.h"

static const struct socket_kind kinds[] = {
    {AF_VSOCK, SOCK_STREAM, AF_VSOCK, 0, &vsock_ops},
    {AF_VSOCK, SOCK_SEQPACKET, AF_VSOCK, 0, &vsock_ops},
    {AF_UNIX, SOCK_STREAM, AF_UNIX, 0, &unix_stream_ops},
    {AF_UNIX, SOCK_DGRAM, AF_UNIX, 0, &unix_message_ops},
    {AF_UNIX, SOCK_SEQPACKET, AF_UNIX, 0, &unix_message_ops},
    {AF_INET, SOCK_STREAM, IPPROTO_TCP, IPPROTO_TCP, &inet_tcp_ops},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDP, &inet_udp_ops},
    {AF_INET6, SOCK_STREAM, IPPROTO_TCP, IPPROTO_TCP, &inet_tcp_ops},
    {AF_INET6, SOCK_DGRAM, IPPROTO_UDP, IPPROTO_UDP, &inet_udp_ops},
};

/* --- making --- */

static const struct socket_kind *find_kind(u32 family, u32 type, u32 protocol, int *error)
{
    *error = -EAFNOSUPPORT;
    for (unsigned i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct socket_kind *kind = &kinds[i];

        if (kind->family != family)
            continue;
        *error = -ESOCKTNOSUPPORT;
        if (kind->type != type)
            continue;
        *error = -EPROTONOSUPPORT;
        return protocol == 0 || protocol == kind->protocol ? kind : NULL;
    }
    return NULL;
}

static struct file *make(const u64 a[6], int *error)
{
    const struct socket_kind *kind;
    u32 type = (u32)a[1];

    *error = -EINVAL;
    if (type & ~(u32)(SOCK_TYPE_MASK | O_NONBLOCK | O_CLOEXEC))
        return NULL;
    kind = find_kind((u32)a[0], type & SOCK_TYPE_MASK, (u32)a[2], error);
    return kind ? socket_new(kind, type, error) : NULL;
}

long sys_socket(const u64 a[6])
{
    int error;
    struct file *f = make(a, &error);

    return f ? sys_new_fd(f, (u32)a[1]) : error;
}

static int make_pair(const u64 a[6], struct file *made[2])
{
    const struct socket_ops *ops;
    int error;

    made[0] = make(a, &error);
    if (!made[0])
        return error;
    ops = socket_of(made[0])->ops;
    if (!ops->pair)
        return -EOPNOTSUPP;
    made[1] = make(a, &error);
    return made[1] ? ops->pair(socket_of(made[0]), socket_of(made[1])) : error;
}

long sys_socketpair(const u64 a[6])
{
    struct file *made[2] = {NULL, NULL};
    int error = make_pair(a, made);

    if (error == 0)
        return sys_new_fds(made[0], made[1], (u32)a[1], a[3]);
    file_put(made[0]);
    file_put(made[1]);
    return error;
}

/* --- names --- */

static long bind_socket(struct socket *s, const u64 a[6])
{
    struct socket_address address;
    int err = take_address(a[1], (u32)a[2], &address);

    if (err != 0)
        return err;
    return s->ops->bind ? s->ops->bind(s, &address) : -EOPNOTSUPP;
}

long sys_bind(const u64 a[6])
{
    return with_socket(a, bind_socket);
}

/* --- listening --- */

static long listen_on(struct socket *s, const u64 a[6])
{
    int err = s->ops->listen ? s->ops->listen(s, MIN((u32)a[1], 4096u)) : -EOPNOTSUPP;

    s->listening |= err == 0;
    return err;
}

long sys_listen(const u64 a[6])
{
    return with_socket(a, listen_on);
}

static int await_connection(struct socket *s, struct socket *fresh)
{
    u64 deadline = deadline_after(s->receive_timeout);
    int err;

    for (;;) {
        err = s->ops->accept(s, fresh);
        if (err != -EAGAIN || s->file->flags & O_NONBLOCK)
            return err;
        err = socket_wait(s, deadline);
        if (err != 0)
            return err;
    }
}

static long accept_on(struct socket *s, const u64 a[6], u32 flags)
{
    struct socket_address peer = {.length = 0};
    struct file *made;
    int err;

    if (!s->ops->accept)
        return -EOPNOTSUPP;
    made = socket_like(s, flags, &err);
    if (!made)
        return err;
    err = await_connection(s, socket_of(made));
    if (err == 0 && a[1] != 0) {
        s->ops->peer(socket_of(made), &peer); /* who has left already has no name */
        err = give_address(a[1], a[2], &peer);
    }
    if (err == 0)
        return sys_new_fd(made, flags);
    file_put(made);
    return err;
}

static long accept_plain(struct socket *s, const u64 a[6])
{
    return accept_on(s, a, 0);
}

static long accept_flags(struct socket *s, const u64 a[6])
{
    return accept_on(s, a, (u32)a[3]);
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

/* --- connecting --- */

int socket_outcome(struct socket *s)
{
    int outcome;

    if (!s->connecting)
        return -ECONNABORTED; /* another thread was told */
    outcome = s->ops->connected(s);
    s->connecting = outcome == -EAGAIN;
    return outcome;
}

static u64 connect_timeout(const struct socket *s)
{
    if (s->send_timeout)
        return s->send_timeout;
    return s->connect_timeout ? s->connect_timeout : s->ops->connect_timeout;
}

static int connect_wait(struct socket *s)
{
    u64 deadline = deadline_after(connect_timeout(s));
    int err;

    while ((err = socket_outcome(s)) == -EAGAIN) {
        if (s->file->flags & O_NONBLOCK)
            return -EINPROGRESS;
        err = wait_on(s->file->wait, deadline);
        if (err == -ETIMEDOUT && !s->send_timeout) {
            s->connecting = false;
            s->ops->give_up(s);
        } else if (err == -ETIMEDOUT) {
            err = -EINPROGRESS; /* it goes on (socket(7)) */
        }
        if (err != 0)
            return err;
    }
    return err;
}

static int connect_to(struct socket *s, const struct socket_address *to)
{
    int err;

    if (s->connecting && to->family != AF_UNSPEC) {
        err = s->file->flags & O_NONBLOCK ? socket_outcome(s) : connect_wait(s);
        return err == -EAGAIN ? -EALREADY : err;
    }
    for (;;) {
        err = s->ops->connect(s, to);
        if (err == -EINPROGRESS) {
            s->connecting = true;
            /* Even if the answer is there by now: it is told as that of a slower peer. */
            return s->file->flags & O_NONBLOCK ? err : connect_wait(s);
        }
        if (err != -EAGAIN || s->file->flags & O_NONBLOCK)
            return err;
        err = socket_wait(s, deadline_after(s->send_timeout));
        if (err != 0)
            return err;
    }
}

static long connect_socket(struct socket *s, const u64 a[6])
{
    struct socket_address address;
    int err = take_address(a[1], (u32)a[2], &address);

    if (err != 0)
        return err;
    return s->ops->connect ? connect_to(s, &address) : -EOPNOTSUPP;
}

long sys_connect(const u64 a[6])
{
    return with_socket(a, connect_socket);
}

static long shut_down(struct socket *s, const u64 a[6])
{
    return a[1] > 2 ? -EINVAL : s->ops->shutdown(s, a[1] != 1, a[1] != 0);
}

long sys_shutdown(const u64 a[6])
{
    return with_socket(a, shut_down);
}
