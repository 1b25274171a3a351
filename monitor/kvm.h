/*
 * KVM's ioctls, each naming itself in the error. Descriptors are the caller's to close.
 */
#ifndef SAMARA_MONITOR_KVM_H
#define SAMARA_MONITOR_KVM_H

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "monitor/err.h"

/* Opens /dev/kvm and checks the API version and what samara cannot do without. Where that fails the
 * error says what to do about it. -1 with err. */
int kvm_open(struct err *err);

/* An ioctl that answers >= 0, or -1 with "NAME: reason". NAME is given as text. */
int kvm_call(int fd, unsigned long request, void *arg, const char *name, struct err *err);
#define KVM_CALL(fd, request, arg, err) kvm_call(fd, request, arg, #request, err)

/* The same for requests whose argument is a number. */
int kvm_call_value(int fd, unsigned long request, unsigned long value, const char *name,
                   struct err *err);
#define KVM_CALL_VALUE(fd, request, value, err) kvm_call_value(fd, request, value, #request, err)

/* A capability's value; 0 if the kernel lacks it. */
int kvm_capability(int kvm, int capability);

/* Sends vector to the one local APIC as an edge MSI. Safe from any thread. */
void kvm_send_msi(int vm, uint32_t vector);

#endif
