/*
 * x86 keeps stores in order and loads in order, so compiler barriers are enough but for one place:
 * "publish my index, then read the other side's event index" is store-load and needs a fence.
 */
#include "guest-kernel/drivers/virtqueue.h"
#include "abi/virtio.h"
#include "guest-kernel/lib/string.h"

static void compiler_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

size_t vq_bytes(u16 size)
{
    return VIRTQ_BYTES(size);
}

static volatile u16 *used_event(const struct vq *vq)
{
    return &vq->avail[2 + vq->size];
}

static u16 avail_event(const struct vq *vq)
{
    return vq->used[2 + vq->size * 4];
}

static u16 used_index(const struct vq *vq)
{
    return vq->used[1];
}

void vq_init(struct vq *vq, u16 size, void *memory, u64 window, bool event_idx)
{
    memset(vq, 0, sizeof(*vq));
    vq->size = size;
    vq->free_count = size;
    vq->event_idx = event_idx;
    vq->window = window;
    vq->desc = memory;
    vq->avail = (volatile u16 *)(void *)((u8 *)memory + VIRTQ_AVAIL_OFFSET(size));
    vq->used = (volatile u16 *)(void *)((u8 *)memory + VIRTQ_USED_OFFSET(size));
    for (u16 i = 0; i < size; i++)
        vq->next[i] = (u16)(i + 1);
}

bool vq_add(struct vq *vq, const struct vq_part *parts, unsigned count, void *token)
{
    u16 head = vq->free_head, at = head;

    if (count == 0 || count > vq->free_count || vq->broken)
        return false;
    vq->capacity[head] = 0;
    for (unsigned i = 0; i < count; i++) {
        volatile struct virtq_desc *d = &vq->desc[at];
        bool last = i + 1 == count;

        d->addr = (u64)(uintptr_t)parts[i].at - vq->window;
        d->len = parts[i].len;
        d->flags = (u16)((parts[i].device_writes ? VIRTQ_DESC_F_WRITE : 0) |
                         (last ? 0 : VIRTQ_DESC_F_NEXT));
        d->next = last ? 0 : vq->next[at];
        if (parts[i].device_writes)
            vq->capacity[head] += parts[i].len;
        if (last)
            vq->free_head = vq->next[at];
        else
            at = vq->next[at];
    }
    vq->next[at] = vq->size; /* ends the chain */
    vq->free_count = (u16)(vq->free_count - count);
    vq->token[head] = token;
    vq->avail[2 + (vq->avail_next & (vq->size - 1))] = head;
    compiler_barrier();
    vq->avail[1] = ++vq->avail_next;
    return true;
}

bool vq_kick_due(struct vq *vq)
{
    u16 before = vq->kicked, now = vq->avail_next;

    if (now == before)
        return false;
    vq->kicked = now;
    full_barrier();
    if (vq->event_idx)
        return virtq_event_due(avail_event(vq), now, before);
    return !(vq->used[0] & VIRTQ_USED_F_NO_NOTIFY);
}

bool vq_pending(const struct vq *vq)
{
    return !vq->broken && used_index(vq) != vq->used_next;
}

static void free_chain(struct vq *vq, u16 head)
{
    u16 last = head;

    vq->free_count++;
    while (vq->next[last] != vq->size) {
        last = vq->next[last];
        vq->free_count++;
    }
    vq->next[last] = vq->free_head;
    vq->free_head = head;
}

bool vq_pop(struct vq *vq, struct vq_used *out)
{
    volatile struct virtq_used_elem *elem;
    u32 id, len;

    if (!vq_pending(vq))
        return false;
    compiler_barrier();
    elem = (volatile struct virtq_used_elem *)(volatile void *)&vq->used[2];
    id = elem[vq->used_next & (vq->size - 1)].id;
    len = elem[vq->used_next & (vq->size - 1)].len;
    if ((u16)(used_index(vq) - vq->used_next) > vq->size || id >= vq->size ||
        vq->token[id] == NULL || len > vq->capacity[id]) {
        vq->broken = true;
        return false;
    }
    *out = (struct vq_used){vq->token[id], len};
    vq->token[id] = NULL;
    free_chain(vq, (u16)id);
    vq->used_next++;
    return true;
}

bool vq_arm(struct vq *vq)
{
    if (vq->event_idx)
        *used_event(vq) = vq->used_next;
    else
        vq->avail[0] = 0;
    full_barrier();
    return vq_pending(vq);
}

void vq_disarm(struct vq *vq)
{
    /* The entry just before the next one: 65535 entries away. */
    if (vq->event_idx)
        *used_event(vq) = (u16)(vq->used_next - 1);
    else
        vq->avail[0] = VIRTQ_AVAIL_F_NO_INTERRUPT;
}
