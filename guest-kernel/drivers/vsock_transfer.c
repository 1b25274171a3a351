/* send and receive, with one buffer and with several. */
#include "guest-kernel/drivers/vsock_socket.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/signal.h"

#define PIECE (1u << 20)

enum { MSG_PEEK = 0x2, MSG_DONTWAIT = 0x40, MSG_WAITALL = 0x100, MSG_NOSIGNAL = 0x4000 };
enum { MSG_KNOWN = MSG_PEEK | MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL | 0x40000000 };

struct msghdr {
    u64 name;
    u32 name_len, pad0;
    u64 iov, iov_len;
    u64 control, control_len;
    u32 flags, pad1;
};
_Static_assert(sizeof(struct msghdr) == 56, "struct user_msghdr");

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
        n = socket_wait(t->file, t->deadline);
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
    return n < 0 ? n : 0;
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

static long move_buffer(struct file *f, const u64 a[6], bool send)
{
    struct transfer t;

    if (a[3] & ~(u64)MSG_KNOWN)
        return -EOPNOTSUPP;
    t = transfer_of(f, a[3], send);
    return outcome(&t, move(&t, a[1], MIN(a[2], FS_IO_MAX)));
}

static long send_buffer(struct file *f, const u64 a[6])
{
    return move_buffer(f, a, true);
}

static long receive_buffer(struct file *f, const u64 a[6])
{
    return move_buffer(f, a, false);
}

long sys_sendto(const u64 a[6])
{
    return a[4] ? -EISCONN : with_socket(a, send_buffer);
}

long sys_recvfrom(const u64 a[6])
{
    u32 none = 0;
    long n = with_socket(a, receive_buffer);

    if (n >= 0 && a[4] != 0 && a[5] != 0 && copy_to_user(a[5], &none, sizeof(none)) != 0)
        return -EFAULT;
    return n;
}

static long move_message(struct file *f, const u64 a[6], bool send)
{
    struct transfer t;
    struct msghdr m;
    long n;

    if (a[2] & ~(u64)MSG_KNOWN)
        return -EOPNOTSUPP;
    if (copy_from_user(&m, a[1], sizeof(m)) != 0)
        return -EFAULT;
    t = transfer_of(f, a[2], send);
    n = move_vector(&t, m.iov, m.iov_len);
    if (n < 0 || send)
        return n;
    m.name_len = 0;
    m.control_len = 0;
    m.flags = 0;
    return copy_to_user(a[1], &m, sizeof(m)) != 0 ? -EFAULT : n;
}

static long send_message(struct file *f, const u64 a[6])
{
    return move_message(f, a, true);
}

static long receive_message(struct file *f, const u64 a[6])
{
    return move_message(f, a, false);
}

long sys_sendmsg(const u64 a[6])
{
    return with_socket(a, send_message);
}

long sys_recvmsg(const u64 a[6])
{
    return with_socket(a, receive_message);
}
