/*
 * The platform page: what the monitor and the guest kernel tell each other outside virtio, and the
 * doorbell, the one device register page that goes with it. One RAM page at SAMARA_GPA_PLATFORM,
 * shared; the doorbell is MMIO at SAMARA_GPA_DOORBELL. Both are found in the device tree under
 * compatible = "samara,platform" (reg = page, doorbell; interrupts = vector).
 *
 * The guest may write any byte of the page at any time: the monitor copies before it checks.
 */
#ifndef SAMARA_ABI_PLATFORM_H
#define SAMARA_ABI_PLATFORM_H

#include <stddef.h>
#include <stdint.h>

#include "abi/platform_doorbell.h"

#define SAMARA_PLATFORM_MAGIC   0x616d6173 /* "sama", little-endian */
#define SAMARA_PLATFORM_VERSION 1

#define SAMARA_MARKS            32
#define SAMARA_MARK_NAME        24
#define SAMARA_PANIC_TEXT       2560

/* One point of the boot timeline: kvmclock nanoseconds and a NUL-padded name. */
struct samara_mark {
    uint64_t ns;
    char name[SAMARA_MARK_NAME];
};

/* Modes of a terminal, as struct termios of Linux's system calls (asm-generic/termbits.h). */
struct samara_termios {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line;
    uint8_t cc[19];
};
_Static_assert(sizeof(struct samara_termios) == 36, "termbits.h");

struct samara_platform {
    uint32_t magic;
    uint32_t version;

    /* Written by the monitor before the guest runs, and again before a clone first runs. */
    uint64_t generation_id[2];
    uint8_t seed[32];       /* fresh per boot and per clone; the guest erases it after use */
    uint64_t clone_counter; /* 0 for a fresh boot */
    uint64_t wall_base_ns;  /* CLOCK_REALTIME at kvmclock zero */
    uint64_t tsc_khz;       /* for a guest without kvmclock */
    uint32_t flags;         /* SAMARA_FLAG_* */
    uint16_t tty_rows, tty_cols;

    /* Set by the monitor (atomic or), taken by the guest (atomic exchange): bit n-1 is signal n.
     * SAMARA_VECTOR_PLATFORM is raised after a change. */
    uint64_t signals;

    /* Written by the guest. */
    uint32_t exit_kind; /* enum samara_exit_kind, valid when the doorbell says EXIT */
    uint32_t exit_code; /* exit status 0-255 or signal number */
    uint32_t mark_count;
    uint32_t panic_length;
    struct samara_mark marks[SAMARA_MARKS];
    char panic_text[SAMARA_PANIC_TEXT]; /* UTF-8 text, newlines allowed, no NUL needed */
    uint32_t ready; /* 1 once the kernel is up: what fails before is no fault of the program's */
    uint32_t terminal_flush; /* with TERMINAL: 1 to discard unread input first */

    /* The terminal's modes: as the monitor found them; what the guest wants, with TERMINAL. */
    struct samara_termios terminal;

    /* Written by the monitor before it ends a stdio stream: why the host could not read or write
     * it, an errno of Linux; 0 if the stream ended as streams do. */
    uint32_t stdio_error[3];

    /* Written by the guest: where in its window it has a routine that reaches pages, for a monitor
     * that wants them mapped before a clone runs; 0: it has none. The routine gets the first one's
     * address in RDI, their number in RSI and 1 in EDX to write (what is there already), else 0; in
     * ring 3, without a stack or interrupts; rings TOUCHED when it is done. */
    uint64_t touch;
};
_Static_assert(sizeof(struct samara_platform) <= 4096, "platform page");
_Static_assert(offsetof(struct samara_platform, exit_kind) == 96 &&
                   offsetof(struct samara_platform, panic_text) == 1136 &&
                   offsetof(struct samara_platform, ready) == 3696 &&
                   offsetof(struct samara_platform, touch) == 3752,
               "fields stay where kernels of other versions look for them");

enum {
    SAMARA_FLAG_VERBOSE = 1 << 0,   /* name missing system calls on stderr */
    SAMARA_FLAG_TRACE = 1 << 1,     /* write marks */
    SAMARA_FLAG_STDIN_TTY = 1 << 2, /* host fd n is a terminal */
    SAMARA_FLAG_STDOUT_TTY = 1 << 3,
    SAMARA_FLAG_STDERR_TTY = 1 << 4,
    SAMARA_FLAG_STDIN_CLOSED = 1 << 5, /* there is no host fd n */
    SAMARA_FLAG_STDOUT_CLOSED = 1 << 6,
    SAMARA_FLAG_STDERR_CLOSED = 1 << 7,
};

enum samara_exit_kind {
    SAMARA_EXIT_STATUS = 1, /* the program exited: exit_code is its status */
    SAMARA_EXIT_SIGNAL = 2, /* the program died of signal exit_code */
    SAMARA_EXIT_NOEXEC = 3, /* the program cannot run: 126, reason in panic_text */
    SAMARA_EXIT_PANIC = 4,  /* the guest kernel failed: 125, report in panic_text */
};

/*
 * The program's stdio: three vsock streams from the guest to the host (CID 2) at these ports; they
 * end inside the monitor. Port for file descriptor n is SAMARA_STDIO_PORT + n.
 */
#define SAMARA_STDIO_PORT 0xf0000000u
#define SAMARA_GUEST_CID  3u

/* Properties of the device tree's /chosen beside the standard ones (bootargs, rng-seed,
 * linux,initrd-start and linux,initrd-end, which bound the program's file). */
#define SAMARA_PROP_ARGV       "samara,argv"       /* string list */
#define SAMARA_PROP_ENVP       "samara,envp"       /* string list; absent if empty */
#define SAMARA_PROP_EXEC_PATH  "samara,exec-path"  /* absolute path the program is known by */
#define SAMARA_PROP_FREE_START "samara,free-start" /* u64: RAM from here on is unused */

/*
 * Property of a virtio_mmio node: the monitor has played the driver's part of initialisation
 * (Virtio 1.2, 3.1.1) through the device's registers already, with VERSION_1 and EVENT_IDX, the
 * features given and these queues, because twenty register accesses of 24 us each would be a third
 * of the boot. Cells: device id, number of queues, size of each, high and low half of the first
 * queue's address, bytes from queue to queue, low half of the features. A queue's parts lie as
 * VIRTQ_*_OFFSET in abi/virtio.h say, zeroed.
 */
#define SAMARA_PROP_PRESET  "samara,preset"
#define SAMARA_PRESET_CELLS 7

/* Property of every virtio_mmio node: the device's id, which costs an access less. u32. */
#define SAMARA_PROP_DEVICE_ID "samara,device-id"

/*
 * Property of a network interface's virtio_mmio node: its addresses, if they are not to be asked
 * for (DHCP, router advertisements): "ip=10.0.0.2/24,gw=10.0.0.1,dns=10.0.0.1", in any order and
 * of either family, one ip of IPv4, three of IPv6, a gw of each, three dns; checked by the monitor.
 * A string, shorter than SAMARA_NET_MAX; absent if there are none.
 */
#define SAMARA_PROP_NET "samara,net"
#define SAMARA_NET_MAX  1024

#endif
