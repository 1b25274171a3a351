/*
 * send and receive, with one buffer and with several. A stream's bytes go straight from and to the
 * program's memory, piece by piece; a message is put together in a buffer of the kernel's first,
 * since it goes as a whole or not at all. So does a stream's short list: one packet for others,
 * and nothing moved if one of its buffers is none.
 */
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/net/socket.h"
#include "guest-kernel/task/signal.h"

#define PIECE       (1u << 20)
#define GATHER_MOST 4096u

enum {
    MSG_KNOWN = MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT | MSG_EOR | MSG_WAITALL | MSG_NOSIGNAL |
                MSG_MORE | MSG_CMSG_CLOEXEC,
    MMSG_MOST = 1024,
};

struct msghdr {
    u64 name;
    u32 name_len, pad0;
    u64 iov, iov_len;
    u64 control, control_len;
    u32 flags, pad1;
};
_Static_assert(sizeof(struct msghdr) == 56, "struct user_msghdr");

struct mmsghdr {
    struct msghdr header;
    u32 len, pad;
};
_Static_assert(sizeof(struct mmsghdr) == 64, "struct mmsghdr");

/* One of the program's: its memory, or a list of such. */
struct buffers {
    const struct linux_iovec *one; /* NULL: the list */
    u64 list, count;
};

struct transfer {
    struct socket *socket;
    u32 flags;
    bool send;
    size_t least; /* a stream's bytes with which it is content, or all that was asked for */
    u64 deadline;
    size_t done;
    struct socket_message message;
};

/* Peeks are content with what there is: it is there again. */
static size_t least_of(const struct socket *s, u64 flags, bool send)
{
    if (send || (flags & (MSG_WAITALL | MSG_PEEK)) == MSG_WAITALL)
        return SIZE_MAX;
    return flags & MSG_PEEK || s->receive_least <= 1 ? 1 : (size_t)s->receive_least;
}

static struct transfer transfer_of(struct socket *s, u64 flags, bool send)
{
    return (struct transfer){
        .socket = s,
        .flags = (u32)flags,
        .send = send,
        .least = least_of(s, flags, send),
        .deadline = deadline_after(send ? s->send_timeout : s->receive_timeout),
        .message.at_once = !send && (s->file->flags & O_NONBLOCK || flags & MSG_DONTWAIT),
        .message.peek = !send && flags & MSG_PEEK,
        .message.flags = send ? (u32)flags & MSG_EOR : 0,
    };
}

static int check_flags(u32 flags, bool send)
{
    if (flags & MSG_ERRQUEUE && !send)
        return -EAGAIN; /* nothing is kept there */
    return flags & ~(u32)MSG_KNOWN ? -EOPNOTSUPP : 0;
}

static int take_part(const struct buffers *b, u64 number, struct linux_iovec *out)
{
    if (b->one)
        *out = *b->one;
    else if (copy_from_user(out, b->list + number * sizeof(*out), sizeof(*out)) != 0)
        return -EFAULT;
    return sys_check_segment(out);
}

static bool may_wait(const struct transfer *t)
{
    return !(t->socket->file->flags & O_NONBLOCK) && !(t->flags & MSG_DONTWAIT);
}

static long operate(struct transfer *t, void *at, size_t len)
{
    struct socket *s = t->socket;

    return t->send ? s->ops->send(s, at, len, &t->message)
                   : s->ops->receive(s, at, len, &t->message);
}

/* --- lists --- */

static int total_length(const struct buffers *b, size_t *total)
{
    struct linux_iovec part;

    *total = 0;
    for (u64 i = 0; i < b->count; i++) {
        int err = take_part(b, i, &part);

        if (err)
            return err;
        *total += MIN(part.len, FS_IO_MAX - *total);
    }
    return 0;
}

/* Between the program's buffers and ours; the program may have changed its list since. */
static int copy_parts(const struct buffers *b, u8 *ours, size_t len, bool gather)
{
    struct linux_iovec part;

    for (u64 i = 0; i < b->count && len > 0; i++) {
        int err = take_part(b, i, &part);
        size_t now = MIN(part.len, len);

        if (err == 0)
            err =
                gather ? copy_from_user(ours, part.base, now) : copy_to_user(part.base, ours, now);
        if (err)
            return err;
        ours += now;
        len -= now;
    }
    return 0;
}

static long operate_waiting(struct transfer *t, void *at, size_t len)
{
    for (;;) {
        long n = operate(t, at, len);
        int err;

        if (n != -EAGAIN || !may_wait(t))
            return n;
        err = socket_wait(t->socket, t->deadline);
        if (err)
            return err;
    }
}

/* --- streams --- */

static long move_once(struct transfer *t, u64 at, size_t len)
{
    if (user_prepare(at, len, !t->send) != 0)
        return -EFAULT;
    t->message.skip = t->done;
    return operate(t, user_pointer(at), len);
}

