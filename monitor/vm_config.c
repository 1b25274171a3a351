/* See vm_config.h. */
#include "monitor/vm_config.h"

#include <string.h>

#include "devices/vsock.h"

/* Both would read from it. */
static int check_nets(const struct vm_config *c, struct err *err)
{
    for (unsigned i = 0; i < c->net_count; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (c->nets[i].backend == NET_CONFIG_FD && c->nets[k].backend == NET_CONFIG_FD &&
                c->nets[i].fd == c->nets[k].fd)
                return err_set(err, "net %u: fd %d is that of net %u", i, c->nets[i].fd, k);
        }
    }
    return 0;
}

int vm_config_check(const struct vm_config *c, struct err *err)
{
    if (c->memory < VM_MEMORY_MIN || c->memory > VM_MEMORY_MAX || c->memory % 4096 != 0)
        return err_set(err, "memory: %llu bytes is not a multiple of 4096 from 16M to 256G",
                       (unsigned long long)c->memory);
    if (c->vsock_path && (!c->vsock_path[0] || strlen(c->vsock_path) > VSOCK_PATH_MAX))
        return err_set(err, "vsock: the path must have 1 to %d characters", VSOCK_PATH_MAX);
    if (c->argv.size + c->envp.size > VM_STRINGS_MAX)
        return err_set(err, "arguments and environment are longer than %u KiB",
                       VM_STRINGS_MAX >> 10);
    return check_nets(c, err);
}
