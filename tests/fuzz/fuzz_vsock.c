/*
 * libFuzzer: a guest and a host that do anything in any order. Input: records of eight bytes, each
 * an action. Checked throughout: packets to the guest are well-formed and within its credit, what
 * the device holds stays within the credit it gave, each packet of the guest's does to its
 * connection what it has to and to no other, whoever is refused hears so, the device breaks only
 * when a length lies, and afterwards it works again. Messages: each has its length in front, so
 * that whoever receives one knows whether it is whole and alone; those in several packets follow
 * each other. Links to tests/devices/fake_guest.c.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "abi/platform.h"
#include "devices/vsock_state.h"
#include "monitor/unix_socket.h"
#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RX = VIRTIO_VSOCK_QUEUE_RX, TX = VIRTIO_VSOCK_QUEUE_TX, QUEUE = 16 };
enum {
    RX_BYTES = 512,
    PORTS = 6,
    STREAM_PORTS = 4,
    PEERS = 8,
    DIALS = 8,
    TX_DATA = FAKE_DATA + (1 << 20)
};

struct record {
    uint8_t action, op, port, mine;
    uint16_t len;
    uint8_t lie, credit;
};

/* The guest's view of one connection: packets in the ring may be older than what it said last, so
 * the edge is the furthest byte it ever gave credit for. */
struct view {
    bool open;
    uint16_t type;
    uint32_t got, consumed;
    uint64_t edge;
    uint32_t message; /* received of one to the guest that has not ended */
    uint32_t whole;   /* its length, as it says itself */
    unsigned owed;    /* RSTs for packets that were refused */
};

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct fake_guest guest;
static struct event_loop loop;
static struct vsock *vsock;
static struct view views[PORTS + 3][256], elsewhere, nowhere; /* ... the other hosts there are */
static char path[64];
static int servers[2] = {-1, -1}, peers[PEERS];
static unsigned next_peer;
static uint8_t block[65536];
static struct unix_listener listeners[VSOCK_KINDS];
static struct {
    uint32_t port;
    int type;
    uint64_t ticket;
} dialled[DIALS]; /* wishes of the device not answered yet */
static unsigned dials;

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- the guest --- */

/* A record's port: streams, standard streams, messages. */
static uint32_t host_port(uint8_t port)
{
    unsigned at = port % (PORTS + 3);

    if (at >= STREAM_PORTS && at < STREAM_PORTS + 3)
        return SAMARA_STDIO_PORT + at - STREAM_PORTS;
    return 80 + (at < STREAM_PORTS ? at : at - 3);
}

static bool is_of_messages(uint32_t port)
{
    return port >= 80 + STREAM_PORTS && port < 80 + PORTS;
}

static struct view *view_of(uint32_t at_host, uint32_t at_guest)
{
    if (at_guest > 255)
        return &elsewhere;
    if (at_host >= SAMARA_STDIO_PORT && at_host <= SAMARA_STDIO_PORT + 2)
        return &views[PORTS + at_host - SAMARA_STDIO_PORT][at_guest];
    return at_host >= 80 && at_host < 80 + PORTS ? &views[at_host - 80][at_guest] : &elsewhere;
}

static void offer(uint16_t slot)
{
    fake_desc(&guest, RX, slot, FAKE_DATA + slot * RX_BYTES, RX_BYTES, VIRTQ_DESC_F_WRITE, 0);
    fake_add(&guest, RX, slot);
}

static void start(void)
{
    fake_start(&guest, VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET), VIRTIO_VSOCK_QUEUES, QUEUE);
    memset(views, 0, sizeof(views));
    nowhere.owed = 0;
    for (uint16_t i = 0; i < QUEUE; i++)
        offer(i);
    fake_kick(&guest, RX);
    must(!fake_needs_reset(&guest));
}

/* A message begins with its length, 4 bytes, if it is that long at all. */
static void check_message(struct view *view, const struct virtio_vsock_hdr *hdr,
                          const uint8_t *bytes)
{
    if (hdr->op != VIRTIO_VSOCK_OP_RW)
        return;
    must((hdr->flags & ~(uint32_t)VIRTIO_VSOCK_SEQ_EOM) == 0);
    if (view->message == 0) {
        view->whole = hdr->len;
        if (hdr->len >= sizeof(view->whole))
            memcpy(&view->whole, bytes, sizeof(view->whole));
    }
    view->message += hdr->len;
    must(view == &elsewhere || view->message <= view->whole);
    if (hdr->flags & VIRTIO_VSOCK_SEQ_EOM) {
        must(view == &elsewhere || view->message == view->whole);
        view->message = 0;
    }
}

