/* What a machine may be made from. */
#include "monitor/vm_config.h"

#include <criterion/criterion.h>
#include <string.h>

static int check(struct vm_config c, struct err *err)
{
    err->text[0] = '\0';
    return vm_config_check(&c, err);
}

Test(vm_config, memory_has_a_range)
{
    struct err err;

    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN}, &err), 0);
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MAX}, &err), 0);
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN - 4096}, &err), -1);
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MAX + 4096}, &err), -1);
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN + 1}, &err), -1);
    cr_assert(strstr(err.text, "16M"), "%s", err.text);
}

Test(vm_config, a_socket_path_leaves_room_for_the_port)
{
    char path[200];
    struct err err;

    memset(path, 'p', sizeof(path));
    path[96] = '\0';
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN, .vsock_path = path}, &err), 0);
    path[96] = 'p';
    path[97] = '\0';
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN, .vsock_path = path}, &err), -1);
    cr_assert_eq(check((struct vm_config){.memory = VM_MEMORY_MIN, .vsock_path = ""}, &err), -1);
}

Test(vm_config, a_descriptor_is_one_interface)
{
    struct vm_config c = {.memory = VM_MEMORY_MIN,
                          .nets = {{.backend = NET_CONFIG_FD, .fd = 5},
                                   {.backend = NET_CONFIG_PASST, .fd = 5},
                                   {.backend = NET_CONFIG_FD, .fd = 6}},
                          .net_count = 3};
    struct err err;

    cr_assert_eq(check(c, &err), 0);
    c.nets[2].fd = 5;
    cr_assert_eq(check(c, &err), -1);
    cr_assert_str_eq(err.text, "net 2: fd 5 is that of net 0");
}

Test(vm_config, arguments_and_environment_are_bounded_together)
{
    struct vm_config c = {.memory = VM_MEMORY_MIN,
                          .argv = {"", VM_STRINGS_MAX / 2},
                          .envp = {"", VM_STRINGS_MAX / 2}};
    struct err err;

    cr_assert_eq(check(c, &err), 0);
    c.envp.size++;
    cr_assert_eq(check(c, &err), -1);
}
