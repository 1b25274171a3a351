/* See driver.h. */
#include "tests/vm/kernels/driver.h"

#include "abi/platform.h"
#include "abi/virtio_vsock.h"

enum { RING_BYTES = 0x4000, AVAIL_AT = 0x2000, USED_AT = 0x3000, SAID_PORT = 1000 };
/* A second or three: slow machines are slow in cycles as well. */
#define PATIENCE (UINT64_C(1) << 33)

struct ring rings[QUEUES];
static uint8_t ring_memory[QUEUES][RING_BYTES] __attribute__((aligned(4096)));
static uint8_t said[4096] __attribute__((aligned(4096)));

/* gcc calls them whatever it is told. */
void *memcpy(void *to, const void *from, size_t len);
void *memset(void *at, int byte, size_t len);

void *memcpy(void *to, const void *from, size_t len)
{
    copy(to, from, len);
    return to;
}

void *memset(void *at, int byte, size_t len)
{
    fill(at, (uint8_t)byte, len);
    return at;
}

uint64_t gpa_of(const volatile void *at)
{
    return (uint64_t)(uintptr_t)at - SAMARA_WINDOW;
}

void fill(volatile void *at, uint8_t byte, size_t len)
{
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
}

void copy(volatile void *to, const volatile void *from, size_t len)
{
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

uint64_t cycles(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* --- registers --- */

static volatile uint32_t *at(unsigned slot, uint32_t offset)
{
    return (volatile uint32_t *)(SAMARA_WINDOW + SAMARA_GPA_VIRTIO + slot * SAMARA_VIRTIO_STRIDE +
                                 offset);
}

uint32_t reg(unsigned slot, uint32_t offset)
{
    return *at(slot, offset);
}

void set_reg(unsigned slot, uint32_t offset, uint32_t value)
{
    *at(slot, offset) = value;
}

bool is_there(unsigned slot)
{
    return reg(slot, VIRTIO_MMIO_MAGIC) == VIRTIO_MMIO_MAGIC_VALUE;
}

unsigned queues_of(unsigned slot)
{
    return slot >= DISK_SLOT && slot < NET_SLOT ? 1 : QUEUES;
}

bool needs_reset(unsigned slot)
{
    return reg(slot, VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET;
}

bool comes_to_need_reset(unsigned slot)
{
    const uint64_t since = cycles();

    while (!needs_reset(slot)) {
        if (cycles() - since > PATIENCE)
            return false;
    }
    return true;
}

/* --- set-up --- */

void begin(unsigned slot, uint64_t features)
{
    features |= VIRTIO_FEATURE(VIRTIO_F_VERSION_1);
    set_reg(slot, VIRTIO_MMIO_STATUS, 0);
    set_reg(slot, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
    set_reg(slot, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set_reg(slot, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
    set_reg(slot, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set_reg(slot, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
    set_reg(slot, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_FEATURES_OK | 3);
}

static void set_address(unsigned slot, uint32_t low, const volatile void *where)
{
    set_reg(slot, low, (uint32_t)gpa_of(where));
    set_reg(slot, low + 4, (uint32_t)(gpa_of(where) >> 32));
}

void place(unsigned slot, unsigned index, uint16_t size)
{
    uint8_t *memory = ring_memory[index];

    fill(memory, 0, RING_BYTES);
    rings[index] = (struct ring){.size = size,
                                 .desc = (volatile struct virtq_desc *)memory,
                                 .avail = (volatile struct virtq_avail *)(memory + AVAIL_AT),
                                 .used = (volatile struct virtq_used *)(memory + USED_AT)};
    set_reg(slot, VIRTIO_MMIO_QUEUE_SEL, index);
    set_reg(slot, VIRTIO_MMIO_QUEUE_NUM, size);
    set_address(slot, VIRTIO_MMIO_QUEUE_DESC_LOW, memory);
    set_address(slot, VIRTIO_MMIO_QUEUE_AVAIL_LOW, memory + AVAIL_AT);
    set_address(slot, VIRTIO_MMIO_QUEUE_USED_LOW, memory + USED_AT);
}

void make_ready(unsigned slot)
{
    set_reg(slot, VIRTIO_MMIO_QUEUE_READY, 1);
}

void driver_ok(unsigned slot)
{
    set_reg(slot, VIRTIO_MMIO_STATUS, VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FEATURES_OK | 3);
}

void start_device(unsigned slot, uint64_t features, uint16_t size)
{
    begin(slot, features);
    for (unsigned i = 0; i < queues_of(slot); i++) {
        place(slot, i, size);
        make_ready(slot);
    }
    driver_ok(slot);
}

/* --- rings --- */

void put_desc(unsigned queue, uint16_t index, uint64_t gpa, uint32_t len, uint16_t flags,
              uint16_t next)
{
    volatile struct virtq_desc *desc = &rings[queue].desc[index];

    desc->addr = gpa;
    desc->len = len;
    desc->flags = flags;
    desc->next = next;
}

void add(unsigned queue, uint16_t head)
{
    struct ring *r = &rings[queue];

    r->avail->ring[r->added++ % r->size] = head;
    r->avail->idx = r->added;
}

void kick(unsigned slot, unsigned queue)
{
    set_reg(slot, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

bool take_used(unsigned queue, struct virtq_used_elem *elem)
{
    struct ring *r = &rings[queue];

    if (r->used->idx == r->seen)
        return false;
    elem->id = r->used->ring[r->seen % r->size].id;
    elem->len = r->used->ring[r->seen++ % r->size].len;
    return true;
}

bool await_used(unsigned queue, struct virtq_used_elem *elem)
{
    const uint64_t since = cycles();

    while (!take_used(queue, elem)) {
        if (cycles() - since > PATIENCE)
            return false;
    }
    return true;
}

/* --- what the host hears --- */

static void send_said(uint16_t op, const char *text, uint32_t len)
{
    const struct virtio_vsock_hdr hdr = {.src_cid = SAMARA_GUEST_CID,
                                         .dst_cid = VSOCK_HOST_CID,
                                         .src_port = SAID_PORT,
                                         .dst_port = SAMARA_STDIO_PORT + 1,
                                         .len = len,
                                         .type = VIRTIO_VSOCK_TYPE_STREAM,
                                         .op = op,
                                         .buf_alloc = 4096};
    struct virtq_used_elem elem;

    copy(said, &hdr, sizeof(hdr));
    copy(said + sizeof(hdr), text, len);
    put_desc(VIRTIO_VSOCK_QUEUE_TX, 0, gpa_of(said), (uint32_t)sizeof(hdr) + len, 0, 0);
    add(VIRTIO_VSOCK_QUEUE_TX, 0);
    kick(VSOCK_SLOT, VIRTIO_VSOCK_QUEUE_TX);
    must(await_used(VIRTIO_VSOCK_QUEUE_TX, &elem), 200);
}

void say(const char *text)
{
    struct virtq_used_elem elem;
    uint32_t len = 0;

    while (text[len])
        len++;
    start_device(VSOCK_SLOT, 0, 4);
    put_desc(VIRTIO_VSOCK_QUEUE_RX, 0, gpa_of(said + 2048), 1024, VIRTQ_DESC_F_WRITE, 0);
    add(VIRTIO_VSOCK_QUEUE_RX, 0);
    kick(VSOCK_SLOT, VIRTIO_VSOCK_QUEUE_RX);
    send_said(VIRTIO_VSOCK_OP_REQUEST, "", 0);
    must(await_used(VIRTIO_VSOCK_QUEUE_RX, &elem), 201);
    must(((struct virtio_vsock_hdr *)(said + 2048))->op == VIRTIO_VSOCK_OP_RESPONSE, 202);
    send_said(VIRTIO_VSOCK_OP_RW, text, len);
}

void leave(uint32_t code)
{
    volatile struct samara_platform *page =
        (volatile struct samara_platform *)(SAMARA_WINDOW + SAMARA_GPA_PLATFORM);

    page->exit_kind = SAMARA_EXIT_STATUS;
    page->exit_code = code;
    for (;;)
        *(volatile uint32_t *)(SAMARA_WINDOW + SAMARA_GPA_DOORBELL + SAMARA_DOORBELL_EXIT) = 1;
}

void must(bool fact, uint32_t step)
{
    if (!fact)
        leave(step);
}
