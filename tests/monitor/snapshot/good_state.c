/* See good_state.h. */
#include "tests/monitor/snapshot/good_state.h"

#include <stdlib.h>
#include <string.h>

#include "abi/virtio.h"
#include "abi/virtio_vsock.h"

static const char program[] = "/bin/busybox";

const struct snapshot_header good_header = {
    .id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .memory = GOOD_MEMORY,
    .created_ns = UINT64_C(1764081575123456789),
};

struct out {
    int (*put)(void *to, uint32_t kind, const void *payload, size_t size);
    void *to;
    int result;
};

static void put(struct out *out, uint32_t kind, const void *payload, size_t size)
{
    if (out->result == 0)
        out->result = out->put(out->to, kind, payload, size);
}

/* KVM's structures: any bytes, each record's its own. */
static void put_filled(struct out *out, uint32_t kind, size_t size)
{
    uint8_t bytes[8192];

    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + kind);
    put(out, kind, bytes, size);
}

static void put_config(struct out *out)
{
    struct {
        struct saved_config config;
        char program[sizeof(program) - 1];
    } record = {.config = {.program_size = sizeof(program) - 1,
                           .samara = "0.1.0",
                           .kernel = "6.1.0-28-amd64"}};

    memcpy(record.program, program, sizeof(record.program));
    put(out, RECORD_CONFIG, &record, sizeof(struct saved_config) + sizeof(program) - 1);
}

static void put_cpuid(struct out *out)
{
    static const struct kvm_cpuid_entry2 cpuid[] = {
        {.function = 0, .eax = 1, .ebx = 0x756e6547, .ecx = 0x6c65746e, .edx = 0x49656e69},
        {.function = 1, .eax = 0x806f8},
    };

    put(out, RECORD_CPUID, cpuid, sizeof(cpuid));
}

static void put_virtio(struct out *out, uint32_t slot, uint32_t device, uint32_t queues)
{
    struct saved_virtio v = {.slot = slot,
                             .device_id = device,
                             .features = UINT64_C(1) << 32,
                             .queue_count = queues,
                             .config_size = 8,
                             .config = {3},
                             .transport = {.status = 15, .driver_features = UINT64_C(1) << 32}};

    for (uint32_t i = 0; i < queues; i++)
        v.queues[i] = (struct vq_state){.desc = 4096, .size = 64, .next_avail = 5, .ready = 1};
    put(out, RECORD_VIRTIO, &v, sizeof(v));
}

static void put_vsock(struct out *out)
{
    static const struct {
        struct vsock_saved head;
        struct vsock_saved_conn conns[2];
    } vsock = {
        .head = {.count = 2},
        .conns = {
            {.host_port = 1, .guest_port = 2, .type = VIRTIO_VSOCK_TYPE_STREAM, .received = 77},
            {.host_port = 3, .guest_port = 4, .type = VIRTIO_VSOCK_TYPE_SEQPACKET, .guest_shut = 1},
        }};

    put(out, RECORD_VSOCK, &vsock, sizeof(vsock));
}

int good_records(int (*function)(void *to, uint32_t kind, const void *payload, size_t size),
                 void *to)
{
    struct out out = {.put = function, .to = to};

    put_config(&out);
    put_cpuid(&out);
    put_filled(&out, RECORD_REGS, sizeof(struct kvm_regs));
    put_filled(&out, RECORD_SREGS, sizeof(struct kvm_sregs));
    put_filled(&out, RECORD_XSAVE, sizeof(struct kvm_xsave));
    put_filled(&out, RECORD_XCRS, sizeof(struct kvm_xcrs));
    put_filled(&out, RECORD_MSRS, 3 * sizeof(struct kvm_msr_entry));
    put_filled(&out, RECORD_EVENTS, sizeof(struct kvm_vcpu_events));
    put_filled(&out, RECORD_LAPIC, sizeof(struct kvm_lapic_state));
    put_filled(&out, RECORD_DEBUGREGS, sizeof(struct kvm_debugregs));
    put_filled(&out, RECORD_MP_STATE, sizeof(struct kvm_mp_state));
    put_filled(&out, RECORD_CLOCK, sizeof(struct saved_clock));
    put_virtio(&out, 0, VIRTIO_ID_VSOCK, 3);
    put_virtio(&out, 1, VIRTIO_ID_BLOCK, 1);
    put_vsock(&out);
    return out.result;
}

/* --- into a builder --- */

static int to_builder(void *to, uint32_t kind, const void *payload, size_t size)
{
    return snapshot_put(to, kind, 1, payload, size, NULL);
}

static void must(int result)
{
    if (result != 0)
        abort();
}

void good_build(struct snapshot_builder *b)
{
    must(good_records(to_builder, b));
}

void good_state(struct snapshot_builder *b, const struct snapshot_header *header)
{
    static const struct saved_extent extents[] = {{4096, 8192, EXTENT_DATA, 0},
                                                  {16384, 4096, EXTENT_DATA, 0}};
    static const struct {
        struct saved_digests head;
        uint8_t digest[16];
    } digests = {.head = {.chunk = 2 << 20, .count = 1}, .digest = {9, 8, 7}};

    good_build(b);
    if (header->flags & SNAPSHOT_DIFF)
        must(to_builder(b, RECORD_PARENT, GOOD_PARENT, sizeof(GOOD_PARENT) - 1));
    must(snapshot_put(b, RECORD_MEMORY, 1, extents, sizeof(extents), NULL));
    must(snapshot_put(b, RECORD_DIGESTS, 1, &digests, sizeof(digests), NULL));
    must(snapshot_finish(b, header, NULL));
}
