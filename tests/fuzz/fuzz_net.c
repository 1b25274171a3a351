/*
 * libFuzzer: a driver and a peer that do anything in any order. Input: a byte of options, then
 * records of eight bytes, some with bytes behind them that the peer says. A model knows what has
 * been sent and which buffers there are, so every verdict is known: each frame arrives as it was
 * sent, in order, in the buffers it needs and not a byte beside them, or is dropped for a reason of
 * the model's; the device breaks only by what is malformed, the link only by the peer; and when the
 * peer has read all, nothing is left over. Links to tests/devices/fake_guest.c.
 */
#include <endian.h>
#include <linux/if_tun.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net_state.h"
#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FEATURE(name) VIRTIO_FEATURE(VIRTIO_NET_F_##name)

enum { RX = VIRTIO_NET_QUEUE_RX, TX = VIRTIO_NET_QUEUE_TX, CTRL = VIRTIO_NET_QUEUE_CTRL };
enum { QUEUE = 16, PIECES = 3, GUARD = 64, HEADER = 12, UNTOUCHED = 0xee, SENT_BYTES = 2 << 20 };
enum { SLOT = 0x13000, RX_DATA = FAKE_DATA, TX_DATA = RX_DATA + QUEUE * SLOT };
enum { CTRL_DATA = TX_DATA + QUEUE * SLOT, TABLES = CTRL_DATA + 0x1000, OUT = 4096 };

struct record {
    uint8_t action, shape, seed, extra;
    uint16_t len, more;
};
_Static_assert(sizeof(struct record) == 8, "a record");

enum {
    IS_TAP = 1,
    MERGEABLE = 2,
    HAS_EVENT_IDX = 4,
    HAS_CHECKSUMS = 8,
    HAS_TSO = 16,
    HAS_MTU = 32
};

/* A chain in a queue, and where its pieces are. */
struct chain {
    bool malformed;
    uint32_t bytes;
    unsigned pieces;
    struct {
        uint64_t at;
        uint32_t len;
    } piece[PIECES];
    struct virtio_net_header header; /* of tx */
    uint8_t seed;
};

struct queue {
    struct chain chain[QUEUE];
    unsigned first, count;
};

/* What is to come out at the peer. */
struct outgoing {
    struct virtio_net_header header;
    uint8_t seed;
    uint32_t len;
};

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct fake_guest guest;
static struct event_loop loop;
static bool ready;
static struct net *net;
static unsigned options;
static int peer = -1;
static bool announced, malformed_tx, malformed_any;
static struct queue queues[2];
static struct outgoing outgoing[OUT];
static unsigned out_first, out_end;
static uint32_t out_at;          /* bytes of the first that a stream's peer has read */
static uint8_t sent[SENT_BYTES]; /* by the peer, each frame behind its length */
static size_t sent_first, sent_end;
static uint8_t scratch[2 * SLOT];

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

static bool has(unsigned option)
{
    return options & option;
}

static uint8_t pattern(uint8_t seed, size_t i)
{
    return (uint8_t)(seed + i * 7 + i / 251);
}

static void fill(uint8_t *to, uint8_t seed, size_t len)
{
    for (size_t i = 0; i < len; i++)
        to[i] = pattern(seed, i);
}

/* --- chains --- */

static struct chain *chain_at(struct queue *q, unsigned i)
{
    return &q->chain[(q->first + i) % QUEUE];
}

static struct chain *drop_first(struct queue *q)
{
    struct chain *chain = chain_at(q, 0);

    must(q->count > 0);
    q->first++;
    q->count--;
    return chain;
}

