/* The virtio-vsock device: creation, operations and the end. See vsock.h and vsock_state.h. */
#include "devices/vsock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/virtio.h"
#include "devices/vsock_state.h"

enum { QUEUE_SIZE = 256 };

static const uint64_t patience_ns = VSOCK_FINISH_MS * UINT64_C(1000000);

static struct vsock *vsock_of(struct virtio_device *dev)
{
    return (struct vsock *)dev; /* its first member */
}

/* --- turns --- */

void vsock_work(struct vsock *vsock)
{
    bool more = false, stalled;

    if (virtio_active(&vsock->device)) {
        more = vsock_send_packets(vsock);
        more |= vsock_take_packets(vsock);
        stalled = vsock->refusals == VSOCK_REFUSALS;
        more |= vsock_send_packets(vsock);
        /* Nobody kicks for what is behind the refusals; without buffers to send them in, the kick
         * for those buffers comes back here. */
        more |= stalled && vsock->refusals < VSOCK_REFUSALS;
    }
    if (more)
        loop_post(vsock->loop, &vsock->work);
    virtio_signal(&vsock->device, 1u << VIRTIO_VSOCK_QUEUE_RX | 1u << VIRTIO_VSOCK_QUEUE_TX);
}

static void work_task(void *arg)
{
    vsock_work(arg);
}

/* --- the device --- */

bool vsock_has_messages(const struct vsock *vsock)
{
    return vsock->device.state.driver_features & VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET);
}

static void vsock_notify(struct virtio_device *dev, unsigned queue)
{
    if (queue != VIRTIO_VSOCK_QUEUE_EVENT) /* its buffers wait until there is an event */
        vsock_work(vsock_of(dev));
}

static void vsock_activate(struct virtio_device *dev)
{
    /* Buffers for packets that are not there yet are no reason for a kick. */
    vq_want_kick(&dev->queues[VIRTIO_VSOCK_QUEUE_RX], false);
    vq_want_kick(&dev->queues[VIRTIO_VSOCK_QUEUE_EVENT], false);
    host_start(vsock_of(dev));
    vsock_work(vsock_of(dev));
}

/* A stdio stream that is still whole can be connected to again after a reset. */
static void return_stdio(struct vsock_conn *conn)
{
    if (conn->stdio < 0 || conn->stream.fd < 0 || conn->held > 0)
        return;
    loop_del(conn->vsock->loop, conn->watch);
    conn->watch = -1;
    conn->vsock->stdio[conn->stdio] = conn->stream;
    conn->stream = STREAM_CLOSED;
}

static void vsock_reset(struct virtio_device *dev)
{
    struct vsock *vsock = vsock_of(dev);

    host_stop(vsock);
    loop_unpost(vsock->loop, &vsock->work);
    vsock->refusals = 0;
    for (unsigned i = 0; i < vsock->used; i++) {
        struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state == CONN_HANDSHAKE) {
            conn_free(conn);
        } else if (conn->state != CONN_FREE && conn->state != CONN_DRAINING) {
            return_stdio(conn);
            conn_abandon(conn);
        }
    }
}

static void vsock_config_read(struct virtio_device *dev, uint32_t offset, void *to, unsigned len)
{
    struct virtio_vsock_config config = {.guest_cid = vsock_of(dev)->guest_cid};

    memcpy(to, (const char *)&config + offset, len);
}

static const struct virtio_ops vsock_ops = {
    .name = "vsock",
    .device_id = VIRTIO_ID_VSOCK,
    .features = VIRTIO_FEATURE(VIRTIO_VSOCK_F_STREAM) | VIRTIO_FEATURE(VIRTIO_VSOCK_F_SEQPACKET),
    .queues = VIRTIO_VSOCK_QUEUES,
    .queue_size = QUEUE_SIZE,
    .config_size = sizeof(struct virtio_vsock_config),
    .config_read = vsock_config_read,
    .activate = vsock_activate,
    .reset = vsock_reset,
    .notify = vsock_notify,
};

struct virtio_device *vsock_device(struct vsock *vsock)
{
    return &vsock->device;
}

