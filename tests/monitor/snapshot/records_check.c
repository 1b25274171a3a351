/* Records: which are wanted, and what may be in them. */
#include "monitor/snapshot/records_check.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/monitor/snapshot/good_state.h"

static struct snapshot_builder b;
static struct snapshot_state state;
static struct err err;
static uint8_t payload[1 << 20];

static void make(void)
{
    good_state(&b, &good_header);
    cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, &err), 0, "%s", err.text);
}

static void unmake(void)
{
    snapshot_builder_free(&b);
}

TestSuite(records_check, .init = make, .fini = unmake);

static struct snapshot_record *find(uint32_t kind, unsigned number)
{
    return (struct snapshot_record *)snapshot_find(&state, kind, number);
}

/* A copy of a record's payload that a test may change, in its place. */
static void *change(uint32_t kind, unsigned number)
{
    struct snapshot_record *record = find(kind, number);

    memcpy(payload, record->payload, record->size);
    record->payload = payload;
    return payload;
}

static void add_parent(const char *path, size_t size)
{
    state.records[state.count++] = (struct snapshot_record){
        .kind = RECORD_PARENT, .version = 1, .size = size, .payload = (const uint8_t *)path};
}

static void assert_good(void)
{
    cr_assert_eq(snapshot_records_check(&state, &err), 0, "%s", err.text);
}

static void assert_refused(const char *why)
{
    err.text[0] = '\0';
    cr_assert_eq(snapshot_records_check(&state, &err), -1, "%s", why);
    cr_assert(strstr(err.text, why), "%s: %s", why, err.text);
    cr_assert_eq(strncmp(err.text, "state: ", 7), 0, "%s", err.text);
}

Test(records_check, good_ones_are_taken)
{
    assert_good();
}

/* --- numbers, versions, sizes --- */

/* With record i left out, and with it twice. */
static void assert_wanted_once(const struct snapshot_state *good, unsigned i)
{
    const uint32_t kind = good->records[i].kind;
    char why[64];

    memmove(&state.records[i], &state.records[i + 1], (good->count - i) * sizeof(state.records[0]));
    state.count = good->count - 1;
    snprintf(why, sizeof(why), "state: no %s record (kind %u)", snapshot_record_name(kind), kind);
    assert_refused(why);
    state = *good;
    state.records[state.count++] = good->records[i];
    snprintf(why, sizeof(why), "state: 2 %s records (kind %u)", snapshot_record_name(kind), kind);
    assert_refused(why);
    state = *good;
}

Test(records_check, each_record_that_is_wanted_is_wanted_once)
{
    static struct snapshot_state good;
    unsigned wanted = 0;

    good = state;
    for (unsigned i = 0; i < good.count; i++) {
        if (good.records[i].kind != RECORD_VIRTIO && good.records[i].kind != RECORD_VSOCK) {
            assert_wanted_once(&good, i);
            wanted++;
        }
    }
    cr_assert_eq(wanted, 14);
    assert_good();
}

Test(records_check, devices_need_not_be)
{
    cr_assert_eq(state.records[14].kind, RECORD_VSOCK);
    memmove(&state.records[12], &state.records[14], 3 * sizeof(state.records[0]));
    state.count -= 2;
    cr_assert_eq(snapshot_find(&state, RECORD_VIRTIO, 0), NULL);
    assert_good();
}

Test(records_check, kinds_that_nobody_knows_are_refused)
{
    find(RECORD_VSOCK, 0)->kind = 77;
    assert_refused("(kind 77) at byte ");
    cr_assert(strstr(err.text, "is of a kind that this samara"), "%s", err.text);
    cr_assert_eq(snapshot_record_name(77), NULL);
}

Test(records_check, another_version_is_refused_by_both_names)
{
    for (unsigned i = 0; i < state.count; i++) {
        char why[100];

        state.records[i].version = 2;
        snprintf(why, sizeof(why), "%s has version 2; this samara (%s) knows version 1 only",
                 snapshot_record_name(state.records[i].kind), SAMARA_VERSION);
        assert_refused(why);
        state.records[i].version = 1;
    }
}