static long move_piece(struct transfer *t, u64 at, size_t len)
{
    bool wait = may_wait(t) && t->done < t->least;
    long n;

    do {
        n = move_once(t, at, len);
        if (n != -EAGAIN || !wait)
            return n;
        n = socket_wait(t->socket, t->deadline);
    } while (n == 0);
    return n;
}

/* Sends all; receives what there is, but with SO_RCVLOWAT that much, and with MSG_WAITALL until the
 * end of the stream. 1 when the
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
        if (len > 0 && t->done >= t->least)
            return 0;
    }
    return 1;
}

static long send_gathered(struct transfer *t, const struct buffers *b, u8 *ours, size_t len)
{
    long n = copy_parts(b, ours, len, true);

    while (n >= 0 && t->done < len) {
        n = operate_waiting(t, ours + t->done, len - t->done);
        if (n > 0)
            t->done += (size_t)n;
    }
    return t->done > 0 ? (long)t->done : n;
}

/* Seen first, and gone from the stream only when the program has it. */
static long receive_scattered(struct transfer *t, const struct buffers *b, u8 *ours, size_t len)
{
    const bool peek = t->message.peek;
    long n;

    t->message.peek = true;
    n = operate_waiting(t, ours, len);
    t->message.peek = peek;
    if (n <= 0)
        return n;
    if (copy_parts(b, ours, (size_t)n, false) != 0)
        return -EFAULT;
    return peek ? n : operate(t, ours, (size_t)n);
}

static long move_parts(struct transfer *t, const struct buffers *b)
{
    struct linux_iovec part;
    long n = 1;

    for (u64 i = 0; i < b->count && n > 0; i++) {
        n = take_part(b, i, &part);
        if (n == 0)
            n = move(t, part.base, MIN(part.len, FS_IO_MAX - t->done));
    }
    return t->done > 0 ? (long)t->done : n < 0 ? n : 0;
}

static long move_stream(struct transfer *t, const struct buffers *b)
{
    size_t len;
    u8 *ours = NULL;
    long n = b->one ? 0 : total_length(b, &len);

    if (n < 0)
        return n;
    if (!b->one && b->count > 1 && len > 0 && len <= GATHER_MOST && (t->send || t->least == 1))
        ours = kmalloc(len);
    if (!ours) /* or no memory is left for it: rather torn than lost */
        return move_parts(t, b);
    n = t->send ? send_gathered(t, b, ours, len) : receive_scattered(t, b, ours, len);
    kfree(ours);
    return n;
}

/* --- messages --- */

static long move_whole(struct transfer *t, const struct buffers *b, u8 *ours, size_t len)
{
    long n = t->send ? copy_parts(b, ours, len, true) : 0;

    if (n == 0)
        n = operate_waiting(t, ours, len);
    if (n < 0 || t->send)
        return n;
    if (copy_parts(b, ours, (size_t)n, false) != 0)
        return -EFAULT;
    if (t->message.whole > (size_t)n)
        t->message.flags |= MSG_TRUNC;
    return t->flags & MSG_TRUNC ? (long)MAX(t->message.whole, (size_t)n) : n;
}

static long move_message(struct transfer *t, const struct buffers *b)
{
    size_t len;
    u8 *ours;
    long n = total_length(b, &len);

    if (n < 0)
        return n;
    if (t->send && len > MESSAGE_MOST)
        return -EMSGSIZE;
    len = MIN(len, (size_t)MESSAGE_MOST);
    ours = kmalloc(len);
    if (!ours)
        return -ENOBUFS;
    n = move_whole(t, b, ours, len);
    kfree(ours);
    return n;
}

static long transfer(struct transfer *t, const struct buffers *b)
{
    long n = socket_is_stream(t->socket) ? move_stream(t, b) : move_message(t, b);

    if (n == -EPIPE && !(t->flags & MSG_NOSIGNAL))
        signal_self(SIGPIPE);
    return n;
}

/* --- one buffer --- */

static long move_buffer(struct transfer *t, u64 at, u64 len)
{
    const struct linux_iovec part = {at, MIN(len, FS_IO_MAX)};
    const struct buffers b = {.one = &part, .count = 1};

    return transfer(t, &b);
}

static long send_buffer(struct socket *s, const u64 a[6])
{
    struct transfer t = transfer_of(s, a[3], true);
    int err = check_flags((u32)a[3], true);

    if (err == 0 && a[4] != 0)
        err = take_address(a[4], (u32)a[5], &t.message.address);
    return err ? err : move_buffer(&t, a[1], a[2]);
}

long sys_sendto(const u64 a[6])
{
    return with_socket(a, send_buffer);
}

static long receive_buffer(struct socket *s, const u64 a[6])
{
    struct transfer t = transfer_of(s, a[3], false);
    long n = check_flags((u32)a[3], false);

    if (n == 0)
        n = move_buffer(&t, a[1], a[2]);
    if (n >= 0 && a[4] != 0 && a[5] != 0) {
        int err = give_address(a[4], a[5], &t.message.address);

        n = err ? err : n;
    }
    return n;
}

