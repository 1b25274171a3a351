/*
 * Where things are: guest-physical and guest-virtual addresses that the monitor lays out and the
 * guest kernel relies on. Both compile this file.
 *
 *   guest-physical                              guest-virtual
 *   0            never mapped                   0 .. 0x7f80_0000_0000   the program
 *   0x1000       GDT, TSS, IDT (one page)       0x7f80_0000_0000 ..     all of physical memory and
 *   0x2000       platform page                                         device space, 512 GiB
 *   0x3000       kvmclock page                                         ("the physical window");
 *   0x10_0000    guest kernel image                                    the kernel image is linked
 *   after it     page tables, device tree,                             at its place in the window
 *                then the program's file
 *   ..0xc000_0000 RAM below the device hole
 *   0xd000_0000  platform doorbell, virtio-mmio slots, one 4 KiB page each
 *   0xfee0_0000  local APIC
 *   0x1_0000_0000  the rest of RAM
 */
#ifndef SAMARA_ABI_MEMORY_MAP_H
#define SAMARA_ABI_MEMORY_MAP_H

/* Everything at or above this virtual address belongs to the kernel. One PML4 slot (255). */
#define SAMARA_WINDOW      0x7f8000000000
#define SAMARA_WINDOW_SIZE 0x8000000000
/* High half of SAMARA_WINDOW: the nucleus compares it with the high half of an interrupted RIP. */
#define SAMARA_WINDOW_HIGH   0x7f80

#define SAMARA_GPA_TABLES    0x1000 /* GDT at +0, TSS at +0x100, IDT at +0x400 */
#define SAMARA_GPA_PLATFORM  0x2000
#define SAMARA_GPA_KVMCLOCK  0x3000
#define SAMARA_GPA_KERNEL    0x100000

#define SAMARA_RAM_LOW_END   0xc0000000
#define SAMARA_RAM_HIGH_BASE 0x100000000

#define SAMARA_GPA_DOORBELL  0xd0000000
#define SAMARA_GPA_VIRTIO    0xd0001000 /* slot i at + i * SAMARA_VIRTIO_STRIDE */
#define SAMARA_VIRTIO_STRIDE 0x1000
#define SAMARA_VIRTIO_SLOTS  13         /* vectors up to the spurious one */
#define SAMARA_GPA_IOAPIC    0xfec00000 /* under other monitors: samara sends MSIs */
#define SAMARA_GPA_LAPIC     0xfee00000

/*
 * Interrupt vectors. All lie in one priority class (vector >> 4), so that until the guest sends
 * EOI for one no other is delivered: the nucleus never nests.
 */
#define SAMARA_VECTOR_TIMER    0x20
#define SAMARA_VECTOR_PLATFORM 0x21
#define SAMARA_VECTOR_VIRTIO   0x22 /* + slot */
#define SAMARA_VECTOR_SPURIOUS 0x2f
#define SAMARA_VECTORS         0x30 /* IDT entries the guest kernel provides stubs for */

/* Selectors, as Linux has them, because KVM without hardware virtualisation shows the host's. */
#define SAMARA_SEL_KERNEL_CS 0x10
#define SAMARA_SEL_KERNEL_DS 0x18
#define SAMARA_SEL_USER_DS   0x2b
#define SAMARA_SEL_USER_CS   0x33
#define SAMARA_SEL_TSS       0x40
#define SAMARA_GDT_BYTES     0x50
#define SAMARA_TSS_OFFSET    0x100
#define SAMARA_IDT_OFFSET    0x400

#endif
