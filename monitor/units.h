/* Sizes and durations as users write them; strict: anything else is refused with the range. And
 * sizes as they read them. */
#ifndef SAMARA_MONITOR_UNITS_H
#define SAMARA_MONITOR_UNITS_H

#include <stdint.h>

#include "monitor/err.h"

/* "64M", "1GiB": a whole number and K, M, G, T or KiB, MiB, GiB, TiB, all powers of 1024. -1 with
 * err outside [min, max]. */
int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

/* For people: "128 MiB"; "16.2 MiB", rounded to one decimal; "100 bytes". */
void print_size(char to[32], uint64_t bytes);

/* "500ms", "5s", "2m", "1h", "250us": a whole number and its unit. Nanoseconds; as parse_size. */
int parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err);

#endif
