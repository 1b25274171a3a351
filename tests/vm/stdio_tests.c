/* stdin, stdout, stderr, exit status and signals: as on the host. */
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "tests/vm/runner.h"

static void hello_prints_and_exits_zero(void)
{
    struct job job = {.argv = {samara(), "run", program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.out_len > 0 && o.err_len == 0);
}

static void the_three_streams_stay_apart(void)
{
    struct job job = {.argv = {samara(), "run", "/bin/busybox", "sh", "-c",
                               "echo out; echo err >&2; read line; echo \"got $line\"; exit 7"},
                      .input = "in\n",
                      .input_len = 3};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 7);
    OUTPUT(&o, "out\ngot in\n");
    CHECK(strcmp(o.err, "err\n") == 0);
}

/* Opened for writing, it must not become a second reader of its pipe. */
static void a_pipes_write_end_as_input_takes_nothing(void)
{
    struct job job = {.argv = {"/bin/busybox", "sh", "-c",
                               "echo kept; exec \"$0\" run /bin/busybox cat 0>&1", samara()}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "Bad file descriptor");
    OUTPUT(&o, "kept\n");
}

static void arguments_and_environment_arrive(void)
{
    struct job job = {.argv = {samara(), "run", "--env", "K=V with blanks", "--env", "E=", "--mem",
                               "64M", "/bin/busybox", "sh", "-c", "echo \"$K|$E|$HOME|$1|$2|$#\"",
                               "name", "two words", "", NULL}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "V with blanks||/|two words||2\n");
}

static void the_hosts_environment_stays_outside(void)
{
    struct job job = {.argv = {samara(), "run", "/bin/busybox", "env"}};
    struct outcome o;

    setenv("SECRET", "not for guests", 1);
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(!strstr(o.out, "SECRET"));
}

static void exit_statuses_are_the_programs(void)
{
    static const struct {
        const char *script;
        int status;
    } cases[] = {{"exit 0", 0},       {"exit 1", 1},          {"exit 255", 255},
                 {"kill -9 $$", 137}, {"kill -TERM $$", 143}, {"kill -ABRT $$", 134}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job job = {.argv = {samara(), "run", "/bin/busybox", "sh", "-c", cases[i].script}};
        struct outcome o;

        job_run(&job, &o);
        STATUS(&o, cases[i].status);
        outcome_free(&o);
    }
}

static uint64_t random_state = 88172645463325252u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void bulk_data_comes_back_unharmed(void)
{
    size_t len = (bulk_mib() < 64 ? bulk_mib() : 64) << 20;
    uint64_t *data = malloc(len);
    struct job job = {
        .argv = {samara(), "run", "/bin/busybox", "cat"}, .input = data, .input_len = len};
    struct outcome o;

    CHECK(data);
    for (size_t i = 0; i < len / 8; i++)
        data[i] = next_random();
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.out_len == len && memcmp(o.out, data, len) == 0);
}

static void gigabytes_pass_through_a_pipe(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome direct, through;

    snprintf(script, sizeof(script), "head -c %luM /dev/zero | md5sum", bulk_mib());
    job_run(&job, &direct);
    snprintf(script, sizeof(script), "head -c %luM /dev/zero | %s run /bin/busybox md5sum",
             bulk_mib(), samara());
    job_run(&job, &through);
    STATUS(&through, 0);
    OUTPUT_IS(&through, direct.out, direct.out_len);
}

static pid_t spin(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            ;
    }
    return pid;
}

static void expect_zeros(const char *packed, unsigned long mib)
{
    char script[400], want[32];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script), "%s run /bin/busybox gunzip -c <%s | /bin/busybox wc -c",
             samara(), packed);
    snprintf(want, sizeof(want), "%lu\n", mib << 20);
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, want);
    outcome_free(&o);
}

/* More to run than there are processors: the vCPU is taken off its own at any moment. Each round is
 * a job with a job's time, of which it needs a tenth beside a dozen others. */
static void a_busy_host_only_makes_it_slow(void)
{
    enum { ROUNDS = 4 };
    const unsigned long mib = bulk_mib() < 48 ? bulk_mib() : 48;
    pid_t spinners[8];
    size_t count = (size_t)sysconf(_SC_NPROCESSORS_ONLN) + 1;
    const char *packed = scratch("zeros");
    char script[400];

    if (count > 8)
        count = 8;
    for (size_t i = 0; i < count; i++)
        spinners[i] = spin();
    snprintf(script, sizeof(script),
             "/bin/busybox head -c %lum /dev/zero | /bin/busybox gzip -1 >%s", mib, packed);
    CHECK(system(script) == 0);
    for (int i = 0; i < ROUNDS; i++)
        expect_zeros(packed, mib);
    for (size_t i = 0; i < count; i++)
        kill(spinners[i], SIGKILL);
}

