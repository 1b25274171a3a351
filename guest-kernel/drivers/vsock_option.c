/* Names and options of sockets. */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"

#define BUFFER_BYTES (1 << 18) /* what SO_SNDBUF and SO_RCVBUF answer */

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

/* A pair's sockets have none: the family alone. */
static long give_no_name(const u64 a[6])
{
    const u16 family = AF_UNIX;

    return give_value(a[1], a[2], &family, sizeof(family));
}

static long own_name(struct file *f, const u64 a[6])
{
    const struct socket *sock = f->private;
    u32 port = sock->port;

    if (sock->pair)
        return give_no_name(a);
    if (sock->stream != NULL)
        port = vsock_local_port(sock->stream);
    else if (sock->listener != NULL)
        port = vsock_listener_port(sock->listener);
    return give_address(a[1], a[2], sock->stream ? vsock_cid() : VSOCK_CID_ANY, port);
}

long sys_getsockname(const u64 a[6])
{
    return with_socket(a, own_name);
}

static long peer_name(struct file *f, const u64 a[6])
{
    const struct socket *sock = f->private;

    if (sock->pair)
        return give_no_name(a);
    if (sock->stream == NULL || sock->connecting)
        return -ENOTCONN;
    return give_address(a[1], a[2], VSOCK_CID_HOST, vsock_peer_port(sock->stream));
}

long sys_getpeername(const u64 a[6])
{
    return with_socket(a, peer_name);
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

static long set_option(struct file *f, const u64 a[6])
{
    struct socket *sock = f->private;

    if (a[1] == AF_VSOCK)
        return 0; /* buffer sizes and connect time-out: hints */
    if (a[1] != SOL_SOCKET)
        return -ENOPROTOOPT;
    switch (a[2]) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return set_timeout(a[3], (u32)a[4], &sock->receive_timeout);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return set_timeout(a[3], (u32)a[4], &sock->send_timeout);
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_REUSEADDR:
    case SO_KEEPALIVE:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

long sys_setsockopt(const u64 a[6])
{
    return with_socket(a, set_option);
}

static int take_error(struct file *f)
{
    struct socket *sock = f->private;
    int error;

    if (sock->connecting) {
        int state = socket_connect_outcome(f);

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
        *out = sock->pair ? AF_UNIX : AF_VSOCK;
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
    return with_socket(a, get_option);
}
