/* See records_check.h. */
#include "monitor/snapshot/records_check.h"

#include <string.h>

#include "abi/virtio.h"
#include "abi/virtio_blk.h"
#include "abi/virtio_vsock.h"
#include "devices/disk.h"

enum { PAGE = 4096, PATH_MOST = 4096, CHUNK_LEAST = PAGE };
#define CHUNK_MOST (UINT64_C(1) << 30)

/* A record is `fixed` bytes, then up to `most` elements of `element` bytes. */
struct rule {
    uint32_t kind;
    const char *name;
    uint32_t version;
    size_t fixed, element, most;
    unsigned least_records, most_records;
};

static const struct rule rules[] = {
    {RECORD_CONFIG, "CONFIG", 1, sizeof(struct saved_config), 1, PATH_MOST, 1, 1},
    {RECORD_CPUID, "CPUID", 1, 0, sizeof(struct kvm_cpuid_entry2), 256, 1, 1},
    {RECORD_PARENT, "PARENT", 1, 1, 1, PATH_MOST, 0, 1},
    {RECORD_REGS, "REGS", 1, sizeof(struct kvm_regs), 0, 0, 1, 1},
    {RECORD_SREGS, "SREGS", 1, sizeof(struct kvm_sregs), 0, 0, 1, 1},
    {RECORD_XSAVE, "XSAVE", 1, sizeof(struct kvm_xsave), 4, 1 << 14, 1, 1},
    {RECORD_XCRS, "XCRS", 1, sizeof(struct kvm_xcrs), 0, 0, 1, 1},
    {RECORD_MSRS, "MSRS", 1, 0, sizeof(struct kvm_msr_entry), 1024, 1, 1},
    {RECORD_EVENTS, "EVENTS", 1, sizeof(struct kvm_vcpu_events), 0, 0, 1, 1},
    {RECORD_LAPIC, "LAPIC", 1, sizeof(struct kvm_lapic_state), 0, 0, 1, 1},
    {RECORD_DEBUGREGS, "DEBUGREGS", 1, sizeof(struct kvm_debugregs), 0, 0, 1, 1},
    {RECORD_MP_STATE, "MP_STATE", 1, sizeof(struct kvm_mp_state), 0, 0, 1, 1},
    {RECORD_CLOCK, "CLOCK", 1, sizeof(struct saved_clock), 0, 0, 1, 1},
    {RECORD_VIRTIO, "VIRTIO", 1, sizeof(struct saved_virtio), 0, 0, 0, SNAPSHOT_DEVICES_MOST},
    {RECORD_VSOCK, "VSOCK", 1, sizeof(struct vsock_saved), sizeof(struct vsock_saved_conn), 8192, 1,
     1},
    {RECORD_MEMORY, "MEMORY", 1, 0, sizeof(struct saved_extent), SNAPSHOT_EXTENTS_MOST, 1, 1},
    {RECORD_DIGESTS, "DIGESTS", 1, sizeof(struct saved_digests), 16, 1 << 21, 1, 1},
    {RECORD_DISK, "DISK", 1, sizeof(struct saved_disk), 16, SNAPSHOT_DISK_CHUNKS_MOST, 0,
     SNAPSHOT_DISKS_MOST},
};
enum { RULES = sizeof(rules) / sizeof(rules[0]) };

static const struct rule *rule_of(uint32_t kind)
{
    for (unsigned i = 0; i < RULES; i++) {
        if (rules[i].kind == kind)
            return &rules[i];
    }
    return NULL;
}

const char *snapshot_record_name(uint32_t kind)
{
    const struct rule *rule = rule_of(kind);

    return rule ? rule->name : NULL;
}

static bool is_zero(const void *bytes, size_t size)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

/* --- sizes, versions, numbers --- */

static int check_size(const struct snapshot_record *record, const struct rule *rule,
                      struct err *err)
{
    size_t rest = record->size - rule->fixed;

    if (record->size < rule->fixed || (rule->element == 0 && rest > 0))
        return err_set(err, "has %zu bytes, not %zu", record->size, rule->fixed);
    if (rule->element == 0)
        return 0;
    if (rest % rule->element != 0)
        return err_set(err, "has %zu bytes, not %zu and a multiple of %zu", record->size,
                       rule->fixed, rule->element);
    if (rest / rule->element > rule->most)
        return err_set(err, "has %zu elements, more than the %zu allowed", rest / rule->element,
                       rule->most);
    return 0;
}

static int check_number(const struct snapshot_state *state, const struct rule *rule,
                        struct err *err)
{
    unsigned number = 0;

