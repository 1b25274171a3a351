/* See manifest.h. */
#include "monitor/snapshot/manifest.h"

#include <assert.h>
#include <stdio.h>

#include "monitor/json.h"

static void put_origin(struct json *j, const struct snapshot_facts *f)
{
    json_number(j, "format", SNAPSHOT_VERSION);
    json_string(j, "id", f->id);
    if (f->parent[0])
        json_string(j, "parent", f->parent);
    else
        json_null(j, "parent");
    json_bool(j, "diff", f->diff);
    json_bool(j, "single_use", f->single_use);
    json_string(j, "created", f->created);
    json_string(j, "program", f->program);
    json_string(j, "samara", f->samara);
    json_string(j, "kernel", f->kernel);
}

static void put_cpu(struct json *j, const struct snapshot_facts *f)
{
    json_begin(j, "cpu", '{');
    json_string(j, "vendor", f->cpu_vendor);
    if (f->has_cpu_model) {
        json_number(j, "family", f->cpu_family);
        json_number(j, "model", f->cpu_model);
        json_number(j, "stepping", f->cpu_stepping);
    }
    json_end(j, '}');
}

static void put_memory(struct json *j, const struct snapshot_facts *f)
{
    json_begin(j, "memory", '{');
    json_number(j, "bytes", f->memory);
    json_number(j, "data", f->data);
    if (f->diff)
        json_number(j, "zeroed", f->zeroed);
    json_number(j, "extents", f->extents);
    json_number(j, "chunk", f->digests.chunk);
    json_number(j, "chunks", f->digests.count);
    json_string(j, "digest", f->memory_digest);
    json_end(j, '}');
}

static void put_devices(struct json *j, const struct snapshot_facts *f)
{
    json_begin(j, "devices", '[');
    for (unsigned i = 0; i < f->devices; i++) {
        const struct snapshot_device *device = &f->device[i];
        char features[20];

        snprintf(features, sizeof(features), "%#llx", (unsigned long long)device->features);
        json_begin(j, NULL, '{');
        json_number(j, "slot", device->slot);
        json_number(j, "device", device->id);
        if (device->name)
            json_string(j, "name", device->name);
        json_number(j, "queues", device->queues);
        json_string(j, "features", features); /* 64 bits, which not all readers' numbers have */
        json_end(j, '}');
    }
    json_end(j, ']');
    json_number(j, "vsock_connections", f->connections);
}

/* Left out if there is none. */
static void put_disks(struct json *j, const struct snapshot_facts *f)
{
    if (f->disks == 0)
        return;
    json_begin(j, "disks", '[');
    for (unsigned i = 0; i < f->disks; i++) {
        const struct snapshot_disk_facts *disk = &f->disk[i];
        char changed[24];

        snprintf(changed, sizeof(changed), "%lld", (long long)disk->base.changed_ns);
        json_begin(j, NULL, '{');
        json_number(j, "disk", disk->number);
        json_number(j, "bytes", disk->base.size);
        json_string(j, "base_changed_ns", changed);
        json_number(j, "data", disk->blocks * OVERLAY_BLOCK);
        json_number(j, "chunk", disk->digests.chunk);
        json_number(j, "chunks", disk->digests.count);
        json_string(j, "digest", disk->digest);
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void put_state(struct json *j, const struct snapshot_facts *f)
{
    json_begin(j, "state", '{');
    json_number(j, "bytes", f->state_size);
    json_number(j, "records", f->records);
    json_string(j, "digest", f->state_digest);
    json_end(j, '}');
}

void manifest_make(char text[MANIFEST_MOST], size_t *length, const struct snapshot_facts *facts)
{
    struct json j = {.to = text, .size = MANIFEST_MOST - 1, .lines = true};

    json_begin(&j, NULL, '{');
    put_origin(&j, facts);
    put_cpu(&j, facts);
    put_memory(&j, facts);
    put_devices(&j, facts);
    put_disks(&j, facts);
    put_state(&j, facts);
    json_end(&j, '}');
    assert(!j.full); /* a path of 4096 bytes, six characters each, is the longest part */
    text[j.length++] = '\n';
    *length = j.length;
}
