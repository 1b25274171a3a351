/*
 * Streams. A packet stays in the buffer it came in until it is read; a small one is copied behind
 * the one before, so that a stream's memory stays within a few times its credit.
 *
 * Interrupts are wanted only while somebody may be waiting: whoever returns -EAGAIN arms them, the
 * handler arms them again while there are waiters or listeners. A program that reads as fast as
 * data comes is never interrupted.
 *
 * Control packets that find no room are remembered in `owed` and sent when there is.
 */
#include "guest-kernel/drivers/vsock.h"
#include "guest-kernel/drivers/vsock_queue.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"

#define CREDIT_FIRST  (128u << 10)
#define CREDIT_MOST   (1u << 20)
#define STREAMS_MOST  4096
#define PORT_FREE_MIN 0x40000000u /* ports handed out when the caller does not care */

enum state { CONNECTING, ESTABLISHED, RESET };

enum { OWED_RESPONSE = 1, OWED_SHUTDOWN = 2, OWED_CREDIT = 4, OWED_ASK = 8 };

struct vsock_stream {
    struct vsock_stream *next;
    struct vsock_stream *accept_next;
    struct vsock_listener *listener; /* waiting to be accepted there */
    struct wait_queue wait;
    enum state state;
    bool orphan; /* the program has closed it: lives until the peer answers SHUTDOWN with RST */
    u8 shut_own, shut_peer;
    u8 owed;
    bool asked;   /* for credit, since the last time there was some */
    bool stalled; /* a sender waits for room in the pool */
    u32 local_port, peer_port;
    struct vsock_buffer *first, *last;
    u32 waiting; /* bytes in the buffers */
    u32 credit;  /* bytes we let the peer have under way and unread */
    u32 consumed, consumed_told;
    u32 sent, peer_credit, peer_consumed;
};

struct vsock_listener {
    struct vsock_listener *next;
    struct wait_queue wait;
    u32 port;
    unsigned backlog, count;
    struct vsock_stream *first, *last;
};

static bool present;
static u32 own_cid;
static struct vsock_stream *streams;
static unsigned stream_count;
static struct vsock_listener *listeners;
static bool owing;   /* some stream could not send a control packet */
static bool stalled; /* some stream has `stalled` set */
static bool ending;  /* the monitor takes what is in the ring at the end */

bool vsock_present(void)
{
    return present;
}

u32 vsock_cid(void)
{
    return own_cid;
}

/* ---- finding ---- */

static struct vsock_stream *find_stream(u32 local_port, u32 peer_port)
{
    for (struct vsock_stream *s = streams; s != NULL; s = s->next) {
        if (s->local_port == local_port && s->peer_port == peer_port && s->state != RESET)
            return s;
    }
    return NULL;
}

static struct vsock_listener *find_listener(u32 port)
{
    struct vsock_listener *l = listeners;

    while (l != NULL && l->port != port)
        l = l->next;
    return l;
}

static bool port_in_use(u32 port)
{
    for (struct vsock_stream *s = streams; s != NULL; s = s->next) {
        if (s->local_port == port)
            return true;
    }
    return find_listener(port) != NULL;
}

static u32 free_port(void)
{
    static u32 last = PORT_FREE_MIN - 1;

    do
        last = last >= INT32_MAX ? PORT_FREE_MIN : last + 1;
    while (port_in_use(last));
    return last;
}

/* ---- making and unmaking ---- */

static struct vsock_stream *stream_new(u32 local_port, u32 peer_port, enum state state)
{
    struct vsock_stream *s;

    if (stream_count >= STREAMS_MOST)
        return NULL;
    s = kzalloc(sizeof(*s));
    if (s == NULL)
        return NULL;
    s->state = state;
    s->local_port = local_port;
    s->peer_port = peer_port;
    s->credit = CREDIT_FIRST;
    s->next = streams;
    streams = s;
    stream_count++;
    return s;
}

static void drop_buffers(struct vsock_stream *s)
{
    struct vsock_buffer *next;

    for (struct vsock_buffer *b = s->first; b != NULL; b = next) {
        next = b->next;
        vsockq_recycle(b);
    }
    s->first = s->last = NULL;
    s->waiting = 0;
}

static void stream_free(struct vsock_stream *s)
{
    struct vsock_stream **at = &streams;

    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    stream_count--;
    drop_buffers(s);
    kfree(s);
}

