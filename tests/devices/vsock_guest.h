/* The guest's side of a vsock device for tests: packets in and out, every field at the test's will.
 */
#ifndef SAMARA_TESTS_DEVICES_VSOCK_GUEST_H
#define SAMARA_TESTS_DEVICES_VSOCK_GUEST_H

#include "abi/platform.h"
#include "devices/vsock.h"
#include "monitor/unix_socket.h"
#include "tests/devices/fake_guest.h"

enum { RX = VIRTIO_VSOCK_QUEUE_RX, TX = VIRTIO_VSOCK_QUEUE_TX, CID = 3 };
enum { VG_QUEUE = 64, VG_TX_BYTES = 72 << 10 };

enum { VG_DIALS = 64 };

struct vg_dial {
    uint32_t port;
    int type;
    uint64_t ticket;
};

struct vsock_guest {
    struct fake_guest fake;
    struct device_lock lock;
    struct event_loop loop;
    struct vsock *vsock;
    struct unix_listener listener; /* the device has its descriptor */
    struct unix_listener messages; /* the same for those of SOCK_SEQPACKET */
    struct loop_task dialler;
    struct vg_dial dial[VG_DIALS]; /* wishes of the device not answered yet */
    unsigned dials;
    bool dial_refused;               /* no more are taken */
    char served[UNIX_PATH_MAX + 16]; /* of the last server, removed at the end */
    uint32_t rx_bytes;               /* of each rx buffer */
    uint32_t buf_alloc;              /* what headers say */
    uint32_t fwd_cnt;
    uint16_t type; /* of packets and of the host's sockets; STREAM at first */
    unsigned tx_next;
    int failed_stdio, stdio_reason; /* what the device said last of a stream; -1: nothing */
};

struct packet {
    struct virtio_vsock_hdr hdr;
    const uint8_t *data;
};

/* A device with a listening socket and the stdio given (-1: none), started, with rx buffers. */
void vg_open(struct vsock_guest *guest, int in, int out, int error);
void vg_close(struct vsock_guest *guest);
/* (Re)starts the device; rx_count buffers of rx_bytes are offered. */
void vg_start(struct vsock_guest *guest, uint64_t features, unsigned rx_count);
/* Another buffer for rx. */
void vg_offer(struct vsock_guest *guest, uint16_t slot);

/* A header of this connection as an honest guest has it. */
struct virtio_vsock_hdr vg_hdr(const struct vsock_guest *guest, uint16_t op, uint32_t host_port,
                               uint32_t guest_port);
/* Sends hdr (hdr.len as it is) and len bytes of data, and kicks. False if the device kept it. */
bool vg_send_raw(struct vsock_guest *guest, const struct virtio_vsock_hdr *hdr, const void *data,
                 uint32_t len);
/* Queues a packet without a kick; slots are those of the tx queue. */
void vg_queue(struct vsock_guest *guest, uint16_t slot, const struct virtio_vsock_hdr *hdr,
              const void *data, uint32_t len);
bool vg_send(struct vsock_guest *guest, uint16_t op, uint32_t host_port, uint32_t guest_port);
bool vg_shutdown(struct vsock_guest *guest, uint32_t flags, uint32_t host_port,
                 uint32_t guest_port);
bool vg_data(struct vsock_guest *guest, const void *data, uint32_t len, uint32_t host_port,
             uint32_t guest_port);

/* Takes a packet if there is one after a turn of the loop. The data is valid until the next. */
bool vg_take(struct vsock_guest *guest, struct packet *packet);
/* Waits for a packet and asserts its operation. */
struct packet vg_expect(struct vsock_guest *guest, uint16_t op);
/* Asserts that nothing comes. */
void vg_expect_nothing(struct vsock_guest *guest);
/* From now on the loop watches nothing more. */
void vg_use_up_watches(struct vsock_guest *guest);
/* Bytes received from the guest and not yet written to the host. */
uint64_t vg_held(const struct vsock_guest *guest);
/* Asserts that the device still works: a request to nowhere gets its RST. */
void vg_assert_alive(struct vsock_guest *guest);

/* A client on the host: connects and says text. */
int vg_client(struct vsock_guest *guest, const char *text);
/* A server on the host behind `port`. */
int vg_server(struct vsock_guest *guest, uint32_t port);
/* The guest connects to that server: the host's end, which does not block. */
int vg_connect(struct vsock_guest *guest, int server, uint32_t port, uint32_t my_port);
/* Reads exactly len bytes while the loop turns, up to two seconds. */
void vg_read_host(struct vsock_guest *guest, int fd, void *to, size_t len);
/* True if the device has closed fd's other end. */
bool vg_host_eof(struct vsock_guest *guest, int fd);

#endif
