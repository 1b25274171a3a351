/* /proc/self/maps, a line at a time, so that any number of areas needs no buffer. */
#include "guest-kernel/fs/dentry.h"
#include "guest-kernel/fs/file.h"
#include "guest-kernel/lib/print.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/map.h"
#include "guest-kernel/task/process.h"

#define NAME_COLUMN 73

/* Valid until the next call. */
static const char *file_name(const struct file *f)
{
    static char path[PROCESS_PATH_MAX];

    return f->dentry && dentry_path(f->dentry, path, sizeof(path)) > 0 ? path : "[file]";
}

static const char *area_name(const struct area *a)
{
    if (a->flags & AREA_STACK)
        return "[stack]";
    if (a->flags & AREA_HEAP)
        return "[heap]";
    if (a->kind == AREA_IMAGE)
        return process.exec_path;
    return a->kind == AREA_FILE ? file_name(a->file) : "";
}

/* In the file. */
static u64 area_offset(const struct area *a)
{
    return a->kind == AREA_IMAGE ? a->offset - process.image_gpa : a->offset;
}

/* The line without its name, padded to the name's column if there is one. */
static size_t line_head(char *line, size_t size, const struct area *a, bool named)
{
    size_t n = kprint_to(line, size, "%08lx-%08lx %c%c%c%c %08lx 00:00 %c ", a->start, a->end,
                         a->prot & PROT_READ ? 'r' : '-', a->prot & PROT_WRITE ? 'w' : '-',
                         a->prot & PROT_EXEC ? 'x' : '-', a->flags & AREA_SHARED ? 's' : 'p',
                         area_offset(a), a->kind == AREA_IMAGE || a->kind == AREA_FILE ? '1' : '0');

    while (named && n < NAME_COLUMN)
        line[n++] = ' ';
    return n;
}

struct window {
    char *buf;
    size_t size;
    size_t done;
    u64 skip; /* bytes of text before the part that is wanted */
};

static void emit(struct window *w, const char *text, size_t len)
{
    if (w->skip >= len) {
        w->skip -= len;
        return;
    }
    text += w->skip;
    len -= w->skip;
    w->skip = 0;
    len = MIN(len, w->size - w->done);
    memcpy(w->buf + w->done, text, len);
    w->done += len;
}

ssize_t proc_maps(char *buf, size_t size, u64 offset)
{
    struct window w = {.buf = buf, .size = size, .skip = offset};
    char line[128];

    for (size_t i = 0; i < mm_areas.count && w.done < size; i++) {
        const struct area *a = &mm_areas.areas[i];
        const char *name = area_name(a);

        emit(&w, line, line_head(line, sizeof(line), a, name[0] != '\0'));
        emit(&w, name, strlen(name));
        emit(&w, "\n", 1);
    }
    return (ssize_t)w.done;
}
