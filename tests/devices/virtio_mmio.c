/* The transport against drivers that do things in the wrong order. */
#include <criterion/criterion.h>
#include <string.h>

#include "tests/devices/fake_guest.h"

static struct fake_guest guest;
static struct virtio_device dev;
static unsigned activated, resets, notified[2];

static void toy_config_read(struct virtio_device *d, uint32_t offset, void *to, unsigned len)
{
    static const char config[12] = "configured!";

    (void)d;
    memcpy(to, config + offset, len);
}

static void toy_activate(struct virtio_device *d)
{
    (void)d;
    activated++;
}

static void toy_reset(struct virtio_device *d)
{
    (void)d;
    resets++;
}

static void toy_notify(struct virtio_device *d, unsigned queue)
{
    (void)d;
    notified[queue]++;
}

static const struct virtio_ops toy = {
    .name = "toy",
    .device_id = 99,
    .features = 1u << 5,
    .queues = 2,
    .queue_size = 16,
    .config_size = 12,
    .config_read = toy_config_read,
    .activate = toy_activate,
    .reset = toy_reset,
    .notify = toy_notify,
};

static void setup(void)
{
    struct virtio_host host;

    fake_open(&guest);
    host = fake_host(&guest);
    virtio_init(&dev, &toy, &host);
    guest.dev = &dev;
}

static void teardown(void)
{
    fake_close(&guest);
}

TestSuite(virtio_mmio, .init = setup, .fini = teardown);

static void set(uint32_t offset, uint32_t value)
{
    fake_set_reg(&guest, offset, value);
}

static void assert_fault(const char *line)
{
    cr_assert(fake_needs_reset(&guest));
    cr_assert_str_eq(guest.line, line);
    cr_assert(!virtio_active(&dev));
    fake_start(&guest, 0, 2, 8);
    cr_assert(virtio_active(&dev), "alive after a reset");
}

Test(virtio_mmio, it_says_what_it_is)
{
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_MAGIC), 0x74726976);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_VERSION), 2);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_DEVICE_ID), 99);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES), 1u << 5 | 3u << 28);
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES), 1);
    set(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_DEVICE_FEATURES), 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_QUEUE_NUM_MAX), 16);
    set(VIRTIO_MMIO_QUEUE_SEL, 2);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
    set(VIRTIO_MMIO_QUEUE_SEL, UINT32_MAX);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

Test(virtio_mmio, there_is_no_shared_memory)
{
    enum { SHM_SEL = 0xac, SHM_LENGTH = 0xb0, SHM_BASE = 0xb8 };

    for (uint32_t region = 0; region < 3; region++) {
        set(SHM_SEL, region);
        for (uint32_t half = 0; half < 8; half += 4) {
            cr_assert_eq(fake_reg(&guest, SHM_LENGTH + half), UINT32_MAX);
            cr_assert_eq(fake_reg(&guest, SHM_BASE + half), UINT32_MAX);
        }
    }
    cr_assert(!fake_needs_reset(&guest));
}

Test(virtio_mmio, the_usual_way_activates)
{
    fake_start(&guest, 0, 2, 8);
    cr_assert_eq(activated, 1);
    cr_assert_eq(resets, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 15);
    fake_kick(&guest, 1);
    cr_assert_eq(notified[1], 1);
    set(VIRTIO_MMIO_STATUS, 15);
    cr_assert_eq(activated, 1, "once");
    set(VIRTIO_MMIO_STATUS, 0);
    cr_assert_eq(resets, 2);
    fake_kick(&guest, 1);
    cr_assert_eq(notified[1], 1, "not while inactive");
}

/* However it is told: by the register, or by an ioeventfd. */
Test(virtio_mmio, nothing_is_done_before_driver_ok)
{
    fake_prepare(&guest, 0, 2, 8);
    fake_add(&guest, 1, 0);
    fake_kick(&guest, 1);
    virtio_notify(&dev, 1);
    virtio_signal(&dev, 3);
    cr_assert_eq(activated, 0);
    cr_assert_eq(notified[1], 0);
    cr_assert_eq(guest.irqs, 0);
    set(VIRTIO_MMIO_STATUS, 15);
    cr_assert_eq(activated, 1);
    virtio_notify(&dev, 1);
    cr_assert_eq(notified[1], 1);
}

