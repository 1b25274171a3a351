/* The command line of `samara run`. */
#include "monitor/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct run_options got;
static struct err err;

static int parse(int argc, const char *const *argv)
{
    err.text[0] = '\0';
    return options_parse(&got, RUN_PROGRAM, argc, (char **)(uintptr_t)argv, &err);
}
#define WORDS(...)    ((const char *const[]){__VA_ARGS__})
#define PARSE(...)    parse(sizeof(WORDS(__VA_ARGS__)) / sizeof(char *), WORDS(__VA_ARGS__))
#define ACCEPTED(...) cr_assert_eq(PARSE(__VA_ARGS__), 0, "%s", err.text)
#define REFUSED(reason, ...)                                                                       \
    do {                                                                                           \
        cr_assert_eq(PARSE(__VA_ARGS__), -1);                                                      \
        cr_assert(strstr(err.text, reason), "'%s' does not say '%s'", err.text, reason);           \
    } while (0)

static bool has_block(struct string_block block, const char *text)
{
    for (size_t at = 0; at < block.size; at += strlen(block.data + at) + 1) {
        if (strcmp(block.data + at, text) == 0)
            return true;
    }
    return false;
}

Test(options, a_program_alone_gets_the_defaults)
{
    ACCEPTED("prog");
    cr_assert_str_eq(got.vm.program, "prog");
    cr_assert_eq(got.vm.memory, VM_MEMORY_DEFAULT);
    cr_assert_eq(got.timeout_ns, 0);
    cr_assert_null(got.vm.kernel_path);
    cr_assert_null(got.vm.vsock_path);
    cr_assert_not(got.vm.verbose);
    cr_assert_eq(got.vm.argv.size, 5);
    cr_assert(has_block(got.vm.envp, "PATH=/usr/local/bin:/usr/bin:/bin"));
    cr_assert(has_block(got.vm.envp, "HOME=/"));
}

Test(options, what_follows_the_program_is_the_programs)
{
    ACCEPTED("--verbose", "prog", "--mem", "nonsense", "--", "");
    cr_assert(got.vm.verbose);
    cr_assert_eq(got.vm.argv.size, 5 + 6 + 9 + 3 + 1);
    cr_assert_eq(memcmp(got.vm.argv.data, "prog\0--mem\0nonsense\0--\0\0", 24), 0);
}

Test(options, two_dashes_end_the_options)
{
    ACCEPTED("--mem", "64M", "--", "--verbose");
    cr_assert_str_eq(got.vm.program, "--verbose");
    cr_assert_not(got.vm.verbose);
}

Test(options, values_come_as_a_word_or_after_an_equals_sign)
{
    ACCEPTED("--mem", "64M", "--timeout=5s", "--vsock=/tmp/v=1", "--kernel", "k", "prog");
    cr_assert_eq(got.vm.memory, 64ull << 20);
    cr_assert_eq(got.timeout_ns, 5000000000);
    cr_assert_str_eq(got.vm.vsock_path, "/tmp/v=1");
    cr_assert_str_eq(got.vm.kernel_path, "k");
}

Test(options, the_environment_takes_given_and_host_values)
{
    setenv("FROM_HOST", "here", 1);
    unsetenv("NOWHERE");
    ACCEPTED("--env", "K=V", "--env", "FROM_HOST", "--env", "NOWHERE", "--env", "E=", "prog");
    cr_assert(has_block(got.vm.envp, "K=V"));
    cr_assert(has_block(got.vm.envp, "FROM_HOST=here"));
    cr_assert(has_block(got.vm.envp, "E="));
    for (size_t at = 0; at < got.vm.envp.size; at += strlen(got.vm.envp.data + at) + 1)
        cr_assert_neq(strncmp(got.vm.envp.data + at, "NOWHERE", 7), 0);
}

Test(options, nothing_else_of_the_host_gets_in)
{
    setenv("SECRET", "x", 1);
    ACCEPTED("prog");
    cr_assert_not(has_block(got.vm.envp, "SECRET=x"));
}

Test(options, a_given_path_replaces_the_default)
{
    ACCEPTED("--env", "PATH=/x", "--env", "HOME=/y", "prog");
    cr_assert(has_block(got.vm.envp, "PATH=/x"));
    cr_assert_not(has_block(got.vm.envp, "PATH=/usr/local/bin:/usr/bin:/bin"));
    cr_assert_not(has_block(got.vm.envp, "HOME=/"));
}

Test(options, what_is_unknown_or_incomplete_is_refused)
{
    REFUSED("--wings", "--wings", "prog");
    REFUSED("--help", "--wings", "prog");
    REFUSED("unknown", "--me", "64M", "prog");
    REFUSED("unknown", "-v", "prog");
    REFUSED("--mem needs", "--mem");
    REFUSED("no value", "--verbose=yes", "prog");
    REFUSED("PROGRAM", "--verbose");
    REFUSED("PROGRAM", "--");
    REFUSED("name", "--env", "=v", "prog");
    REFUSED("name", "--env", "", "prog");
}

Test(options, bad_values_name_option_and_range)
{
    REFUSED("--mem", "--mem", "1K", "prog");
    REFUSED("16M", "--mem", "1K", "prog");
    REFUSED("--timeout", "--timeout", "soon", "prog");
    REFUSED("1ms", "--timeout", "0s", "prog");
}

Test(options, help_needs_no_program)
{
    ACCEPTED("--help");
    cr_assert(got.help);
}

Test(options, endless_arguments_are_refused)
{
    static char word[VM_STRINGS_MAX + 1];

    memset(word, 'w', VM_STRINGS_MAX);
    REFUSED("longer", "prog", word);
}
