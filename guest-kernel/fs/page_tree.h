/*
 * The pages of a regular file, by index: a radix tree of pages that grows with the file and keeps
 * holes free. A file of one page is that page; a node is a page of 512 pointers.
 */
#ifndef SAMARA_GUEST_FS_PAGE_TREE_H
#define SAMARA_GUEST_FS_PAGE_TREE_H

#include "guest-kernel/lib/base.h"

enum { PAGE_TREE_BITS = 9, PAGE_TREE_FANOUT = 1 << PAGE_TREE_BITS, PAGE_TREE_LEVELS_MAX = 4 };
/* Indices at or above this cannot be stored. */
#define PAGE_TREE_LIMIT (1ull << (PAGE_TREE_BITS * PAGE_TREE_LEVELS_MAX))

/* Zeroed is empty. */
struct page_tree {
    void *root;
    u32 levels; /* of nodes above the pages */
    u64 count;  /* pages stored */
};

/* The page at index, or NULL for a hole. */
void *page_tree_find(const struct page_tree *tree, u64 index);
/* The page at index, made of zeroes if it was a hole. NULL: out of memory, or beyond the limit. */
void *page_tree_make(struct page_tree *tree, u64 index);
/* Free the pages in [first, end); end may be UINT64_MAX. */
void page_tree_free(struct page_tree *tree, u64 first, u64 end);
/* Fill the pages present in [first, end) with zeroes but keep them. */
void page_tree_clear(struct page_tree *tree, u64 first, u64 end);
/* The least index >= from that holds a page, or UINT64_MAX. */
u64 page_tree_next(const struct page_tree *tree, u64 from);

#endif
