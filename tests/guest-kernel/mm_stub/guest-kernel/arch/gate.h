/* Stands in for the real gate in unit tests on the host, where int3 would end the test. */
#ifndef GUEST_ARCH_GATE_H
#define GUEST_ARCH_GATE_H

#include "guest-kernel/lib/base.h"

void gate_invlpg(u64 va);
void gate_reload_cr3(void);

#endif