    for (unsigned i = 0; i < state->count; i++)
        number += state->records[i].kind == rule->kind;
    if (number < rule->least_records)
        return err_set(err, "state: no %s record (kind %u)", rule->name, rule->kind);
    if (number > rule->most_records)
        return err_set(err, "state: %u %s records (kind %u), more than the %u allowed", number,
                       rule->name, rule->kind, rule->most_records);
    return 0;
}

/* --- contents --- */

/* Text, then zeroes to the end, at least one. */
static bool is_padded_text(const char *text, size_t size)
{
    size_t len = strnlen(text, size);

    return len < size && is_zero(text + len, size - len);
}

static int check_config(const struct snapshot_record *record, struct err *err)
{
    struct saved_config config;
    size_t path = record->size - sizeof(config);

    memcpy(&config, record->payload, sizeof(config));
    if (config.flags != 0)
        return err_set(err, "flags %#x are not known", config.flags);
    if (config.program_size != path)
        return err_set(err, "the program's path has %zu bytes, not %u", path, config.program_size);
    if (memchr(record->payload + sizeof(config), '\0', path) != NULL)
        return err_set(err, "the program's path has a zero byte within");
    if (!is_padded_text(config.samara, sizeof(config.samara)) ||
        !is_padded_text(config.kernel, sizeof(config.kernel)))
        return err_set(err, "a version's text is not padded with zeroes");
    return 0;
}

static int check_parent(const struct snapshot_state *state, struct err *err)
{
    const struct snapshot_record *record = snapshot_find(state, RECORD_PARENT, 0);
    bool diff = state->header.flags & SNAPSHOT_DIFF;

    if (diff != (record != NULL))
        return err_set(err, "state: %s",
                       diff ? "a diff without a PARENT record" : "a PARENT record, and no diff");
    if (record && (record->payload[0] != '/' || memchr(record->payload, '\0', record->size)))
        return err_set(err, "state: the PARENT record at byte %zu is no absolute path", record->at);
    return 0;
}

static int check_virtio(const struct snapshot_record *record, struct err *err)
{
    struct saved_virtio v;

    memcpy(&v, record->payload, sizeof(v));
    if (v.slot >= SNAPSHOT_DEVICES_MOST)
        return err_set(err, "slot %u is not below %u", v.slot, SNAPSHOT_DEVICES_MOST);
    if (v.device_id == 0)
        return err_set(err, "slot %u: device 0 is none", v.slot);
    if (v.queue_count > VIRTIO_MAX_QUEUES)
        return err_set(err, "slot %u: %u queues are more than %u", v.slot, v.queue_count,
                       VIRTIO_MAX_QUEUES);
    if (v.config_size > sizeof(v.config) ||
        !is_zero(v.config + v.config_size, sizeof(v.config) - v.config_size))
        return err_set(err, "slot %u: its configuration is not %u bytes and zeroes", v.slot,
                       v.config_size);
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++) {
        const struct vq_state *q = &v.queues[i];

        if (i >= v.queue_count ? !is_zero(q, sizeof(*q))
                               : q->ready > 1 || !is_zero(q->reserved, sizeof(q->reserved)))
            return err_set(err, "slot %u: queue %u has bits set that mean nothing", v.slot, i);
    }
    return 0;
}

/* One device has a slot, and they come in the slots' order. */
static int check_slots(const struct snapshot_state *state, struct err *err)
{
    const struct snapshot_record *record;
    uint32_t slot, next = 0;

    for (unsigned i = 0; (record = snapshot_find(state, RECORD_VIRTIO, i)) != NULL; i++) {
        memcpy(&slot, record->payload, sizeof(slot));
        if (slot < next)
            return err_set(err, "state: the VIRTIO record at byte %zu: slot %u is not above %u",
                           record->at, slot, next - 1);
        next = slot + 1;
    }
    return 0;
}

static int check_vsock(const struct snapshot_record *record, struct err *err)
{
    const struct vsock_saved *head = (const void *)record->payload;
    const struct vsock_saved_conn *conns = (const void *)(head + 1);
    const size_t count = snapshot_elements(record, sizeof(*head), sizeof(*conns));

    if (head->count != count)
        return err_set(err, "says %u connections and has %zu", head->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct vsock_saved_conn *c = &conns[i];

        if (c->type != VIRTIO_VSOCK_TYPE_STREAM && c->type != VIRTIO_VSOCK_TYPE_SEQPACKET)
            return err_set(err, "connection %zu: type %u is not known", i, c->type);
        if (c->guest_shut > 3 || c->our_shut > 3)
            return err_set(err, "connection %zu: shut %u and %u are not two bits each", i,
                           c->guest_shut, c->our_shut);
        if (c->reserved != 0)
            return err_set(err, "connection %zu: its reserved bytes are not zero", i);
    }
    return 0;
}

