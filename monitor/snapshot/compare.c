/* See compare.h. Both are mapped as a VM would have them, layers and all. */
#include "monitor/snapshot/compare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "monitor/snapshot/restored.h"

enum { DIFFERENT = 1, PAGE = 4096 };

static const char usage[] = "usage: samara diff SNAPSHOT SNAPSHOT";

struct side {
    struct restored restored;
    uint8_t *ram;
};

static int open_side(struct side *s, const char *path, struct err *err)
{
    struct chain *c = &s->restored.chain;
    uint64_t size;

    if (chain_open(c, path, SNAPSHOT_DISKS_MOST, err) != 0)
        return -1;
    if (restored_read_states(&s->restored, err) != 0)
        return err_in(err, "%s", path);
    size = c->layers[0].header.memory;
    s->ram = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (s->ram == MAP_FAILED)
        return err_sys(err, "%s: map %llu MiB", path, (unsigned long long)(size >> 20));
    return restored_map(&s->restored, s->ram, err);
}

/* --- memory --- */

static bool differs(const struct side s[2], uint64_t at)
{
    return memcmp(s[0].ram + at, s[1].ram + at, PAGE) != 0;
}

/* A line for each run of pages that differ. How many pages that are. */
static uint64_t compare_memory(const struct side s[2])
{
    const uint64_t size = s[0].restored.chain.layers[0].header.memory;
    uint64_t pages = 0;

    for (uint64_t at = 0; at < size;) {
        uint64_t from = at;

        while (at < size && differs(s, at))
            at += PAGE;
        if (at > from)
            printf("memory 0x%llx to 0x%llx: %llu pages\n", (unsigned long long)from,
                   (unsigned long long)at, (unsigned long long)((at - from) / PAGE));
        pages += (at - from) / PAGE;
        at += at == from ? PAGE : 0;
    }
    return pages;
}

/* --- disks --- */

/* What only one has, the other's base may have, too; but that is not here. */
static bool block_differs(struct overlay *const o[2], uint64_t block, struct err *err)
{
    uint8_t bytes[2][OVERLAY_BLOCK];

    for (unsigned i = 0; i < 2; i++) {
        uint64_t first = block;
        int result;

        if (overlay_next(o[i], OVERLAY_ALL, &first, block + 1, 1) == 0)
            return true;
        result = overlay_get(o[i], block, 1, bytes[i]);
        if (result != 0) {
            errno = -result;
            err_sys(err, "read block %llu", (unsigned long long)block);
            return true;
        }
    }
    return memcmp(bytes[0], bytes[1], OVERLAY_BLOCK) != 0;
}

/* The next block that either has; the number of blocks if there is none. */
static uint64_t next_block(struct overlay *const o[2], uint64_t block)
{
    const uint64_t blocks = overlay_blocks(o[0]);
    uint64_t first[2] = {block, block};

    for (unsigned i = 0; i < 2; i++)
        overlay_next(o[i], OVERLAY_ALL, &first[i], blocks, 1);
    return first[0] < first[1] ? first[0] : first[1];
}

/* A line for each run of blocks that differ. How many blocks that are. */
static uint64_t compare_blocks(struct overlay *const o[2], unsigned number, struct err *err)
{
    const uint64_t blocks = overlay_blocks(o[0]);
    uint64_t different = 0, block = next_block(o, 0);

    while (block < blocks && !err->text[0]) {
        uint64_t from = block;

        while (block < blocks && next_block(o, block) == block && block_differs(o, block, err))
            block++;
        if (block > from)
            printf("disk %u 0x%llx to 0x%llx: %llu blocks\n", number,
                   (unsigned long long)from * OVERLAY_BLOCK,
                   (unsigned long long)block * OVERLAY_BLOCK, (unsigned long long)(block - from));
        different += block - from;
        block = next_block(o, block == from ? block + 1 : block);
    }
    return different;
}

static uint64_t compare_disk(struct side s[2], unsigned number, struct err *err)
{
    const struct saved_disk *disks[2];
    struct overlay *o[2];

    for (unsigned i = 0; i < 2; i++) {
        disks[i] = snapshot_disk(&s[i].restored.states[0], number);
        if (restored_open_disk(&s[i].restored, number, &o[i], err) != 0) {
            err_in(err, "%s", s[i].restored.chain.path);
            return 0;
        }
    }
    if (!o[0] && !o[1])
        return 0;
    if (o[0] && o[1] && memcmp(&disks[0]->base, &disks[1]->base, sizeof(disks[0]->base)) == 0)
        return compare_blocks(o, number, err);
    printf("disk %u%s\n", number, o[0] && o[1] ? ": another base" : ": in one alone");
    return 1;
}

/* --- all else --- */

/* Where things lie, not what is in them. */
static bool is_layout(uint32_t kind)
{
    return kind == RECORD_MEMORY || kind == RECORD_DIGESTS || kind == RECORD_DISK ||
           kind == RECORD_PARENT;
}

static bool is_same(const struct snapshot_record *a, const struct snapshot_record *b)
{
    return b && a->size == b->size && memcmp(a->payload, b->payload, a->size) == 0;
}

/* A line for each record of a that b has not, or has otherwise. */
static unsigned compare_records(const struct snapshot_state *a, const struct snapshot_state *b,
                                bool only_missing)
{
    unsigned different = 0, number = 0;

    for (unsigned i = 0; i < a->count; i++) {
        const struct snapshot_record *r = &a->records[i], *other;

        number = i > 0 && a->records[i - 1].kind == r->kind ? number + 1 : 0;
        other = snapshot_find(b, r->kind, number);
        if (is_layout(r->kind) || is_same(r, other) || (only_missing && other))
            continue;
        printf("%s %u%s\n", snapshot_record_name(r->kind), number, other ? "" : ": in one alone");
        different++;
    }
    return different;
}

static int compare(struct side s[2], struct err *err)
{
    const struct snapshot_state *a = &s[0].restored.states[0], *b = &s[1].restored.states[0];
    uint64_t pages, blocks = 0;
    unsigned records;

    if (a->header.memory != b->header.memory)
        return err_set(err, "one has %llu MiB of memory, the other %llu",
                       (unsigned long long)(a->header.memory >> 20),
                       (unsigned long long)(b->header.memory >> 20));
    records = compare_records(a, b, false) + compare_records(b, a, true);
    pages = compare_memory(s);
    err->text[0] = '\0';
    for (unsigned i = 0; i < SNAPSHOT_DISKS_MOST && !err->text[0]; i++)
        blocks += compare_disk(s, i, err);
    if (err->text[0])
        return -1;
    return records > 0 || pages > 0 || blocks > 0 ? DIFFERENT : 0;
}

int diff_command(int argc, char **argv, struct report *report)
{
    static struct side sides[2];
    int status = -1;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf(
            "%s\n\nNames the parts of two machines' state, the pages of their memory and "
            "the\n"
            "blocks of their disks that are different. Exit status: 0 if none is, 1 if some are.\n",
            usage);
        return 0;
    }
    if (argc != 2)
        err_set(&report->err, "%s", usage);
    else if (open_side(&sides[0], argv[0], &report->err) == 0 &&
             open_side(&sides[1], argv[1], &report->err) == 0)
        status = compare(sides, &report->err);
    return status < 0 ? EXIT_SAMARA : status;
}
