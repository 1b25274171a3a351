/* --net tap=NAME|fd=N|passt[=SOCKET][,mac=..][,mtu=..][,rate=..][,ip=..][,gw=..][,dns=..]: what a
 * network interface is made from. */
#ifndef SAMARA_MONITOR_NET_CONFIG_H
#define SAMARA_MONITOR_NET_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "abi/virtio_net.h"
#include "devices/rate.h"
#include "monitor/err.h"

enum net_backend {
    NET_CONFIG_TAP,          /* name */
    NET_CONFIG_FD,           /* fd: a tap's, or a connected stream's */
    NET_CONFIG_PASST,        /* samara starts passt itself */
    NET_CONFIG_PASST_SOCKET, /* name is the path of its socket */
};

struct net_interface {
    enum net_backend backend;
    const char *name;
    int fd;
    bool has_mac; /* else one is made up */
    uint8_t mac[VIRTIO_NET_MAC_BYTES];
    uint16_t mtu; /* 0: the tap's own, or passt's default */
    struct rate_config rate;
    /* For the guest kernel, as SAMARA_PROP_NET has them; checked. "": DHCP and router
     * advertisements. */
    const char *addresses;
};

/* From the option's value; strings are allocated and stay. -1 with err. */
int net_config_parse(struct net_interface *config, const char *text, struct err *err);

#endif