static int check_extent(const struct saved_extent *e, const struct saved_extent *last,
                        const struct snapshot_header *h, struct err *err)
{
    const uint64_t end = last ? last->offset + last->size : 0;

    if (e->offset % PAGE != 0 || e->size % PAGE != 0 || e->size == 0)
        return err_set(err, "%#llx and %#llx are not whole pages", (unsigned long long)e->offset,
                       (unsigned long long)e->size);
    if (e->offset > h->memory || e->size > h->memory - e->offset)
        return err_set(err, "%#llx bytes from %#llx on are beyond the memory's %#llx",
                       (unsigned long long)e->size, (unsigned long long)e->offset,
                       (unsigned long long)h->memory);
    if (e->offset < end || (last && e->offset == end && e->kind == last->kind))
        return err_set(err, "%#llx is not behind, or apart from, the one that ends at %#llx",
                       (unsigned long long)e->offset, (unsigned long long)end);
    if (e->kind != EXTENT_DATA && (e->kind != EXTENT_ZERO || !(h->flags & SNAPSHOT_DIFF)))
        return err_set(err, "kind %u is not known here", e->kind);
    if (e->reserved != 0)
        return err_set(err, "its reserved bytes are not zero");
    return 0;
}

static int check_memory(const struct snapshot_state *state, const struct snapshot_record *record,
                        struct err *err)
{
    size_t count = snapshot_elements(record, 0, sizeof(struct saved_extent));
    const struct saved_extent *extents = (const void *)record->payload;

    for (size_t i = 0; i < count; i++) {
        if (check_extent(&extents[i], i > 0 ? &extents[i - 1] : NULL, &state->header, err) != 0)
            return err_in(err, "extent %zu", i);
    }
    return 0;
}

static bool is_chunk(uint64_t chunk)
{
    return chunk >= CHUNK_LEAST && chunk <= CHUNK_MOST && (chunk & (chunk - 1)) == 0;
}

/* A digest for each chunk that has data. Extents have been checked. */
static int check_digests(const struct snapshot_state *state, const struct snapshot_record *record,
                         struct err *err)
{
    const size_t have = snapshot_elements(record, sizeof(struct saved_digests), 16);
    struct saved_digests d;
    const struct saved_extent *extents;
    size_t count, extent = 0;
    uint64_t chunk = 0, chunks = 0;

    memcpy(&d, record->payload, sizeof(d));
    if (!is_chunk(d.chunk))
        return err_set(err, "%llu bytes are no chunk", (unsigned long long)d.chunk);
    if (d.count != have)
        return err_set(err, "has %zu digests, not %llu", have, (unsigned long long)d.count);
    extents = snapshot_extents(state, &count);
    for (; chunks <= have && snapshot_next_chunk(extents, count, d.chunk, &extent, &chunk); chunk++)
        chunks++;
    if (chunks != have)
        return err_set(err, "has %zu digests, but %s chunks have data", have,
                       chunks > have ? "more" : "fewer");
    return 0;
}

/* Which chunks have digests its file says. */
static int check_disk(const struct snapshot_record *record, struct err *err)
{
    const struct saved_disk *d = (const void *)record->payload;
    const size_t have = snapshot_elements(record, sizeof(*d), 16);
    const uint64_t size = d->base.size;

    if (d->number >= SNAPSHOT_DISKS_MOST)
        return err_set(err, "%u is not below %u", d->number, SNAPSHOT_DISKS_MOST);
    if (d->reserved != 0)
        return err_set(err, "%u: its reserved bytes are not zero", d->number);
    if (size == 0 || size > DISK_SIZE_MAX || size % VIRTIO_BLK_SECTOR != 0)
        return err_set(err, "%u: no disk has %llu bytes", d->number, (unsigned long long)size);
    if (d->blocks > (size + PAGE - 1) / PAGE)
        return err_set(err, "%u: %llu blocks are more than it has", d->number,
                       (unsigned long long)d->blocks);
    if (!is_chunk(d->chunk))
        return err_set(err, "%u: %llu bytes are no chunk", d->number, (unsigned long long)d->chunk);
    if (d->count != have || d->count > d->blocks || (d->count == 0 && d->blocks > 0))
        return err_set(err, "%u: has %zu digests, not %llu, for %llu blocks", d->number, have,
                       (unsigned long long)d->count, (unsigned long long)d->blocks);
    return 0;
}

