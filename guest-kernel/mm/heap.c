/*
 * Each page of a size class begins with a slab header and is cut into equal blocks; free blocks are
 * a list through the blocks themselves. A class keeps the slabs that have a free block; an empty
 * slab goes back to the pages unless it is the class's last. Large blocks sit behind the same
 * header at the start of a run of pages.
 */
#include "guest-kernel/mm/heap.h"

#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/page.h"

#define SLAB_MAGIC  0x736c6162u
#define LARGE_MAGIC 0x6c726765u

struct block {
    struct block *next;
};

struct slab {
    u32 magic;
    u32 used;  /* blocks handed out; large: pages of the run */
    u32 class; /* index into class_size */
    u32 fresh; /* blocks from this number on were never handed out */
    struct slab *next, *prev;
    struct block *free;
    u64 pad[3]; /* blocks start on a cache line */
};
_Static_assert(sizeof(struct slab) == 64, "blocks are 16-byte aligned behind it");

static const u16 class_size[] = {16,  32,  48,  64,  96,   128,  192, 256,
                                 336, 448, 576, 800, 1008, 1344, 2016};

#define CLASSES   ARRAY_LEN(class_size)
#define SMALL_MAX 2016u

static struct slab *partial[CLASSES];

static u32 class_of(size_t size)
{
    u32 class = 0;

    while (class_size[class] < size)
        class ++;
    return class;
}

static u32 blocks_per_slab(u32 class)
{
    return (u32)(PAGE_SIZE - sizeof(struct slab)) / class_size[class];
}

static struct slab *slab_of(void *block)
{
    struct slab *slab = (void *)((uintptr_t)block & ~(uintptr_t)(PAGE_SIZE - 1));

    /* A wild pointer would corrupt a free list and fail much later, somewhere else. */
    if (slab->magic != SLAB_MAGIC && slab->magic != LARGE_MAGIC)
        __builtin_trap();
    return slab;
}

static void list_add(struct slab *slab)
{
    struct slab **head = &partial[slab->class];

    slab->prev = NULL;
    slab->next = *head;
    if (*head)
        (*head)->prev = slab;
    *head = slab;
}

static void list_remove(struct slab *slab)
{
    if (slab->prev)
        slab->prev->next = slab->next;
    else
        partial[slab->class] = slab->next;
    if (slab->next)
        slab->next->prev = slab->prev;
}

static struct slab *slab_new(u32 class)
{
    bool zero;
    struct slab *slab = page_alloc_raw(&zero);

    if (!slab)
        return NULL;
    memset(slab, 0, sizeof(*slab));
    slab->magic = SLAB_MAGIC;
    slab->class = class;
    list_add(slab);
    return slab;
}

static void *slab_take(struct slab *slab)
{
    void *block = slab->free;

    if (block)
        slab->free = slab->free->next;
    else
        block = (char *)(slab + 1) + (size_t)slab->fresh++ * class_size[slab->class];
    if (++slab->used == blocks_per_slab(slab->class))
        list_remove(slab);
    return block;
}

static void *large_alloc(size_t size)
{
    size_t count = size / PAGE_SIZE + 2;

    if (count > pages_total())
        return NULL;
    count = (size + sizeof(struct slab) + PAGE_SIZE - 1) / PAGE_SIZE;
    struct slab *header = pages_alloc((unsigned)count);
    if (!header)
        return NULL;
    header->magic = LARGE_MAGIC;
    header->used = (u32)count;
    return header + 1;
}

void *kmalloc(size_t size)
{
    if (size > SMALL_MAX)
        return large_alloc(size);

    u32 class = class_of(size);
    struct slab *slab = partial[class] ? partial[class] : slab_new(class);
    return slab ? slab_take(slab) : NULL;
}

void *kzalloc(size_t size)
{
    void *block = kmalloc(size);

    return block ? memset(block, 0, size) : NULL;
}

void kfree(void *block)
{
    if (!block)
        return;

    struct slab *slab = slab_of(block);
    if (slab->magic == LARGE_MAGIC) {
        slab->magic = 0;
        pages_free(slab, slab->used);
        return;
    }
    ((struct block *)block)->next = slab->free;
    slab->free = block;
    if (slab->used-- == blocks_per_slab(slab->class))
        list_add(slab);
    if (slab->used == 0 && (slab->next || slab->prev)) {
        list_remove(slab);
        slab->magic = 0;
        page_free(slab);
    }
}

static size_t block_room(void *block)
{
    const struct slab *slab = slab_of(block);

    if (slab->magic == LARGE_MAGIC)
        return slab->used * PAGE_SIZE - sizeof(*slab);
    return class_size[slab->class];
}

void *krealloc(void *block, size_t size)
{
    if (!block)
        return kmalloc(size);

    size_t room = block_room(block);
    if (size <= room && size >= room / 4)
        return block;
    void *bigger = kmalloc(size);
    if (!bigger)
        return NULL;
    memcpy(bigger, block, MIN(room, size));
    kfree(block);
    return bigger;
}