Test(records_check, sizes_are_right_to_the_byte)
{
    for (unsigned i = 0; i < state.count; i++) {
        struct snapshot_record *record = &state.records[i];
        size_t size = record->size;

        memcpy(payload, record->payload, size);
        for (record->size = size - 1; record->size != size + 3; record->size += 2)
            assert_refused(snapshot_record_name(record->kind));
        record->size = 1;
        assert_refused(snapshot_record_name(record->kind));
        record->size = 0;
        assert_refused(record->kind == RECORD_MEMORY ? "DIGESTS: has 1 digests, but fewer"
                                                     : snapshot_record_name(record->kind));
        record->size = size;
    }
}

Test(records_check, elements_are_bounded)
{
    static const struct {
        uint32_t kind;
        size_t size, element;
    } most[] = {{RECORD_CPUID, 256 * 40, 40},
                {RECORD_MSRS, 1024 * 16, 16},
                {RECORD_XSAVE, 4096 + 65536, 4},
                {RECORD_CONFIG, 104 + 4096, 1}};

    for (size_t i = 0; i < sizeof(most) / sizeof(most[0]); i++) {
        struct snapshot_record *record = find(most[i].kind, 0), saved = *record;

        memset(payload, 'a', sizeof(payload));
        memcpy(payload, record->payload, record->size);
        record->payload = payload;
        record->size = most[i].size;
        if (most[i].kind == RECORD_CONFIG)
            ((struct saved_config *)payload)->program_size = 4096;
        assert_good();
        record->size += most[i].element;
        assert_refused("more than the");
        *record = saved;
    }
}

/* --- contents --- */

Test(records_check, config)
{
    struct saved_config *c = change(RECORD_CONFIG, 0);

    c->flags = 1;
    assert_refused("CONFIG: flags 0x1 are not known");
    c->flags = 0;
    c->program_size++;
    assert_refused("the program's path has 12 bytes, not 13");
    c->program_size--;
    memset(c->samara, 'x', sizeof(c->samara));
    assert_refused("not padded with zeroes");
    c->samara[5] = '\0';
    assert_refused("not padded with zeroes");
    memset(c->samara + 5, 0, sizeof(c->samara) - 5);
    assert_good();
    c->kernel[63] = 'x';
    assert_refused("not padded with zeroes");
    c->kernel[63] = '\0';
    payload[sizeof(*c) + 3] = '\0';
    assert_refused("zero byte within");
}

Test(records_check, virtio)
{
    struct saved_virtio *v = change(RECORD_VIRTIO, 1);

    v->slot = 0;
    assert_refused("slot 0 is not above 0");
    v->slot = 13;
    assert_refused("slot 13 is not below 13");
    v->slot = 12;
    assert_good();
    v->device_id = 0;
    assert_refused("device 0 is none");
    v->device_id = 2;
    v->queue_count = 9;
    assert_refused("9 queues are more than 8");
    v->queue_count = 0;
    assert_refused("queue 0 has bits set that mean nothing");
    v->queue_count = 1;
    v->queues[0].ready = 2;
    assert_refused("queue 0 has bits set");
    v->queues[0].ready = 1;
    v->queues[0].reserved[6] = 1;
    assert_refused("queue 0 has bits set");
    v->queues[0].reserved[6] = 0;
    v->queues[7].used = 1;
    assert_refused("queue 7 has bits set");
    v->queues[7].used = 0;
    v->config_size = 65;
    assert_refused("its configuration is not 65 bytes");
    v->config_size = 8;
    v->config[8] = 1;
    assert_refused("its configuration is not 8 bytes and zeroes");
}

