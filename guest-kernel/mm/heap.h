/*
 * The kernel's heap: size classes carved out of single pages, larger blocks as runs of pages. A
 * header at the start of the page tells kfree which; no block of the heap is page-aligned.
 */
#ifndef GUEST_MM_HEAP_H
#define GUEST_MM_HEAP_H

#include "guest-kernel/lib/base.h"

/* 16-byte aligned memory or NULL. kzalloc clears it. Size 0 gives a block that may be freed. */
void *kmalloc(size_t size);
void *kzalloc(size_t size);

/* NULL is allowed. */
void kfree(void *block);

/* Keeps the contents up to the smaller size; on NULL the old block stays valid. */
void *krealloc(void *block, size_t size);

#endif
