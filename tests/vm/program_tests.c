/* Ordinary programs, from Debian's packages or built from its libraries, against the host's answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/vm/runner.h"

/* Runs argv in a VM and on the host with the same input; both must say and return the same. */
static void same_as_host(const char *const argv[], const char *input)
{
    struct job here = {.input = input, .input_len = input ? strlen(input) : 0};
    struct job inside = {.argv = {samara(), "run", "--mem", "256M", "--env", "LC_ALL=C"},
                         .input = input,
                         .input_len = here.input_len};
    struct outcome want, got;

    for (size_t i = 0; argv[i]; i++) {
        here.argv[i] = argv[i];
        inside.argv[i + 6] = argv[i];
    }
    setenv("LC_ALL", "C", 1);
    job_run(&here, &want);
    job_run(&inside, &got);
    STATUS(&got, want.status < 0 ? 128 - want.status : want.status); /* a signal: 128 + n */
    OUTPUT_IS(&got, want.out, want.out_len);
    outcome_free(&want);
    outcome_free(&got);
}

static void busybox_same(const char *script, const char *input)
{
    const char *argv[] = {"/bin/busybox", "sh", "-c", script, NULL};

    same_as_host(argv, input);
}

static void busybox_applets_agree_with_the_host(void)
{
    static const char *const applets[][6] = {
        {"/bin/busybox", "sha256sum", NULL},
        {"/bin/busybox", "sort", "-r", NULL},
        {"/bin/busybox", "awk", "{ n += length($0) } END { print NR, n; printf \"%.3f\\n\", n/7 }",
         NULL},
        {"/bin/busybox", "wc", NULL},
        {"/bin/busybox", "sed", "s/line/LINE/", NULL},
        {"/bin/busybox", "grep", "-c", "7", NULL},
        {"/bin/busybox", "tail", "-n", "3", NULL},
        {"/bin/busybox", "od", "-c", NULL},
        {"/bin/busybox", "uniq", "-c", NULL},
        {"/bin/busybox", "base64", NULL},
    };
    static char input[200000];
    size_t len = 0;

    for (int i = 0; i < 8000; i++)
        len += (size_t)sprintf(input + len, "line %d %d\n", i * 7919 % 8000, i);
    for (size_t i = 0; i < sizeof(applets) / sizeof(applets[0]); i++)
        same_as_host(applets[i], input);
}

static void busybox_gzip_comes_back(void)
{
    char script[600];
    struct job job = {.argv = {"/bin/sh", "-c", script}};
    struct outcome o;

    snprintf(script, sizeof(script),
             "head -c 3000000 /bin/busybox > %s; %s run /bin/busybox gzip -c < %s | gzip -dc | "
             "cmp - %s && echo same; gzip -c < %s | %s run /bin/busybox gunzip -c | cmp - %s && "
             "echo same",
             scratch("in"), samara(), scratch("in"), scratch("in"), scratch("in"), samara(),
             scratch("in"));
    job_run(&job, &o);
    OUTPUT(&o, "same\nsame\n");
}

static void busybox_sh_runs_builtins(void)
{
    busybox_same("i=0; s=0; while [ $i -lt 3000 ]; do s=$((s+i*i)); i=$((i+1)); done; echo $s; "
                 "f() { local a=$1; echo \"f $a\"; }; f 1; case abc in a*) echo star;; esac; "
                 "set -- x y z; echo $# $2; read a b; echo \"$b-$a\"; printf '%05d %s\\n' 42 ok; "
                 "cd /tmp && pwd; x=5; echo ${x:-3} ${#x}; trap 'echo bye' EXIT",
                 "first second\n");
}

static void busybox_sh_uses_files_in_tmp(void)
{
    busybox_same("cd /tmp; D=st.$$; echo hello > samara-t; read l < samara-t; echo $l; "
                 "echo more >> samara-t; while read l; do echo \"> $l\"; done < samara-t; "
                 "[ -f samara-t ] && echo is; : > samara-t; [ -s samara-t ] || echo empty",
                 NULL);
}

static void bash_runs_a_script_of_builtins(void)
{
    const char *argv[] = {
        "/bin/bash-static", "-c",
        "declare -A m; m[a]=1; m[b]=2; for k in a b; do echo $k=${m[$k]}; done; "
        "a=(3 1 2); echo ${#a[@]} ${a[-1]}; s='hello world'; echo ${s^^} ${s/world/there}; "
        "[[ $s =~ ^h(.*)d$ ]] && echo ${BASH_REMATCH[1]}; printf -v x '%03d' 7; echo $x; "
        "echo $((2**40)); while IFS=, read -r p q; do echo $q:$p; done <<< 'one,two'; "
        "mapfile -t lines; echo ${#lines[@]} ${lines[1]}; exit 3",
        NULL};

    same_as_host(argv, "l1\nl2\nl3\n");
}

/* A variant that was not built fails the test. */
static void each_variant(const char *name, const char *const suffixes[])
{
    for (size_t i = 0; suffixes[i]; i++) {
        char file[64];
        const char *argv[2] = {NULL, NULL};

        snprintf(file, sizeof(file), "%s%s", name, suffixes[i]);
        argv[0] = program(file);
        if (access(argv[0], X_OK) != 0)
            fail_at(__FILE__, __LINE__, "no program %s", argv[0]);
        same_as_host(argv, NULL);
    }
}

