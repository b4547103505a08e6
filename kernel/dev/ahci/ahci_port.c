/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A port of an AHCI adapter: link, start, stop, reset (AHCI 1.3.1 §10). Waits are
 * bounded. Called by one thread at a time.
 */
#include <errno.h>

#include "arch/x86_64/io.h"
#include "arch/x86_64/layout.h"
#include "dev/ahci/ahci.h"
#include "mem/kmalloc.h"
#include "mem/page.h"

#define CMD_START   (1u << 0)
#define CMD_SPIN_UP (1u << 1)
#define CMD_FIS     (1u << 4)  /* received FISes are stored */
#define CMD_FIS_ON  (1u << 14) /* they are */
#define CMD_LIST_ON (1u << 15) /* the list is worked at */
#define LINK(ssts)  ((ssts)&15)
#define LINK_UP     3u
#define LINK_RESET  1u
#define IRQS        0x7d40005fu /* all but those of cold presence and power management */
#define STOP_MS     500
#define LINK_MS     1000
#define SPIN_MS     10    /* a device that is there shows within that time (SATA 3 §8) */
#define READY_MS    10000 /* disks that turn take their time */
#define SIG_DISK    0x00000101u
#define SIG_OPTICAL 0xeb140101u
#define CAP_WIDE    (1u << 31)
#define GIB4        (1ull << 32)

uint32_t ahci_port_read(const struct ahci_port *port, unsigned reg)
{
    return mmio_read32(port->regs + reg);
}

void ahci_port_write(struct ahci_port *port, unsigned reg, uint32_t v)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* memory before the register */
    mmio_write32(port->regs + reg, v);
}

struct reg_wait {
    volatile char *regs;
    unsigned reg;
    uint32_t mask, want;
};

static bool reg_is(void *arg)
{
    const struct reg_wait *w = arg;
    return (mmio_read32(w->regs + w->reg) & w->mask) == w->want;
}

static int reg_wait(volatile char *regs, unsigned reg, uint32_t mask, uint32_t want, unsigned ms)
{
    struct reg_wait w = {regs, reg, mask, want};
    return ioq_wait_for(reg_is, &w, ms);
}

static void cmd_change(struct ahci_port *port, uint32_t clear, uint32_t set)
{
    ahci_port_write(port, PORT_CMD, (ahci_port_read(port, PORT_CMD) & ~clear) | set);
}

bool ahci_port_linked(volatile char *regs)
{
    uint32_t cmd = mmio_read32(regs + PORT_CMD);
    if (LINK(mmio_read32(regs + PORT_SSTS)) == LINK_UP)
        return true;
    if (cmd & CMD_SPIN_UP)
        return false; /* since the machine was turned on: there was time enough */
    mmio_write32(regs + PORT_CMD, cmd | CMD_SPIN_UP);
    return !reg_wait(regs, PORT_SSTS, 15, LINK_UP, SPIN_MS);
}

int ahci_port_stop(struct ahci_port *port)
{
    ahci_port_write(port, PORT_IE, 0);
    cmd_change(port, CMD_START, 0);
    return reg_wait(port->regs, PORT_CMD, CMD_LIST_ON, 0, STOP_MS);
}

static void address_write(struct ahci_port *port, unsigned reg, paddr_t pa)
{
    ahci_port_write(port, reg, (uint32_t)pa);
    ahci_port_write(port, reg + 4, (uint32_t)(pa >> 32));
}

int ahci_port_init(struct ahci_port *port)
{
    struct page *p = page_alloc_zero(AHCI_MEMORY_ORDER);
    paddr_t list, received;
    if (!p)
        return -ENOMEM;
    port->memory = page_address(p);
    if (!(port->hba->caps & CAP_WIDE) && (page_paddr(p) >= GIB4 || page_of_paddr(GIB4)))
        return -ENOTSUP; /* it does not reach all memory */
    ahci_commands_init(port);
    int err = ahci_port_stop(port);
    cmd_change(port, CMD_FIS, 0);
    if (!err)
        err = reg_wait(port->regs, PORT_CMD, CMD_FIS_ON, 0, STOP_MS);
    if (err)
        return err;
    ahci_command_area(port, &list, &received);
    address_write(port, PORT_CLB, list);
    address_write(port, PORT_FB, received);
    cmd_change(port, 0, CMD_FIS);
    return 0;
}

enum ahci_kind ahci_port_kind(struct ahci_port *port)
{
    if (reg_wait(port->regs, PORT_TFD, TFD_BUSY, 0, READY_MS) ||
        ahci_port_read(port, PORT_SIG) == UINT32_MAX)
        if (ahci_port_reset(port))
            return AHCI_NONE;
    switch (ahci_port_read(port, PORT_SIG)) {
    case SIG_DISK:
        return AHCI_DISK;
    case SIG_OPTICAL:
        return AHCI_OPTICAL;
    default: /* enclosures, port multipliers */
        return AHCI_NONE;
    }
}

int ahci_port_start(struct ahci_port *port)
{
    if (ahci_port_read(port, PORT_TFD) & TFD_BUSY ||
        LINK(ahci_port_read(port, PORT_SSTS)) != LINK_UP)
        return -EIO;
    ahci_port_write(port, PORT_SERR, UINT32_MAX);
    ahci_port_write(port, PORT_IS, UINT32_MAX);
    cmd_change(port, 0, CMD_FIS | CMD_START);
    ahci_port_write(port, PORT_IE, IRQS);
    return 0;
}

static bool never(void *arg)
{
    (void)arg;
    return false;
}

int ahci_port_reset(struct ahci_port *port)
{
    uint32_t control = ahci_port_read(port, PORT_SCTL) & ~15u;
    ahci_port_stop(port); /* what cannot stop is reset all the same */
    cmd_change(port, 0, CMD_FIS);
    ahci_port_write(port, PORT_SCTL, control | LINK_RESET);
    ioq_wait_for(never, NULL, 1); /* the reset has to last 1 ms (§10.4.2) */
    ahci_port_write(port, PORT_SCTL, control);
    if (reg_wait(port->regs, PORT_SSTS, 15, LINK_UP, LINK_MS))
        return -ENODEV;
    ahci_port_write(port, PORT_SERR, UINT32_MAX);
    return reg_wait(port->regs, PORT_TFD, TFD_BUSY, 0, READY_MS);
}
