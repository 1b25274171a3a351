/* The file `state`: what is written is read, and nothing else is. */
#include "monitor/snapshot/state_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"
#include "monitor/snapshot/records_check.h"
#include "tests/monitor/snapshot/good_state.h"

static struct snapshot_builder b;
static struct snapshot_state state;
static struct err err;

static void make(void)
{
    good_state(&b, &good_header);
}

static void unmake(void)
{
    snapshot_builder_free(&b);
}

TestSuite(state_file, .init = make, .fini = unmake);

/* --- helpers --- */

static void assert_refused(const void *bytes, size_t size, const char *why)
{
    err.text[0] = '\0';
    cr_assert_eq(snapshot_state_parse(bytes, size, &state, &err), -1, "%s", why);
    cr_assert(strstr(err.text, why), "%s: %s", why, err.text);
    cr_assert_eq(strncmp(err.text, "state: ", 7), 0, "%s", err.text);
    cr_assert_eq(strchr(err.text, '\n'), NULL);
}

static struct snapshot_header *header(void)
{
    return (struct snapshot_header *)b.bytes;
}

/* Makes the header's checksum right again. */
static void seal(void)
{
    struct checksum c;

    header()->checksum = 0;
    checksum_begin(&c);
    checksum_add(&c, b.bytes, header()->header_size);
    header()->checksum = checksum_64(&c);
}

static struct snapshot_record_header *record(unsigned number)
{
    size_t at = sizeof(struct snapshot_header);
    struct snapshot_record_header *r = (void *)(b.bytes + at);

    while (number-- > 0) {
        at += sizeof(*r) + (r->size + 7) / 8 * 8;
        r = (void *)(b.bytes + at);
    }
    return r;
}

/* --- what is good --- */

Test(state_file, what_is_written_is_read)
{
    const struct snapshot_record *found;

    cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, &err), 0, "%s", err.text);
    cr_assert_eq(state.count, 17);
    cr_assert_arr_eq(state.header.id, good_header.id, SNAPSHOT_ID);
    cr_assert_eq(state.header.memory, GOOD_MEMORY);
    cr_assert_eq(state.header.created_ns, good_header.created_ns);
    found = snapshot_find(&state, RECORD_CONFIG, 0);
    cr_assert_eq(found->at, sizeof(struct snapshot_header));
    cr_assert_eq(found->size, sizeof(struct saved_config) + 12);
    cr_assert_arr_eq(found->payload + sizeof(struct saved_config), "/bin/busybox", 12);
    found = snapshot_find(&state, RECORD_VIRTIO, 1);
    cr_assert_eq(((const struct saved_virtio *)found->payload)->slot, 1);
    cr_assert_eq(snapshot_find(&state, RECORD_VIRTIO, 2), NULL);
    cr_assert_eq(snapshot_find(&state, 999, 0), NULL);
    for (unsigned i = 0; i < state.count; i++)
        cr_assert_eq((uintptr_t)state.records[i].payload % 8, 0);
}

Test(state_file, what_was_read_makes_the_same_bytes)
{
    struct snapshot_builder again = {0};

    cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, &err), 0);
    for (unsigned i = 0; i < state.count; i++) {
        const struct snapshot_record *r = &state.records[i];

        cr_assert_eq(snapshot_put(&again, r->kind, r->version, r->payload, r->size, &err), 0);
    }
    cr_assert_eq(snapshot_finish(&again, &state.header, &err), 0);
    cr_assert_eq(again.size, b.size);
    cr_assert_arr_eq(again.bytes, b.bytes, b.size);
    snapshot_builder_free(&again);
}

Test(state_file, a_file_without_records_is_one)
{
    struct snapshot_builder none = {0};

    cr_assert_eq(snapshot_finish(&none, &good_header, &err), 0);
    cr_assert_eq(none.size, sizeof(struct snapshot_header));
    cr_assert_eq(snapshot_state_parse(none.bytes, none.size, &state, &err), 0, "%s", err.text);
    cr_assert_eq(state.count, 0);
    snapshot_builder_free(&none);
}

