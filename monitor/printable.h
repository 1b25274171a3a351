/* Text from strangers, made fit for a terminal. */
#ifndef SAMARA_MONITOR_PRINTABLE_H
#define SAMARA_MONITOR_PRINTABLE_H

#include <stddef.h>

/*
 * Copies text[0..len) to `to`, which has room for `room` bytes, and terminates it. Newlines, tabs
 * and well-formed UTF-8 stay; control characters (those of ISO 6429 at U+0080 too, which terminals
 * obey) and bytes that are not UTF-8 become \xNN. What does not fit is cut between characters.
 * Returns the length.
 */
size_t printable_copy(char *to, size_t room, const char *text, size_t len);

/* Room that is always enough for len bytes. */
#define PRINTABLE_ROOM(len) (4 * (len) + 1)

#endif
