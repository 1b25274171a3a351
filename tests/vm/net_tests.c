/* Network interfaces: what is behind one, and what cannot be. Frames are another matter. Taps are
 * made in a network of the test's own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "tests/vm/runner.h"

enum { AT = 100 /* descriptors that a job inherits */ };

/* --- one line, and nothing has run --- */

static void refused(const char *option, const char *why)
{
    struct job job = {.argv = {samara(), "run", "--net", option, program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, why);
    CHECK(o.out_len == 0 && strchr(o.err, '\n') == o.err + o.err_len - 1);
    outcome_free(&o);
}

static void taken_without_a_word(const char *option)
{
    struct job job = {.argv = {samara(), "run", "--net", option, program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    outcome_free(&o);
}

static void nonsense_is_refused_at_the_door(void)
{
    refused("eth0", "samara: --net: 'eth0' is none of tap=NAME, fd=N, passt and passt=SOCKET");
    refused("tap=t,mac=33:33:00:00:00:01", "samara: --net: mac: 33:33:00:00:00:01 is not");
    refused("tap=t,mtu=67", "samara: --net: mtu: '67' is not a number from 68");
    refused("tap=t,ip=10.0.0.256/24", "samara: --net: ip: '10.0.0.256/24' is not");
    refused("tap=t,ip=10.0.0.1", "samara: --net: ip: '10.0.0.1' has no length");
    refused("tap=t,ip=10.0.0.0/24", "samara: --net: ip: '10.0.0.0/24' is the network");
    refused("tap=t,mtu=68", "samara: --net: mtu: DHCP needs 576");
    refused("tap=t,mtu=1500,mtu=1500", "samara: --net: mtu is there twice");
    refused("tap=t,gw=gateway", "samara: --net: gw: 'gateway' is not");
    refused("tap=t,dns=8.8", "samara: --net: dns: '8.8' is not");
    refused("tap=t,rate=1", "samara: --net: rate");
    refused("tap=t,colour=red", "samara: --net: 'colour' is none of mac=");
}

static void there_are_four_at_most(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "passt", "--net", "passt", "--net",
                               "passt", "--net", "passt", "--net", "passt", program("hello")}};
    struct outcome o;

    job_run(&job, &o);
    STATUS(&o, 125);
    ERROR_HAS(&o, "samara: --net: not more than 4\n");
    outcome_free(&o);
}

/* --- taps --- */

static struct ifreq named(const char *name, int flags)
{
    struct ifreq r = {.ifr_flags = (short)flags};

    snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
    return r;
}

/* An interface that is there until the end of the test; its descriptor. */
static int make_tap(const char *name, int flags)
{
    struct ifreq r = named(name, flags);
    int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

    CHECK(fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0);
    return fd;
}

static void bring_up(const char *name)
{
    struct ifreq r = named(name, IFF_UP);
    int control = socket(AF_UNIX, SOCK_DGRAM, 0);

    CHECK(control >= 0 && ioctl(control, SIOCSIFFLAGS, &r) == 0);
    close(control);
}

static void a_tap_is_found_by_its_name(void)
{
    CHECK(unshare(CLONE_NEWNET) == 0);
    close(make_tap("tap7", IFF_TAP | IFF_NO_PI));
    bring_up("tap7");
    taken_without_a_word("tap=tap7");
    taken_without_a_word(
        "tap=tap7,mac=02:00:00:00:00:01,mtu=1400,ip=10.0.0.2/24,gw=10.0.0.1,dns=fd00::1");
}

static void a_tap_that_is_down_is_worth_a_word(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "tap=tap7", program("hello")}};
    struct outcome o;

    CHECK(unshare(CLONE_NEWNET) == 0);
    close(make_tap("tap7", IFF_TAP | IFF_NO_PI));
    job_run(&job, &o);
    STATUS(&o, 0);
    ERROR_HAS(&o, "samara: net 0: the tap is down (ip link set NAME up)\n");
    outcome_free(&o);
}