static void hears_of_refusal(struct view *view)
{
    if (view->owed > 0)
        view->owed--;
}

static void check_packet(const struct virtio_vsock_hdr *hdr, const uint8_t *bytes,
                         uint32_t used_len)
{
    struct view *view = view_of(hdr->src_port, hdr->dst_port);

    must(used_len == sizeof(*hdr) + hdr->len);
    must(hdr->dst_cid == 3 &&
         (hdr->type == VIRTIO_VSOCK_TYPE_STREAM || hdr->type == VIRTIO_VSOCK_TYPE_SEQPACKET));
    must(hdr->op >= VIRTIO_VSOCK_OP_REQUEST && hdr->op <= VIRTIO_VSOCK_OP_CREDIT_UPDATE);
    must(hdr->len == 0 || hdr->op == VIRTIO_VSOCK_OP_RW);
    if (hdr->op == VIRTIO_VSOCK_OP_SHUTDOWN)
        must(hdr->flags >= 1 && hdr->flags <= 3);
    else if (hdr->type == VIRTIO_VSOCK_TYPE_STREAM)
        must(hdr->flags == 0);
    if (hdr->src_cid != VSOCK_HOST_CID) { /* in the name of a host that is not there */
        must(hdr->op == VIRTIO_VSOCK_OP_RST);
        hears_of_refusal(&nowhere);
        return;
    }
    if (hdr->op == VIRTIO_VSOCK_OP_RST)
        hears_of_refusal(view);
    if (hdr->op == VIRTIO_VSOCK_OP_RESPONSE || hdr->op == VIRTIO_VSOCK_OP_RST)
        view->got = view->message = 0;
    if (hdr->op == VIRTIO_VSOCK_OP_RESPONSE) {
        view->open = true;
        view->type = hdr->type;
    }
    if (hdr->op == VIRTIO_VSOCK_OP_RST)
        view->open = false;
    view->got += hdr->len;
    if (view != &elsewhere && hdr->len > 0)
        must(view->open && hdr->type == view->type && view->got <= view->edge);
    if (hdr->type == VIRTIO_VSOCK_TYPE_SEQPACKET)
        check_message(view, hdr, bytes);
}

static void take_packets(unsigned most)
{
    struct virtq_used_elem used;
    struct virtio_vsock_hdr hdr;

    while (most-- > 0 && fake_used(&guest, RX, &used)) {
        must(used.id < QUEUE);
        memcpy(&hdr, fake_at(&guest, FAKE_DATA + used.id * RX_BYTES), sizeof(hdr));
        check_packet(&hdr, fake_at(&guest, FAKE_DATA + used.id * RX_BYTES + sizeof(hdr)), used.len);
        offer((uint16_t)used.id);
        fake_kick(&guest, RX);
    }
}

/* --- what a packet does --- */

enum lie {
    TRUTH,
    OF_ANOTHER,
    TO_ANOTHER,
    OF_UNKNOWN_TYPE,
    OF_ANOTHER_LENGTH,
    CONSUMED_TOO_MUCH,
    OF_THE_OTHER_TYPE
};

/* The connection that a packet names, as it was before. */
struct before {
    struct vsock_conn *conn; /* NULL: there was none */
    struct vsock_conn was;
    bool stdio; /* a REQUEST would be answered at once */
};

static struct before look(const struct virtio_vsock_hdr *hdr)
{
    const uint32_t number = hdr->dst_port - SAMARA_STDIO_PORT;
    struct before b = {.conn = conn_find(vsock, hdr->dst_port, hdr->src_port)};

    if (b.conn != NULL)
        b.was = *b.conn;
    b.stdio = number < 3 && vsock->stdio[number].fd >= 0;
    return b;
}

static bool is_known_type(uint16_t type)
{
    return type == VIRTIO_VSOCK_TYPE_STREAM ||
           (type == VIRTIO_VSOCK_TYPE_SEQPACKET && vsock_has_messages(vsock));
}

