/*
 * lwIP's configuration: what differs from lwip/opt.h, and why. The kernel is cooperative and calls
 * lwIP from system calls, interrupts and timers one at a time, so that there is nothing to lock.
 */
#ifndef GUEST_KERNEL_NET_LWIP_LWIPOPTS_H
#define GUEST_KERNEL_NET_LWIP_LWIPOPTS_H

#include "guest-kernel/mm/heap.h"

#define LWIP_HOOK_FILENAME "guest-kernel/net/lwip/hooks.h"

/* --- how it is called --- */
#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_TIMERS_CUSTOM   1 /* net/timers.c: an idle machine is not to wake */
#define LWIP_SOCKET          0
#define LWIP_NETCONN         0

/* --- memory: the kernel's heap; no pools --- */
#define MEM_LIBC_MALLOC              1
#define MEMP_MEM_MALLOC              1
#define mem_clib_malloc              kmalloc
#define mem_clib_free                kfree
#define mem_clib_calloc(count, size) kzalloc((count) * (size)) /* nobody calls it */
#define MEM_ALIGNMENT                16
#define LWIP_PBUF_REF_T              u16_t

/* --- protocols --- */
#define LWIP_IPV4                      1
#define LWIP_IPV6                      1
#define LWIP_RAW                       1 /* for net/unreachable.c; no such sockets */
#define LWIP_IGMP                      0
#define LWIP_DHCP                      1
#define DHCP_DOES_ARP_CHECK            0 /* seconds before the first connect() */
#define LWIP_DHCP_MAX_DNS_SERVERS      3 /* as many as a resolv.conf may have */
#define LWIP_ND6_RDNSS_MAX_DNS_SERVERS 3
/* The program's libc resolves and core/dns.c is left out, but DHCP and router advertisements report
 * name servers to it: net/interface.c listens in its place. */
#define LWIP_DNS                1
#define DNS_MAX_SERVERS         LWIP_ND6_RDNSS_MAX_DNS_SERVERS
#define LWIP_IPV6_NUM_ADDRESSES 4
/* Whether others have an address of ours is not asked (RFC 4862, 5.1): it would keep every program
 * waiting, and whose address is the same has the same hardware address. */
#define LWIP_IPV6_DUP_DETECT_ATTEMPTS 0
#define IPV6_FRAG_COPYHEADER          1  /* pointers of 64 bits do not fit over the header */
#define IP_REASS_MAX_PBUFS            64 /* a datagram of 64 KiB takes 45 */
#define IP_SOF_BROADCAST              1
#define SO_REUSE                      1
#define LWIP_TCP_KEEPALIVE            1
#define LWIP_NETIF_LOOPBACK           1
#define LWIP_NETIF_STATUS_CALLBACK    1
#define LWIP_NETIF_HWADDRHINT         1

/* --- neighbours --- */
#define ARP_TABLE_SIZE            64
#define ARP_QUEUEING              1
#define ARP_QUEUE_LEN             16
#define LWIP_ND6_NUM_NEIGHBORS    32
#define LWIP_ND6_NUM_DESTINATIONS 32

/* --- TCP --- */
/* The most an interface of 65535 bytes (lo) allows; each connection's is that of its way. */
#define TCP_MSS                  65495
#define TCP_WND                  (512u << 10)
#define LWIP_WND_SCALE           1
#define TCP_RCV_SCALE            4
#define TCP_SND_BUF              (256u << 10)
#define TCP_SND_QUEUELEN         1024 /* buffers: small writes need one each */
#define TCP_OVERSIZE             1460 /* room for the next small write in the last segment's buffer */
#define TCP_WND_UPDATE_THRESHOLD (64u << 10)
#define TCP_OOSEQ_MAX_PBUFS      1024
#define LWIP_TCP_SACK_OUT        1
#define TCP_LISTEN_BACKLOG       1
#define TCP_SYNMAXRTX            12 /* one each second */
#define TCP_MSL                  30000
/* Delayed acknowledgements wait for one such interval, retransmissions for three pairs of it: 300
 * ms instead of lwIP's 1.5 s. It costs nothing: net/timers.c stops the clock when nothing is under
 * way. */
#define TCP_TMR_INTERVAL 50
/* They are for lwIP's own sockets: thresholds in numbers of 16 bits. */
#define LWIP_DISABLE_TCP_SANITY_CHECKS 1

/* --- checksums: what the device has seen to is not seen to again (drivers/net.c) --- */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_CHKSUM_ALGORITHM        3

/* --- statistics: of interfaces alone, for net/listing.c --- */
#define LWIP_STATS     1
#define MIB2_STATS     1
#define LINK_STATS     0
#define ETHARP_STATS   0
#define IP_STATS       0
#define IPFRAG_STATS   0
#define ICMP_STATS     0
#define UDP_STATS      0
#define TCP_STATS      0
#define IP6_STATS      0
#define ICMP6_STATS    0
#define IP6_FRAG_STATS 0
#define MLD6_STATS     0
#define ND6_STATS      0

#endif