static void what_is_no_tap_of_ours_is_refused(void)
{
    CHECK(unshare(CLONE_NEWNET) == 0);
    refused("tap=tap9", "samara: net 0: tap9: no such interface (ip tuntap add dev tap9 mode tap");
    CHECK(if_nametoindex("tap9") == 0);
    refused("tap=tap%d", "samara: net 0: tap%d: no such interface");
    refused("tap=lo", "samara: net 0: lo: not a tap");
    close(make_tap("tun7", IFF_TUN | IFF_NO_PI));
    refused("tap=tun7", "samara: net 0: tun7: not a tap");
    close(make_tap("many7", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE));
    refused("tap=many7", "samara: net 0: many7: a tap of several queues");
    make_tap("tap7", IFF_TAP | IFF_NO_PI);
    refused("tap=tap7", "samara: net 0: tap7: in use by another program");
}

static void two_machines_do_not_share_a_tap(void)
{
    struct job holder = {.argv = {samara(), "run", "--net", "tap=tap7", "/bin/busybox", "sh", "-c",
                                  "echo up; read line"},
                         .keep_input_open = true};
    struct running r;
    struct outcome o;

    CHECK(unshare(CLONE_NEWNET) == 0);
    close(make_tap("tap7", IFF_TAP | IFF_NO_PI));
    bring_up("tap7");
    job_start(&holder, &r);
    CHECK(job_await(&r, "up\n"));
    refused("tap=tap7", "samara: net 0: tap7: in use by another program");
    CHECK(write(r.in, "\n", 1) == 1);
    job_finish(&r, &o);
    STATUS(&o, 0);
    taken_without_a_word("tap=tap7");
}

/* --- inherited descriptors --- */

static void a_descriptor_of_a_tap_is_taken(void)
{
    CHECK(unshare(CLONE_NEWNET) == 0);
    CHECK(dup2(make_tap("tap7", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR), AT) == AT);
    bring_up("tap7");
    taken_without_a_word("fd=100");
}

static void a_connected_stream_is_taken(void)
{
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && dup2(ends[0], AT) == AT);
    taken_without_a_word("fd=100");
}

/* Even one without an address of IPv4. */
static void the_guest_lists_its_interfaces(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "fd=100,ip=fd00::2/64", "/bin/busybox",
                               "ifconfig", "-a"}};
    struct outcome o;
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && dup2(ends[0], AT) == AT);
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
    CHECK(strstr(o.out, "eth0      Link encap:Ethernet") &&
          strstr(o.out, "inet6 addr: fd00::2/64"));
    CHECK(strstr(o.out, "lo        Link encap:Local Loopback"));
    outcome_free(&o);
}

static void other_descriptors_are_refused(void)
{
    int ends[2];

    refused("fd=100", "samara: net 0: fd 100: not open");
    refused("fd=5", "samara: net 0: fd 5: not open");
    refused("fd=1", "samara: --net: fd: '1' is not the number");
    CHECK(dup2(open("/dev/null", O_RDWR), AT) == AT);
    refused("fd=100", "samara: net 0: fd 100: neither a tap nor a stream socket");
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0 && dup2(ends[0], AT) == AT);
    refused("fd=100", "neither a tap nor a stream socket");
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0 && dup2(ends[0], AT) == AT);
    refused("fd=100", "neither a tap nor a stream socket");
    CHECK(dup2(socket(AF_UNIX, SOCK_STREAM, 0), AT) == AT);
    refused("fd=100", "a stream socket that is not connected");
    CHECK(dup2(open("/dev/net/tun", O_RDWR), AT) == AT);
    refused("fd=100", "of /dev/net/tun, but without an interface");
    CHECK(unshare(CLONE_NEWNET) == 0);
    CHECK(dup2(make_tap("tap7", IFF_TAP | IFF_NO_PI), AT) == AT);
    refused("fd=100",
            "samara: net 0: fd 100: tap7: opened without IFF_VNET_HDR or IFF_NO_PI (TUNSETIFF "
            "takes IFF_TAP | IFF_NO_PI | IFF_VNET_HDR; with --net tap=tap7, samara opens it so)");
    CHECK(dup2(make_tap("tun7", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR), AT) == AT);
    refused("fd=100", "samara: net 0: fd 100: tun7: a tun, without Ethernet (a tap has IFF_TAP)");
}

