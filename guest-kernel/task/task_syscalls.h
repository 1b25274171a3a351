/* The system calls of this folder, by x86-64 Linux number: long sys_NAME(const u64 args[6]). */
#ifndef GUEST_KERNEL_TASK_TASK_SYSCALLS_H
#define GUEST_KERNEL_TASK_TASK_SYSCALLS_H

#include "guest-kernel/lib/base.h"

/* clang-format off */
#define TASK_SYSCALLS(X)                                                                           \
    X(13, rt_sigaction) X(14, rt_sigprocmask) X(15, rt_sigreturn) X(24, sched_yield) X(34, pause)  \
    X(35, nanosleep) X(36, getitimer) X(37, alarm) X(38, setitimer) X(39, getpid) X(56, clone)     \
    X(57, fork) X(58, vfork) X(59, execve) X(60, exit) X(61, wait4) X(62, kill) X(63, uname)       \
    X(96, gettimeofday) X(97, getrlimit) X(98, getrusage) X(99, sysinfo) X(100, times)             \
    X(102, getuid) X(104, getgid) X(105, setuid) X(106, setgid) X(107, geteuid) X(108, getegid)    \
    X(109, setpgid) X(110, getppid) X(111, getpgrp) X(112, setsid) X(113, setreuid)                \
    X(114, setregid) X(115, getgroups) X(116, setgroups) X(117, setresuid) X(118, getresuid)       \
    X(119, setresgid) X(120, getresgid) X(121, getpgid) X(122, setfsuid) X(123, setfsgid)          \
    X(124, getsid) X(125, capget) X(126, capset) X(127, rt_sigpending) X(128, rt_sigtimedwait)     \
    X(129, rt_sigqueueinfo) X(130, rt_sigsuspend) X(131, sigaltstack) X(135, personality)          \
    X(140, getpriority) X(141, setpriority) X(142, sched_setparam) X(143, sched_getparam)          \
    X(144, sched_setscheduler) X(145, sched_getscheduler) X(146, sched_get_priority_max)           \
    X(147, sched_get_priority_min) X(148, sched_rr_get_interval) X(157, prctl) X(158, arch_prctl)  \
    X(160, setrlimit) X(164, settimeofday) X(170, sethostname) X(171, setdomainname)               \
    X(186, gettid) X(200, tkill) X(201, time) X(202, futex) X(203, sched_setaffinity)              \
    X(204, sched_getaffinity) X(218, set_tid_address) X(219, restart_syscall)                      \
    X(222, timer_create) X(223, timer_settime) X(224, timer_gettime) X(225, timer_getoverrun)      \
    X(226, timer_delete) X(227, clock_settime) X(228, clock_gettime) X(229, clock_getres)          \
    X(230, clock_nanosleep) X(231, exit_group) X(234, tgkill) X(247, waitid)                       \
    X(273, set_robust_list) X(274, get_robust_list) X(297, rt_tgsigqueueinfo) X(302, prlimit64)    \
    X(309, getcpu) X(318, getrandom) X(322, execveat) X(324, membarrier) X(334, rseq)              \
    X(435, clone3)
/* clang-format on */

#define TASK_SYSCALL_PROTOTYPE(number, name) long sys_##name(const u64 args[6]);
TASK_SYSCALLS(TASK_SYSCALL_PROTOTYPE)
#undef TASK_SYSCALL_PROTOTYPE

#endif
