/*
 * Included ahead of every file of the guest kernel: nothing is exported, so that -fpie takes
 * addresses relative to RIP; through a GOT, the linker could not resolve them this high in memory.
 */
#ifndef __ASSEMBLER__
#pragma GCC visibility push(hidden)
#endif