static bool is_of_its_type(const struct before *b, const struct virtio_vsock_hdr *hdr)
{
    return is_known_type(hdr->type) &&
           (hdr->type == VIRTIO_VSOCK_TYPE_SEQPACKET) == (b->was.kind == VSOCK_MESSAGES);
}

/* The counts that matter may have moved while the device was sending, before it came to the packet:
 * in between nothing is certain. */
static bool is_surely_wrong(const struct before *b, const struct virtio_vsock_hdr *hdr,
                            const struct vsock_conn *now)
{
    const uint32_t ahead = hdr->fwd_cnt - b->was.peer_forwarded;

    if (!is_of_its_type(b, hdr) || hdr->op == 0 || hdr->op > 7)
        return true;
    if (hdr->op == VIRTIO_VSOCK_OP_REQUEST || hdr->op == VIRTIO_VSOCK_OP_RESPONSE ||
        hdr->op == VIRTIO_VSOCK_OP_RST)
        return true;
    if (ahead <= UINT32_MAX / 2 && ahead > now->sent - b->was.peer_forwarded)
        return true;
    if (hdr->op != VIRTIO_VSOCK_OP_RW)
        return false;
    if (b->was.kind == VSOCK_MESSAGES) /* whose ends take room as well */
        return b->was.guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND;
    return b->was.guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND ||
           hdr->len > conn_buf_alloc(now) - (b->was.received - b->was.forwarded);
}

static bool is_surely_right(const struct before *b, const struct virtio_vsock_hdr *hdr)
{
    const uint32_t ahead = hdr->fwd_cnt - b->was.peer_forwarded;

    if (!is_of_its_type(b, hdr) || b->was.hung_up || b->was.guest_shut != 0)
        return false;
    if (ahead <= UINT32_MAX / 2 && ahead > b->was.sent - b->was.peer_forwarded)
        return false;
    if (hdr->op == VIRTIO_VSOCK_OP_CREDIT_UPDATE || hdr->op == VIRTIO_VSOCK_OP_CREDIT_REQUEST)
        return true;
    return hdr->op == VIRTIO_VSOCK_OP_RW && b->was.kind == VSOCK_BYTES &&
           hdr->len <= conn_buf_alloc(b->conn) - (b->was.received - b->was.told);
}

static void check_open(const struct before *b, const struct virtio_vsock_hdr *hdr, bool addressed)
{
    const struct vsock_conn *now = conn_find(vsock, hdr->dst_port, hdr->src_port);
    const bool alive =
        now != NULL && now == b->conn && now->born == b->was.born && now->state == CONN_OPEN;

    if (!addressed)
        must(alive || b->was.hung_up || b->was.guest_shut != 0);
    else if (alive)
        must(!is_surely_wrong(b, hdr, now));
    else
        must(!is_surely_right(b, hdr));
}

/* Nobody is there: a REQUEST makes a connection, all else is refused. */
static void check_unknown(const struct before *b, const struct virtio_vsock_hdr *hdr,
                          bool addressed)
{
    const struct vsock_conn *now = conn_find(vsock, hdr->dst_port, hdr->src_port);
    const bool is_request = is_known_type(hdr->type) && hdr->op == VIRTIO_VSOCK_OP_REQUEST;
    const bool bytes = hdr->type == VIRTIO_VSOCK_TYPE_STREAM;
    const bool is_possible = hdr->dst_port < SAMARA_STDIO_PORT || (b->stdio && bytes);

    if (addressed && is_request && is_possible) {
        must(now != NULL && now->state == (b->stdio ? CONN_OPEN : CONN_CONNECTING));
        return;
    }
    must(now == NULL);
    if (addressed && hdr->op != VIRTIO_VSOCK_OP_RST)
        view_of(hdr->dst_port, hdr->src_port)->owed++;
}

static void check_effect(const struct before *b, const struct virtio_vsock_hdr *hdr)
{
    const bool addressed = hdr->src_cid == 3 && hdr->dst_cid == VSOCK_HOST_CID;

    if (hdr->src_cid == 3 && !addressed && hdr->op != VIRTIO_VSOCK_OP_RST)
        nowhere.owed++;
    if (b->conn == NULL)
        check_unknown(b, hdr, addressed);
    else if (b->was.state == CONN_OPEN)
        check_open(b, hdr, addressed);
}