Test(virtio_mmio, any_subset_of_what_is_offered_is_accepted_and_once_more)
{
    const uint64_t bits[] = {toy.features, VIRTIO_FEATURE(VIRTIO_F_INDIRECT_DESC),
                             VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX)};

    for (unsigned i = 0; i < 16; i++) {
        uint64_t features = VIRTIO_FEATURE(VIRTIO_F_VERSION_1);

        for (unsigned bit = 0; bit < 3; bit++)
            features |= i / 2 >> bit & 1 ? bits[bit] : 0;
        fake_start(&guest, features, 2, 8);
        cr_assert(virtio_active(&dev), "%#llx", (unsigned long long)features);
        cr_assert_eq(dev.state.driver_features, features);
        device_fault(&dev, "not because of the features");
    }
}

Test(virtio_mmio, features_not_offered_are_not_accepted)
{
    set(VIRTIO_MMIO_STATUS, 3);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1u << 6);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(VIRTIO_MMIO_STATUS, 11);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 3);
}

Test(virtio_mmio, a_driver_without_version_1_is_not_accepted)
{
    set(VIRTIO_MMIO_STATUS, 3);
    set(VIRTIO_MMIO_STATUS, 11);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 3);
    set(VIRTIO_MMIO_STATUS, 15);
    assert_fault("toy: DRIVER_OK without FEATURES_OK");
}

Test(virtio_mmio, the_driver_cannot_set_needs_reset_nor_take_bits_back)
{
    set(VIRTIO_MMIO_STATUS, 3 | VIRTIO_STATUS_NEEDS_RESET);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 3);
    set(VIRTIO_MMIO_STATUS, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 3);
}

Test(virtio_mmio, a_ready_queue_is_frozen)
{
    static const uint32_t frozen[] = {
        VIRTIO_MMIO_QUEUE_NUM,       VIRTIO_MMIO_QUEUE_DESC_LOW,   VIRTIO_MMIO_QUEUE_DESC_HIGH,
        VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
        VIRTIO_MMIO_QUEUE_USED_HIGH,
    };

    for (unsigned i = 0; i < sizeof(frozen) / sizeof(frozen[0]); i++) {
        struct vq_state before;

        fake_start(&guest, 0, 2, 8);
        before = dev.queues[1].state;
        set(frozen[i], 0x40000);
        cr_assert_eq(memcmp(&before, &dev.queues[1].state, sizeof(before)), 0);
        assert_fault("toy: queue 1 changed while ready");
    }
}

Test(virtio_mmio, a_bad_queue_is_refused_at_ready)
{
    set(VIRTIO_MMIO_STATUS, 3);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(VIRTIO_MMIO_STATUS, 11);
    set(VIRTIO_MMIO_QUEUE_NUM, 1 << 16 | 8);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
    assert_fault("toy: queue 0: bad queue size");
}

Test(virtio_mmio, a_queue_outside_of_memory_is_refused_at_ready)
{
    set(VIRTIO_MMIO_STATUS, 3);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    set(VIRTIO_MMIO_STATUS, 11);
    set(VIRTIO_MMIO_QUEUE_DESC_HIGH, 0xffffffff);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_QUEUE_READY), 0);
    assert_fault("toy: queue 0: queue outside of memory or misaligned");
}

Test(virtio_mmio, a_queue_comes_too_late_after_driver_ok)
{
    fake_start(&guest, 0, 1, 8);
    set(VIRTIO_MMIO_QUEUE_SEL, 1);
    set(VIRTIO_MMIO_QUEUE_READY, 1);
    assert_fault("toy: queue 1 made ready at the wrong time");
}

Test(virtio_mmio, features_are_frozen_at_features_ok)
{
    fake_start(&guest, 0, 1, 8);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 0);
    assert_fault("toy: features changed after FEATURES_OK");
}

Test(virtio_mmio, a_queue_that_does_not_exist_cannot_be_kicked)
{
    fake_start(&guest, 0, 2, 8);
    fake_kick(&guest, 2);
    assert_fault("toy: notification of queue 2, which does not exist");
}

