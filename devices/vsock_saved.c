/*
 * A vsock device in a snapshot: see vsock.h. A clone has none of its source's peers, so the guest
 * is told that every connection is over, but for the program's standard streams, which the clone
 * has of its own.
 */
#include "devices/vsock.h"

#include <string.h>

#include "abi/platform.h"
#include "devices/vsock_state.h"

size_t vsock_saved_most(void)
{
    return sizeof(struct vsock_saved) +
           (VSOCK_CONNS + VSOCK_REFUSALS) * sizeof(struct vsock_saved_conn);
}

/* --- out --- */

static bool is_known(const struct vsock_conn *conn)
{
    return conn_is_named(conn) && !(conn->pending & PENDING_REQUEST);
}

static struct vsock_saved_conn saved(const struct vsock_conn *conn)
{
    return (struct vsock_saved_conn){
        .host_port = conn->host_port,
        .guest_port = conn->guest_port,
        .type =
            conn->kind == VSOCK_MESSAGES ? VIRTIO_VSOCK_TYPE_SEQPACKET : VIRTIO_VSOCK_TYPE_STREAM,
        .guest_shut = conn->guest_shut,
        .our_shut = conn->our_shut,
        .pending = conn->pending,
        .received = conn->received,
        .told = conn->told,
        .sent = conn->sent,
        .peer_alloc = conn->peer_alloc,
        .peer_forwarded = conn->peer_forwarded,
    };
}

size_t vsock_save(const struct vsock *vsock, void *to)
{
    struct vsock_saved *head = to;
    struct vsock_saved_conn *next = (struct vsock_saved_conn *)(head + 1);

    for (unsigned i = 0; i < vsock->used; i++) {
        if (is_known(&vsock->conns[i]))
            *next++ = saved(&vsock->conns[i]);
    }
    for (unsigned i = 0; i < vsock->refusals; i++) {
        const struct vsock_refusal *r = &vsock->refusal[(vsock->refusal_head + i) % VSOCK_REFUSALS];

        *next++ = (struct vsock_saved_conn){.host_port = r->host_port,
                                            .guest_port = r->guest_port,
                                            .type = r->type,
                                            .pending = PENDING_RST};
    }
    head->next_port = vsock->next_port;
    head->count = (uint32_t)(next - (struct vsock_saved_conn *)(head + 1));
    return (size_t)((char *)next - (char *)to);
}

/* --- in --- */

void vsock_forget(struct vsock *vsock)
{
    for (unsigned i = 0; i < vsock->used; i++) {
        struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_FREE)
            continue;
        message_unstage(conn);
        buffer_drop(conn);
        if (conn->state == CONN_DRAINING)
            conn_free(conn);
    }
    buffer_pool_wipe(vsock);
}

/* And the clone has such a stream. */
static bool is_stdio(const struct vsock *vsock, const struct vsock_saved_conn *from)
{
    uint32_t number = from->host_port - SAMARA_STDIO_PORT;

    return number < VSOCK_STDIO && vsock->stdio[number].fd >= 0 && !(from->pending & PENDING_RST);
}

static const char *fault_of(const struct vsock *vsock, const struct vsock_saved_conn *from)
{
    const uint8_t both = VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND;
    const unsigned pending = PENDING_RST | PENDING_RESPONSE | PENDING_SHUTDOWN | PENDING_CREDIT;
    bool messages = from->type == VIRTIO_VSOCK_TYPE_SEQPACKET;

    if (from->type != VIRTIO_VSOCK_TYPE_STREAM && !(messages && vsock_has_messages(vsock)))
        return "of an unknown type";
    if (((from->guest_shut | from->our_shut) & ~both) || (from->pending & ~pending) ||
        from->reserved)
        return "with unknown flags";
    if (from->sent - from->peer_forwarded > INT32_MAX || from->received - from->told > INT32_MAX)
        return "with impossible counts";
    if (is_stdio(vsock, from) && messages)
        return "of a standard stream, for messages";
    return NULL;
}

/* The guest has been told of `told` bytes at least; that all are forwarded it hears next. */
static void go_on(struct vsock *vsock, const struct vsock_saved_conn *from)
{
    struct vsock_conn *conn = conn_new_stdio(vsock, (int)(from->host_port - SAMARA_STDIO_PORT));

    conn_name(conn, from->host_port, from->guest_port);
    conn->guest_shut = from->guest_shut;
    conn->our_shut = from->our_shut;
    conn->received = conn->forwarded = from->received;
    conn->told = from->told;
    conn->sent = from->sent;
    conn->peer_alloc = from->peer_alloc;
    conn->peer_forwarded = from->peer_forwarded;
    conn->reads = conn->reads && !(from->our_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
                  !(from->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV);
    conn->writes = conn->writes && !(from->our_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
                   !(from->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND);
    conn->pending = from->pending | PENDING_CREDIT;
    conn_open(conn);
}

/* False: there is no room even for saying so. */
static bool end(struct vsock *vsock, const struct vsock_saved_conn *from)
{
    enum vsock_kind kind = from->type == VIRTIO_VSOCK_TYPE_SEQPACKET ? VSOCK_MESSAGES : VSOCK_BYTES;
    struct vsock_conn *conn = conn_new(vsock, STREAM_CLOSED, CONN_OPEN, kind);

    if (conn != NULL) {
        conn_name(conn, from->host_port, from->guest_port);
        conn_reset(conn);
    } else if (vsock->refusals < VSOCK_REFUSALS) {
        vsock->refusal[vsock->refusals++] =
            (struct vsock_refusal){VSOCK_HOST_CID, from->host_port, from->guest_port, from->type};
    } else {
        return false;
    }
    return true;
}

int vsock_load(struct vsock *vsock, const void *bytes, size_t size, struct err *err)
{
    const struct vsock_saved *head = bytes;
    const struct vsock_saved_conn *conns = (const struct vsock_saved_conn *)(head + 1);

    if (size < sizeof(*head) || (size - sizeof(*head)) % sizeof(*conns) != 0 ||
        head->count != (size - sizeof(*head)) / sizeof(*conns))
        return err_set(err, "vsock: %zu bytes are not a number of connections", size);
    for (uint32_t i = 0; i < head->count; i++) {
        const char *fault = fault_of(vsock, &conns[i]);

        if (!fault && conn_find(vsock, conns[i].host_port, conns[i].guest_port))
            fault = "that is there twice";
        if (fault)
            return err_set(err, "vsock: connection %u (ports %u and %u) %s", i, conns[i].host_port,
                           conns[i].guest_port, fault);
        if (is_stdio(vsock, &conns[i]))
            go_on(vsock, &conns[i]);
        else if (!end(vsock, &conns[i]))
            return err_set(err, "vsock: %u connections are too many", head->count);
    }
    vsock->next_port = head->next_port;
    return 0;
}
