/*
 * A socket is a file whose private part is fresh, listening, or has a stream. Another thread may
 * change it while we wait: after each wait everything is looked up again. A stream or listener
 * wakes its waiters before it goes away.
 */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/fs_context.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/signal.h"

#define AF_VSOCK        40
#define SOCK_TYPE_MASK  0xfu
#define SOCK_STREAM     1
#define PIECE           (1u << 20)
#define NS_PER_S        1000000000ull
#define CONNECT_TIMEOUT (2 * NS_PER_S) /* Linux's default for vsock */
#define BUFFER_BYTES    (1 << 18)      /* what SO_SNDBUF and SO_RCVBUF answer */

enum { MSG_PEEK = 0x2, MSG_DONTWAIT = 0x40, MSG_WAITALL = 0x100, MSG_NOSIGNAL = 0x4000 };
enum { MSG_KNOWN = MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | 0x40000000 };

enum {
    SOL_SOCKET = 1,
    SO_REUSEADDR = 2,
    SO_TYPE = 3,
    SO_ERROR = 4,
    SO_SNDBUF = 7,
    SO_RCVBUF = 8,
    SO_KEEPALIVE = 9,
    SO_RCVTIMEO = 20,
    SO_SNDTIMEO = 21,
    SO_ACCEPTCONN = 30,
    SO_PROTOCOL = 38,
    SO_DOMAIN = 39,
    SO_RCVTIMEO_NEW = 66,
    SO_SNDTIMEO_NEW = 67,
};

struct sockaddr_vm {
    u16 family, reserved;
    u32 port, cid;
    u8 flags, zero[3];
};
_Static_assert(sizeof(struct sockaddr_vm) == 16, "vm_sockets.h");

struct msghdr {
    u64 name;
    u32 name_len, pad0;
    u64 iov, iov_len;
    u64 control, control_len;
    u32 flags, pad1;
};
_Static_assert(sizeof(struct msghdr) == 56, "struct user_msghdr");

struct socket {
    struct vsock_stream *stream;
    struct vsock_listener *listener;
    u32 port; /* bound to, or VSOCK_PORT_ANY */
    bool connecting;
    int error;                         /* for SO_ERROR, positive */
    u64 receive_timeout, send_timeout; /* ns, 0 for none */
};

/* ---- as a file ---- */

/* Connected, now or before: there may be something to read. */
static bool has_peer(const struct socket *sock)
{
    return sock->stream != NULL && vsock_state(sock->stream) != -EAGAIN;
}

static long socket_receive(const struct socket *sock, void *buf, size_t len)
{
    return has_peer(sock) ? vsock_receive(sock->stream, buf, len) : -ENOTCONN;
}

static long socket_peek(const struct socket *sock, size_t skip, void *buf, size_t len)
{
    return has_peer(sock) ? vsock_peek(sock->stream, skip, buf, len) : -ENOTCONN;
}

static long socket_send(const struct socket *sock, const void *buf, size_t len)
{
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
    int waiting = sock->stream ? (int)vsock_readable(sock->stream) : 0;

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &waiting, sizeof(waiting)) : -ENOTTY;
}

static void socket_attr(struct file *f, struct file_attr *out)
{
    out->ino = (u64)(uintptr_t)f->private >> 4 & 0xffffffff;
    out->mode = MODE_SOCKET | 0777;
}

static void drop_stream(struct file *f)
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

    drop_stream(f);
    if (sock->listener != NULL)
        vsock_unlisten(sock->listener);
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

static struct file *socket_new(u32 flags)
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

/* ---- helpers of the calls ---- */

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

static long put_result(struct file *f, long result)
{
    file_put(f);
    return result;
}

static u64 deadline_after(u64 timeout)
{
    return timeout ? clock_monotonic_ns() + timeout : WAIT_FOREVER;
}

/* Waits on the file's queue; a time-out is EAGAIN, as for SO_RCVTIMEO. */
static int wait_for(struct file *f, u64 deadline)
{
    int err = f->wait ? wait_on(f->wait, deadline) : -ENOTCONN;

    return err == -ETIMEDOUT ? -EAGAIN : err;
}

