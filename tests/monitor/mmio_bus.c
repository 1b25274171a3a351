/* The bus: who gets an access, and that the lock is held. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "monitor/mmio_bus.h"

static struct device_lock lock = DEVICE_LOCK_INIT;
static struct mmio_bus bus;
static struct {
    uint64_t offset, value;
    unsigned size, accesses;
    bool locked;
} seen;

static void see(uint64_t offset, unsigned size, uint64_t value)
{
    seen.offset = offset;
    seen.size = size;
    seen.value = value;
    seen.accesses++;
    seen.locked = device_lock_is_taken(&lock);
}

static uint64_t dev_read(void *dev, uint64_t offset, unsigned size)
{
    (void)dev;
    see(offset, size, 0);
    return 0x1122334455667788;
}

static void dev_write(void *dev, uint64_t offset, unsigned size, uint64_t value)
{
    (void)dev;
    see(offset, size, value);
}

static const struct mmio_ops ops = {.read = dev_read, .write = dev_write};

static void setup(void)
{
    mmio_bus_init(&bus, &lock);
    cr_assert_eq(mmio_bus_add(&bus, 0x1000, 0x100, &ops, NULL, NULL), 0);
}

TestSuite(mmio_bus, .init = setup);

Test(mmio_bus, an_access_reaches_its_device_under_the_lock)
{
    uint32_t data = 0;

    mmio_bus_read(&bus, 0x1004, &data, 4);
    cr_assert_eq(data, 0x55667788);
    cr_assert_eq(seen.offset, 4);
    cr_assert_eq(seen.size, 4);
    cr_assert(seen.locked);
    data = 0xabcd;
    mmio_bus_write(&bus, 0x10fe, &data, 2);
    cr_assert_eq(seen.offset, 0xfe);
    cr_assert_eq(seen.value, 0xabcd);
    cr_assert(seen.locked);
    cr_assert_not(device_lock_is_taken(&lock), "and gives it back");
}

Test(mmio_bus, nobody_there_reads_all_ones)
{
    static const uint64_t places[] = {0, 0xfff, 0x10fd, 0x1100, UINT64_MAX};
    uint8_t data[8];

    for (unsigned i = 0; i < 5; i++) {
        memset(data, 0, sizeof(data));
        mmio_bus_read(&bus, places[i], data, 4);
        cr_assert_eq(data[0] & data[3], 0xff);
        cr_assert_eq(data[4], 0);
        mmio_bus_write(&bus, places[i], data, 4);
    }
    cr_assert_eq(seen.accesses, 0);
}

Test(mmio_bus, odd_lengths_are_nobodys)
{
    uint8_t data[8] = {0};

    mmio_bus_read(&bus, 0x1000, data, 3);
    cr_assert_eq(data[2], 0xff);
    mmio_bus_read(&bus, 0x1000, data, 0);
    cr_assert_eq(seen.accesses, 0);
}

Test(mmio_bus, regions_neither_overlap_nor_wrap)
{
    struct err err;

    cr_assert_eq(mmio_bus_add(&bus, 0x10ff, 1, &ops, NULL, &err), -1);
    cr_assert_eq(mmio_bus_add(&bus, 0xfff, 2, &ops, NULL, &err), -1);
    cr_assert_eq(mmio_bus_add(&bus, 0x2000, 0, &ops, NULL, &err), -1);
    cr_assert_eq(mmio_bus_add(&bus, UINT64_MAX, 2, &ops, NULL, &err), -1);
    cr_assert_eq(mmio_bus_add(&bus, 0x1100, 1, &ops, NULL, &err), 0);
    for (unsigned i = 2; i < MMIO_BUS_REGIONS; i++)
        cr_assert_eq(mmio_bus_add(&bus, 0x10000 + i, 1, &ops, NULL, &err), 0);
    cr_assert_eq(mmio_bus_add(&bus, 0x20000, 1, &ops, NULL, &err), -1);
}
