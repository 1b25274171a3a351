/* See virtqueue.h. */
#include "devices/virtqueue.h"

#include <assert.h>
#include <string.h>

#include "abi/virtio.h"
#include "monitor/copy_barrier.h"
#include "monitor/guest_iov.h"

/* --- the rings, as memory the guest changes at any moment --- */

static uint16_t load16(const void *base, size_t offset)
{
    return __atomic_load_n((const uint16_t *)((const char *)base + offset), __ATOMIC_ACQUIRE);
}

static void store16(void *base, size_t offset, uint16_t value)
{
    __atomic_store_n((uint16_t *)((char *)base + offset), value, __ATOMIC_RELEASE);
}

static void full_barrier(void)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

enum { RING_FLAGS = 0, RING_IDX = 2, RING_ENTRIES = 4 };

static size_t slot_of(const struct virtqueue *vq, uint16_t index)
{
    return index & (vq->state.size - 1u);
}

static uint16_t avail_idx(const struct virtqueue *vq)
{
    return load16(vq->avail, RING_IDX);
}

static uint16_t used_event(const struct virtqueue *vq)
{
    return load16(vq->avail, RING_ENTRIES + 2u * vq->state.size);
}

/* --- set-up --- */

void vq_init(struct virtqueue *vq, const struct guest_mem *mem, uint16_t max_size)
{
    assert(max_size <= VQ_MAX_SIZE);
    *vq = (struct virtqueue){.mem = mem, .max_size = max_size};
    vq_reset(vq);
}

void vq_reset(struct virtqueue *vq)
{
    vq->state = (struct vq_state){.size = vq->max_size};
    vq->desc = vq->avail = vq->used = NULL;
    vq->broken = NULL;
    vq->want_kick = true;
    vq->epoch++;
    memset(vq->in_flight, 0, sizeof(vq->in_flight));
}

static bool vq_break(struct virtqueue *vq, const char *why)
{
    vq->broken = why;
    return false;
}

/* The host address of one part of the queue, NULL if it is not aligned RAM. */
static void *map_part(const struct virtqueue *vq, uint64_t at, uint32_t align, uint32_t bytes)
{
    return at % align == 0 ? guest_iov(vq->mem, gpa(at), bytes) : NULL;
}

bool vq_make_ready(struct virtqueue *vq, bool event_idx, bool indirect)
{
    const struct vq_state *state = &vq->state;
    uint16_t size = state->size;

    vq->state.ready = 0;
    if (size == 0 || size > vq->max_size || (size & (size - 1)) != 0)
        return vq_break(vq, "bad queue size");
    vq->desc = map_part(vq, state->desc, VIRTQ_DESC_ALIGN, VIRTQ_DESC_BYTES(size));
    vq->avail = map_part(vq, state->avail, VIRTQ_AVAIL_ALIGN, VIRTQ_AVAIL_BYTES(size));
    vq->used = map_part(vq, state->used, VIRTQ_USED_ALIGN, VIRTQ_USED_BYTES(size));
    if (vq->desc == NULL || vq->avail == NULL || vq->used == NULL)
        return vq_break(vq, "queue outside of memory or misaligned");
    vq->event_idx = event_idx;
    vq->indirect = indirect;
    vq->state.ready = 1;
    return true;
}

/* --- taking a chain --- */

static uint64_t *flight_word(struct virtqueue *vq, uint16_t head)
{
    return &vq->in_flight[head / 64];
}

static uint64_t flight_bit(uint16_t head)
{
    return UINT64_C(1) << (head % 64);
}

/* A descriptor table: the queue's own or an indirect one. */
struct table {
    const void *at;
    uint32_t count;
    bool indirect;
};

static struct virtq_desc copy_desc(const struct table *table, uint32_t index)
{
    struct virtq_desc desc;

    memcpy(&desc, (const char *)table->at + index * sizeof(desc), sizeof(desc));
    copy_barrier();
    return desc;
}