/* An indirect table of pieces with room around each. Malformed: it ends with itself. */
static void post(unsigned index, struct chain *chain, const struct record *record, uint16_t flags)
{
    struct queue *q = &queues[index];
    const uint16_t head = (uint16_t)((q->first + q->count) % QUEUE);
    const uint64_t table_at = TABLES + (index * QUEUE + head) * 0x100u;
    struct virtq_desc *table = fake_at(&guest, table_at);
    uint64_t at = (index == RX ? RX_DATA : TX_DATA) + (uint64_t)head * SLOT + GUARD;
    uint32_t left = chain->bytes;

    memset(fake_at(&guest, at - GUARD), UNTOUCHED, chain->bytes + (PIECES + 1) * GUARD);
    for (chain->pieces = 0; left > 0; chain->pieces++) {
        const unsigned n = chain->pieces;
        const bool last = n == record->shape / 64u % PIECES || n + 1 == PIECES || left == 1;
        const uint32_t part = last ? left : 1 + record->more % (left - 1);

        chain->piece[n].at = at;
        chain->piece[n].len = part;
        table[n] =
            (struct virtq_desc){at, part, (uint16_t)(flags | (last ? 0 : 1)), (uint16_t)(n + 1)};
        at += part + GUARD;
        left -= part;
    }
    if (chain->malformed && chain->bytes >= HEADER) {
        table[chain->pieces - 1].flags |= VIRTQ_DESC_F_NEXT;
        table[chain->pieces - 1].next = 0;
    }
    fake_desc(&guest, index, head, table_at, chain->pieces * 16, VIRTQ_DESC_F_INDIRECT, 0);
    q->chain[head] = *chain;
    q->count++;
    malformed_any |= chain->malformed;
}

static void check_guards(const struct chain *chain)
{
    for (unsigned i = 0; i < chain->pieces; i++) {
        const uint8_t *before = fake_at(&guest, chain->piece[i].at - GUARD);
        const uint8_t *behind = fake_at(&guest, chain->piece[i].at + chain->piece[i].len);

        for (unsigned k = 0; k < GUARD; k++)
            must(before[k] == UNTOUCHED && behind[k] == UNTOUCHED);
    }
}

static void copy_chain(const struct chain *chain, void *data, uint32_t len, bool out)
{
    for (unsigned i = 0; i < chain->pieces && len > 0; i++) {
        const uint32_t part = len < chain->piece[i].len ? len : chain->piece[i].len;
        void *at = fake_at(&guest, chain->piece[i].at);

        memcpy(out ? data : at, out ? at : data, part);
        data = (uint8_t *)data + part;
        len -= part;
    }
}

/* --- what headers may say --- */

static bool may_segment(uint8_t type)
{
    return has(HAS_CHECKSUMS) && has(HAS_TSO) &&
           (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6);
}

/* False: the frame is dropped. Otherwise *h is what arrives. */
static bool judge(struct virtio_net_header *h, size_t frame, bool from_guest)
{
    const bool partial = h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
    const bool valid = h->flags & VIRTIO_NET_HDR_F_DATA_VALID && !from_guest && has(HAS_CHECKSUMS);

    if (frame < 14 || frame > 65535 + 18)
        return false;
    if (partial && (!has(HAS_CHECKSUMS) || h->csum_start + h->csum_offset + 2u > frame))
        return false;
    if (h->gso_type != 0 && (!partial || h->gso_size == 0 || !may_segment(h->gso_type)))
        return false;
    *h = (struct virtio_net_header){.flags = (uint8_t)((partial ? 1 : 0) | (valid ? 2 : 0)),
                                    .gso_type = h->gso_type,
                                    .gso_size = h->gso_type != 0 ? h->gso_size : 0,
                                    .header_len =
                                        h->header_len > frame ? (uint16_t)frame : h->header_len,
                                    .csum_start = partial ? h->csum_start : 0,
                                    .csum_offset = partial ? h->csum_offset : 0};
    return true;
}

static struct virtio_net_header header_of(const struct record *record)
{
    static const uint8_t types[] = {0, 0, 1, 4, 3, 5, 0x81, 77};
    struct virtio_net_header h = {.flags = record->extra & 7,
                                  .gso_type = types[record->extra >> 3 & 7],
                                  .header_len = record->more,
                                  .csum_start = record->more % 128,
                                  .csum_offset = record->seed,
                                  .buffers = record->more};

    h.gso_size = record->extra & 0x40 ? 0 : 1000;
    return record->extra & 0x80 ? (struct virtio_net_header){0} : h;
}

/* --- frames to the guest --- */

enum verdict { NONE, WAITS, DROPPED, DELIVERED, FAULT, NO_FRAME };

