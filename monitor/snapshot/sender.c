/* See sender.h. All runs under the device lock. */
#include "monitor/snapshot/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "monitor/snapshot/touched.h"

enum { PAGE = 4096, FRAME_PAGES = 32, TURN_BYTES = 256 << 10 };

static const uint64_t patience_ns = SENDER_PATIENCE_MS * UINT64_C(1000000);

/* --- beginning and end --- */

static void end(struct snapshot_sender *s)
{
    struct event_loop *loop = &s->vm->loop;

    loop_timer_cancel(loop, &s->patience);
    loop_unpost(loop, &s->turn);
    loop_del(loop, s->watch);
    close(s->fd);
    s->fd = s->watch = -1;
    copies_clear(&s->vm->copies);
    s->phase = SENDER_IDLE;
    vm_thaw(s->vm); /* if it is not running already */
}

/* If the guest is about to stand it does so first: the vCPU thread looks at fd. */
static void give_up(struct snapshot_sender *s)
{
    if (s->phase != SENDER_STOPPING) {
        end(s);
        return;
    }
    loop_del(&s->vm->loop, s->watch);
    s->watch = -1;
}

static void be_patient(struct snapshot_sender *s)
{
    loop_timer_set(&s->vm->loop, &s->patience, loop_now_ns() + patience_ns);
}

static void patience_ends(void *arg)
{
    give_up(arg);
}

/* --- frames --- */

static void frame_begin(struct snapshot_sender *s, unsigned kind, const void *head,
                        size_t head_size, const void *body, size_t size)
{
    struct sender_frame *f = &s->frame;
    const struct control_frame frame = {
        .length = (uint32_t)(head_size + size), .version = CONTROL_VERSION, .kind = (uint16_t)kind};

    control_put_header(f->head, &frame);
    memcpy(f->head + CONTROL_HEADER, head, head_size);
    f->head_size = CONTROL_HEADER + head_size;
    f->body = body;
    f->size = f->head_size + size;
    f->sent = 0;
}

static bool begin(struct snapshot_sender *s)
{
    const struct stream_begin b = {.memory = s->vm->ram_size};

    if (s->begun)
        return false;
    s->begun = true;
    frame_begin(s, STREAM_BEGIN, &b, sizeof(b), NULL, 0);
    return true;
}

static bool next_pages(struct snapshot_sender *s)
{
    const struct copies *c = &s->vm->copies;
    struct stream_pages head;
    size_t n;

    if (s->next_page == c->count)
        return false;
    n = copies_run(c, s->next_page, FRAME_PAGES);
    head = (struct stream_pages){.offset = (uint64_t)c->numbers[s->next_page] * PAGE};
    frame_begin(s, STREAM_PAGES, &head, sizeof(head), c->pages + s->next_page * PAGE, n * PAGE);
    s->next_page += n;
    return true;
}

static bool next_record(struct snapshot_sender *s)
{
    const struct record_head *record = record_next(&s->records, &s->next_record);
    struct stream_record head;

    if (!record)
        return false;
    head = (struct stream_record){.kind = record->kind, .version = record->version};
    frame_begin(s, STREAM_RECORD, &head, sizeof(head), record + 1, record->size);
    return true;
}

static bool finish(struct snapshot_sender *s)
{
    const struct stream_end e = {.pause_ns = s->pause_ns, .pages = s->vm->copies.count};

    if (s->ended)
        return false;
    s->ended = true;
    frame_begin(s, STREAM_END, &e, sizeof(e), NULL, 0);
    return true;
}

/* Why there is no snapshot: the last frame. */
static bool say_why(struct snapshot_sender *s)
{
    if (!s->err.text[0] || s->ended)
        return false;
    s->ended = true;
    frame_begin(s, STREAM_FAILED, NULL, 0, s->err.text, strlen(s->err.text));
    return true;
}

static bool next_frame(struct snapshot_sender *s)
{
    if (s->err.text[0])
        return say_why(s);
    return begin(s) || next_pages(s) || next_record(s) || finish(s);
}

