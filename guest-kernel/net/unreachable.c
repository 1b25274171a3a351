/* See unreachable.h. Anybody may send such messages: what they quote is copied and measured, and
 * does no more than what its true sender could do. */
#include "guest-kernel/net/unreachable.h"
#include "guest-kernel/lib/base.h"
#include "guest-kernel/lib/string.h"
#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"

enum {
    ICMP_HEADER = 8,
    IP4_HEADER = 20,
    IP6_HEADER = 40,
    PORTS = 4,
    QUOTED_MOST = 60 + PORTS, /* IPv4's header with all options, and UDP's first half */
};

/* Of the datagram that did not arrive. */
struct quoted {
    ip_addr_t from, to;
    u16 from_port, to_port;
};

static void (*tell)(struct udp_pcb *pcb);

static u16 port_at(const u8 *at)
{
    return (u16)(at[0] << 8 | at[1]);
}

static void take_ports(const u8 *at, struct quoted *out)
{
    out->from_port = port_at(at);
    out->to_port = port_at(at + 2);
}

/* Fragments but the first have no ports. */
static bool take_quoted4(const u8 *at, size_t len, struct quoted *out)
{
    size_t header = len < IP4_HEADER ? 0 : (size_t)(at[0] & 0xf) * 4;
    u32 from, to;

    if (header < IP4_HEADER || len < header || len - header < PORTS)
        return false;
    if (at[0] >> 4 != 4 || at[6] & 0x1f || at[7] || at[9] != IP_PROTO_UDP)
        return false;
    memcpy(&from, at + 12, sizeof(from));
    memcpy(&to, at + 16, sizeof(to));
    ip_addr_set_ip4_u32_val(out->from, from);
    ip_addr_set_ip4_u32_val(out->to, to);
    take_ports(at + header, out);
    return true;
}

static void take_address6(const u8 *at, ip_addr_t *out)
{
    ip_addr_set_zero_ip6(out);
    memcpy(ip_2_ip6(out)->addr, at, 16);
    ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNICAST, ip_current_input_netif());
}

static bool take_quoted6(const u8 *at, size_t len, struct quoted *out)
{
    if (len < IP6_HEADER + PORTS || at[0] >> 4 != 6 || at[6] != IP6_NEXTH_UDP)
        return false;
    take_address6(at + 8, &out->from);
    take_address6(at + 24, &out->to);
    take_ports(at + IP6_HEADER, out);
    return true;
}

static struct udp_pcb *find_sender(const struct quoted *q)
{
    for (struct udp_pcb *pcb = udp_pcbs; pcb; pcb = pcb->next) {
        if (pcb->flags & UDP_FLAGS_CONNECTED && pcb->local_port == q->from_port &&
            pcb->remote_port == q->to_port && ip_addr_cmp(&pcb->remote_ip, &q->to) &&
            (ip_addr_isany(&pcb->local_ip) || ip_addr_cmp(&pcb->local_ip, &q->from)))
            return pcb;
    }
    return NULL;
}

/* p begins with ICMP's header. lwIP looks at the checksum only later. */
static bool is_whole(struct pbuf *p)
{
    u16 checked = ip_current_input_netif()->chksum_flags;

    if (!ip_current_is_v6())
        return !(checked & NETIF_CHECKSUM_CHECK_ICMP) || inet_chksum_pbuf(p) == 0;
    return !(checked & NETIF_CHECKSUM_CHECK_ICMP6) ||
           ip6_chksum_pseudo(p, IP6_NEXTH_ICMP6, p->tot_len, ip6_current_src_addr(),
                             ip6_current_dest_addr()) == 0;
}

static void look_at(struct pbuf *p)
{
    const bool v6 = ip_current_is_v6();
    u8 bytes[ICMP_HEADER + QUOTED_MOST] = {0};
    size_t len = pbuf_copy_partial(p, bytes, sizeof(bytes), 0);
    struct udp_pcb *pcb;
    struct quoted q;

    if (len < ICMP_HEADER || bytes[0] != (v6 ? ICMP6_TYPE_DUR : ICMP_DUR) ||
        bytes[1] != (v6 ? ICMP6_DUR_PORT : ICMP_DUR_PORT) || !is_whole(p))
        return;
    len -= ICMP_HEADER;
    if (!(v6 ? take_quoted6 : take_quoted4)(bytes + ICMP_HEADER, len, &q))
        return;
    pcb = ip_addr_cmp(&q.from, ip_current_dest_addr()) ? find_sender(&q) : NULL;
    if (pcb)
        tell(pcb);
}

/* p begins with IP's header, and must do so afterwards: it is not eaten. */
static u8_t on_icmp(void *arg, struct raw_pcb *pcb, struct pbuf *p, const ip_addr_t *from)
{
    const u16 header = ip_current_header_tot_len();

    (void)arg;
    (void)pcb;
    (void)from;
    if (pbuf_remove_header(p, header) != 0)
        return 0;
    look_at(p);
    pbuf_add_header_force(p, header);
    return 0;
}

/* Without memory for it nobody is told, as if the message had been lost. */
static void watch(u8 ip_type, u8 protocol)
{
    struct raw_pcb *pcb = raw_new_ip_type(ip_type, protocol);

    if (pcb)
        raw_recv(pcb, on_icmp, NULL);
}

void unreachable_watch(void (*refused)(struct udp_pcb *pcb))
{
    if (tell)
        return;
    tell = refused;
    watch(IPADDR_TYPE_V4, IP_PROTO_ICMP);
    watch(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);
}
