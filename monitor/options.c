/* See options.h. */
#include "monitor/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/control_dir.h"
#include "monitor/units.h"

#define TIMEOUT_MIN 1000000ull                /* 1 ms */
#define TIMEOUT_MAX (1000ull * 3600000000000) /* 1000 h */

/* Strings one after the other, growing. */
struct block {
    char *data;
    size_t size;
};

struct parse {
    struct run_options *out;
    struct block env;
    bool has_path, has_home;
};

enum { RUN = 1 << RUN_PROGRAM, RESTORE = 1 << RUN_SNAPSHOT, BOTH = RUN | RESTORE };

struct option {
    unsigned commands; /* that have it */
    const char *name;
    const char *value; /* what the help calls it; NULL: a switch */
    const char *help;
    int (*take)(struct parse *p, const char *value, struct err *err);
};

static int append(struct block *b, const char *text, size_t len, struct err *err)
{
    char *grown;

    if (b->size + len + 1 > VM_STRINGS_MAX)
        return err_set(err, "arguments and environment are longer than %u KiB",
                       VM_STRINGS_MAX >> 10);
    grown = realloc(b->data, b->size + len + 1);
    if (!grown)
        return err_sys(err, "arguments");
    memcpy(grown + b->size, text, len);
    grown[b->size + len] = '\0';
    b->data = grown;
    b->size += len + 1;
    return 0;
}

static int take_mem(struct parse *p, const char *value, struct err *err)
{
    if (parse_size(value, VM_MEMORY_MIN, VM_MEMORY_MAX, &p->out->vm.memory, err) != 0)
        return -1;
    p->out->vm.memory &= ~0xfffull;
    return 0;
}

static int take_timeout(struct parse *p, const char *value, struct err *err)
{
    return parse_duration(value, TIMEOUT_MIN, TIMEOUT_MAX, &p->out->timeout_ns, err);
}

/* The last one counts, as with env(1). */
static void forget_variable(struct block *b, const char *pair)
{
    size_t name = strcspn(pair, "=") + 1;

    for (size_t at = 0, len; at < b->size; at += len) {
        len = strlen(b->data + at) + 1;
        if (strncmp(b->data + at, pair, name) != 0)
            continue;
        b->size -= len;
        memmove(b->data + at, b->data + at + len, b->size - at);
        return;
    }
}

static int append_pair(struct parse *p, const char *pair, struct err *err)
{
    p->has_path |= strncmp(pair, "PATH=", 5) == 0;
    p->has_home |= strncmp(pair, "HOME=", 5) == 0;
    forget_variable(&p->env, pair);
    return append(&p->env, pair, strlen(pair), err);
}

/* K=V, or K: the host's value if it has one. */
static int take_env(struct parse *p, const char *value, struct err *err)
{
    size_t name = strcspn(value, "=");
    const char *host;
    char *pair;
    int r;

    if (name == 0)
        return err_set(err, "'%.64s' has no name before the '='", value);
    if (value[name] == '=')
        return append_pair(p, value, err);
    host = getenv(value);
    if (!host)
        return 0;
    if (asprintf(&pair, "%s=%s", value, host) < 0)
        return err_set(err, "out of memory");
    r = append_pair(p, pair, err);
    free(pair);
    return r;
}

static int take_vsock(struct parse *p, const char *value, struct err *err)
{
    (void)err;
    p->out->vm.vsock_path = value;
    return 0;
}

static int take_name(struct parse *p, const char *value, struct err *err)
{
    p->out->vm.name = value;
    return vm_name_check(value, err);
}

static int take_kernel(struct parse *p, const char *value, struct err *err)
{
    (void)err;
    p->out->vm.kernel_path = value;
    return 0;
}

static int take_trace(struct parse *p, const char *value, struct err *err)
{
    (void)err;
    p->out->vm.trace_path = value;
    return 0;
}

static int take_snapshot_path(struct parse *p, const char *value, struct err *err)
{
    (void)err;
    p->out->vm.snapshot_path = value;
    return 0;
}

static int take_seccomp(struct parse *p, const char *value, struct err *err)
{
    static const struct {
        const char *name;
        enum seccomp_mode mode;
    } modes[] = {
        {"kill", SECCOMP_MODE_KILL}, {"trap", SECCOMP_MODE_TRAP}, {"log", SECCOMP_MODE_LOG}};

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, value) == 0) {
            p->out->vm.seccomp = modes[i].mode;
            return 0;
        }
    }
    return err_set(err, "'%.64s' is none of kill, trap and log", value);
}

static int take_no_seccomp(struct parse *p, const char *value, struct err *err)
{
    if (strcmp(value, "unsafe") != 0)
        return err_set(err,
                       "whoever breaks out of the guest is then free to do anything; if that is "
                       "wanted, say --no-seccomp=unsafe");
    p->out->vm.seccomp = SECCOMP_MODE_OFF;
    return 0;
}