/* --- passt by the path of its socket --- */

static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    return fd;
}

static void where_no_passt_is_the_path_is_named(void)
{
    const char *path = scratch("passt.sock");
    char option[200], why[300];

    snprintf(option, sizeof(option), "passt=%s", path);
    snprintf(why, sizeof(why),
             "samara: net 0: connect to %s: No such file or directory (is passt running?)\n", path);
    refused(option, why);
    close(listen_at(path)); /* bound, and nobody there any more */
    snprintf(why, sizeof(why),
             "samara: net 0: connect to %s: Connection refused (is passt running?)\n", path);
    refused(option, why);
    unlink(path);
}

static bool comes_within(int listener, int ms)
{
    struct pollfd p = {.fd = listener, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

/* A server that comes and goes: the keeper is there again, soon but not wildly. */
static void a_peer_that_has_gone_is_looked_for(void)
{
    const char *path = scratch("again.sock");
    int listener = listen_at(path);
    char option[200];
    struct job job = {.argv = {samara(), "run", "--net", option, "/bin/busybox", "cat"},
                      .keep_input_open = true};
    struct running r;
    struct outcome o;

    snprintf(option, sizeof(option), "passt=%s", path);
    CHECK(listen(listener, 1) == 0);
    job_start(&job, &r);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(comes_within(listener, 5000));
        close(accept(listener, NULL, NULL));
    }
    CHECK(!comes_within(listener, 150));
    close(listener);
    unlink(path);
    usleep(2500000); /* nobody is there */
    listener = listen_at(path);
    CHECK(listen(listener, 1) == 0 && comes_within(listener, 5000));
    close(r.in);
    r.in = -1;
    job_finish(&r, &o);
    STATUS(&o, 0);
    ERROR_HAS(&o, "samara: net 0: the link is down");
    unlink(path);
}

/* --- passt as our own child --- */

static void without_passt_its_package_is_named(void)
{
    CHECK(setenv("PATH", "/nonexistent", 1) == 0);
    refused("passt", "samara: net 0: passt: not found (apt install passt)\n");
}

/* In the folder FAKE, where it leaves what it learned. */
static void fake_passt(const char *script)
{
    const char *dir = scratch("fake");
    char path[200];
    FILE *f;

    CHECK(mkdir(dir, 0755) == 0);
    snprintf(path, sizeof(path), "%s/passt", dir);
    f = fopen(path, "w");
    CHECK(f && fputs(script, f) >= 0 && fchmod(fileno(f), 0755) == 0 && fclose(f) == 0);
    CHECK(setenv("PATH", dir, 1) == 0 && setenv("FAKE", dir, 1) == 0);
}

/* What is in the folder's file `name`. */
static const char *fake_said(const char *name)
{
    static char text[4096];
    char path[200];
    FILE *f;
    size_t len;

    snprintf(path, sizeof(path), "%s/%s", scratch("fake"), name);
    f = fopen(path, "r");
    CHECK(f);
    len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    return text;
}

/* Until that file is there; the runner's alarm ends who waits in vain. */
static void await_fake(const char *name)
{
    char path[200];

    snprintf(path, sizeof(path), "%s/%s", scratch("fake"), name);
    while (access(path, F_OK) != 0)
        usleep(10000);
}

static void remove_fake(void)
{
    char command[200];

    snprintf(command, sizeof(command), "exec /bin/busybox rm -r %s", scratch("fake"));
    CHECK(system(command) == 0);
}

/* And stays behind, had it not been ended and waited for. */
static void passt_gets_its_end_and_nothing_else(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "passt", "--trace", "/dev/fd/100",
                               "/bin/busybox", "sleep", "1000"}};
    struct running r;
    struct outcome o;
    pid_t pid;

    fake_passt("#!/bin/busybox sh\n"
               "cd $FAKE\n"
               "echo $* >words\n"
               "/bin/busybox ls /proc/$$/fd >open\n"
               "/bin/busybox grep -E 'SigBlk|SigIgn' /proc/$$/status >signals\n"
               "for i in 0 3; do /bin/busybox readlink /proc/$$/fd/$i; done >files\n"
               "/bin/busybox cut -d ' ' -f 6 /proc/$$/stat >session\n"
               "echo $$ >pid.new\n"
               "/bin/busybox mv pid.new pid\n"
               "exec /bin/busybox sleep 1000\n");
    CHECK(dup2(open("/dev/null", O_WRONLY), AT) == AT);
    job_start(&job, &r);
    await_fake("pid");
    CHECK(kill(r.pid, SIGTERM) == 0);
    job_finish(&r, &o);
    STATUS(&o, 143);
    CHECK(o.err_len == 0);
    CHECK(strstr(fake_said("words"),
                 "--foreground --quiet --no-map-gw --tcp-ports none --udp-ports none --fd 3"));
    CHECK(strncmp(fake_said("files"), "/dev/null\nsocket:", 17) == 0);
    CHECK(strstr(fake_said("signals"), "SigBlk:\t0000000000000000\n"));
    CHECK(
        !(strtoull(strstr(fake_said("signals"), "SigIgn:\t") + 8, NULL, 16) & 1u << (SIGPIPE - 1)));
    for (const char *fd = fake_said("open"); *fd; fd = strchr(fd, '\n') + 1)
        CHECK(atoi(fd) <= 3 || atoi(fd) == 10 ||
              atoi(fd) == 11); /* ten and eleven are the shell's own */
    pid = atoi(fake_said("pid"));
    CHECK(pid > 1 && atoi(fake_said("session")) == pid);
    CHECK(kill(pid, 0) != 0 && errno == ESRCH);
    remove_fake();
}

