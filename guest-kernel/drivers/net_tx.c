#include "guest-kernel/drivers/net_tx.h"
#include "abi/virtio_net.h"
#include "guest-kernel/lib/string.h"
#include "lwip/pbuf.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/ip6.h"
#include "lwip/prot/tcp.h"

enum {
    PARTS_MOST = 40,
    KICK_EVERY = 32, /* descriptors: the device works while we go on */
};

/* --- checksums that the device completes --- */

static u32 add_words(u32 sum, const void *at, size_t len)
{
    const u8 *p = at;

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

/* The TCP segment of a frame: where it is and its pseudo header's sum. False if it is none. */
static bool find_tcp(const struct pbuf *p, u16 *at, u32 *sum)
{
    const u8 *frame = p->payload;
    const struct eth_hdr *eth = p->payload;
    const struct ip_hdr *ip4 = (const void *)(frame + SIZEOF_ETH_HDR);
    const struct ip6_hdr *ip6 = (const void *)(frame + SIZEOF_ETH_HDR);

    if (p->len < SIZEOF_ETH_HDR + IP_HLEN + TCP_HLEN)
        return false;
    if (eth->type == PP_HTONS(ETHTYPE_IP) && IPH_PROTO(ip4) == IP_PROTO_TCP) {
        *at = (u16)(SIZEOF_ETH_HDR + IPH_HL_BYTES(ip4));
        *sum = add_words(0, &ip4->src, 2 * sizeof(ip4->src));
    } else if (eth->type == PP_HTONS(ETHTYPE_IPV6) && IP6H_NEXTH(ip6) == IP_PROTO_TCP) {
        *at = SIZEOF_ETH_HDR + IP6_HLEN;
        *sum = add_words(0, &ip6->src, 2 * sizeof(ip6->src));
    } else {
        return false;
    }
    *sum += PP_HTONS(IP_PROTO_TCP) + lwip_htons((u16)(p->tot_len - *at));
    return p->len >= *at + TCP_HLEN;
}

/* The field holds the pseudo header's sum, not inverted, and the device adds the rest (5.1.6.2). */
static void leave_checksum(struct pbuf *p, struct virtio_net_header *header)
{
    struct tcp_hdr *tcp;
    u32 sum;
    u16 at;

    if (!find_tcp(p, &at, &sum))
        return;
    tcp = (struct tcp_hdr *)(void *)((u8 *)p->payload + at);
    tcp->chksum = folded(sum);
    header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    header->csum_start = at;
    header->csum_offset = offsetof(struct tcp_hdr, chksum);
}

/* --- the ring --- */

static bool has_room(struct net_tx *tx, unsigned parts)
{
    if (tx->queue.free_count >= parts)
        return true;
    net_tx_reap(tx);
    if (tx->queue.free_count < parts)
        net_tx_flush(tx);
    if (tx->queue.free_count >= parts)
        return true;
    if (vq_arm(&tx->queue))
        net_tx_reap(tx);
    tx->full = tx->queue.free_count < parts;
    return !tx->full;
}

static unsigned parts_of(struct pbuf *p, struct vq_part parts[PARTS_MOST])
{
    unsigned count = 0;

    for (; p; p = p->next) {
        if (p->len == 0)
            continue;
        if (count == PARTS_MOST)
            return 0;
        parts[count++] = (struct vq_part){p->payload, p->len, false};
    }
    return count;
}

/* `frame` begins with the virtio header's buffer. Takes it if it succeeds. */
static bool put(struct net_tx *tx, struct pbuf **frame)
{
    struct vq_part parts[PARTS_MOST];
    unsigned count = parts_of(*frame, parts);

    if (count == 0) { /* a large segment out of many small writes */
        *frame = pbuf_coalesce(*frame, PBUF_RAW);
        count = parts_of(*frame, parts);
    }
    return count > 0 && has_room(tx, count) && vq_add(&tx->queue, parts, count, *frame);
}

bool net_tx_send(struct net_tx *tx, struct pbuf *p)
{
    struct virtio_net_header header = {0};
    struct pbuf *frame = pbuf_alloc(PBUF_RAW, sizeof(header), PBUF_RAM);

    if (!frame)
        return false;
    if (tx->checksum)
        leave_checksum(p, &header);
    memcpy(frame->payload, &header, sizeof(header));
    pbuf_chain(frame, p); /* one more reference to p */
    if (!put(tx, &frame)) {
        pbuf_free(frame);
        return false;
    }
    if ((u16)(tx->queue.avail_next - tx->queue.kicked) >= KICK_EVERY)
        net_tx_flush(tx);
    return true;
}

void net_tx_flush(struct net_tx *tx)
{
    if (tx->queue.avail_next == tx->queue.kicked)
        return;
    virtio_kick(tx->device, VIRTIO_NET_QUEUE_TX, &tx->queue);
    net_tx_reap(tx);
}

bool net_tx_reap(struct net_tx *tx)
{
    bool was_full = tx->full;
    struct vq_used used;

    while (vq_pop(&tx->queue, &used)) {
        pbuf_free(used.token);
        tx->full = false;
    }
    return was_full && !tx->full;
}
