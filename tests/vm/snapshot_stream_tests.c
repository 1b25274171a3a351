/* Snapshots: the source's streams and connections are its own; a clone has others. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/vm/snapshot_run.h"

/* --- sockets --- */

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    CHECK(strlen(path) < sizeof(a.sun_path));
    memcpy(a.sun_path, path, strlen(path));
    return a;
}

/* Who listens there may not do so yet. */
static int client(const char *path)
{
    struct sockaddr_un a = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), tries = 0;

    CHECK(fd >= 0);
    while (connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        CHECK((errno == ECONNREFUSED || errno == ENOENT) && tries++ < 10000);
        usleep(1000);
    }
    return fd;
}

static void send_line(int fd, const char *line)
{
    CHECK(write(fd, line, strlen(line)) == (ssize_t)strlen(line));
}

static void expect_line(int fd, const char *begins)
{
    char line[SNAP_LINE] = "";
    size_t n = 0;

    while (n < sizeof(line) - 1 && read(fd, line + n, 1) == 1 && line[n] != '\n')
        n++;
    line[n] = '\0';
    if (strncmp(line, begins, strlen(begins)) != 0)
        fail_at(__FILE__, __LINE__, "'%s' came, not '%s'", line, begins);
}

static void expect_echo(int fd, const char *line)
{
    send_line(fd, line);
    send_line(fd, "\n");
    expect_line(fd, line);
}

/* A client of the program that listens. */
static int caller(const char *path)
{
    int fd = client(path);

    send_line(fd, "CONNECT 5000\n");
    expect_line(fd, "OK ");
    return fd;
}

static const char *copy(const char *path)
{
    return strdup(path);
}

/* Each clone takes new clients; the source's do not notice. */
static void a_listener_serves_on_both_sides(void)
{
    const char *of_source = copy(scratch("source.vsock")), *of_clone = copy(scratch("clone.vsock"));
    struct running source, clone;
    const char *path;
    int fds[3], other;

    snap_begin();
    snap_run(&source, "source",
             (const char *[]){"--vsock", of_source, program("vsock_echo"), "listen", NULL});
    snap_hear(&source, "listening");
    for (int i = 0; i < 3; i++) {
        fds[i] = caller(of_source);
        expect_echo(fds[i], "before");
    }
    path = snap_take("source", "listener.snap");
    for (int i = 0; i < 3; i++)
        expect_echo(fds[i], "after");
    snap_restore(&clone, "clone", path, (const char *[]){"--vsock", of_clone, NULL});
    for (int i = 0; i < 20; i++) {
        other = caller(of_clone);
        expect_echo(other, "somebody new");
        close(other);
    }
    for (int i = 0; i < 3; i++)
        expect_echo(fds[i], "still there");
    job_stop(&clone);
    job_stop(&source);
}

/* What the guest has begun is over in the clone: the program reads the end, as of Linux's vsock. */
static void a_connection_of_the_guests_is_over_in_the_clone(void)
{
    const char *of_source = copy(scratch("caller.vsock"));
    struct running source, clone;
    struct sockaddr_un a;
    struct outcome o;
    char at[200];
    int listener, peer;

    snap_begin();
    snprintf(at, sizeof(at), "%s_7000", of_source);
    a = address(at);
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(listener, 1) == 0);
    snap_run(&source, "source",
             (const char *[]){"--vsock", of_source, program("vsock_echo"), "connect", "7000",
                              "hello", NULL});
    peer = accept(listener, NULL, NULL);
    CHECK(peer >= 0);
    expect_line(peer, "hello");
    snap_restore(&clone, "clone", snap_take("source", "caller.snap"), snap_no_words);
    job_finish(&clone, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "");
    outcome_free(&o);
    send_line(peer, "answer\n");
    snap_hear(&source, "answer");
    close(peer);
    snap_ends(&source, 0);
}

/* --- standard streams --- */

/* What waits in the source's pipe is for the source; what its guest has taken both of them have. */
static void input_under_way_is_not_lost(void)
{
    struct running source, clone;
    struct outcome o;

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("cat"), NULL});
    snap_say(&source, "one\n");
    snap_hear(&source, "one");
    snap_say(&source, "two\n"); /* wherever it is by now */
    snap_restore(&clone, "clone", snap_take("source", "input.snap"), snap_no_words);
    snap_hear(&source, "two");
    snap_say(&clone, "three\n");
    close(clone.in);
    clone.in = -1;
    job_finish(&clone, &o);
    STATUS(&o, 0);
    CHECK(strcmp(o.out, "three\n") == 0 || strcmp(o.out, "two\nthree\n") == 0);
    outcome_free(&o);
    close(source.in);
    source.in = -1;
    snap_ends(&source, 0);
}

