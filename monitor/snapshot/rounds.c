/* See rounds.h. */
#include "monitor/snapshot/rounds.h"

#include <string.h>

#include "monitor/snapshot/dirty_log.h"
#include "monitor/snapshot/touched.h"
#include "monitor/vm.h"

enum { PAGE = 4096, WORDS = ROUNDS_CHUNK / 64 };
_Static_assert((int)ROUNDS_CHUNK == (int)TOUCHED_PAGES, "one look at the page tables for each");
_Static_assert(SAMARA_RAM_LOW_END / PAGE % ROUNDS_CHUNK == 0, "a chunk is on one side of the hole");

static uint64_t page_count(const struct vm *vm)
{
    return vm->ram_size / PAGE;
}

static unsigned chunk_size(const struct vm *vm, uint64_t first)
{
    uint64_t left = page_count(vm) - first;

    return left < ROUNDS_CHUNK ? (unsigned)left : ROUNDS_CHUNK;
}

static bool bit(const uint64_t *bits, uint64_t page)
{
    return bits[page / 64] >> (page % 64) & 1;
}

/* --- what there is --- */

/* Sets the bits of [first, first + pages) that lie in [from, end). */
static void mark(uint64_t *bits, uint64_t first, unsigned pages, uint64_t from, uint64_t end)
{
    from = from > first ? from - first : 0;
    end = end > first ? end - first : 0;
    for (uint64_t i = from; i < end && i < pages; i++)
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Where files are mapped there is something in pages that are not in memory. */
static void mark_mapped(const struct vm *vm, uint64_t first, unsigned pages, uint64_t *bits)
{
    const struct saved_extent *extents;
    size_t count;

    if (!vm->restored) {
        mark(bits, first, pages, 0, vm->loaded.end / PAGE);
        return;
    }
    for (unsigned layer = 0; (extents = restored_extents(vm->restored, layer, &count)); layer++) {
        for (size_t i = 0; i < count; i++)
            mark(bits, first, pages, extents[i].offset / PAGE,
                 (extents[i].offset + extents[i].size) / PAGE);
    }
}

static bool is_zero(const uint8_t *page)
{
    const uint64_t *words = (const uint64_t *)(const void *)page;
    uint64_t all = 0;

    for (unsigned i = 0; i < PAGE / sizeof(words[0]) && all == 0; i += 8) {
        for (unsigned j = 0; j < 8; j++)
            all |= words[i + j];
    }
    return all == 0;
}

/* In the first round all that is not zero; what is never sent is. Of a diff what is this process's
 * own, zero or not. */
static void find_contents(const struct rounds *r, uint64_t first, uint64_t *bits)
{
    const struct vm *vm = r->vm;
    unsigned pages = chunk_size(vm, first);

    if (r->diff) {
        private_pages(vm->pagemap, vm->ram + first * PAGE, pages, bits);
        return;
    }
    touched_pages(vm->pagemap, vm->ram + first * PAGE, pages, bits);
    mark_mapped(vm, first, pages, bits);
    for (unsigned i = 0; i < pages; i++) {
        if (bit(bits, i) && is_zero(vm->ram + (first + i) * PAGE))
            bits[i / 64] &= ~(UINT64_C(1) << (i % 64));
    }
}

/* --- rounds --- */

int rounds_begin(struct rounds *r, struct vm *vm, bool diff, struct err *err)
{
    *r = (struct rounds){.vm = vm, .active = true, .diff = diff};
    if (!vm->can_log)
        return err_set(err, "this KVM cannot tell which pages change (Linux 5.7 or later can)");
    r->logs = true;
    return dirty_log_start(vm, vm->copies.written, err);
}

/* Protects the chunk's pages before they are looked at. True if there are any. */
static int open_chunk(struct rounds *r, bool *any, struct err *err)
{
    struct vm *vm = r->vm;
    uint64_t *bits = vm->copies.bits + r->next / 64, all[WORDS];
    const uint64_t *clear = bits;

    if (r->number == 0) {
        memset(all, 0xff, sizeof(all));
        clear = all;
    }
    *any = r->number == 0;
    for (unsigned i = 0; i < WORDS && !*any; i++)
        *any = bits[i] != 0;
    if (!*any)
        return 0;
    if (dirty_log_clear(vm, r->next, chunk_size(vm, r->next), clear, err) < 0)
        return -1;
    if (r->number == 0)
        find_contents(r, r->next, bits);
    return 0;
}

/* From r->next on, to the end of its chunk. */
static enum rounds_verdict next_in_chunk(struct rounds *r, uint64_t *first, unsigned *count)
{
    const uint64_t *bits = r->vm->copies.bits;
    const uint64_t start = r->next - r->next % ROUNDS_CHUNK, end = start + chunk_size(r->vm, start);

    while (r->next < end && !bit(bits, r->next))
        r->next++;
    *first = r->next;
    while (r->next < end && bit(bits, r->next) && r->next - *first < ROUNDS_RUN)
        r->next++;
    *count = (unsigned)(r->next - *first);
    return *count > 0 ? ROUNDS_PAGES : ROUNDS_LATER;
}

enum rounds_verdict rounds_next(struct rounds *r, uint64_t *first, unsigned *count, struct err *err)
{
    bool any = true;

    if (r->next == page_count(r->vm))
        return ROUNDS_OVER;
    if (r->next % ROUNDS_CHUNK == 0 && open_chunk(r, &any, err) != 0)
        return ROUNDS_FAILED;
    if (any)
        return next_in_chunk(r, first, count);
    r->next += chunk_size(r->vm, r->next);
    return ROUNDS_LATER;
}

static uint64_t count_bits(const struct vm *vm)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < (page_count(vm) + 63) / 64; i++)
        count += (uint64_t)__builtin_popcountll(vm->copies.bits[i]);
    return count;
}

/* Few are left, or it does not become fewer. */
static bool is_time(const struct rounds *r, uint64_t before)
{
    return r->expected <= ROUNDS_FEW || r->number + 1 >= ROUNDS_MOST ||
           (r->number > 0 && r->expected > before / 4 * 3);
}

int rounds_over(struct rounds *r, struct err *err)
{
    uint64_t before = r->expected;

    if (dirty_log_read(r->vm, r->vm->copies.bits, err) != 0)
        return -1;
    r->expected = count_bits(r->vm);
    if (is_time(r, before)) {
        copies_expect(&r->vm->copies, r->expected + r->expected / 2 + 64);
        return 1;
    }
    dirty_log_clear_written(r->vm);
    r->number++;
    r->next = 0;
    return 0;
}

/* What was left after the last round, and what has changed since. */
int rounds_last(struct rounds *r, struct err *err)
{
    struct vm *vm = r->vm;
    size_t first = 0, count;

    if (dirty_log_read(vm, vm->copies.bits, err) != 0)
        return -1;
    for (; (count = copies_marked(&vm->copies, &first)) > 0; first += count) {
        for (size_t page = first; page < first + count; page++)
            copies_put(&vm->copies, (uint32_t)page, vm->ram + page * PAGE);
    }
    return 0;
}

void rounds_stop(struct rounds *r)
{
    if (r->logs)
        dirty_log_stop(r->vm);
    r->logs = false;
}

void rounds_end(struct rounds *r)
{
    rounds_stop(r);
    if (r->active)
        copies_clear(&r->vm->copies);
    r->active = false;
}
