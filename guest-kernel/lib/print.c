/* A small formatter; see print.h for what it understands. */
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"

struct out {
    char *at;
    char *end; /* the last byte is kept for the NUL */
};

struct spec {
    bool zero, left, is_long;
    size_t width, precision; /* precision: SIZE_MAX if none */
};

static void put(struct out *o, char c)
{
    if (o->at < o->end)
        *o->at++ = c;
}

static void put_padded(struct out *o, const struct spec *s, const char *text, size_t len)
{
    size_t pad = s->width > len ? s->width - len : 0;

    if (!s->left) {
        for (; pad > 0; pad--)
            put(o, s->zero ? '0' : ' ');
    }
    for (size_t i = 0; i < len; i++)
        put(o, text[i]);
    for (; pad > 0; pad--)
        put(o, ' ');
}

static void put_number(struct out *o, const struct spec *s, u64 value, unsigned base, bool negative)
{
    char digits[24];
    size_t i = sizeof(digits);

    do {
        digits[--i] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    if (negative)
        digits[--i] = '-';
    put_padded(o, s, digits + i, sizeof(digits) - i);
}

static const char *parse_spec(const char *f, struct spec *s)
{
    *s = (struct spec){.precision = SIZE_MAX};
    for (;; f++) {
        if (*f == '0')
            s->zero = true;
        else if (*f == '-')
            s->left = true;
        else
            break;
    }
    for (; *f >= '0' && *f <= '9'; f++)
        s->width = s->width * 10 + (size_t)(*f - '0');
    if (*f == '.') {
        s->precision = 0;
        for (f++; *f >= '0' && *f <= '9'; f++)
            s->precision = s->precision * 10 + (size_t)(*f - '0');
    }
    for (; *f == 'l' || *f == 'z'; f++)
        s->is_long = true;
    return f;
}

size_t kvprint_to(char *buf, size_t size, const char *fmt, va_list ap)
{
    struct out o = {buf, buf + size - 1};
    struct spec s;

    for (const char *f = fmt; *f; f++) {
        if (*f != '%') {
            put(&o, *f);
            continue;
        }
        f = parse_spec(f + 1, &s);
        switch (*f) {
        case 's': {
            const char *text = va_arg(ap, const char *);

            text = text ? text : "(null)";
            put_padded(&o, &s, text, strnlen(text, s.precision));
            break;
        }
        case 'c': {
            char c = (char)va_arg(ap, int);

            put_padded(&o, &s, &c, 1);
            break;
        }
        case 'd':
        case 'i': {
            s64 v = s.is_long ? va_arg(ap, long) : va_arg(ap, int);

            put_number(&o, &s, v < 0 ? -(u64)v : (u64)v, 10, v < 0);
            break;
        }
        case 'u':
            put_number(&o, &s, s.is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 10,
                       false);
            break;
        case 'x':
            put_number(&o, &s, s.is_long ? va_arg(ap, unsigned long) : va_arg(ap, unsigned), 16,
                       false);
            break;
        case 'p':
            put(&o, '0');
            put(&o, 'x');
            put_number(&o, &s, (uintptr_t)va_arg(ap, void *), 16, false);
            break;
        case '\0':
            f--;
            break;
        default:
            put(&o, *f);
        }
    }
    *o.at = '\0';
    return (size_t)(o.at - buf);
}

size_t kprint_to(char *buf, size_t size, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = kvprint_to(buf, size, fmt, ap);
    va_end(ap);
    return n;
}
