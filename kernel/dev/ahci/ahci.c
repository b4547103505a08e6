/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An AHCI adapter: finding it, its one interrupt, and the mending of ports by its
 * thread. See ahci.h for the main structs and the lock.
 */
#include "dev/ahci/ahci.h"

#include <errno.h>

#include "arch/x86_64/io.h"
#include "core/log.h"
#include "lib/fmt.h"
#include "mem/kmalloc.h"

/* Registers (§3.1). */
#define REG_CAP    0x00
#define REG_GHC    0x04
#define REG_IS     0x08
#define REG_PI     0x0c
#define REG_CAP2   0x24
#define REG_BOHC   0x28
#define REG_PORTS  0x100
#define PORT_BYTES 0x80

#define BAR        5
#define GHC_IRQ    (1u << 1)
#define GHC_AHCI   (1u << 31)
#define CAP2_BOH   1u
#define BOHC_BIOS  1u
#define BOHC_OS    2u
#define HANDOFF_MS 2000
#define IRQ_ROUNDS 8 /* an adapter that always has something new is left for the next interrupt */

static void adapter_irq(void *arg)
{
    struct ahci *hba = arg;
    for (unsigned round = 0; round < IRQ_ROUNDS; round++) {
        uint32_t is = mmio_read32(hba->regs + REG_IS);
        if (!is)
            return;
        for (uint32_t left = is; left; left &= left - 1) {
            struct ahci_port *port = hba->port[__builtin_ctz(left)];
            if (port)
                ahci_port_reap(port);
        }
        mmio_write32(hba->regs + REG_IS, is);
    }
}

/* The device is gone, or does not come to its senses. */
static void port_die(struct ahci_port *port, int err)
{
    log_error("%s: port %u does not work any more: error %d", port->hba->name, port->index, -err);
    ahci_port_stop(port);
    ioq_kill(&port->q);
    if (port->dev.link.next) /* registered */
        blkdev_unregister(&port->dev);
    port->active = false;
}

/* After an error, or when a command does not end: what stood there is ended or tried again. */
static void port_mend(struct ahci_port *port)
{
    struct list done = LIST_INIT(done);
    ahci_port_reap(port); /* an interrupt may be lost */
    bool stuck = ioq_stuck(&port->q);
    if (!port->error && !stuck)
        return;
    ioq_stop(&port->q);
    uint32_t tfd = ahci_port_read(port, PORT_TFD);
    bool reset = stuck || port->queued || !(tfd & TFD_ERROR) || tfd & TFD_BUSY;
    log_warn("%s: port %u: %s; status %#x, interrupts %#x%s", port->hba->name, port->index,
             stuck ? "a command does not end" : "an error", tfd, port->error,
             reset ? "; reset" : "");
    if (ahci_port_stop(port))
        reset = true;
    int err = reset ? ahci_port_reset(port) : 0;
    irqflags_t flags = spin_lock_irq(&port->q.lock);
    ahci_port_failed(port, stuck ? 0 : tfd, &done);
    port->error = 0;
    spin_unlock_irq(&port->q.lock, flags);
    ioq_complete(&done);
    ioq_retry(&port->q);
    if (!err)
        err = ahci_port_start(port);
    if (err)
        port_die(port, err);
    else
        ioq_resume(&port->q);
}

static void adapter_attend(struct ioq_host *h)
{
    struct ahci *hba = CONTAINER_OF(h, struct ahci, host);
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (hba->port[i] && hba->port[i]->active)
            port_mend(hba->port[i]);
}

static bool bios_let_go(void *arg)
{
    const struct ahci *hba = arg;
    return !(mmio_read32(hba->regs + REG_BOHC) & BOHC_BIOS);
}

/* Takes the adapter from the firmware (§10.6.3), and out of any older mode. */
static void adapter_take(struct ahci *hba)
{
    mmio_write32(hba->regs + REG_GHC, mmio_read32(hba->regs + REG_GHC) | GHC_AHCI);
    if (!(mmio_read32(hba->regs + REG_CAP2) & CAP2_BOH))
        return;
    mmio_write32(hba->regs + REG_BOHC, mmio_read32(hba->regs + REG_BOHC) | BOHC_OS);
    if (ioq_wait_for(bios_let_go, hba, HANDOFF_MS))
        log_warn("%s: the firmware does not let go of it", hba->name);
}

