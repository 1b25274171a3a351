/* See vcpu_saved.h. */
#include "monitor/vcpu_saved.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "monitor/kvm.h"
#include "monitor/snapshot/records.h"

#define PART(kind, field)                                                                          \
    {                                                                                              \
        kind, offsetof(struct vcpu_saved, field), sizeof(((struct vcpu_saved *)0)->field)          \
    }

/* The MSRs' size is that of all; the record has as many as there are. */
const struct vcpu_part vcpu_parts[VCPU_PARTS] = {
    PART(RECORD_REGS, regs),   PART(RECORD_SREGS, sregs),         PART(RECORD_XSAVE, xsave),
    PART(RECORD_XCRS, xcrs),   PART(RECORD_MSRS, msrs),           PART(RECORD_EVENTS, events),
    PART(RECORD_LAPIC, lapic), PART(RECORD_DEBUGREGS, debugregs), PART(RECORD_MP_STATE, mp_state),
};

/* What a guest can have changed that is in no structure of KVM's. The time stamp counter comes
 * first, and what counts by it last. */
enum {
    MSR_TSC = 0x10,
    MSR_TSC_DEADLINE = 0x6e0,
};
static const uint32_t kept_msrs[] = {
    MSR_TSC,
    0x3b,       /* TSC_ADJUST */
    0x48,       /* SPEC_CTRL */
    0x174,      /* SYSENTER_CS, _ESP, _EIP */
    0x175,      /* */
    0x176,      /* */
    0x1a0,      /* MISC_ENABLE */
    0x277,      /* PAT */
    0x2ff,      /* MTRRs' default */
    0xda0,      /* XSS */
    0x4b564d00, /* kvmclock: wall clock, ... */
    0x4b564d01, /* ... system time */
    0x4b564d02, /* asynchronous page faults */
    0x4b564d03, /* stolen time */
    0x4b564d04, /* end of interrupt */
    0xc0000081, /* STAR, LSTAR, CSTAR, SFMASK */
    0xc0000082, /* */
    0xc0000083, /* */
    0xc0000084, /* */
    0xc0000102, /* KERNEL_GS_BASE */
    0xc0000103, /* TSC_AUX */
    MSR_TSC_DEADLINE,
};
enum { KEPT = sizeof(kept_msrs) / sizeof(kept_msrs[0]) };
_Static_assert(sizeof(kept_msrs) <= VCPU_MSRS * sizeof(kept_msrs[0]), "there is room");

/* KVM stops at the first that it does not know. */
static int get_msrs(struct vcpu *v, struct vcpu_msrs *to, struct err *err)
{
    unsigned next = 0, got = 0;

    while (next < KEPT) {
        struct vcpu_msrs ask = {.head = {.nmsrs = KEPT - next}};
        int n;

        for (unsigned i = 0; i < ask.head.nmsrs; i++)
            ask.entries[i].index = kept_msrs[next + i];
        n = KVM_CALL(v->fd, KVM_GET_MSRS, &ask, err);
        if (n < 0)
            return -1;
        memcpy(to->entries + got, ask.entries, (size_t)n * sizeof(ask.entries[0]));
        got += (unsigned)n;
        next += (unsigned)n + 1;
    }
    to->head.nmsrs = got;
    return 0;
}

/* Upon the next entry (api.rst, 5: KVM_EXIT_MMIO). */
int vcpu_complete_access(struct vcpu *v, struct err *err)
{
    int r;

    v->run->immediate_exit = 1;
    r = ioctl(v->fd, KVM_RUN, 0);
    v->run->immediate_exit = 0;
    return r < 0 && errno != EINTR ? err_sys(err, "KVM_RUN") : 0;
}

int vcpu_save(struct vcpu *v, struct vcpu_saved *to, struct err *err)
{
    const struct {
        unsigned long request;
        void *to;
        const char *name;
    } calls[] = {
        {KVM_GET_REGS, &to->regs, "KVM_GET_REGS"},
        {KVM_GET_SREGS, &to->sregs, "KVM_GET_SREGS"},
        {KVM_GET_XSAVE, &to->xsave, "KVM_GET_XSAVE"},
        {KVM_GET_XCRS, &to->xcrs, "KVM_GET_XCRS"},
        {KVM_GET_LAPIC, &to->lapic, "KVM_GET_LAPIC"},
        {KVM_GET_VCPU_EVENTS, &to->events, "KVM_GET_VCPU_EVENTS"},
        {KVM_GET_DEBUGREGS, &to->debugregs, "KVM_GET_DEBUGREGS"},
        {KVM_GET_MP_STATE, &to->mp_state, "KVM_GET_MP_STATE"},
    };

    memset(to, 0, sizeof(*to));
    if (vcpu_complete_access(v, err) != 0)
        return -1;
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (kvm_call(v->fd, calls[i].request, calls[i].to, calls[i].name, err) < 0)
            return -1;
    }
    return get_msrs(v, &to->msrs, err);
}

/* --- the way back --- */

static bool is_kept(uint32_t index)
{
    for (unsigned i = 0; i < KEPT; i++) {
        if (kept_msrs[i] == index)
            return true;
    }
    return false;
}