static int take_address(u64 at, u64 len, struct sockaddr_vm *out)
{
    if (len < sizeof(*out))
        return -EINVAL;
    if (copy_from_user(out, at, sizeof(*out)) != 0)
        return -EFAULT;
    return out->family == AF_VSOCK ? 0 : -EAFNOSUPPORT;
}

/* Writes as much of the value as fits, and its whole length. at 0: not wanted. */
static int give_value(u64 at, u64 len_at, const void *value, u32 size)
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

static int give_address(u64 at, u64 len_at, u32 cid, u32 port)
{
    const struct sockaddr_vm address = {.family = AF_VSOCK, .port = port, .cid = cid};

    return give_value(at, len_at, &address, sizeof(address));
}

/* ---- making connections ---- */

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

long sys_socketpair(const u64 a[6])
{
    return a[0] == AF_VSOCK ? -EOPNOTSUPP : -EAFNOSUPPORT;
}

long sys_bind(const u64 a[6])
{
    struct sockaddr_vm address;
    struct socket *sock;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    err = take_address(a[1], (u32)a[2], &address);
    if (err == 0 && (sock->port != VSOCK_PORT_ANY || sock->stream || sock->listener))
        err = -EINVAL;
    if (err == 0 && address.cid != VSOCK_CID_ANY && address.cid != vsock_cid())
        err = -EADDRNOTAVAIL;
    if (err == 0)
        sock->port = address.port;
    return put_result(f, err);
}

long sys_listen(const u64 a[6])
{
    struct socket *sock;
    int error = 0;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    if (sock->stream != NULL)
        return put_result(f, -EINVAL);
    if (sock->listener == NULL) {
        sock->listener = vsock_listen(sock->port, MIN((u32)a[1], 4096u), &error);
        if (sock->listener == NULL)
            return put_result(f, error);
        f->wait = vsock_listener_wait_queue(sock->listener);
    }
    return put_result(f, 0);
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
        *err = wait_for(f, deadline);
        if (*err != 0)
            return NULL;
    }
}

static long accept_on(const u64 a[6], u32 flags)
{
    struct vsock_stream *s;
    struct file *made;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    s = wait_for_connection(f, &err);
    file_put(f);
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

long sys_accept(const u64 a[6])
{
    return accept_on(a, 0);
}

long sys_accept4(const u64 a[6])
{
    if (a[3] & ~(u64)(O_NONBLOCK | O_CLOEXEC))
        return -EINVAL;
    return accept_on(a, (u32)a[3]);
}

/* The outcome of the connection under way: 0, -EAGAIN, or why it failed. */
static int connect_outcome(struct file *f)
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
        drop_stream(f);
    return state;
}

