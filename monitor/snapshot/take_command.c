/* See take_command.h. */
#include "monitor/snapshot/take_command.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control_dir.h"
#include "monitor/json.h"
#include "monitor/snapshot/receive.h"

enum { SAID_NO = 1 };

static const char usage[] =
    "usage: samara snapshot NAME OUT [--diff] [--stop] [--single-use] [--no-sync] [--json]";

struct words {
    const char *name;
    struct receive_wish wish;
    bool json, help;
};

static int parse(struct words *w, int argc, char **argv, struct err *err)
{
    *w = (struct words){.wish = {.sync = true}};
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0)
            w->help = true;
        else if (strcmp(argv[i], "--stop") == 0)
            w->wish.flags |= SNAPSHOT_STOP;
        else if (strcmp(argv[i], "--diff") == 0)
            w->wish.flags |= SNAPSHOT_LAYER;
        else if (strcmp(argv[i], "--single-use") == 0)
            w->wish.single_use = true;
        else if (strcmp(argv[i], "--no-sync") == 0)
            w->wish.sync = false;
        else if (strcmp(argv[i], "--json") == 0)
            w->json = true;
        else if (argv[i][0] == '-')
            return err_set(err, "unknown option %.64s (%s)", argv[i], usage);
        else if (!w->name)
            w->name = argv[i];
        else if (!w->wish.out)
            w->wish.out = argv[i];
        else
            return err_set(err, "%s", usage);
    }
    return w->help || w->wish.out ? 0 : err_set(err, "%s", usage);
}

static void help(void)
{
    printf(
        "%s\n\n"
        "Writes the VM as it is now to the new directory OUT, from which `samara restore` grows\n"
        "others. It goes on running, and stands still for a fraction of a millisecond.\n\n"
        "  --diff        only what has changed since the snapshot that it grew from\n"
        "  --stop        end it, once the snapshot is there, as if by `samara kill`\n"
        "  --single-use  a second restore is refused\n"
        "  --no-sync     do not wait until it is on stable storage\n"
        "  --json        say on standard output what was done\n",
        usage);
}

/* --- signals --- */

static void nothing(int sig)
{
    (void)sig;
}

/* They end what waits, so that nothing half done is left. */
static void hear_signals(void)
{
    const struct sigaction interrupt = {.sa_handler = nothing};

    sigaction(SIGINT, &interrupt, NULL);
    sigaction(SIGTERM, &interrupt, NULL);
    sigaction(SIGHUP, &interrupt, NULL);
    signal(SIGXFSZ, SIG_IGN);
}

/* --- the command --- */

static void say(const struct words *w, const struct receive_result *r)
{
    char text[256];
    struct json j = JSON_INTO(text);

    if (!w->json) {
        if (isatty(STDERR_FILENO))
            fprintf(stderr, "samara: %s: %.1f of %llu MiB; the guest stood for %.2f ms\n",
                    w->wish.out, (double)r->bytes / (1 << 20),
                    (unsigned long long)(r->memory >> 20), (double)r->pause_ns / 1e6);
        return;
    }
    json_begin(&j, NULL, '{');
    json_bool(&j, "ok", true);
    json_number(&j, "memory", r->memory);
    json_number(&j, "bytes", r->bytes);
    json_number(&j, "disk_bytes", r->disk_bytes);
    json_number(&j, "rounds", r->rounds);
    json_number(&j, "pause_us", r->pause_ns / 1000);
    json_end(&j, '}');
    puts(text);
}

static int connect_to(const char *name, struct err *err)
{
    char path[UNIX_PATH_MAX + 1];
    int fd;

    if (control_path(path, name, err) != 0)
        return -1;
    fd = unix_connect(path);
    if (fd == -ENOENT || fd == -ECONNREFUSED)
        return err_set(err, "no VM called %s (see `samara ps`)", name);
    errno = fd < 0 ? -fd : 0;
    return fd < 0 ? err_sys(err, "%s: control socket", name) : fd;
}

int snapshot_command(int argc, char **argv, struct report *report)
{
    struct receive_result result;
    struct words w;
    int fd, status;

    if (parse(&w, argc, argv, &report->err) != 0)
        return EXIT_SAMARA;
    if (w.help) {
        help();
        return 0;
    }
    fd = connect_to(w.name, &report->err);
    if (fd < 0)
        return SAID_NO;
    hear_signals();
    status = snapshot_receive(fd, &w.wish, &result, &report->err);
    if (status != 0)
        err_in(&report->err, "%s", w.name);
    else
        say(&w, &result);
    close(fd);
    return status == 0 ? 0 : SAID_NO;
}