/* The program is in the midst of a write that nobody takes. The source loses nothing; the clone
 * goes on with what the program had not handed over, in order and to the end. */
static void a_full_output_goes_on_on_both_sides(void)
{
    enum { BYTES = 4 << 20 };
    static char text[BYTES];
    struct running source, clone;
    struct job job = {.argv = {samara(), "run", "--name", "source", program("cat"), NULL},
                      .keep_input_open = true};
    struct outcome o;
    const char *path;
    size_t given = 0, behind;

    snap_begin();
    for (size_t i = 0; i < BYTES; i += 8)
        snprintf(text + i, 9 < BYTES - i ? 9 : 8, "%07zu\n", i / 8);
    text[BYTES - 1] = '\n';
    job_start(&job, &source);
    fcntl(source.in, F_SETFL, O_NONBLOCK);
    for (int idle = 0; idle < 50; usleep(10000)) {
        ssize_t n = write(source.in, text + given, BYTES - given);

        idle = n > 0 ? 0 : idle + 1;
        given += n > 0 ? (size_t)n : 0;
    }
    CHECK(given < BYTES); /* it is full from end to end */
    path = snap_take("source", "full.snap");
    close(source.in);
    source.in = -1;
    job_finish(&source, &o);
    STATUS(&o, 0);
    OUTPUT_IS(&o, text, given);
    outcome_free(&o);
    snap_restore(&clone, "clone", path, snap_no_words);
    snap_say(&clone, "end\n");
    close(clone.in);
    clone.in = -1;
    job_finish(&clone, &o);
    STATUS(&o, 0);
    CHECK(o.out_len >= 4 && strcmp(o.out + o.out_len - 4, "end\n") == 0);
    behind = o.out_len - 4;
    CHECK(behind > 0 && behind < given); /* the rest of the write that was under way at least */
    CHECK(memmem(text, given, o.out, behind) != NULL);
    outcome_free(&o);
}

enum { NUMBERED = 16 }; /* bytes of a line */

static void next_line(char line[NUMBERED])
{
    int digit = NUMBERED - 2;

    while (digit > 0 && line[digit] == '9')
        line[digit--] = '0';
    line[digit]++;
}

/* Numbered lines, without end. */
static pid_t child_that_writes(int fd)
{
    static char block[1 << 16], line[] = "000000000000000\n";
    pid_t pid = fork();

    CHECK(pid >= 0);
    while (pid == 0) {
        for (size_t i = 0; i < sizeof(block); i += NUMBERED) {
            memcpy(block + i, line, NUMBERED);
            next_line(line);
        }
        if (write(fd, block, sizeof(block)) <= 0)
            _exit(0);
    }
    return pid;
}

/* Somebody who reads without end, but slower than the other writes: something is always held. */
static pid_t child_that_reads(int fd)
{
    static char block[1 << 16];
    pid_t pid = fork();

    CHECK(pid >= 0);
    while (pid == 0) {
        if (read(fd, block, sizeof(block)) <= 0)
            _exit(0);
        usleep(getenv("VM_EMULATED") ? 20000 : 500);
    }
    return pid;
}

/* Of a stream whose beginning is gone: no byte is missing, or another's. */
static void check_lines(const char *text, size_t length)
{
    const char *line = memchr(text, '\n', length);
    long before = -1;

    CHECK(length == 0 || (line && line - text < NUMBERED));
    for (size_t at = length ? (size_t)(line - text) + 1 : 0; at + NUMBERED <= length;
         at += NUMBERED) {
        long n = strtol(text + at, NULL, 10);

        CHECK(text[at + NUMBERED - 1] == '\n' && (before < 0 || n == before + 1));
        before = n;
    }
}

/* While the monitor writes the guest's buffers, whose pages no log of KVM's has. */
static void what_devices_write_is_of_the_same_instant(void)
{
    enum { TIMES = 10 };
    struct running source, clone;
    struct outcome o;
    size_t held = 0;
    pid_t pids[2];

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("cat"), NULL});
    snap_say(&source, "up\n");
    snap_hear(&source, "up");
    pids[0] = child_that_writes(source.in);
    pids[1] = child_that_reads(source.out);
    for (int i = 0; i < TIMES; i++) {
        char out[32];

        snprintf(out, sizeof(out), "devices-%d.snap", i);
        snap_restore(&clone, "clone", snap_take("source", out), snap_no_words);
        close(clone.in);
        clone.in = -1;
        job_finish(&clone, &o);
        STATUS(&o, 0);
        check_lines(o.out, o.out_len);
        held += o.out_len;
        outcome_free(&o);
    }
    CHECK(held > 0);
    kill(pids[0], SIGKILL);
    kill(source.pid, SIGTERM);
    kill(pids[1], SIGKILL);
    job_finish(&source, &o);
    STATUS(&o, 143);
    outcome_free(&o);
}

