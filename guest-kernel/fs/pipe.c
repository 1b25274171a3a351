/*
 * Pipes: a ring of pages shared by two ends. Pages are there only while they hold data, so an idle
 * pipe costs little. Writes of up to PIPE_ATOMIC bytes are never torn.
 */
#include "guest-kernel/fs/pipe.h"
#include "guest-kernel/fs/linux.h"
#include "guest-kernel/lib/errno.h"
#include "guest-kernel/lib/string.h"
#include "guest-kernel/mm/heap.h"
#include "guest-kernel/mm/page.h"
#include "guest-kernel/mm/user.h"
#include "guest-kernel/task/signal.h"

enum { PIPE_ATOMIC = 4096, PIPE_PAGES = PIPE_CAPACITY / 4096 };

struct pipe {
    bool reader_open, writer_open;
    u32 head, tail; /* bytes ever written and read; wrapping */
    u64 ino;
    struct wait_queue queues[2];
    struct wait_queue *readers, *writers; /* the queues, or those of pipe_wait_at */
    u8 *pages[PIPE_PAGES];
};

static u64 last_pipe_ino = 1ull << 32;

static u32 pipe_used(const struct pipe *p)
{
    return p->head - p->tail;
}

/* The part of a page that can be moved at once from byte `at` of the stream. */
static size_t piece_at(u32 at, size_t len)
{
    return MIN(len, PAGE_SIZE - at % PAGE_SIZE);
}

static u8 **page_slot(struct pipe *p, u32 at)
{
    return &p->pages[at / PAGE_SIZE % PIPE_PAGES];
}

/* The page that ended at `at` has been read; but in a full ring its start may be written already.
 */
static void release_page(struct pipe *p, u32 at)
{
    if (pipe_used(p) + PAGE_SIZE > PIPE_CAPACITY)
        return;
    page_free(*page_slot(p, at));
    *page_slot(p, at) = NULL;
}

static long pipe_read(struct file *f, void *buf, size_t len, u64 *pos)
{
    struct pipe *p = f->private;
    size_t done = 0;

    (void)pos;
    if (pipe_used(p) == 0)
        return p->writer_open ? -EAGAIN : 0;
    len = MIN(len, pipe_used(p));
    while (done < len) {
        size_t part = piece_at(p->tail, len - done);

        memcpy((u8 *)buf + done, *page_slot(p, p->tail) + p->tail % PAGE_SIZE, part);
        done += part;
        p->tail += (u32)part;
        if (p->tail % PAGE_SIZE == 0)
            release_page(p, p->tail - 1);
    }
    if (pipe_used(p) == 0) /* start again at the beginning of the page that is there */
        p->head = p->tail = p->tail & ~(u32)(PAGE_SIZE - 1);
    file_wake_for(p->writers, POLLOUT | POLLWRNORM);
    return (long)done;
}

long pipe_peek(struct file *reader, size_t skip, void *buf, size_t len)
{
    struct pipe *p = reader->private;
    u32 used = pipe_used(p);
    size_t done = 0;

    if (used <= skip)
        return p->writer_open ? -EAGAIN : 0;
    len = MIN(len, used - skip);
    while (done < len) {
        u32 at = p->tail + (u32)(skip + done);
        size_t part = piece_at(at, len - done);

        memcpy((u8 *)buf + done, *page_slot(p, at) + at % PAGE_SIZE, part);
        done += part;
    }
    return (long)done;
}

long pipe_send(struct file *writer, const void *buf, size_t len)
{
    struct pipe *p = writer->private;
    u32 room = PIPE_CAPACITY - pipe_used(p);
    size_t done = 0;

    if (!p->reader_open)
        return -EPIPE;
    if (room == 0 || (len <= PIPE_ATOMIC && len > room))
        return -EAGAIN;
    len = MIN(len, room);
    while (done < len) {
        u8 **page = page_slot(p, p->head);
        size_t part = piece_at(p->head, len - done);

        if (!*page)
            *page = page_alloc();
        if (!*page)
            break;
        memcpy(*page + p->head % PAGE_SIZE, (const u8 *)buf + done, part);
        done += part;
        p->head += (u32)part;
    }
    if (done == 0)
        return -ENOMEM;
    file_wake_for(p->readers, POLLIN | POLLRDNORM);
    return (long)done;
}