static int connect_wait(struct file *f)
{
    struct socket *sock = f->private;
    u64 deadline = deadline_after(sock->send_timeout ? sock->send_timeout : CONNECT_TIMEOUT);
    int err;

    while ((err = connect_outcome(f)) == -EAGAIN) {
        if (f->flags & O_NONBLOCK)
            return -EINPROGRESS;
        err = wait_on(f->wait, deadline);
        if (err == -ETIMEDOUT) {
            sock->connecting = false;
            drop_stream(f);
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

    if (sock->listener != NULL)
        return -EINVAL;
    if (sock->stream == NULL)
        return connect_start(f, to);
    if (!sock->connecting)
        return -EISCONN;
    err = f->flags & O_NONBLOCK ? connect_outcome(f) : connect_wait(f);
    return err == -EAGAIN ? -EALREADY : err;
}

long sys_connect(const u64 a[6])
{
    struct sockaddr_vm address;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    err = take_address(a[1], (u32)a[2], &address);
    if (err == 0)
        err = connect_to(f, &address);
    return put_result(f, err);
}

long sys_shutdown(const u64 a[6])
{
    struct socket *sock;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    if (a[1] > 2)
        err = -EINVAL;
    else if (sock->stream == NULL)
        err = -ENOTCONN;
    else
        err = vsock_shutdown(sock->stream, (unsigned)a[1] + 1);
    return put_result(f, err);
}

/* ---- moving bytes ---- */

struct transfer {
    struct file *file;
    u32 flags;
    bool send;
    bool all; /* not content with less than everything */
    u64 deadline;
    size_t done;
};

static struct transfer transfer_of(struct file *f, u64 flags, bool send)
{
    const struct socket *sock = f->private;

    return (struct transfer){
        .file = f,
        .flags = (u32)flags,
        .send = send,
        .all = send || (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL,
        .deadline = deadline_after(send ? sock->send_timeout : sock->receive_timeout),
    };
}

static long move_once(const struct transfer *t, u64 at, size_t len)
{
    const struct socket *sock = t->file->private;

    if (user_prepare(at, len, !t->send) != 0)
        return -EFAULT;
    if (t->send)
        return socket_send(sock, user_pointer(at), len);
    if (t->flags & MSG_PEEK)
        return socket_peek(sock, t->done, user_pointer(at), len);
    return socket_receive(sock, user_pointer(at), len);
}

static long move_piece(const struct transfer *t, u64 at, size_t len)
{
    bool wait =
        !(t->file->flags & O_NONBLOCK) && !(t->flags & MSG_DONTWAIT) && (t->all || t->done == 0);
    long n;

    do {
        n = move_once(t, at, len);
        if (n != -EAGAIN || !wait)
            return n;
        n = wait_for(t->file, t->deadline);
    } while (n == 0);
    return n;
}

/* Sends all; receives what there is, or with MSG_WAITALL until the end of the stream. 1 when the
 * range is done and the transfer may go on, else 0 or why not. */
static long move(struct transfer *t, u64 at, size_t len)
{
    while (len > 0) {
        long n = move_piece(t, at, MIN(len, (size_t)PIECE));

        if (n <= 0)
            return n;
        t->done += (size_t)n;
        at += (u64)n;
        len -= (size_t)n;
        if (len > 0 && !t->all)
            return 0;
    }
    return 1;
}

static long outcome(const struct transfer *t, long n)
{
    if (t->done > 0)
        return (long)t->done;
    if (n == -EPIPE && !(t->flags & MSG_NOSIGNAL))
        signal_self(SIGPIPE);
    return MIN(n, 0l);
}

static long move_vector(struct transfer *t, u64 iov, u64 count)
{
    struct linux_iovec part;
    long n = 1;

    if (count > FS_IOV_MAX)
        return -EMSGSIZE;
    for (u64 i = 0; i < count && n > 0; i++) {
        if (copy_from_user(&part, iov + i * sizeof(part), sizeof(part)) != 0)
            n = -EFAULT;
        else
            n = move(t, part.base, MIN(part.len, FS_IO_MAX - t->done));
    }
    return outcome(t, n);
}

static long move_buffer(const u64 a[6], bool send)
{
    long n;
    struct file *f = socket_get(a[0], &n);

    if (f == NULL)
        return n;
    if (a[3] & ~(u64)MSG_KNOWN)
        return put_result(f, -EOPNOTSUPP);
    struct transfer t = transfer_of(f, a[3], send);

    n = move(&t, a[1], MIN(a[2], FS_IO_MAX));
    return put_result(f, outcome(&t, n));
}

long sys_sendto(const u64 a[6])
{
    return a[4] ? -EISCONN : move_buffer(a, true);
}

long sys_recvfrom(const u64 a[6])
{
    u32 none = 0;
    long n = move_buffer(a, false);

    if (n >= 0 && a[4] != 0 && a[5] != 0 && copy_to_user(a[5], &none, sizeof(none)) != 0)
        return -EFAULT;
    return n;
}

static long move_message(const u64 a[6], bool send)
{
    struct msghdr m;
    long n;
    struct file *f = socket_get(a[0], &n);

    if (f == NULL)
        return n;
    if (a[2] & ~(u64)MSG_KNOWN)
        return put_result(f, -EOPNOTSUPP);
    if (copy_from_user(&m, a[1], sizeof(m)) != 0)
        return put_result(f, -EFAULT);
    struct transfer t = transfer_of(f, a[2], send);

    n = move_vector(&t, m.iov, m.iov_len);
    if (n >= 0 && !send) {
        m.name_len = 0;
        m.control_len = 0;
        m.flags = 0;
        if (copy_to_user(a[1], &m, sizeof(m)) != 0)
            n = -EFAULT;
    }
    return put_result(f, n);
}

long sys_sendmsg(const u64 a[6])
{
    return move_message(a, true);
}

long sys_recvmsg(const u64 a[6])
{
    return move_message(a, false);
}

/* ---- names and options ---- */

long sys_getsockname(const u64 a[6])
{
    const struct socket *sock;
    u32 port;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    port = sock->port;
    if (sock->stream != NULL)
        port = vsock_local_port(sock->stream);
    else if (sock->listener != NULL)
        port = vsock_listener_port(sock->listener);
    return put_result(f,
                      give_address(a[1], a[2], sock->stream ? vsock_cid() : VSOCK_CID_ANY, port));
}

long sys_getpeername(const u64 a[6])
{
    const struct socket *sock;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    err = -ENOTCONN;
    if (sock->stream != NULL && !sock->connecting)
        err = give_address(a[1], a[2], VSOCK_CID_HOST, vsock_peer_port(sock->stream));
    return put_result(f, err);
}

static int set_timeout(u64 at, u32 len, u64 *out)
{
    struct linux_timeval t;

    if (len < sizeof(t))
        return -EINVAL;
    if (copy_from_user(&t, at, sizeof(t)) != 0)
        return -EFAULT;
    if (t.usec < 0 || t.usec >= 1000000)
        return -EDOM;
    if (t.sec < 0)
        t.sec = t.usec = 0;
    /* More than a century is none. */
    *out = (u64)t.sec > 1ull << 32 ? 0 : (u64)t.sec * NS_PER_S + (u64)t.usec * 1000;
    return 0;
}

long sys_setsockopt(const u64 a[6])
{
    struct socket *sock;
    long err;
    struct file *f = socket_get(a[0], &err);

    if (f == NULL)
        return err;
    sock = f->private;
    err = -ENOPROTOOPT;
    if (a[1] == AF_VSOCK) {
        err = 0; /* buffer sizes and connect time-out: hints */
    } else if (a[1] == SOL_SOCKET) {
        if (a[2] == SO_RCVTIMEO || a[2] == SO_RCVTIMEO_NEW)
            err = set_timeout(a[3], (u32)a[4], &sock->receive_timeout);
        else if (a[2] == SO_SNDTIMEO || a[2] == SO_SNDTIMEO_NEW)
            err = set_timeout(a[3], (u32)a[4], &sock->send_timeout);
        else if (a[2] == SO_SNDBUF || a[2] == SO_RCVBUF || a[2] == SO_REUSEADDR ||
                 a[2] == SO_KEEPALIVE)
            err = 0;
    }
    return put_result(f, err);
}

static int take_error(struct file *f)
{
    struct socket *sock = f->private;
    int error;

    if (sock->connecting) {
        int state = connect_outcome(f);

        if (state != -EAGAIN)
            sock->error = -state;
    }
    error = sock->error;
    sock->error = 0;
    return error;
}

static int integer_option(struct file *f, u64 name, int *out)
{
    const struct socket *sock = f->private;

    switch (name) {
    case SO_ERROR:
        *out = take_error(f);
        return 0;
    case SO_TYPE:
        *out = SOCK_STREAM;
        return 0;
    case SO_DOMAIN:
        *out = AF_VSOCK;
        return 0;
    case SO_SNDBUF:
    case SO_RCVBUF:
        *out = BUFFER_BYTES;
        return 0;
    case SO_ACCEPTCONN:
        *out = sock->listener != NULL;
        return 0;
    case SO_PROTOCOL:
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
        *out = 0;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static long get_option(struct file *f, const u64 a[6])
{
    const struct socket *sock = f->private;
    bool receive = a[2] == SO_RCVTIMEO || a[2] == SO_RCVTIMEO_NEW;
    int value, err;

    if (a[1] != SOL_SOCKET)
        return -ENOPROTOOPT;
    if (receive || a[2] == SO_SNDTIMEO || a[2] == SO_SNDTIMEO_NEW) {
        u64 ns = receive ? sock->receive_timeout : sock->send_timeout;
        const struct linux_timeval t = {(i64)(ns / NS_PER_S), (i64)(ns % NS_PER_S / 1000)};

        return give_value(a[3], a[4], &t, sizeof(t));
    }
    err = integer_option(f, a[2], &value);
    return err ? err : give_value(a[3], a[4], &value, sizeof(value));
}

long sys_getsockopt(const u64 a[6])
{
    long err;
    struct file *f = socket_get(a[0], &err);

    return f ? put_result(f, get_option(f, a)) : err;
}
