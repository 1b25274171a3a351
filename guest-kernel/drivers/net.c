#include "guest-kernel/drivers/net.h"
#include "abi/virtio.h"
#include "abi/virtio_net.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/drivers/irq.h"
#include "guest-kernel/drivers/net_rx.h"
#include "guest-kernel/drivers/net_tx.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/timers.h"
#include "guest-kernel/task/timer.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/mld6.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/ethernet.h"
#include "lwip/snmp.h"

enum {
    RX_RING = 128,
    TX_RING = 256, /* a part for each segment */
    BUDGET = 128,  /* frames taken in at once */
    MTU_USUAL = 1500,
    MTU_MOST = 65500, /* with all headers a frame's length has 16 bits */
};

/* Of so long the device may have nine tenths, then the program has a rest to itself: a flood from
 * outside would leave it nothing. What an interrupt takes on its way here and back is added. */
#define SHARE_NS 20000000ull
#define REST_NS  5000000ull
#define WAY_NS   30000ull

/* In the kernel's heap: the device reads and writes it. */
struct announced {
    struct virtio_net_ctrl command;
    u8 status;
};

struct net_device {
    struct boot_virtio place;
    bool edge, started;
    struct virtio_device device;
    struct net_rx rx;
    struct net_tx tx;
    struct vq control;
    struct announced *announced; /* not NULL: the control queue is free */
    struct timer more;           /* the budget was used up, or the rest is over */
    u64 share_from, spent;       /* ns */
    bool resting;                /* frames wait in the ring */
    struct netif *netif;
};

static struct net_device devices[NET_MOST];
static unsigned device_count;

void net_init(const struct boot_info *info)
{
    for (unsigned i = 0; i < info->virtio_count && device_count < NET_MOST; i++) {
        struct net_device *d = &devices[device_count];

        if (!virtio_is(info, i, VIRTIO_ID_NET))
            continue;
        *d = (struct net_device){.place = info->virtio[i], .edge = info->platform_gpa != 0};
        if (!d->place.net)
            d->place.net = info->net[device_count];
        device_count++;
    }
}

unsigned net_count(void)
{
    return device_count;
}

const char *net_addresses(unsigned number)
{
    const char *text = devices[number].place.net;

    return text ? text : "";
}

static bool offers(const struct net_device *d, unsigned bit)
{
    return d->device.features & VIRTIO_FEATURE(bit);
}

/* --- the configuration --- */

static u32 config_word(struct net_device *d, size_t at)
{
    return virtio_config_read(&d->device, (u32)at);
}

static u16 status(struct net_device *d)
{
    if (!offers(d, VIRTIO_NET_F_STATUS))
        return VIRTIO_NET_S_LINK_UP;
    return (u16)(config_word(d, 4) >> 16);
}

static u16 mtu(struct net_device *d)
{
    u16 given = MTU_USUAL;

    if (offers(d, VIRTIO_NET_F_MTU))
        given = (u16)(config_word(d, 8) >> 16);
    return (u16)MIN(MAX(given, VIRTIO_NET_MTU_MIN), MTU_MOST);
}

/* The device's, or a random one, locally administered. */
static void read_mac(struct net_device *d, u8 mac[VIRTIO_NET_MAC_BYTES])
{
    random_bytes(mac, VIRTIO_NET_MAC_BYTES);
    mac[0] = (u8)((mac[0] & 0xfc) | 2);
    if (offers(d, VIRTIO_NET_F_MAC)) {
        const u32 words[2] = {config_word(d, 0), config_word(d, 4)};

        memcpy(mac, words, VIRTIO_NET_MAC_BYTES);
    }
}

/* --- "I am here" (5.1.6.5.4) --- */

static void announce(struct net_device *d)
{
    struct announced *a = d->announced;
    const struct vq_part parts[] = {{&a->command, sizeof(a->command), false},
                                    {&a->status, sizeof(a->status), true}};

    if (!a)
        return;
    etharp_gratuitous(d->netif);
    mld6_report_groups(d->netif);
    a->command = (struct virtio_net_ctrl){VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK};
    d->announced = NULL;
    if (vq_add(&d->control, parts, ARRAY_LEN(parts), a))
        virtio_kick(&d->device, VIRTIO_NET_QUEUE_CTRL, &d->control);
}

