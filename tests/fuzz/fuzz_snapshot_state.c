/*
 * libFuzzer: the file `state` of a snapshot. Input: a byte (enum mode), then the file, or what is
 * changed in the records of a good one. What parses is what a judge of few lines takes, and is
 * written again as the same bytes; what the check of records lets pass is what its readers rely on.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/manifest.h"
#include "monitor/snapshot/records_check.h"

#include "tests/monitor/snapshot/good_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum mode {
    RAW,
    SEALED /* its checksums are made right first */,
    CHANGED,
    CHANGED_DIFF,
    CHANGED_DISK,
    MODES
};

/* A byte of a record's payload, and what it becomes. Numbers count modulo what there is. */
struct change {
    uint8_t record, value;
    uint16_t at;
};

enum { PAGE = 4096, HEADER = 88, RECORD = 24, CHECKSUM_AT = 80, COUNTED = 64 << 20 };

static struct snapshot_state state;
static struct snapshot_facts facts;
static struct err err;

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

static uint64_t get(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    memcpy(&value, at, bytes);
    return value;
}

static bool all_zero(const uint8_t *at, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

/* --- the judge --- */

/* The record at `at` fits; *next is where another one would be. */
static bool walk(const uint8_t *file, size_t size, size_t at, size_t *next)
{
    uint64_t payload;

    if (size - at < RECORD)
        return false;
    payload = get(file + at + 8, 8);
    if (payload > size - at - RECORD || (payload + 7) / 8 * 8 > size - at - RECORD)
        return false;
    *next = at + RECORD + (size_t)(payload + 7) / 8 * 8;
    return true;
}

static bool header_is_good(const uint8_t *file, size_t size)
{
    uint64_t flags = get(file + 28, 4), memory = get(file + 64, 8);

    return memcmp(file, "samarasn", 8) == 0 && get(file + 8, 4) == 1 &&
           get(file + 12, 4) == HEADER && get(file + 16, 8) == size && get(file + 24, 4) <= 256 &&
           flags <= 3 && !all_zero(file + 32, 16) && (!(flags & 1) || !all_zero(file + 48, 16)) &&
           memory > 0 && memory % PAGE == 0 && memory <= UINT64_C(1) << 40;
}

/* Whatever the checksums are. */
static bool file_is_good(const uint8_t *file, size_t size)
{
    size_t at = HEADER, next;

    if (size < HEADER || !header_is_good(file, size))
        return false;
    for (uint64_t i = get(file + 24, 4); i > 0; i--) {
        if (!walk(file, size, at, &next))
            return false;
        at += RECORD + (size_t)get(file + at + 8, 8);
        if (!all_zero(file + at, next - at))
            return false;
        at = next;
    }
    return at == size;
}

/* Makes checksums right, as far as there are records. */
static void seal(uint8_t *file, size_t size)
{
    static const uint8_t zero[8];
    struct checksum c;
    uint64_t sum;

    if (size < HEADER)
        return;
    checksum_begin(&c);
    checksum_add(&c, file, CHECKSUM_AT);
    checksum_add(&c, zero, sizeof(zero));
    sum = checksum_64(&c);
    memcpy(file + CHECKSUM_AT, &sum, sizeof(sum));
    for (size_t at = HEADER, next; walk(file, size, at, &next); at = next) {
        checksum_begin(&c);
        checksum_add(&c, file + at, 16);
        checksum_add(&c, file + at + RECORD, (size_t)get(file + at + 8, 8));
        sum = checksum_64(&c);
        memcpy(file + at + 16, &sum, sizeof(sum));
    }
}

/* --- what is relied on --- */

static void written_again(const uint8_t *file, size_t size)
{
    struct snapshot_builder b = {0};

    for (unsigned i = 0; i < state.count; i++) {
        const struct snapshot_record *r = &state.records[i];

        must(snapshot_put(&b, r->kind, r->version, r->payload, r->size, NULL) == 0);
    }
    must(snapshot_finish(&b, &state.header, NULL) == 0);
    must(b.size == size && memcmp(b.bytes, file, size) == 0);
    snapshot_builder_free(&b);
}

static unsigned count(uint32_t kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < state.count; i++)
        n += state.records[i].kind == kind;
    return n;
}

