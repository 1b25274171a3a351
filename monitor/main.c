/* samara: the commands, and the one place that prints errors and exits. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control_commands.h"
#include "monitor/report.h"
#include "monitor/run.h"
#include "monitor/snapshot/clone.h"
#include "monitor/snapshot/compare.h"
#include "monitor/snapshot/flatten.h"
#include "monitor/snapshot/snapshot_commands.h"
#include "monitor/snapshot/take_command.h"

struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv, struct report *report);
};

static int version_command(int argc, char **argv, struct report *report);
static int help_command(int argc, char **argv, struct report *report);

static const struct command commands[] = {
    {"run", "run a static Linux program alone in its own virtual machine", run_command},
    {"ps", "list your running virtual machines", ps_command},
    {"status", "say all about one, as JSON", status_command},
    {"pause", "stop one where it is", pause_command},
    {"resume", "let it go on", resume_command},
    {"shutdown", "ask its program to end (SIGTERM)", shutdown_command},
    {"kill", "end it at once", kill_command},
    {"snapshot", "write it, as it is now, to a directory", snapshot_command},
    {"restore", "grow a virtual machine from such a directory", restore_command},
    {"clone", "grow several", clone_command},
    {"reset", "put one that was grown back to where its snapshot stood", reset_command},
    {"record", "note what one has used by now as what its clones need first", record_command},
    {"inspect", "say what a snapshot is", inspect_command},
    {"verify", "check a snapshot to the last byte", verify_command},
    {"flatten", "make one snapshot of a diff and all beneath it", flatten_command},
    {"diff", "name what is different between two snapshots", diff_command},
    {"version", "print the version", version_command},
    {"help", "this text", help_command},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int version_command(int argc, char **argv, struct report *report)
{
    (void)argc;
    (void)argv;
    (void)report;
    puts("samara " SAMARA_VERSION);
    return 0;
}

static int help_command(int argc, char **argv, struct report *report)
{
    (void)argc;
    (void)argv;
    (void)report;
    puts("usage: samara COMMAND [ARGUMENT]...\n\nA micro-VM monitor: one guest, two small "
         "processes, "
         "two milliseconds or so.\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].help);
    puts("\n`samara run --help` lists its options; the manual is samara(1).");
    return 0;
}

static const struct command *find(const char *name)
{
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    }
    return NULL;
}

/* A caller may have closed them; what is opened first must not become the program's input. A
 * placeholder can be neither read nor written. */
static void occupy_stdio(void)
{
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_PATH) < 0)
            _exit(EXIT_SAMARA);
    }
}

/* Every line with a prefix of its own. */
static void print_lines(const char *prefix, const char *text)
{
    while (*text) {
        size_t len = strcspn(text, "\n");

        fprintf(stderr, "samara: %s%.*s\n", prefix, (int)len, text);
        text += len + (text[len] == '\n');
    }
}

int main(int argc, char **argv)
{
    static struct report report;
    static char line[PRINTABLE_ROOM(ERR_TEXT)]; /* names of files may hold anything */
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    int status = EXIT_SAMARA;

    occupy_stdio();
    if (command)
        status = command->run(argc - 2, argv + 2, &report);
    else if (argc > 1)
        err_set(&report.err, "unknown command '%.64s' (see `samara --help`)", argv[1]);
    else
        err_set(&report.err, "which command? (see `samara --help`)");
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
        err_sys(&report.err, "standard output");
        status = EXIT_SAMARA;
    }
    print_lines("guest kernel: ", report.guest);
    printable_copy(line, sizeof(line), report.err.text, strlen(report.err.text));
    print_lines("", line);
    return status;
}
