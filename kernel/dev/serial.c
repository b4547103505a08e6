/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 16550 UART; where there is none, under Xen, its debug port, for output only. Main struct:
 * serial_stream, one per standard stream. Locks: out_lock keeps lines of several CPUs apart and is
 * given up on after a while, so that a panic can always write; in_lock (interrupts off) around the
 * input ring.
 */
#include "dev/serial.h"

#include <asm/poll.h>
#include <errno.h>
#include <linux/serial_reg.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/xen.h"
#include "core/spinlock.h"
#include "dev/acpi.h"
#include "dev/stream.h"
#include "ops/control.h"

#define COM1       0x3f8
#define COM1_IRQ   4
#define FIFO_BYTES 16
#define POLLS_MAX  1000000 /* a line that takes nothing: a second or so */
#define IN_SIZE    1024u   /* power of two */

static bool present;
static bool xen; /* the debug port stands in for the line */
static struct spinlock out_lock = SPINLOCK_INIT;

static struct spinlock in_lock = SPINLOCK_INIT;
static uint8_t in_ring[IN_SIZE];
static uint32_t in_head, in_tail; /* free-running */

bool serial_init(void)
{
    /* A scratch register that remembers two patterns: not an empty bus. */
    outb(COM1 + UART_SCR, 0x5a);
    present = inb(COM1 + UART_SCR) == 0x5a;
    outb(COM1 + UART_SCR, 0xa5);
    present = present && inb(COM1 + UART_SCR) == 0xa5;
    if (!present) {
        xen = xen_present();
        return false;
    }
    outb(COM1 + UART_IER, 0);
    outb(COM1 + UART_LCR, UART_LCR_DLAB | UART_LCR_WLEN8);
    outb(COM1 + UART_DLL, 1); /* 115200 */
    outb(COM1 + UART_DLM, 0);
    outb(COM1 + UART_LCR, UART_LCR_WLEN8);
    outb(COM1 + UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
    outb(COM1 + UART_MCR, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2);
    return true;
}

static bool line_wait(uint8_t bits)
{
    for (unsigned i = 0; i < POLLS_MAX; i++)
        if ((inb(COM1 + UART_LSR) & bits) == bits)
            return true;
    return false;
}

/* False if the lock did not come: its holder may be the CPU that panicked. */
static bool out_lock_try(void)
{
    for (unsigned i = 0; i < POLLS_MAX; i++) {
        if (!__atomic_exchange_n(&out_lock.held, 1, __ATOMIC_ACQUIRE))
            return true;
        cpu_relax();
    }
    return false;
}

void serial_write(const void *buf, size_t n)
{
    const uint8_t *p = buf;
    while (xen && n--)
        outb(XEN_LOG_PORT, *p++);
    if (!present)
        return;
    irqflags_t flags = irq_save();
    bool locked = out_lock_try();
    while (n && line_wait(UART_LSR_THRE))
        for (unsigned i = 0; i < FIFO_BYTES && n; i++, n--)
            outb(COM1 + UART_TX, *p++);
    if (locked)
        spin_unlock_raw(&out_lock);
    irq_restore(flags);
}

/* ---- the program's streams ---- */

static size_t line_write(struct stream *s, const void *buf, size_t n)
{
    (void)s;
    serial_write(buf, n);
    return n;
}

static bool line_can_write(struct stream *s)
{
    (void)s;
    return true;
}

static size_t line_read(struct stream *s, void *buf, size_t n)
{
    size_t done = 0;
    (void)s;
    irqflags_t flags = spin_lock_irq(&in_lock);
    while (done < n && in_tail != in_head)
        ((uint8_t *)buf)[done++] = in_ring[in_tail++ % IN_SIZE];
    spin_unlock_irq(&in_lock, flags);
    return done;
}

static bool line_can_read(struct stream *s)
{
    (void)s;
    irqflags_t flags = spin_lock_irq(&in_lock);
    bool yes = in_tail != in_head;
    spin_unlock_irq(&in_lock, flags);
    return yes;
}

static void line_drain(struct stream *s)
{
    (void)s;
    if (present)
        line_wait(UART_LSR_THRE | UART_LSR_TEMT);
}

static const struct stream_ops line_ops = {
    .write = line_write,
    .read = line_read,
    .can_read = line_can_read,
    .can_write = line_can_write,
    .drain = line_drain,
};

static struct stream line_streams[] = {
    {.ops = &line_ops, .name = OPS_PORT_STDIN},
    {.ops = &line_ops, .name = OPS_PORT_STDOUT},
    {.ops = &line_ops, .name = OPS_PORT_STDERR},
};

/* Input: what does not fit in the ring is lost, as on any line without flow control. */
static void line_irq(void *arg)
{
    (void)arg;
    irqflags_t flags = spin_lock_irq(&in_lock);
    for (unsigned i = 0; i < IN_SIZE && inb(COM1 + UART_LSR) & UART_LSR_DR; i++) {
        uint8_t byte = inb(COM1 + UART_RX);
        if (in_head - in_tail < IN_SIZE)
            in_ring[in_head++ % IN_SIZE] = byte;
    }
    inb(COM1 + UART_IIR);
    spin_unlock_irq(&in_lock, flags);
    waitq_wake(&line_streams[0].readable, POLLIN | POLLRDNORM);
}

int serial_register_streams(void)
{
    if (!present && !xen)
        return -ENODEV;
    for (unsigned i = 0; i < ARRAY_SIZE(line_streams); i++) {
        waitq_init(&line_streams[i].readable);
        waitq_init(&line_streams[i].writable);
        stream_register(&line_streams[i]);
    }
    if (xen) /* nothing comes in */
        return 0;
    struct acpi_irq irq = acpi_isa_irq(COM1_IRQ);
    int err = irq_register(irq.gsi, irq.level, irq.active_low, line_irq, NULL, "ttyS0");
    if (!err)
        outb(COM1 + UART_IER, UART_IER_RDI);
    return err;
}