/* Extents lie in memory, one behind the other, and as many chunks have data as there are digests.
 */
static void memory_is_sound(void)
{
    struct saved_digests head;
    size_t extents;
    const struct saved_extent *e = snapshot_extents(&state, &extents);
    uint64_t end = 0, last = UINT64_MAX, chunks = 0, data = 0;

    snapshot_digests(&state, &head);
    must(head.chunk >= PAGE);
    for (size_t i = 0; i < extents; i++) {
        must(e[i].offset >= end && e[i].size > 0 && (e[i].offset | e[i].size) % PAGE == 0);
        must(e[i].kind == EXTENT_DATA || (e[i].kind == EXTENT_ZERO && state.header.flags & 1));
        end = e[i].offset + e[i].size;
        must(end > e[i].offset && end <= state.header.memory);
        if (e[i].kind != EXTENT_DATA)
            continue;
        data += e[i].size;
        for (uint64_t at = e[i].offset; at < end && end <= COUNTED; at += PAGE) {
            chunks += at / head.chunk != last;
            last = at / head.chunk;
        }
    }
    must(data == snapshot_data_size(e, extents));
    must(end > COUNTED || chunks == head.count);
}

static void devices_are_sound(void)
{
    const struct snapshot_record *record;
    struct saved_virtio v;
    int64_t last = -1;

    for (unsigned i = 0; (record = snapshot_find(&state, RECORD_VIRTIO, i)) != NULL; i++) {
        must(record->size == sizeof(v));
        memcpy(&v, record->payload, sizeof(v));
        must(v.slot < SNAPSHOT_DEVICES_MOST && (int64_t)v.slot > last);
        must(v.queue_count <= VIRTIO_MAX_QUEUES && v.config_size <= sizeof(v.config));
        last = v.slot;
    }
}

static bool is_block_device(uint32_t slot)
{
    const struct snapshot_record *record;

    for (unsigned i = 0; (record = snapshot_find(&state, RECORD_VIRTIO, i)) != NULL; i++) {
        const struct saved_virtio *v = (const void *)record->payload;

        if (v->slot == slot)
            return v->device_id == 2;
    }
    return false;
}

static void disks_are_sound(void)
{
    const struct snapshot_record *record;
    int64_t last = -1;

    for (unsigned i = 0; (record = snapshot_find(&state, RECORD_DISK, i)) != NULL; i++) {
        const struct saved_disk *d = (const void *)record->payload;

        must(d->number < SNAPSHOT_DISKS_MOST && (int64_t)d->number > last);
        must(snapshot_disk(&state, d->number) == d && is_block_device(d->number + 1));
        must(d->base.size > 0 && d->base.size % 512 == 0 && d->base.size <= UINT64_C(16) << 40);
        must(d->blocks <= (d->base.size + PAGE - 1) / PAGE && d->count <= d->blocks);
        must(d->chunk >= PAGE && record->size == sizeof(*d) + d->count * 16);
        last = d->number;
    }
}

static void records_are_sound(void)
{
    static const uint32_t wanted[] = {
        RECORD_CONFIG,    RECORD_CPUID,    RECORD_REGS,   RECORD_SREGS,  RECORD_XSAVE,
        RECORD_XCRS,      RECORD_MSRS,     RECORD_EVENTS, RECORD_LAPIC,  RECORD_CLOCK,
        RECORD_DEBUGREGS, RECORD_MP_STATE, RECORD_MEMORY, RECORD_DIGESTS};

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        must(count(wanted[i]) == 1);
    for (unsigned i = 0; i < state.count; i++)
        must(snapshot_record_name(state.records[i].kind) && state.records[i].version == 1);
    must(snapshot_find(&state, RECORD_SREGS, 0)->size == sizeof(struct kvm_sregs));
    must(snapshot_find(&state, RECORD_LAPIC, 0)->size == sizeof(struct kvm_lapic_state));
    devices_are_sound();
    memory_is_sound();
    disks_are_sound();
}

