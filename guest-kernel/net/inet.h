/*
 * AF_INET and AF_INET6 from inside (ip(7), ipv6(7)): inet.c and inet_option.c have what both
 * transports share, inet_tcp.c, tcp_option.c and tcp_conn.c TCP, inet_udp.c UDP; below them is
 * lwIP's raw interface. A socket of AF_INET6 speaks IPv4, too, unless IPV6_V6ONLY forbids it.
 */
#ifndef GUEST_KERNEL_NET_INET_H
#define GUEST_KERNEL_NET_INET_H

#include "guest-kernel/net/socket.h"
#include "lwip/ip.h"

enum { IPPROTO_IP = 0, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_IPV6 = 41 };
enum { IPV6_V6ONLY = 26 };
enum { IP_PMTUDISC_WANT = 1, IP_PMTUDISC_DO = 2, IP_PMTUDISC_OMIT = 5 };

struct sockaddr_in {
    u16 family, port; /* big-endian, as are all addresses */
    u32 address;
    u8 zero[8];
};
_Static_assert(sizeof(struct sockaddr_in) == 16, "in.h");

struct sockaddr_in6 {
    u16 family, port;
    u32 flow;
    u8 address[16];
    u32 scope;
};
_Static_assert(sizeof(struct sockaddr_in6) == 28, "in6.h");

struct inet_socket {
    struct socket socket;
    bool v6only, free_bind;
    u8 ttl, tos; /* 0: lwIP's own */
    struct inet_hints {
        bool errors;  /* is told of those that may pass, too */
        u8 discovery; /* IP_PMTUDISC_*, inverted by IP_PMTUDISC_WANT: UDP's fragments */
    } v4, v6;
};

static inline struct inet_socket *inet_of(struct socket *s)
{
    return (struct inet_socket *)s; /* its first member */
}

/* The network is up, or as much of it as there will be. */
int inet_create(struct socket *s);

/* For lwIP; of the socket's family or -EAFNOSUPPORT. "Any" is of either family where the socket
 * is. */
int inet_take(const struct inet_socket *s, const struct socket_address *a, ip_addr_t *ip,
              u16 *port);
void inet_tell(const struct socket *s, const ip_addr_t *ip, u16 port, struct socket_address *out);
/* Where a connection or datagram goes: "any" is ourselves. -ENETUNREACH if there is no way. */
int inet_destination(ip_addr_t *ip);
/* May be bound to. */
bool inet_is_ours(const ip_addr_t *ip);
u8 inet_pcb_type(const struct inet_socket *s); /* IPADDR_TYPE_* */

/* lwIP's errors as errno, negative. */
int inet_error(err_t err);

/* What was set on the socket, for a control block of lwIP's; options of IP as socket_ops has them.
 */
void inet_apply(const struct inet_socket *s, struct ip_pcb *pcb);
int inet_set_option(struct inet_socket *s, u64 level, u64 name, const void *value, u32 len);
int inet_get_option(const struct inet_socket *s, u64 level, u64 name, void *value, u32 *len);

/* What is asked of interfaces through any socket (netdevice(7)). */
long inet_ioctl(u32 request, u64 arg);

/* An option's value. -EINVAL if there is too little of it. */
int option_number(const void *value, u32 len, int *out);
int give_number(void *value, u32 *len, int number);

#endif