static void reap_control(struct net_device *d)
{
    struct vq_used used;

    while (vq_pop(&d->control, &used))
        d->announced = used.token;
}

static void look_at_status(struct net_device *d)
{
    u16 now = status(d);

    if (now & VIRTIO_NET_S_LINK_UP)
        netif_set_link_up(d->netif);
    else
        netif_set_link_down(d->netif);
    if (now & VIRTIO_NET_S_ANNOUNCE)
        announce(d);
}

/* --- frames --- */

/* lwIP has one set of switches for a netif; a frame whose checksums nobody looked at yet turns them
 * on for itself. Off, they are right for what the netif sends to itself, too. */
static void input(struct net_device *d, struct pbuf *p, bool checked)
{
    u16 usual = d->netif->chksum_flags;

    if (!checked)
        d->netif->chksum_flags |= NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;
    MIB2_STATS_NETIF_ADD(d->netif, ifinoctets, p->tot_len);
    MIB2_STATS_NETIF_INC(d->netif, ifinucastpkts);
    if (d->netif->input(p, d->netif) != ERR_OK)
        pbuf_free(p);
    d->netif->chksum_flags = usual;
}

/* True if there was anything. */
static bool receive(struct net_device *d)
{
    unsigned left = BUDGET;
    struct pbuf *p;
    bool checked;

    if (d->resting)
        return true;
    while (left > 0 && (p = net_rx_next(&d->rx, &checked)) != NULL) {
        input(d, p, checked);
        left--;
    }
    if (net_rx_refill(&d->rx))
        virtio_kick(&d->device, VIRTIO_NET_QUEUE_RX, &d->rx.queue);
    if (left == 0 || vq_arm(&d->rx.queue))
        timer_set(&d->more, clock_monotonic_ns());
    return left < BUDGET;
}

/* Segments that did not fit into the ring. */
static void room_came(void)
{
    tcp_txnow();
}

/* An interrupt that has nothing else to tell is about the configuration. Under samara
 * InterruptStatus is not read, an exit each time. What was used of the tx ring is told only where
 * that was full. Frames may hide a change; that a link came up has to be seen. */
static void attend(void *arg)
{
    struct net_device *d = arg;
    bool told;

    virtio_ack(&d->device);
    reap_control(d);
    told = d->tx.full && vq_pending(&d->tx.queue);
    if (net_tx_reap(&d->tx))
        room_came();
    told |= receive(d);
    if (!told || !netif_is_link_up(d->netif))
        look_at_status(d);
}

static void rest(struct net_device *d, u64 now)
{
    d->resting = true;
    vq_disarm(&d->rx.queue);
    timer_set(&d->more, now + REST_NS);
}

static void new_share(struct net_device *d, u64 now)
{
    d->share_from = now;
    d->spent = 0;
}

/* Within the device's share of time. */
static void spend(struct net_device *d, void (*work)(void *arg))
{
    u64 start = clock_monotonic_ns(), now;

    if (start - d->share_from >= SHARE_NS)
        new_share(d, start);
    stack_run(work, d);
    now = clock_monotonic_ns();
    d->spent += now - start + WAY_NS;
    if (!d->resting && d->spent > SHARE_NS - SHARE_NS / 10)
        rest(d, now);
}

static void on_interrupt(void *arg)
{
    spend(arg, attend);
}

static void receive_more(void *arg)
{
    receive(arg);
}

static void on_more(struct timer *t)
{
    struct net_device *d = container_of(t, struct net_device, more);

    if (d->resting)
        new_share(d, clock_monotonic_ns());
    d->resting = false;
    spend(d, receive_more);
}

static err_t send(struct netif *netif, struct pbuf *p)
{
    struct net_device *d = netif->state;
    const struct eth_hdr *eth = p->payload;

    if (p->len >= SIZEOF_ETH_HDR && eth->type == PP_HTONS(ETHTYPE_ARP))
        net_timers_arp();
    if (!net_tx_send(&d->tx, p))
        return ERR_MEM;
    MIB2_STATS_NETIF_ADD(netif, ifoutoctets, p->tot_len);
    MIB2_STATS_NETIF_INC(netif, ifoutucastpkts);
    return ERR_OK;
}

