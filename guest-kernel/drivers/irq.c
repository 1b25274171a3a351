#include "guest-kernel/drivers/irq.h"

#define IRQ_HANDLERS 16

struct handler {
    u32 bit;
    void (*fn)(void *arg);
    void *arg;
};

static struct handler handlers[IRQ_HANDLERS];
static unsigned handler_count;

bool irq_register(u32 vector, void (*fn)(void *arg), void *arg)
{
    if (vector < IRQ_FIRST_VECTOR || vector - IRQ_FIRST_VECTOR >= 32 ||
        handler_count == IRQ_HANDLERS)
        return false;
    handlers[handler_count++] = (struct handler){1u << (vector - IRQ_FIRST_VECTOR), fn, arg};
    return true;
}

void irq_dispatch(u32 notes)
{
    for (unsigned i = 0; i < handler_count; i++) {
        if (notes & handlers[i].bit)
            handlers[i].fn(handlers[i].arg);
    }
}
