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

enum control_verdict control_parse(const uint8_t *bytes, size_t size, struct control_frame *frame)
{
    if (size < CONTROL_HEADER)
        return CONTROL_MORE;
    *frame = header_of(bytes);
    if (frame->length != 0) /* no request has a payload yet */
        return CONTROL_BAD;
    if (frame->version != CONTROL_VERSION || frame->kind == 0 || frame->kind >= CONTROL_KINDS)
        return CONTROL_UNKNOWN;
    return CONTROL_GOOD;
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