/* --- creation and removal --- */

struct vsock *vsock_new(const struct vsock_config *config, const struct virtio_host *host,
                        struct event_loop *loop, struct err *err)
{
    struct vsock *vsock = calloc(1, sizeof(*vsock));

    if (vsock == NULL) {
        err_sys(err, "vsock");
        return NULL;
    }
    virtio_init(&vsock->device, &vsock_ops, host);
    vsock->loop = loop;
    vsock->guest_cid = config->guest_cid;
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        vsock->entrances[i] = (struct vsock_entrance){vsock, (enum vsock_kind)i, -1, -1};
    vsock->ready_end = &vsock->ready;
    vsock->used = VSOCK_STDIO;
    vsock->answer_ns = VSOCK_ANSWER_MS * UINT64_C(1000000);
    vsock->work = (struct loop_task){.fn = work_task, .arg = vsock};
    for (int i = 0; i < VSOCK_STDIO; i++)
        vsock->stdio[i] = STREAM_CLOSED;
    if (!buffer_pool_open(vsock)) {
        err_sys(err, "vsock: memory for buffers");
        goto fail;
    }
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        vsock->entrances[i].fd = config->listen_fds[i];
    vsock->dial = config->dial;
    vsock->dial_arg = config->dial_arg;
    memcpy(vsock->stdio, config->stdio, sizeof(vsock->stdio));
    vsock->stdio_failed = config->stdio_failed;
    vsock->stdio_arg = config->stdio_arg;
    vsock->spoke = config->spoke;
    vsock->spoke_arg = config->spoke_arg;
    return vsock;

fail:
    vsock_free(vsock);
    return NULL;
}

void vsock_free(struct vsock *vsock)
{
    if (vsock == NULL)
        return;
    vsock->finishing = false;
    loop_timer_cancel(vsock->loop, &vsock->patience);
    loop_timer_cancel(vsock->loop, &vsock->due);
    loop_unpost(vsock->loop, &vsock->work);
    host_stop(vsock);
    for (unsigned i = 0; i < VSOCK_KINDS; i++)
        if (vsock->entrances[i].fd >= 0)
            close(vsock->entrances[i].fd);
    for (unsigned i = 0; i < vsock->used; i++)
        if (vsock->conns[i].state != CONN_FREE)
            conn_free(&vsock->conns[i]);
    for (int i = 0; i < VSOCK_STDIO; i++)
        stream_close(&vsock->stdio[i]);
    buffer_pool_close(vsock);
    free(vsock);
}

/* --- the end --- */

enum which { ALL, STDIO_ONLY };

static uint64_t held_bytes(const struct vsock *vsock, enum which which)
{
    uint64_t held = 0;

    for (unsigned i = 0; i < vsock->used; i++) {
        const struct vsock_conn *conn = &vsock->conns[i];

        if (conn->state != CONN_FREE && (which == ALL || conn->stdio >= 0))
            held += conn->held - conn->part; /* what has not ended never will */
    }
    return held;
}

void vsock_check_finished(struct vsock *vsock)
{
    bool patient = vsock->patience.armed;

    if (!vsock->finishing || held_bytes(vsock, patient ? ALL : STDIO_ONLY) > 0)
        return;
    vsock->finishing = false;
    loop_timer_cancel(vsock->loop, &vsock->patience);
    vsock->done(vsock->done_arg);
}

static void patience_ends(void *arg)
{
    vsock_check_finished(arg);
}

void vsock_finish(struct vsock *vsock, loop_fn done, void *arg)
{
    bool more;

    host_stop(vsock);
    vsock->guest_gone = true;
    do {
        vsock->refusals = 0; /* nobody is there to be told */
        more = vsock_take_packets(vsock);
    } while (more || vsock->refusals == VSOCK_REFUSALS);
    vsock->finishing = true;
    vsock->done = done;
    vsock->done_arg = arg;
    vsock->patience.fn = patience_ends;
    vsock->patience.arg = vsock;
    loop_timer_set(vsock->loop, &vsock->patience, loop_now_ns() + patience_ns);
    vsock_check_finished(vsock);
}
