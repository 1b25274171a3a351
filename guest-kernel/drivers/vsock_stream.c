/* The table of streams: finding, making, unmaking. */
#include "guest-kernel/drivers/vsock_state.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/mm/heap.h"

#define STREAMS_MOST  4096
#define PORT_FREE_MIN 0x40000000u /* ports handed out when the caller does not care */

struct vsock_stream *stream_find(u32 local_port, u32 peer_port)
{
    for (struct vsock_stream *s = vsock.streams; s != NULL; s = s->next) {
        if (s->local_port == local_port && s->peer_port == peer_port && s->state != RESET)
            return s;
    }
    return NULL;
}

static bool port_in_use(u32 port)
{
    for (struct vsock_stream *s = vsock.streams; s != NULL; s = s->next) {
        if (s->local_port == port)
            return true;
    }
    return listener_find(port) != NULL;
}

u32 vsock_free_port(void)
{
    static u32 last = PORT_FREE_MIN - 1;

    do
        last = last >= INT32_MAX ? PORT_FREE_MIN : last + 1;
    while (port_in_use(last));
    return last;
}

struct vsock_stream *stream_new(u32 local_port, u32 peer_port, enum vsock_kind kind,
                                enum state state)
{
    struct vsock_stream *s;

    if (vsock.stream_count >= STREAMS_MOST)
        return NULL;
    s = kzalloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->kind = kind;
    s->state = state;
    s->local_port = local_port;
    s->peer_port = peer_port;
    s->credit = CREDIT_FIRST;
    s->next = vsock.streams;
    vsock.streams = s;
    vsock.stream_count++;
    return s;
}

void stream_drop_buffers(struct vsock_stream *s)
{
    struct vsock_buffer *next;

    for (struct vsock_buffer *b = s->first; b != NULL; b = next) {
        next = b->next;
        vsockq_recycle(b);
    }
    s->first = s->last = NULL;
    s->waiting = s->whole = s->empties = 0;
}

void stream_free(struct vsock_stream *s)
{
    struct vsock_stream **at = &vsock.streams;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    vsock.stream_count--;
    stream_drop_buffers(s);
    kfree(s);
}

void stream_reset(struct vsock_stream *s)
{
    s->state = RESET;
    s->owed = 0;
    if (s->listener != NULL) {
        listener_leave(s);
        s->orphan = true;
    }
    if (s->orphan)
        stream_free(s);
    else
        file_wake(&s->wait);
}
