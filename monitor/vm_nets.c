/* Network interfaces: opened by the keeper, made and connected anew by the monitor. See vm.h. */
#include <string.h>
#include <sys/random.h>

#include "abi/memory_map.h"
#include "monitor/boot.h"
#include "monitor/fd_close.h"
#include "monitor/kvm.h"
#include "monitor/role_fd.h"
#include "monitor/vm_setup.h"
#include "monitor/warn.h"

#define ASK_AGAIN_NS 100000000ull /* when the keeper could not be told */

/* --- the keeper --- */

static int open_net(struct vm *vm, unsigned number, struct err *err)
{
    const struct net_interface *c = &vm->config->nets[number];
    struct net_opened *net = &vm->opened.nets[number];

    switch (c->backend) {
    case NET_CONFIG_TAP:
        return net_open_tap(net, c->name, err);
    case NET_CONFIG_FD:
        return net_open_fd(net, c->fd, err);
    default:
        net->port.kind = NET_STREAM;
        net->port.fd = net_peer_open(&vm->peers[number], c, err);
        return net->port.fd < 0 ? -1 : 0;
    }
}

static void warn_down(unsigned number)
{
    struct err line;

    err_set(&line, "net %u: the tap is down (ip link set NAME up)", number);
    warn_now(line.text);
}

int vm_open_nets(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->net_count; i++) {
        if (open_net(vm, i, err) != 0)
            return err_in(err, "net %u", i);
        if (vm->opened.nets[i].down)
            warn_down(i);
    }
    return 0;
}

void vm_close_peers(struct vm *vm)
{
    for (unsigned i = 0; i < VM_NETS; i++)
        net_peer_close(&vm->peers[i]);
}

/* --- the monitor --- */

static void raise_net(void *ctx)
{
    const struct vm_net *n = ctx;

    kvm_send_msi(n->vm->fd, SAMARA_VECTOR_VIRTIO + BOOT_NET_SLOT + n->number);
}

static void ask(void *arg)
{
    struct vm_net *n = arg;
    struct vm *vm = n->vm;

    if (!vm->find_peer(vm->find_peer_arg, n->number))
        loop_timer_set(&vm->loop, &n->again, loop_now_ns() + ASK_AGAIN_NS);
}

/* Under the device lock. */
static void lost(void *arg)
{
    struct vm_net *n = arg;

    n->awaits_peer = true;
    ask(n);
}

void vm_net_connected(struct vm *vm, unsigned number, int fd)
{
    struct vm_net *n = number < VM_NETS ? &vm->nets[number] : NULL;

    if (fd < 0)
        return;
    if (!n || !n->awaits_peer) {
        close(fd);
        return;
    }
    n->awaits_peer = false;
    net_connect(n->net, fd);
}

/* Locally administered: no maker's, and in a network of up to some thousand made up the same way
 * hardly anybody's. */
static int make_up_mac(uint8_t mac[VIRTIO_NET_MAC_BYTES], struct err *err)
{
    if (getrandom(mac, VIRTIO_NET_MAC_BYTES, 0) != VIRTIO_NET_MAC_BYTES)
        return err_sys(err, "getrandom");
    mac[0] = 0x02;
    return 0;
}

static bool may_come_again(const struct vm *vm, const struct net_interface *c)
{
    return vm->find_peer &&
           (c->backend == NET_CONFIG_PASST || c->backend == NET_CONFIG_PASST_SOCKET);
}

static int choose(const struct vm *vm, struct vm_net *n, struct net_config *to, struct err *err)
{
    const struct net_interface *c = &vm->config->nets[n->number];
    const struct net_opened *opened = &vm->opened.nets[n->number];

    *to = (struct net_config){.number = n->number,
                              .mtu = c->mtu ? c->mtu : opened->mtu,
                              .port = opened->port,
                              .rate = c->rate,
                              .lost = may_come_again(vm, c) ? lost : NULL,
                              .arg = n};
    memcpy(to->mac, c->mac, sizeof(to->mac));
    return c->has_mac ? 0 : make_up_mac(to->mac, err);
}

static int add_net(struct vm *vm, unsigned number, struct err *err)
{
    struct vm_net *n = &vm->nets[number];
    struct net_port *port = &vm->opened.nets[number].port;
    const uint64_t at = SAMARA_GPA_VIRTIO + (BOOT_NET_SLOT + number) * SAMARA_VIRTIO_STRIDE;
    const struct virtio_host host = {
        .mem = &vm->mem, .irq = raise_net, .log = vm_log_line, .ctx = n};
    struct net_config config;

    n->vm = vm;
    n->number = number;
    n->again = (struct loop_timer){.fn = ask, .arg = n};
    if (port->kind == NET_TAP && role_fd(&port->fd, FD_NETS + number, err) != 0)
        return -1;
    if (choose(vm, n, &config, err) != 0)
        return -1;
    n->net = net_new(&config, &host, &vm->loop, err);
    if (!n->net)
        return err_in(err, "net %u", number);
    port->fd = -1;
    return mmio_bus_add(&vm->bus, at, VIRTIO_MMIO_SIZE, &virtio_mmio_ops, net_device(n->net), err);
}

int vm_add_nets(struct vm *vm, struct err *err)
{
    for (unsigned i = 0; i < vm->config->net_count; i++) {
        if (add_net(vm, i, err) != 0)
            return -1;
    }
    return 0;
}

void vm_free_nets(struct vm *vm)
{
    for (unsigned i = 0; i < VM_NETS; i++) {
        net_free(vm->nets[i].net);
        vm->nets[i].net = NULL;
        fd_close(&vm->opened.nets[i].port.fd);
    }
}
