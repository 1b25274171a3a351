/* Taking a snapshot from a VM that may be anybody. */
#include "monitor/snapshot/receive.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "monitor/vm_config.h"
#include "tests/monitor/snapshot/good_state.h"

enum { PAGE = 4096, MOST = 8 << 20, MEMORY = VM_MEMORY_MIN };

static char folder[] = "/tmp/samara-receive.XXXXXX";
static char out[64];
static int fds[2];
static struct err err;
static struct receive_result result;
static uint8_t *said; /* what the VM sends, whatever it hears */
static size_t length;

static void make(void)
{
    cr_assert(mkdtemp(folder));
    snprintf(out, sizeof(out), "%s/snap", folder);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    said = malloc(MOST);
    cr_assert(said);
}

static void unmake(void)
{
    char command[100];

    close(fds[0]);
    free(said);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(receive, .init = make, .fini = unmake, .timeout = 60);

/* --- the VM --- */

static void say_raw(const void *bytes, size_t size)
{
    cr_assert_leq(size, MOST - length);
    memcpy(said + length, bytes, size);
    length += size;
}

/* A frame of head and body, that says it has `claimed` bytes. */
static void say_claiming(unsigned kind, size_t claimed, const void *head, size_t head_size,
                         const void *body, size_t size)
{
    const struct control_frame frame = {
        .length = (uint32_t)claimed, .version = CONTROL_VERSION, .kind = (uint16_t)kind};
    uint8_t bytes[CONTROL_HEADER];

    control_put_header(bytes, &frame);
    say_raw(bytes, sizeof(bytes));
    say_raw(head, head_size);
    say_raw(body, size);
}

static void say(unsigned kind, const void *head, size_t head_size, const void *body, size_t size)
{
    say_claiming(kind, head_size + size, head, head_size, body, size);
}

static void begin(void)
{
    const struct stream_begin b = {.memory = MEMORY};

    say(STREAM_BEGIN, &b, sizeof(b), "", 0);
}

static void pages(uint64_t offset, const void *bytes, size_t size)
{
    const struct stream_pages p = {.offset = offset};

    say(STREAM_PAGES, &p, sizeof(p), bytes, size);
}

static int record(void *to, uint32_t kind, const void *payload, size_t size)
{
    const struct stream_record r = {.kind = kind, .version = 1};

    (void)to;
    say(STREAM_RECORD, &r, sizeof(r), payload, size);
    return 0;
}

static void finish(void)
{
    const struct stream_end e = {.pause_ns = 5000, .pages = 3, .rounds = 2};

    say(STREAM_END, &e, sizeof(e), "", 0);
}

static void text(unsigned kind, const char *bytes, size_t size)
{
    say(kind, bytes, size, "", 0);
}

static void *speak(void *arg)
{
    size_t sent = 0;
    ssize_t n = 0;

    (void)arg;
    for (; sent < length && n >= 0; sent += n > 0 ? (size_t)n : 0)
        n = send(fds[1], said + sent, length - sent, MSG_NOSIGNAL);
    shutdown(fds[1], SHUT_WR);
    return NULL;
}

/* --- verdicts --- */

static int receive(void)
{
    const struct receive_wish wish = {.out = out};
    pthread_t vm;
    int status;

    pthread_create(&vm, NULL, speak, NULL);
    status = snapshot_receive(fds[0], &wish, &result, &err);
    shutdown(fds[0], SHUT_RDWR);
    pthread_join(vm, NULL);
    return status;
}

static unsigned files(void)
{
    DIR *dir = opendir(folder);
    unsigned n = 0;

    while (readdir(dir))
        n++;
    closedir(dir);
    return n - 2;
}

static void assert_refused(const char *why)
{
    cr_assert_eq(receive(), -1, "%s", why);
    cr_assert_str_eq(err.text, why);
    cr_assert_eq(files(), 0, "nothing is left");
}

static void assert_refused_for_the_snapshot(const char *why)
{
    cr_assert_eq(receive(), -1, "%s", why);
    cr_assert_eq(strncmp(err.text, out, strlen(out)), 0, "%s", err.text);
    cr_assert_str_eq(err.text + strlen(out), why);
    cr_assert_eq(files(), 0, "nothing is left");
}

static void disk(uint32_t number, uint64_t size)
{
    const struct stream_disk d = {.number = number, .size = size, .changed_ns = 77};

    say(STREAM_DISK, &d, sizeof(d), "", 0);
}

static void blocks(uint32_t number, uint64_t offset, const void *bytes, size_t size)
{
    const struct stream_blocks b = {.number = number, .offset = offset};

    say(STREAM_BLOCKS, &b, sizeof(b), bytes, size);
}

/* --- tests --- */

static const uint8_t page[PAGE] = {1, 2, 3}, other[PAGE] = {4}, zeroes[2 * PAGE];

Test(receive, a_snapshot_becomes_a_directory)
{
    uint8_t is[PAGE];
    char path[100];
    int fd;

    begin();
    pages(PAGE, page, sizeof(page));
    pages(MEMORY - PAGE, page, sizeof(page));
    good_records(record, NULL);
    pages(PAGE, other, sizeof(other)); /* the later one counts */
    pages(MEMORY - 2 * PAGE, zeroes, sizeof(zeroes));
    finish();
    cr_assert_eq(receive(), 0, "%s", err.text);
    cr_assert_eq(result.memory, MEMORY);
    cr_assert_eq(result.bytes, PAGE);
    cr_assert_eq(result.pause_ns, 5000);
    cr_assert_eq(result.rounds, 2);
    snprintf(path, sizeof(path), "%s/memory", out);
    fd = open(path, O_RDONLY);
    cr_assert_eq(pread(fd, is, sizeof(is), PAGE), PAGE);
    cr_assert_arr_eq(is, other, PAGE);
    cr_assert_eq(lseek(fd, 0, SEEK_END), MEMORY);
}

enum { DISK = 5 * PAGE - 512 };

static struct overlay *open_disk(int *fd)
{
    const struct overlay_base base = {.size = DISK, .changed_ns = 77};
    char path[100];

    snprintf(path, sizeof(path), "%s/disk-0", out);
    *fd = open(path, O_RDONLY);
    return overlay_load(*fd, -1, &base, &err);
}

Test(receive, a_disk_becomes_an_overlay)
{
    static uint8_t is[2 * PAGE], want[2 * PAGE];
    struct overlay *overlay;
    int fd;

    begin();
    disk(0, DISK);
    blocks(0, PAGE, page, sizeof(page));
    blocks(0, 0, zeroes, sizeof(zeroes)); /* becomes zero, and hides the base */
    good_records(record, NULL);
    blocks(0, 4 * PAGE, page, sizeof(page));
    blocks(0, 4 * PAGE, other, sizeof(other));
    finish();
    cr_assert_eq(receive(), 0, "%s", err.text);
    cr_assert_eq(result.disk_bytes, 3 * PAGE);
    overlay = open_disk(&fd);
    cr_assert(overlay, "%s", err.text);
    cr_assert_eq(overlay_word(overlay, OVERLAY_OWN, 0), 0x13);
    cr_assert_eq(overlay_get(overlay, 0, 2, is), 0);
    cr_assert_arr_eq(is, want, sizeof(is));
    cr_assert_eq(overlay_get(overlay, 4, 1, is), 0);
    cr_assert_arr_eq(is, other, PAGE);
    overlay_free(overlay);
    close(fd);
}

static void assert_disk_refused(uint32_t number, uint64_t size, const char *why)
{
    begin();
    disk(number, size);
    assert_refused_for_the_snapshot(why);
}

Test(receive, a_disk_that_no_vm_has_is_refused)
{
    assert_disk_refused(8, DISK, ": there is no disk 8, or it was given before");
}

Test(receive, an_empty_disk_is_refused)
{
    assert_disk_refused(0, 0, "/disk-0: no disk has 0 bytes");
}

Test(receive, a_disk_that_is_too_large_is_refused)
{
    assert_disk_refused(7, UINT64_MAX - 511, "/disk-7: no disk has 18446744073709551104 bytes");
}

Test(receive, a_disk_that_is_given_twice_is_refused)
{
    begin();
    disk(0, DISK);
    disk(0, DISK);
    assert_refused_for_the_snapshot(": there is no disk 0, or it was given before");
}

/* Its device is not in the records. */
Test(receive, a_disk_without_a_device_is_refused)
{
    begin();
    disk(1, DISK);
    good_records(record, NULL);
    finish();
    cr_assert_eq(receive(), -1);
    cr_assert(strstr(err.text, "no block device is in slot 2"), "%s", err.text);
    cr_assert_eq(files(), 0, "nothing is left");
}

Test(receive, blocks_of_a_disk_that_is_not_there_are_refused)
{
    begin();
    disk(1, DISK);
    blocks(0, 0, page, sizeof(page));
    assert_refused_for_the_snapshot(": there is no disk 0");
}

static void assert_blocks_refused(uint64_t offset, size_t size, const char *why)
{
    begin();
    disk(0, DISK);
    blocks(0, offset, zeroes, size);
    assert_refused_for_the_snapshot(why);
}

Test(receive, blocks_that_reach_beyond_the_disk_are_refused)
{
    assert_blocks_refused(4 * PAGE, sizeof(zeroes),
                          "/disk-0: 0x2000 bytes at 0x4000 are no blocks of it");
}

Test(receive, blocks_whose_end_would_wrap_are_refused)
{
    assert_blocks_refused(UINT64_MAX - PAGE + 1, sizeof(zeroes),
                          "/disk-0: 0x2000 bytes at 0xfffffffffffff000 are no blocks of it");
}

Test(receive, parts_of_blocks_are_refused)
{
    assert_blocks_refused(0, 512, "/disk-0: 0x200 bytes at 0 are no blocks of it");
}

Test(receive, parts_of_blocks_places_are_refused)
{
    assert_blocks_refused(512, PAGE, "/disk-0: 0x1000 bytes at 0x200 are no blocks of it");
}

Test(receive, a_disk_that_is_shorter_than_its_frame_is_refused)
{
    begin();
    say(STREAM_DISK, zeroes, sizeof(struct stream_disk) - 1, "", 0);
    assert_refused("the VM sends a disk wrongly");
}

Test(receive, blocks_that_are_shorter_than_their_head_are_refused)
{
    begin();
    disk(0, DISK);
    say(STREAM_BLOCKS, zeroes, sizeof(struct stream_blocks) - 1, "", 0);
    assert_refused("the VM sends blocks wrongly");
}

Test(receive, a_disk_before_the_beginning_is_refused)
{
    disk(0, DISK);
    assert_refused("the VM sends frame 16390 too early");
}

Test(receive, what_is_said_after_the_end_is_not_heard)
{
    begin();
    good_records(record, NULL);
    finish();
    finish();
    pages(UINT64_MAX, page, 5);
    cr_assert_eq(receive(), 0, "%s", err.text);
}

Test(receive, a_stop_at_any_byte_leaves_nothing)
{
    size_t whole;

    begin();
    pages(0, page, sizeof(page));
    good_records(record, NULL);
    finish();
    whole = length;
    for (length = 0; length < whole; length += length < 80 || whole - length < 40 ? 1 : 211) {
        cr_assert_eq(receive(), -1, "%zu", length);
        cr_assert_str_eq(err.text, "the VM has ended");
        cr_assert_eq(files(), 0);
        close(fds[0]);
        close(fds[1]);
        cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
        cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    }
}

Test(receive, it_begins_once)
{
    begin();
    begin();
    assert_refused("the VM begins wrongly");
}

Test(receive, it_begins_with_all_of_the_beginning)
{
    text(STREAM_BEGIN, "1234567", 7);
    assert_refused("the VM begins wrongly");
}

static void assert_no_memory(uint64_t memory, const char *why)
{
    const struct stream_begin b = {.memory = memory};

    length = 0;
    say(STREAM_BEGIN, &b, sizeof(b), "", 0);
    assert_refused(why);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
}

Test(receive, memory_that_no_vm_has_is_refused)
{
    assert_no_memory(0, "the VM says that it has 0 bytes of memory");
    assert_no_memory(MEMORY + 1, "the VM says that it has 16777217 bytes of memory");
    assert_no_memory(UINT64_MAX - 4095,
                     "the VM says that it has 18446744073709547520 bytes of memory");
}

Test(receive, another_kind_of_snapshot_is_refused)
{
    const struct stream_begin b = {.memory = MEMORY, .flags = SNAPSHOT_LAYER};

    say(STREAM_BEGIN, &b, sizeof(b), "", 0);
    assert_refused("the VM sends another kind of snapshot than was asked for");
}

Test(receive, pages_before_the_beginning_are_refused)
{
    pages(0, page, sizeof(page));
    assert_refused("the VM sends frame 16386 too early");
}

Test(receive, an_end_before_the_beginning_is_refused)
{
    finish();
    assert_refused("the VM sends frame 16388 too early");
}

Test(receive, pages_beyond_memory_are_refused)
{
    begin();
    pages(MEMORY, page, sizeof(page));
    assert_refused_for_the_snapshot("/memory: 0x1000 bytes at 0x1000000 are no pages of it");
}

Test(receive, pages_that_reach_beyond_memory_are_refused)
{
    begin();
    pages(MEMORY - PAGE, zeroes, sizeof(zeroes));
    assert_refused_for_the_snapshot("/memory: 0x2000 bytes at 0xfff000 are no pages of it");
}

Test(receive, pages_whose_end_would_wrap_are_refused)
{
    begin();
    pages(UINT64_MAX - PAGE + 1, zeroes, sizeof(zeroes));
    assert_refused_for_the_snapshot(
        "/memory: 0x2000 bytes at 0xfffffffffffff000 are no pages of it");
}

Test(receive, parts_of_pages_are_refused)
{
    begin();
    pages(0, page, sizeof(page) - 1);
    assert_refused_for_the_snapshot("/memory: 0xfff bytes at 0 are no pages of it");
}

Test(receive, frames_that_are_shorter_than_their_heads_are_refused)
{
    begin();
    text(STREAM_PAGES, "1234567", 7);
    assert_refused("the VM sends pages wrongly");
}

Test(receive, records_that_are_shorter_than_their_heads_are_refused)
{
    begin();
    text(STREAM_RECORD, "1234567", 7);
    assert_refused("the VM sends a record wrongly");
}

Test(receive, an_end_that_is_too_long_is_refused)
{
    begin();
    say(STREAM_END, zeroes, sizeof(struct stream_end), "1", 1);
    assert_refused("the VM ends wrongly");
}

Test(receive, records_of_memory_are_not_the_vms_to_send)
{
    begin();
    record(NULL, RECORD_MEMORY, zeroes, sizeof(struct saved_extent));
    assert_refused_for_the_snapshot(": record of kind 64 is for nobody else to write");
}

Test(receive, a_snapshot_without_records_is_none)
{
    begin();
    finish();
    assert_refused_for_the_snapshot(": state: no CONFIG record (kind 1)");
}

Test(receive, a_frame_that_is_too_long_is_not_read)
{
    say_claiming(STREAM_BEGIN, STREAM_PAYLOAD + 1, "", 0, "", 0);
    assert_refused("control socket: a frame of another version, or none of samara's");
}

Test(receive, what_is_no_frame_is_refused)
{
    say_raw("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    assert_refused("control socket: a frame of another version, or none of samara's");
}

Test(receive, a_failure_is_told)
{
    text(STREAM_FAILED, "KVM_GET_DIRTY_LOG: No such file", 31);
    assert_refused("the VM says: KVM_GET_DIRTY_LOG: No such file");
}

Test(receive, what_it_says_does_not_reach_the_terminal_raw)
{
    begin();
    text(STREAM_FAILED,
         "\33[2J\a\xc2\x9b"
         "31m\0x\nanother line",
         25);
    assert_refused("the VM says: \\x1b[2J\\x07\\xc2\\x9b31m\\x00x");
}

Test(receive, what_it_says_is_not_endless)
{
    char *much = malloc(STREAM_PAYLOAD);

    memset(much, '\33', STREAM_PAYLOAD);
    text(STREAM_FAILED, much, STREAM_PAYLOAD);
    free(much);
    cr_assert_eq(receive(), -1);
    cr_assert_lt(strlen(err.text), sizeof(err.text));
    cr_assert_null(strchr(err.text, '\33'));
}

Test(receive, a_refusal_says_why)
{
    static const char no[] = "{\"ok\":false,\"error\":\"a snapshot is being taken already\"}";

    text(CONTROL_ANSWER | CONTROL_SNAPSHOT, no, sizeof(no) - 1);
    assert_refused("the VM says: a snapshot is being taken already");
}

Test(receive, a_refusal_that_says_nothing_is_one)
{
    text(CONTROL_ANSWER | CONTROL_SNAPSHOT, "\"error\":\"\33", 10);
    assert_refused("the VM says: \\x1b");
}

Test(receive, an_answer_to_something_else_is_none)
{
    text(CONTROL_ANSWER | CONTROL_STATUS, "{}", 2);
    assert_refused("control socket: a frame of another version, or none of samara's");
}
