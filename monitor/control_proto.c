/* See control_proto.h. */
#include "monitor/control_proto.h"

#include <endian.h>
#include <string.h>

_Static_assert(sizeof(struct control_frame) == CONTROL_HEADER, "the header as it is sent");

static struct control_frame header_of(const uint8_t *bytes)
{
    struct control_frame frame;

    memcpy(&frame, bytes, sizeof(frame));
    return (struct control_frame){.length = le32toh(frame.length),
                                  .version = le16toh(frame.version),
                                  .kind = le16toh(frame.kind)};
}

static const uint32_t payloads[CONTROL_KINDS] = {
    [CONTROL_SNAPSHOT] = sizeof(struct control_snapshot),
    [CONTROL_RESET] = sizeof(struct control_reset),
};

static uint32_t payload_of(const struct control_frame *frame)
{
    return frame->version == CONTROL_VERSION && frame->kind < CONTROL_KINDS ? payloads[frame->kind]
                                                                            : 0;
}

enum control_verdict control_parse(const uint8_t *bytes, size_t size, struct control_frame *frame)
{
    if (size < CONTROL_HEADER)
        return CONTROL_MORE;
    *frame = header_of(bytes);
    if (frame->length != payload_of(frame))
        return CONTROL_BAD;
    if (frame->version != CONTROL_VERSION || frame->kind == 0 || frame->kind >= CONTROL_KINDS)
        return CONTROL_UNKNOWN;
    return size < CONTROL_HEADER + frame->length ? CONTROL_MORE : CONTROL_GOOD;
}

size_t control_missing(const uint8_t *bytes, size_t size)
{
    struct control_frame frame;

    if (size < CONTROL_HEADER)
        return CONTROL_HEADER - size;
    return control_parse(bytes, size, &frame) == CONTROL_MORE ? CONTROL_HEADER + frame.length - size
                                                              : 0;
}

enum control_verdict control_parse_stream(const uint8_t bytes[CONTROL_HEADER],
                                          struct control_frame *frame)
{
    *frame = header_of(bytes);
    if (frame->length > STREAM_PAYLOAD || frame->version != CONTROL_VERSION)
        return CONTROL_BAD;
    return frame->kind >= STREAM_BEGIN && frame->kind < STREAM_KINDS_END ? CONTROL_GOOD
                                                                         : CONTROL_UNKNOWN;
}

enum control_verdict control_parse_answer(const uint8_t *bytes, size_t size, enum control_kind kind,
                                          struct control_frame *frame)
{
    if (size < CONTROL_HEADER)
        return CONTROL_MORE;
    *frame = header_of(bytes);
    if (frame->length > CONTROL_PAYLOAD || frame->kind != (CONTROL_ANSWER | (uint16_t)kind))
        return CONTROL_BAD;
    return frame->version == CONTROL_VERSION ? CONTROL_GOOD : CONTROL_UNKNOWN;
}

void control_put_header(uint8_t to[CONTROL_HEADER], const struct control_frame *frame)
{
    const struct control_frame sent = {.length = htole32(frame->length),
                                       .version = htole16(frame->version),
                                       .kind = htole16(frame->kind)};

    memcpy(to, &sent, sizeof(sent));
}
