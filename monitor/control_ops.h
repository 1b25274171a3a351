/* What the requests of control_proto.h do to the VM of this process. */
#ifndef SAMARA_MONITOR_CONTROL_OPS_H
#define SAMARA_MONITOR_CONTROL_OPS_H

#include "monitor/control_server.h"
#include "monitor/snapshot/reset.h"
#include "monitor/snapshot/sender.h"
#include "monitor/vm.h"

struct control_ops {
    struct vm *vm;
    const char *name;
    int pid;                 /* of the keeper: the one that users know */
    unsigned owner;          /* user id */
    void (*kill)(void *arg); /* ends the VM as if by SIGKILL */
    void *arg;
    uint64_t started_ns;
    struct control_server server;
    struct loop_task stands, ends, populate;
    struct working_cursor populated; /* since the last reset */
    struct snapshot_sender sender;
    struct reset reset;
    bool resetting, waking; /* the guest has been asked to stand for it */
    struct control_reset who;
    uint64_t reset_ns; /* when, then how long */
};

/* vm, name, pid, owner, kill and arg are set; before the guest runs. */
void control_ops_init(struct control_ops *ops);

/* Serves the clients of fd, a listening socket, handed over. In the loop thread. */
void control_ops_listen(struct control_ops *ops, int fd);

#endif
