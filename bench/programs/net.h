/*
 * What the two ends of a measured connection share. A place is
 *
 *     tcp:ADDRESS:PORT   udp:ADDRESS:PORT   IPv4
 *     vsock:PORT         the guest's side: connects to the host's, listens to its own
 *     unix:PATH          a server's
 *     guest:PATH:PORT    connects through samara's --vsock PATH to a port of the guest's
 *
 * The end that connects measures. It first says what the other is to do; datagrams just come back.
 */
#ifndef BENCH_PROGRAMS_NET_H
#define BENCH_PROGRAMS_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PIECE = 256 << 10 };

struct order {
    uint64_t bytes;
    char what; /* ORDER_* */
    char unused[7];
};

enum {
    ORDER_ECHO = 'e', /* every byte, until the end of the stream */
    ORDER_TAKE = 't', /* bytes, and then one back */
    ORDER_GIVE = 'g', /* bytes */
};

/* Each says what failed and ends the program if it does. */
void check(bool good, const char *what);
int place_connect(const char *place);
int place_listen(const char *place);
bool place_is_datagram(const char *place);

/* False at the end of the stream. */
bool read_all(int fd, void *to, size_t len);
void write_all(int fd, const void *from, size_t len);
/* So many bytes, in pieces of PIECE. */
void read_bytes(int fd, uint64_t bytes);
void write_bytes(int fd, uint64_t bytes);

/* Serves whoever connects to these places, a thread each, until it is ended. */
int serve(char **places, int count);

#endif
