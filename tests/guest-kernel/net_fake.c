#include "tests/guest-kernel/net_fake.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "abi/virtio.h"
#include "guest-kernel/arch/clock.h"
#include "guest-kernel/arch/panic.h"
#include "guest-kernel/drivers/net.h"
#include "guest-kernel/drivers/virtio_mmio.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/random.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/net/stack.h"
#include "guest-kernel/net/timers.h"
#include "guest-kernel/task/timer.h"
#include "guest-kernel/task/wait.h"
#include "lwip/etharp.h"
#include "lwip/ethip6.h"
#include "lwip/netif.h"
#include "lwip/prot/ethernet.h"

u64 fake_now = 5 * SECOND;
u64 fake_wake_up;
unsigned fake_wakings;
const char *fake_addresses = "";
bool fake_link_up = true;
unsigned fake_kicks;
size_t fake_pages = 100000, fake_heap;
u8 fake_last[2048];
size_t fake_last_size;

static struct timer *armed;
static struct fake_sent sent;
static struct netif *wire;

/* --- memory, randomness, reports --- */

void *kmalloc(size_t size)
{
    fake_heap++;
    return malloc(size ? size : 1);
}

void *kzalloc(size_t size)
{
    return memset(kmalloc(size), 0, size);
}

void kfree(void *block)
{
    fake_heap -= block != NULL;
    free(block);
}

void *page_alloc_raw(bool *known_zero)
{
    *known_zero = false;
    if (fake_pages == 0)
        return NULL;
    fake_pages--;
    return aligned_alloc(PAGE_SIZE, PAGE_SIZE);
}

void page_free(void *page)
{
    fake_pages++;
    free(page);
}

size_t pages_total(void)
{
    return 400;
}

u64 kvmclock_ns(void)
{
    return clock_monotonic_ns();
}

u32 random_function(const u32 *words, unsigned count)
{
    u32 mix = 0;

    for (unsigned i = 0; i < count; i++)
        mix = mix * 31 + words[i];
    return mix;
}

void random_bytes(void *buf, size_t len)
{
    u8 *at = buf;

    while (len-- > 0)
        *at++ = (u8)rand();
}

_Noreturn void panic(const struct regs *regs, const char *fmt, ...)
{
    (void)regs;
    cr_assert_fail("%s", fmt);
    abort();
}

/* --- time --- */

u64 clock_monotonic_ns(void)
{
    return fake_now;
}

void timer_set(struct timer *timer, u64 deadline_ns)
{
    armed = timer;
    timer->armed = true;
    timer->deadline = fake_wake_up = deadline_ns;
}

void timer_cancel(struct timer *timer)
{
    timer->armed = false;
    fake_wake_up = 0;
}

void fake_pass(u64 ns)
{
    u64 end = fake_now + ns;

    while (fake_wake_up != 0 && fake_wake_up <= end) {
        fake_now = fake_wake_up > fake_now ? fake_wake_up : fake_now;
        timer_cancel(armed);
        fake_wakings++;
        armed->fire(armed);
    }
    fake_now = end;
}

unsigned wake_all(struct wait_queue *queue)
{
    (void)queue;
    return 0;
}

int wait_on(struct wait_queue *queue, u64 deadline_ns)
{
    (void)queue;
    fake_pass(deadline_ns - fake_now);
    return -ETIMEDOUT;
}

/* --- the interface --- */

static err_t take(struct netif *netif, struct pbuf *p)
{
    const struct eth_hdr *eth = p->payload;

    (void)netif;
    sent.arp += eth->type == PP_HTONS(ETHTYPE_ARP);
    sent.ip4 += eth->type == PP_HTONS(ETHTYPE_IP);
    sent.ip6 += eth->type == PP_HTONS(ETHTYPE_IPV6);
    fake_last_size = pbuf_copy_partial(p, fake_last, sizeof(fake_last), 0);
    if (eth->type == PP_HTONS(ETHTYPE_ARP))
        net_timers_arp();
    return ERR_OK;
}

struct fake_sent fake_sent(void)
{
    struct fake_sent now = sent;

    sent = (struct fake_sent){0};
    return now;
}

unsigned net_count(void)
{
    return 1;
}

const char *net_addresses(unsigned number)
{
    (void)number;
    return fake_addresses;
}

bool net_attach(unsigned number, struct netif *netif)
{
    static const u8 mac[6] = {2, 0, 0, 0, 0, 1};

    (void)number;
    wire = netif;
    memcpy(netif->hwaddr, mac, sizeof(mac));
    netif->hwaddr_len = sizeof(mac);
    netif->name[0] = 'e';
    netif->mtu = 1500;
    netif->output = etharp_output;
    netif->output_ip6 = ethip6_output;
    netif->linkoutput = take;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET |
                   NETIF_FLAG_MLD6 | (fake_link_up ? NETIF_FLAG_LINK_UP : 0);
    return true;
}

void net_notify(void)
{
}

static void input(void *arg)
{
    if (wire->input(arg, wire) != ERR_OK)
        pbuf_free(arg);
}

void fake_arrive(const void *frame, size_t size)
{
    struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16)size, PBUF_RAM);

    memcpy(p->payload, frame, size);
    stack_run(input, p);
}

/* --- queues --- */

void fake_queue(struct vq *vq, u16 size)
{
    void *memory = aligned_alloc(PAGE_SIZE, 4 * PAGE_SIZE);

    memset(memory, 0, 4 * PAGE_SIZE);
    vq_init(vq, size, memory, 0, true);
}

void fake_use(struct vq *vq, u16 head, u32 len)
{
    volatile u32 *elem = (volatile u32 *)(volatile void *)(vq->used + 2);
    u16 at = vq->used[1];

    elem[2 * (at % vq->size)] = head;
    elem[2 * (at % vq->size) + 1] = len;
    vq->used[1] = (u16)(at + 1);
}

void *fake_buffer(const struct vq *vq, u16 head)
{
    return (void *)(uintptr_t)vq->desc[head].addr;
}

void virtio_kick(struct virtio_device *device, u16 index, struct vq *vq)
{
    (void)device;
    (void)index;
    fake_kicks += vq_kick_due(vq);
}

void fake_answer_arp(void)
{
    static const u8 frame[42] = {2, 0, 0, 0, 0, 1, 2, 0,  0, 0, 0, 9, 8, 6, 0, 1, 8, 0,  6, 4, 0,
                                 2, 2, 0, 0, 0, 0, 9, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 2};

    fake_arrive(frame, sizeof(frame));
}

u32 fake_get32(const u8 *at)
{
    return (u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3];
}

void fake_put32(u8 *at, u32 value)
{
    for (unsigned i = 0; i < 4; i++)
        at[i] = (u8)(value >> (24 - 8 * i));
}
