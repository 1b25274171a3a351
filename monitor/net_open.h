/* Opening a network interface's host side with the caller's rights: a tap, or somebody's stream.
 * Who is started or connected to, and may have to be again, is in net_peer.h. */
#ifndef SAMARA_MONITOR_NET_OPEN_H
#define SAMARA_MONITOR_NET_OPEN_H

#include "devices/net.h"
#include "monitor/net_config.h"

struct net_opened {
    struct net_port port;
    uint16_t mtu; /* of a tap; 0: unknown */
    bool down;    /* a tap that the host has not brought up */
};

#define NET_OPENED_NONE                                                                            \
    {                                                                                              \
        .port = {.fd = -1 }                                                                        \
    }

/*
 * The tap of that name, which exists and nobody uses. It delivers frames behind a header of 12
 * bytes and is asked which offloads it can do; none is on afterwards. -1 with err.
 */
int net_open_tap(struct net_opened *net, const char *name, struct err *err);

/*
 * A copy of an inherited descriptor: a tap's, with its interface and a header (IFF_VNET_HDR), whose
 * description does not block afterwards; or a connected stream socket's. -1 with err.
 */
int net_open_fd(struct net_opened *net, int fd, struct err *err);

#endif
