/*
 * Entry for monitors that know nothing of samara: the PVH boot ABI (Xen docs/misc/pvh.pandoc). Arrives in
 * 32-bit protected mode without paging, EBX = physical address of hvm_start_info. Brings the
 * processor into the state of abi/kernel_note.h and leaves for ring 3, where pvh_main does the rest
 * (on KVM without hardware virtualisation every instruction here costs a microsecond).
 */
#include "abi/memory_map.h"

#define PHYSICAL(symbol) (symbol - SAMARA_WINDOW)
#define TABLES_VA        (SAMARA_WINDOW + SAMARA_GPA_TABLES)
#define TSS_VA           (TABLES_VA + SAMARA_TSS_OFFSET)

#define PAGE_RW_USER 0x67       /* present, writable, user, accessed, dirty */
#define PAGE_LARGE   0xe7
#define CR4_BASE     0x620      /* PAE, OSFXSR, OSXMMEXCPT */
#define CR4_FSGSBASE 0x10000
#define CR4_OSXSAVE  0x40000
#define EFER_BITS    0x901      /* SCE, LME, NXE */
#define CR0_BITS     0x80050033 /* PG, AM, WP, NE, ET, MP, PE */
#define MSR_EFER     0xc0000080
#define MSR_STAR     0xc0000081
#define MSR_LSTAR    0xc0000082
#define MSR_SFMASK   0xc0000084
#define SFMASK_BITS  0x47500    /* AC, NT, IOPL, DF, TF; never IF */
#define MSR_KVMCLOCK 0x4b564d01

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYSICAL(pvh_entry)

    .text
    .code32
    .globl pvh_entry
pvh_entry:
    cld
    mov $PHYSICAL(pvh_pd), %edi /* 4 GiB in 2 MiB pages */
    mov $PAGE_LARGE, %eax
    mov $2048, %ecx
1:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    dec %ecx
    jnz 1b
    mov $PHYSICAL(pvh_pd) + PAGE_RW_USER, %eax
    mov %eax, PHYSICAL(pvh_pdpt)
    add $4096, %eax
    mov %eax, PHYSICAL(pvh_pdpt) + 8
    add $4096, %eax
    mov %eax, PHYSICAL(pvh_pdpt) + 16
    add $4096, %eax
    mov %eax, PHYSICAL(pvh_pdpt) + 24
    movl $PHYSICAL(pvh_pdpt) + PAGE_RW_USER, PHYSICAL(pvh_pml4)
    movl $PHYSICAL(pvh_pdpt) + PAGE_RW_USER, PHYSICAL(pvh_pml4) + 255 * 8

    mov %ebx, %ebp              /* CPUID clobbers EBX */
    mov $CR4_BASE, %esi
    xor %eax, %eax
    cpuid
    cmp $7, %eax
    jb 1f
    mov $7, %eax
    xor %ecx, %ecx
    cpuid
    test $1, %ebx
    jz 1f
    or $CR4_FSGSBASE, %esi
1:  mov $1, %eax
    cpuid
    test $(1 << 26), %ecx
    jz 1f
    or $CR4_OSXSAVE, %esi
1:  mov %esi, %cr4
    mov $PHYSICAL(pvh_pml4), %eax
    mov %eax, %cr3
    mov $MSR_EFER, %ecx
    mov $EFER_BITS, %eax
    xor %edx, %edx
    wrmsr
    mov $CR0_BITS, %eax
    mov %eax, %cr0
    lgdt PHYSICAL(pvh_gdt_pointer)
    ljmp $SAMARA_SEL_KERNEL_CS, $PHYSICAL(2f)

    .code64
2:  movabs $3f, %rax
    jmp *%rax
3:  /* the GDT to its place, with the TSS's descriptor; then TSS stacks */
    mov $TABLES_VA, %rdi
    lea pvh_gdt(%rip), %rsi
    mov $SAMARA_GDT_BYTES / 8, %ecx
    rep movsq
    mov $TSS_VA, %rdi
    lea exception_stack_top(%rip), %rax
    mov %rax, 4(%rdi)
    lea interrupt_stack_top(%rip), %rax
    mov %rax, 36(%rdi)
    lea fault_stack_top(%rip), %rax
    mov %rax, 44(%rdi)
    lgdt pvh_gdt_window(%rip)
    lidt pvh_idt_window(%rip)
    mov $SAMARA_SEL_TSS, %eax
    ltr %ax
    mov $SAMARA_SEL_USER_DS, %eax
    mov %eax, %ds
    mov %eax, %es

    mov %cr4, %rax
    test $CR4_OSXSAVE, %eax
    jz 1f
    mov $0xd, %eax
    xor %ecx, %ecx
    cpuid
    and $0xe7, %eax             /* x87, SSE, AVX, AVX-512 */
    xor %ecx, %ecx
    xor %edx, %edx
    xsetbv
1:  mov $MSR_STAR, %ecx
    xor %eax, %eax
    mov $0x00230010, %edx
    wrmsr
    mov $MSR_LSTAR, %ecx
    lea syscall_entry(%rip), %rax
    mov %rax, %rdx
    shr $32, %rdx
    wrmsr
    mov $MSR_SFMASK, %ecx
    mov $SFMASK_BITS, %eax
    xor %edx, %edx
    wrmsr
    mov $0x40000000, %eax       /* "KVMKVMKVM": it has a clock for us */
    cpuid
    cmp $0x4b4d564b, %ebx
    jne 1f
    mov $MSR_KVMCLOCK, %ecx
    mov $SAMARA_GPA_KVMCLOCK + 1, %eax
    xor %edx, %edx
    wrmsr
1:  mov $0xff, %eax             /* legacy interrupt controllers: masked */
    out %al, $0x21
    out %al, $0xa1

    mov %ebp, %edi
    lea pvh_frame(%rip), %rsp
    iretq

pvh_ring3:
    call pvh_main
    ud2

    .section .rodata
    .balign 16
pvh_frame:
    .quad pvh_ring3, SAMARA_SEL_USER_CS, 0x202, boot_stack_top, SAMARA_SEL_USER_DS
pvh_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    /* kernel code */
    .quad 0x00cf93000000ffff    /* kernel data */
    .quad 0x00cffb000000ffff    /* 32-bit program code, which STAR counts from */
    .quad 0x00cff3000000ffff    /* program data */
    .quad 0x00affb000000ffff    /* program code */
    .quad 0
    .quad 0x67 | ((TSS_VA & 0xffffff) << 16) | (0x89 << 40) | (((TSS_VA >> 24) & 0xff) << 56)
    .quad TSS_VA >> 32
pvh_gdt_pointer:
    .word SAMARA_GDT_BYTES - 1
    .long PHYSICAL(pvh_gdt)
    .balign 8
pvh_gdt_window:
    .word SAMARA_GDT_BYTES - 1
    .quad TABLES_VA
    .balign 8
pvh_idt_window:
    .word SAMARA_VECTORS * 16 - 1
    .quad TABLES_VA + SAMARA_IDT_OFFSET

    .bss
    .balign 4096
    .globl pvh_pml4
pvh_pml4: .skip 4096
pvh_pdpt: .skip 4096
pvh_pd:   .skip 4 * 4096

    .section .note.GNU-stack, "", @progbits
