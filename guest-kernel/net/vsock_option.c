/* See vsock_option.h. */
#include "guest-kernel/net/vsock_option.h"
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/fs/inode.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/user.h"

enum {
    SO_VM_SOCKETS_BUFFER_SIZE = 0,
    SO_VM_SOCKETS_BUFFER_MIN_SIZE = 1,
    SO_VM_SOCKETS_BUFFER_MAX_SIZE = 2,
    SO_VM_SOCKETS_CONNECT_TIMEOUT = 6,
    SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW = 8,
};

#define IOCTL_LOCAL_CID 0x7b9 /* IOCTL_VM_SOCKETS_GET_LOCAL_CID */
#define TIMEOUT_FIRST   (2 * NS_PER_S)
#define TIMEOUT_MOST    (1ll << 32) /* seconds; more than a century is none */

const struct vsock_sizes vsock_sizes_first = {256u << 10, 128, 256u << 10};

/* --- options --- */

static int set_timeout(struct socket *s, const void *value, u32 len)
{
    const struct linux_timeval *t = value;

    if (len < sizeof(*t))
        return -EINVAL;
    if (t->sec < 0 || t->sec >= TIMEOUT_MOST || t->usec < 0 || t->usec >= 1000000)
        return -ERANGE;
    s->connect_timeout = (u64)t->sec * NS_PER_S + (u64)t->usec * 1000; /* 0: the first */
    return 0;
}

static u64 *size_named(struct vsock_sizes *sizes, u64 name)
{
    switch (name) {
    case SO_VM_SOCKETS_BUFFER_SIZE:
        return &sizes->size;
    case SO_VM_SOCKETS_BUFFER_MIN_SIZE:
        return &sizes->least;
    case SO_VM_SOCKETS_BUFFER_MAX_SIZE:
        return &sizes->most;
    default:
        return NULL;
    }
}

static bool is_timeout(u64 name)
{
    return name == SO_VM_SOCKETS_CONNECT_TIMEOUT || name == SO_VM_SOCKETS_CONNECT_TIMEOUT_NEW;
}

int vsock_set_option(struct socket *s, struct vsock_sizes *sizes, u64 name, const void *value,
                     u32 len)
{
    u64 *size = size_named(sizes, name);

    if (is_timeout(name))
        return set_timeout(s, value, len);
    if (!size)
        return -ENOPROTOOPT;
    if (len < sizeof(*size))
        return -EINVAL;
    *size = *(const u64 *)value;
    sizes->size = MAX(MIN(sizes->size, sizes->most), sizes->least);
    return 0;
}

int vsock_get_option(const struct socket *s, const struct vsock_sizes *sizes, u64 name, void *value,
                     u32 *len)
{
    struct vsock_sizes copy = *sizes;
    const u64 *size = size_named(&copy, name);
    u64 ns = s->connect_timeout ? s->connect_timeout : TIMEOUT_FIRST;

    if (is_timeout(name)) {
        *(struct linux_timeval *)value =
            (struct linux_timeval){(i64)(ns / NS_PER_S), (i64)(ns % NS_PER_S / 1000)};
        *len = sizeof(struct linux_timeval);
        return 0;
    }
    if (!size)
        return -ENOPROTOOPT;
    *(u64 *)value = *size;
    *len = sizeof(*size);
    return 0;
}

/* --- /dev/vsock --- */

static long device_ioctl(struct file *f, u32 request, u64 arg)
{
    u32 cid = vsock_present() ? vsock_cid() : VSOCK_CID_ANY;

    (void)f;
    return request == IOCTL_LOCAL_CID ? copy_to_user(arg, &cid, sizeof(cid)) : -ENOTTY;
}

static const struct file_ops device_ops = {.ioctl = device_ioctl};
const struct inode_ops vsock_inode_ops = {.file_ops = &device_ops};
