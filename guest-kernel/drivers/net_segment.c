#include "guest-kernel/drivers/net_segment.h"
#include "abi/virtio_net.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "lwip/inet_chksum.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"

enum {
    IP_AT = SIZEOF_ETH_HDR,
    IP_MOST = 65535,
    SEQ_AT = 4, /* in TCP's header */
    ACK_AT = 8,
    FLAGS_AT = 13,
    WINDOW_AT = 14,
    CHECKSUM_AT = 16,
};

struct segment {
    const u8 *bytes; /* the frame's first ones: all headers */
    bool ip6;
    u16 tcp_at, data_at;
    u32 data; /* bytes */
};

/* False if the frame is no TCP segment with all headers in its first piece. */
static bool find(const struct pbuf *p, struct segment *s)
{
    const struct eth_hdr *eth = p->payload;
    const struct ip_hdr *ip4;
    const struct ip6_hdr *ip6;

    *s = (struct segment){.bytes = p->payload};
    ip4 = (const void *)(s->bytes + IP_AT);
    ip6 = (const void *)(s->bytes + IP_AT);
    if (p->len < IP_AT + IP_HLEN + TCP_HLEN)
        return false;
    if (eth->type == PP_HTONS(ETHTYPE_IP) && IPH_PROTO(ip4) == IP_PROTO_TCP)
        s->tcp_at = (u16)(IP_AT + IPH_HL_BYTES(ip4));
    else if (eth->type == PP_HTONS(ETHTYPE_IPV6) && IP6H_NEXTH(ip6) == IP_PROTO_TCP)
        s->tcp_at = IP_AT + IP6_HLEN;
    else
        return false;
    s->ip6 = eth->type == PP_HTONS(ETHTYPE_IPV6);
    if (p->len < s->tcp_at + TCP_HLEN)
        return false;
    s->data_at = (u16)(s->tcp_at + (s->bytes[s->tcp_at + 12] >> 4) * 4);
    s->data = (u32)p->tot_len - s->data_at;
    return p->len >= s->data_at;
}

/* --- checksums that the device completes --- */

static u32 add_words(u32 sum, const u8 *p, size_t len)
{
    for (size_t i = 0; i < len; i += 2)
        sum += (u32)p[i] | (u32)p[i + 1] << 8;
    return sum;
}

static u16 folded(u32 sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (u16)sum;
}

/* The field holds the pseudo header's sum, not inverted, and the device adds the rest (5.1.6.2). */
static void put_pseudo_sum(u8 *bytes, bool ip6, u16 tcp_at, u32 tcp_len)
{
    const u32 addresses = ip6 ? 2 * sizeof(ip6_addr_p_t) : 2 * sizeof(ip4_addr_p_t);
    const u32 at =
        ip6 ? IP_AT + offsetof(struct ip6_hdr, src) : IP_AT + offsetof(struct ip_hdr, src);
    const u16 sum = folded(add_words(0, bytes + at, addresses) + PP_HTONS(IP_PROTO_TCP) +
                           lwip_htons((u16)tcp_len));

    memcpy(bytes + tcp_at + CHECKSUM_AT, &sum, sizeof(sum));
}

static void ask_for_checksum(struct virtio_net_header *header, u16 tcp_at)
{
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = tcp_at;
    header->csum_offset = CHECKSUM_AT;
}

void net_leave_checksum(struct pbuf *p, struct virtio_net_header *header)
{
    struct segment s;

    if (!find(p, &s))
        return;
    put_pseudo_sum(p->payload, s.ip6, s.tcp_at, (u32)p->tot_len - s.tcp_at);
    ask_for_checksum(header, s.tcp_at);
}

/* --- references to data --- */

struct reference {
    struct pbuf_custom pbuf; /* first: lwIP gives it back by this address */
    struct pbuf *to;
};

static void let_go(struct pbuf *p)
{
    struct reference *r = (struct reference *)(void *)p;

    pbuf_free(r->to);
    kfree(r);
}

/* To what a piece of the frame `of` has from `from` on. NULL: no memory. */
static struct pbuf *refer(struct pbuf *of, struct pbuf *piece, u16 from)
{
    struct reference *r = kmalloc(sizeof(*r));
    const u16 len = (u16)(piece->len - from);

    if (!r)
        return NULL;
    pbuf_ref(of);
    r->to = of;
    r->pbuf.custom_free_function = let_go;
    return pbuf_alloced_custom(PBUF_RAW, len, PBUF_REF, &r->pbuf, (u8 *)piece->payload + from, len);
}

/* All of a segment's data behind the frame's, or nothing. */
static bool add_data(struct net_run *run, struct pbuf *p)
{
    struct pbuf *data = NULL, *part;

    for (struct pbuf *piece = p; piece; piece = piece->next) {
        const u16 from = piece == p ? run->data_at : 0;

        if (piece->len <= from)
            continue;
        part = refer(p, piece, from);
        if (!part) {
            if (data)
                pbuf_free(data);
            return false;
        }
        if (data)
            pbuf_cat(data, part);
        else
            data = part;
    }
    run->parts += pbuf_clen(data);
    pbuf_cat(run->frame, data);
    return true;
}

/* --- runs --- */

static u32 sequence(const struct segment *s)
{
    u32 value;

    memcpy(&value, s->bytes + s->tcp_at + SEQ_AT, sizeof(value));
    return lwip_ntohl(value);
}