/* These return what is wrong, or NULL. */
static const char *enter_indirect(const struct virtqueue *vq, const struct virtq_desc *desc,
                                  struct table *table)
{
    if (!vq->indirect)
        return "indirect descriptor not negotiated";
    if (table->indirect)
        return "nested indirect descriptor";
    if (desc->flags & VIRTQ_DESC_F_NEXT)
        return "indirect descriptor with a next one";
    if (desc->len == 0 || desc->len % sizeof(struct virtq_desc) != 0)
        return "bad length of an indirect table";
    table->at = guest_iov(vq->mem, gpa(desc->addr), desc->len);
    if (table->at == NULL)
        return "indirect table outside of memory";
    table->count = desc->len / (uint32_t)sizeof(struct virtq_desc);
    table->indirect = true;
    return NULL;
}

static const char *add_segment(struct vq_request *req, const struct virtq_desc *desc)
{
    bool writable = desc->flags & VIRTQ_DESC_F_WRITE;
    struct vq_cursor *half = writable ? &req->out : &req->in;
    void *host;

    if (desc->len == 0)
        return "descriptor of length zero";
    if (!writable && req->out.left > 0)
        return "readable descriptor after a writable one";
    if (desc->len > VQ_MAX_BYTES - req->in.left - req->out.left)
        return "chain of too many bytes";
    if (req->segments == VQ_MAX_SEGMENTS)
        return "chain too long";
    host = guest_iov(req->vq->mem, gpa(desc->addr), desc->len);
    if (host == NULL)
        return "descriptor outside of memory";
    req->iov[req->segments++] = (struct iovec){.iov_base = host, .iov_len = desc->len};
    half->left += desc->len;
    return NULL;
}

static const char *gather(struct vq_request *req)
{
    const struct virtqueue *vq = req->vq;
    struct table table = {.at = vq->desc, .count = vq->state.size};
    const char *wrong = NULL;
    uint32_t index = req->head, steps = 0;
    struct virtq_desc desc;

    for (;;) {
        if (index >= table.count)
            return "descriptor index out of range";
        if (steps++ == table.count)
            return "chain loops";
        desc = copy_desc(&table, index);
        if (desc.flags & VIRTQ_DESC_F_INDIRECT) {
            wrong = enter_indirect(vq, &desc, &table);
            index = steps = 0;
        } else {
            wrong = add_segment(req, &desc);
            index = desc.next;
            if (wrong == NULL && !(desc.flags & VIRTQ_DESC_F_NEXT))
                return NULL;
        }
        if (wrong != NULL)
            return wrong;
    }
}

/* Everything but the iovecs, which gather fills as far as they are used. */
static void start_request(struct virtqueue *vq, struct vq_request *req, uint16_t head)
{
    req->vq = vq;
    req->epoch = vq->epoch;
    req->head = head;
    req->index = vq->state.next_avail;
    req->written = 0;
    req->segments = 0;
    req->in = req->out = (struct vq_cursor){0};
}

static const char *take_chain(struct virtqueue *vq, struct vq_request *req)
{
    uint16_t head = load16(vq->avail, RING_ENTRIES + 2 * slot_of(vq, vq->state.next_avail));
    const char *wrong;

    if (head >= vq->state.size)
        return "head out of range";
    if (*flight_word(vq, head) & flight_bit(head))
        return "chain made available twice";
    start_request(vq, req, head);
    wrong = gather(req);
    if (wrong != NULL)
        return wrong;
    /* Readable segments come first, so their bytes tell where the writable ones start. */
    for (uint32_t left = req->in.left; left > 0; req->in.end++)
        left -= (uint32_t)req->iov[req->in.end].iov_len;
    req->out.segment = req->in.end;
    req->out.end = req->segments;
    return NULL;
}

enum vq_verdict vq_pop(struct virtqueue *vq, struct vq_request *req)
{
    uint16_t pending;

    req->vq = NULL;
    if (vq->broken != NULL)
        return VQ_BROKEN;
    if (!vq->state.ready)
        return VQ_EMPTY;
    pending = (uint16_t)(avail_idx(vq) - vq->state.next_avail);
    if (pending == 0)
        return VQ_EMPTY;
    vq->broken = pending > vq->state.size ? "available index runs ahead" : take_chain(vq, req);
    if (vq->broken != NULL) {
        req->vq = NULL;
        return VQ_BROKEN;
    }
    *flight_word(vq, req->head) |= flight_bit(req->head);
    vq->state.next_avail++;
    return VQ_REQUEST;
}

bool vq_pending(struct virtqueue *vq)
{
    return vq->state.ready && vq->broken == NULL && avail_idx(vq) != vq->state.next_avail;
}

/* --- giving it back --- */

