/*
 * The rest of the kernel as the network sees it: a clock that tests set, one timer, and an
 * interface whose wire is the test's. lwIP is the real one.
 */
#ifndef TESTS_GUEST_KERNEL_NET_FAKE_H
#define TESTS_GUEST_KERNEL_NET_FAKE_H

#include "guest-kernel/lib/base.h"
#include "guest-kernel/drivers/virtqueue.h"

#define SECOND 1000000000ull

extern u64 fake_now;
extern u64 fake_wake_up;      /* the timer's deadline, 0: none */
extern unsigned fake_wakings; /* how often it fired in fake_pass */
extern const char *fake_addresses;
extern bool fake_link_up;
extern unsigned fake_kicks;
extern size_t fake_pages; /* that can still be allocated */
extern size_t fake_heap;  /* blocks in use */

/* Time goes on so far; the timer fires when it is due. */
void fake_pass(u64 ns);

/* What was sent since the last call, by EtherType. */
struct fake_sent {
    unsigned arp, ip4, ip6;
};
struct fake_sent fake_sent(void);
extern u8 fake_last[2048]; /* the last frame */
extern size_t fake_last_size;

/* A frame arrives. */
void fake_arrive(const void *frame, size_t size);
/* 10.0.0.1 says that it has the address 02:00:00:00:00:09. */
void fake_answer_arp(void);

/* Numbers in frames, big-endian. */
u32 fake_get32(const u8 *at);
void fake_put32(u8 *at, u32 value);

/* Lays a queue out, and the device's next answer in it: the chain at `head` was used. */
void fake_queue(struct vq *vq, u16 size);
void fake_use(struct vq *vq, u16 head, u32 len);
void *fake_buffer(const struct vq *vq, u16 head);

#endif