/* Ports with something behind them get their struct; how many. */
static unsigned ports_find(struct ahci *hba)
{
    uint32_t ports = mmio_read32(hba->regs + REG_PI);
    unsigned count = 0, end = ports ? 32u - (unsigned)__builtin_clz(ports) : 0;
    volatile char *regs;
    if (!end || pci_map(&hba->pci, BAR, 0, REG_PORTS + end * PORT_BYTES, &regs))
        return 0;
    for (; ports; ports &= ports - 1) {
        unsigned index = (unsigned)__builtin_ctz(ports);
        volatile char *at = regs + REG_PORTS + index * PORT_BYTES;
        struct ahci_port *port = ahci_port_linked(at) ? kzalloc(sizeof *port) : NULL;
        if (!port)
            continue;
        port->hba = hba;
        port->index = index;
        port->regs = at;
        hba->port[index] = port;
        count++;
    }
    return count;
}

/* From a link to a block device that is not registered yet. */
static int port_bring_up(struct ahci_port *port)
{
    int err = ahci_port_init(port);
    if (err)
        return err;
    port->kind = ahci_port_kind(port);
    if (port->kind == AHCI_NONE)
        return -ENODEV;
    err = ahci_port_start(port);
    if (!err) {
        port->active = true;
        err = ahci_disk_identify(port);
    }
    return err;
}

static void port_add(struct ahci_port *port)
{
    struct blkdev *dev = &port->dev;
    int err = port_bring_up(port);
    if (err) {
        port->active = false;
        if (port->memory)
            ahci_port_stop(port);
        if (err == -ENODEV)
            log_info("%s: port %u: %s", port->hba->name, port->index,
                     port->kind == AHCI_OPTICAL ? "no medium" : "no disk");
        else
            log_error("%s: port %u: not used: error %d", port->hba->name, port->index, -err);
        return;
    }
    err = blkdev_register(dev);
    if (err) /* only its partition table: the disk itself is there */
        log_warn("%s: partitions not read: error %d", dev->name, -err);
    else
        log_info("%s: %s port %u, %llu sectors%s", dev->name, port->hba->name, port->index,
                 (unsigned long long)dev->sectors, port->ncq ? ", NCQ" : "");
}

/* Interrupts and the thread: they keep the adapter for good. */
static int adapter_start(struct ahci *hba)
{
    int err = pci_irq_route(&hba->pci, adapter_irq, hba, hba->name);
    if (!err)
        err = ioq_host_start(&hba->host, "ahci");
    if (!err)
        mmio_write32(hba->regs + REG_GHC, mmio_read32(hba->regs + REG_GHC) | GHC_IRQ);
    return err;
}

static void adapter_add(struct ahci *hba)
{
    adapter_take(hba);
    hba->caps = mmio_read32(hba->regs + REG_CAP);
    if (!ports_find(hba)) {
        pci_stop(&hba->pci); /* as in every machine of type q35 */
        kfree(hba);
        return;
    }
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (hba->port[i])
            ioq_init(&hba->port[i]->q, &hba->host, &ahci_ops, 1);
    int err = adapter_start(hba);
    if (err) {
        log_error("%s: no interrupt or thread: error %d", hba->name, -err);
        pci_stop(&hba->pci);
        return;
    }
    for (unsigned i = 0; i < AHCI_PORTS; i++)
        if (hba->port[i])
            port_add(hba->port[i]);
}

void ahci_probe(const struct pci_device *pci)
{
    struct ahci *hba = kzalloc(sizeof *hba);
    if (!hba)
        return;
    hba->pci = *pci;
    snprintf(hba->name, sizeof hba->name, "ahci@%02x:%02x.%x", pci->bus, pci->slot, pci->function);
    hba->host.attend = adapter_attend;
    ioq_host_init(&hba->host);
    pci_enable(pci);
    if (pci_map(&hba->pci, BAR, 0, REG_PORTS, &hba->regs)) {
        log_error("%s: no registers", hba->name);
        kfree(hba);
        return;
    }
    adapter_add(hba);
}
