/* Names and options of sockets. */
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/net/socket.h"

#define BUFFER_BYTES (1 << 18) /* what SO_SNDBUF and SO_RCVBUF answer unless they were set */
#define OPTION_MOST  128

/* Of Linux: what setting those is brought to. */
enum { BUFFER_MOST = 4 << 20, SEND_BUFFER_LEAST = 4608, RECEIVE_BUFFER_LEAST = 2304 };

/* Options of SOL_SOCKET that are on or off, and do nothing here but stay as they were set. */
static const u64 switches = 1ull << SO_REUSEADDR | 1ull << SO_REUSEPORT | 1ull << SO_KEEPALIVE |
                            1ull << SO_BROADCAST | 1ull << SO_DONTROUTE | 1ull << SO_OOBINLINE |
                            1ull << SO_PASSCRED | 1ull << SO_TIMESTAMP;

static long own_name(struct socket *s, const u64 a[6])
{
    struct socket_address name = {.length = 0};
    int err = s->ops->name(s, &name);

    return err ? err : give_address(a[1], a[2], &name);
}

long sys_getsockname(const u64 a[6])
{
    return with_socket(a, own_name);
}

static long peer_name(struct socket *s, const u64 a[6])
{
    struct socket_address name = {.length = 0};
    int err = s->ops->peer(s, &name);

    return err ? err : give_address(a[1], a[2], &name);
}

long sys_getpeername(const u64 a[6])
{
    return with_socket(a, peer_name);
}

/* --- setting --- */

static int set_timeout(const void *value, u32 len, u64 *out)
{
    const struct linux_timeval *given = value;
    struct linux_timeval t;

    if (len < sizeof(t))
        return -EINVAL;
    t = *given;
    if (t.usec < 0 || t.usec >= 1000000)
        return -EDOM;
    if (t.sec < 0)
        t.sec = t.usec = 0;
    /* More than a century is none. */
    *out = (u64)t.sec > 1ull << 32 ? 0 : (u64)t.sec * NS_PER_S + (u64)t.usec * 1000;
    return 0;
}

static int set_switch(struct socket *s, u64 name, const void *value, u32 len)
{
    if (len < sizeof(int))
        return -EINVAL;
    if (*(const int *)value)
        s->switches |= 1ull << name;
    else
        s->switches &= ~(1ull << name);
    if (s->ops->switched)
        s->ops->switched(s);
    return 0;
}

/* As Linux tells it afterwards: twice as much, for its own needs. What is waited for, and how much
 * of it, does not depend on these here. */
static int set_number(struct socket *s, u64 name, const void *value, u32 len)
{
    int number;

    if (len < sizeof(number))
        return -EINVAL;
    number = *(const int *)value;
    switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
        s->send_buffer = MAX((int)MIN((u32)number, BUFFER_MOST) * 2, SEND_BUFFER_LEAST);
        return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
        s->receive_buffer = MAX((int)MIN((u32)number, BUFFER_MOST) * 2, RECEIVE_BUFFER_LEAST);
        return 0;
    case SO_PRIORITY:
        s->priority = number;
        return 0;
    default: /* SO_RCVLOWAT */
        s->receive_least = number < 0 ? INT32_MAX : number;
        return 0;
    }
}

static int set_linger(struct socket *s, const void *value, u32 len)
{
    const struct socket_linger *given = value;

    if (len < sizeof(*given))
        return -EINVAL;
    s->linger.on = given->on != 0;
    if (given->on)
        s->linger.seconds = given->seconds;
    return 0;
}

static int set_common(struct socket *s, u64 name, const void *value, u32 len)
{
    switch (name) {
    case SO_RCVTIMEO:
    case SO_RCVTIMEO_NEW:
        return set_timeout(value, len, &s->receive_timeout);
    case SO_SNDTIMEO:
    case SO_SNDTIMEO_NEW:
        return set_timeout(value, len, &s->send_timeout);
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
    case SO_PRIORITY:
    case SO_RCVLOWAT: /* of streams; TCP's poll heeds it, too */
        return set_number(s, name, value, len);
    case SO_LINGER:
        return set_linger(s, value, len);
    default:
        return name < 64 && switches >> name & 1 ? set_switch(s, name, value, len) : -ENOPROTOOPT;
    }
}

