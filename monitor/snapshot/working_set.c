/* See working_set.h. */
#include "monitor/snapshot/working_set.h"

#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/snapshot/checksum.h"

enum { PAGE = 4096 };

static const char magic[8] = {'s', 'a', 'm', 'a', 'r', 'a', 'w', 's'};

size_t working_set_size(const struct working_set *set)
{
    return sizeof(set->head) + set->head.count * sizeof(set->extents[0]);
}

/* --- making one --- */

void working_set_clear(struct working_set *set)
{
    set->head = (struct working_head){.version = WORKING_SET_VERSION};
    memcpy(set->head.magic, magic, sizeof(magic));
}

static uint64_t end_of(const struct working_extent *e)
{
    return e->offset + (uint64_t)e->pages * PAGE;
}

static bool follows(const struct working_extent *before, const struct working_extent *e)
{
    return end_of(before) == e->offset;
}

void working_set_add(struct working_set *set, uint64_t page, enum working_kind kind)
{
    const struct working_extent e = {.offset = page * PAGE, .pages = 1, .kind = kind};
    struct working_extent *last = set->head.count > 0 ? &set->extents[set->head.count - 1] : NULL;

    if (last && last->kind == kind && follows(last, &e)) {
        last->pages++;
        return;
    }
    if (set->head.count < WORKING_EXTENTS_MOST)
        set->extents[set->head.count++] = e;
}

static void cut(struct working_set *set)
{
    uint32_t left = WORKING_PAGES_MOST;

    for (uint32_t i = 0; i < set->head.count; i++) {
        struct working_extent *e = &set->extents[i];

        if (e->pages > left)
            e->pages = left;
        left -= e->pages;
        if (e->pages == 0)
            set->head.count = i;
    }
}

static uint64_t checksum_of(const struct working_set *set)
{
    struct working_head head = set->head;
    struct checksum c;

    head.checksum = 0;
    checksum_begin(&c);
    checksum_add(&c, &head, sizeof(head));
    checksum_add(&c, set->extents, set->head.count * sizeof(set->extents[0]));
    return checksum_64(&c);
}

void working_set_seal(struct working_set *set, const uint8_t id[SNAPSHOT_ID])
{
    cut(set);
    memcpy(set->head.id, id, SNAPSHOT_ID);
    set->head.checksum = checksum_of(set);
}

/* --- checking one --- */

static int check_head(const struct working_set *set, size_t size, struct err *err)
{
    const struct working_head *head = &set->head;

    if (size < sizeof(*head) || memcmp(head->magic, magic, sizeof(magic)) != 0)
        return err_set(err, "not samara's");
    if (head->version != WORKING_SET_VERSION)
        return err_set(err, "version %u; this samara reads %d", head->version, WORKING_SET_VERSION);
    if (head->count > WORKING_EXTENTS_MOST)
        return err_set(err, "%u extents are more than %d", head->count, WORKING_EXTENTS_MOST);
    if (size != working_set_size(set))
        return err_set(err, "%zu bytes, not the %zu of %u extents", size, working_set_size(set),
                       head->count);
    if (head->checksum != checksum_of(set))
        return err_set(err, "its checksum is wrong");
    return 0;
}

/* *at is where the one before ends, *pages how many there were. */
static bool is_good(const struct working_extent *e, uint64_t memory, uint64_t *at, uint32_t *pages)
{
    if ((e->kind != WORKING_WRITTEN && e->kind != WORKING_READ) || e->offset % PAGE != 0 ||
        e->offset < *at || e->offset > memory || e->pages == 0 ||
        e->pages > WORKING_PAGES_MOST - *pages || (uint64_t)e->pages * PAGE > memory - e->offset)
        return false;
    *at = end_of(e);
    *pages += e->pages;
    return true;
}

int working_set_check(const struct working_set *set, size_t size,
                      const struct snapshot_header *snapshot, struct err *err)
{
    uint64_t at = 0;
    uint32_t pages = 0;

    if (check_head(set, size, err) != 0)
        return err_in(err, "working-set");
    if (memcmp(set->head.id, snapshot->id, SNAPSHOT_ID) != 0)
        return err_set(err, "working-set: it is another snapshot's");
    for (uint32_t i = 0; i < set->head.count; i++) {
        if (!is_good(&set->extents[i], snapshot->memory, &at, &pages))
            return err_set(err, "working-set: extent %u is not in order, or not in memory", i);
    }
    return 0;
}

static int read_file(struct working_set *set, int fd, const struct snapshot_header *snapshot,
                     struct err *err)
{
    ssize_t n = pread(fd, set, sizeof(*set), 0);
    struct stat st;

    if (n < 0 || fstat(fd, &st) != 0)
        return err_sys(err, "working-set");
    if (st.st_size != n)
        return err_set(err, "working-set: %lld bytes are too many", (long long)st.st_size);
    return working_set_check(set, (size_t)n, snapshot, err);
}

int working_set_read(struct working_set *set, int fd, const struct snapshot_header *snapshot,
                     struct err *err)
{
    int result = read_file(set, fd, snapshot, err);

    if (result != 0)
        working_set_clear(set);
    return result;
}