/* What could be written has been, whether the guest gets it back or not. */
static void tell_written(const struct vq_request *req)
{
    if (req->vq == NULL || req->vq->mem->written == NULL)
        return;
    for (unsigned i = req->in.end; i < req->segments; i++)
        guest_mem_wrote(req->vq->mem, req->iov[i].iov_base, req->iov[i].iov_len);
}

static void tell_used_ring(const struct virtqueue *vq)
{
    guest_mem_wrote(vq->mem, vq->used, VIRTQ_USED_BYTES(vq->state.size));
}

static struct virtqueue *end_request(struct vq_request *req)
{
    struct virtqueue *vq = vq_live(req) ? req->vq : NULL;

    tell_written(req);
    req->vq = NULL;
    if (vq != NULL)
        *flight_word(vq, req->head) &= ~flight_bit(req->head);
    return vq;
}

void vq_unpop(struct vq_request *req)
{
    struct virtqueue *vq = end_request(req);

    if (vq == NULL)
        return;
    assert((uint16_t)(req->index + 1) == vq->state.next_avail);
    vq->state.next_avail--;
}

/* Not seen by the guest before the index is. */
static void put_used(struct virtqueue *vq, uint16_t head, uint32_t written)
{
    struct virtq_used_elem done = {.id = head, .len = written};

    memcpy((char *)vq->used + RING_ENTRIES + sizeof(done) * slot_of(vq, vq->state.next_used++),
           &done, sizeof(done));
}

void vq_complete(struct vq_request *req)
{
    struct virtqueue *vq = end_request(req);

    if (vq == NULL)
        return;
    put_used(vq, req->head, req->written);
    store16(vq->used, RING_IDX, vq->state.next_used);
    tell_used_ring(vq);
}

struct vq_done vq_set_aside(struct vq_request *req)
{
    assert(vq_live(req));
    tell_written(req);
    req->vq = NULL;
    return (struct vq_done){.head = req->head, .written = req->written};
}

static void land(struct virtqueue *vq, const struct vq_done *done, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        *flight_word(vq, done[i].head) &= ~flight_bit(done[i].head);
}

void vq_complete_together(struct virtqueue *vq, const struct vq_done *done, unsigned count)
{
    land(vq, done, count);
    for (unsigned i = 0; i < count; i++)
        put_used(vq, done[i].head, done[i].written);
    store16(vq->used, RING_IDX, vq->state.next_used);
    tell_used_ring(vq);
}

void vq_unpop_together(struct virtqueue *vq, const struct vq_done *done, unsigned count)
{
    land(vq, done, count);
    vq->state.next_avail = (uint16_t)(vq->state.next_avail - count);
}

bool vq_interrupt_due(struct virtqueue *vq)
{
    uint16_t before = vq->state.signalled, now = vq->state.next_used;

    if (!vq->state.ready || now == before)
        return false;
    vq->state.signalled = now;
    full_barrier(); /* the used index before the guest's wish: it does the reverse */
    if (vq->event_idx)
        return virtq_event_due(used_event(vq), now, before);
    return !(load16(vq->avail, RING_FLAGS) & VIRTQ_AVAIL_F_NO_INTERRUPT);
}

/* The kick is for the entry at `index`. */
static void announce_wish(struct virtqueue *vq, bool want, uint16_t index)
{
    vq->want_kick = want;
    if (!vq->event_idx)
        store16(vq->used, RING_FLAGS, want ? 0 : VIRTQ_USED_F_NO_NOTIFY);
    else
        store16(vq->used, RING_ENTRIES + 8u * vq->state.size, index);
    tell_used_ring(vq);
}

bool vq_want_kick(struct virtqueue *vq, bool want)
{
    if (want)
        return vq_want_kick_beyond(vq, 0);
    if (vq->state.ready) /* an entry the guest has passed is one it will not reach */
        announce_wish(vq, false, (uint16_t)(vq->state.next_avail - 1));
    return false;
}

bool vq_want_kick_beyond(struct virtqueue *vq, uint16_t chains)
{
    uint16_t end = (uint16_t)(vq->state.next_avail + chains);

    if (!vq->state.ready)
        return false;
    announce_wish(vq, true, end);
    full_barrier(); /* the wish before a look at the index: the guest does the reverse */
    return vq->broken == NULL && avail_idx(vq) != end;
}
