/* See printable.h. UTF-8 as in RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
 */
#include "monitor/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_PRINTABLE = 0x20, DELETE = 0x7f, C1_END = 0x9f };

/* Length of the character that begins with `first`, and the smallest value it may have. 0: none. */
static size_t sequence_length(uint8_t first, uint32_t *smallest)
{
    static const uint32_t smallest_of[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t len = 0;

    if (first < 0x80)
        len = 1;
    else if (first >= 0xc0 && first < 0xe0)
        len = 2;
    else if (first >= 0xe0 && first < 0xf0)
        len = 3;
    else if (first >= 0xf0 && first < 0xf8)
        len = 4;
    *smallest = smallest_of[len];
    return len;
}

/* Decodes one character; returns its bytes, or 0 if there is none at `at`. */
static size_t decode(const uint8_t *at, size_t len, uint32_t *value)
{
    uint32_t smallest;
    size_t bytes = sequence_length(at[0], &smallest);

    if (bytes == 0 || bytes > len)
        return 0;
    *value = bytes == 1 ? at[0] : at[0] & (0x7fu >> bytes);
    for (size_t i = 1; i < bytes; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        *value = *value << 6 | (at[i] & 0x3fu);
    }
    if (*value < smallest || *value > 0x10ffff || (*value >= 0xd800 && *value <= 0xdfff))
        return 0;
    return bytes;
}

static bool harmless(uint32_t value)
{
    return value == '\n' || value == '\t' ||
           (value >= FIRST_PRINTABLE && (value < DELETE || value > C1_END));
}

size_t printable_copy(char *to, size_t room, const char *text, size_t len)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t out = 0;

    while (len > 0) {
        uint32_t value = 0;
        size_t bytes = decode(at, len, &value);
        bool keep = bytes > 0 && harmless(value);
        size_t need = keep ? bytes : 4;

        if (out + need >= room)
            break;
        if (keep) {
            memcpy(to + out, at, bytes);
        } else {
            snprintf(to + out, 5, "\\x%02x", at[0]);
            bytes = 1;
        }
        out += need;
        at += bytes;
        len -= bytes;
    }
    to[out] = '\0';
    return out;
}
