/* KVM calls; see kvm.h. */
#include "monitor/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    int capability;
    const char *name;
} needed[] = {
    {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
    {KVM_CAP_SPLIT_IRQCHIP, "KVM_CAP_SPLIT_IRQCHIP"},
    {KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
    {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

int kvm_call(int fd, unsigned long request, void *arg, const char *name, struct err *err)
{
    int r;

    do {
        r = (int)syscall(SYS_ioctl, fd, request, arg);
    } while (r < 0 && errno == EINTR && request != KVM_RUN);
    return r < 0 ? err_sys(err, "%s", name) : r;
}

int kvm_call_value(int fd, unsigned long request, unsigned long value, const char *name,
                   struct err *err)
{
    int r = (int)syscall(SYS_ioctl, fd, request, value);

    return r < 0 ? err_sys(err, "%s", name) : r;
}

int kvm_capability(int kvm, int capability)
{
    int r = ioctl(kvm, KVM_CHECK_EXTENSION, capability); /* positive numbers: int or long alike */

    return r < 0 ? 0 : r;
}

/* To join its group helps if that is one for it, which may use it. */
static int not_permitted(struct err *err)
{
    const mode_t both = S_IRGRP | S_IWGRP;
    struct stat st;

    if (stat("/dev/kvm", &st) == 0 && (st.st_gid == 0 || (st.st_mode & both) != both))
        return err_set(err,
                       "open /dev/kvm: Permission denied (only root may use it: `sudo chgrp kvm "
                       "/dev/kvm && sudo chmod 660 /dev/kvm`, and join that group: `sudo "
                       "usermod -aG kvm $USER`, then log in again)");
    return err_set(err, "open /dev/kvm: Permission denied (join its group: `sudo usermod -aG kvm "
                        "$USER`, then log in again)");
}

static int open_failed(struct err *err)
{
    if (errno == ENOENT || errno == ENXIO || errno == ENODEV)
        return err_set(err,
                       "open /dev/kvm: it is not there (load kvm_intel or kvm_amd; in a virtual "
                       "machine, enable nested virtualisation; in a container, pass /dev/kvm in)");
    if (errno == EACCES)
        return not_permitted(err);
    if (errno == EPERM)
        return err_set(err, "open /dev/kvm: Operation not permitted (its mode is not what forbids "
                            "it: a container's rules for devices?)");
    return err_sys(err, "open /dev/kvm");
}

int kvm_open(struct err *err)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (kvm < 0)
        return open_failed(err);
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
        err_set(err, "/dev/kvm is not KVM with API version %d: another device, or no device?",
                KVM_API_VERSION);
        goto fail;
    }
    for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
        if (kvm_capability(kvm, needed[i].capability) <= 0) {
            err_set(err, "this kernel's KVM lacks %s (Linux 4.13 or later has it)", needed[i].name);
            goto fail;
        }
    }
    return kvm;
fail:
    close(kvm);
    return -1;
}

void kvm_send_msi(int vm, uint32_t vector)
{
    struct kvm_msi msi = {.address_lo = 0xfee00000, .data = vector};

    KVM_CALL(vm, KVM_SIGNAL_MSI, &msi, NULL);
}
