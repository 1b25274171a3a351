/* See control_commands.h. */
#include "monitor/control_commands.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "monitor/control_client.h"
#include "monitor/control_dir.h"
#include "monitor/printable.h"
#include "monitor/runtime_dir.h"

enum { SAID_NO = 1 };

static const char suffix[] = ".sock";

/* --- one VM --- */

/* Nobody but us can tell a clone who it is to be. */
static int ask_path(const char *path, enum control_kind kind, char text[CONTROL_PAYLOAD + 1],
                    struct err *err)
{
    struct control_reset who;

    if (kind != CONTROL_RESET)
        return control_ask(path, kind, text, err);
    if (getrandom(&who, sizeof(who), 0) != sizeof(who))
        return err_sys(err, "getrandom");
    return control_ask_with(path, kind, &who, sizeof(who), text, err);
}

static int ask_vm(const char *name, enum control_kind kind, char text[CONTROL_PAYLOAD + 1],
                  struct err *err)
{
    char path[UNIX_PATH_MAX + 1];

    if (control_path(path, name, err) != 0)
        return -1;
    if (ask_path(path, kind, text, err) == 0)
        return 0;
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, "no VM called %s (see `samara ps`)", name);
    return err_in(err, "%s", name);
}

/* Whoever answers need not be a VM of ours: nothing of it may drive the terminal, or make lines. */
static void print_answer(const char *text)
{
    static char line[PRINTABLE_ROOM(CONTROL_PAYLOAD)];

    printable_copy(line, sizeof(line), text, strcspn(text, "\n"));
    puts(line);
}

static bool is_good(const char *answer)
{
    static const char good[] = "{\"ok\":true";

    return strncmp(answer, good, sizeof(good) - 1) == 0;
}

static int command(int argc, char **argv, const char *what, enum control_kind kind,
                   struct report *report)
{
    static char text[CONTROL_PAYLOAD + 1];

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        printf("usage: samara %s NAME\n", what);
        return 0;
    }
    if (argc != 1) {
        err_set(&report->err, "usage: samara %s NAME", what);
        return EXIT_SAMARA;
    }
    if (ask_vm(argv[0], kind, text, &report->err) != 0)
        return SAID_NO;
    if (kind == CONTROL_STATUS || !is_good(text))
        print_answer(text);
    return is_good(text) ? 0 : SAID_NO;
}

int status_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "status", CONTROL_STATUS, report);
}

int pause_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "pause", CONTROL_PAUSE, report);
}

int resume_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "resume", CONTROL_RESUME, report);
}

int shutdown_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "shutdown", CONTROL_SHUTDOWN, report);
}

int kill_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "kill", CONTROL_KILL, report);
}

int reset_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "reset", CONTROL_RESET, report);
}

int record_command(int argc, char **argv, struct report *report)
{
    return command(argc, argv, "record", CONTROL_RECORD, report);
}

/* --- all of them --- */

static int is_socket_name(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), tail = sizeof(suffix) - 1;

    return len > tail && strcmp(entry->d_name + len - tail, suffix) == 0;
}

/* A line of the table, or JSON; a socket left by a keeper that was killed is removed. */
static void list_one(const char *dir, const char *file, bool json)
{
    static char text[CONTROL_PAYLOAD + 1];
    char path[UNIX_PATH_MAX + 1];
    struct err err;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) >= sizeof(path))
        return;
    if (control_ask(path, json ? CONTROL_STATUS : CONTROL_LIST, text, &err) == 0)
        print_answer(text);
    else if (errno == ECONNREFUSED)
        unlink(path);
    else
        fprintf(stderr, "samara: %s: %s\n", file, err.text);
}

int ps_command(int argc, char **argv, struct report *report)
{
    bool json = argc == 1 && strcmp(argv[0], "--json") == 0;
    char dir[UNIX_PATH_MAX + 1];
    struct dirent **entries;
    int count;

    if (argc == 1 && strcmp(argv[0], "--help") == 0) {
        puts("usage: samara ps [--json]\n\nLists your running VMs.");
        return 0;
    }
    if (argc > 0 && !json) {
        err_set(&report->err, "usage: samara ps [--json]");
        return EXIT_SAMARA;
    }
    if (runtime_dir_path(dir, &report->err) != 0)
        return SAID_NO;
    count = scandir(dir, &entries, is_socket_name, alphasort);
    if (count < 0) {
        err_sys(&report->err, "%s", dir);
        return SAID_NO;
    }
    if (!json)
        puts("NAME                              PID STATE       MEMORY   SECONDS PROGRAM");
    for (int i = 0; i < count; i++) {
        list_one(dir, entries[i]->d_name, json);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
