/* The flattened device tree that tells the guest kernel what it has (Devicetree Specification 0.4).
 */
#ifndef SAMARA_MONITOR_BOOT_FDT_H
#define SAMARA_MONITOR_BOOT_FDT_H

#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"
#include "monitor/virtio_preset.h"

/* NUL-terminated strings one after the other. */
struct string_block {
    const char *data;
    size_t size;
};

/* A virtio device; preset.queues 0: the guest initialises it. */
struct boot_device {
    unsigned slot;
    uint32_t device_id;
    struct virtio_preset preset;
    const char *net; /* SAMARA_PROP_NET; NULL or "": none */
};

struct boot_fdt {
    uint64_t ram;
    uint64_t program_start, program_end, free_start; /* gpa */
    struct string_block argv, envp;
    const char *exec_path;
    const char *bootargs;
    const uint8_t *seed; /* 32 bytes: rng-seed */
    const struct boot_device *devices;
    unsigned device_count;
};

/* Bytes that are enough for the tree. */
size_t boot_fdt_size(const struct boot_fdt *config);

/* Writes the tree to buf. -1 with err. */
int boot_fdt_write(const struct boot_fdt *config, void *buf, size_t size, struct err *err);

#endif