Test(virtio_mmio, registers_have_their_width_and_direction)
{
    fake_start(&guest, 0, 2, 8);
    cr_assert_eq(virtio_mmio_ops.read(&dev, VIRTIO_MMIO_STATUS, 1), 0);
    assert_fault("toy: 1-byte read of Status");
    cr_assert_eq(virtio_mmio_ops.read(&dev, VIRTIO_MMIO_QUEUE_NOTIFY, 4), 0);
    assert_fault("toy: 4-byte read of QueueNotify");
    virtio_mmio_ops.write(&dev, VIRTIO_MMIO_MAGIC, 4, 1);
    assert_fault("toy: 4-byte write of MagicValue");
}

Test(virtio_mmio, every_offset_and_width_is_survived)
{
    static const unsigned sizes[] = {1, 2, 4, 8};

    for (uint64_t offset = 0; offset < VIRTIO_MMIO_SIZE; offset++)
        for (unsigned i = 0; i < 4; i++) {
            if (offset + sizes[i] > VIRTIO_MMIO_SIZE)
                continue;
            virtio_mmio_ops.write(&dev, offset, sizes[i], UINT64_MAX);
            virtio_mmio_ops.read(&dev, offset, sizes[i]);
        }
    fake_start(&guest, 0, 2, 8);
    cr_assert(virtio_active(&dev));
}

Test(virtio_mmio, the_configuration_has_bounds)
{
    uint64_t got = virtio_mmio_ops.read(&dev, VIRTIO_MMIO_CONFIG + 4, 8);

    cr_assert_eq(memcmp(&got, "igured!", 8), 0);
    cr_assert_eq(virtio_mmio_ops.read(&dev, VIRTIO_MMIO_CONFIG + 11, 1), 0);
    cr_assert_eq(virtio_mmio_ops.read(&dev, VIRTIO_MMIO_CONFIG + 12, 1), UINT64_MAX);
    cr_assert_eq(virtio_mmio_ops.read(&dev, VIRTIO_MMIO_CONFIG + 5, 8), UINT64_MAX);
    virtio_mmio_ops.write(&dev, VIRTIO_MMIO_CONFIG, 4, 1);
    cr_assert(!fake_needs_reset(&guest));
}

Test(virtio_mmio, a_fault_is_told_once_and_the_log_is_bounded)
{
    fake_start(&guest, 0, 2, 8);
    guest.irqs = 0;
    device_fault(&dev, "queue %u: %s", 1, "test");
    cr_assert_str_eq(guest.line, "toy: queue 1: test");
    cr_assert_eq(guest.irqs, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    device_fault(&dev, "again");
    cr_assert_eq(guest.irqs, 1);
    cr_assert_eq(guest.lines, 1);
    for (unsigned i = 0; i < 100; i++) {
        fake_start(&guest, 0, 2, 8);
        device_fault(&dev, "again");
        cr_assert(fake_needs_reset(&guest));
    }
    cr_assert_eq(guest.lines, 16);
}

Test(virtio_mmio, interrupts_are_sent_whether_acknowledged_or_not)
{
    struct vq_request req;

    fake_start(&guest, 0, 1, 8);
    guest.irqs = 0;
    for (uint16_t i = 0; i < 4; i++) {
        fake_desc(&guest, 0, i, FAKE_DATA, 16, 0, 0);
        fake_add(&guest, 0, i);
        cr_assert_eq(vq_pop(&dev.queues[0], &req), VQ_REQUEST);
        vq_complete(&req);
        virtio_signal(&dev, 3);
        virtio_signal(&dev, 3);
    }
    cr_assert_eq(guest.irqs, 4);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_QUEUE);
    set(VIRTIO_MMIO_INTERRUPT_ACK, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static uint32_t status_at_interrupt;

static void look(void *ctx)
{
    status_at_interrupt = fake_reg(ctx, VIRTIO_MMIO_INTERRUPT_STATUS);
}

Test(virtio_mmio, an_event_shows_from_its_interrupt_until_it_is_acknowledged)
{
    enum { USED = VIRTIO_MMIO_INT_QUEUE, CHANGED = VIRTIO_MMIO_INT_CONFIG };
    struct vq_request req;

    fake_start(&guest, 0, 1, 8);
    dev.host.irq = look;
    virtio_config_changed(&dev);
    cr_assert_eq(status_at_interrupt, CHANGED);
    fake_desc(&guest, 0, 0, FAKE_DATA, 16, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&dev.queues[0], &req), VQ_REQUEST);
    vq_complete(&req);
    virtio_signal(&dev, 1);
    cr_assert_eq(status_at_interrupt, CHANGED | USED);
    for (int i = 0; i < 2; i++) {
        set(VIRTIO_MMIO_INTERRUPT_ACK, CHANGED);
        cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), USED);
    }
    set(VIRTIO_MMIO_INTERRUPT_ACK, USED);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

