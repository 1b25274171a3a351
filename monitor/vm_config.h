/* Everything a VM is made from, checked at the door. Strings are borrowed from the command line. */
#ifndef SAMARA_MONITOR_VM_CONFIG_H
#define SAMARA_MONITOR_VM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "monitor/boot_fdt.h"
#include "monitor/disk_config.h"
#include "monitor/err.h"
#include "monitor/net_config.h"
#include "seccomp/enter.h"

#define VM_MEMORY_MIN     (16ull << 20)
#define VM_MEMORY_MAX     (256ull << 30)
#define VM_MEMORY_DEFAULT (128ull << 20)
/* Of it, what kernel, boot data and a program's least own memory need. */
#define VM_MEMORY_RESERVED (8ull << 20)
#define VM_STRINGS_MAX     (512u << 10) /* arguments and environment together */

enum { VM_CGROUPS = 8 }; /* version 1 has one for each controller */
enum { VM_DISKS = 8, VM_NETS = 4 };

struct vm_config {
    uint64_t memory;                 /* bytes, a multiple of 4096 */
    const char *kernel_path;         /* NULL: the guest kernel samara carries */
    const char *vsock_path;          /* NULL: no listening socket */
    const char *trace_path;          /* NULL: none */
    const char *snapshot_path;       /* to be made when the program is ready; NULL: none */
    const char *cgroups[VM_CGROUPS]; /* directories of those to join */
    unsigned cgroup_count;
    struct disk_config disks[VM_DISKS];
    unsigned disk_count;
    struct net_interface nets[VM_NETS];
    unsigned net_count;
    const char *name;   /* NULL: one is made up */
    bool clock_elapsed; /* of what was restored: the time since its snapshot counts */
    bool verbose;
    enum seccomp_mode seccomp;
    bool require_confinement; /* run with every measure or not at all */
    const char *program;      /* as the user named it */
    struct string_block argv, envp;
};

/* -1 with err if the parts contradict each other or lie outside their ranges. */
int vm_config_check(const struct vm_config *config, struct err *err);

#endif
