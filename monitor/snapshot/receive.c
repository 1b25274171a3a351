/* See receive.h. */
#include "monitor/snapshot/receive.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/clock.h"
#include "monitor/control_client.h"
#include "monitor/printable.h"
#include "monitor/vm_config.h"

#define PATIENCE_MS 60000 /* for the next bytes: the guest may be slow to stand */

enum { SAID_MOST = 240 }; /* bytes of what a VM says */

struct receive {
    int fd;
    const struct receive_wish *wish;
    struct receive_result *result;
    struct snapshot_writer writer;
    bool begun, ended;
    uint8_t *payload; /* STREAM_PAYLOAD bytes, and a NUL */
};

/* --- the socket --- */

static int await(int fd, short events, struct err *err)
{
    struct pollfd ready = {.fd = fd, .events = events};
    int n = poll(&ready, 1, PATIENCE_MS);

    if (n == 0)
        errno = ETIMEDOUT;
    return n <= 0 ? err_sys(err, "control socket") : 0;
}

static int read_all(int fd, uint8_t *to, size_t size, struct err *err)
{
    while (size > 0) {
        ssize_t n = recv(fd, to, size, 0);

        if (n == 0)
            return err_set(err, "the VM has ended");
        if (n < 0 && errno != EAGAIN)
            return err_sys(err, "control socket");
        if (n < 0 && await(fd, POLLIN, err) != 0)
            return -1;
        to += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* --- frames --- */

static int begin(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct snapshot_header header = {.flags = 0};
    struct stream_begin b;

    if (r->begun || size != sizeof(b))
        return err_set(err, "the VM begins wrongly");
    memcpy(&b, payload, sizeof(b));
    if (b.memory < VM_MEMORY_MIN || b.memory > VM_MEMORY_MAX || b.memory % 4096 != 0)
        return err_set(err, "the VM says that it has %llu bytes of memory",
                       (unsigned long long)b.memory);
    if (b.flags != (r->wish->flags & SNAPSHOT_LAYER))
        return err_set(err, "the VM sends another kind of snapshot than was asked for");
    if (b.flags & SNAPSHOT_LAYER) {
        header.flags = SNAPSHOT_DIFF;
        memcpy(header.parent, b.parent, sizeof(header.parent));
    }
    if (r->wish->single_use)
        header.flags |= SNAPSHOT_SINGLE_USE;
    if (getrandom(header.id, sizeof(header.id), 0) != sizeof(header.id))
        return err_sys(err, "getrandom");
    header.memory = r->result->memory = b.memory;
    header.created_ns = (uint64_t)clock_ns(CLOCK_REALTIME);
    r->begun = true;
    return snapshot_writer_open(&r->writer, r->wish->out, &header, err);
}

static int take_pages(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct stream_pages head;

    if (size < sizeof(head))
        return err_set(err, "the VM sends pages wrongly");
    memcpy(&head, payload, sizeof(head));
    return snapshot_writer_pages(&r->writer, head.offset, payload + sizeof(head),
                                 size - sizeof(head), err);
}

static int take_disk(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct stream_disk d;
    struct overlay_base base;

    if (size != sizeof(d))
        return err_set(err, "the VM sends a disk wrongly");
    memcpy(&d, payload, sizeof(d));
    if (d.reserved != 0)
        return err_set(err, "the VM sends a disk wrongly");
    base = (struct overlay_base){.size = d.size, .changed_ns = d.changed_ns};
    return snapshot_writer_disk(&r->writer, d.number, &base, err);
}

static int take_blocks(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct stream_blocks head;

    if (size < sizeof(head))
        return err_set(err, "the VM sends blocks wrongly");
    memcpy(&head, payload, sizeof(head));
    if (head.reserved != 0)
        return err_set(err, "the VM sends blocks wrongly");
    return snapshot_writer_blocks(&r->writer, head.number, head.offset, payload + sizeof(head),
                                  size - sizeof(head), err);
}

static int take_record(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct stream_record head;

    if (size < sizeof(head))
        return err_set(err, "the VM sends a record wrongly");
    memcpy(&head, payload, sizeof(head));
    return snapshot_writer_record(&r->writer, head.kind, head.version, payload + sizeof(head),
                                  size - sizeof(head), err);
}

static int take_end(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    struct stream_end e;

    if (size != sizeof(e))
        return err_set(err, "the VM ends wrongly");
    memcpy(&e, payload, sizeof(e));
    r->result->pause_ns = e.pause_ns;
    r->result->rounds = e.rounds;
    r->ended = true;
    return 0;
}

/* What it says is for a terminal: one line of it, and nothing that terminals obey. */
static int vm_says(const char *text, size_t size, struct err *err)
{
    char line[PRINTABLE_ROOM(SAID_MOST)];
    const char *end = memchr(text, '\n', size);

    if (end)
        size = (size_t)(end - text);
    printable_copy(line, sizeof(line), text, size < SAID_MOST ? size : SAID_MOST);
    return err_set(err, "the VM says: %s", line);
}

static int take_failure(struct receive *r, const uint8_t *payload, size_t size, struct err *err)
{
    (void)r;
    return vm_says((const char *)payload, size, err);
}

static const struct {
    uint16_t kind;
    bool first; /* or only behind BEGIN */
    int (*take)(struct receive *r, const uint8_t *payload, size_t size, struct err *err);
} takers[] = {
    {STREAM_BEGIN, true, begin},         {STREAM_PAGES, false, take_pages},
    {STREAM_RECORD, false, take_record}, {STREAM_END, false, take_end},
    {STREAM_FAILED, true, take_failure}, {STREAM_DISK, false, take_disk},
    {STREAM_BLOCKS, false, take_blocks},
};

/* {"ok":false,"error":"..."}: why, if it is that. */
static int refused(const struct receive *r, size_t length, struct err *err)
{
    static const char before[] = "\"error\":\"";
    const char *answer = (const char *)r->payload, *why = strstr(answer, before), *end;

    if (!why)
        return vm_says(answer, length, err);
    why += sizeof(before) - 1;
    end = strrchr(why, '"');
    return vm_says(why, end ? (size_t)(end - why) : strlen(why), err);
}

/* Instead of the first frame there may be an answer, which says no. */
static int take_refusal(struct receive *r, const uint8_t header[CONTROL_HEADER], struct err *err)
{
    struct control_frame frame;

    if (control_parse_answer(header, CONTROL_HEADER, CONTROL_SNAPSHOT, &frame) != CONTROL_GOOD)
        return err_set(err, "control socket: a frame of another version, or none of samara's");
    if (read_all(r->fd, r->payload, frame.length, err) != 0)
        return -1;
    r->payload[frame.length] = '\0';
    return refused(r, frame.length, err);
}

static int take_frame(struct receive *r, struct err *err)
{
    uint8_t header[CONTROL_HEADER];
    struct control_frame frame;

    if (read_all(r->fd, header, sizeof(header), err) != 0)
        return -1;
    if (control_parse_stream(header, &frame) != CONTROL_GOOD)
        return take_refusal(r, header, err);
    if (read_all(r->fd, r->payload, frame.length, err) != 0)
        return -1;
    for (unsigned i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        if (takers[i].kind == frame.kind && (r->begun || takers[i].first))
            return takers[i].take(r, r->payload, frame.length, err);
    }
    return err_set(err, "the VM sends frame %u too early", frame.kind);
}

/* --- all of it --- */

/* The VM hears that it may forget. */
static int conclude(struct receive *r, struct err *err)
{
    uint8_t header[CONTROL_HEADER];
    struct control_frame frame;

    if (!control_send(r->fd, CONTROL_SNAPSHOT_DONE, "", 0))
        return err_sys(err, "control socket");
    if (read_all(r->fd, header, sizeof(header), err) != 0)
        return -1;
    if (control_parse_answer(header, sizeof(header), CONTROL_SNAPSHOT_DONE, &frame) != CONTROL_GOOD)
        return err_set(err, "control socket: no such answer");
    return read_all(r->fd, r->payload, frame.length, err);
}

static int run(struct receive *r, struct err *err)
{
    const struct control_snapshot wish = {.flags = r->wish->flags};

    if (!control_send(r->fd, CONTROL_SNAPSHOT, &wish, sizeof(wish)))
        return err_sys(err, "control socket");
    while (!r->ended) {
        if (take_frame(r, err) != 0)
            return -1;
    }
    r->result->bytes = snapshot_writer_bytes(&r->writer);
    r->result->disk_bytes = snapshot_writer_disk_bytes(&r->writer);
    return snapshot_writer_commit(&r->writer, r->wish->sync, err);
}

int snapshot_receive(int fd, const struct receive_wish *wish, struct receive_result *result,
                     struct err *err)
{
    struct receive *r = calloc(1, sizeof(*r));
    struct err ignored;
    int status = -1, reason;

    *result = (struct receive_result){.bytes = 0};
    if (!r || !(r->payload = malloc(STREAM_PAYLOAD + 1))) {
        free(r);
        return err_set(err, "out of memory");
    }
    r->fd = fd;
    r->wish = wish;
    r->result = result;
    r->writer = (struct snapshot_writer)SNAPSHOT_WRITER_CLOSED;
    status = run(r, err);
    reason = errno;
    if (status == 0)
        conclude(r, &ignored); /* if the VM is gone meanwhile, the snapshot is none the worse */
    snapshot_writer_abort(&r->writer);
    free(r->payload);
    free(r);
    errno = reason;
    return status;
}