struct incoming {
    struct virtio_net_header header;
    const uint8_t *data;
    uint32_t len, taken;
    unsigned buffers;
};

static bool is_tagged(const struct incoming *in)
{
    return (in->data[12] == 0x81 && in->data[13] == 0) ||
           (in->data[12] == 0x88 && in->data[13] == 0xa8);
}

static bool exceeds_mtu(const struct incoming *in)
{
    return has(HAS_MTU) && in->header.gso_type == 0 && in->len > 1514 &&
           (in->len > 1518 || !is_tagged(in));
}

static enum verdict parse(struct incoming *in)
{
    const size_t left = sent_end - sent_first;
    uint32_t length;

    if (left < 4)
        return NONE;
    memcpy(&length, sent + sent_first, 4);
    length = be32toh(length);
    if (!has(IS_TAP) && (length < 14 || length > 65535 + 18))
        return NO_FRAME;
    if (left - 4 < length)
        return NONE;
    *in = (struct incoming){.data = sent + sent_first + 4, .len = length, .taken = 4 + length};
    if (!has(IS_TAP))
        return exceeds_mtu(in) ? DROPPED : DELIVERED;
    if (length < HEADER)
        return DROPPED;
    memcpy(&in->header, in->data, HEADER);
    in->data += HEADER;
    in->len -= HEADER;
    return judge(&in->header, in->len, false) && !exceeds_mtu(in) ? DELIVERED : DROPPED;
}

/* What becomes of the next frame, with the buffers there are now. */
static enum verdict foresee(struct incoming *in)
{
    const enum verdict parsed = parse(in);
    const unsigned most = has(MERGEABLE) ? QUEUE : 1;
    uint32_t need = HEADER + in->len;

    if (parsed != DELIVERED)
        return parsed;
    for (in->buffers = 0; in->buffers < most && in->buffers < queues[RX].count;) {
        const struct chain *chain = chain_at(&queues[RX], in->buffers++);

        if (chain->malformed)
            return FAULT;
        if (need <= chain->bytes)
            return DELIVERED;
        need -= chain->bytes;
    }
    return in->buffers == most ? DROPPED : WAITS;
}

static void take_frame(struct incoming *in)
{
    uint32_t have = 0;

    for (unsigned i = 0; i < in->buffers; i++) {
        const unsigned head = queues[RX].first % QUEUE;
        const struct chain *chain = drop_first(&queues[RX]);
        const uint32_t want = HEADER + in->len - have;
        struct virtq_used_elem used;

        must(fake_used(&guest, RX, &used) && used.id == head);
        must(used.len == (want < chain->bytes ? want : chain->bytes));
        check_guards(chain);
        copy_chain(chain, scratch + have, used.len, true);
        have += used.len;
    }
    in->header.buffers = (uint16_t)in->buffers;
    must(have == HEADER + in->len);
    must(memcmp(scratch, &in->header, HEADER) == 0);
    must(memcmp(scratch + HEADER, in->data, in->len) == 0);
}

/* Goes through what the guest got. Frames that are dropped leave no trace: the next one shows. */
static void observe_rx(void)
{
    const struct fake_queue *q = &guest.queue[RX];
    struct incoming in = {0};

    while (q->used->idx != q->seen) {
        const enum verdict verdict = foresee(&in);

        must(verdict == DELIVERED || verdict == DROPPED);
        if (verdict == DELIVERED)
            take_frame(&in);
        sent_first += in.taken;
    }
}

/* When the device has had its turns: what is to be dropped was. */
static enum verdict skip_dropped(void)
{
    struct incoming in = {0};
    enum verdict verdict;

    while ((verdict = foresee(&in)) == DROPPED)
        sent_first += in.taken;
    return verdict;
}

/* --- frames from the guest --- */

static void observe_tx(void)
{
    struct virtq_used_elem used;

    while (fake_used(&guest, TX, &used)) {
        const unsigned head = queues[TX].first % QUEUE;
        const struct chain *chain = drop_first(&queues[TX]);
        struct virtio_net_header header = chain->header;

        must(used.id == head && used.len == 0 && !chain->malformed);
        check_guards(chain);
        if (!judge(&header, chain->bytes - HEADER, true) || peer < 0 || net->port.fd < 0)
            continue;
        must(out_end - out_first < OUT);
        outgoing[out_end++ % OUT] = (struct outgoing){header, chain->seed, chain->bytes - HEADER};
    }
}