static long pipe_write(struct file *f, const void *buf, size_t len, u64 *pos)
{
    long n = pipe_send(f, buf, len);

    (void)pos;
    if (n == -EPIPE)
        signal_self(SIGPIPE);
    return n;
}

static u32 pipe_poll_read(struct file *f)
{
    const struct pipe *p = f->private;
    u32 mask = pipe_used(p) ? POLLIN | POLLRDNORM : 0;

    return p->writer_open ? mask : mask | POLLHUP;
}

static u32 pipe_poll_write(struct file *f)
{
    const struct pipe *p = f->private;
    u32 mask = PIPE_CAPACITY - pipe_used(p) >= PIPE_ATOMIC ? POLLOUT | POLLWRNORM : 0;

    return p->reader_open ? mask : mask | POLLERR;
}

static long pipe_ioctl(struct file *f, u32 request, u64 arg)
{
    int used = (int)pipe_used(f->private);

    return request == IOCTL_FIONREAD ? copy_to_user(arg, &used, sizeof(used)) : -ENOTTY;
}

static void pipe_attr(struct file *f, struct file_attr *out)
{
    const struct pipe *p = f->private;

    out->ino = p->ino;
    out->mode = MODE_FIFO | 0600;
}

static void pipe_close_end(struct pipe *p)
{
    if (p->reader_open || p->writer_open) {
        file_wake(p->readers);
        file_wake(p->writers);
        return;
    }
    for (u32 i = 0; i < PIPE_PAGES; i++) {
        if (p->pages[i])
            page_free(p->pages[i]);
    }
    kfree(p);
}

static void pipe_release_read(struct file *f)
{
    struct pipe *p = f->private;

    p->reader_open = false;
    p->readers = &p->queues[0];
    pipe_close_end(p);
}

static void pipe_release_write(struct file *f)
{
    struct pipe *p = f->private;

    p->writer_open = false;
    p->writers = &p->queues[1];
    pipe_close_end(p);
}

static const struct file_ops read_end_ops = {
    .read = pipe_read,
    .ioctl = pipe_ioctl,
    .poll = pipe_poll_read,
    .attr = pipe_attr,
    .release = pipe_release_read,
};

static const struct file_ops write_end_ops = {
    .write = pipe_write,
    .ioctl = pipe_ioctl,
    .poll = pipe_poll_write,
    .attr = pipe_attr,
    .release = pipe_release_write,
    .gathers = true,
};

bool file_is_pipe(const struct file *f)
{
    return f->ops == &read_end_ops || f->ops == &write_end_ops;
}

int pipe_new(u32 flags, struct file **reader, struct file **writer)
{
    struct pipe *p = kzalloc(sizeof(*p));

    *reader = file_new(&read_end_ops, p);
    *writer = file_new(&write_end_ops, p);
    if (!p || !*reader || !*writer) {
        kfree(*reader); /* not file_put: there is no pipe to release yet */
        kfree(*writer);
        kfree(p);
        return -ENOMEM;
    }
    p->reader_open = p->writer_open = true;
    p->ino = ++last_pipe_ino;
    p->readers = &p->queues[0];
    p->writers = &p->queues[1];
    (*reader)->flags = O_RDONLY | (flags & O_NONBLOCK);
    (*writer)->flags = O_WRONLY | (flags & O_NONBLOCK);
    (*reader)->wait = p->readers;
    (*writer)->wait = p->writers;
    return 0;
}

void pipe_wait_at(struct file *end, struct wait_queue *queue)
{
    struct pipe *p = end->private;

    if (end->ops == &read_end_ops)
        p->readers = queue;
    else
        p->writers = queue;
    end->wait = queue;
}