static void end_of_file_is_seen(void)
{
    struct job job = {
        .argv = {samara(), "run", "/bin/busybox", "wc", "-c"}, .input = "", .input_len = 0};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "0\n");
}

static void a_closed_reader_ends_the_program_by_sigpipe(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "{ %s run /bin/busybox yes; echo $? >%s; } | head -n 2; cat %s", samara(),
             scratch("status"), scratch("status"));
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "y\ny\n141\n");
}

static void a_program_that_reads_little_leaves_the_rest(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script), "yes | %s run /bin/busybox head -n 1", samara());
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "y\n");
}

static void a_program_that_reads_nothing_leaves_all(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "seq 9 >%s; (%s run %s >/dev/null; cat) <%s; seq 9 | (%s run %s >/dev/null; cat)",
             scratch("in"), samara(), program("hello"), scratch("in"), samara(), program("hello"));
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "1\n2\n3\n4\n5\n6\n7\n8\n9\n1\n2\n3\n4\n5\n6\n7\n8\n9\n");
}

static void what_is_left_of_a_file_is_for_the_next_reader(void)
{
    static const char *const programs[] = {"dd bs=4 count=3", "sh -c 'read a; read b; echo $a $b'",
                                           "sh -c 'read a; exec 0<&-; echo $a'", "cat"};

    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        char script[600];
        struct job job = {.argv = {"/bin/sh", "-c", script}};
        struct outcome host, guest;

        snprintf(script, sizeof(script), "seq 90000 >%s; (/bin/busybox %s; cat) <%s 2>/dev/null",
                 scratch("in"), programs[i], scratch("in"));
        job_run(&job, &host);
        snprintf(script, sizeof(script), "(%s run /bin/busybox %s; cat) <%s 2>/dev/null", samara(),
                 programs[i], scratch("in"));
        job_run(&job, &guest);
        STATUS(&guest, 0);
        CHECK(host.out_len > 1 << 16);
        OUTPUT_IS(&guest, host.out, host.out_len);
        outcome_free(&host);
        outcome_free(&guest);
    }
}

static void a_directory_as_input_is_an_error(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script), "%s run /bin/busybox cat </", samara());
    job_run(&job, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "cat: read error: Is a directory");
}

/* The program learns it one write late, and one that has ended already never does. */
static void output_to_a_full_disk_is_an_error(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script), "%s run /bin/busybox echo hi >/dev/full", samara());
    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: stdout: No space left on device");
    outcome_free(&o);
    snprintf(script, sizeof(script), "%s run /bin/busybox yes >/dev/full", samara());
    job_run(&job, &o);
    STATUS(&o, 1);
    ERROR_HAS(&o, "yes: ");
}

static void a_slow_reader_loses_nothing(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "(%s run /bin/busybox sh -c 'i=0; while [ $i -lt 60000 ]; do echo line $i; "
             "i=$((i+1)); done'; echo status $? >&2) | (sleep 1; wc -l)",
             samara());
    job_run(&job, &o);
    ERROR_HAS(&o, "status 0\n");
    OUTPUT(&o, "60000\n");
}

/* What is long is read from the program's own memory: all of it while it writes, even what has to
 * wait for a reader. */
static void what_was_written_is_what_arrives(void)
{
    enum { BLOCKS = 60, BLOCK = 300001 };
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script), "%s run %s %d | (sleep 0.2; cat)", samara(),
             program("rewrite"), BLOCKS);
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.out_len == (size_t)BLOCKS * BLOCK);
    for (size_t i = 0; i < o.out_len; i++)
        CHECK(o.out[i] == (char)(i / BLOCK + 1));
}

static void output_to_a_file_is_appended_in_order(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "(echo before; %s run /bin/busybox echo inside; echo after) >%s; cat %s", samara(),
             scratch("out"), scratch("out"));
    job_run(&job, &o);
    OUTPUT(&o, "before\ninside\nafter\n");
}

