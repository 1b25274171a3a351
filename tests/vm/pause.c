/*
 * vCPU pause, resume and stop, which no command of samara reaches yet: a VM from the monitor's own
 * parts, whose guest counts in memory for ever. `kernel_tests` runs it: pause KERNEL PROGRAM.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "abi/memory_map.h"
#include "monitor/kvm.h"
#include "monitor/vm.h"

enum { ROUNDS = 200, LOOK_US = 20000 };

static struct vm vm;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "pause: %s\n", what);
    exit(1);
}

static uint64_t counter(void)
{
    static const uint64_t at =
        SAMARA_GPA_PLATFORM + offsetof(struct samara_platform, clone_counter);
    uint64_t value = 0;

    guest_read(&vm.mem, gpa(at), &value, sizeof(value));
    return value;
}

static void await_progress(void)
{
    uint64_t before = counter();

    for (int i = 0; i < 1000; i++) {
        if (counter() != before)
            return;
        usleep(10000);
    }
    fail("the guest does not run");
}

static void expect_standstill(useconds_t time)
{
    uint64_t before = counter();

    usleep(time);
    if (counter() != before)
        fail("the guest runs while it is paused");
}

static void *run(void *arg)
{
    (void)arg;
    vcpu_own(&vm.vcpu);
    vm_run(&vm);
    return NULL;
}

int main(int argc, char **argv)
{
    struct vm_config config = {.memory = 16 << 20, .seccomp = SECCOMP_MODE_OFF};
    struct err err = {.text = ""};
    pthread_t thread;

    if (argc != 3)
        fail("usage: pause KERNEL PROGRAM");
    config.kernel_path = argv[1];
    config.program = argv[2];
    vm_init(&vm, &config, kvm_open(&err));
    if (vm.kvm < 0 || vm_open(&vm, &err) != 0 || vm_create(&vm, &err) != 0)
        fail(err.text);
    if (pthread_create(&thread, NULL, run, NULL) != 0)
        fail("no thread");
    await_progress();
    vcpu_pause(&vm.vcpu);
    expect_standstill(10 * LOOK_US);
    vcpu_resume(&vm.vcpu);
    await_progress();
    for (int i = 0; i < ROUNDS; i++) {
        vcpu_pause(&vm.vcpu);
        expect_standstill(0);
        vcpu_resume(&vm.vcpu);
    }
    await_progress();
    vcpu_pause(&vm.vcpu);
    device_lock_take(&vm.lock);
    vm_abandon(&vm); /* a paused one stops too */
    device_lock_release(&vm.lock);
    pthread_join(thread, NULL);
    expect_standstill(LOOK_US);
    vm_destroy(&vm);
    return 0;
}
