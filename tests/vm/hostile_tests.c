/*
 * Guests that mean harm: kernel-hostile.elf in the place of samara's kernel
 * (tests/vm/kernels/hostile.h says what it can do). The verdicts on what is malformed are the
 * kernel's own; here it is judged from outside what an attack without an end does to the monitor
 * and to those beside it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tests/vm/hostile_judge.h"
#include "tests/vm/runner.h"

enum { AT = 100, AS_PROMISED = 42, FRAMES = 100, LINES_OF_A_DEVICE = 16, DEVICES = 3 };
/* The kernel uses 8 MiB of its memory for data, and little else; the rest is the monitor's own. */
enum { MOST_KIB = 24 << 10, MOST_FILES = 4224 };

/* --- what an attacker is given --- */

static char disk_option[300], vsock_path[90];

static const char *disk_with(const char *limits)
{
    const char *path = scratch("hostile.img");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    CHECK(fd >= 0 && ftruncate(fd, 16 << 20) == 0);
    close(fd);
    snprintf(disk_option, sizeof(disk_option), "%s%s", path, limits);
    return disk_option;
}

/* A peer that has said something and reads nothing. */
static void silent_peer(void)
{
    static const char frame[64] = {0, 0, 0, 60};
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0 && dup2(ends[0], AT) == AT);
    for (int i = 0; i < FRAMES; i++)
        CHECK(write(ends[1], frame, sizeof(frame)) == sizeof(frame));
    close(ends[0]);
}

static struct job attacker(const char *attack, const char *net)
{
    return (struct job){.argv = {samara(), "run", "--name", "attacker", "--mem", "64M", "--kernel",
                                 program("kernel-hostile.elf"), "--disk", disk_option, "--net", net,
                                 "--vsock", vsock_path, "/bin/busybox", attack}};
}

static void prepare(const char *limits)
{
    own_runtime_directory();
    snprintf(vsock_path, sizeof(vsock_path), "%s", scratch("hostile.sock"));
    unlink(vsock_path);
    disk_with(limits);
}

/* --- attacks with an end --- */

static size_t lines(const struct outcome *o)
{
    size_t count = 0;

    for (size_t i = 0; i < o->err_len; i++)
        count += o->err[i] == '\n';
    return count;
}

static void answers_as_promised(const char *attack, const char *output)
{
    struct job job;
    struct outcome o;

    prepare("");
    silent_peer();
    job = attacker(attack, "fd=100");
    job_run(&job, &o);
    STATUS(&o, AS_PROMISED);
    OUTPUT(&o, output);
    CHECK(lines(&o) <= LINES_OF_A_DEVICE * DEVICES);
    outcome_free(&o);
}

static void a_queue_that_is_wrong_breaks_its_device_until_a_reset(void)
{
    answers_as_promised("attack=bad-queues", "good after all\n");
}

static void a_chain_that_is_wrong_breaks_its_device_until_a_reset(void)
{
    answers_as_promised("attack=bad-chains", "good after all\n");
}

static void a_request_that_is_wrong_is_answered_or_breaks_its_device(void)
{
    answers_as_promised("attack=bad-requests", "");
}

static void after_a_reset_nothing_is_written_any_more(void)
{
    answers_as_promised("attack=reset-midway", "good after all\n");
}

static void start_neighbour(struct running *r)
{
    struct job job = {
        .argv = {samara(), "run", "/bin/busybox", "sh", "-c",
                 "i=0; n=0; while [ $i -lt 3000 ]; do i=$((i+1)); n=$((n+i)); done; echo $n"}};

    job_start(&job, r);
}

static void neighbour_did_its_work(struct running *r)
{
    struct outcome o;

    job_finish(r, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "4501500\n");
    outcome_free(&o);
}

/* While it goes on: the monitor answers, is small, and another VM does its work; then it is ended.
 */
static void does_no_harm(const char *attack, const char *net)
{
    struct job job = attacker(attack, net);
    struct running r, neighbour;
    struct outcome o;
    pid_t monitor;

    job_start(&job, &r);
    CHECK(job_await(&r, "up\n"));
    monitor = monitor_of(r.pid);
    start_neighbour(&neighbour);
    for (int i = times(10, 2); i > 0; i--) {
        answers_control("attacker", "status");
        usleep(20000);
    }
    neighbour_did_its_work(&neighbour);
    answers_control("attacker", "pause");
    answers_control("attacker", "resume");
    is_small(monitor, MOST_KIB, MOST_FILES);
    answers_control("attacker", "kill");
    job_finish(&r, &o);
    STATUS(&o, 137);
    CHECK(lines(&o) <= LINES_OF_A_DEVICE * DEVICES);
    outcome_free(&o);
}

