/*
 * What lies in guest memory at the first instruction: kernel, tables, boot information and program,
 * and where that instruction is. One path for kernels with samara's note, one for PVH (32-bit, no
 * tables).
 */
#ifndef SAMARA_MONITOR_BOOT_H
#define SAMARA_MONITOR_BOOT_H

#include "monitor/guest_mem.h"
#include "monitor/kernel_image.h"
#include "monitor/program.h"
#include "monitor/vcpu.h"
#include "monitor/virtio_preset.h"
#include "monitor/vm_config.h"

/* Of virtio-mmio. */
#define BOOT_VSOCK_SLOT 0
#define BOOT_DISK_SLOT  1 /* and the seven after it */
#define BOOT_NET_SLOT   9 /* and the three after it */

struct boot {
    const struct vm_config *config;
    const struct program *program;
    const struct kernel_image *kernel;
    const struct guest_mem *mem;
    uint8_t *ram; /* host mapping of all RAM; nobody else uses it yet */
    uint64_t ram_size;
};

struct boot_loaded {
    struct vcpu_start start;
    struct virtio_preset vsock; /* where its queues are; none for a PVH kernel */
    uint64_t end;               /* gpa: all that was put into memory lies below */
};

/* Fills memory. -1 with err. */
int boot_load(const struct boot *boot, struct boot_loaded *loaded, struct err *err);

#endif