static uint16_t type_of(const struct record *record)
{
    if (record->lie == OF_UNKNOWN_TYPE)
        return 7;
    return is_of_messages(host_port(record->port)) != (record->lie == OF_THE_OTHER_TYPE)
               ? VIRTIO_VSOCK_TYPE_SEQPACKET
               : VIRTIO_VSOCK_TYPE_STREAM;
}

static void send_packet(const struct record *record)
{
    uint32_t port = host_port(record->port);
    struct view *view = view_of(port, record->mine);
    struct virtio_vsock_hdr hdr = {
        .src_cid = record->lie == OF_ANOTHER ? 9 : 3,
        .dst_cid = record->lie == TO_ANOTHER ? 9 : VSOCK_HOST_CID,
        .src_port = record->mine,
        .dst_port = port,
        .len = record->lie == OF_ANOTHER_LENGTH ? record->len + 1u : record->len,
        .type = type_of(record),
        .op = record->op % 10,
        .flags = record->credit,
    };
    struct virtq_used_elem used;
    struct before before;

    hdr.buf_alloc = 97u * record->credit;
    hdr.fwd_cnt = view->got + (record->lie == CONSUMED_TOO_MUCH);
    if (hdr.fwd_cnt > view->consumed)
        view->consumed = hdr.fwd_cnt;
    if (view->consumed + (uint64_t)hdr.buf_alloc > view->edge)
        view->edge = view->consumed + (uint64_t)hdr.buf_alloc;
    before = look(&hdr);
    memcpy(fake_at(&guest, TX_DATA), &hdr, sizeof(hdr));
    fake_desc(&guest, TX, 0, TX_DATA, (uint32_t)sizeof(hdr) + record->len, 0, 0);
    fake_add(&guest, TX, 0);
    fake_kick(&guest, TX);
    /* A device that cannot answer takes nothing, and so meets no lie. */
    must(!fake_needs_reset(&guest) || record->lie == OF_ANOTHER_LENGTH);
    must(fake_needs_reset(&guest) || record->lie != OF_ANOTHER_LENGTH ||
         vsock->refusals == VSOCK_REFUSALS);
    if (record->lie == OF_ANOTHER_LENGTH)
        start();
    else if (!fake_used(&guest, TX, &used))
        start(); /* refusals are full: begin anew rather than reuse the descriptor */
    else
        check_effect(&before, &hdr);
}

/* --- the host --- */

static void keep_peer(int fd)
{
    int *peer = &peers[next_peer++ % PEERS];

    if (*peer >= 0)
        close(*peer);
    *peer = fd;
}