static u8 flags(const struct segment *s)
{
    return s->bytes[s->tcp_at + FLAGS_AT];
}

/* Data and nothing that concerns one segment alone. */
static bool is_plain(const struct segment *s)
{
    return s->data > 0 && (flags(s) & ~TCP_PSH) == TCP_ACK;
}

static u8 *headers_of(const struct net_run *run)
{
    return (u8 *)run->frame->payload + sizeof(struct virtio_net_header);
}

static void count(struct net_run *run, const struct segment *s)
{
    run->last = (u16)s->data;
    run->next = sequence(s) + s->data;
    headers_of(run)[run->tcp_at + FLAGS_AT] |= flags(s) & TCP_PSH;
}

bool net_run_start(struct net_run *run, struct net_segmentation can, struct pbuf *p)
{
    struct segment s;

    if (!find(p, &s) || !is_plain(&s) || !(s.ip6 ? can.ip6 : can.ip4) ||
        pbuf_clen(p) >= NET_RUN_PARTS)
        return false;
    *run = (struct net_run){
        .tcp_at = s.tcp_at, .data_at = s.data_at, .segment = (u16)s.data, .parts = 1};
    run->frame =
        pbuf_alloc(PBUF_RAW, (u16)(sizeof(struct virtio_net_header) + s.data_at), PBUF_RAM);
    if (!run->frame)
        return false;
    memcpy(headers_of(run), s.bytes, s.data_at);
    if (!add_data(run, p)) {
        pbuf_free(run->frame);
        run->frame = NULL;
        return false;
    }
    count(run, &s);
    return true;
}

static bool same(const u8 *a, const u8 *b, u32 from, u32 to)
{
    return memcmp(a + from, b + from, to - from) == 0;
}

/* But for IPv4's length, number and checksum, or IPv6's length. */
static bool same_ip(const u8 *a, const u8 *b, const struct segment *s)
{
    const u32 ip = IP_AT;

    if (s->ip6)
        return same(a, b, 0, ip + 4) && same(a, b, ip + 6, s->tcp_at);
    return same(a, b, 0, ip + 2) && same(a, b, ip + 6, ip + 10) && same(a, b, ip + 12, s->tcp_at);
}

/* But for the sequence number, PSH and checksum. */
static bool same_tcp(const u8 *a, const u8 *b, const struct segment *s)
{
    const u32 tcp = s->tcp_at;

    return same(a, b, tcp, tcp + SEQ_AT) && same(a, b, tcp + ACK_AT, tcp + FLAGS_AT) &&
           same(a, b, tcp + WINDOW_AT, tcp + CHECKSUM_AT) &&
           same(a, b, tcp + CHECKSUM_AT + 2, s->data_at);
}

bool net_run_takes(const struct net_run *run, const struct pbuf *p)
{
    struct segment s;

    if (!run->frame || run->last != run->segment || !find(p, &s) || !is_plain(&s))
        return false;
    if (s.tcp_at != run->tcp_at || s.data_at != run->data_at || s.data > run->segment ||
        sequence(&s) != run->next)
        return false;
    if (run->parts + pbuf_clen(p) > NET_RUN_PARTS ||
        run->frame->tot_len - sizeof(struct virtio_net_header) - IP_AT + s.data >
            IP_MOST - IP6_HLEN)
        return false;
    return same_ip(headers_of(run), s.bytes, &s) && same_tcp(headers_of(run), s.bytes, &s);
}

bool net_run_add(struct net_run *run, struct pbuf *p)
{
    struct segment s;

    find(p, &s);
    if (!add_data(run, p))
        return false;
    count(run, &s);
    return true;
}

/* The lengths in IP's header, which are of the whole. */
static void put_lengths(u8 *bytes, bool ip6, u16 tcp_at, u32 tcp_len)
{
    struct ip_hdr *ip4 = (struct ip_hdr *)(void *)(bytes + IP_AT);

    if (ip6) {
        IP6H_PLEN_SET((struct ip6_hdr *)(void *)(bytes + IP_AT), (u16)tcp_len);
        return;
    }
    IPH_LEN_SET(ip4, lwip_htons((u16)(tcp_at - IP_AT + tcp_len)));
    IPH_CHKSUM_SET(ip4, 0);
    IPH_CHKSUM_SET(ip4, inet_chksum(ip4, (u16)(tcp_at - IP_AT)));
}

struct pbuf *net_run_end(struct net_run *run)
{
    struct pbuf *frame = run->frame;
    u8 *bytes = headers_of(run);
    const bool ip6 = ((const struct eth_hdr *)(void *)bytes)->type == PP_HTONS(ETHTYPE_IPV6);
    const u32 tcp_len = (u32)frame->tot_len - (u32)sizeof(struct virtio_net_header) - run->tcp_at;
    struct virtio_net_header header = {0};

    put_lengths(bytes, ip6, run->tcp_at, tcp_len);
    put_pseudo_sum(bytes, ip6, run->tcp_at, tcp_len);
    ask_for_checksum(&header, run->tcp_at);
    if (tcp_len > (u32)run->data_at - run->tcp_at + run->segment) {
        header.gso_type = ip6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
        header.gso_size = run->segment;
        header.header_len = run->data_at;
    }
    memcpy(frame->payload, &header, sizeof(header));
    run->frame = NULL;
    return frame;
}
