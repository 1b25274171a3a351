/* Writing JSON into a buffer of fixed size; nothing is allocated. */
#ifndef SAMARA_MONITOR_JSON_H
#define SAMARA_MONITOR_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
    char *to;
    size_t size, length;
    bool comma; /* before the next member or element */
    bool full;  /* something did not fit: the text is of no use */
    bool lines; /* set by who wants a line for each member and element, indented */
    unsigned depth;
};

#define JSON_INTO(buffer)                                                                          \
    {                                                                                              \
        .to = (buffer), .size = sizeof(buffer)                                                     \
    }

/* key NULL: an element of an array, or the outermost object. */
void json_begin(struct json *j, const char *key, char bracket);       /* '{' or '[' */
void json_end(struct json *j, char bracket);                          /* '}' or ']' */
void json_string(struct json *j, const char *key, const char *value); /* any bytes */
void json_number(struct json *j, const char *key, uint64_t value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);

#endif
