/*
 * Options of IPPROTO_TCP (tcp(7)). A socket has them whether it has a connection or not, and hands
 * them on to those it accepts. Those that lwIP has no use for stay as they were set.
 */
#ifndef GUEST_KERNEL_NET_TCP_OPTION_H
#define GUEST_KERNEL_NET_TCP_OPTION_H

#include "guest-kernel/lib/base.h"

struct tcp_pcb;

enum tcp_number {
    TCP_NUMBER_KEEPIDLE,
    TCP_NUMBER_KEEPINTVL,
    TCP_NUMBER_KEEPCNT,
    TCP_NUMBER_SYNCNT,
    TCP_NUMBER_LINGER2,
    TCP_NUMBER_DEFER_ACCEPT,
    TCP_NUMBER_WINDOW_CLAMP,
    TCP_NUMBER_USER_TIMEOUT,
    TCP_NUMBER_MAXSEG,
    TCP_NUMBERS
};

struct tcp_options {
    bool nodelay, corked, no_quickack;
    int numbers[TCP_NUMBERS]; /* 0: as at first */
};

/* Again, once it is known whom it is connected to. */
void tcp_options_apply(const struct tcp_options *o, struct tcp_pcb *pcb);

/* As socket_ops have them. pcb: of an open connection; NULL: there is none. */
int tcp_options_set(struct tcp_options *o, u64 name, const void *value, u32 len);
int tcp_options_get(const struct tcp_options *o, const struct tcp_pcb *pcb, u64 name, void *value,
                    u32 *len);

#endif
