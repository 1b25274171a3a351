/*
 * libFuzzer: `samara snapshot` hears a VM that is anybody. Input: operations of four bytes {what,
 * a, b, c}, each a frame or a part of one. A judge keeps what memory must be, and whether all was
 * sound: only then there is a snapshot, it opens, verifies and holds that; otherwise nothing is
 * left, and one line says why, fit for a terminal.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "monitor/snapshot/facts.h"
#include "monitor/snapshot/receive.h"
#include "monitor/snapshot/snapshot_dir.h"
#include "monitor/snapshot/verify.h"
#include "monitor/vm_config.h"
#include "tests/monitor/snapshot/good_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum what {
    BEGIN,
    PAGES,
    RECORDS,
    END,
    FAILED,
    REFUSE,
    ONE_RECORD,
    LONG,
    BYTES,
    DISK,
    BLOCKS,
    WHATS
};
enum verdict { SOUND, WRONG, UNKNOWN /* bytes of no frame of ours came */ };

/* A disk whose last block is a part of one. */
enum { DISKS = 3, DISK_BLOCKS = 6, DISK_SIZE = DISK_BLOCKS * 4096 - 512 };
enum { PAGE = 4096, MEMORY = VM_MEMORY_MIN, KNOWN = 16, MOST = 512 << 10, OPERATIONS = 24 };

static uint8_t sent[MOST];
static size_t length;
static uint8_t memory[2 * KNOWN];   /* of the first and last pages what each byte is */
static uint8_t blocks[DISK_BLOCKS]; /* of disk 0 what each byte is, ... */
static bool given[DISK_BLOCKS];     /* ... if it is not the base's */
static bool disks[DISKS];
static enum verdict verdict;
static bool begun, ended, records;
static char folder[64], out[80];

static void __attribute__((noinline)) must(bool fact)
{
    if (!fact)
        abort();
}

/* --- the VM --- */

static void raw(const void *bytes, size_t size)
{
    must(size <= MOST - length);
    memcpy(sent + length, bytes, size);
    length += size;
}

static void header(unsigned kind, size_t size)
{
    const struct control_frame frame = {
        .length = (uint32_t)size, .version = CONTROL_VERSION, .kind = (uint16_t)kind};
    uint8_t bytes[CONTROL_HEADER];

    control_put_header(bytes, &frame);
    raw(bytes, sizeof(bytes));
}

static void say(unsigned kind, const void *head, size_t head_size, const void *body, size_t size)
{
    header(kind, head_size + size);
    raw(head, head_size);
    raw(body, size);
}

static void judge(bool sound)
{
    if (!sound && verdict == SOUND && !ended)
        verdict = WRONG;
}

static void say_begin(const uint8_t *op)
{
    const struct stream_begin b = {.memory = (uint64_t)MEMORY + op[1], .flags = op[2]};

    say(STREAM_BEGIN, &b, sizeof(b) - (op[3] == 1), "", 0);
    judge(!begun && op[1] == 0 && op[2] == 0 && op[3] != 1);
    begun = true;
}

/* Page `index` of those that are known; beyond them, pages that no memory has. */
static uint64_t place(unsigned index)
{
    return index < KNOWN ? index * PAGE : MEMORY - (2 * KNOWN - (uint64_t)index) * PAGE;
}

static void say_pages(const uint8_t *op)
{
    static uint8_t bytes[4 * PAGE];
    unsigned first = op[1] % (2 * KNOWN + 2), count = op[2] % 4 + 1;
    const struct stream_pages head = {.offset = place(first) + (op[2] & 0x80 ? 8 : 0)};
    bool sound = !(op[2] & 0x80) && head.offset + (uint64_t)count * PAGE <= MEMORY && begun;

    memset(bytes, op[3], count * (size_t)PAGE);
    say(STREAM_PAGES, &head, sizeof(head), bytes, count * (size_t)PAGE);
    judge(sound);
    for (unsigned i = first; sound && !ended && i < first + count; i++) {
        if (i < KNOWN || first >= KNOWN)
            memory[i] = op[3];
    }
    /* what goes on behind the first known pages is not looked at */
}

