/* See clone.h. Each clone is a `samara restore` of its own, a child of this command. */
#include "monitor/snapshot/clone.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monitor/control_dir.h"

enum { SOME_FAILED = 1, CLONES_MOST = 100000, WORDS_MOST = 64, PATH = 4096 };

static const char usage[] = "usage: samara clone -n N [OPTION]... SNAPSHOT";

struct clones {
    long count;
    const char *name, *vsock, *snapshot;
    char *words[WORDS_MOST]; /* for restore, as they are */
    int word_count;
};

/* --- the command line --- */

static bool take_value(int argc, char **argv, int *at, const char *option, const char **value)
{
    size_t len = strlen(option);

    if (strcmp(argv[*at], option) == 0 && *at + 1 < argc) {
        *value = argv[++*at];
        return true;
    }
    if (strncmp(argv[*at], option, len) != 0 || argv[*at][len] != '=')
        return false;
    *value = argv[*at] + len + 1;
    return true;
}

static int take_count(const char *text, long *count, struct err *err)
{
    char *end;

    errno = 0;
    *count = strtol(text, &end, 10);
    if (errno != 0 || *end || end == text || *count < 1 || *count > CLONES_MOST)
        return err_set(err, "-n: '%.64s' is not a number from 1 to %d", text, CLONES_MOST);
    return 0;
}

/* What is different for each is ours; the rest restore will judge. The last word is the snapshot.
 */
static int parse(struct clones *c, int argc, char **argv, struct err *err)
{
    const char *count = NULL;

    if (argc == 0 || argv[argc - 1][0] == '-')
        return err_set(err, "which SNAPSHOT? (%s)", usage);
    c->snapshot = argv[--argc];
    for (int i = 0; i < argc; i++) {
        if (take_value(argc, argv, &i, "-n", &count) ||
            take_value(argc, argv, &i, "--name", &c->name) ||
            take_value(argc, argv, &i, "--vsock", &c->vsock))
            continue;
        if (c->word_count == WORDS_MOST)
            return err_set(err, "too many options");
        c->words[c->word_count++] = argv[i];
    }
    return count ? take_count(count, &c->count, err) : err_set(err, "how many? (%s)", usage);
}

/* --- the clones --- */

static void become(const struct clones *c, long number)
{
    char path[PATH], own_name[VM_NAME_MAX + 24], own_vsock[PATH];
    const char *argv[WORDS_MOST + 8] = {"samara", "restore"};
    int n = 2, null = open("/dev/null", O_RDONLY);

    snprintf(path, sizeof(path), "%s", c->snapshot);
    snprintf(own_name, sizeof(own_name), "%.*s-%ld", VM_NAME_MAX - 7,
             c->name ? c->name : basename(path), number);
    snprintf(own_vsock, sizeof(own_vsock), "%s-%ld", c->vsock ? c->vsock : "", number);
    for (int i = 0; i < c->word_count; i++)
        argv[n++] = c->words[i];
    argv[n++] = "--name";
    argv[n++] = own_name;
    if (c->vsock) {
        argv[n++] = "--vsock";
        argv[n++] = own_vsock;
    }
    argv[n] = c->snapshot;
    if (null >= 0)
        dup2(null, STDIN_FILENO);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    perror("samara: clone: /proc/self/exe");
    _exit(EXIT_SAMARA);
}

/* Those that a terminal sends reach the children as well; others are passed on. */
static const int passed_on[] = {SIGTERM, SIGHUP, SIGINT, SIGQUIT};
static volatile sig_atomic_t wanted;

static void note(int sig)
{
    wanted = sig;
}

static void hear_signals(void)
{
    const struct sigaction hear = {.sa_handler = note};

    for (unsigned i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
        sigaction(passed_on[i], &hear, NULL);
}

static void pass_on(const pid_t *children, long count)
{
    int sig = wanted;

    wanted = 0;
    for (long i = 0; i < count && sig != 0; i++) {
        if (children[i] > 0)
            kill(children[i], sig);
    }
}

static void forget(pid_t *children, long count, pid_t child)
{
    for (long i = 0; i < count; i++) {
        if (children[i] == child)
            children[i] = 0;
    }
}

/* How many did not end with 0. */
static long await_all(pid_t *children, long count)
{
    long failed = 0;

    for (;;) {
        int status;
        pid_t child = wait(&status);

        if (child < 0 && errno == EINTR) {
            pass_on(children, count);
            continue;
        }
        if (child < 0)
            return failed;
        forget(children, count, child);
        failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    }
}

static long start_all(const struct clones *c, pid_t *children, struct err *err)
{
    for (long i = 0; i < c->count && wanted == 0; i++) {
        children[i] = fork();
        if (children[i] == 0)
            become(c, i + 1);
        if (children[i] < 0) {
            err_sys(err, "clone %ld", i + 1);
            return i;
        }
    }
    return c->count;
}

int clone_command(int argc, char **argv, struct report *report)
{
    struct clones c = {.count = 0};
    static pid_t children[CLONES_MOST];
    long failed;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf("%s\n\nGrows N virtual machines from a snapshot and waits for all of them. The "
               "options are those of\n"
               "`samara restore`; with --name NAME they are NAME-1 to NAME-N (default: the "
               "snapshot's name),\n"
               "with --vsock PATH each has a socket of its own, PATH-1 to PATH-N. Their input is "
               "empty.\n",
               usage);
        return 0;
    }
    if (parse(&c, argc, argv, &report->err) != 0)
        return EXIT_SAMARA;
    hear_signals();
    start_all(&c, children, &report->err);
    failed = await_all(children, c.count);
    if (failed > 0 && !report->err.text[0])
        err_set(&report->err, "clone: %ld of %ld did not end well", failed, c.count);
    return failed > 0 || report->err.text[0] ? SOME_FAILED : 0;
}