static void leave_listener(struct vsock_stream *s)
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

/* The stream is over at once. What was received before can still be read. */
static void stream_reset(struct vsock_stream *s)
{
    s->state = RESET;
    s->owed = 0;
    if (s->listener != NULL) {
        leave_listener(s);
        s->orphan = true;
    }
    if (s->orphan)
        stream_free(s);
    else
        file_wake(&s->wait);
}

/* ---- sending packets ---- */

static bool send_packet(struct vsock_stream *s, u16 op, u32 flags, const void *data, u32 len)
{
    const struct virtio_vsock_hdr header = {
        .src_cid = own_cid,
        .dst_cid = VSOCK_CID_HOST,
        .src_port = s->local_port,
        .dst_port = s->peer_port,
        .len = len,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .flags = flags,
        .buf_alloc = s->credit,
        .fwd_cnt = s->consumed,
    };

    if (!vsockq_send(&header, data))
        return false;
    s->consumed_told = s->consumed;
    return true;
}

/* An answer to a packet that belongs to no stream; lost if there is no room. */
static void send_reset(u32 local_port, u32 peer_port)
{
    struct vsock_stream nobody = {.local_port = local_port, .peer_port = peer_port};

    send_packet(&nobody, VIRTIO_VSOCK_OP_RST, 0, NULL, 0);
}

static const struct {
    u8 owed;
    u16 op;
} control[] = {
    {OWED_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE},
    {OWED_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE},
    {OWED_ASK, VIRTIO_VSOCK_OP_CREDIT_REQUEST},
    {OWED_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN},
};

static void pay(struct vsock_stream *s)
{
    for (unsigned i = 0; i < ARRAY_LEN(control) && s->owed != 0; i++) {
        u32 flags = control[i].owed == OWED_SHUTDOWN ? s->shut_own : 0;

        if (!(s->owed & control[i].owed))
            continue;
        if (!send_packet(s, control[i].op, flags, NULL, 0)) {
            owing = true;
            return;
        }
        s->owed &= (u8)~control[i].owed;
    }
}

static void owe(struct vsock_stream *s, u8 what)
{
    s->owed |= what;
    pay(s);
}

static void pay_all(void)
{
    if (!owing)
        return;
    owing = false;
    for (struct vsock_stream *s = streams; s != NULL && !owing; s = s->next)
        pay(s);
}

/* ---- receiving packets ---- */

/* Keeps the payload: copied behind the last buffer if it is small, else by keeping the buffer. */
static void keep(struct vsock_stream *s, struct vsock_buffer *b)
{
    u32 len = b->end;

    s->waiting += len;
    if (s->last != NULL && len <= vsockq_buffer_size() / 4 &&
        len <= vsockq_buffer_size() - s->last->end) {
        memcpy(s->last->data + s->last->end, b->data, len);
        s->last->end += len;
        vsockq_recycle(b);
        return;
    }
    if (s->last != NULL)
        s->last->next = b;
    else
        s->first = b;
    s->last = b;
}

/* Takes the buffer. False: the peer broke the rules. */
static bool take_data(struct vsock_stream *s, struct vsock_buffer *b, u32 len)
{
    bool allowed = s->state == ESTABLISHED && !(s->shut_peer & VSOCK_SHUT_SEND) &&
                   len <= s->credit - s->waiting;

    if (!allowed || len == 0 || (s->shut_own & VSOCK_SHUT_RECEIVE)) {
        vsockq_recycle(b);
        if (allowed)
            s->consumed += len;
        return allowed;
    }
    keep(s, b);
    file_wake(&s->wait);
    return true;
}

static void take_request(u32 local_port, u32 peer_port)
{
    struct vsock_listener *l = find_listener(local_port);
    struct vsock_stream *s = NULL;

    if (l != NULL && l->count < l->backlog)
        s = stream_new(local_port, peer_port, ESTABLISHED);
    if (s == NULL) {
        send_reset(local_port, peer_port);
        return;
    }
    s->listener = l;
    if (l->last != NULL)
        l->last->accept_next = s;
    else
        l->first = s;
    l->last = s;
    l->count++;
    owe(s, OWED_RESPONSE);
    file_wake(&l->wait);
}

static void take_credit(struct vsock_stream *s, const struct virtio_vsock_hdr *h)
{
    s->peer_credit = h->buf_alloc;
    s->peer_consumed = h->fwd_cnt;
    s->asked = false;
}