static void closed_descriptors_are_closed_inside(void)
{
    static const struct {
        const char *script, *redirection;
    } cases[] = {{"echo hi", ">&-"},
                 {"cat", "<&-"},
                 {"sh -c 'echo err >&2; echo $?'", "2>&-"},
                 {"echo hi", "1</dev/null"},
                 {"cat", "0>/dev/null"}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char script[600];
        struct job job = {.argv = {"/bin/sh", "-c", script}};
        struct outcome host, guest;

        snprintf(script, sizeof(script), "/bin/busybox %s %s", cases[i].script,
                 cases[i].redirection);
        job_run(&job, &host);
        snprintf(script, sizeof(script), "%s run /bin/busybox %s %s", samara(), cases[i].script,
                 cases[i].redirection);
        job_run(&job, &guest);
        STATUS(&guest, host.status);
        OUTPUT(&guest, host.out);
        CHECK(strcmp(guest.err, host.err) == 0);
    }
}

static struct termios modes_of(int terminal)
{
    struct termios modes;

    CHECK(tcgetattr(terminal, &modes) == 0);
    return modes;
}

/* A shell edits its line by itself: it sets the terminal so, and finds it so for the next. */
static void the_program_sets_the_terminals_modes_and_samara_puts_them_back(void)
{
    struct job job = {.argv = {samara(), "run", "/bin/busybox", "sh"}};
    int master = posix_openpt(O_RDWR | O_NOCTTY), status;
    char text[256] = "";
    size_t len = 0;
    tcflag_t before;
    pid_t pid;

    CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    pid = fork();
    if (pid == 0) {
        int terminal = setsid() > 0 ? open(ptsname(master), O_RDWR) : -1;

        for (int fd = 0; fd < 3; fd++)
            dup2(terminal, fd);
        execv(job.argv[0], (char *const *)(unsigned long)job.argv);
        _exit(99);
    }
    before = modes_of(master).c_lflag;
    CHECK(before & ECHO && before & ICANON);
    while (!strstr(text, "# ")) {
        ssize_t n = read(master, text + len, sizeof(text) - 1 - len);

        CHECK(n > 0);
        len += (size_t)n;
    }
    CHECK(!(modes_of(master).c_lflag & (ECHO | ICANON)));
    CHECK(write(master, "exit 3\n", 7) == 7);
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    CHECK(modes_of(master).c_lflag == before);
}

static void a_timeout_ends_it_with_124(void)
{
    struct job job = {.argv = {samara(), "run", "--timeout", "500ms", "/bin/busybox", "sh", "-c",
                               "echo start; while :; do :; done"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 124);
    OUTPUT(&o, "start\n");
}

/* pause_us: from the program's "up" to the signal. */
static void expect_signal(int sig, const char *script, useconds_t pause_us, int status,
                          const char *rest)
{
    struct job job = {.argv = {samara(), "run", "/bin/busybox", "sh", "-c", script},
                      .keep_input_open = true};
    struct running r;
    struct outcome o;

    job_start(&job, &r);
    CHECK(job_await(&r, "up\n"));
    usleep(pause_us);
    kill(r.pid, sig);
    job_finish(&r, &o);
    STATUS(&o, status);
    OUTPUT(&o, rest);
}

static void signals_reach_a_busy_program(void)
{
    expect_signal(SIGTERM, "trap 'echo caught; exit 9' TERM; echo up; while :; do :; done", 0, 9,
                  "caught\n");
    expect_signal(SIGINT, "trap 'echo int; exit 8' INT; echo up; while :; do :; done", 0, 8,
                  "int\n");
    expect_signal(SIGTERM, "echo up; while :; do :; done", 0, 143, "");
}

/* The program is gone; what remains is to wait for a reader who may never come. */
static void a_signal_ends_the_wait_for_a_slow_reader(void)
{
    struct job job = {
        .argv = {samara(), "run", "/bin/busybox", "head", "-c", "400000", "/dev/zero"}};
    struct running r;
    int status;

    job_start(&job, &r);
    sleep(1);
    CHECK(waitpid(r.pid, &status, WNOHANG) == 0);
    kill(r.pid, SIGTERM);
    CHECK(waitpid(r.pid, &status, 0) == r.pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 143);
}

static void a_stream_that_the_program_closes_is_closed(void)
{
    struct job job = {
        .argv = {samara(), "run", "/bin/busybox", "sh", "-c", "echo last; exec >&-; read x"},
        .keep_input_open = true};
    struct running r;
    struct outcome o;
    char byte;

    job_start(&job, &r);
    CHECK(job_await(&r, "last\n"));
    CHECK(read(r.out, &byte, 1) == 0);
    kill(r.pid, SIGTERM);
    job_finish(&r, &o);
    STATUS(&o, 143);
}

/* The pause is for the shell: it loses an interrupt that comes between its last look and its
 * poll(), on the host too. */
static void signals_reach_a_sleeping_program(void)
{
    expect_signal(SIGTERM, "echo up; read x", 0, 143, "");
    expect_signal(SIGINT, "echo up; read x", 300000, 130, "");
}

/* A signal at any moment of the start kills, be it samara alone or the program that sleeps. */
static void signals_during_boot_are_not_lost(void)
{
    for (useconds_t delay = 0; delay < 4000; delay += 40) {
        struct job job = {.argv = {samara(), "run", "/bin/busybox", "sleep", "3"}};
        struct running r;
        struct outcome o;

        job_start(&job, &r);
        usleep(delay);
        kill(r.pid, SIGTERM);
        job_finish(&r, &o);
        CHECK(o.status == 143 || o.status == -SIGTERM);
        outcome_free(&o);
    }
}

/* Exits are most of what start and end cost: the streams are asked for, the line is written, the
 * end. One more is allowed for a host that interrupts. */
static void a_hello_leaves_the_guest_three_times(void)
{
    char script[512];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "strace -o /dev/null true 2>/dev/null || { echo 3; exit; }; "
             "strace -f -e trace=ioctl -o %s %s run %s >/dev/null; grep -c KVM_RUN, %s",
             scratch("exits"), samara(), program("hello-musl"), scratch("exits"));
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(atoi(o.out) <= 4);
}