static void read_packet(void)
{
    ssize_t got = read(peer, scratch, sizeof(scratch));
    const struct outgoing *o = &outgoing[out_first % OUT];

    if (got <= 0)
        return;
    must(out_first++ != out_end && got == HEADER + (ssize_t)o->len);
    must(memcmp(scratch, &o->header, HEADER) == 0);
    for (uint32_t i = 0; i < o->len; i++)
        must(scratch[HEADER + i] == pattern(o->seed, i));
}

static void check_stream_byte(uint8_t byte)
{
    const struct outgoing *o = &outgoing[out_first % OUT];

    must(out_first != out_end);
    must(byte ==
         (out_at < 4 ? (uint8_t)(o->len >> (24 - 8 * out_at)) : pattern(o->seed, out_at - 4)));
    if (++out_at == 4 + o->len) {
        out_at = 0;
        out_first++;
    }
}

static void peer_reads(size_t most)
{
    ssize_t got;

    if (peer < 0)
        return;
    if (has(IS_TAP)) {
        read_packet();
        return;
    }
    got = read(peer, scratch, most < sizeof(scratch) ? most : sizeof(scratch));
    for (ssize_t i = 0; i < got; i++)
        check_stream_byte(scratch[i]);
}

/* --- the peer and the driver come and go --- */

static void forget_peer(void)
{
    if (peer >= 0)
        close(peer);
    peer = -1;
    out_first = out_end = out_at = 0;
    sent_first = sent_end = 0;
}

static int new_peer(void)
{
    const int type = has(IS_TAP) ? SOCK_SEQPACKET : SOCK_STREAM;
    int ends[2];

    must(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, ends) == 0);
    peer = ends[1];
    return ends[0];
}

static void start(void)
{
    uint64_t features = FEATURE(CTRL_VQ) | FEATURE(GUEST_ANNOUNCE);

    features |= VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC);
    features |= has(HAS_MTU) ? FEATURE(MTU) : 0;
    features |= has(MERGEABLE) ? FEATURE(MRG_RXBUF) : 0;
    features |= has(HAS_EVENT_IDX) ? VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX) : 0;
    if (!has(IS_TAP))
        options &= ~(unsigned)(HAS_CHECKSUMS | HAS_TSO);
    features |= has(HAS_CHECKSUMS) ? FEATURE(CSUM) | FEATURE(GUEST_CSUM) : 0;
    if (has(HAS_TSO))
        features |=
            FEATURE(HOST_TSO4) | FEATURE(HOST_TSO6) | FEATURE(GUEST_TSO4) | FEATURE(GUEST_TSO6);
    memset(queues, 0, sizeof(queues));
    announced = malformed_tx = malformed_any = false;
    fake_start(&guest, features, VIRTIO_NET_QUEUES, QUEUE);
    must(!fake_needs_reset(&guest));
}

/* A link that went down without the peer's doing would be a mistake. */
static void observe_link(void)
{
    if (peer < 0 || net->port.fd >= 0)
        return;
    must(!has(IS_TAP) && skip_dropped() == NO_FRAME);
    forget_peer();
}

/* After a fault by tx it is not known how far rx got. */
static void observe_fault(void)
{
    if (!fake_needs_reset(&guest))
        return;
    must(malformed_any);
    if (malformed_tx) {
        forget_peer();
        net_connect(net, new_peer());
    } else {
        skip_dropped();
    }
    start();
}

static void observe(void)
{
    observe_tx();
    observe_rx();
    observe_link();
    observe_fault();
}

static void turn(void)
{
    must(loop_turn(&loop, 0, NULL) == 0);
    observe();
}

/* Until nothing more happens. Whoever kicks when asked gets the same answers. */
static void settle(void)
{
    for (int i = 0; i < 6; i++) {
        fake_kick(&guest, RX);
        observe();
        turn();
    }
}

