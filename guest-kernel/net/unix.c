/* Names of AF_UNIX sockets, and listening. */
#include "guest-kernel/net/unix.h"
#include "guest-kernel/fs/names.h"
#include "guest-kernel/fs/sys.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/task/process.h"

static struct unix_socket *all;
static bool any_blocked;

/* --- names --- */

struct unix_name *unix_name_get(struct unix_name *name)
{
    if (name)
        name->refs++;
    return name;
}

void unix_name_put(struct unix_name *name)
{
    if (!name || --name->refs > 0)
        return;
    if (name->inode)
        inode_put(name->inode);
    kfree(name);
}

static struct unix_name *name_new(const struct socket_address *address)
{
    struct unix_name *name = kzalloc(sizeof(*name));

    if (name) {
        name->refs = 1;
        name->address = *address;
    }
    return name;
}

void unix_name_tell(const struct unix_name *name, struct socket_address *out)
{
    *out = (struct socket_address){.length = sizeof(out->family)};
    out->family = AF_UNIX;
    if (name)
        *out = name->address;
}

static bool is_unix(const struct socket_address *a)
{
    return a->length > sizeof(a->family) && a->length <= sizeof(struct sockaddr_un) &&
           a->family == AF_UNIX;
}

/* The first byte of the path is 0: a name of its own, in no file system. */
static bool is_abstract(const struct socket_address *a)
{
    return a->bytes[offsetof(struct sockaddr_un, path)] == '\0';
}

/* bytes[] is larger than any path, and 0 behind it. */
static const char *path_in(const struct socket_address *a)
{
    return (const char *)a->bytes + offsetof(struct sockaddr_un, path);
}

static struct unix_socket *find_abstract(const struct socket_address *a, u32 type)
{
    for (struct unix_socket *u = all; u; u = u->next) {
        if (u->bound && !u->name->inode && u->socket.type == type &&
            u->name->address.length == a->length &&
            memcmp(u->name->address.bytes, a->bytes, a->length) == 0)
            return u;
    }
    return NULL;
}

static struct unix_socket *find_bound(const struct inode *inode)
{
    for (struct unix_socket *u = all; u; u = u->next) {
        if (u->bound && u->name->inode == inode)
            return u;
    }
    return NULL;
}

struct unix_socket *unix_find(const struct socket_address *a, u32 type, int *error)
{
    struct dentry *d;
    struct unix_socket *u;

    *error = a->length > 0 && a->family != AF_UNIX ? -EAFNOSUPPORT : -EINVAL;
    if (!is_unix(a))
        return NULL;
    *error = -ECONNREFUSED;
    if (is_abstract(a))
        return find_abstract(a, type);
    d = path_find(NULL, path_in(a), WALK_FOLLOW, error);
    if (!d)
        return NULL;
    *error = -ECONNREFUSED;
    u = find_bound(d->inode);
    dentry_put(d);
    return u;
}

static const struct inode_ops socket_inode_ops; /* cannot be opened */

static int bind_path(struct unix_socket *u, const struct socket_address *a)
{
    struct inode *inode = inode_new(&socket_inode_ops, MODE_SOCKET | (0777 & ~current_fs()->umask));
    struct path path;
    int err = inode ? path_walk(NULL, path_in(a), WALK_MAY_LACK, &path) : -ENOMEM;

    if (err) {
        if (inode)
            inode_put(inode);
        return err;
    }
    err = path.found ? -EADDRINUSE : path.slash ? -ENOENT : 0;
    if (err == 0)
        err = (u->name = name_new(a)) ? names_add(&path, inode) : -ENOMEM;
    path_drop(&path);
    if (err == 0) {
        u->name->inode = inode;
        return 0;
    }
    inode_put(inode);
    unix_name_put(u->name);
    u->name = NULL;
    return err;
}

/* A name nobody has: five hexadecimal digits. */
static void choose_name(struct socket_address *out, u32 type)
{
    static u32 last;
    char *path = (char *)out->bytes + offsetof(struct sockaddr_un, path);

    do {
        *out = (struct socket_address){.length = sizeof(out->family) + 6};
        out->family = AF_UNIX;
        kprint_to(path + 1, 6, "%05x", last++ & 0xfffff);
    } while (find_abstract(out, type));
}

static int bind_abstract(struct unix_socket *u, const struct socket_address *a)
{
    if (find_abstract(a, u->socket.type))
        return -EADDRINUSE;
    u->name = name_new(a);
    return u->name ? 0 : -ENOMEM;
}

int unix_bind(struct socket *s, const struct socket_address *at)
{
    struct unix_socket *u = unix_of(s);
    struct socket_address chosen;
    int err;

    if (u->name)
        return -EINVAL;
    if (at->family == AF_UNIX && at->length == sizeof(at->family)) {
        choose_name(&chosen, s->type);
        at = &chosen;
    }
    if (!is_unix(at))
        return -EINVAL;
    err = is_abstract(at) ? bind_abstract(u, at) : bind_path(u, at);
    u->bound = err == 0;
    return err;
}

int unix_own_name(struct socket *s, struct socket_address *out)
{
    unix_name_tell(unix_of(s)->name, out);
    return 0;
}

int unix_peer_name(struct socket *s, struct socket_address *out)
{
    if (!unix_of(s)->connected)
        return -ENOTCONN;
    unix_name_tell(unix_of(s)->peer, out);
    return 0;
}

/* --- life --- */

