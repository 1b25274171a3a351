#include "guest-kernel/drivers/net_tx.h"
#include "abi/virtio_net.h"
#include "guest-kernel/lib/string.h"
#include "lwip/pbuf.h"

enum {
    PARTS_MOST = NET_RUN_PARTS,
    KICK_EVERY = 32, /* frames: the device works while we go on */
};

/* --- the ring --- */

static void tell(struct net_tx *tx)
{
    if (tx->queue.avail_next == tx->queue.kicked)
        return;
    virtio_kick(tx->device, VIRTIO_NET_QUEUE_TX, &tx->queue);
    net_tx_reap(tx);
}

/* Beside what the run will take. */
static bool has_room(struct net_tx *tx, unsigned parts)
{
    if (tx->run.frame)
        parts += tx->run.parts;
    if (tx->queue.free_count >= parts)
        return true;
    net_tx_reap(tx);
    if (tx->queue.free_count < parts)
        tell(tx);
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

/* --- runs --- */

/* There is room: has_room kept it. */
static void end_run(struct net_tx *tx)
{
    struct vq_part parts[PARTS_MOST];
    struct pbuf *frame;

    if (!tx->run.frame)
        return;
    frame = net_run_end(&tx->run);
    if (!vq_add(&tx->queue, parts, parts_of(frame, parts), frame))
        pbuf_free(frame);
}

static bool prolong_run(struct net_tx *tx, struct pbuf *p)
{
    return net_run_takes(&tx->run, p) && has_room(tx, pbuf_clen(p)) && net_run_add(&tx->run, p);
}

static bool start_run(struct net_tx *tx, struct pbuf *p)
{
    return (tx->segmentation.ip4 || tx->segmentation.ip6) && has_room(tx, 1u + pbuf_clen(p)) &&
           net_run_start(&tx->run, tx->segmentation, p);
}

/* --- frames --- */

static bool send_alone(struct net_tx *tx, struct pbuf *p)
{
    struct virtio_net_header header = {0};
    struct pbuf *frame = pbuf_alloc(PBUF_RAW, sizeof(header), PBUF_RAM);

    if (!frame)
        return false;
    if (tx->checksum)
        net_leave_checksum(p, &header);
    memcpy(frame->payload, &header, sizeof(header));
    pbuf_chain(frame, p); /* one more reference to p */
    if (!put(tx, &frame)) {
        pbuf_free(frame);
        return false;
    }
    return true;
}

bool net_tx_send(struct net_tx *tx, struct pbuf *p)
{
    if (prolong_run(tx, p))
        return true;
    end_run(tx);
    if (!start_run(tx, p) && !send_alone(tx, p))
        return false;
    if ((u16)(tx->queue.avail_next - tx->queue.kicked) >= KICK_EVERY)
        tell(tx);
    return true;
}

void net_tx_flush(struct net_tx *tx)
{
    end_run(tx);
    tell(tx);
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