int vcpu_take_msrs(struct vcpu_msrs *to, const struct kvm_msr_entry *entries, size_t count,
                   struct err *err)
{
    if (count > VCPU_MSRS)
        return err_set(err, "%zu MSRs: not more than %d", count, VCPU_MSRS);
    for (size_t i = 0; i < count; i++) {
        if (!is_kept(entries[i].index))
            return err_set(err, "MSR 0x%x is none of a snapshot's", entries[i].index);
        to->entries[i] = entries[i];
        to->entries[i].reserved = 0;
    }
    to->head.nmsrs = (uint32_t)count;
    return 0;
}

static const struct kvm_msr_entry *find_msr(const struct vcpu_msrs *m, uint32_t index)
{
    for (unsigned i = 0; i < m->head.nmsrs; i++) {
        if (m->entries[i].index == index)
            return &m->entries[i];
    }
    return NULL;
}

/* KVM stops at the first that it refuses: where the guest's CPUID has no such MSR it can be read,
 * as 0, but not set. */
static int set_msrs(struct vcpu *v, const struct vcpu_msrs *m, struct err *err)
{
    struct vcpu_msrs rest = *m;

    while (rest.head.nmsrs > 0) {
        int set = KVM_CALL(v->fd, KVM_SET_MSRS, &rest, err);

        if (set < 0)
            return -1;
        if ((uint32_t)set == rest.head.nmsrs)
            return 0;
        if (rest.entries[set].data != 0)
            return err_set(err, "KVM_SET_MSRS: this KVM refuses MSR 0x%x", rest.entries[set].index);
        rest.head.nmsrs -= (uint32_t)set + 1;
        memmove(rest.entries, rest.entries + set + 1, rest.head.nmsrs * sizeof(rest.entries[0]));
    }
    return 0;
}

/* All but the deadline. */
static int load_msrs(struct vcpu *v, const struct vcpu_msrs *from, struct err *err)
{
    struct vcpu_msrs m = {.head = {.nmsrs = 0}};

    for (unsigned i = 0; i < from->head.nmsrs; i++) {
        if (from->entries[i].index != MSR_TSC_DEADLINE)
            m.entries[m.head.nmsrs++] = from->entries[i];
    }
    return set_msrs(v, &m, err);
}

/* Where KVM cannot give the guest another time stamp counter than the host's (kvm-pvm), the one
 * that was saved is lost: what counts is how much of it was left. */
static int load_deadline(struct vcpu *v, const struct vcpu_msrs *from, uint64_t passed,
                         struct err *err)
{
    const struct kvm_msr_entry *then = find_msr(from, MSR_TSC),
                               *deadline = find_msr(from, MSR_TSC_DEADLINE);
    struct vcpu_msrs m = {.head = {.nmsrs = 1}, .entries = {{.index = MSR_TSC}}};
    uint64_t left;
    int n;

    if (!then || !deadline || deadline->data == 0)
        return 0;
    n = KVM_CALL(v->fd, KVM_GET_MSRS, &m, err);
    if (n != 1)
        return n < 0 ? -1 : err_set(err, "KVM_GET_MSRS: no time stamp counter");
    left = deadline->data > then->data ? deadline->data - then->data : 0;
    left = left > passed ? left - passed : 0;
    m.entries[0] =
        (struct kvm_msr_entry){.index = MSR_TSC_DEADLINE, .data = m.entries[0].data + left};
    return set_msrs(v, &m, err);
}

int vcpu_load(struct vcpu *v, const struct vcpu_saved *from, uint64_t passed, struct err *err)
{
    struct vcpu_saved s = *from;

    if (KVM_CALL(v->fd, KVM_SET_SREGS, &s.sregs, err) < 0 ||
        KVM_CALL(v->fd, KVM_SET_REGS, &s.regs, err) < 0)
        return -1;
    if (s.xcrs.nr_xcrs > 0 && KVM_CALL(v->fd, KVM_SET_XCRS, &s.xcrs, err) < 0)
        return -1;
    if (KVM_CALL(v->fd, KVM_SET_XSAVE, &s.xsave, err) < 0 ||
        KVM_CALL(v->fd, KVM_SET_DEBUGREGS, &s.debugregs, err) < 0)
        return -1;
    if (load_msrs(v, &s.msrs, err) != 0 || KVM_CALL(v->fd, KVM_SET_LAPIC, &s.lapic, err) < 0 ||
        load_deadline(v, &s.msrs, passed, err) != 0)
        return -1;
    if (KVM_CALL(v->fd, KVM_SET_VCPU_EVENTS, &s.events, err) < 0)
        return -1;
    return KVM_CALL(v->fd, KVM_SET_MP_STATE, &s.mp_state, err);
}

/* The time stamp counter, and what the local APIC's timer has made of it. */
int vcpu_load_time(struct vcpu *v, const struct vcpu_saved *from, uint64_t passed, struct err *err)
{
    const struct kvm_msr_entry *tsc = find_msr(&from->msrs, MSR_TSC);
    struct kvm_lapic_state lapic = from->lapic;
    struct vcpu_msrs m = {.head = {.nmsrs = 1}};

    if (tsc) {
        m.entries[0] = *tsc;
        if (set_msrs(v, &m, err) != 0)
            return -1;
    }
    if (KVM_CALL(v->fd, KVM_SET_LAPIC, &lapic, err) < 0)
        return -1;
    return load_deadline(v, &from->msrs, passed, err);
}
