/* Listeners: connections wait in them until they are accepted. */
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/mm/heap.h"

struct vsock_listener *listener_find(u32 port)
{
    struct vsock_listener *l = vsock.listeners;

    while (l != NULL && l->port != port)
        l = l->next;
    return l;
}

void listener_leave(struct vsock_stream *s)
{
    struct vsock_listener *l = s->listener;
    struct vsock_stream **at = &l->first, *before = NULL;

    while (*at != s) {
        before = *at;
        at = &before->accept_next;
    }
    *at = s->accept_next;
    if (l->last == s)
        l->last = before;
    l->count--;
    s->listener = NULL;
}

void vsock_set_backlog(struct vsock_listener *l, unsigned backlog)
{
    l->backlog = backlog;
}

struct vsock_listener *vsock_listen(u32 port, enum vsock_kind kind, unsigned backlog, int *error)
{
    struct vsock_listener *l;

    *error = -ENODEV;
    if (!vsock.present)
        return NULL;
    if (port == VSOCK_PORT_ANY)
        port = vsock_free_port();
    *error = -EADDRINUSE;
    if (listener_find(port) != NULL)
        return NULL;
    *error = -ENOMEM;
    l = kzalloc(sizeof(*l));
    if (l == NULL)
        return NULL;
    l->port = port;
    l->kind = kind;
    l->backlog = backlog;
    l->next = vsock.listeners;
    vsock.listeners = l;
    vsock_arm();
    return l;
}

struct vsock_stream *vsock_accept(struct vsock_listener *l)
{
    struct vsock_stream *s;

    if (l->first == NULL)
        vsock_arm();
    s = l->first;
    if (s != NULL)
        listener_leave(s);
    return s;
}

bool vsock_accept_ready(struct vsock_listener *l)
{
    vsock_arm();
    return l->first != NULL;
}

struct wait_queue *vsock_listener_wait_queue(struct vsock_listener *l)
{
    return &l->wait;
}

u32 vsock_listener_port(const struct vsock_listener *l)
{
    return l->port;
}

void vsock_unlisten(struct vsock_listener *l)
{
    struct vsock_listener **at = &vsock.listeners;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    while (l->first != NULL) {
        struct vsock_stream *s = l->first;

        /* leave_listener takes s off the list, so the next turn sees another. */
        listener_leave(s); /* NOLINT(clang-analyzer-unix.Malloc) */
        vsock_close(s);
    }
    file_wake(&l->wait);
    kfree(l);
}
