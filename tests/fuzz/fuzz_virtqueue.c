/*
 * libFuzzer: any bytes as guest memory with a queue in it. The verdict of vq_pop is compared with
 * that of a second, plain reading of the rules; what is accepted must lie in memory and add up.
 *
 * One request may be held while others come and go: its chain is not to be had again meanwhile.
 *
 * Input: one byte of options, then memory from FAKE_BASE on: descriptors, at +0x100 the available
 * ring, at +0x200 the used ring, the rest at will. Links to tests/devices/fake_guest.c.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/virtqueue.h"
#include "tests/devices/fake_guest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIZE = 8, RAM = 64 << 10, EVENT_IDX = 1, INDIRECT = 2, HOLD = 4 };

static struct fake_guest guest;

static void must(bool fact)
{
    if (!fact)
        abort();
}

static bool in_ram(uint64_t at, uint64_t len)
{
    return at >= FAKE_BASE && at <= FAKE_BASE + RAM && len <= FAKE_BASE + RAM - at;
}

/* What the rules say of the chain at head: bytes to read and to write. */
struct chain {
    bool good;
    uint64_t in, out;
    unsigned segments;
};

static struct chain judge(uint16_t head, bool indirect_allowed)
{
    struct chain chain = {0};
    uint64_t table = FAKE_BASE;
    uint32_t count = SIZE, index = head, steps = 0;
    bool inside = false;
    struct virtq_desc desc;

    for (;;) {
        if (index >= count || steps++ >= count)
            return chain;
        memcpy(&desc, guest.ram + (table - FAKE_BASE) + index * 16, 16);
        if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
            if (inside || !indirect_allowed || desc.flags & VIRTQ_DESC_F_NEXT)
                return chain;
            if (desc.len == 0 || desc.len % 16 != 0 || !in_ram(desc.addr, desc.len))
                return chain;
            table = desc.addr;
            count = desc.len / 16;
            index = steps = 0;
            inside = true;
            continue;
        }
        if (desc.len == 0 || !in_ram(desc.addr, desc.len))
            return chain;
        if (!(desc.flags & VIRTQ_DESC_F_WRITE) && chain.out > 0)
            return chain;
        *(desc.flags & VIRTQ_DESC_F_WRITE ? &chain.out : &chain.in) += desc.len;
        if (chain.in + chain.out > VQ_MAX_BYTES || ++chain.segments > VQ_MAX_SEGMENTS)
            return chain;
        if (!(desc.flags & VIRTQ_DESC_F_NEXT))
            break;
        index = desc.next;
    }
    chain.good = true;
    return chain;
}

static void check_request(const struct vq_request *req, const struct chain *chain)
{
    uint64_t bytes = 0;

    must(vq_readable(req) == chain->in);
    must(vq_writable(req) == chain->out);
    must(req->segments == chain->segments);
    for (unsigned i = 0; i < req->segments; i++) {
        const uint8_t *at = req->iov[i].iov_base;

        must(at >= guest.ram && req->iov[i].iov_len <= (size_t)(guest.ram + RAM - at));
        bytes += req->iov[i].iov_len;
    }
    must(bytes == chain->in + chain->out);
}

static void use_request(struct vq_request *req, const struct chain *chain, uint16_t done)
{
    static uint8_t buffer[RAM];
    size_t in = chain->in < RAM ? chain->in : RAM;
    uint32_t written = 0;
    uint16_t idx;
    struct virtq_used_elem used;

    must(vq_read(req, buffer, in / 2));
    must(vq_read(req, buffer, in - in / 2));
    must(!vq_read(req, buffer, (size_t)chain->in - in + 1));
    if (chain->out > 8) {
        must(vq_reserve(req, 8) && vq_write(req, buffer, 1));
        must(vq_fill(req, 1, "samara!", 8) && !vq_fill(req, 2, "samara!", 8));
        written = 9;
    }
    vq_complete(req);
    vq_complete(req);
    memcpy(&idx, guest.ram + 0x202, 2);
    memcpy(&used, guest.ram + 0x204 + done % SIZE * 8, 8);
    must(idx == (uint16_t)(done + 1));
    must(used.len == written && used.id < SIZE);
}

/* The next chain, as the rules have it. */
static struct chain judge_next(uint16_t avail, uint16_t popped, uint8_t options,
                               const struct vq_request *held)
{
    uint16_t head;

    memcpy(&head, guest.ram + 0x104 + popped % SIZE * 2, 2);
    if ((uint16_t)(avail - popped) > SIZE || (vq_live(held) && head == held->head))
        return (struct chain){0};
    return judge(head, options & INDIRECT);
}

static void run(struct virtqueue *vq, uint8_t options)
{
    struct vq_request req, held = {0};
    struct chain held_chain = {0};
    uint16_t done = 0;

    for (uint16_t popped = 0; popped < 1000; popped++) { /* it may write over its own index */
        uint16_t avail;
        struct chain chain;
        enum vq_verdict verdict;

        memcpy(&avail, guest.ram + 0x102, 2);
        chain = judge_next(avail, popped, options, &held);
        verdict = vq_pop(vq, &req);
        if (avail == popped) {
            must(verdict == VQ_EMPTY);
            break;
        }
        must(verdict == (chain.good ? VQ_REQUEST : VQ_BROKEN));
        if (verdict == VQ_BROKEN) {
            must(vq->broken != NULL && vq_pop(vq, &req) == VQ_BROKEN);
            return;
        }
        check_request(&req, &chain);
        if (options & HOLD && popped == 0) {
            held = req;
            held_chain = chain;
            continue;
        }
        use_request(&req, &chain, done++);
        vq_interrupt_due(vq);
    }
    if (vq_live(&held))
        use_request(&held, &held_chain, done);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtqueue vq;

    if (size < 1 || size > RAM)
        return 0;
    if (guest.ram == NULL) {
        fake_open(&guest);
        guest.mem.regions[0].size = RAM;
    }
    memset(guest.ram, 0, RAM);
    memcpy(guest.ram, data + 1, size - 1);
    memset(guest.ram + 0x200, 0, 4);
    vq_init(&vq, &guest.mem, SIZE);
    vq.state = (struct vq_state){
        .desc = FAKE_BASE, .avail = FAKE_BASE + 0x100, .used = FAKE_BASE + 0x200, .size = SIZE};
    must(vq_make_ready(&vq, data[0] & EVENT_IDX, data[0] & INDIRECT));
    run(&vq, data[0]);
    return 0;
}