static void take_shutdown(struct vsock_stream *s, u32 flags)
{
    s->shut_peer |= flags & (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND);
    if (s->shut_peer == (VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND)) {
        send_reset(s->local_port, s->peer_port);
        stream_reset(s);
        return;
    }
    file_wake(&s->wait);
}

static bool take_response(struct vsock_stream *s)
{
    if (s->state != CONNECTING)
        return false;
    s->state = ESTABLISHED;
    file_wake(&s->wait);
    return true;
}

/* A packet for a stream. Takes the buffer. False: reset the stream. */
static bool take_for_stream(struct vsock_stream *s, const struct virtio_vsock_hdr *h,
                            struct vsock_buffer *b)
{
    take_credit(s, h);
    if (h->op == VIRTIO_VSOCK_OP_RW)
        return take_data(s, b, h->len);
    vsockq_recycle(b);
    switch (h->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        return take_response(s);
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        take_shutdown(s, h->flags);
        return true;
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        file_wake(&s->wait);
        return true;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        owe(s, OWED_CREDIT);
        return true;
    default:
        return false;
    }
}

static void take_packet(const struct virtio_vsock_hdr *h, struct vsock_buffer *b)
{
    struct vsock_stream *s = NULL;

    if (h->src_cid == VSOCK_CID_HOST && h->dst_cid == own_cid &&
        h->type == VIRTIO_VSOCK_TYPE_STREAM)
        s = find_stream(h->dst_port, h->src_port);
    if (s != NULL && h->op == VIRTIO_VSOCK_OP_RST) {
        vsockq_recycle(b);
        stream_reset(s);
    } else if (s != NULL) {
        if (!take_for_stream(s, h, b)) {
            send_reset(h->dst_port, h->src_port);
            stream_reset(s);
        }
    } else {
        vsockq_recycle(b);
        if (h->op == VIRTIO_VSOCK_OP_REQUEST && h->type == VIRTIO_VSOCK_TYPE_STREAM &&
            h->src_cid == VSOCK_CID_HOST)
            take_request(h->dst_port, h->src_port);
        else if (h->op != VIRTIO_VSOCK_OP_RST)
            send_reset(h->dst_port, h->src_port);
    }
}

static bool take_packets(void)
{
    struct virtio_vsock_hdr header;
    struct vsock_buffer *b;
    bool any = false;

    while ((b = vsockq_receive(&header)) != NULL) {
        take_packet(&header, b);
        any = true;
    }
    return any;
}

/* Wakes whoever waits for room to send. */
static void room_came(void)
{
    for (struct vsock_stream *s = streams; s != NULL && stalled; s = s->next) {
        if (!s->stalled)
            continue;
        s->stalled = false;
        file_wake(&s->wait);
    }
    stalled = false;
}

void vsock_flush(void)
{
    if (!present || (ending && !owing))
        return;
    /* An answer may ask for an answer; the device works while it is kicked, so this ends. */
    do {
        pay_all();
        if (vsockq_kick_send())
            room_came();
    } while (take_packets());
    vsockq_offer(true);
}

/* The caller is about to wait: nothing may lie unseen in the ring once interrupts are armed. */
static void arm(void)
{
    do
        vsock_flush();
    while (vsockq_arm_receive());
}

static bool anybody_waits(void)
{
    if (listeners != NULL || !wait_queue_empty(&poll_waiters))
        return true;
    for (struct vsock_stream *s = streams; s != NULL; s = s->next) {
        if (!wait_queue_empty(&s->wait))
            return true;
    }
    return false;
}

static void on_interrupt(void *arg)
{
    (void)arg;
    vsockq_acknowledge();
    if (vsockq_reclaim())
        room_came();
    vsock_flush();
    if (anybody_waits())
        arm();
}

bool vsock_init(const struct boot_info *info)
{
    present = vsockq_init(info, on_interrupt);
    if (present)
        own_cid = vsockq_cid();
    return present;
}

/* ---- streams ---- */

struct vsock_stream *vsock_request(u32 local_port, u32 port, bool paused, int *error)
{
    struct vsock_stream *s;