static void passt_that_fails_is_started_again_but_not_wildly(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "passt", "/bin/busybox", "sleep", "3"}};
    struct outcome o;
    size_t starts;

    fake_passt("#!/bin/busybox sh\n"
               "echo >>$FAKE/starts\n"
               "echo noise >&2\n"
               "printf 'no route\\033[2J\\n\\n' >&2\n"
               "exit 1\n");
    job_run(&job, &o);
    STATUS(&o, 0);
    starts = strlen(fake_said("starts"));
    CHECK(starts >= 2 && starts <= 7); /* within a second and what the machine takes to end */
    ERROR_HAS(&o, "samara: net 0: passt: no route\\x1b[2J\n");
    remove_fake();
}

static void the_real_passt_ends_with_the_machine(void)
{
    struct job job = {.argv = {samara(), "run", "--net", "passt", "/bin/busybox", "sleep", "1"}};
    struct outcome o;

    if (access("/usr/bin/passt", X_OK) != 0) {
        fprintf(stderr, "    !!! no /usr/bin/passt: not tested\n");
        return;
    }
    job_run(&job, &o);
    STATUS(&o, 0);
    CHECK(o.err_len == 0);
}

/* --- all there can be --- */

enum { DISKS = 8, NETS = 4, CGROUPS = 8, SMALL = 512 };

/* Each with an overlay, and its number in it. */
static void make_disk(unsigned number, char option[300])
{
    char name[32], content[SMALL] = "disk 0\n";
    const char *path;
    FILE *f;

    content[5] = (char)('0' + number);
    snprintf(name, sizeof(name), "most%u.img", number);
    path = scratch(name);
    f = fopen(path, "w");
    CHECK(f && fwrite(content, 1, SMALL, f) == SMALL && fclose(f) == 0);
    snprintf(option, 300, "--disk=%s,overlay=%s.overlay", path, path);
}

static void remove_disk(unsigned number)
{
    char name[40];

    snprintf(name, sizeof(name), "most%u.img", number);
    unlink(scratch(name));
    snprintf(name, sizeof(name), "most%u.img.overlay", number);
    unlink(scratch(name));
}

