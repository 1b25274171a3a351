/* See state_file.h. */
#include "monitor/snapshot/state_file.h"

#include <stdlib.h>
#include <string.h>

#include "monitor/snapshot/checksum.h"

enum { ALIGNMENT = 8, PAGE = 4096, HEADER_MOST = 4096 /* of any version */ };

_Static_assert(SNAPSHOT_ID == 16 && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the file's layout");

static size_t padded(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static bool is_zero(const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* Of bytes that have at least a header's fields and say how long it is. */
static uint64_t header_checksum(const uint8_t *bytes, size_t header_size)
{
    static const uint64_t zero;
    const size_t field = offsetof(struct snapshot_header, checksum), end = field + sizeof(zero);
    struct checksum c;

    checksum_begin(&c);
    checksum_add(&c, bytes, field);
    checksum_add(&c, &zero, sizeof(zero));
    checksum_add(&c, bytes + end, header_size - end);
    return checksum_64(&c);
}

static uint64_t record_checksum(const struct snapshot_record_header *record, const void *payload)
{
    struct checksum c;

    checksum_begin(&c);
    checksum_add(&c, record, offsetof(struct snapshot_record_header, checksum));
    checksum_add(&c, payload, (size_t)record->size);
    return checksum_64(&c);
}

/* --- the header --- */

static int check_integrity(const uint8_t *bytes, size_t size, const struct snapshot_header *h,
                           struct err *err)
{
    uint64_t computed;

    if (h->header_size < sizeof(*h) || h->header_size > HEADER_MOST ||
        h->header_size % ALIGNMENT != 0)
        return err_set(err, "state: byte %zu: %u bytes are no header's size",
                       offsetof(struct snapshot_header, header_size), h->header_size);
    if (h->header_size > size)
        return err_set(err, "state: ends at byte %zu, within its header of %u bytes", size,
                       h->header_size);
    computed = header_checksum(bytes, h->header_size);
    if (h->checksum != computed)
        return err_set(err, "state: byte %zu: the header's checksum is %016llx, computed %016llx",
                       offsetof(struct snapshot_header, checksum), (unsigned long long)h->checksum,
                       (unsigned long long)computed);
    return 0;
}

/* Fields that version 1 has rules for. */
static int check_fields(const struct snapshot_header *h, struct err *err)
{
    if (h->header_size != sizeof(*h))
        return err_set(err, "state: byte %zu: a header of version %u has %zu bytes, not %u",
                       offsetof(struct snapshot_header, header_size), h->version, sizeof(*h),
                       h->header_size);
    if (h->flags & ~(uint32_t)SNAPSHOT_FLAGS)
        return err_set(err, "state: byte %zu: flags %#x are not known",
                       offsetof(struct snapshot_header, flags),
                       h->flags & ~(uint32_t)SNAPSHOT_FLAGS);
    if (is_zero(h->id, sizeof(h->id)))
        return err_set(err, "state: byte %zu: its id is zero",
                       offsetof(struct snapshot_header, id));
    if (h->flags & SNAPSHOT_DIFF && is_zero(h->parent, sizeof(h->parent)))
        return err_set(err, "state: byte %zu: a diff without a parent",
                       offsetof(struct snapshot_header, parent));
    if (h->memory == 0 || h->memory % PAGE != 0 || h->memory > SNAPSHOT_MEMORY_MOST)
        return err_set(err, "state: byte %zu: %llu bytes are no guest's memory",
                       offsetof(struct snapshot_header, memory), (unsigned long long)h->memory);
    return 0;
}

int snapshot_header_parse(const uint8_t *bytes, size_t size, struct snapshot_header *header,
                          struct err *err)
{
    *header = (struct snapshot_header){0};
    if (size > 0)
        memcpy(header, bytes, size < sizeof(*header) ? size : sizeof(*header));
    if (memcmp(header->magic, SNAPSHOT_MAGIC, sizeof(header->magic)) != 0)
        return err_set(err, "state: byte 0: not the state of a snapshot (it begins otherwise)");
    if (size < sizeof(*header))
        return err_set(err, "state: ends at byte %zu, within its header of %zu bytes or more", size,
                       sizeof(*header));
    if (check_integrity(bytes, size, header, err) != 0)
        return -1;
    if (header->version != SNAPSHOT_VERSION)
        return err_set(err,
                       "state: byte %zu: version %u of the format; this samara (%s) knows version "
                       "%u only",
                       offsetof(struct snapshot_header, version), header->version, SAMARA_VERSION,
                       SNAPSHOT_VERSION);
    return check_fields(header, err);
}

/* --- records --- */

/* Where one record is, and which. */
static int record_err(struct err *err, unsigned number, size_t at,
                      const struct snapshot_record_header *record)
{
    return err_in(err, "state: record %u (kind %u) at byte %zu", number, record->kind, at);
}

/* The record whose header is at *at, which goes on to the next. */
static int parse_record(const uint8_t *bytes, size_t size, size_t *at, unsigned number,
                        struct snapshot_record *out, struct err *err)
{
    struct snapshot_record_header record;
    size_t left = size - *at, payload = *at + sizeof(record);
    uint64_t computed;

    if (left < sizeof(record))
        return err_set(err, "state: ends at byte %zu, where record %u's header should be", size,
                       number);
    memcpy(&record, bytes + *at, sizeof(record));
    left -= sizeof(record);
    if (record.size > left || padded((size_t)record.size) > left) {
        err_set(err, "its %llu bytes are more than the %zu left", (unsigned long long)record.size,
                left);
        return record_err(err, number, *at, &record);
    }
    computed = record_checksum(&record, bytes + payload);
    if (record.checksum != computed) {
        err_set(err, "checksum is %016llx, computed %016llx", (unsigned long long)record.checksum,
                (unsigned long long)computed);
        return record_err(err, number, *at, &record);
    }
    *out = (struct snapshot_record){.kind = record.kind,
                                    .version = record.version,
                                    .at = *at,
                                    .size = (size_t)record.size,
                                    .payload = bytes + payload};
    *at = payload + padded(out->size);
    if (!is_zero(bytes + payload + out->size, padded(out->size) - out->size)) {
        err_set(err, "its padding is not zero");
        return record_err(err, number, out->at, &record);
    }
    return 0;
}

int snapshot_state_parse(const uint8_t *bytes, size_t size, struct snapshot_state *state,
                         struct err *err)
{
    const struct snapshot_header *header = &state->header;
    size_t at;

    state->count = 0;
    if (snapshot_header_parse(bytes, size, &state->header, err) != 0)
        return -1;
    if (size > SNAPSHOT_STATE_MOST)
        return err_set(err, "state: %zu bytes are more than the %u allowed", size,
                       SNAPSHOT_STATE_MOST);
    if (header->file_size != size)
        return err_set(err, "state: has %zu bytes, but byte %zu says %llu", size,
                       offsetof(struct snapshot_header, file_size),
                       (unsigned long long)header->file_size);
    if (header->records > SNAPSHOT_RECORDS_MOST)
        return err_set(err, "state: byte %zu: %u records are more than the %u allowed",
                       offsetof(struct snapshot_header, records), header->records,
                       SNAPSHOT_RECORDS_MOST);
    at = header->header_size;
    for (unsigned i = 0; i < header->records; i++) {
        if (parse_record(bytes, size, &at, i, &state->records[i], err) != 0)
            return -1;
    }
    if (at != size)
        return err_set(err, "state: %zu bytes after the last record, from byte %zu on", size - at,
                       at);
    state->count = header->records;
    return 0;
}

const struct snapshot_record *snapshot_find(const struct snapshot_state *state, uint32_t kind,
                                            unsigned number)
{
    for (unsigned i = 0; i < state->count; i++) {
        if (state->records[i].kind == kind && number-- == 0)
            return &state->records[i];
    }
    return NULL;
}

/* --- writing --- */

/* Room for `more` bytes behind what there is; before the first there is the header's. */
static int make_room(struct snapshot_builder *b, size_t more, struct err *err)
{
    const size_t used = b->size > 0 ? b->size : sizeof(struct snapshot_header);
    size_t room = b->room > 0 ? b->room : PAGE;
    uint8_t *bytes;

    if (more > SNAPSHOT_STATE_MOST - used)
        return err_set(err, "state: more than %u bytes", SNAPSHOT_STATE_MOST);
    while (room < used + more)
        room *= 2;
    if (room > b->room) {
        bytes = realloc(b->bytes, room);
        if (bytes == NULL)
            return err_set(err, "state: no memory for %zu bytes", room);
        b->bytes = bytes;
        b->room = room;
    }
    if (b->size == 0)
        memset(b->bytes, 0, used);
    b->size = used;
    return 0;
}

int snapshot_put(struct snapshot_builder *b, uint32_t kind, uint32_t version, const void *payload,
                 size_t size, struct err *err)
{
    struct snapshot_record_header record = {.kind = kind, .version = version, .size = size};
    uint8_t *to;

    if (b->records == SNAPSHOT_RECORDS_MOST)
        return err_set(err, "state: more than %u records", SNAPSHOT_RECORDS_MOST);
    if (size > SNAPSHOT_STATE_MOST)
        return err_set(err, "state: a record of %zu bytes", size);
    if (make_room(b, sizeof(record) + padded(size), err) != 0)
        return -1;
    record.checksum = record_checksum(&record, payload);
    to = b->bytes + b->size;
    memcpy(to, &record, sizeof(record));
    to += sizeof(record);
    if (size > 0)
        memcpy(to, payload, size);
    memset(to + size, 0, padded(size) - size);
    b->size += sizeof(record) + padded(size);
    b->records++;
    return 0;
}

int snapshot_finish(struct snapshot_builder *b, const struct snapshot_header *header,
                    struct err *err)
{
    struct snapshot_header h = *header;

    if (make_room(b, 0, err) != 0)
        return -1;
    memcpy(h.magic, SNAPSHOT_MAGIC, sizeof(h.magic));
    h.version = SNAPSHOT_VERSION;
    h.header_size = sizeof(h);
    h.file_size = b->size;
    h.records = b->records;
    h.checksum = header_checksum((const uint8_t *)&h, sizeof(h));
    memcpy(b->bytes, &h, sizeof(h));
    return 0;
}

void snapshot_builder_free(struct snapshot_builder *b)
{
    free(b->bytes);
    *b = (struct snapshot_builder){0};
}