    *error = -ENODEV;
    if (!present)
        return NULL;
    if (local_port == VSOCK_PORT_ANY)
        local_port = free_port();
    *error = -EADDRINUSE;
    if (find_stream(local_port, port) != NULL)
        return NULL;
    *error = -ENOMEM;
    s = stream_new(local_port, port, CONNECTING);
    if (s == NULL)
        return NULL;
    if (paused)
        s->credit = 0;
    if (!send_packet(s, VIRTIO_VSOCK_OP_REQUEST, 0, NULL, 0)) {
        stream_free(s);
        *error = -EAGAIN;
        return NULL;
    }
    return s;
}

int vsock_state(struct vsock_stream *s)
{
    if (s->state == CONNECTING)
        arm();
    if (s->state == CONNECTING)
        return -EAGAIN;
    return s->state == RESET ? -ECONNRESET : 0;
}

void vsock_resume(struct vsock_stream *s)
{
    if (s->credit > 0 || s->state != ESTABLISHED)
        return;
    s->credit = CREDIT_FIRST;
    owe(s, OWED_CREDIT);
}

static size_t take_out(struct vsock_stream *s, u8 *to, size_t len)
{
    size_t done = 0;

    while (s->first != NULL && done < len) {
        struct vsock_buffer *b = s->first;
        u32 n = (u32)MIN(len - done, (size_t)(b->end - b->start));

        memcpy(to + done, b->data + b->start, n);
        done += n;
        b->start += n;
        s->waiting -= n;
        s->consumed += n;
        if (b->start == b->end) {
            s->first = b->next;
            if (s->first == NULL)
                s->last = NULL;
            vsockq_recycle(b);
        }
    }
    return done;
}

static size_t copy_out(const struct vsock_stream *s, size_t skip, u8 *to, size_t len)
{
    size_t done = 0;

    for (const struct vsock_buffer *b = s->first; b != NULL && done < len; b = b->next) {
        size_t there = b->end - b->start;
        size_t n = skip < there ? MIN(len - done, there - skip) : 0;

        memcpy(to + done, b->data + b->start + skip, n);
        done += n;
        skip = n > 0 ? 0 : skip - there;
    }
    return done;
}

/* Tells the peer of room once half of it is used up; a stream read that fast gets more. */
static void renew_credit(struct vsock_stream *s)
{
    if (s->state != ESTABLISHED || s->consumed - s->consumed_told < s->credit / 2)
        return;
    if (s->credit < CREDIT_MOST)
        s->credit *= 2;
    owe(s, OWED_CREDIT);
    vsockq_kick_send();
}

static bool receive_ended(const struct vsock_stream *s)
{
    return s->state == RESET || (s->shut_own & VSOCK_SHUT_RECEIVE) ||
           (s->shut_peer & VSOCK_SHUT_SEND);
}

/* More than `skip` bytes are waiting: 1, or what a receive then answers. */
static int expect_data(struct vsock_stream *s, size_t skip)
{
    if (s->waiting <= skip)
        take_packets();
    if (s->waiting <= skip && !receive_ended(s))
        arm();
    if (s->waiting > skip)
        return 1;
    return receive_ended(s) ? 0 : -EAGAIN;
}

long vsock_peek(struct vsock_stream *s, size_t skip, void *to, size_t len)
{
    int there = expect_data(s, skip);

    return there <= 0 ? there : (long)copy_out(s, skip, to, len);
}

long vsock_receive(struct vsock_stream *s, void *to, size_t len)
{
    int there = expect_data(s, 0);
    size_t n;

    if (there <= 0)
        return there;
    n = take_out(s, to, len);
    renew_credit(s);
    vsockq_offer(false);
    return (long)n;
}

static bool send_ended(const struct vsock_stream *s)
{
    return s->state == RESET || (s->shut_own & VSOCK_SHUT_SEND) ||
           (s->shut_peer & VSOCK_SHUT_RECEIVE);
}

static u32 send_credit(const struct vsock_stream *s)
{
    u32 under_way = s->sent - s->peer_consumed;

    return under_way < s->peer_credit ? s->peer_credit - under_way : 0;
}

/* Fills the ring as far as credit and pool go. */
static size_t send_some(struct vsock_stream *s, const u8 *from, size_t len)
{
    size_t done = 0;

    while (done < len && s->state == ESTABLISHED && !send_ended(s)) {
        u32 n = MIN(send_credit(s), vsockq_buffer_size());

        n = (u32)MIN((size_t)n, len - done);
        if (n == 0 || !send_packet(s, VIRTIO_VSOCK_OP_RW, 0, from + done, n))
            break;
        s->sent += n;
        done += n;
    }
    return done;
}