static bool has_block_device(const struct snapshot_state *state, uint32_t slot)
{
    const struct snapshot_record *record;

    for (unsigned i = 0; (record = snapshot_find(state, RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *v = (const void *)record->payload;

        if (v->slot == slot)
            return v->device_id == VIRTIO_ID_BLOCK;
    }
    return false;
}

/* Each is a device's, and they come in the order of their numbers. */
static int check_disks(const struct snapshot_state *state, struct err *err)
{
    const struct snapshot_record *record;
    uint32_t next = 0;

    for (unsigned i = 0; (record = snapshot_find(state, RECORD_DISK, i)) != NULL; i++) {
        const struct saved_disk *d = (const void *)record->payload;

        if (d->number < next)
            return err_set(err, "state: the DISK record at byte %zu: %u is not above %u",
                           record->at, d->number, next - 1);
        if (!has_block_device(state, SNAPSHOT_DISK_SLOT + d->number))
            return err_set(err, "state: the DISK record at byte %zu: no block device is in slot %u",
                           record->at, SNAPSHOT_DISK_SLOT + d->number);
        next = d->number + 1;
    }
    return 0;
}

static int check_content(const struct snapshot_state *state, const struct snapshot_record *record,
                         struct err *err)
{
    switch (record->kind) {
    case RECORD_CONFIG:
        return check_config(record, err);
    case RECORD_CPUID:
    case RECORD_MSRS:
        return record->size > 0 ? 0 : err_set(err, "is empty");
    case RECORD_VIRTIO:
        return check_virtio(record, err);
    case RECORD_VSOCK:
        return check_vsock(record, err);
    case RECORD_MEMORY:
        return check_memory(state, record, err);
    case RECORD_DISK:
        return check_disk(record, err);
    default: /* DIGESTS' turn is later */
        return 0;
    }
}

/* --- all --- */

static int check_record(const struct snapshot_state *state, const struct snapshot_record *record,
                        struct err *err)
{
    const struct rule *rule = rule_of(record->kind);

    if (rule == NULL)
        return err_set(err, "is of a kind that this samara (%s) does not know", SAMARA_VERSION);
    if (record->version != rule->version)
        return err_set(err, "%s has version %u; this samara (%s) knows version %u only", rule->name,
                       record->version, SAMARA_VERSION, rule->version);
    if (check_size(record, rule, err) != 0 || check_content(state, record, err) != 0)
        return err_in(err, "%s", rule->name);
    return 0;
}

static int record_err(const struct snapshot_state *state, const struct snapshot_record *record,
                      struct err *err)
{
    return err_in(err, "state: record %u (kind %u) at byte %zu",
                  (unsigned)(record - state->records), record->kind, record->at);
}

int snapshot_records_check(const struct snapshot_state *state, struct err *err)
{
    const struct snapshot_record *digests;

    for (unsigned i = 0; i < state->count; i++) {
        if (check_record(state, &state->records[i], err) != 0)
            return record_err(state, &state->records[i], err);
    }
    for (unsigned i = 0; i < RULES; i++) {
        if (check_number(state, &rules[i], err) != 0)
            return -1;
    }
    if (check_slots(state, err) != 0 || check_disks(state, err) != 0 ||
        check_parent(state, err) != 0)
        return -1;
    digests = snapshot_find(state, RECORD_DIGESTS, 0);
    if (check_digests(state, digests, err) == 0)
        return 0;
    err_in(err, "%s", snapshot_record_name(RECORD_DIGESTS));
    return record_err(state, digests, err);
}

/* --- what was checked --- */

const struct saved_extent *snapshot_extents(const struct snapshot_state *state, size_t *count)
{
    const struct snapshot_record *record = snapshot_find(state, RECORD_MEMORY, 0);

    *count = snapshot_elements(record, 0, sizeof(struct saved_extent));
    return (const void *)record->payload;
}

const uint8_t *snapshot_digests(const struct snapshot_state *state, struct saved_digests *digests)
{
    const struct snapshot_record *record = snapshot_find(state, RECORD_DIGESTS, 0);

    memcpy(digests, record->payload, sizeof(*digests));
    return record->payload + sizeof(*digests);
}

const struct saved_disk *snapshot_disk(const struct snapshot_state *state, unsigned number)
{
    const struct snapshot_record *record;

    for (unsigned i = 0; (record = snapshot_find(state, RECORD_DISK, i)) != NULL; i++) {
        const struct saved_disk *d = (const void *)record->payload;

        if (d->number == number)
            return d;
    }
    return NULL;
}

uint64_t snapshot_data_size(const struct saved_extent *extents, size_t count)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += extents[i].kind == EXTENT_DATA ? extents[i].size : 0;
    return bytes;
}

bool snapshot_next_chunk(const struct saved_extent *extents, size_t count, uint64_t chunk_size,
                         size_t *extent, uint64_t *chunk)
{
    for (; *extent < count; ++*extent) {
        const struct saved_extent *e = &extents[*extent];
        uint64_t first = e->offset / chunk_size, last = (e->offset + e->size - 1) / chunk_size;

        if (e->kind != EXTENT_DATA || last < *chunk)
            continue;
        if (first > *chunk)
            *chunk = first;
        return true;
    }
    return false;
}