/* Whatever text it holds, the manifest has lines of ASCII alone. */
static void manifest_is_harmless(const uint8_t *file, size_t size)
{
    static char text[MANIFEST_MOST];
    size_t length;

    snapshot_facts(&facts, &state, file, size);
    manifest_make(text, &length, &facts);
    must(length > 2 && memcmp(text + length - 3, "\n}\n", 3) == 0);
    for (size_t i = 0; i < length; i++)
        must(text[i] == '\n' || (text[i] >= ' ' && text[i] < 127));
}

static void error_is_a_line(void)
{
    must(strncmp(err.text, "state: ", 7) == 0 && !strchr(err.text, '\n'));
}

/* --- inputs --- */

static void change(uint8_t *file, size_t size, const struct change *to)
{
    size_t at = HEADER, next;
    uint64_t payload;

    for (uint64_t i = to->record % get(file + 24, 4); i > 0; i--) {
        must(walk(file, size, at, &next));
        at = next;
    }
    payload = get(file + at + 8, 8);
    if (payload > 0)
        file[at + RECORD + to->at % payload] = to->value;
}

/* Of the good state's block device. */
static void put_disk(struct snapshot_builder *b)
{
    const struct {
        struct saved_disk d;
        uint8_t digests[2][16];
    } disk = {.d = {.base = {.size = 81408}, .blocks = 3, .chunk = 65536, .count = 2}};

    must(snapshot_put(b, RECORD_DISK, 1, &disk, sizeof(disk), NULL) == 0);
}

/* The good state with changes, of a disk, too, if `disk`; as large as it says. */
static uint8_t *changed(const uint8_t *data, size_t size, bool diff, bool disk, size_t *file_size)
{
    struct snapshot_header header = good_header;
    struct snapshot_builder b = {0};
    struct change to;

    header.flags = diff ? SNAPSHOT_DIFF : 0;
    header.parent[0] = diff;
    if (disk)
        put_disk(&b);
    good_state(&b, &header);
    for (; size >= sizeof(to); data += sizeof(to), size -= sizeof(to)) {
        memcpy(&to, data, sizeof(to));
        change(b.bytes, b.size, &to);
    }
    *file_size = b.size;
    return b.bytes;
}

/* Of exactly its size, so that who reads on is seen. */
static uint8_t *copy(const uint8_t *bytes, size_t size)
{
    uint8_t *to = malloc(size > 0 ? size : 1);

    must(to != NULL);
    memcpy(to, bytes, size);
    return to;
}

static void try_file(const uint8_t *file, size_t size, bool good)
{
    must((snapshot_state_parse(file, size, &state, &err) == 0) == good);
    if (!good) {
        error_is_a_line();
        return;
    }
    written_again(file, size);
    if (snapshot_records_check(&state, &err) != 0) {
        error_is_a_line();
        return;
    }
    records_are_sound();
    manifest_is_harmless(file, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum mode mode = size > 0 ? data[0] % MODES : RAW;
    uint8_t *file, *sealed, *made = NULL;

    if (size == 0)
        return 0;
    data++;
    size--;
    if (mode >= CHANGED)
        data = made = changed(data, size, mode == CHANGED_DIFF, mode == CHANGED_DISK, &size);
    file = copy(data, size);
    sealed = copy(data, size);
    seal(sealed, size);
    if (mode == RAW)
        try_file(file, size, file_is_good(file, size) && memcmp(file, sealed, size) == 0);
    else
        try_file(sealed, size, file_is_good(sealed, size));
    free(sealed);
    free(file);
    free(made);
    return 0;
}