/* Nothing could be sent: have the reason, whichever it is, end in a wake-up. */
static void expect_room(struct vsock_stream *s)
{
    if (s->state == ESTABLISHED && send_credit(s) == 0 && !s->asked) {
        s->asked = true;
        owe(s, OWED_ASK);
    }
    arm();
    if (!vsockq_can_send()) {
        s->stalled = stalled = true;
        if (vsockq_arm_send() && vsockq_reclaim())
            room_came();
    }
}

long vsock_send(struct vsock_stream *s, const void *from, size_t len)
{
    size_t done = 0, n;

    take_packets();
    do {
        n = send_some(s, (const u8 *)from + done, len - done);
        done += n;
        vsock_flush();
    } while (n > 0 && done < len);
    if (done == 0 && !send_ended(s)) {
        expect_room(s);
        done = send_some(s, from, len);
        if (done > 0)
            vsock_flush();
    }
    if (done > 0)
        return (long)done;
    return send_ended(s) ? -EPIPE : -EAGAIN;
}

int vsock_shutdown(struct vsock_stream *s, unsigned how)
{
    u8 add = (u8)(how & ~(unsigned)s->shut_own);

    if (s->state != ESTABLISHED)
        return -ENOTCONN;
    if (add == 0)
        return 0;
    s->shut_own |= add;
    owe(s, OWED_SHUTDOWN);
    vsock_flush();
    file_wake(&s->wait);
    return 0;
}

void vsock_close(struct vsock_stream *s)
{
    s->orphan = true;
    file_wake(&s->wait); /* nobody may be left in a queue that goes away */
    if (s->state == CONNECTING)
        send_reset(s->local_port, s->peer_port);
    if (s->state != ESTABLISHED) {
        stream_free(s);
    } else {
        drop_buffers(s);
        s->shut_own = VSOCK_SHUT_RECEIVE | VSOCK_SHUT_SEND;
        owe(s, OWED_SHUTDOWN);
    }
    vsock_flush();
}

size_t vsock_readable(struct vsock_stream *s)
{
    take_packets();
    return s->waiting;
}

u32 vsock_poll(struct vsock_stream *s)
{
    u32 events = 0;

    arm();
    if (s->waiting > 0 || receive_ended(s))
        events |= POLLIN | POLLRDNORM;
    if (send_ended(s) || (s->state == ESTABLISHED && send_credit(s) > 0 && vsockq_can_send()))
        events |= POLLOUT | POLLWRNORM;
    if (s->shut_peer & VSOCK_SHUT_SEND)
        events |= POLLRDHUP;
    if (s->state == RESET || (receive_ended(s) && send_ended(s)))
        events |= POLLHUP | POLLRDHUP;
    return events;
}

struct wait_queue *vsock_wait_queue(struct vsock_stream *s)
{
    return &s->wait;
}

u32 vsock_peer_port(const struct vsock_stream *s)
{
    return s->peer_port;
}

u32 vsock_local_port(const struct vsock_stream *s)
{
    return s->local_port;
}

/* ---- listeners ---- */

struct vsock_listener *vsock_listen(u32 port, unsigned backlog, int *error)
{
    struct vsock_listener *l;

    *error = -ENODEV;
    if (!present)
        return NULL;
    if (port == VSOCK_PORT_ANY)
        port = free_port();
    *error = -EADDRINUSE;
    if (find_listener(port) != NULL)
        return NULL;
    *error = -ENOMEM;
    l = kzalloc(sizeof(*l));
    if (l == NULL)
        return NULL;
    l->port = port;
    l->backlog = MAX(backlog, 1u);
    l->next = listeners;
    listeners = l;
    arm();
    return l;
}

struct vsock_stream *vsock_accept(struct vsock_listener *l)
{
    struct vsock_stream *s;

    if (l->first == NULL)
        arm();
    s = l->first;
    if (s != NULL)
        leave_listener(s);
    return s;
}

bool vsock_accept_ready(struct vsock_listener *l)
{
    arm();
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
    struct vsock_listener **at = &listeners;

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    while (l->first != NULL) {
        struct vsock_stream *s = l->first;

        /* leave_listener takes s off the list, so the next turn sees another. */
        leave_listener(s); /* NOLINT(clang-analyzer-unix.Malloc) */
        vsock_close(s);
    }
    file_wake(&l->wait);
    kfree(l);
}

void vsock_end(void)
{
    ending = true;
}
