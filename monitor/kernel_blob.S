/*
 * The guest kernel that samara carries. It starts on a page of its own, so that its place in
 * /proc/self/exe can be mapped straight into guest memory and is shared by every VM.
 */
    .section .kernel_blob, "a", @progbits
    .balign 4096
    .globl samara_kernel_blob, samara_kernel_blob_end
    .type samara_kernel_blob, @object
samara_kernel_blob:
    .incbin SAMARA_KERNEL_BLOB
samara_kernel_blob_end:
    .size samara_kernel_blob, . - samara_kernel_blob
    .balign 4096

    .section .note.GNU-stack, "", @progbits