long sys_recvfrom(const u64 a[6])
{
    return with_socket(a, receive_buffer);
}

/* --- several --- */

long socket_vector(struct file *f, u64 iov, u64 count, bool write)
{
    const struct buffers b = {.list = iov, .count = count};
    struct transfer t = transfer_of(socket_of(f), 0, write);
    size_t total;
    int err = count > FS_IOV_MAX ? -EINVAL : total_length(&b, &total);

    if (err || total == 0) /* unlike sendmsg's and write's, an empty one is nothing */
        return err;
    return transfer(&t, &b);
}

static long send_header(struct socket *s, u32 flags, const struct msghdr *m)
{
    const struct buffers b = {.list = m->iov, .count = m->iov_len};
    struct transfer t = transfer_of(s, flags, true);
    int err = check_flags(flags, true);

    if (err == 0 && m->iov_len > FS_IOV_MAX)
        err = -EMSGSIZE;
    if (err == 0 && m->control_len > 0)
        err = -EINVAL; /* descriptors and credentials stay in the process: there is only one */
    if (err == 0 && m->name != 0 && m->name_len > 0)
        err = take_address(m->name, m->name_len, &t.message.address);
    return err ? err : transfer(&t, &b);
}

/* What was received with it goes to the header at `at`. */
static long receive_header(struct socket *s, u32 flags, struct msghdr *m, u64 at)
{
    const struct buffers b = {.list = m->iov, .count = m->iov_len};
    struct transfer t = transfer_of(s, flags, false);
    const struct socket_address *from = &t.message.address;
    long n = check_flags(flags, false);

    if (n == 0)
        n = m->iov_len > FS_IOV_MAX ? -EMSGSIZE : transfer(&t, &b);
    if (n < 0)
        return n;
    if (m->name != 0 && copy_to_user(m->name, from->bytes, MIN(m->name_len, from->length)) != 0)
        return -EFAULT;
    m->name_len = from->length;
    m->control_len = 0;
    m->flags = t.message.flags | (flags & MSG_CMSG_CLOEXEC);
    return copy_to_user(at, m, sizeof(*m)) != 0 ? -EFAULT : n;
}

static long move_header(struct socket *s, u64 at, u32 flags, bool send)
{
    struct msghdr m;

    if (copy_from_user(&m, at, sizeof(m)) != 0)
        return -EFAULT;
    return send ? send_header(s, flags, &m) : receive_header(s, flags, &m, at);
}

static long send_one(struct socket *s, const u64 a[6])
{
    return move_header(s, a[1], (u32)a[2], true);
}

long sys_sendmsg(const u64 a[6])
{
    return with_socket(a, send_one);
}

static long receive_one(struct socket *s, const u64 a[6])
{
    return move_header(s, a[1], (u32)a[2], false);
}

long sys_recvmsg(const u64 a[6])
{
    return with_socket(a, receive_one);
}

/* As a timespec that may not be there. */
static int take_deadline(u64 at, u64 *deadline)
{
    struct linux_timespec t;
    u64 ns;
    int err;

    *deadline = WAIT_FOREVER;
    if (at == 0)
        return 0;
    if (copy_from_user(&t, at, sizeof(t)) != 0)
        return -EFAULT;
    err = timespec_to_ns(&t, &ns);
    if (err == 0 && ns < WAIT_FOREVER - clock_monotonic_ns())
        *deadline = clock_monotonic_ns() + ns;
    return err;
}

/* How many; an error only if it met the first. */
static long move_many(struct socket *s, const u64 a[6], bool send, u64 deadline)
{
    u32 flags = (u32)a[3] & ~(u32)MSG_WAITFORONE;
    u64 count = MIN((u32)a[2], (u32)MMSG_MOST), done = 0;
    long n = 0;

    while (done < count && (done == 0 || clock_monotonic_ns() < deadline)) {
        u64 at = a[1] + done * sizeof(struct mmsghdr);
        u32 len;

        n = move_header(s, at, flags, send);
        if (n < 0)
            break;
        len = (u32)n;
        if (copy_to_user(at + offsetof(struct mmsghdr, len), &len, sizeof(len)) != 0)
            return -EFAULT;
        done++;
        if (a[3] & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
    }
    return done > 0 ? (long)done : n;
}

static long send_many(struct socket *s, const u64 a[6])
{
    return move_many(s, a, true, WAIT_FOREVER);
}

long sys_sendmmsg(const u64 a[6])
{
    return with_socket(a, send_many);
}

/* The time-out is looked at between messages (recvmmsg(2) calls that a bug, and it is relied on).
 */
static long receive_many(struct socket *s, const u64 a[6])
{
    u64 deadline;
    int err = take_deadline(a[4], &deadline);

    return err ? err : move_many(s, a, false, deadline);
}

long sys_recvmmsg(const u64 a[6])
{
    return with_socket(a, receive_many);
}