/* The values of XXH3 that its authors publish for no bytes at all: ours is the one all have. */
Test(checksum, is_xxh3)
{
    static const uint8_t empty[DIGEST_SIZE] = {0x99, 0xaa, 0x06, 0xd3, 0x01, 0x47, 0x98, 0xd8,
                                               0x60, 0x01, 0xc3, 0x24, 0x46, 0x8d, 0x49, 0x7f};
    uint8_t digest[DIGEST_SIZE];
    struct checksum c, pieces;
    uint8_t bytes[5000];

    checksum_begin(&c);
    cr_assert_eq(checksum_64(&c), UINT64_C(0x2d06800538d394c2));
    checksum_128(&c, digest);
    cr_assert_arr_eq(digest, empty, sizeof(empty));
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * i);
    checksum_begin(&pieces);
    checksum_add(&c, bytes, sizeof(bytes));
    for (size_t at = 0; at < sizeof(bytes); at += 50)
        checksum_add(&pieces, bytes + at, 50);
    cr_assert_eq(checksum_64(&c), checksum_64(&pieces));
}

/* --- what is damaged --- */

Test(state_file, a_file_cut_anywhere_is_refused)
{
    for (size_t size = 0; size < b.size; size++) {
        uint8_t *cut = malloc(size + 1); /* so that a sanitizer sees who reads on */

        memcpy(cut, b.bytes, size);
        cr_assert_eq(snapshot_state_parse(cut, size, &state, &err), -1, "%zu bytes", size);
        cr_assert_eq(strncmp(err.text, "state: ", 7), 0, "%s", err.text);
        free(cut);
    }
}

Test(state_file, every_flipped_bit_is_noticed)
{
    for (size_t bit = 0; bit < b.size * 8; bit++) {
        b.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, &err), -1, "bit %zu of byte %zu",
                     bit % 8, bit / 8);
        b.bytes[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    cr_assert_eq(snapshot_state_parse(b.bytes, b.size, &state, &err), 0);
}

Test(state_file, damage_is_told_with_its_place)
{
    char where[100];

    record(2)->kind = 18;
    snprintf(where, sizeof(where), "state: record 2 (kind 18) at byte %zu: checksum is ",
             (size_t)((uint8_t *)record(2) - b.bytes));
    assert_refused(b.bytes, b.size, where);
    cr_assert(strstr(err.text, ", computed "), "%s", err.text);
}

Test(state_file, what_follows_the_last_record_is_refused)
{
    uint8_t *more = calloc(b.size + 8, 1);

    header()->file_size += 8;
    seal();
    memcpy(more, b.bytes, b.size);
    assert_refused(more, b.size + 8, "8 bytes after the last record");
    assert_refused(more, b.size, "byte 16 says");
    free(more);
}

/* --- what is sealed, but wrong --- */

Test(state_file, what_is_no_state_is_said_to_be_none)
{
    assert_refused("", 0, "not the state of a snapshot");
    assert_refused("{\"version\":1}", 13, "not the state of a snapshot");
    assert_refused(b.bytes, 8, "ends at byte 8, within its header");
}

Test(state_file, another_version_is_refused_by_both_names)
{
    struct snapshot_header seen;

    header()->version = 2;
    assert_refused(b.bytes, b.size, "the header's checksum");
    seal();
    assert_refused(b.bytes, b.size,
                   "version 2 of the format; this samara (" SAMARA_VERSION
                   ") knows version 1 only");
    cr_assert_eq(snapshot_header_parse(b.bytes, b.size, &seen, &err), -1);
    cr_assert_eq(seen.version, 2);
    cr_assert_arr_eq(seen.id, good_header.id, SNAPSHOT_ID);
}

/* A later version may have a longer header: it is recognised all the same. */
Test(state_file, a_longer_header_of_another_version_is_recognised)
{
    header()->version = 7;
    header()->header_size += 16;
    seal();
    assert_refused(b.bytes, b.size, "version 7 of the format");
    header()->version = 1;
    seal();
    assert_refused(b.bytes, b.size, "a header of version 1 has 88 bytes, not 104");
    b.bytes[100] ^= 1;
    assert_refused(b.bytes, b.size, "the header's checksum");
    header()->header_size = 8192;
    assert_refused(b.bytes, b.size, "8192 bytes are no header's size");
    header()->header_size = 80;
    assert_refused(b.bytes, b.size, "80 bytes are no header's size");
    header()->header_size = 4096;
    assert_refused(b.bytes, 2048, "ends at byte 2048, within its header of 4096");
}

