/*
 * A network of the test's own, in a namespace that ends with it: an interface tap7, whose other end
 * is for a guest. Peers are processes beside the test, which end with it too.
 */
#ifndef TESTS_VM_LAN_H
#define TESTS_VM_LAN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define LAN_HOST4  "10.77.0.1"
#define LAN_HOST6  "fd77::1"
#define LAN_GUEST4 "10.77.0.2"
#define LAN_GUEST6 "fd77::2"

/* For --net, where the guest's addresses are given. */
#define LAN_FIXED                                                                                  \
    "tap=tap7,ip=" LAN_GUEST4 "/24,ip=" LAN_GUEST6 "/64,gw=" LAN_HOST4 ",gw=" LAN_HOST6            \
    ",dns=" LAN_HOST4

/* tap7 is up and has the host's addresses, which may be used at once. */
void lan_make(void);

/* A namespace with lo alone, which is up. */
void lan_unshare(void);

/* A tap, which has a carrier while this descriptor is open, and is there no longer. */
int lan_tap(const char *name);

/* Gives an interface an address, of either family; brings it up, or down. */
void lan_address(const char *interface, const char *address, unsigned prefix);
void lan_link(const char *interface, int up);

/* Writes a value under /proc/sys/net. */
void lan_sysctl(const char *name, const char *value);

/* Sockets at an address of either family. Those of UDP are bound or connected. */
int lan_bound(int type, const char *address, int port); /* of TCP: listens */
int lan_accept(int listener);
/* Tries until somebody listens, and takes as long as a job may. */
int lan_connect(int type, const char *address, int port);
/* TCP: tries until the answer is that nobody listens there. */
void lan_refused(const char *address, int port);
/* Something to read comes within so many milliseconds. */
bool lan_readable(int fd, int ms);

/* Until somebody listens at a port of TCP, whom it does not disturb. */
void lan_await_listener(int port);

/* The address of a connection's peer. */
void lan_peer_is(int fd, const char *address);

/* All of it, or the test has failed. */
void lan_send(int fd, const void *from, size_t len);
/* Until the peer has ended; returns how many came, at most len. */
size_t lan_receive(int fd, void *to, size_t len);

/* Sends everything back, and then the end. */
void lan_echo(int fd);
/* To all who come, one after the other, for ever; a listener's descriptor. */
void lan_echo_all(void *listener);
/* The same with each datagram, for ever. */
void lan_echo_datagrams(int fd);

/* Bytes that look like no others: nothing lost or exchanged goes unnoticed. */
unsigned char *lan_data(size_t len, unsigned seed);

/* fn(arg) in a process of its own, which is killed when the test ends. */
pid_t beside(void (*fn)(void *arg), void *arg);
/* The test has failed unless it ends well. */
void beside_ends(pid_t pid);
/* A daemon; nobody hears what it says. */
pid_t beside_run(const char *const argv[]);

#endif
