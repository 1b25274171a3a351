/* See err.h. */
#include "monitor/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int err_set(struct err *err, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return -1;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    return -1;
}

int err_sys(struct err *err, const char *format, ...)
{
    const char *reason = strerror(errno);
    va_list args;
    size_t len;

    if (err == NULL)
        return -1;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s", reason);
    return -1;
}

int err_in(struct err *err, const char *format, ...)
{
    struct err inner;
    va_list args;
    size_t len;

    if (err == NULL)
        return -1;
    inner = *err;
    va_start(args, format);
    vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner.text);
    return -1;
}