const struct vm_test stdio_tests[] = {
    {"stdio/hello_prints_and_exits_zero", hello_prints_and_exits_zero},
    {"stdio/the_three_streams_stay_apart", the_three_streams_stay_apart},
    {"stdio/a_pipes_write_end_as_input_takes_nothing", a_pipes_write_end_as_input_takes_nothing},
    {"stdio/arguments_and_environment_arrive", arguments_and_environment_arrive},
    {"stdio/the_hosts_environment_stays_outside", the_hosts_environment_stays_outside},
    {"stdio/exit_statuses_are_the_programs", exit_statuses_are_the_programs},
    {"stdio/bulk_data_comes_back_unharmed", bulk_data_comes_back_unharmed},
    {"stdio/gigabytes_pass_through_a_pipe", gigabytes_pass_through_a_pipe},
    {"stdio/a_busy_host_only_makes_it_slow", a_busy_host_only_makes_it_slow},
    {"stdio/end_of_file_is_seen", end_of_file_is_seen},
    {"stdio/a_closed_reader_ends_the_program_by_sigpipe",
     a_closed_reader_ends_the_program_by_sigpipe},
    {"stdio/a_program_that_reads_little_leaves_the_rest",
     a_program_that_reads_little_leaves_the_rest},
    {"stdio/a_program_that_reads_nothing_leaves_all", a_program_that_reads_nothing_leaves_all},
    {"stdio/what_is_left_of_a_file_is_for_the_next_reader",
     what_is_left_of_a_file_is_for_the_next_reader},
    {"stdio/a_directory_as_input_is_an_error", a_directory_as_input_is_an_error},
    {"stdio/output_to_a_full_disk_is_an_error", output_to_a_full_disk_is_an_error},
    {"stdio/a_slow_reader_loses_nothing", a_slow_reader_loses_nothing},
    {"stdio/what_was_written_is_what_arrives", what_was_written_is_what_arrives},
    {"stdio/output_to_a_file_is_appended_in_order", output_to_a_file_is_appended_in_order},
    {"stdio/closed_descriptors_are_closed_inside", closed_descriptors_are_closed_inside},
    {"stdio/the_program_sets_the_terminals_modes_and_samara_puts_them_back",
     the_program_sets_the_terminals_modes_and_samara_puts_them_back},
    {"stdio/a_timeout_ends_it_with_124", a_timeout_ends_it_with_124},
    {"stdio/signals_reach_a_busy_program", signals_reach_a_busy_program},
    {"stdio/signals_reach_a_sleeping_program", signals_reach_a_sleeping_program},
    {"stdio/a_signal_ends_the_wait_for_a_slow_reader", a_signal_ends_the_wait_for_a_slow_reader},
    {"stdio/a_stream_that_the_program_closes_is_closed",
     a_stream_that_the_program_closes_is_closed},
    {"stdio/signals_during_boot_are_not_lost", signals_during_boot_are_not_lost},
    {"stdio/a_hello_leaves_the_guest_three_times", a_hello_leaves_the_guest_three_times},
    {NULL, NULL},
};
