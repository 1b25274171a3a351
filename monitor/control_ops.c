/* See control_ops.h. */
#include "monitor/control_ops.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "monitor/json.h"
#include "monitor/printable.h"
#include "monitor/snapshot/working_record.h"

static const char *state_of(const struct vm *vm)
{
    if (vm->gone)
        return "ending"; /* a slow reader of its output is waited for */
    if (vm->parked)
        return "parked";
    return vm->pause_wanted ? "paused" : "running";
}

static uint64_t uptime_ms(const struct control_ops *ops)
{
    return (loop_now_ns() - ops->started_ns) / 1000000;
}

static const char *const seccomp_modes[] = {"kill", "trap", "log", "off"};

static void put_missing(struct json *j, const struct confinement *c)
{
    json_begin(j, "missing_confinement", '[');
    for (unsigned i = 0; i < CONFINE_MEASURES; i++) {
        if (c->reason[i] == 0)
            continue;
        json_begin(j, NULL, '{');
        json_string(j, "measure", confine_name(i));
        json_string(j, "reason", confine_reason(c, i));
        json_end(j, '}');
    }
    json_end(j, ']');
}

static size_t put_status(const struct control_ops *ops, char *to)
{
    struct json j = {.to = to, .size = CONTROL_PAYLOAD};

    json_begin(&j, NULL, '{');
    json_bool(&j, "ok", true);
    json_string(&j, "name", ops->name);
    json_number(&j, "pid", (uint64_t)ops->pid);
    json_string(&j, "state", state_of(ops->vm));
    json_string(&j, "program", ops->vm->opened.program.path);
    json_number(&j, "memory", ops->vm->config->memory);
    json_number(&j, "uptime_ms", uptime_ms(ops));
    json_string(&j, "seccomp", seccomp_modes[ops->vm->config->seccomp]);
    put_missing(&j, ops->vm->confinement);
    json_end(&j, '}');
    return j.full ? 0 : j.length;
}

static size_t put_line(const struct control_ops *ops, char *to)
{
    const struct vm *vm = ops->vm;
    char program[256];
    int n;

    printable_copy(program, sizeof(program), vm->opened.program.path,
                   strnlen(vm->opened.program.path, (sizeof(program) - 1) / 4));
    n = snprintf(to, CONTROL_PAYLOAD, "%-29s %7d %-8s %5llu MiB %9llu %s", ops->name, ops->pid,
                 state_of(vm), (unsigned long long)(vm->config->memory >> 20),
                 (unsigned long long)(uptime_ms(ops) / 1000), program);
    return n > 0 ? (size_t)n : 0;
}

static size_t put_error(char *to, const char *why)
{
    return (size_t)snprintf(to, CONTROL_PAYLOAD, "{\"ok\":false,\"error\":\"%s\"}", why);
}

static size_t put_state(const struct control_ops *ops, char *to)
{
    return (size_t)snprintf(to, CONTROL_PAYLOAD, "{\"ok\":true,\"state\":\"%s\"}",
                            state_of(ops->vm));
}

/* --- requests --- */

static bool pause_vm(struct control_ops *ops, char *answer, size_t *length)
{
    if (ops->vm->gone) {
        *length = put_error(answer, "the program has ended");
        return true;
    }
    if (vm_pause(ops->vm))
        return false; /* it stands soon: on_stands */
    *length = put_state(ops, answer);
    return true;
}

/* Answered at once, or when a parked one is awake. */
static bool resume(struct control_ops *ops, char *answer, size_t *length)
{
    if (ops->vm->parked) {
        ops->waking = true;
        vm_freeze(ops->vm);
        return false; /* answer_resume */
    }
    vm_resume(ops->vm);
    *length = put_state(ops, answer);
    return true;
}

static const char *no_reset(const struct control_ops *ops)
{
    const struct vm *vm = ops->vm;

    if (!vm->restored)
        return "it was not grown from a snapshot";
    if (vm->gone)
        return "the program has ended";
    if (vm->config->net_count > 0)
        return "it has a network interface, whose buffers a reset does not clear yet";
    if (!vm->copies.bits)
        return "no address space for it (vm.overcommit_memory is 2?)";
    if (ops->sender.phase != SENDER_IDLE)
        return "a snapshot of it is being taken";
    if (vm->parked)
        return "it has not run yet";
    return ops->resetting ? "it is being reset already" : NULL;
}

static bool reset(struct control_ops *ops, const void *who, char *answer, size_t *length)
{
    const char *why = no_reset(ops);

    if (why) {
        *length = put_error(answer, why);
        return true;
    }
    memcpy(&ops->who, who, sizeof(ops->who));
    ops->resetting = true;
    ops->reset_ns = loop_now_ns();
    vm_freeze(ops->vm);
    return false; /* answer_reset */
}

/* Once: there is a keeper at the other end as long as nothing has been recorded. */
static size_t record(const struct control_ops *ops, char *answer)
{
    struct vm *vm = ops->vm;

    if (!vm->restored)
        return put_error(answer, "it was not grown from a snapshot");
    if (vm->parked)
        return put_error(answer, "it has not run yet");
    if (vm->restored->record_fd < 0)
        return put_error(answer, "its working set has been recorded: samara restore --record");
    working_record(vm);
    return put_state(ops, answer);
}

