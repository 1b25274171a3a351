/* See compare.h. Both are mapped as a VM would have them, layers and all. */
#include "monitor/snapshot/compare.h"

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

/* --- all else --- */

/* Where things lie, not what is in them. */
static bool is_layout(uint32_t kind)
{
    return kind == RECORD_MEMORY || kind == RECORD_DIGESTS || kind == RECORD_PARENT;
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

static int compare(const struct side s[2], struct err *err)
{
    const struct snapshot_state *a = &s[0].restored.states[0], *b = &s[1].restored.states[0];
    uint64_t pages;
    unsigned records;

    if (a->header.memory != b->header.memory)
        return err_set(err, "one has %llu MiB of memory, the other %llu",
                       (unsigned long long)(a->header.memory >> 20),
                       (unsigned long long)(b->header.memory >> 20));
    records = compare_records(a, b, false) + compare_records(b, a, true);
    pages = compare_memory(s);
    return records > 0 || pages > 0 ? DIFFERENT : 0;
}

int diff_command(int argc, char **argv, struct report *report)
{
    static struct side sides[2];
    int status = -1;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf("%s\n\nNames the parts of two machines' state, and the pages of their memory, that "
               "are\n"
               "different. Exit status: 0 if none is, 1 if some are.\n",
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