static int take_cgroup(struct parse *p, const char *value, struct err *err)
{
    struct vm_config *vm = &p->out->vm;

    if (vm->cgroup_count == VM_CGROUPS)
        return err_set(err, "not more than %d", VM_CGROUPS);
    vm->cgroups[vm->cgroup_count++] = value;
    return 0;
}

static int take_disk(struct parse *p, const char *value, struct err *err)
{
    struct vm_config *vm = &p->out->vm;

    if (vm->disk_count == VM_DISKS)
        return err_set(err, "not more than %d", VM_DISKS);
    return disk_config_parse(&vm->disks[vm->disk_count++], value, err);
}

static int take_net(struct parse *p, const char *value, struct err *err)
{
    struct vm_config *vm = &p->out->vm;

    if (vm->net_count == VM_NETS)
        return err_set(err, "not more than %d", VM_NETS);
    return net_config_parse(&vm->nets[vm->net_count++], value, err);
}

static int take_require(struct parse *p, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    p->out->vm.require_confinement = true;
    return 0;
}

static int take_park(struct parse *p, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    p->out->park = true;
    return 0;
}

static int take_clock(struct parse *p, const char *value, struct err *err)
{
    p->out->vm.clock_elapsed = strcmp(value, "elapsed") == 0;
    if (p->out->vm.clock_elapsed || strcmp(value, "continue") == 0)
        return 0;
    return err_set(err, "'%s' is neither continue nor elapsed", value);
}

static int take_record(struct parse *p, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    p->out->record = true;
    return 0;
}

static int take_verbose(struct parse *p, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    p->out->vm.verbose = true;
    return 0;
}

static int take_help(struct parse *p, const char *value, struct err *err)
{
    (void)value;
    (void)err;
    p->out->help = true;
    return 0;
}

static const struct option options[] = {
    {RUN, "--mem", "SIZE", "memory of the VM, 16M to 256G (default 128M)", take_mem},
    {RUN, "--env", "K[=V]", "a variable for the program; without =V the host's value", take_env},
    {BOTH, "--timeout", "TIME", "end the program after TIME (500ms, 5s, 2m): exit status 124",
     take_timeout},
    {BOTH, "--vsock", "PATH",
     "listen on this UNIX socket: CONNECT <port>; guest port N goes to PATH_N", take_vsock},
    {RUN, "--disk", "FILE[,...]",
     "a disk, /dev/vda and so on: ,ro ,overlay=FILE and limits, see samara-run(1)", take_disk},
    {RESTORE, "--disk", "FILE[,...]",
     "each that there was: its base, which stays as it is, or ,ro; see samara-restore(1)",
     take_disk},
    {BOTH, "--net", "tap=NAME|fd=N|passt[=SOCKET][,...]",
     "an interface, eth0 and so on: ,ip= ,gw= ,dns= and others, see samara-run(1)", take_net},
    {RUN, "--snapshot", "OUT", "when the program says that it is ready: `samara snapshot` to OUT",
     take_snapshot_path},
    {BOTH, "--name", "NAME", "of the VM, for `samara ps`, `pause` and so on", take_name},
    {RESTORE, "--park", NULL, "make all ready and wait: `samara resume NAME` lets it go on",
     take_park},
    {RESTORE, "--clock", "continue|elapsed",
     "clocks go on from where they stood (continue), or with the time since", take_clock},
    {RESTORE, "--record", NULL, "note anew which memory is needed first, for those that follow",
     take_record},
    {RUN, "--kernel", "FILE", "boot this guest kernel instead of samara's own", take_kernel},
    {BOTH, "--trace", "FILE", "write the boot timeline as Chrome trace JSON (Perfetto, speedscope)",
     take_trace},
    {BOTH, "--seccomp", "MODE",
     "what a forbidden system call of samara's own does: kill; for debugging trap, log",
     take_seccomp},
    {BOTH, "--no-seccomp", "unsafe", "forbid nothing", take_no_seccomp},
    {BOTH, "--cgroup", "DIRECTORY", "join this cgroup once the VM exists; may be repeated",
     take_cgroup},
    {BOTH, "--require-confinement", NULL, "refuse to run if the host does not permit all of it",
     take_require},
    {RUN, "--verbose", NULL, "name what the program asks for and the guest kernel lacks",
     take_verbose},
    {BOTH, "--help", NULL, "this text", take_help},
};
enum { OPTIONS = sizeof(options) / sizeof(options[0]) };