int unix_create(struct socket *s)
{
    struct unix_socket *u = unix_of(s);

    u->next = all;
    if (all)
        all->prev = u;
    all = u;
    return 0;
}

void unix_join(struct unix_socket *a, struct unix_socket *b)
{
    a->other = b;
    b->other = a;
}

/* What was sent is lost: the sender is told (unix(7)). */
static void reset(struct unix_socket *u)
{
    u->socket.error = ECONNRESET;
    socket_wake(&u->socket, UINT32_MAX);
}

static void part(struct unix_socket *u, bool unread)
{
    if (u->pending)
        u->pending->client = NULL;
    if (!u->other)
        return;
    u->other->other = NULL;
    if (unread)
        reset(u->other);
}

void unix_forget(struct unix_socket *u, bool unread)
{
    part(u, unread);
    if (u->next)
        u->next->prev = u->prev;
    if (u->prev)
        u->prev->next = u->next;
    else if (all == u)
        all = u->next;
    unix_name_put(u->name);
    unix_name_put(u->peer);
    u->name = u->peer = NULL;
    u->bound = false;
    unix_unblock(); /* who wanted to connect is refused */
}

/* Few are blocked, and then there are few sockets. */
void unix_unblock(void)
{
    if (!any_blocked)
        return;
    any_blocked = false;
    for (struct unix_socket *u = all; u; u = u->next) {
        if (u->blocked)
            socket_wake(&u->socket, POLLOUT | POLLWRNORM);
        u->blocked = false;
    }
}

void unix_block(struct unix_socket *u)
{
    u->blocked = any_blocked = true;
}

/* All are the one process. */
int unix_get_option(struct socket *s, u64 level, u64 name, void *value, u32 *len)
{
    const struct {
        u32 pid, uid, gid;
    } credentials = {.pid = PROCESS_PID};

    (void)s;
    if (level != SOL_SOCKET || name != SO_PEERCRED)
        return -ENOPROTOOPT;
    memcpy(value, &credentials, sizeof(credentials));
    *len = sizeof(credentials);
    return 0;
}

/* --- listening --- */

int unix_listen(struct socket *s, u32 backlog)
{
    struct unix_socket *u = unix_of(s);

    if (s->type == SOCK_DGRAM)
        return -EOPNOTSUPP;
    if (!u->name || u->connected)
        return -EINVAL;
    u->backlog = backlog;
    unix_unblock();
    return 0;
}

struct unix_socket *unix_listener(struct unix_socket *u, const struct socket_address *at,
                                  int *error)
{
    struct unix_socket *to;

    *error = -EISCONN;
    if (u->connected)
        return NULL;
    *error = -EINVAL;
    if (u->socket.listening)
        return NULL;
    to = unix_find(at, u->socket.type, error);
    if (!to)
        return NULL;
    *error = to->socket.type != u->socket.type ? -EPROTOTYPE : -ECONNREFUSED;
    if (!to->socket.listening || to->deaf || to->socket.type != u->socket.type)
        return NULL;
    *error = -EAGAIN;
    if (to->waiting <= to->backlog)
        return to;
    unix_block(u);
    return NULL;
}

void unix_offer(struct unix_socket *listener, struct unix_socket *u, struct unix_pending *p)
{
    p->client = u;
    u->pending = p;
    p->peer = unix_name_get(u->name);
    if (listener->last)
        listener->last->next = p;
    else
        listener->first = p;
    listener->last = p;
    listener->waiting++;
    u->connected = true;
    u->peer = unix_name_get(listener->name);
    socket_wake(&listener->socket, POLLIN | POLLRDNORM);
}

struct unix_pending *unix_take(struct unix_socket *listener)
{
    struct unix_pending *p = listener->first;

    if (!p)
        return NULL;
    listener->first = p->next;
    if (!p->next)
        listener->last = NULL;
    listener->waiting--;
    unix_unblock();
    return p;
}

struct unix_pending *unix_accept(struct unix_socket *listener, int *error)
{
    struct unix_pending *p;

    *error = -EINVAL;
    if (!listener->socket.listening)
        return NULL;
    p = unix_take(listener);
    if (!p && !listener->deaf)
        *error = -EAGAIN;
    return p;
}

/* It waits no longer. */
static struct unix_socket *client_of(struct unix_pending *p)
{
    if (p->client)
        p->client->pending = NULL;
    return p->client;
}

void unix_accepted(struct unix_socket *fresh, const struct unix_socket *listener,
                   struct unix_pending *p)
{
    struct unix_socket *client = client_of(p);

    if (client)
        unix_join(client, fresh);
    fresh->peer = p->peer;
    fresh->name = unix_name_get(listener->name);
    kfree(p);
}

void unix_refuse(struct unix_pending *p)
{
    struct unix_socket *client = client_of(p);

    if (client)
        reset(client);
    unix_name_put(p->peer);
    kfree(p);
}

u32 unix_listener_poll(const struct unix_socket *listener)
{
    u32 events = listener->first || listener->deaf ? POLLIN | POLLRDNORM : 0;

    if (listener->deaf)
        events |= POLLRDHUP | (listener->mute ? POLLHUP : 0);
    return events;
}

/* Who waits already is still accepted; nobody else gets in. */
int unix_listener_shutdown(struct unix_socket *listener, bool receive, bool send)
{
    listener->deaf |= receive;
    listener->mute |= send;
    unix_unblock();
    socket_wake(&listener->socket, UINT32_MAX);
    return 0;
}
