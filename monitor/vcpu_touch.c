/* See vcpu_touch.h. In ring 3, where KVM without hardware virtualisation does not emulate. */
#include "monitor/vcpu_touch.h"

#include <string.h>
#include <sys/ioctl.h>

#include "abi/memory_map.h"
#include "abi/platform.h"
#include "monitor/kvm.h"

enum { LAPIC_SVR = 0xf0, LAPIC_ISR = 0x100, LAPIC_IRR = 0x200, LAPIC_BITS = 0x80 };
enum { RFLAGS = 0x202 };

static int set_special(struct vcpu *v, const struct kvm_sregs *saved, struct err *err)
{
    struct kvm_sregs s = *saved;

    vcpu_ring3_code(&s);
    memset(s.interrupt_bitmap, 0, sizeof(s.interrupt_bitmap));
    return KVM_CALL(v->fd, KVM_SET_SREGS, &s, err);
}

/* Its interrupts would be noted in the guest's memory. */
static int set_quiet(struct vcpu *v, const struct kvm_lapic_state *saved, struct err *err)
{
    struct kvm_lapic_state lapic = *saved;
    struct kvm_vcpu_events none = {0};
    struct kvm_mp_state runs = {.mp_state = KVM_MP_STATE_RUNNABLE};

    lapic.regs[LAPIC_SVR + 1] = 0; /* software-disabled: bit 8 */
    memset(lapic.regs + LAPIC_ISR, 0, LAPIC_BITS);
    memset(lapic.regs + LAPIC_IRR, 0, LAPIC_BITS);
    if (KVM_CALL(v->fd, KVM_SET_LAPIC, &lapic, err) < 0 ||
        KVM_CALL(v->fd, KVM_SET_VCPU_EVENTS, &none, err) < 0)
        return -1;
    return KVM_CALL(v->fd, KVM_SET_MP_STATE, &runs, err);
}

int vcpu_touch_begin(struct vcpu *v, const struct vcpu_saved *saved, struct err *err)
{
    return set_special(v, &saved->sregs, err) < 0 ? -1 : set_quiet(v, &saved->lapic, err);
}

static bool is_end(const struct kvm_run *run)
{
    return run->exit_reason == KVM_EXIT_MMIO && run->mmio.is_write &&
           run->mmio.phys_addr == SAMARA_GPA_DOORBELL + SAMARA_DOORBELL_TOUCHED;
}

bool vcpu_touch(struct vcpu *v, uint64_t routine, uint64_t address, uint64_t pages, bool write)
{
    struct kvm_regs regs = {
        .rip = routine, .rdi = address, .rsi = pages, .rdx = write, .rflags = RFLAGS};
    struct err ignored;

    if (KVM_CALL(v->fd, KVM_SET_REGS, &regs, &ignored) < 0 || ioctl(v->fd, KVM_RUN, 0) != 0)
        return false;
    return is_end(v->run) && vcpu_complete_access(v, &ignored) == 0;
}

int vcpu_touch_end(struct vcpu *v, const struct vcpu_saved *saved, struct err *err)
{
    return vcpu_complete_access(v, err) != 0 ? -1 : vcpu_load(v, saved, 0, err);
}
