/* See sender.h. All runs under the device lock. */
#include "monitor/snapshot/sender.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

/* LOOK_BYTES: what a look at a chunk of memory counts for. RECORDS_USUAL: with few connections. */
enum { PAGE = 4096, TURN_BYTES = 256 << 10, LOOK_BYTES = 32 << 10, RECORDS_USUAL = 64 << 10 };

static const uint64_t patience_ns = SENDER_PATIENCE_MS * UINT64_C(1000000);

/* --- beginning and end --- */

/* It may take a moment, until a disk's thread is done. */
static void forget_disks(struct snapshot_sender *s)
{
    if (disk_rounds_end(&s->disks))
        s->phase = SENDER_IDLE;
}

static void end(struct snapshot_sender *s)
{
    struct event_loop *loop = &s->vm->loop;

    loop_timer_cancel(loop, &s->patience);
    loop_unpost(loop, &s->turn);
    loop_del(loop, s->watch);
    close(s->fd);
    s->fd = s->watch = -1;
    rounds_end(&s->rounds);
    s->phase = SENDER_ENDING;
    forget_disks(s);
    vm_thaw(s->vm); /* if it is not running already */
}

static int program_has_ended(struct err *err)
{
    return err_set(err, "the program has ended");
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

    assert(head_size <= SENDER_HEAD);
    control_put_header(f->head, &frame);
    if (head_size > 0)
        memcpy(f->head + CONTROL_HEADER, head, head_size);
    f->head_size = CONTROL_HEADER + head_size;
    f->body = body;
    f->size = f->head_size + size;
    f->sent = 0;
}

static bool begin(struct snapshot_sender *s)
{
    struct stream_begin b = {.memory = s->vm->ram_size};

    if (s->begun)
        return false;
    s->begun = true;
    if (s->diff) {
        b.flags = SNAPSHOT_LAYER;
        memcpy(b.parent, s->vm->restored->states[0].header.id, sizeof(b.parent));
    }
    frame_begin(s, STREAM_BEGIN, &b, sizeof(b), NULL, 0);
    return true;
}

static void put_pages(struct snapshot_sender *s, uint64_t first, size_t count, const uint8_t *from)
{
    const struct stream_pages head = {.offset = first * PAGE};

    frame_begin(s, STREAM_PAGES, &head, sizeof(head), from, count * PAGE);
    s->pages += count;
}

/* Before its blocks. */
static bool next_disk(struct snapshot_sender *s)
{
    while (s->next_disk < s->vm->config->disk_count) {
        const struct disk *disk = block_disk(s->vm->disks[s->next_disk].block);
        const struct stream_disk head = {
            .number = s->next_disk++, .size = disk->base.size, .changed_ns = disk->base.changed_ns};

        if (!disk->overlay)
            continue;
        frame_begin(s, STREAM_DISK, &head, sizeof(head), NULL, 0);
        return true;
    }
    return false;
}

static void put_blocks(struct snapshot_sender *s, const struct disks_run *run)
{
    const struct stream_blocks head = {.number = run->disk, .offset = run->first * OVERLAY_BLOCK};

    frame_begin(s, STREAM_BLOCKS, &head, sizeof(head), run->bytes, run->count * OVERLAY_BLOCK);
}

