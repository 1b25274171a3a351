/*
 * Who handles which interrupt. The nucleus notes a vector when it arrives; the task code takes the
 * notes when the kernel is at a place where handlers may run and calls irq_dispatch.
 */
#ifndef GUEST_KERNEL_DRIVERS_IRQ_H
#define GUEST_KERNEL_DRIVERS_IRQ_H

#include "guest-kernel/lib/base.h"

#define IRQ_FIRST_VECTOR 0x20 /* bit n of the notes is vector IRQ_FIRST_VECTOR + n */

/* fn(arg) runs at dispatch after `vector` arrived; it may wake tasks but not wait. Several handlers
 * may share a vector. False if the vector cannot be noted or the table is full. */
bool irq_register(u32 vector, void (*fn)(void *arg), void *arg);

/* Runs the handlers of every vector in notes. Notes nobody registered for are dropped. */
void irq_dispatch(u32 notes);

#endif
