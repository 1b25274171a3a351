/*
 * What the kernel learns at boot, from whichever monitor started it. Filled by fdt_parse (samara's
 * device tree) or cmdline_parse (anybody's kernel command line); the rest of the kernel does not
 * know which. Strings point into the boot data, which stays where the monitor put it.
 */
#ifndef GUEST_KERNEL_BOOT_BOOT_INFO_H
#define GUEST_KERNEL_BOOT_BOOT_INFO_H

#include "guest-kernel/lib/base.h"

#define BOOT_VIRTIO_MAX 16
#define BOOT_NET_MAX    4

/* Queues that the monitor has already told the device of (SAMARA_PROP_PRESET). */
struct boot_preset {
    u32 device_id;
    u32 queues; /* 0: none */
    u32 size;
    u32 stride;
    u32 features; /* the low half */
    u64 gpa;
};

struct boot_virtio {
    u64 gpa;
    u64 size;
    u32 vector;    /* samara: the MSI's vector; elsewhere the interrupt line */
    u32 device_id; /* 0: not known, to be read from the device */
    struct boot_preset preset;
    const char *net; /* an interface's addresses (SAMARA_PROP_NET); NULL: none given */
};

struct boot_info {
    u64 ram_bytes;
    u64 free_start;                 /* gpa: RAM from here on is unused */
    u64 program_start, program_end; /* gpa; both 0 when no program was given */
    const char *argv;               /* string list: every string ends in NUL */
    size_t argv_len;                /* bytes, NULs included */
    const char *envp;
    size_t envp_len;
    const char *exec_path; /* NULL if not given */
    u64 platform_gpa;      /* 0: there is no platform page (not under samara) */
    u64 doorbell_gpa;
    u32 platform_vector;
    struct boot_virtio virtio[BOOT_VIRTIO_MAX];
    unsigned virtio_count;
    const char *net[BOOT_NET_MAX]; /* the same by the interface's number, up to NUL or a blank */
    const char *bootargs;          /* never NULL after a parse */
};

#endif