static bool on_request(void *arg, enum control_kind kind, const void *payload, char *answer,
                       size_t *length)
{
    struct control_ops *ops = arg;

    switch (kind) {
    case CONTROL_PAUSE:
        return pause_vm(ops, answer, length);
    case CONTROL_RESUME:
        return resume(ops, answer, length);
    case CONTROL_SHUTDOWN:
        if (ops->vm->parked) {
            *length = put_error(answer, "it has not run yet: samara kill");
            return true;
        }
        vm_resume(ops->vm); /* one that is paused cannot end */
        *length = vm_signal(ops->vm, SIGTERM)
                      ? put_state(ops, answer)
                      : put_error(answer, "nobody inside takes signals: samara kill");
        return true;
    case CONTROL_KILL:
        loop_post(&ops->vm->loop, &ops->ends); /* behind the answer */
        *length = put_state(ops, answer);
        return true;
    case CONTROL_RESET:
        return reset(ops, payload, answer, length);
    case CONTROL_RECORD:
        *length = record(ops, answer);
        return true;
    case CONTROL_LIST:
        *length = put_line(ops, answer);
        return true;
    case CONTROL_SNAPSHOT_DONE:
        *length = put_error(answer, "no snapshot was asked for on this connection");
        return true;
    default:
        *length = put_status(ops, answer);
        return true;
    }
}

static bool on_snapshot(void *arg, int fd, const struct control_snapshot *wish, char *answer,
                        size_t *length)
{
    struct control_ops *ops = arg;
    struct err err;

    if (wish->flags & ~(uint32_t)SNAPSHOT_WISHES || wish->reserved != 0)
        err_set(&err, "unknown flags");
    else if (ops->resetting)
        err_set(&err, "it is being reset");
    else if (ops->vm->parked)
        err_set(&err, "it has not run yet");
    else if (sender_start(&ops->sender, fd, wish->flags, &err) == 0)
        return true;
    *length = put_error(answer, err.text);
    return false;
}

/* --- what comes later --- */

static void on_stands(void *arg)
{
    struct control_ops *ops = arg;
    char answer[CONTROL_PAYLOAD];

    control_answer_waiting(&ops->server, CONTROL_PAUSE, answer, put_state(ops, answer));
}

/* The following in the vCPU thread, under the device lock; no request of a disk is under way. The
 * answers, too: the loop thread may have no processor before the guest sleeps. */

static void answer_reset(struct control_ops *ops)
{
    char answer[CONTROL_PAYLOAD];
    int n;

    if (ops->vm->gone) {
        control_answer_waiting(&ops->server, CONTROL_RESET, answer,
                               put_error(answer, "the program has ended"));
        return;
    }
    n = snprintf(answer, sizeof(answer),
                 "{\"ok\":true,\"state\":\"%s\",\"pages\":%llu,\"us\":%llu}", state_of(ops->vm),
                 (unsigned long long)ops->reset.pages, (unsigned long long)(ops->reset_ns / 1000));
    control_answer_waiting(&ops->server, CONTROL_RESET, answer, (size_t)n);
}

static void answer_resume(struct control_ops *ops)
{
    char answer[CONTROL_PAYLOAD];

    control_answer_waiting(&ops->server, CONTROL_RESUME, answer, put_state(ops, answer));
}

static void wake(struct control_ops *ops)
{
    struct err err = {.text = ""};

    ops->waking = false;
    if (!ops->vm->gone && vm_wake(ops->vm, &err) != 0)
        vm_failed(ops->vm, &err);
    vm_thaw(ops->vm);
    answer_resume(ops);
}

static void reset_now(struct control_ops *ops)
{
    struct err err = {.text = ""};

    if (!ops->vm->gone && reset_vm(&ops->reset, &ops->who, &err) != 0)
        vm_failed(ops->vm, &err);
    ops->resetting = false; /* the lock may have been released until here */
    ops->reset_ns = loop_now_ns() - ops->reset_ns;
    vm_thaw(ops->vm);
    answer_reset(ops);
    ops->populated = (struct working_cursor){0};
    if (!ops->vm->gone)
        loop_post(&ops->vm->loop, &ops->populate);
}

static void vm_frozen(void *arg)
{
    struct control_ops *ops = arg;

    if (ops->waking) {
        wake(ops);
    } else if (ops->resetting) {
        reset_now(ops);
    } else {
        ops->reset.logs = false; /* the log is the snapshot's */
        sender_frozen(&ops->sender);
    }
}

/* After a reset, while its client has yet to think of the next request. */
static void on_populate(void *arg)
{
    struct control_ops *ops = arg;

    if (restored_populate_some(ops->vm->restored, &ops->populated, ops->vm->ram))
        loop_post(&ops->vm->loop, &ops->populate);
}

static void on_ends(void *arg)
{
    struct control_ops *ops = arg;

    ops->kill(ops->arg);
}

/* The client has all of it: the VM's life goes on there. */
static void on_stopped(void *arg)
{
    struct control_ops *ops = arg;

    loop_post(&ops->vm->loop, &ops->ends);
}

/* In the vCPU thread, under the device lock. */
static void vm_stands(void *arg)
{
    struct control_ops *ops = arg;

    loop_post(&ops->vm->loop, &ops->stands);
}

void control_ops_init(struct control_ops *ops)
{
    ops->started_ns = loop_now_ns();
    ops->server.fd = -1;
    ops->stands = (struct loop_task){.fn = on_stands, .arg = ops};
    ops->populate = (struct loop_task){.fn = on_populate, .arg = ops};
    ops->ends = (struct loop_task){.fn = on_ends, .arg = ops};
    ops->reset.vm = ops->vm;
    ops->vm->frozen_fn = vm_frozen;
    ops->vm->frozen_arg = ops;
    ops->vm->stands_fn = vm_stands;
    ops->vm->stands_arg = ops;
    ops->sender.vm = ops->vm;
    ops->sender.stopped = on_stopped;
    ops->sender.arg = ops;
    sender_init(&ops->sender);
}

void control_ops_listen(struct control_ops *ops, int fd)
{
    control_start(&ops->server, &ops->vm->loop, fd, ops->owner, on_request, on_snapshot, ops);
}
