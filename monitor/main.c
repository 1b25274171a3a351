/* samara: the commands, and the one place that prints errors and exits. */
#include <stdio.h>
#include <string.h>

#include "monitor/err.h"
#include "monitor/run.h"

struct command {
    const char *name;
    const char *help;
    int (*run)(int argc, char **argv, struct err *err);
};

static int version_command(int argc, char **argv, struct err *err);
static int help_command(int argc, char **argv, struct err *err);

static const struct command commands[] = {
    {"run", "run a static Linux program alone in its own virtual machine", run_command},
    {"version", "print the version", version_command},
    {"help", "this text", help_command},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static int version_command(int argc, char **argv, struct err *err)
{
    (void)argc;
    (void)argv;
    (void)err;
    puts("samara " SAMARA_VERSION);
    return 0;
}

static int help_command(int argc, char **argv, struct err *err)
{
    (void)argc;
    (void)argv;
    (void)err;
    puts("usage: samara COMMAND [ARGUMENT]...\n\nA micro-VM monitor: one small process, one guest, "
         "about a millisecond.\n");
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

int main(int argc, char **argv)
{
    const struct command *command = argc > 1 ? find(argv[1]) : NULL;
    struct err err = {.text = ""};
    int status = EXIT_SAMARA;

    if (command)
        status = command->run(argc - 2, argv + 2, &err);
    else if (argc > 1)
        err_set(&err, "unknown command '%.64s' (see `samara --help`)", argv[1]);
    else
        err_set(&err, "which command? (see `samara --help`)");
    if (err.text[0])
        fprintf(stderr, "samara: %s\n", err.text);
    if (fflush(stdout) != 0 && status == 0)
        status = EXIT_SAMARA;
    return status;
}
