/*
 * Sockets: what all address families share. A socket is a file; its family gives it operations that
 * never sleep and never touch the program's memory. What cannot proceed returns -EAGAIN; the system
 * call then waits at file->wait and tries again, so O_NONBLOCK, time-outs and signals mean the same
 * for every family. Another thread may change the socket meanwhile: an operation looks at it anew.
 *
 *     system call ── socket_connect.c, socket_transfer.c, socket_option.c ── socket_ops
 *                                                     vsock.c · unix*.c · inet*.c ──┘
 */
#ifndef GUEST_KERNEL_NET_SOCKET_H
#define GUEST_KERNEL_NET_SOCKET_H

#include "guest-kernel/fs/file.h"
#include "guest-kernel/net/socket_syscalls.h"

enum {
    AF_UNSPEC = 0,
    AF_UNIX = 1,
    AF_INET = 2,
    AF_INET6 = 10,
    AF_VSOCK = 40,
};

enum {
    SOCK_STREAM = 1,
    SOCK_DGRAM = 2,
    SOCK_RAW = 3,
    SOCK_SEQPACKET = 5,
    SOCK_TYPE_MASK = 0xf,
};

enum {
    SOL_SOCKET = 1,
    SO_REUSEADDR = 2,
    SO_TYPE = 3,
    SO_ERROR = 4,
    SO_DONTROUTE = 5,
    SO_BROADCAST = 6,
    SO_SNDBUF = 7,
    SO_RCVBUF = 8,
    SO_KEEPALIVE = 9,
    SO_OOBINLINE = 10,
    SO_PRIORITY = 12,
    SO_LINGER = 13,
    SO_REUSEPORT = 15,
    SO_PASSCRED = 16,
    SO_PEERCRED = 17,
    SO_RCVLOWAT = 18,
    SO_SNDLOWAT = 19,
    SO_RCVTIMEO = 20,
    SO_SNDTIMEO = 21,
    SO_BINDTODEVICE = 25,
    SO_TIMESTAMP = 29,
    SO_ACCEPTCONN = 30,
    SO_SNDBUFFORCE = 32,
    SO_RCVBUFFORCE = 33,
    SO_PROTOCOL = 38,
    SO_DOMAIN = 39,
    SO_RCVTIMEO_NEW = 66,
    SO_SNDTIMEO_NEW = 67,
};

enum {
    MSG_OOB = 0x1,
    MSG_PEEK = 0x2,
    MSG_TRUNC = 0x20,
    MSG_DONTWAIT = 0x40,
    MSG_EOR = 0x80,
    MSG_WAITALL = 0x100,
    MSG_ERRQUEUE = 0x2000,
    MSG_NOSIGNAL = 0x4000,
    MSG_MORE = 0x8000,
    MSG_WAITFORONE = 0x10000,
    MSG_CMSG_CLOEXEC = 0x40000000,
};

#define NS_PER_S      1000000000ull
#define SOCKADDR_MOST 128   /* struct sockaddr_storage */
#define MESSAGE_MOST  65536 /* bytes of one message of those that are not streams */

/* As the program gave it, or gets it; length 0: none. Whatever lies behind length is 0. */
struct socket_address {
    u32 length;
    union {
        u16 family;
        u8 bytes[SOCKADDR_MOST];
    };
};

/* What goes with the bytes of a send or receive. */
struct socket_message {
    struct socket_address address; /* sending: to whom; receiving: from whom */
    bool peek;
    bool at_once; /* who receives does not wait */
    size_t skip;  /* streams, with peek: bytes seen already */
    size_t whole; /* received: the message's length, of which there may have been no room for all */
    u32 flags;    /* sending: MSG_EOR; received: MSG_EOR, MSG_TRUNC */
};

struct socket;