static int say_record(void *to, uint32_t kind, const void *payload, size_t size)
{
    const struct stream_record head = {.kind = kind, .version = 1};

    (void)to;
    say(STREAM_RECORD, &head, sizeof(head), payload, size);
    return 0;
}

static void say_records(void)
{
    good_records(say_record, NULL);
    judge(begun && !records);
    records = true;
}

static void say_end(const uint8_t *op)
{
    const struct stream_end e = {.pages = op[1]};

    say(STREAM_END, &e, sizeof(e), op, op[2] == 1);
    judge(begun && records && op[2] != 1 && !disks[1] && !disks[2]); /* which have no device */
    ended = true;
}

static void say_disk(const uint8_t *op)
{
    const unsigned number = op[1] % (DISKS + 1);
    static const uint64_t sizes[] = {DISK_SIZE, 0, DISK_SIZE + 1, UINT64_MAX - 511};
    const struct stream_disk d = {.number = number < DISKS ? number : 8 + op[3],
                                  .reserved = op[2] == 4,
                                  .size = sizes[op[2] < 4 ? op[2] : 0],
                                  .changed_ns = 77};

    say(STREAM_DISK, &d, sizeof(d) - (op[2] == 5), "", 0);
    judge(begun && number < DISKS && !disks[number] && (op[2] == 0 || op[2] > 5));
    if (number < DISKS && !ended)
        disks[number] = true;
}

static void say_blocks(const uint8_t *op)
{
    static uint8_t bytes[3 * PAGE];
    const unsigned number = op[1] % (DISKS + 1), first = op[2] % 8, count = op[2] / 8 % 3 + 1;
    const struct stream_blocks head = {.number = number,
                                       .reserved = op[2] >= 0xf8,
                                       .offset = first * (uint64_t)PAGE + (op[1] & 0x80 ? 512 : 0)};
    const bool sound = begun && number < DISKS && disks[number] && first + count <= DISK_BLOCKS &&
                       head.reserved == 0 && !(op[1] & 0x80);

    memset(bytes, op[3], sizeof(bytes));
    say(STREAM_BLOCKS, &head, sizeof(head), bytes, count * (size_t)PAGE);
    judge(sound);
    for (unsigned i = first; sound && !ended && number == 0 && i < first + count; i++) {
        blocks[i] = op[3];
        given[i] = true;
    }
}

static void say_one_record(const uint8_t *op)
{
    static const uint8_t zeroes[256];

    say_record(NULL, op[1], zeroes, op[2]);
    if (!ended && verdict == SOUND)
        verdict = begun ? UNKNOWN : WRONG;
}

static void operate(const uint8_t *op)
{
    switch ((enum what)(op[0] % WHATS)) {
    case BEGIN:
        say_begin(op);
        break;
    case PAGES:
        say_pages(op);
        break;
    case RECORDS:
        say_records();
        break;
    case END:
        say_end(op);
        break;
    case FAILED:
    case REFUSE:
        say(op[0] % WHATS == FAILED ? (unsigned)STREAM_FAILED : CONTROL_ANSWER | CONTROL_SNAPSHOT,
            "\"error\":\"", op[1] % 10, op + 2, 2);
        judge(false);
        break;
    case ONE_RECORD:
        say_one_record(op);
        break;
    case DISK:
        say_disk(op);
        break;
    case BLOCKS:
        say_blocks(op);
        break;
    case LONG:
        header((unsigned)STREAM_BEGIN + op[1] % 7, (size_t)STREAM_PAYLOAD + 1 + op[2]);
        judge(false);
        break;
    default:
        raw(op + 1, 3);
        if (!ended && verdict == SOUND)
            verdict = UNKNOWN;
    }
}

/* --- what came of it --- */