static void check_settled(void)
{
    enum verdict verdict;

    settle();
    verdict = skip_dropped();
    must(verdict == NONE || verdict == WAITS);
}

/* --- actions --- */

static void add_buffer(const struct record *record)
{
    struct chain chain = {.bytes =
                              record->len % 5 == 0 ? SLOT - 0x100 : record->len % 600 + HEADER};

    if (queues[RX].count == QUEUE)
        return;
    chain.malformed = record->extra == 255;
    if (chain.malformed && record->seed & 1)
        chain.bytes = 1 + record->len % (HEADER - 1);
    post(RX, &chain, record, VIRTQ_DESC_F_WRITE);
    fake_add(&guest, RX, (uint16_t)((queues[RX].first + queues[RX].count - 1) % QUEUE));
    if (record->shape & 1)
        fake_kick(&guest, RX);
    observe();
}

static uint32_t frame_length(const struct record *record)
{
    if (record->shape & 2)
        return 65535 + 18 - 4 + record->len % 8;
    if (record->shape & 16) /* at the MTU's edge, with a tag or without */
        return 1514 - 4 + record->len % 16;
    return record->shape & 4 ? record->len % 65000 : record->len % 2000;
}

static void send_frame(const struct record *record)
{
    struct chain chain = {.header = header_of(record), .seed = record->seed};
    const uint32_t len = frame_length(record);

    if (queues[TX].count == QUEUE)
        return;
    chain.malformed = record->more == UINT16_MAX;
    if (chain.malformed)
        check_settled();
    if (queues[TX].count == QUEUE)
        return;
    chain.bytes =
        chain.malformed && record->len & 1 ? 1 + record->len % (HEADER - 1) : HEADER + len;
    memcpy(scratch, &chain.header, HEADER);
    fill(scratch + HEADER, chain.seed, len);
    post(TX, &chain, record, 0);
    copy_chain(&chain, scratch, chain.bytes, false);
    malformed_tx |= chain.malformed;
    fake_add(&guest, TX, (uint16_t)((queues[TX].first + queues[TX].count - 1) % QUEUE));
    if (record->shape & 1)
        fake_kick(&guest, TX);
    observe();
}

/* What the peer could say of it. */
static void peer_says(const void *bytes, size_t len)
{
    uint32_t length = htobe32((uint32_t)len);
    ssize_t done;

    if (peer < 0 || sent_end + len + 4 > SENT_BYTES || len == 0)
        return;
    done = send(peer, bytes, len, MSG_NOSIGNAL);
    if (done <= 0)
        return;
    if (has(IS_TAP)) {
        memcpy(sent + sent_end, &length, 4);
        sent_end += 4;
    }
    memcpy(sent + sent_end, bytes, (size_t)done);
    sent_end += (size_t)done;
}

static void peer_sends_frame(const struct record *record)
{
    const uint32_t len = frame_length(record), length = htobe32(len);
    const struct virtio_net_header header = header_of(record);
    const size_t before = has(IS_TAP) ? HEADER : 4;
    const uint32_t short_of = 1 + record->more % 4 < len ? 1 + record->more % 4 : len;
    static uint8_t rest[SLOT];

    memcpy(scratch, has(IS_TAP) ? (const void *)&header : &length, before);
    fill(scratch + before, record->seed, len);
    if (record->seed % 4 == 0 && len > 18) /* the tag of a VLAN */
        memcpy(scratch + before + 12, (const uint8_t[]){0x81, 0}, 2);
    if (has(IS_TAP) || !(record->shape & 8)) {
        peer_says(scratch, before + len);
        return;
    }
    fill(rest, record->seed, len); /* the device's turn comes just before the end */
    peer_says(scratch, before + len - short_of);
    turn();
    peer_says(rest + len - short_of, short_of);
}

static void change_driver(const struct record *record)
{
    check_settled();
    options = (options & IS_TAP) | (record->extra & ~(unsigned)IS_TAP);
    start();
}