static void connect_client(const struct record *record, enum vsock_kind kind)
{
    static const char *const lines[] = {"CONNECT 7\n", "CONNECT 7", "x\n", "CONNECT 99999999999\n"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int type = kind == VSOCK_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    const char *line = lines[record->op % 4];

    strcpy(address.sun_path, listeners[kind].path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        (void)!write(fd, line, strlen(line));
    keep_peer(fd);
}

/* With its length in front, if that has room: see check_message. */
static void send_block(int fd, uint32_t len)
{
    if (len >= sizeof(len))
        memcpy(block, &len, sizeof(len));
    (void)!send(fd, block, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void host_action(const struct record *record)
{
    enum vsock_kind kind = record->lie & 1 ? VSOCK_MESSAGES : VSOCK_BYTES;
    int fd = peers[record->port % PEERS];

    switch (record->op % 6) {
    case 0:
        fd = accept4(servers[kind], NULL, NULL, SOCK_NONBLOCK);
        if (fd >= 0)
            keep_peer(fd);
        break;
    case 1:
        send_block(fd, record->len);
        break;
    case 2:
        (void)!recv(fd, block, sizeof(block), MSG_DONTWAIT);
        break;
    case 3:
        shutdown(fd, record->mine % 3);
        break;
    case 4:
        keep_peer(-1);
        break;
    default:
        connect_client(record, kind);
    }
}

/* --- the device's owner --- */

static bool dial(void *arg, uint32_t port, enum vsock_kind kind, uint64_t ticket)
{
    (void)arg;
    if (dials == DIALS)
        return false;
    dialled[dials].port = port;
    dialled[dials].type = kind == VSOCK_MESSAGES ? SOCK_SEQPACKET : SOCK_STREAM;
    dialled[dials++].ticket = ticket;
    return true;
}

static void answer_dial(void)
{
    char server_path[80];

    if (dials == 0)
        return;
    snprintf(server_path, sizeof(server_path), "%s_%u", path, dialled[--dials].port);
    vsock_dialled(vsock, dialled[dials].ticket,
                  unix_connect_type(dialled[dials].type, server_path));
}

/* --- a run --- */

static void check_held(void)
{
    for (unsigned i = 0; i < vsock->used; i++) {
        const struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_FREE)
            continue;
        must(conn->held - conn->empties <= conn_buf_alloc(conn) && conn->held <= buffer_size(conn));
        must(conn->kind == VSOCK_MESSAGES || (conn->whole | conn->empties | conn->part) == 0);
        must(conn->whole + conn->part <= conn->held);
        must(conn->state != CONN_OPEN ||
             conn->received - conn->forwarded == conn->held - conn->empties);
    }
}

/* With buffers for them, whoever was refused hears so. */
static void check_owed(void)
{
    for (int i = 0; i < 20; i++) {
        must(loop_turn(&loop, 0, NULL) == 0);
        take_packets(4 * QUEUE);
    }
    must(nowhere.owed == 0);
    for (unsigned port = 0; port < PORTS + 3; port++) {
        for (unsigned mine = 0; mine < 256; mine++)
            must(views[port][mine].owed == 0);
    }
}

static void open_all(void)
{
    struct vsock_config config = {.guest_cid = 3, .dial = dial};
    struct virtio_host host;
    char messages_path[80];
    int pipe_ends[2];

    must(loop_init(&loop, &lock, NULL) == 0);
    host = fake_host(&guest);
    must(pipe2(pipe_ends, O_NONBLOCK) == 0);
    config.stdio[0] = (struct stream_fd){.fd = open("/dev/zero", O_RDONLY)};
    config.stdio[1] = (struct stream_fd){.fd = pipe_ends[1]};
    config.stdio[2] = (struct stream_fd){.fd = open("/dev/null", O_WRONLY)};
    next_peer = 0;
    for (unsigned i = 0; i < PEERS; i++)
        peers[i] = -1;
    keep_peer(pipe_ends[0]);
    snprintf(messages_path, sizeof(messages_path), "%s.seqpacket", path);
    must(unix_listen(&listeners[VSOCK_BYTES], path, sizeof(path), NULL) == 0);
    must(unix_listen_type(&listeners[VSOCK_MESSAGES], SOCK_SEQPACKET, messages_path,
                          sizeof(messages_path), NULL) == 0);
    for (unsigned i = 0; i < VSOCK_KINDS; i++) {
        config.listen_fds[i] = listeners[i].fd;
        listeners[i].fd = -1;
    }
    dials = 0;
    vsock = vsock_new(&config, &host, &loop, NULL);
    must(vsock != NULL);
    guest.dev = vsock_device(vsock);
    start();
}

static void close_all(void)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (peers[i] >= 0)
            close(peers[i]);
    vsock_free(vsock);
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        unix_unlisten(&listeners[i]);
    loop_close(&loop);
}

/* Nobody is at the other ports. */
static int serve(int type, unsigned port)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s_%u", path, port);
    unlink(address.sun_path);
    must(bind(server, (const struct sockaddr *)&address, sizeof(address)) == 0);
    must(listen(server, 64) == 0);
    return server;
}

static void open_once(void)
{
    signal(SIGPIPE, SIG_IGN);
    fake_open(&guest);
    snprintf(path, sizeof(path), "/tmp/samara-fuzz-%d.sock", (int)getpid());
    unlink(path);
    servers[0] = serve(SOCK_STREAM, 80);
    servers[1] = serve(SOCK_SEQPACKET, 80 + STREAM_PORTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct record record;

    if (servers[0] < 0)
        open_once();
    open_all();
    for (; size >= sizeof(record); data += sizeof(record), size -= sizeof(record)) {
        memcpy(&record, data, sizeof(record));
        switch (record.action % 4) {
        case 0:
            send_packet(&record);
            break;
        case 1:
            host_action(&record);
            break;
        case 2:
            must(loop_turn(&loop, 0, NULL) == 0);
            answer_dial();
            break;
        default:
            take_packets(record.op);
        }
        must(!fake_needs_reset(&guest));
        check_held();
    }
    check_owed();
    close_all();
    return 0;
}
