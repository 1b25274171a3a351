/*
 * Network interfaces: virtio-net devices (Virtio 1.2, 5.1) as netifs of lwIP. Nothing is asked of a
 * device before it is attached, which is when the program first uses the network.
 *
 * Received frames are handed to lwIP at the device's interrupt, a bounded number at a time. What
 * lwIP sends lies in the ring until net_notify, since each notification costs an exit.
 */
#ifndef GUEST_KERNEL_DRIVERS_NET_H
#define GUEST_KERNEL_DRIVERS_NET_H

#include "guest-kernel/boot/boot_info.h"

struct netif;

#define NET_MOST BOOT_NET_MAX

/* Once, at boot. */
void net_init(const struct boot_info *info);
unsigned net_count(void);

/* The addresses that the device was given at boot, for net_addresses_parse; "": none. */
const char *net_addresses(unsigned number);

/* Starts the device and fills in what it has to say in *netif: hardware address, MTU, how to send,
 * which checksums are left to it, whether the link is up. From here on it receives. False if the
 * device cannot be started. */
bool net_attach(unsigned number, struct netif *netif);

/* Tells all devices about what was sent. */
void net_notify(void);

#endif
