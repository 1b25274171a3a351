/* How the rest of the kernel starts the file system. */
#ifndef SAMARA_GUEST_FS_FS_H
#define SAMARA_GUEST_FS_FS_H

#include "guest-kernel/lib/base.h"

/* All memory named here must stay. The blocks are NUL-terminated strings one after another. */
struct fs_boot {
    const char *exec_path; /* absolute: where the program's file is visible */
    const void *program;   /* its contents, page-aligned, readable up to the end of the last page */
    u64 program_size;
    const char *argv;
    size_t argv_size;
    const char *envp;
    size_t envp_size;
    u32 pid; /* the program's, for /proc */
};

/* Set up the root directory. Everything below it is made when somebody first looks. */
int fs_init(const struct fs_boot *boot);

#endif
