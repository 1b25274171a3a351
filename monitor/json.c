/* See json.h. */
#include "monitor/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(struct json *j, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct json *j, const char *format, ...)
{
    size_t left = j->size - j->length;
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(j->to + j->length, left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= left)
        j->full = true;
    else
        j->length += (size_t)n;
}

/* What is not ASCII becomes U+FFFD: nobody says that it is UTF-8. */
static void put_text(struct json *j, const char *text)
{
    put(j, "\"");
    for (; *text != '\0' && !j->full; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '"' || c == '\\')
            put(j, "\\%c", c);
        else if (c < ' ')
            put(j, "\\u%04x", c);
        else if (c < 127)
            put(j, "%c", c);
        else
            put(j, "\\ufffd");
    }
    put(j, "\"");
}

static void put_line(struct json *j)
{
    if (j->lines)
        put(j, "\n%*s", (int)(2 * j->depth), "");
}

static void put_key(struct json *j, const char *key)
{
    if (j->comma)
        put(j, ",");
    if (j->depth > 0)
        put_line(j);
    j->comma = true;
    if (key != NULL) {
        put_text(j, key);
        put(j, j->lines ? ": " : ":");
    }
}

void json_begin(struct json *j, const char *key, char bracket)
{
    put_key(j, key);
    put(j, "%c", bracket);
    j->comma = false;
    j->depth++;
}

void json_end(struct json *j, char bracket)
{
    j->depth--;
    if (j->comma)
        put_line(j);
    put(j, "%c", bracket);
    j->comma = true;
}

void json_string(struct json *j, const char *key, const char *value)
{
    put_key(j, key);
    put_text(j, value);
}

void json_number(struct json *j, const char *key, uint64_t value)
{
    put_key(j, key);
    put(j, "%llu", (unsigned long long)value);
}

void json_bool(struct json *j, const char *key, bool value)
{
    put_key(j, key);
    put(j, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
    put_key(j, key);
    put(j, "null");
}