Test(virtio_mmio, a_reset_clears_status_interrupts_and_queues)
{
    struct vq_request req;

    fake_start(&guest, 0, 2, 8);
    fake_desc(&guest, 0, 0, FAKE_DATA, 16, 0, 0);
    fake_add(&guest, 0, 0);
    cr_assert_eq(vq_pop(&dev.queues[0], &req), VQ_REQUEST);
    vq_complete(&req);
    virtio_signal(&dev, 1);
    cr_assert_neq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    set(VIRTIO_MMIO_STATUS, 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_STATUS), 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    for (uint32_t i = 0; i < 2; i++) {
        set(VIRTIO_MMIO_QUEUE_SEL, i);
        cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_QUEUE_READY), 0);
    }
    guest.irqs = 0;
    virtio_signal(&dev, 3);
    cr_assert_eq(guest.irqs, 0);
}

Test(virtio_mmio, a_changed_configuration_is_told_and_has_a_new_generation)
{
    uint32_t before = fake_reg(&guest, VIRTIO_MMIO_CONFIG_GENERATION);

    virtio_config_changed(&dev);
    cr_assert_eq(guest.irqs, 0, "nobody is there yet");
    fake_start(&guest, 0, 2, 8);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_CONFIG_GENERATION), before + 1);
    virtio_config_changed(&dev);
    cr_assert_eq(guest.irqs, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_CONFIG_GENERATION), before + 2);
    set(VIRTIO_MMIO_STATUS, 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_CONFIG_GENERATION), before + 2);
}

/* The driver reads its configuration before it sets DRIVER_OK, and may keep what it read. */
Test(virtio_mmio, a_change_before_driver_ok_is_told_then)
{
    fake_prepare(&guest, 0, 2, 8);
    virtio_config_changed(&dev);
    cr_assert_eq(guest.irqs, 0);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
    set(VIRTIO_MMIO_STATUS, 15);
    cr_assert_eq(guest.irqs, 1);
    cr_assert_eq(fake_reg(&guest, VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
    set(VIRTIO_MMIO_STATUS, 15 | VIRTIO_STATUS_FAILED);
    cr_assert_eq(guest.irqs, 1, "once");
}

Test(virtio_mmio, a_fault_before_driver_ok_is_told_then)
{
    fake_prepare(&guest, 0, 2, 8);
    device_fault(&dev, "early");
    cr_assert_eq(guest.irqs, 0);
    set(VIRTIO_MMIO_STATUS, 15);
    cr_assert_eq(guest.irqs, 1);
    cr_assert_eq(activated, 0);
    fake_start(&guest, 0, 2, 8);
    cr_assert_eq(guest.irqs, 1, "a reset forgets it");
}

Test(virtio_mmio, halves_of_features_that_do_not_exist_take_nothing)
{
    set(VIRTIO_MMIO_STATUS, 0);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08000000); /* times 32 is 0 */
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1u << VIRTIO_F_EVENT_IDX);
    set(VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0x08000001);
    set(VIRTIO_MMIO_DRIVER_FEATURES, 1);
    cr_assert_eq(dev.state.driver_features, 0);
}

/* --- from a snapshot --- */

static struct err err;
static struct virtio_state transport;
static struct vq_state queues[2];

/* What a snapshot would have of the toy, whose driver has got this far. */
static void save(void)
{
    transport = dev.state;
    for (unsigned i = 0; i < 2; i++)
        queues[i] = dev.queues[i].state;
}

static void save_running(void)
{
    fake_start(&guest, VIRTIO_FEATURE(VIRTIO_F_EVENT_IDX), 2, 8);
    save();
    queues[1].next_avail = 0xfffe;
    queues[1].next_used = 0xfffd;
    queues[1].signalled = 0xfffc;
    transport.interrupt_status = 1;
    transport.queue_sel = 77;
}

static void assert_refused(const char *why)
{
    struct virtio_host host = fake_host(&guest);

    virtio_init(&dev, &toy, &host);
    activated = notified[0] = notified[1] = 0;
    cr_assert_eq(virtio_load(&dev, &transport, queues, &err), -1, "%s", why);
    cr_assert_str_eq(err.text, why);
    cr_assert_eq(activated + notified[0] + notified[1], 0, "nothing moves");
}