static const char *const all[] = {"", "-pie", "-musl", NULL};
static const char *const glibc_only[] = {"", "-pie", NULL};

#define VARIANTS(name, which)                                                                      \
    static void name##_does_as_on_the_host(void)                                                   \
    {                                                                                              \
        each_variant(#name, which);                                                                \
    }
VARIANTS(hello, all)
VARIANTS(pthreads, all)
VARIANTS(signals, all)
VARIANTS(cpp_exceptions, glibc_only) /* Debian's libstdc++ is made for glibc */
VARIANTS(lua_bench, all)
VARIANTS(sqlite, all)
VARIANTS(mmap, all)
VARIANTS(files, all)
VARIANTS(file_edges, all)
VARIANTS(epoll, all)
VARIANTS(socketpair, all)
VARIANTS(unix_sockets, all)
VARIANTS(inet_corners, all)
VARIANTS(inet_sockets, all)
VARIANTS(socket_options, all)
VARIANTS(timerfd, all)
VARIANTS(clock, all)
VARIANTS(timers, all)
VARIANTS(mutexes, all)
VARIANTS(frames, all)
VARIANTS(getrandom, all)
VARIANTS(segv, all)
VARIANTS(wild_jump, all)
VARIANTS(div0, all)
VARIANTS(illegal, all)
VARIANTS(stack_overflow, all)

static void small_writes_within_the_machine_are_not_held(void)
{
    struct job job = {.argv = {samara(), "run", program("inet_sockets"), "small"}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "1 2 3 4 1 2 3 4 \n1 2 3 4 1 2 3 4 \n");
    outcome_free(&o);
}

static void stdin_is_read_by_edges(void)
{
    static char input[3000000];
    const char *argv[] = {program("epoll_stdin"), NULL};

    for (size_t i = 0; i + 1 < sizeof(input); i++)
        input[i] = (char)('a' + i * 7919 % 26);
    same_as_host(argv, input);
}

const struct vm_test program_tests[] = {
    {"program/busybox_applets_agree_with_the_host", busybox_applets_agree_with_the_host},
    {"program/busybox_gzip_comes_back", busybox_gzip_comes_back},
    {"program/busybox_sh_runs_builtins", busybox_sh_runs_builtins},
    {"program/busybox_sh_uses_files_in_tmp", busybox_sh_uses_files_in_tmp},
    {"program/bash_runs_a_script_of_builtins", bash_runs_a_script_of_builtins},
    {"program/hello_does_as_on_the_host", hello_does_as_on_the_host},
    {"program/pthreads_does_as_on_the_host", pthreads_does_as_on_the_host},
    {"program/signals_does_as_on_the_host", signals_does_as_on_the_host},
    {"program/cpp_exceptions_does_as_on_the_host", cpp_exceptions_does_as_on_the_host},
    {"program/lua_bench_does_as_on_the_host", lua_bench_does_as_on_the_host},
    {"program/sqlite_does_as_on_the_host", sqlite_does_as_on_the_host},
    {"program/mmap_does_as_on_the_host", mmap_does_as_on_the_host},
    {"program/files_does_as_on_the_host", files_does_as_on_the_host},
    {"program/file_edges_does_as_on_the_host", file_edges_does_as_on_the_host},
    {"program/epoll_does_as_on_the_host", epoll_does_as_on_the_host},
    {"program/stdin_is_read_by_edges", stdin_is_read_by_edges},
    {"program/socketpair_does_as_on_the_host", socketpair_does_as_on_the_host},
    {"program/unix_sockets_does_as_on_the_host", unix_sockets_does_as_on_the_host},
    {"program/inet_corners_does_as_on_the_host", inet_corners_does_as_on_the_host},
    {"program/inet_sockets_does_as_on_the_host", inet_sockets_does_as_on_the_host},
    {"program/small_writes_within_the_machine_are_not_held",
     small_writes_within_the_machine_are_not_held},
    {"program/socket_options_does_as_on_the_host", socket_options_does_as_on_the_host},
    {"program/timerfd_does_as_on_the_host", timerfd_does_as_on_the_host},
    {"program/clock_does_as_on_the_host", clock_does_as_on_the_host},
    {"program/timers_does_as_on_the_host", timers_does_as_on_the_host},
    {"program/mutexes_does_as_on_the_host", mutexes_does_as_on_the_host},
    {"program/frames_does_as_on_the_host", frames_does_as_on_the_host},
    {"program/getrandom_does_as_on_the_host", getrandom_does_as_on_the_host},
    {"program/segv_does_as_on_the_host", segv_does_as_on_the_host},
    {"program/wild_jump_does_as_on_the_host", wild_jump_does_as_on_the_host},
    {"program/div0_does_as_on_the_host", div0_does_as_on_the_host},
    {"program/illegal_does_as_on_the_host", illegal_does_as_on_the_host},
    {"program/stack_overflow_does_as_on_the_host", stack_overflow_does_as_on_the_host},
    {NULL, NULL},
};