/* --- sending --- */

static int frame_rest(const struct sender_frame *f, struct iovec iov[2])
{
    int count = 0;

    if (f->sent < f->head_size)
        iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)(f->head + f->sent),
                                      .iov_len = f->head_size - f->sent};
    if (f->size > f->head_size) {
        size_t body = f->sent > f->head_size ? f->sent - f->head_size : 0;

        iov[count++] = (struct iovec){.iov_base = (void *)(uintptr_t)(f->body + body),
                                      .iov_len = f->size - f->head_size - body};
    }
    return count;
}

/* What the socket takes of the frame; bytes or -errno. */
static ssize_t send_some(struct snapshot_sender *s)
{
    const struct stream_fd stream = {.fd = s->fd, .kind = STREAM_SOCKET};
    struct iovec iov[2];
    int count = frame_rest(&s->frame, iov);
    ssize_t n = stream_writev(&stream, iov, count);

    if (n > 0)
        s->frame.sent += (size_t)n;
    return n;
}

static bool frame_is_sent(const struct snapshot_sender *s)
{
    return s->frame.sent == s->frame.size;
}

static void all_is_sent(struct snapshot_sender *s)
{
    if (s->err.text[0]) {
        end(s);
        return;
    }
    s->phase = SENDER_AWAITING;
    copies_clear(&s->vm->copies);
    loop_mod(&s->vm->loop, s->watch, EPOLLIN | EPOLLRDHUP);
    be_patient(s);
}

/* A bounded part; then others have their turn. */
static void send_turn(void *arg)
{
    struct snapshot_sender *s = arg;
    size_t moved = 0;

    if (s->phase == SENDER_SENDING && s->watch < 0)
        end(s); /* given up before the guest stood */
    if (s->phase != SENDER_SENDING)
        return;
    while (moved < TURN_BYTES) {
        ssize_t n;

        if (frame_is_sent(s) && !next_frame(s)) {
            all_is_sent(s);
            return;
        }
        n = send_some(s);
        if (n == -EAGAIN)
            return; /* the watch tells of room */
        if (n < 0) {
            end(s);
            return;
        }
        moved += (size_t)n;
        be_patient(s);
    }
    loop_post(&s->vm->loop, &s->turn);
}

/* --- the client --- */

static void answer(struct snapshot_sender *s)
{
    static const char good[] = "{\"ok\":true}";
    bool stop = s->stop;

    frame_begin(s, CONTROL_ANSWER | CONTROL_SNAPSHOT_DONE, NULL, 0, good, sizeof(good) - 1);
    send_some(s); /* an empty socket has room */
    if (stop)
        s->stopped(s->arg);
    else
        end(s);
}

/* It says that it is done, or it goes. */
static void hear(struct snapshot_sender *s)
{
    struct iovec iov = {.iov_base = s->in + s->got, .iov_len = sizeof(s->in) - s->got};
    const struct stream_fd stream = {.fd = s->fd, .kind = STREAM_SOCKET};
    ssize_t n = stream_readv(&stream, &iov, 1);
    struct control_frame frame;

    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        end(s);
        return;
    }
    s->got += (size_t)n;
    if (control_parse(s->in, s->got, &frame) == CONTROL_MORE)
        return;
    if (control_parse(s->in, s->got, &frame) == CONTROL_GOOD && frame.kind == CONTROL_SNAPSHOT_DONE)
        answer(s);
    else
        end(s);
}

static void client_event(void *arg, uint32_t events)
{
    struct snapshot_sender *s = arg;

    if (events & (EPOLLHUP | EPOLLERR))
        give_up(s);
    else if (s->phase == SENDER_SENDING)
        send_turn(s);
    else if (s->phase == SENDER_AWAITING)
        hear(s);
}

/* --- the moment --- */

static bool is_zero(const uint8_t *page)
{
    const uint64_t *words = (const uint64_t *)(const void *)page;
    uint64_t all = 0;

    for (unsigned i = 0; i < PAGE / sizeof(words[0]) && all == 0; i += 8) {
        for (unsigned j = 0; j < 8; j++)
            all |= words[i + j];
    }
    return all == 0;
}