/* More descriptors than there are numbers below those with a role: none is lost to one. */
static void nothing_is_lost_where_all_is_wanted(void)
{
    static char disks[DISKS][300], nets[NETS][40];
    static const char script[] =
        "for i in a b c d e f g h; do read line </dev/vd$i; echo $line; done";
    char root[200], trace[200], vsock[200], cgroup[300];
    struct job job = {.argv = {samara(), "run", trace, vsock}};
    unsigned words = 4;
    struct outcome o;
    int ends[2];

    snprintf(trace, sizeof(trace), "--trace=%s", scratch("most.json"));
    snprintf(vsock, sizeof(vsock), "--vsock=%s", scratch("most.sock"));
    for (unsigned i = 0; i < DISKS; i++) {
        make_disk(i, disks[i]);
        job.argv[words++] = disks[i];
    }
    for (unsigned i = 0; i < NETS; i++) {
        CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && dup2(ends[0], AT + (int)i) >= 0);
        snprintf(nets[i], sizeof(nets[i]), "--net=fd=%u", AT + i);
        job.argv[words++] = nets[i];
    }
    snprintf(root, sizeof(root), "%s", scratch("most.cgroups"));
    snprintf(cgroup, sizeof(cgroup), "--cgroup=%s/samara-most", root);
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mkdir(root, 0700) == 0 && mount("none", root, "cgroup2", 0, NULL) == 0);
    CHECK(mkdir(strchr(cgroup, '/'), 0700) == 0);
    for (unsigned i = 0; i < CGROUPS; i++)
        job.argv[words++] = cgroup;
    job.argv[words++] = "/bin/busybox";
    job.argv[words++] = "sh";
    job.argv[words++] = "-c";
    job.argv[words++] = script;
    job_run(&job, &o);
    STATUS(&o, 0);
    OUTPUT(&o, "disk 0\ndisk 1\ndisk 2\ndisk 3\ndisk 4\ndisk 5\ndisk 6\ndisk 7\n");
    for (unsigned i = 0; i < DISKS; i++)
        remove_disk(i);
    unlink(scratch("most.json"));
    CHECK(rmdir(strchr(cgroup, '/')) == 0 && umount(root) == 0 && rmdir(root) == 0);
}

const struct vm_test net_tests[] = {
    {"net/nonsense_is_refused_at_the_door", nonsense_is_refused_at_the_door},
    {"net/there_are_four_at_most", there_are_four_at_most},
    {"net/a_tap_is_found_by_its_name", a_tap_is_found_by_its_name},
    {"net/a_tap_that_is_down_is_worth_a_word", a_tap_that_is_down_is_worth_a_word},
    {"net/what_is_no_tap_of_ours_is_refused", what_is_no_tap_of_ours_is_refused},
    {"net/two_machines_do_not_share_a_tap", two_machines_do_not_share_a_tap},
    {"net/a_descriptor_of_a_tap_is_taken", a_descriptor_of_a_tap_is_taken},
    {"net/a_connected_stream_is_taken", a_connected_stream_is_taken},
    {"net/the_guest_lists_its_interfaces", the_guest_lists_its_interfaces},
    {"net/other_descriptors_are_refused", other_descriptors_are_refused},
    {"net/where_no_passt_is_the_path_is_named", where_no_passt_is_the_path_is_named},
    {"net/a_peer_that_has_gone_is_looked_for", a_peer_that_has_gone_is_looked_for},
    {"net/without_passt_its_package_is_named", without_passt_its_package_is_named},
    {"net/passt_gets_its_end_and_nothing_else", passt_gets_its_end_and_nothing_else},
    {"net/passt_that_fails_is_started_again_but_not_wildly",
     passt_that_fails_is_started_again_but_not_wildly},
    {"net/the_real_passt_ends_with_the_machine", the_real_passt_ends_with_the_machine},
    {"net/nothing_is_lost_where_all_is_wanted", nothing_is_lost_where_all_is_wanted},
    {NULL, NULL}};
