/* See Documentation/admin-guide/kernel-parameters of Linux for virtio_mmio.device=. */
#include "guest-kernel/boot/cmdline.h"
#include "guest-kernel/lib/string.h"

static char copied[CMDLINE_ARGV_MAX]; /* argv, as a string list */
static char path[256];

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static size_t word_length(const char *s)
{
    size_t n = 0;

    while (s[n] != '\0' && !is_blank(s[n]))
        n++;
    return n;
}

static const char *skip_blanks(const char *s)
{
    while (is_blank(*s))
        s++;
    return s;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Decimal or 0x hexadecimal, with K, M or G. Moves *s past it. */
static bool take_number(const char **s, u64 *out)
{
    const char *p = *s, *digits;
    unsigned base = 10, shift = 0;
    u64 n = 0;

    if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
        base = 16;
        p += 2;
    }
    for (digits = p; (unsigned)digit(*p) < base; p++) {
        if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, (u64)digit(*p), &n))
            return false;
    }
    if (p == digits)
        return false;
    if (*p == 'K' || *p == 'k')
        shift = 10;
    else if (*p == 'M' || *p == 'm')
        shift = 20;
    else if (*p == 'G' || *p == 'g')
        shift = 30;
    if (shift != 0)
        p++;
    if (n > UINT64_MAX >> shift)
        return false;
    *out = n << shift;
    *s = p;
    return true;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    ++*s;
    return true;
}

/* SIZE@BASE:IRQ, and an optional :ID as Linux takes it. */
static void add_device(const char *s, struct boot_info *out)
{
    u64 size, base, irq, id;

    if (!take_number(&s, &size) || !take_char(&s, '@') || !take_number(&s, &base) ||
        !take_char(&s, ':') || !take_number(&s, &irq))
        return;
    if (take_char(&s, ':') && !take_number(&s, &id))
        return;
    if ((*s != '\0' && !is_blank(*s)) || irq > UINT32_MAX || size > UINT64_MAX - base)
        return;
    if (out->virtio_count < BOOT_VIRTIO_MAX)
        out->virtio[out->virtio_count++] =
            (struct boot_virtio){.gpa = base, .size = size, .vector = (u32)irq};
}

static void take_argv(const char *s, struct boot_info *out)
{
    size_t used = 0;

    for (s = skip_blanks(s); *s != '\0'; s = skip_blanks(s)) {
        size_t len = word_length(s);

        if (len + 1 > sizeof(copied) - used)
            break;
        memcpy(copied + used, s, len);
        copied[used + len] = '\0';
        used += len + 1;
        s += len;
    }
    if (used > 0) {
        out->argv = copied;
        out->argv_len = used;
    }
}

static const char *value_of(const char *word, size_t len, const char *key)
{
    size_t n = strlen(key);

    return len > n && memcmp(word, key, n) == 0 ? word + n : NULL;
}

static void take_path(const char *value, struct boot_info *out)
{
    size_t len = word_length(value);

    if (len >= sizeof(path))
        return;
    memcpy(path, value, len);
    path[len] = '\0';
    out->exec_path = path;
}

/* N=TEXT */
static void take_net(const char *value, struct boot_info *out)
{
    u64 number;

    if (take_number(&value, &number) && take_char(&value, '=') && number < BOOT_NET_MAX)
        out->net[number] = value;
}

void cmdline_parse(const char *line, struct boot_info *out)
{
    const char *value;

    out->bootargs = line;
    for (const char *s = skip_blanks(line); *s != '\0'; s = skip_blanks(s)) {
        size_t len = word_length(s);

        if (len == 2 && s[0] == '-' && s[1] == '-') {
            take_argv(s + len, out);
            return;
        }
        if ((value = value_of(s, len, "virtio_mmio.device=")) != NULL)
            add_device(value, out);
        else if ((value = value_of(s, len, "samara.path=")) != NULL)
            take_path(value, out);
        else if ((value = value_of(s, len, "samara.net")) != NULL)
            take_net(value, out);
        s += len;
    }
}