static long set_option(struct socket *s, const u64 a[6])
{
    _Alignas(16) u8 value[OPTION_MOST] = {0};
    u32 len = MIN((u32)a[4], (u32)sizeof(value));
    int err = -ENOPROTOOPT;

    if ((i32)a[4] < 0)
        return -EINVAL;
    if (len > 0 && copy_from_user(value, a[3], len) != 0)
        return -EFAULT;
    if (s->ops->set_option)
        err = s->ops->set_option(s, a[1], a[2], value, len);
    if (err == -ENOPROTOOPT && a[1] == SOL_SOCKET)
        err = set_common(s, a[2], value, len);
    return err;
}

long sys_setsockopt(const u64 a[6])
{
    return with_socket(a, set_option);
}

/* --- getting --- */

static int take_error(struct socket *s)
{
    if (s->connecting) {
        int outcome = socket_outcome(s);

        if (outcome != -EAGAIN)
            s->error = -outcome;
    }
    return -socket_take_error(s);
}

static int number(struct socket *s, u64 name, int *out)
{
    switch (name) {
    case SO_ERROR:
        *out = take_error(s);
        return 0;
    case SO_TYPE:
        *out = s->type;
        return 0;
    case SO_DOMAIN:
        *out = s->family;
        return 0;
    case SO_PROTOCOL:
        *out = s->protocol;
        return 0;
    case SO_SNDBUF:
        *out = s->send_buffer ? s->send_buffer : BUFFER_BYTES;
        return 0;
    case SO_RCVBUF:
        *out = s->receive_buffer ? s->receive_buffer : BUFFER_BYTES;
        return 0;
    case SO_ACCEPTCONN:
        *out = s->listening;
        return 0;
    case SO_RCVLOWAT:
        *out = s->receive_least ? s->receive_least : 1;
        return 0;
    case SO_SNDLOWAT:
        *out = 1;
        return 0;
    case SO_PRIORITY:
        *out = s->priority;
        return 0;
    default:
        *out = name < 64 && socket_switch(s, (unsigned)name);
        return name < 64 && switches >> name & 1 ? 0 : -ENOPROTOOPT;
    }
}

static int get_common(struct socket *s, u64 name, void *value, u32 *len)
{
    bool receive = name == SO_RCVTIMEO || name == SO_RCVTIMEO_NEW;

    if (receive || name == SO_SNDTIMEO || name == SO_SNDTIMEO_NEW) {
        u64 ns = receive ? s->receive_timeout : s->send_timeout;

        *(struct linux_timeval *)value =
            (struct linux_timeval){(i64)(ns / NS_PER_S), (i64)(ns % NS_PER_S / 1000)};
        *len = sizeof(struct linux_timeval);
        return 0;
    }
    if (name == SO_LINGER) {
        *(struct socket_linger *)value = s->linger;
        *len = sizeof(s->linger);
        return 0;
    }
    *len = sizeof(int);
    return number(s, name, value);
}

static long get_option(struct socket *s, const u64 a[6])
{
    _Alignas(16) u8 value[OPTION_MOST] = {0};
    u32 len = sizeof(value);
    int err = -ENOPROTOOPT;

    if (s->ops->get_option)
        err = s->ops->get_option(s, a[1], a[2], value, &len);
    if (err == -ENOPROTOOPT && a[1] == SOL_SOCKET)
        err = get_common(s, a[2], value, &len);
    return err ? err : give_value(a[3], a[4], value, len);
}

long sys_getsockopt(const u64 a[6])
{
    return with_socket(a, get_option);
}