void net_notify(void)
{
    for (unsigned i = 0; i < device_count; i++) {
        if (!devices[i].started)
            continue;
        net_tx_flush(&devices[i].tx);
    }
}

/* --- starting --- */

static bool negotiate(struct net_device *d)
{
    const u64 plain =
        VIRTIO_FEATURE(VIRTIO_NET_F_MAC) | VIRTIO_FEATURE(VIRTIO_NET_F_MTU) |
        VIRTIO_FEATURE(VIRTIO_NET_F_STATUS) | VIRTIO_FEATURE(VIRTIO_NET_F_CSUM) |
        VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_CSUM) | VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO4) |
        VIRTIO_FEATURE(VIRTIO_NET_F_HOST_TSO6) | VIRTIO_FEATURE(VIRTIO_NET_F_CTRL_VQ) |
        VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_ANNOUNCE);
    const u64 large = VIRTIO_FEATURE(VIRTIO_NET_F_MRG_RXBUF) |
                      VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO4) |
                      VIRTIO_FEATURE(VIRTIO_NET_F_GUEST_TSO6);

    if (!virtio_begin(&d->place, d->edge, plain | large, &d->device))
        return false;
    /* Large frames need buffers that can be put together. */
    return offers(d, VIRTIO_NET_F_MRG_RXBUF) || virtio_begin(&d->place, d->edge, plain, &d->device);
}

static bool start_queues(struct net_device *d)
{
    d->tx.device = &d->device;
    d->tx.checksum = offers(d, VIRTIO_NET_F_CSUM);
    d->tx.segmentation = (struct net_segmentation){
        .ip4 = d->tx.checksum && offers(d, VIRTIO_NET_F_HOST_TSO4),
        .ip6 = d->tx.checksum && offers(d, VIRTIO_NET_F_HOST_TSO6),
    };
    if (!virtio_queue_setup(&d->device, VIRTIO_NET_QUEUE_RX, RX_RING, &d->rx.queue) ||
        !virtio_queue_setup(&d->device, VIRTIO_NET_QUEUE_TX, TX_RING, &d->tx.queue) ||
        !net_rx_start(&d->rx, offers(d, VIRTIO_NET_F_MRG_RXBUF)))
        return false;
    vq_disarm(&d->tx.queue);
    if (offers(d, VIRTIO_NET_F_GUEST_ANNOUNCE) && offers(d, VIRTIO_NET_F_CTRL_VQ) &&
        virtio_queue_setup(&d->device, VIRTIO_NET_QUEUE_CTRL, 2, &d->control))
        d->announced = kzalloc(sizeof(*d->announced));
    return true;
}

static void fill_in(struct net_device *d, struct netif *netif)
{
    u16 left_out = NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP;

    if (d->tx.checksum)
        left_out |= NETIF_CHECKSUM_GEN_TCP;
    netif->state = d;
    netif->name[0] = 'e';
    netif->name[1] = 't';
    netif->hwaddr_len = VIRTIO_NET_MAC_BYTES;
    read_mac(d, netif->hwaddr);
    netif->mtu = mtu(d);
    netif->mtu6 = netif->mtu;
    netif->flags |=
        NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = send;
    NETIF_SET_CHECKSUM_CTRL(netif, (u16)(NETIF_CHECKSUM_ENABLE_ALL & ~left_out));
}

bool net_attach(unsigned number, struct netif *netif)
{
    struct net_device *d = &devices[number];

    if (!negotiate(d) || !start_queues(d))
        return false;
    d->netif = netif;
    d->more.fire = on_more;
    fill_in(d, netif);
    if (status(d) & VIRTIO_NET_S_LINK_UP)
        netif->flags |= NETIF_FLAG_LINK_UP;
    irq_register(d->device.vector, on_interrupt, d);
    virtio_start(&d->device);
    d->started = true;
    virtio_kick(&d->device, VIRTIO_NET_QUEUE_RX, &d->rx.queue);
    timer_set(&d->more, clock_monotonic_ns());
    return true;
}