/* Sets the bits of [first, first + pages) that lie in [from, end). */
static void mark(uint64_t *bits, uint64_t first, unsigned pages, uint64_t from, uint64_t end)
{
    from = from > first ? from - first : 0;
    end = end > first ? end - first : 0;
    for (uint64_t i = from; i < end && i < pages; i++)
        bits[i / 64] |= UINT64_C(1) << (i % 64);
}

/* Where files are mapped there is something in pages that are not in memory. */
static void mark_mapped(const struct vm *vm, uint64_t first, unsigned pages, uint64_t *bits)
{
    const struct saved_extent *extents;
    size_t count;

    if (!vm->restored) {
        mark(bits, first, pages, 0, vm->loaded.end / PAGE);
        return;
    }
    extents = snapshot_extents(&vm->restored->state, &count);
    for (size_t i = 0; i < count; i++)
        mark(bits, first, pages, extents[i].offset / PAGE,
             (extents[i].offset + extents[i].size) / PAGE);
}

static void copy_pages(struct vm *vm, uint64_t first, unsigned pages)
{
    uint64_t bits[TOUCHED_PAGES / 64];

    touched_pages(vm->pagemap, vm->ram + first * PAGE, pages, bits);
    mark_mapped(vm, first, pages, bits);
    for (unsigned i = 0; i < pages; i++) {
        const uint8_t *page = vm->ram + (first + i) * PAGE;

        if (bits[i / 64] >> (i % 64) & 1 && !is_zero(page))
            copies_put(&vm->copies, (uint32_t)(first + i), page);
    }
}

static void copy_memory(struct vm *vm)
{
    const uint64_t pages = vm->ram_size / PAGE;

    for (uint64_t at = 0; at < pages; at += TOUCHED_PAGES)
        copy_pages(vm, at, (unsigned)(pages - at < TOUCHED_PAGES ? pages - at : TOUCHED_PAGES));
}

/* In the vCPU thread. */
static void frozen(void *arg)
{
    struct snapshot_sender *s = arg;
    struct vm *vm = s->vm;

    if (s->phase != SENDER_STOPPING)
        return;
    if (s->watch >= 0 && snapshot_gather(vm, &s->records, &s->err) == 0)
        copy_memory(vm);
    s->phase = SENDER_SENDING;
    if (!s->stop || s->err.text[0])
        vm_thaw(vm);
    s->pause_ns = loop_now_ns() - s->asked_ns;
    loop_post(&vm->loop, &s->turn);
}

int sender_start(struct snapshot_sender *s, int fd, uint32_t flags, struct err *err)
{
    struct vm *vm = s->vm;

    if (s->phase != SENDER_IDLE)
        return err_set(err, "a snapshot is being taken already");
    if (vm->gone)
        return err_set(err, "the program has ended");
    if (!vm->copies.pages)
        return err_set(err, "no address space for a copy of memory (vm.overcommit_memory is 2?)");
    s->watch = loop_add(&vm->loop, fd, EPOLLOUT | EPOLLET, client_event, s);
    if (s->watch < 0)
        return err_sys(err, "epoll");
    s->fd = fd;
    s->stop = flags & SNAPSHOT_STOP;
    s->err.text[0] = '\0';
    s->begun = s->ended = false;
    s->got = s->next_page = s->next_record = 0;
    s->frame.sent = s->frame.size = 0;
    s->phase = SENDER_STOPPING;
    s->asked_ns = loop_now_ns();
    be_patient(s);
    vm_freeze(vm);
    return 0;
}

void sender_init(struct snapshot_sender *s)
{
    s->fd = s->watch = -1;
    s->turn = (struct loop_task){.fn = send_turn, .arg = s};
    s->patience = (struct loop_timer){.fn = patience_ends, .arg = s};
    s->vm->frozen_fn = frozen;
    s->vm->frozen_arg = s;
}