Test(virtio_mmio, a_device_that_is_loaded_goes_on_where_it_stood)
{
    struct virtio_host host = fake_host(&guest);
    struct vq_state was[2];

    save_running();
    memcpy(was, queues, sizeof(was));
    virtio_init(&dev, &toy, &host);
    activated = 0;
    cr_assert_eq(virtio_load(&dev, &transport, queues, &err), 0, "%s", err.text);
    cr_assert_eq(activated, 0, "not before it is told to");
    cr_assert_arr_eq(&dev.state, &transport, sizeof(transport));
    for (unsigned i = 0; i < 2; i++)
        cr_assert_arr_eq(&dev.queues[i].state, &was[i], sizeof(was[i]));
    cr_assert(dev.queues[1].event_idx && !dev.queues[1].indirect);
    virtio_go_on(&dev);
    cr_assert_eq(activated, 1);
    cr_assert_eq(notified[0], 1);
    cr_assert_eq(notified[1], 1);
    cr_assert(!fake_needs_reset(&guest));
}

Test(virtio_mmio, one_that_was_not_active_is_loaded_and_goes_on_idle)
{
    struct virtio_host host = fake_host(&guest);

    fake_prepare(&guest, 0, 2, 8);
    save();
    virtio_init(&dev, &toy, &host);
    cr_assert_eq(virtio_load(&dev, &transport, queues, &err), 0, "%s", err.text);
    virtio_go_on(&dev);
    cr_assert_eq(activated, 0);
    set(VIRTIO_MMIO_STATUS, 15);
    cr_assert_eq(activated, 1, "the driver goes on where it was");
}

Test(virtio_mmio, one_that_had_failed_still_wants_its_reset)
{
    struct virtio_host host = fake_host(&guest);

    fake_start(&guest, 0, 2, 8);
    device_fault(&dev, "for the test");
    save();
    virtio_init(&dev, &toy, &host);
    activated = 0;
    cr_assert_eq(virtio_load(&dev, &transport, queues, &err), 0, "%s", err.text);
    virtio_go_on(&dev);
    cr_assert_eq(activated, 0);
    cr_assert(fake_needs_reset(&guest));
    fake_start(&guest, 0, 2, 8);
    cr_assert_eq(activated, 1, "and has it");
}

Test(virtio_mmio, features_that_it_does_not_offer_are_not_loaded)
{
    save_running();
    transport.driver_features |= 1u << 6;
    assert_refused("toy: features 0x120000040 were agreed upon, this one has 0x130000020");
    transport.driver_features = 0;
    assert_refused("toy: features 0x0 were agreed upon, this one has 0x130000020");
}

Test(virtio_mmio, queues_outside_of_memory_are_not_loaded)
{
    static const uint64_t bad[] = {0, FAKE_BASE + FAKE_BYTES, UINT64_MAX - 15, FAKE_RINGS + 1,
                                   FAKE_BASE + FAKE_BYTES - 16};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        save_running();
        queues[1].desc = bad[i];
        assert_refused("toy: queue 1: queue outside of memory or misaligned");
        save_running();
        queues[0].avail = bad[i];
        assert_refused("toy: queue 0: queue outside of memory or misaligned");
        save_running();
        queues[0].used = bad[i];
        assert_refused("toy: queue 0: queue outside of memory or misaligned");
    }
}

Test(virtio_mmio, queues_of_impossible_sizes_are_not_loaded)
{
    static const uint16_t bad[] = {0, 3, 32, 0x8000, 0xffff};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        save_running();
        queues[1].size = bad[i];
        assert_refused("toy: queue 1: bad queue size");
    }
    save_running();
    queues[0].ready = 2;
    assert_refused("toy: queue 0: neither ready nor not");
}

Test(virtio_mmio, driver_ok_without_features_is_not_loaded)
{
    save_running();
    queues[0].ready = queues[1].ready = 0;
    transport.status &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    assert_refused("toy: DRIVER_OK without FEATURES_OK");
}

/* No driver can have brought it about: the register refuses that. */
Test(virtio_mmio, queues_that_are_ready_before_the_features_are_not_loaded)
{
    save_running();
    transport.status = 3;
    assert_refused("toy: queue 0: ready without FEATURES_OK");
}