static const char *const introductions[] = {
    [RUN_PROGRAM] =
        "usage: samara run [OPTION]... [--] PROGRAM [ARGUMENT]...\n\n"
        "Runs a static Linux program alone in its own virtual machine. Its standard input, output\n"
        "and error, exit status, SIGINT and SIGTERM behave as if it ran here.\n",
    [RUN_SNAPSHOT] =
        "usage: samara restore [OPTION]... SNAPSHOT\n\n"
        "Grows a virtual machine from a directory that `samara snapshot` has written: its program\n"
        "goes on where it stood, with the standard input, output and error of this command, with\n"
        "random numbers and a clock of its own. Connections over vsock are reset.\n",
};

void options_help(enum run_kind kind)
{
    puts(introductions[kind]);
    for (unsigned i = 0; i < OPTIONS; i++) {
        char left[64];

        if (!(options[i].commands & 1u << kind))
            continue;
        snprintf(left, sizeof(left), "%s%s%s", options[i].name, options[i].value ? " " : "",
                 options[i].value ? options[i].value : "");
        printf("  %-18s%s%s\n", left, strlen(left) > 18 ? "\n                     " : " ",
               options[i].help);
    }
    puts("\nExit status: the program's; 128 + n if signal n ended it; 124 on --timeout; 125 when\n"
         "samara or the guest kernel fails; 126 if PROGRAM cannot run here; 127 if it is not "
         "found.");
}

static const char *const command_names[] = {[RUN_PROGRAM] = "run", [RUN_SNAPSHOT] = "restore"};

/* `--name value`, `--name=value` or a switch at argv[*at]; moves *at past it. */
static int take_word(struct parse *p, int argc, char **argv, int *at, struct err *err)
{
    const char *word = argv[*at];
    size_t len = strcspn(word, "=");

    for (unsigned i = 0; i < OPTIONS; i++) {
        const struct option *o = &options[i];
        const char *value = word[len] ? word + len + 1 : NULL;

        if (strlen(o->name) != len || strncmp(o->name, word, len) != 0 ||
            !(o->commands & 1u << p->out->kind))
            continue;
        if (!o->value && value)
            return err_set(err, "%s takes no value", o->name);
        if (o->value && !value) {
            if (*at + 1 >= argc)
                return err_set(err, "%s needs a %s", o->name, o->value);
            value = argv[++*at];
        }
        ++*at;
        return o->take(p, value, err) == 0 ? 0 : err_in(err, "%s", o->name);
    }
    return err_set(err, "unknown option %.64s (see `samara %s --help`)", word,
                   command_names[p->out->kind]);
}

static int append_all(struct block *b, int count, char **words, struct err *err)
{
    for (int i = 0; i < count; i++) {
        if (append(b, words[i], strlen(words[i]), err) != 0)
            return -1;
    }
    return 0;
}

static int add_defaults(struct parse *p, struct err *err)
{
    const char *term = getenv("TERM");

    if (!p->has_path && append_pair(p, "PATH=/usr/local/bin:/usr/bin:/bin", err) != 0)
        return -1;
    if (!p->has_home && append_pair(p, "HOME=/", err) != 0)
        return -1;
    return term && isatty(1) ? take_env(p, "TERM", err) : 0;
}

/* The options; *at is left at the first word after them. */
static int take_options(struct parse *p, int argc, char **argv, int *at, struct err *err)
{
    while (*at < argc && argv[*at][0] == '-' && argv[*at][1] && !p->out->help) {
        if (strcmp(argv[*at], "--") == 0) {
            ++*at;
            break;
        }
        if (take_word(p, argc, argv, at, err) != 0)
            return -1;
    }
    return 0;
}

static int take_snapshot(struct run_options *out, int argc, char **argv, int at, struct err *err)
{
    out->vm.program = at < argc ? argv[at] : NULL;
    if (!out->vm.program)
        return err_set(err, "which SNAPSHOT? (see `samara restore --help`)");
    return at + 1 == argc ? 0 : err_set(err, "'%.64s' is one word too many", argv[at + 1]);
}

int options_parse(struct run_options *out, enum run_kind kind, int argc, char **argv,
                  struct err *err)
{
    struct parse p = {.out = out};
    struct block arguments = {0};
    int at = 0;
    int r;

    *out = (struct run_options){
        .kind = kind, .vm = {.memory = VM_MEMORY_DEFAULT, .seccomp = SAMARA_SECCOMP_DEFAULT}};
    r = take_options(&p, argc, argv, &at, err);
    if (r == 0 && !out->help && kind == RUN_SNAPSHOT)
        return take_snapshot(out, argc, argv, at, err);
    if (r == 0 && !out->help) {
        out->vm.program = at < argc ? argv[at] : NULL;
        if (!out->vm.program)
            r = err_set(err, "which PROGRAM? (see `samara run --help`)");
        else if (append_all(&arguments, argc - at, argv + at, err) != 0 ||
                 add_defaults(&p, err) != 0)
            r = -1;
    }
    out->vm.argv = (struct string_block){arguments.data, arguments.size};
    out->vm.envp = (struct string_block){p.env.data, p.env.size};
    return r;
}
