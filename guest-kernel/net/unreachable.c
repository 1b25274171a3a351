/* See unreachable.h. Anybody may send such messages: what they quote is copied and measured, and
 * does no more than what its true sender could do. */
#include "guest-kernel/net/unreachable.h"
#include "guest-kernel/lib/base.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "lwip/icmp.h"
#include "lwip/inet_chksum.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/icmp6.h"
#include "lwip/raw.h"

enum {
    ICMP_HEADER = 8,
    IP4_HEADER = 20,
    IP6_HEADER = 40,
    PORTS = 4,
    NUMBERED = 8,                /* ports and TCP's number: all that RFC 792 has quoted */
    QUOTED_MOST = 60 + NUMBERED, /* behind IPv4's header with all options */
};

/* Of the packet that did not arrive. */
struct quoted {
    u8 protocol;
    ip_addr_t from, to;
    u16 from_port, to_port;
    u32 number; /* TCP's */
};

static unreachable_datagram *tell_datagram;
static unreachable_segment *tell_segment;

/* --- what it means: errno as Linux has it (icmp(7)) --- */

static bool error_of4(u8 type, u8 code, struct unreachable *out)
{
    static const struct unreachable errors[] = {
        {ENETUNREACH, false}, {EHOSTUNREACH, false}, {ENOPROTOOPT, true},  {ECONNREFUSED, true},
        {0, false}, /* "fragmentation needed": we never forbid it */
        {EOPNOTSUPP, false},  {ENETUNREACH, true},   {EHOSTDOWN, true},    {ENONET, true},
        {ENETUNREACH, true},  {EHOSTUNREACH, true},  {ENETUNREACH, false}, {EHOSTUNREACH, false},
        {EHOSTUNREACH, true}, {EHOSTUNREACH, true},  {EHOSTUNREACH, true},
    };

    if (type == ICMP_TE)
        *out = (struct unreachable){EHOSTUNREACH, false};
    else if (type == ICMP_DUR && code < ARRAY_LEN(errors))
        *out = errors[code];
    else
        return false;
    return out->error != 0;
}

static bool error_of6(u8 type, u8 code, struct unreachable *out)
{
    static const struct unreachable errors[] = {
        {ENETUNREACH, false}, {EACCES, true}, {EHOSTUNREACH, false}, {EHOSTUNREACH, false},
        {ECONNREFUSED, true}, {EACCES, true}, {EACCES, true},
    };

    if (type == ICMP6_TYPE_TE)
        *out = (struct unreachable){EHOSTUNREACH, false};
    else if (type == ICMP6_TYPE_DUR && code < ARRAY_LEN(errors))
        *out = errors[code];
    else
        return false;
    return true;
}

/* --- of what it speaks --- */

static u16 port_at(const u8 *at)
{
    return (u16)(at[0] << 8 | at[1]);
}

/* What the packet begins with, as far as it is quoted. */
static bool take_ports(const u8 *at, size_t len, u8 protocol, struct quoted *out)
{
    if (len < (protocol == IP_PROTO_TCP ? NUMBERED : PORTS))
        return false;
    out->protocol = protocol;
    out->from_port = port_at(at);
    out->to_port = port_at(at + 2);
    out->number = (u32)port_at(at + 4) << 16 | port_at(at + 6);
    return protocol == IP_PROTO_TCP || protocol == IP_PROTO_UDP;
}

/* Fragments but the first have no ports. */
static bool take_quoted4(const u8 *at, size_t len, struct quoted *out)
{
    size_t header = len < IP4_HEADER ? 0 : (size_t)(at[0] & 0xf) * 4;
    u32 from, to;

    if (header < IP4_HEADER || len < header || at[0] >> 4 != 4 || at[6] & 0x1f || at[7])
        return false;
    memcpy(&from, at + 12, sizeof(from));
    memcpy(&to, at + 16, sizeof(to));
    ip_addr_set_ip4_u32_val(out->from, from);
    ip_addr_set_ip4_u32_val(out->to, to);
    return take_ports(at + header, len - header, at[9], out);
}

static void take_address6(const u8 *at, ip_addr_t *out)
{
    ip_addr_set_zero_ip6(out);
    memcpy(ip_2_ip6(out)->addr, at, 16);
    ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNICAST, ip_current_input_netif());
}

static bool take_quoted6(const u8 *at, size_t len, struct quoted *out)
{
    if (len < IP6_HEADER || at[0] >> 4 != 6)
        return false;
    take_address6(at + 8, &out->from);
    take_address6(at + 24, &out->to);
    return take_ports(at + IP6_HEADER, len - IP6_HEADER, at[6], out);
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

/* Who is not on the way cannot know what is under way (RFC 5927, 4.1). */
static bool is_under_way(const struct tcp_pcb *pcb, u32 number)
{
    return pcb->unacked && TCP_SEQ_BETWEEN(number, pcb->lastack, pcb->snd_nxt);
}

static struct tcp_pcb *find_connection(const struct quoted *q)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (pcb->local_port == q->from_port && pcb->remote_port == q->to_port &&
            ip_addr_cmp(&pcb->remote_ip, &q->to) && ip_addr_cmp(&pcb->local_ip, &q->from))
            return is_under_way(pcb, q->number) ? pcb : NULL;
    }
    return NULL;
}

void unreachable_tell(struct tcp_pcb *pcb, int error)
{
    if (tell_segment)
        tell_segment(pcb, error);
}

static void tell(const struct quoted *q, const struct unreachable *why)
{
    if (q->protocol == IP_PROTO_UDP && tell_datagram) {
        struct udp_pcb *pcb = find_sender(q);

        if (pcb)
            tell_datagram(pcb, why);
    } else if (q->protocol == IP_PROTO_TCP) {
        struct tcp_pcb *pcb = find_connection(q);

        if (pcb)
            unreachable_tell(pcb, why->error);
    }
}

/* --- the message --- */

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
    struct unreachable why;
    struct quoted q;

    if (len < ICMP_HEADER || !(v6 ? error_of6 : error_of4)(bytes[0], bytes[1], &why) ||
        !is_whole(p))
        return;
    if ((v6 ? take_quoted6 : take_quoted4)(bytes + ICMP_HEADER, len - ICMP_HEADER, &q) &&
        ip_addr_cmp(&q.from, ip_current_dest_addr()))
        tell(&q, &why);
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

static void watch_all(void)
{
    static bool watched;

    if (watched)
        return;
    watched = true;
    watch(IPADDR_TYPE_V4, IP_PROTO_ICMP);
    watch(IPADDR_TYPE_V6, IP6_NEXTH_ICMP6);
}

void unreachable_watch_datagrams(unreachable_datagram *told)
{
    tell_datagram = told;
    watch_all();
}

void unreachable_watch_segments(unreachable_segment *told)
{
    tell_segment = told;
    watch_all();
}