Test(state_file, fields_of_the_header_have_rules)
{
    const struct snapshot_header good = *header();
    static const struct {
        struct snapshot_header h;
        const char *why;
    } bad[] = {
        {{.flags = 4, .id = {1}, .memory = 4096}, "flags 0x4 are not known"},
        {{.memory = 4096}, "its id is zero"},
        {{.flags = SNAPSHOT_DIFF, .id = {1}, .memory = 4096}, "a diff without a parent"},
        {{.id = {1}}, "0 bytes are no guest's memory"},
        {{.id = {1}, .memory = 4097}, "4097 bytes are no guest's memory"},
        {{.id = {1}, .memory = SNAPSHOT_MEMORY_MOST + 4096}, "are no guest's memory"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        *header() = good;
        header()->flags = bad[i].h.flags;
        memcpy(header()->id, bad[i].h.id, SNAPSHOT_ID);
        header()->memory = bad[i].h.memory;
        seal();
        assert_refused(b.bytes, b.size, bad[i].why);
    }
    *header() = good;
    header()->records = SNAPSHOT_RECORDS_MOST + 1;
    seal();
    assert_refused(b.bytes, b.size, "257 records are more than the 256 allowed");
    header()->records = good.records + 1;
    seal();
    assert_refused(b.bytes, b.size, "where record 17's header should be");
    header()->records = good.records - 1;
    seal();
    assert_refused(b.bytes, b.size, "bytes after the last record");
}

Test(state_file, no_size_leads_out_of_the_file)
{
    static const uint64_t sizes[] = {UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 23, INT64_MAX,
                                     1 << 20};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        record(3)->size = sizes[i];
        assert_refused(b.bytes, b.size, "record 3 (kind 17) at byte ");
        cr_assert(strstr(err.text, "are more than the"), "%s", err.text);
    }
}

Test(state_file, padding_is_zero)
{
    uint8_t *payload = (uint8_t *)(record(0) + 1);

    cr_assert_neq(record(0)->size % 8, 0);
    payload[record(0)->size] = 1;
    assert_refused(b.bytes, b.size, "record 0 (kind 1) at byte 88: its padding is not zero");
}

Test(state_file, padding_is_there)
{
    snapshot_builder_free(&b);
    cr_assert_eq(snapshot_put(&b, 1, 1, "abc", 3, &err), 0);
    cr_assert_eq(snapshot_finish(&b, &good_header, &err), 0);
    for (size_t size = b.size - 1; size >= b.size - 5; size--) {
        uint8_t *cut = malloc(size);

        header()->file_size = size;
        seal();
        memcpy(cut, b.bytes, size);
        assert_refused(cut, size, "its 3 bytes are more than the ");
        free(cut);
    }
}

/* --- writing --- */

Test(state_file, no_more_is_written_than_is_read)
{
    struct snapshot_builder many = {0};
    char *large = calloc(SNAPSHOT_STATE_MOST, 1);

    for (unsigned i = 0; i < SNAPSHOT_RECORDS_MOST; i++)
        cr_assert_eq(snapshot_put(&many, 1, 1, NULL, 0, &err), 0);
    cr_assert_eq(snapshot_put(&many, 1, 1, NULL, 0, &err), -1);
    cr_assert_str_eq(err.text, "state: more than 256 records");
    cr_assert_eq(snapshot_finish(&many, &good_header, &err), 0);
    cr_assert_eq(snapshot_state_parse(many.bytes, many.size, &state, &err), 0, "%s", err.text);
    snapshot_builder_free(&many);

    cr_assert_eq(snapshot_put(&many, 1, 1, large, SNAPSHOT_STATE_MOST - 88 - 23, &err), -1);
    cr_assert_str_eq(err.text, "state: more than 67108864 bytes");
    cr_assert_eq(snapshot_put(&many, 1, 1, large, SIZE_MAX, &err), -1);
    cr_assert_eq(snapshot_put(&many, 1, 1, large, SNAPSHOT_STATE_MOST - 88 - 24, &err), 0);
    cr_assert_eq(snapshot_finish(&many, &good_header, &err), 0);
    cr_assert_eq(snapshot_state_parse(many.bytes, many.size, &state, &err), 0, "%s", err.text);
    snapshot_builder_free(&many);
    free(large);
}
