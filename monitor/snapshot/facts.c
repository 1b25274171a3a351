/* See facts.h. */
#include "monitor/snapshot/facts.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "abi/virtio.h"
#include "monitor/snapshot/disk_record.h"

static void hexadecimal(char *to, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

static void digest_of(char to[DIGEST_TEXT], const uint8_t *bytes, size_t size)
{
    uint8_t digest[DIGEST_SIZE];
    struct checksum c;

    checksum_begin(&c);
    checksum_add(&c, bytes, size);
    checksum_128(&c, digest);
    hexadecimal(to, digest, sizeof(digest));
}

static void from_header(struct snapshot_facts *f, const struct snapshot_header *h)
{
    static const uint8_t none[SNAPSHOT_ID];
    const time_t seconds = (time_t)(h->created_ns / 1000000000);
    size_t length;
    struct tm tm;

    hexadecimal(f->id, h->id, sizeof(h->id));
    if (memcmp(h->parent, none, sizeof(none)) != 0)
        hexadecimal(f->parent, h->parent, sizeof(h->parent));
    f->diff = h->flags & SNAPSHOT_DIFF;
    f->single_use = h->flags & SNAPSHOT_SINGLE_USE;
    f->memory = h->memory;
    gmtime_r(&seconds, &tm);
    length = strftime(f->created, sizeof(f->created), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(f->created + length, sizeof(f->created) - length, ".%09uZ",
             (unsigned)(h->created_ns % 1000000000));
}

static void from_config(struct snapshot_facts *f, const struct snapshot_record *record)
{
    struct saved_config config;

    memcpy(&config, record->payload, sizeof(config));
    memcpy(f->program, record->payload + sizeof(config), config.program_size);
    memcpy(f->samara, config.samara, sizeof(config.samara));
    memcpy(f->kernel, config.kernel, sizeof(config.kernel));
}

/* Family and model as Intel and AMD both add them up. */
static void from_leaf_1(struct snapshot_facts *f, uint32_t eax)
{
    const unsigned family = eax >> 8 & 15, model = eax >> 4 & 15;

    f->has_cpu_model = true;
    f->cpu_family = family == 15 ? family + (eax >> 20 & 255) : family;
    f->cpu_model = family == 15 || family == 6 ? model + (eax >> 12 & 0xf0) : model;
    f->cpu_stepping = eax & 15;
}

static void from_cpuid(struct snapshot_facts *f, const struct snapshot_record *record)
{
    const struct kvm_cpuid_entry2 *e = (const void *)record->payload;
    const size_t count = snapshot_elements(record, 0, sizeof(*e));

    for (size_t i = 0; i < count; i++) {
        if (e[i].function == 0) {
            memcpy(f->cpu_vendor, &e[i].ebx, 4);
            memcpy(f->cpu_vendor + 4, &e[i].edx, 4);
            memcpy(f->cpu_vendor + 8, &e[i].ecx, 4);
        } else if (e[i].function == 1) {
            from_leaf_1(f, e[i].eax);
        }
    }
}

static const char *device_name(uint32_t id)
{
    switch (id) {
    case VIRTIO_ID_NET:
        return "net";
    case VIRTIO_ID_BLOCK:
        return "block";
    case VIRTIO_ID_VSOCK:
        return "vsock";
    default:
        return NULL;
    }
}

static void from_devices(struct snapshot_facts *f, const struct snapshot_state *state)
{
    const struct snapshot_record *record;
    struct saved_virtio v;

    while ((record = snapshot_find(state, RECORD_VIRTIO, f->devices)) != NULL) {
        memcpy(&v, record->payload, sizeof(v));
        f->device[f->devices++] = (struct snapshot_device){.slot = v.slot,
                                                           .id = v.device_id,
                                                           .queues = v.queue_count,
                                                           .features = v.transport.driver_features,
                                                           .name = device_name(v.device_id)};
    }
    record = snapshot_find(state, RECORD_VSOCK, 0);
    if (record != NULL)
        f->connections =
            snapshot_elements(record, sizeof(struct vsock_saved), sizeof(struct vsock_saved_conn));
}

static void from_memory(struct snapshot_facts *f, const struct snapshot_state *state)
{
    const struct saved_extent *e = snapshot_extents(state, &f->extents);
    const uint8_t *digests = snapshot_digests(state, &f->digests);

    f->data = snapshot_data_size(e, f->extents);
    for (size_t i = 0; i < f->extents; i++)
        f->zeroed += e[i].kind == EXTENT_ZERO ? e[i].size : 0;
    digest_of(f->memory_digest, digests, (size_t)f->digests.count * DIGEST_SIZE);
}

static void from_disks(struct snapshot_facts *f, const struct snapshot_state *state)
{
    const struct snapshot_record *record;

    while ((record = snapshot_find(state, RECORD_DISK, f->disks)) != NULL) {
        const struct saved_disk *d = (const void *)record->payload;
        struct snapshot_disk_facts *disk = &f->disk[f->disks++];
        uint8_t digest[DIGEST_SIZE];
        struct checksum c;

        *disk = (struct snapshot_disk_facts){.number = d->number,
                                             .base = d->base,
                                             .blocks = d->blocks,
                                             .digests = {d->chunk, d->count}};
        checksum_begin(&c);
        checksum_add(&c, d->bitmap, sizeof(d->bitmap));
        checksum_add(&c, disk_digests(d), (size_t)d->count * DIGEST_SIZE);
        checksum_128(&c, digest);
        hexadecimal(disk->digest, digest, sizeof(digest));
    }
}

void snapshot_facts(struct snapshot_facts *f, const struct snapshot_state *state,
                    const uint8_t *bytes, size_t size)
{
    *f = (struct snapshot_facts){.state_size = size, .records = state->count};
    digest_of(f->state_digest, bytes, size);
    from_header(f, &state->header);
    from_config(f, snapshot_find(state, RECORD_CONFIG, 0));
    from_cpuid(f, snapshot_find(state, RECORD_CPUID, 0));
    from_devices(f, state);
    from_memory(f, state);
    from_disks(f, state);
}
