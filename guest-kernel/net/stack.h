/*
 * lwIP among the rest of the kernel. It is called by system calls between
 *
 *     net_enter();                   // time that passed meanwhile is made up for
 *     err = tcp_write(...);
 *     net_flush();                   // what was sent goes out; the next wake-up is set
 *
 * and by interrupts and timers through stack_run. Nothing between may sleep. In lwIP's callbacks
 * both may be called and do nothing: whoever called lwIP flushes.
 */
#ifndef GUEST_KERNEL_NET_STACK_H
#define GUEST_KERNEL_NET_STACK_H

#include "guest-kernel/lib/base.h"

/* Once, before anything else of lwIP: there is lo with 127.0.0.1 and ::1 after it. */
void stack_init(void);

void net_enter(void);
void net_flush(void);

/* work(arg), surrounded by both. */
void stack_run(void (*work)(void *arg), void *arg);

#endif
