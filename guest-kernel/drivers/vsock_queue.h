/*
 * The vsock device's queues: packets in, packets out, and the memory for both. What a packet means
 * is vsock.c's.
 */
#ifndef GUEST_KERNEL_DRIVERS_VSOCK_QUEUE_H
#define GUEST_KERNEL_DRIVERS_VSOCK_QUEUE_H

#include "abi/virtio_vsock.h"
#include "guest-kernel/boot/boot_info.h"

/* A received packet. data[start..end) is what has not been read yet. */
struct vsock_buffer {
    struct vsock_buffer *next;
    u8 *data;
    u32 start, end, room;           /* of room bytes */
    u32 flags;                      /* of a message's part: VIRTIO_VSOCK_SEQ_* */
    struct virtio_vsock_hdr header; /* the device writes it: copy before use */
};

/* handler runs at the device's interrupt. */
bool vsockq_init(const struct boot_info *info, void (*handler)(void *arg));
void vsockq_acknowledge(void); /* first thing in it */
u32 vsockq_cid(void);
bool vsockq_has_messages(void); /* SEQPACKET was agreed upon */

/* Bytes a buffer holds; the most one packet can carry. */
u32 vsockq_buffer_size(void);

/* The next packet, or NULL. *header is a copy; header->len is the payload's true length. The buffer
 * is the caller's until vsockq_recycle. Malformed packets are dropped. */
struct vsock_buffer *vsockq_receive(struct virtio_vsock_hdr *header);
void vsockq_recycle(struct vsock_buffer *buffer);

/* A buffer of less than vsockq_buffer_size, for a payload that is to be kept and small;
 * vsockq_recycle takes it back. NULL: out of memory. */
struct vsock_buffer *vsockq_small_buffer(u32 room);

/* Tells the device about recycled buffers once enough have gathered, or all at once. */
void vsockq_offer(bool all);

/* Asks for an interrupt. True if a packet came meanwhile. */
bool vsockq_arm_receive(void);
/* The same for room to send. */
bool vsockq_arm_send(void);

/* Puts a packet into the ring, header->len bytes of payload copied. False if there is no room; room
 * for packets without payload is kept longer. */
bool vsockq_send(const struct virtio_vsock_hdr *header, const void *payload);

/*
 * The same without a copy: the payload is prepared memory of the program's, or ours, of at most
 * vsockq_in_place_most bytes; 0: the device is one that may take its time. The memory has to stay
 * what it is until vsockq_is_taken, of which kicking sees to: the device works meanwhile. If some
 * packets are left for later (it does so many at a time), vsockq_press has it go on. What has
 * stopped for good is given up: nothing more is sent.
 */
u32 vsockq_in_place_most(void);
bool vsockq_send_in_place(const struct virtio_vsock_hdr *header, const void *payload);
bool vsockq_is_taken(void);
void vsockq_press(void);
void vsockq_give_up(void);

/* Tells the device about what was sent; takes back what it is done with. True if any was. */
bool vsockq_kick_send(void);
bool vsockq_reclaim(void);
/* There is room for so many packets with payload: slots, and memory for them. */
bool vsockq_can_send(unsigned count);
/* None is under way: what there is no room for now will never have any. */
bool vsockq_all_sent(void);

#endif
