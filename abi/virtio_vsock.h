/*
 * virtio-vsock (Virtio 1.2, 5.10): connections between guest and host, of bytes or of messages,
 * addressed by context id and port.
 */
#ifndef SAMARA_ABI_VIRTIO_VSOCK_H
#define SAMARA_ABI_VIRTIO_VSOCK_H

#include <stdint.h>

#define VSOCK_HOST_CID 2u

/* Feature bit numbers (5.10.3). */
enum {
    VIRTIO_VSOCK_F_STREAM = 0,
    VIRTIO_VSOCK_F_SEQPACKET = 1,
};

/* Virtqueues (5.10.2). */
enum {
    VIRTIO_VSOCK_QUEUE_RX = 0,
    VIRTIO_VSOCK_QUEUE_TX = 1,
    VIRTIO_VSOCK_QUEUE_EVENT = 2,
    VIRTIO_VSOCK_QUEUES = 3,
};

/* Configuration space (5.10.4). */
struct virtio_vsock_config {
    uint64_t guest_cid;
};
_Static_assert(sizeof(struct virtio_vsock_config) == 8, "5.10.4");

/* Precedes the data of every packet (5.10.6). */
struct virtio_vsock_hdr {
    uint64_t src_cid;
    uint64_t dst_cid;
    uint32_t src_port;
    uint32_t dst_port;
    uint32_t len;
    uint16_t type; /* enum virtio_vsock_type */
    uint16_t op;   /* enum virtio_vsock_op */
    uint32_t flags;
    uint32_t buf_alloc; /* bytes the sender can hold of this connection */
    uint32_t fwd_cnt;   /* bytes it has consumed since the start, modulo 2^32 */
} __attribute__((packed));
_Static_assert(sizeof(struct virtio_vsock_hdr) == 44, "5.10.6");

/* 5.10.6.2 */
enum virtio_vsock_type {
    VIRTIO_VSOCK_TYPE_STREAM = 1,
    VIRTIO_VSOCK_TYPE_SEQPACKET = 2,
};

enum virtio_vsock_op {
    VIRTIO_VSOCK_OP_REQUEST = 1,
    VIRTIO_VSOCK_OP_RESPONSE = 2,
    VIRTIO_VSOCK_OP_RST = 3,
    VIRTIO_VSOCK_OP_SHUTDOWN = 4,
    VIRTIO_VSOCK_OP_RW = 5,
    VIRTIO_VSOCK_OP_CREDIT_UPDATE = 6,
    VIRTIO_VSOCK_OP_CREDIT_REQUEST = 7,
};

/* Flags of SHUTDOWN (5.10.6.5): what the sender will not do any more. They add up. */
enum {
    VIRTIO_VSOCK_SHUTDOWN_RCV = 1,
    VIRTIO_VSOCK_SHUTDOWN_SEND = 2,
};

/* Flags of a SEQPACKET connection's RW (5.10.6.6.1): the packet is the last of its message; that
 * is the last of its record. */
enum {
    VIRTIO_VSOCK_SEQ_EOM = 1,
    VIRTIO_VSOCK_SEQ_EOR = 2,
};

/* Event queue (5.10.6.7). */
struct virtio_vsock_event {
    uint32_t id;
};
_Static_assert(sizeof(struct virtio_vsock_event) == 4, "5.10.6.7");

enum { VIRTIO_VSOCK_EVENT_TRANSPORT_RESET = 0 };

#endif