static void is_ended_in_time(const char *attack, const char *net)
{
    struct job job = attacker(attack, net);
    struct outcome o;

    for (size_t i = 15; i >= 2; i--)
        job.argv[i + 2] = job.argv[i];
    job.argv[2] = "--timeout";
    job.argv[3] = "300ms";
    job_run(&job, &o);
    STATUS(&o, 124);
    OUTPUT(&o, "up\n");
    outcome_free(&o);
}

/* --- attacks without an end --- */

static void kicks_without_an_end_harm_nobody(void)
{
    prepare("");
    silent_peer();
    does_no_harm("attack=kick", "fd=100");
    silent_peer();
    is_ended_in_time("attack=kick", "fd=100");
}

static void resets_without_an_end_harm_nobody(void)
{
    prepare("");
    silent_peer();
    does_no_harm("attack=reset", "fd=100");
}

static void refused_requests_without_an_end_harm_nobody(void)
{
    prepare("");
    silent_peer();
    does_no_harm("attack=costly", "fd=100");
    silent_peer();
    is_ended_in_time("attack=costly", "fd=100");
}

static void requests_beside_the_loop_harm_nobody(void)
{
    prepare(",rate=8M");
    silent_peer();
    does_no_harm("attack=free", "fd=100");
    silent_peer();
    is_ended_in_time("attack=free", "fd=100");
}

static void frames_without_an_end_harm_nobody(void)
{
    prepare("");
    own_tap("tap7");
    does_no_harm("attack=frames", "tap=tap7");
    is_ended_in_time("attack=frames", "tap=tap7");
}

static void packets_without_an_end_harm_nobody(void)
{
    prepare("");
    silent_peer();
    does_no_harm("attack=packets", "fd=100");
}

/* --- connections --- */

/* Takes whoever comes, keeps them, and says nothing. */
static pid_t start_server(const char *path)
{
    struct sockaddr_un a = address_of(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pid_t pid;

    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 4096) == 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        while (accept(fd, NULL, NULL) >= 0)
            ;
        pause();
    }
    close(fd);
    return pid;
}

/* Each is a question to the keeper and a descriptor in the monitor, which has an end for both. */
static void a_hundred_thousand_connections_harm_nobody(void)
{
    const bool slow = getenv("VM_EMULATED") || getenv("VM_SANITIZED");
    char path[100];
    pid_t server;

    allow_files(16384);
    prepare("");
    silent_peer();
    snprintf(path, sizeof(path), "%s_80", vsock_path);
    unlink(path);
    server = start_server(path);
    does_no_harm(slow ? "attack=few-connections" : "attack=connections", "fd=100");
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    unlink(path);
}

const struct vm_test hostile_tests[] = {
    {"hostile/a_queue_that_is_wrong_breaks_its_device_until_a_reset",
     a_queue_that_is_wrong_breaks_its_device_until_a_reset},
    {"hostile/a_chain_that_is_wrong_breaks_its_device_until_a_reset",
     a_chain_that_is_wrong_breaks_its_device_until_a_reset},
    {"hostile/a_request_that_is_wrong_is_answered_or_breaks_its_device",
     a_request_that_is_wrong_is_answered_or_breaks_its_device},
    {"hostile/after_a_reset_nothing_is_written_any_more",
     after_a_reset_nothing_is_written_any_more},
    {"hostile/kicks_without_an_end_harm_nobody", kicks_without_an_end_harm_nobody},
    {"hostile/resets_without_an_end_harm_nobody", resets_without_an_end_harm_nobody},
    {"hostile/refused_requests_without_an_end_harm_nobody",
     refused_requests_without_an_end_harm_nobody},
    {"hostile/requests_beside_the_loop_harm_nobody", requests_beside_the_loop_harm_nobody},
    {"hostile/frames_without_an_end_harm_nobody", frames_without_an_end_harm_nobody},
    {"hostile/packets_without_an_end_harm_nobody", packets_without_an_end_harm_nobody},
    {"hostile/a_hundred_thousand_connections_harm_nobody",
     a_hundred_thousand_connections_harm_nobody},
    {NULL, NULL},
};
