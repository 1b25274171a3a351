/*
 * What the records of a snapshot's state hold. Layouts are fixed: whoever changes one gives it a
 * new version. KVM's own structures are part of Linux's ABI and are kept as they are.
 */
#ifndef SAMARA_MONITOR_SNAPSHOT_RECORDS_H
#define SAMARA_MONITOR_SNAPSHOT_RECORDS_H

#include <linux/kvm.h>
#include <stdint.h>

#include "devices/overlay.h"
#include "devices/virtio_mmio.h"
#include "devices/vsock.h"

enum snapshot_record_kind {
    RECORD_CONFIG = 1, /* struct saved_config, then the program's path */
    RECORD_CPUID = 2,  /* struct kvm_cpuid_entry2, each */
    RECORD_PARENT = 3, /* of a diff: its parent's path, absolute, without NUL */

    RECORD_REGS = 16, /* struct kvm_regs */
    RECORD_SREGS,     /* struct kvm_sregs */
    RECORD_XSAVE,     /* KVM_GET_XSAVE's or KVM_GET_XSAVE2's bytes */
    RECORD_XCRS,      /* struct kvm_xcrs */
    RECORD_MSRS,      /* struct kvm_msr_entry, each */
    RECORD_EVENTS,    /* struct kvm_vcpu_events */
    RECORD_LAPIC,     /* struct kvm_lapic_state */
    RECORD_DEBUGREGS, /* struct kvm_debugregs */
    RECORD_MP_STATE,  /* struct kvm_mp_state */

    RECORD_CLOCK = 32, /* struct saved_clock */

    RECORD_VIRTIO = 48, /* struct saved_virtio; one for each device, in the order of the slots */
    RECORD_VSOCK,       /* struct vsock_saved, then its connections (devices/vsock.h) */

    RECORD_MEMORY = 64, /* struct saved_extent, each: ascending, apart from each other */
    RECORD_DIGESTS,     /* struct saved_digests, then 16 bytes a chunk */
    RECORD_DISK,        /* struct saved_disk, then 16 bytes a chunk; one for each that was written
                           to, in the order of their numbers */
};

/* Version 1. */
struct saved_config {
    uint32_t flags;        /* none yet */
    uint32_t program_size; /* bytes of the path that follows, without NUL */
    char samara[32];       /* the version that wrote it, NUL-padded */
    char kernel[64];       /* the host's release, NUL-padded */
};
_Static_assert(sizeof(struct saved_config) == 104, "saved layout");

/* Version 1. */
struct saved_clock {
    uint64_t kvmclock_ns; /* of the guest, when it stood */
    uint64_t real_ns;     /* CLOCK_REALTIME then, as the guest had it */
    uint64_t tsc_khz;     /* of the platform page */
};
_Static_assert(sizeof(struct saved_clock) == 24, "saved layout");

/* Version 1. */
struct saved_virtio {
    uint32_t slot;
    uint32_t device_id;
    uint64_t features; /* what it offered */
    uint32_t queue_count;
    uint32_t config_size;
    uint8_t config[64]; /* its configuration space as the guest saw it */
    struct virtio_state transport;
    struct vq_state queues[VIRTIO_MAX_QUEUES];
};
_Static_assert(sizeof(struct saved_virtio) == 88 + 32 + 40 * VIRTIO_MAX_QUEUES, "saved layout");

/* Version 1. Offsets count RAM from 0, without the device hole, as the file `memory` does. */
struct saved_extent {
    uint64_t offset, size; /* bytes, multiples of 4096 */
    uint32_t kind;         /* enum saved_extent_kind */
    uint32_t reserved;     /* 0 */
};
_Static_assert(sizeof(struct saved_extent) == 24, "saved layout");

enum saved_extent_kind {
    EXTENT_DATA = 1, /* in `memory` at the same offset */
    EXTENT_ZERO = 2, /* zero, though the parent has something there; only in a diff */
};

/* Version 1: XXH3-128 (canonical form) of each chunk of RAM that has data in this layer, over those
 * of its bytes that are in EXTENT_DATA; ascending. */
struct saved_digests {
    uint64_t chunk; /* bytes: a power of two */
    uint64_t count;
};

/* Version 1: what the overlay `disk-NUMBER` has, and the XXH3-128 of each chunk of the disk that
 * has any of its blocks, over those; ascending. */
struct saved_disk {
    uint32_t number; /* the device's slot is one more */
    uint32_t reserved;
    struct overlay_base base;
    uint64_t blocks;    /* in this layer */
    uint8_t bitmap[16]; /* XXH3-128 of its bitmap: disk_record.h */
    uint64_t chunk;     /* bytes: a power of two */
    uint64_t count;
};
_Static_assert(sizeof(struct saved_disk) == 64, "saved layout");

#endif