/* Of one type in one family or several. NULL: the answer is the one in parentheses. */
struct socket_ops {
    size_t size;                     /* of the family's struct, which begins with struct socket */
    int (*create)(struct socket *s); /* (0) may sleep */
    int (*pair)(struct socket *a, struct socket *b); /* (EOPNOTSUPP) both are created */
    int (*bind)(struct socket *s, const struct socket_address *at);
    int (*listen)(struct socket *s, u32 backlog); /* (EOPNOTSUPP) also of one that listens */
    /* (EOPNOTSUPP) Makes `fresh`, of the same type and created, the longest waiting connection. */
    int (*accept)(struct socket *s, struct socket *fresh);
    /* Begins; 0 if that was all, -EINPROGRESS: `connected` will tell: 0, -EAGAIN or why it failed,
     * after which the socket is as before. `give_up` ends one under way. */
    int (*connect)(struct socket *s, const struct socket_address *to);
    int (*connected)(struct socket *s);
    void (*give_up)(struct socket *s);
    /* Bytes, all of them unless it is a stream. -EPIPE raises SIGPIPE in the caller. */
    long (*send)(struct socket *s, const void *from, size_t len, struct socket_message *m);
    /* Bytes, 0 at the end. */
    long (*receive)(struct socket *s, void *to, size_t len, struct socket_message *m);
    u32 (*poll)(struct socket *s);
    int (*shutdown)(struct socket *s, bool receive, bool send);
    int (*name)(struct socket *s, struct socket_address *out);
    int (*peer)(struct socket *s, struct socket_address *out);
    /* Options that socket_option.c does not know, or of which the family wants to hear:
     * -ENOPROTOOPT leaves them to that. *len is the room at value, then the length. */
    int (*set_option)(struct socket *s, u64 level, u64 name, const void *value, u32 len);
    int (*get_option)(struct socket *s, u64 level, u64 name, void *value, u32 *len);
    void (*switched)(struct socket *s);                    /* (nothing) socket->switches changed */
    long (*ioctl)(struct socket *s, u32 request, u64 arg); /* (ENOTTY) */
    void (*release)(struct socket *s); /* what it holds; not the socket itself */
    u64 connect_timeout;               /* ns, unless SO_SNDTIMEO or the socket says */
};

struct socket_linger {
    int on, seconds;
};

struct socket {
    const struct socket_ops *ops;
    struct file *file; /* to which it belongs */
    u16 family, type, protocol;
    bool connecting, listening;
    int error;                         /* for SO_ERROR, positive */
    u64 switches;                      /* 1 << SO_*: those that are on or off */
    struct socket_linger linger;       /* heeded by TCP */
    int priority;                      /* what was set is told; 0: nothing was */
    int receive_least;                 /* SO_RCVLOWAT; 0: as 1 */
    int send_buffer, receive_buffer;   /* as those */
    u64 receive_timeout, send_timeout; /* ns, 0 for none */
    u64 connect_timeout;               /* ns, 0: the family's, or none */
    struct wait_queue wait;            /* where file->wait points, unless the family moves it */
};

/* What there is; listed in socket_connect.c. */
struct socket_kind {
    u16 family, type;
    u16 protocol; /* that may be asked for, beside 0 */
    u16 told;     /* by SO_PROTOCOL */
    const struct socket_ops *ops;
};

extern const struct socket_ops vsock_ops, unix_stream_ops, unix_message_ops;
extern const struct socket_ops inet_tcp_ops, inet_udp_ops;

/* A created socket with its file, which has one reference; flags: O_NONBLOCK counts. NULL and
 * *error. */
struct file *socket_new(const struct socket_kind *kind, u32 flags, int *error);
/* Another of the same kind. */
struct file *socket_like(const struct socket *s, u32 flags, int *error);
struct socket *socket_of(const struct file *f);

static inline bool socket_is_stream(const struct socket *s)
{
    return s->type == SOCK_STREAM;
}

static inline bool socket_switch(const struct socket *s, unsigned option)
{
    return s->switches >> option & 1;
}

/* The readiness changed in these POLL* events. */
void socket_wake(struct socket *s, u32 events);

/* What went wrong meanwhile, told once: 0 or -errno. */
int socket_take_error(struct socket *s);

/* --- what the system calls share --- */

/* As file_ops.vector. */
long socket_vector(struct file *f, u64 iov, u64 count, bool write);

/* A system call on the socket that is its first argument: call's result, -EBADF or -ENOTSOCK. */
long with_socket(const u64 a[6], long (*call)(struct socket *s, const u64 a[6]));

/* The outcome of the connection under way: 0, -EAGAIN, or why it failed. */
int socket_outcome(struct socket *s);

/* Deadlines and waits: a time-out is EAGAIN, as for SO_RCVTIMEO. timeout 0: none. */
u64 deadline_after(u64 timeout);
int socket_wait(struct socket *s, u64 deadline);

/* From the program, checked for length only. */
int take_address(u64 at, u64 len, struct socket_address *out);
/* Writes as much of the value as fits, and its whole length. at 0: not wanted. */
int give_value(u64 at, u64 len_at, const void *value, u32 size);
int give_address(u64 at, u64 len_at, const struct socket_address *address);

#endif