static void peer_goes(const struct record *record)
{
    if (peer < 0) {
        net_connect(net, new_peer());
        return;
    }
    close(peer);
    peer = -1;
    out_first = out_end = out_at = 0;
    settle();
    if (peer >= 0) /* a malformed chain was behind frames that waited: observe_fault began anew */
        return;
    must(net->port.fd < 0);
    sent_first = sent_end = 0;
    if (record->shape & 1)
        net_connect(net, new_peer());
}

static void command(const struct record *record)
{
    const bool ack = record->seed % 4 == 3 && record->extra == 0;
    const uint32_t len = record->len % 4 + 1, room = record->more % 3;
    const uint8_t bytes[4] = {record->seed % 4, record->extra};
    uint8_t *data = fake_at(&guest, CTRL_DATA);
    struct virtq_used_elem used;

    if (len < 2 || room == 0)
        check_settled();
    memcpy(data, bytes, 4);
    memset(data + 16, UNTOUCHED, 4);
    fake_desc(&guest, CTRL, 0, CTRL_DATA, len, room > 0 ? VIRTQ_DESC_F_NEXT : 0, 1);
    fake_desc(&guest, CTRL, 1, CTRL_DATA + 16, room, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest, CTRL, 0);
    fake_kick(&guest, CTRL);
    if (len < 2 || room == 0) {
        must(fake_needs_reset(&guest));
        malformed_any = true;
        observe();
        return;
    }
    must(fake_used(&guest, CTRL, &used) && used.len == 1);
    must(data[16] == (ack ? VIRTIO_NET_OK : VIRTIO_NET_ERR) && data[17] == UNTOUCHED);
    announced = announced && !ack;
}

static void check_status(void)
{
    const uint32_t status = fake_reg(&guest, VIRTIO_MMIO_CONFIG + 4) >> 16;

    must(status == ((net->port.fd >= 0 ? 1u : 0u) | (announced ? 2u : 0u)));
}

/* Returns how many of the bytes behind the record it used. */
static size_t act(const struct record *record, const uint8_t *behind, size_t size)
{
    switch (record->action % 12) {
    case 0:
    case 1:
        add_buffer(record);
        break;
    case 2:
    case 3:
        send_frame(record);
        break;
    case 4:
    case 5:
        peer_sends_frame(record);
        break;
    case 6:
        size = record->len % 64 < size ? record->len % 64 : size;
        peer_says(behind, size);
        return size;
    case 7:
        peer_reads(record->len * 2u);
        break;
    case 8:
        turn();
        break;
    case 9:
        change_driver(record);
        break;
    case 10:
        if (record->shape & 2)
            peer_goes(record);
        else
            command(record);
        break;
    default:
        net_announce(net);
        announced = true;
    }
    return 0;
}

/* With a peer that reads and a driver that is kicked nothing stays undone. */
static void finish(void)
{
    for (int i = 0; i < 400 && (out_first != out_end || queues[TX].count > 0); i++) {
        fake_kick(&guest, TX);
        turn();
        peer_reads(sizeof(scratch));
    }
    must(queues[TX].count == 0 && (peer < 0 || out_first == out_end));
    check_settled();
    peer_reads(1);
    for (unsigned i = 0; i < queues[RX].count; i++)
        check_guards(chain_at(&queues[RX], i));
}

static void open_net(void)
{
    struct net_config config = {.port = {.kind = has(IS_TAP) ? NET_TAP : NET_STREAM}};
    struct virtio_host host;

    if (!ready) {
        signal(SIGPIPE, SIG_IGN);
        fake_open(&guest);
        must(loop_init(&loop, &lock, NULL) == 0);
        ready = true;
    }
    host = fake_host(&guest);
    config.mtu = 1500;
    config.port.fd = new_peer();
    config.port.offloads = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;
    net = net_new(&config, &host, &loop, NULL);
    must(net != NULL);
    guest.dev = net_device(net);
    start();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;

    if (size == 0)
        return 0;
    options = data[0];
    data++;
    size--;
    open_net();
    while (size >= sizeof(record)) {
        size_t used;

        memcpy(&record, data, sizeof(record));
        data += sizeof(record);
        size -= sizeof(record);
        used = act(&record, data, size);
        data += used;
        size -= used;
        check_status();
    }
    finish();
    net_free(net);
    forget_peer();
    return 0;
}