static unsigned files(void)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;

    must(dir);
    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void check_block(const struct overlay *overlay, uint64_t number)
{
    const size_t size = number + 1 < DISK_BLOCKS ? PAGE : PAGE - 512;
    uint8_t bytes[PAGE];
    uint64_t first = number;

    must(overlay_next(overlay, OVERLAY_OWN, &first, number + 1, 1) == given[number]);
    if (!given[number])
        return;
    must(overlay_get(overlay, number, 1, bytes) == 0);
    must(bytes[0] == blocks[number] && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static void check_disk(const struct snapshot_dir *d)
{
    const struct overlay_base base = {.size = DISK_SIZE, .changed_ns = 77};
    struct overlay *overlay;
    struct err err;
    int fd;

    must(disks[0] == (snapshot_disk(&d->state, 0) != NULL));
    if (!disks[0])
        return;
    fd = snapshot_dir_file(d->dir, "disk-0", &err);
    must(fd >= 0);
    overlay = overlay_load(fd, -1, &base, &err);
    must(overlay);
    for (uint64_t i = 0; i < DISK_BLOCKS; i++)
        check_block(overlay, i);
    overlay_free(overlay);
    close(fd);
}

static void check_snapshot(void)
{
    static struct snapshot_facts facts;
    struct snapshot_dir d = SNAPSHOT_DIR_CLOSED;
    struct err err;
    uint8_t bytes[PAGE];

    must(snapshot_dir_open(&d, out, &err) == 0);
    snapshot_facts(&facts, &d.state, d.bytes, d.size);
    must(snapshot_verify(&d, &facts, &err) == 0);
    for (unsigned i = 0; verdict == SOUND && i < 2 * KNOWN; i++) {
        must(pread(d.memory, bytes, PAGE, (off_t)place(i)) == PAGE);
        must(bytes[0] == memory[i] && memcmp(bytes, bytes + 1, PAGE - 1) == 0);
    }
    if (verdict == SOUND)
        check_disk(&d);
    snapshot_dir_close(&d);
}

static void check_line(const char *text)
{
    must(text[0] != '\0');
    for (; *text; text++)
        must(((unsigned char)*text >= ' ' && *text != 0x7f) || *text == '\t');
}

static void remove_all(void)
{
    static const char *const names[] = {"state", "memory", "manifest.json", "disk-0"};
    char path[128];

    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", out, names[i]);
        unlink(path);
    }
    rmdir(out);
}

static void remove_folder(void)
{
    rmdir(folder);
}

static void make_folder(void)
{
    snprintf(folder, sizeof(folder), "/dev/shm/samara-receive.XXXXXX");
    must(mkdtemp(folder));
    snprintf(out, sizeof(out), "%s/snap", folder);
    atexit(remove_folder);
}

static int receive(struct err *err)
{
    const struct receive_wish wish = {.out = out};
    struct receive_result result;
    const int room = 4 * MOST;
    int fds[2], status;

    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    must(setsockopt(fds[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) == 0 ||
         setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) == 0);
    if (send(fds[1], sent, length, MSG_NOSIGNAL) != (ssize_t)length)
        verdict = UNKNOWN; /* this host gives no more room */
    shutdown(fds[1], SHUT_WR);
    status = snapshot_receive(fds[0], &wish, &result, err);
    close(fds[0]);
    close(fds[1]);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {.text = ""};
    int status;

    if (!folder[0])
        make_folder();
    length = 0;
    verdict = SOUND;
    begun = ended = records = false;
    memset(memory, 0, sizeof(memory));
    memset(blocks, 0, sizeof(blocks));
    memset(given, 0, sizeof(given));
    memset(disks, 0, sizeof(disks));
    for (unsigned i = 0; i < OPERATIONS && size - i * 4ul >= 4 && i * 4ul < size; i++)
        operate(data + i * 4ul);
    judge(ended); /* or it stops in the midst */
    status = receive(&err);
    must(verdict == UNKNOWN || (status == 0) == (verdict == SOUND));
    if (status == 0)
        check_snapshot();
    else
        check_line(err.text);
    remove_all();
    must(files() == 0);
    return 0;
}
