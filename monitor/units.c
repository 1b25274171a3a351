/* See units.h. */
#include "monitor/units.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: the first that divides a value prints it. No bare numbers (bytes here, MiB
 * elsewhere) and no MB (a million bytes, for some). */
static const struct unit sizes[] = {{"T", 1ull << 40},   {"G", 1ull << 30},   {"M", 1ull << 20},
                                    {"K", 1ull << 10},   {"TiB", 1ull << 40}, {"GiB", 1ull << 30},
                                    {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {NULL, 0}};
static const struct unit durations[] = {{"h", 3600000000000}, {"m", 60000000000}, {"s", 1000000000},
                                        {"ms", 1000000},      {"us", 1000},       {NULL, 0}};

static void print(char *to, size_t size, uint64_t value, const struct unit *units)
{
    while (units[1].name && value % units->factor != 0)
        units++;
    snprintf(to, size, "%llu%s", (unsigned long long)(value / units->factor), units->name);
}

static int refuse(const char *text, uint64_t min, uint64_t max, const struct unit *units,
                  struct err *err)
{
    char low[32], high[32];

    print(low, sizeof(low), min, units);
    print(high, sizeof(high), max, units);
    return err_set(err, "'%.64s' is not a %s from %s to %s", text,
                   units == sizes ? "size" : "duration", low, high);
}

/* Digits, without sign or blanks. False on none or too many. */
static bool parse_number(const char **text, uint64_t *out)
{
    const char *at = *text;
    uint64_t value = 0;

    for (; *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return false;
    }
    if (at == *text)
        return false;
    *text = at;
    *out = value;
    return true;
}

static bool scale(uint64_t *value, const char *name, const struct unit *units)
{
    for (; units->name; units++) {
        if (strcmp(name, units->name) == 0)
            return !__builtin_mul_overflow(*value, units->factor, value);
    }
    return false;
}

static int parse(const char *text, const struct unit *units, uint64_t min, uint64_t max,
                 uint64_t *out, struct err *err)
{
    const char *at = text;
    uint64_t value;

    if (!parse_number(&at, &value) || !scale(&value, at, units) || value < min || value > max)
        return refuse(text, min, max, units, err);
    *out = value;
    return 0;
}

int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    return parse(text, sizes, min, max, out, err);
}

void print_size(char to[32], uint64_t bytes)
{
    static const char *const names[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    uint64_t tenths;

    while (unit < 4 && bytes >> (10 * (unit + 1)) > 0)
        unit++;
    tenths = unit > 0 ? ((bytes >> (10 * (unit - 1))) * 10 + 512) >> 10 : bytes * 10;
    if (bytes % (UINT64_C(1) << (10 * unit)) == 0)
        snprintf(to, 32, "%llu %s", (unsigned long long)(bytes >> (10 * unit)), names[unit]);
    else
        snprintf(to, 32, "%llu.%llu %s", (unsigned long long)(tenths / 10),
                 (unsigned long long)(tenths % 10), names[unit]);
}

int parse_duration(const char *text, uint64_t min, uint64_t max, uint64_t *out, struct err *err)
{
    return parse(text, durations, min, max, out, err);
}
