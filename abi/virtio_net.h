/*
 * The network device (Virtio 1.2, 5.1): queues, feature bits, configuration, the header before each
 * frame, and the control queue's commands. All fields are little-endian.
 */
#ifndef SAMARA_ABI_VIRTIO_NET_H
#define SAMARA_ABI_VIRTIO_NET_H

#include <stdint.h>

/* Queues (5.1.2), for one pair. */
enum {
    VIRTIO_NET_QUEUE_RX = 0,
    VIRTIO_NET_QUEUE_TX = 1,
    VIRTIO_NET_QUEUE_CTRL = 2, /* with CTRL_VQ */
    VIRTIO_NET_QUEUES = 3,
};

/* Feature bit numbers (5.1.3). GUEST_ is what the driver can take, HOST_ what the device can. */
enum {
    VIRTIO_NET_F_CSUM = 0, /* the device completes checksums */
    VIRTIO_NET_F_GUEST_CSUM = 1,
    VIRTIO_NET_F_MTU = 3,
    VIRTIO_NET_F_MAC = 5,
    VIRTIO_NET_F_GUEST_TSO4 = 7,
    VIRTIO_NET_F_GUEST_TSO6 = 8,
    VIRTIO_NET_F_GUEST_ECN = 9,
    VIRTIO_NET_F_GUEST_UFO = 10,
    VIRTIO_NET_F_HOST_TSO4 = 11,
    VIRTIO_NET_F_HOST_TSO6 = 12,
    VIRTIO_NET_F_HOST_ECN = 13,
    VIRTIO_NET_F_HOST_UFO = 14,
    VIRTIO_NET_F_MRG_RXBUF = 15,
    VIRTIO_NET_F_STATUS = 16,
    VIRTIO_NET_F_CTRL_VQ = 17,
    VIRTIO_NET_F_GUEST_ANNOUNCE = 21,
    VIRTIO_NET_F_GUEST_USO4 = 54,
    VIRTIO_NET_F_GUEST_USO6 = 55,
    VIRTIO_NET_F_HOST_USO = 56,
};

/* Status in the configuration (5.1.4). */
enum {
    VIRTIO_NET_S_LINK_UP = 1,
    VIRTIO_NET_S_ANNOUNCE = 2,
};

struct virtio_net_config {
    uint8_t mac[6];
    uint16_t status;
    uint16_t max_virtqueue_pairs; /* with MQ, which samara does not offer */
    uint16_t mtu;
};
_Static_assert(sizeof(struct virtio_net_config) == 12, "5.1.4");

/* Before each frame, both ways (5.1.6). */
struct virtio_net_header {
    uint8_t flags;
    uint8_t gso_type;
    uint16_t header_len;
    uint16_t gso_size;
    uint16_t csum_start;
    uint16_t csum_offset;
    uint16_t buffers; /* that a received frame takes */
};
_Static_assert(sizeof(struct virtio_net_header) == 12, "5.1.6");

/* flags */
enum {
    VIRTIO_NET_HDR_F_NEEDS_CSUM = 1,
    VIRTIO_NET_HDR_F_DATA_VALID = 2,
};

/* gso_type */
enum {
    VIRTIO_NET_HDR_GSO_NONE = 0,
    VIRTIO_NET_HDR_GSO_TCPV4 = 1,
    VIRTIO_NET_HDR_GSO_UDP = 3,
    VIRTIO_NET_HDR_GSO_TCPV6 = 4,
    VIRTIO_NET_HDR_GSO_UDP_L4 = 5,
    VIRTIO_NET_HDR_GSO_ECN = 0x80,
};

/* The control queue (5.1.6.5): this, the command's data, and an answer of one byte. */
struct virtio_net_ctrl {
    uint8_t class;
    uint8_t command;
};
_Static_assert(sizeof(struct virtio_net_ctrl) == 2, "5.1.6.5");

enum {
    VIRTIO_NET_CTRL_ANNOUNCE = 3, /* class */
    VIRTIO_NET_CTRL_ANNOUNCE_ACK = 0,
};

enum {
    VIRTIO_NET_OK = 0,
    VIRTIO_NET_ERR = 1,
};

#define VIRTIO_NET_MAC_BYTES 6
#define VIRTIO_NET_MTU_MIN   68 /* 5.1.4.1 */

#endif