/* Those that were copied while the guest stood. */
static bool next_copies(struct snapshot_sender *s)
{
    const struct copies *c = &s->vm->copies;
    size_t n;

    if (s->next_copy == c->count)
        return false;
    n = copies_run(c, s->next_copy, ROUNDS_RUN);
    put_pages(s, c->numbers[s->next_copy], n, c->pages + s->next_copy * PAGE);
    s->next_copy += n;
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
    const struct stream_end e = {
        .pause_ns = s->pause_ns, .pages = s->pages, .rounds = s->rounds.number + 1};

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

/* Unless it has gone, and will never stand. */
static void freeze(struct snapshot_sender *s)
{
    if (s->vm->gone) {
        program_has_ended(&s->err);
        s->phase = SENDER_SENDING; /* which is to say why */
        return;
    }
    s->phase = SENDER_STOPPING;
    s->asked_ns = loop_now_ns();
    vm_freeze(s->vm);
}

static void stop_guest(struct snapshot_sender *s)
{
    memset(s->records.bytes, 0, RECORDS_USUAL); /* takes the memory for them now */
    s->phase = SENDER_SETTLING;
    if (disk_rounds_settle(&s->disks))
        freeze(s);
}

/* False: there is no block to send, whatever the reason; *over: there will be none. */
static bool next_blocks(struct snapshot_sender *s, bool *over)
{
    struct disks_run run;

    *over = false;
    switch (disk_rounds_next(&s->disks, &run, &s->err)) {
    case DISKS_BLOCKS:
        put_blocks(s, &run);
        return true;
    case DISKS_LATER:
        s->waits = true;
        return false;
    case DISKS_OVER:
        *over = true;
        return false;
    default:
        return false;
    }
}

/* Blocks, then pages, while the guest runs. False: there is none to send, whatever the reason. */
static bool next_live(struct snapshot_sender *s)
{
    uint64_t first;
    unsigned count;
    bool over;

    if (s->disks_round) {
        if (next_blocks(s, &over))
            return true;
        s->disks_round = !over || disk_rounds_over(&s->disks, &s->err) == 0;
        return false;
    }
    switch (rounds_next(&s->rounds, &first, &count, &s->err)) {
    case ROUNDS_PAGES:
        put_pages(s, first, count, s->vm->ram + first * PAGE);
        return true;
    case ROUNDS_OVER:
        if (rounds_over(&s->rounds, &s->err) == 1) {
            s->disks_round = disk_rounds_again(&s->disks);
            if (!s->disks_round)
                stop_guest(s);
        }
        return false;
    default:
        return false;
    }
}

/* What was kept of the moment. */
static bool next_kept(struct snapshot_sender *s)
{
    bool over;

    if (next_copies(s) || next_blocks(s, &over))
        return true;
    return over && (next_record(s) || finish(s));
}

static bool next_frame(struct snapshot_sender *s)
{
    s->waits = false;
    if (s->err.text[0])
        return say_why(s);
    if (begin(s) || next_disk(s))
        return true;
    return s->phase == SENDER_COPYING ? next_live(s) : next_kept(s);
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
    rounds_end(&s->rounds);
    loop_mod(&s->vm->loop, s->watch, EPOLLIN | EPOLLRDHUP);
    be_patient(s);
}

static bool is_sending(const struct snapshot_sender *s)
{
    return s->phase == SENDER_COPYING || s->phase == SENDER_SENDING;
}

/* A bounded part; then others have their turn. */
static void send_turn(void *arg)
{
    struct snapshot_sender *s = arg;
    size_t moved = 0;

    if (s->phase == SENDER_ENDING)
        forget_disks(s);
    if (s->phase == SENDER_SETTLING && disk_rounds_settle(&s->disks))
        freeze(s);
    if (s->phase == SENDER_SENDING && s->watch < 0)
        end(s); /* given up before the guest stood */
    if (s->phase == SENDER_SENDING)
        rounds_stop(&s->rounds);
    while (moved < TURN_BYTES && is_sending(s)) {
        ssize_t n;

        if (frame_is_sent(s) && !next_frame(s)) {
            moved += LOOK_BYTES;
            if (s->ended)
                all_is_sent(s);
            if (s->waits)
                return; /* the disk's thread tells: ask_again */
            continue;
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
    if (is_sending(s))
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
    else if (is_sending(s))
        send_turn(s);
    else if (s->phase == SENDER_AWAITING)
        hear(s);
}

static void ask_again(void *arg)
{
    struct snapshot_sender *s = arg;

    loop_post(&s->vm->loop, &s->turn);
}

/* --- the moment --- */

static int copy_all(struct snapshot_sender *s)
{
    if (s->vm->gone)
        return program_has_ended(&s->err);
    if (snapshot_gather(s->vm, s->diff, &s->records, &s->err) != 0 ||
        rounds_last(&s->rounds, &s->err) != 0)
        return -1;
    return disk_rounds_last(&s->disks, &s->err);
}

void sender_frozen(struct snapshot_sender *s)
{
    struct vm *vm = s->vm;
    bool kept;

    if (s->phase != SENDER_STOPPING)
        return;
    kept = s->watch >= 0 && copy_all(s) == 0;
    s->phase = SENDER_SENDING;
    if (!kept)
        vm_thaw(vm);
    else if (!s->stop)
        vm_thaw_guest(vm);
    s->pause_ns = loop_now_ns() - s->asked_ns;
    loop_post(&vm->loop, &s->turn);
}

int sender_start(struct snapshot_sender *s, int fd, uint32_t flags, struct err *err)
{
    struct vm *vm = s->vm;

    if (disks_check(vm, err) != 0)
        return -1;
    if (s->phase != SENDER_IDLE)
        return err_set(err, "a snapshot is being taken already");
    if (vm->gone)
        return program_has_ended(err);
    if (flags & SNAPSHOT_LAYER && !vm->restored)
        return err_set(err, "it was not grown from a snapshot, so the first is whole: no --diff");
    if (flags & SNAPSHOT_LAYER && vm->restored->count == CHAIN_MOST)
        return err_set(err,
                       "it stands on %d layers already, and no more are restored (without "
                       "--diff, or upon one that `samara flatten` made of them)",
                       CHAIN_MOST);
    if (!vm->copies.bits)
        return err_set(err, "no address space for a copy of memory (vm.overcommit_memory is 2?)");
    s->watch = loop_add(&vm->loop, fd, EPOLLOUT | EPOLLET, client_event, s);
    if (s->watch < 0)
        return err_sys(err, "epoll");
    s->fd = fd;
    s->stop = flags & SNAPSHOT_STOP;
    s->diff = flags & SNAPSHOT_LAYER;
    s->err.text[0] = '\0';
    s->begun = s->ended = false;
    s->got = s->next_copy = s->next_record = s->pages = s->next_disk = 0;
    s->disks_round = true;
    s->frame.sent = s->frame.size = 0;
    s->phase = SENDER_COPYING;
    disk_rounds_begin(&s->disks, vm, s->diff);
    rounds_begin(&s->rounds, vm, s->diff, &s->err);
    be_patient(s);
    loop_post(&vm->loop, &s->turn);
    return 0;
}

void sender_init(struct snapshot_sender *s)
{
    s->fd = s->watch = -1;
    s->disks.later = ask_again;
    s->disks.arg = s;
    s->turn = (struct loop_task){.fn = send_turn, .arg = s};
    s->patience = (struct loop_timer){.fn = patience_ends, .arg = s};
}