static void a_clone_ends_as_any_vm_does(void)
{
    struct running source, clone;
    struct outcome o;
    const char *path;

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("cat"), NULL});
    snap_say(&source, "up\n");
    snap_hear(&source, "up");
    path = snap_take("source", "ends.snap");
    job_stop(&source);
    snap_restore(&clone, "clone", path, snap_no_words);
    snap_say(&clone, "here\n");
    snap_hear(&clone, "here");
    job_stop(&clone);
    snap_restore(&clone, "clone", path, (const char *[]){"--timeout", "300ms", NULL});
    job_finish(&clone, &o);
    STATUS(&o, 124);
    outcome_free(&o);
}

/* While the client takes nothing the program ends, and so does the wait for its snapshot. */
static void a_program_that_ends_meanwhile_has_no_snapshot(void)
{
    enum { BYTES = 300000 };
    static const unsigned char wish[16] = {8, 0, 0, 0, 1, 0, 7, 0};
    static char text[BYTES];
    struct running source;
    struct outcome o;
    char at[300], bytes[4096];
    size_t kept = 0;
    ssize_t n;
    int fd;

    snap_begin();
    memset(text, 'x', sizeof(text));
    snap_run(&source, "ended", (const char *[]){program("cat"), NULL});
    snap_say(&source, "up\n");
    snap_hear(&source, "up");
    snprintf(at, sizeof(at), "%s/samara/ended.sock", scratch("run"));
    fd = client(at);
    CHECK(write(fd, wish, sizeof(wish)) == sizeof(wish));
    CHECK(write(source.in, text, sizeof(text)) == sizeof(text)); /* it holds what nobody reads */
    close(source.in);
    source.in = -1;
    usleep(300000); /* so that it has ended */
    while ((n = read(fd, bytes + kept, sizeof(bytes) - kept)) > 0) {
        size_t have = kept + (size_t)n;

        kept = have < 64 ? have : 64; /* the end of the stream */
        memmove(bytes, bytes + have - kept, kept);
    }
    CHECK(memmem(bytes, kept, "the program has ended", 21) != NULL);
    job_finish(&source, &o);
    STATUS(&o, 0);
    OUTPUT_IS(&o, text, sizeof(text));
    outcome_free(&o);
}

/* --- many --- */

/* All at once, of one snapshot. */
static void twenty_clones_are_twenty_others(void)
{
    enum { CLONES = 20 };
    static char said[CLONES + 1][SNAP_LINE];
    struct running source, clone[CLONES];
    const char *path;
    char name[16];

    snap_begin();
    snap_run(&source, "source", (const char *[]){program("instant"), NULL});
    snap_hear(&source, "up");
    path = snap_take("source", "twenty.snap");
    for (int i = 0; i < CLONES; i++) {
        snprintf(name, sizeof(name), "clone-%d", i);
        snap_restore(&clone[i], name, path, snap_no_words);
    }
    for (int i = 0; i < CLONES; i++)
        snap_say(&clone[i], "random\ncount\n");
    snap_say(&source, "random\n");
    snap_read_line(&source, said[CLONES]);
    for (int i = 0; i < CLONES; i++) {
        snap_read_line(&clone[i], said[i]);
        snap_hear(&clone[i], "2");
    }
    for (int i = 0; i <= CLONES; i++) {
        CHECK(strlen(said[i]) == 32);
        for (int j = 0; j < i; j++)
            CHECK(strcmp(said[i], said[j]) != 0);
    }
    for (int i = 0; i < CLONES; i++) {
        snap_say(&clone[i], "exit 0\n");
        snap_ends(&clone[i], 0);
    }
    snap_say(&source, "exit 0\n");
    snap_ends(&source, 0);
}

const struct vm_test snapshot_stream_tests[] = {
    {"snapshot_stream/a_listener_serves_on_both_sides", a_listener_serves_on_both_sides},
    {"snapshot_stream/a_connection_of_the_guests_is_over_in_the_clone",
     a_connection_of_the_guests_is_over_in_the_clone},
    {"snapshot_stream/input_under_way_is_not_lost", input_under_way_is_not_lost},
    {"snapshot_stream/a_full_output_goes_on_on_both_sides", a_full_output_goes_on_on_both_sides},
    {"snapshot_stream/what_devices_write_is_of_the_same_instant",
     what_devices_write_is_of_the_same_instant},
    {"snapshot_stream/a_clone_ends_as_any_vm_does", a_clone_ends_as_any_vm_does},
    {"snapshot_stream/a_program_that_ends_meanwhile_has_no_snapshot",
     a_program_that_ends_meanwhile_has_no_snapshot},
    {"snapshot_stream/twenty_clones_are_twenty_others", twenty_clones_are_twenty_others},
    {NULL, NULL},
};