Test(records_check, vsock)
{
    struct vsock_saved *head = change(RECORD_VSOCK, 0);
    struct vsock_saved_conn *c = (struct vsock_saved_conn *)(head + 1);

    head->count = 3;
    assert_refused("VSOCK: says 3 connections and has 2");
    head->count = 2;
    c[1].reserved = 1;
    assert_refused("VSOCK: connection 1: its reserved bytes are not zero");
    c[1].reserved = 0;
    c[1].type = 3;
    assert_refused("VSOCK: connection 1: type 3 is not known");
    c[1].type = 0;
    assert_refused("type 0 is not known");
    c[1].type = 1;
    c[0].our_shut = 4;
    assert_refused("connection 0: shut 0 and 4");
    c[0].our_shut = 3;
    assert_good();
    c[0].guest_shut = 4;
    assert_refused("connection 0: shut 4 and 3");
}

Test(records_check, extents)
{
    struct saved_extent *e = change(RECORD_MEMORY, 0);
    const struct saved_extent good[2] = {e[0], e[1]};
    static const struct {
        struct saved_extent of[2];
        const char *why;
    } bad[] = {
        {{{4096, 8192, 1, 0}, {12288, 4096, 1, 0}}, "extent 1: 0x3000 is not behind, or apart"},
        {{{4096, 8192, 1, 0}, {8192, 4096, 1, 0}}, "extent 1: 0x2000 is not behind"},
        {{{8192, 4096, 1, 0}, {0, 4096, 1, 0}}, "extent 1: 0 is not behind"},
        {{{4096, 8192, 1, 0}, {16384, 0, 1, 0}}, "are not whole pages"},
        {{{4096, 8192, 1, 0}, {16385, 4096, 1, 0}}, "are not whole pages"},
        {{{4096, 8191, 1, 0}, {16384, 4096, 1, 0}}, "are not whole pages"},
        {{{4096, 8192, 1, 0}, {GOOD_MEMORY, 4096, 1, 0}}, "are beyond the memory's 0x10000"},
        {{{4096, 8192, 1, 0}, {61440, 8192, 1, 0}}, "are beyond the memory's"},
        {{{4096, 8192, 1, 0}, {16384, -(uint64_t)4096, 1, 0}}, "are beyond the memory's"},
        {{{4096, 8192, 1, 0}, {-(uint64_t)4096, 4096, 1, 0}}, "are beyond the memory's"},
        {{{4096, 8192, 0, 0}, {16384, 4096, 1, 0}}, "extent 0: kind 0 is not known"},
        {{{4096, 8192, 3, 0}, {16384, 4096, 1, 0}}, "extent 0: kind 3 is not known"},
        {{{4096, 8192, 1, 0}, {16384, 4096, 2, 0}}, "extent 1: kind 2 is not known"},
        {{{4096, 8192, 1, 0}, {16384, 4096, 1, 5}}, "extent 1: its reserved bytes"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(e, bad[i].of, sizeof(bad[i].of));
        assert_refused(bad[i].why);
        cr_assert(strstr(err.text, "MEMORY: extent"), "%s", err.text);
    }
    memcpy(e, good, sizeof(good));
    assert_good();
    e[1] = (struct saved_extent){GOOD_MEMORY - 4096, 4096, EXTENT_DATA, 0};
    assert_good();
}

Test(records_check, zeroes_are_an_extent_of_diffs_alone)
{
    struct saved_extent *e = change(RECORD_MEMORY, 0);

    e[1] = (struct saved_extent){12288, 4096, EXTENT_ZERO, 0}; /* behind data at once */
    assert_refused("extent 1: kind 2 is not known here");
    state.header.flags = SNAPSHOT_DIFF;
    assert_refused("a diff without a PARENT record");
    add_parent(GOOD_PARENT, sizeof(GOOD_PARENT) - 1);
    assert_good();
}

Test(records_check, parents)
{
    struct snapshot_record *record;

    add_parent(GOOD_PARENT, sizeof(GOOD_PARENT) - 1);
    assert_refused("a PARENT record, and no diff");
    state.header.flags = SNAPSHOT_DIFF;
    assert_good();
    record = find(RECORD_PARENT, 0);
    record->payload = (const uint8_t *)"base";
    assert_refused("is no absolute path");
    record->payload = (const uint8_t *)"/a\0b";
    record->size = 4;
    assert_refused("is no absolute path");
}

Test(records_check, digests)
{
    struct saved_digests *d = change(RECORD_DIGESTS, 0);
    struct snapshot_record *record = find(RECORD_DIGESTS, 0);
    static const uint64_t no_chunks[] = {0, 1, 2048, 4097, 12288, UINT64_C(1) << 31, UINT64_MAX};

    for (size_t i = 0; i < sizeof(no_chunks) / sizeof(no_chunks[0]); i++) {
        d->chunk = no_chunks[i];
        assert_refused("are no chunk");
    }
    d->chunk = 8192; /* of 4, numbers 0, 1 and 2 have data */
    assert_refused("DIGESTS: has 1 digests, but more");
    d->count = 3;
    assert_refused("has 1 digests, not 3");
    record->size = sizeof(*d) + 3 * 16;
    assert_good();
    d->count = 4;
    record->size += 16;
    assert_refused("has 4 digests, but fewer");
}

static void add_disk(const struct saved_disk *d, size_t size)
{
    state.records[state.count++] = (struct snapshot_record){
        .kind = RECORD_DISK, .version = 1, .size = size, .payload = (const uint8_t *)d};
}

Test(records_check, disks)
{
    static struct {
        struct saved_disk d;
        uint8_t digests[2][16];
    } first = {.d = {.base = {.size = 81408}, .blocks = 3, .chunk = 65536, .count = 2}}, second;
    struct saved_disk *d = &first.d;
    struct snapshot_record *record = &state.records[state.count];

    add_disk(d, sizeof(first));
    assert_good();
    d->base.size = 0;
    assert_refused("DISK: 0: no disk has 0 bytes");
    d->base.size = 81409;
    assert_refused("no disk has 81409 bytes");
    d->base.size = (UINT64_C(16) << 40) + 512;
    assert_refused("no disk has ");
    d->base.size = 81408;
    d->blocks = 21;
    assert_refused("21 blocks are more than it has");
    d->blocks = 1;
    assert_refused("has 2 digests, not 2, for 1 blocks");
    d->blocks = 20;
    d->chunk = 2048;
    assert_refused("2048 bytes are no chunk");
    d->chunk = 65536 + 4096;
    assert_refused("are no chunk");
    d->chunk = 65536;
    d->count = 1;
    assert_refused("has 2 digests, not 1");
    d->count = 0;
    record->size = sizeof(*d);
    assert_refused("has 0 digests, not 0, for 20 blocks");
    d->blocks = 0;
    assert_good();
    d->reserved = 1;
    assert_refused("its reserved bytes are not zero");
    d->reserved = 0;
    d->number = 1;
    assert_refused("no block device is in slot 2");
    d->number = 8;
    assert_refused("8 is not below 8");
    d->number = 0;
    second.d = *d;
    add_disk(&second.d, sizeof(second.d));
    assert_refused("0 is not above 0");
    state.count--;
    record->size += 8;
    assert_refused("a multiple of 16");
}

Test(records_check, chunks_with_data_are_found)
{
    static const struct saved_extent e[] = {{0, 4096, EXTENT_ZERO, 0},
                                            {8192, 4096, EXTENT_DATA, 0},
                                            {16384, 4096, EXTENT_DATA, 0},
                                            {20480, 8192, EXTENT_ZERO, 0},
                                            {28672, 24576, EXTENT_DATA, 0}};
    static const struct {
        uint64_t chunk;
        size_t extent;
    } want[] = {{1, 1}, {2, 2}, {3, 4}, {4, 4}, {5, 4}, {6, 4}};
    uint64_t chunk = 0;
    size_t extent = 0;

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++, chunk++) {
        cr_assert(snapshot_next_chunk(e, 5, 8192, &extent, &chunk));
        cr_assert(chunk == want[i].chunk && extent == want[i].extent, "%zu: %zu %zu", i,
                  (size_t)chunk, extent);
    }
    cr_assert_not(snapshot_next_chunk(e, 5, 8192, &extent, &chunk));
    cr_assert_eq(snapshot_data_size(e, 5), 32768);
}
