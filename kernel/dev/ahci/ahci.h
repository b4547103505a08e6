/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AHCI host bus adapters (AHCI 1.3.1) with ATA disks (ACS-3) and optical drives (ATAPI).
 * ahci.c finds an adapter, serves its interrupt and mends ports; ahci_port.c is the
 * hardware of one port; ahci_command.c makes commands of bios; ahci_disk.c finds out
 * what stands at a port. Main structs: ahci, ahci_port.
 *
 * Lock: ioq.lock of a port for its commands. Only the adapter's thread, or the probe before
 * it, starts and stops a port.
 */
#pragma once

#include "dev/ata.h"
#include "dev/ioq.h"
#include "dev/pci.h"
#include "dev/scsi.h"

#define AHCI_PORTS 32
#define AHCI_SLOTS 32

#define AHCI_TRIM_BLOCKS (64ull * 0xffff) /* of a TRIM: 64 ranges */

enum ahci_kind { AHCI_NONE, AHCI_DISK, AHCI_OPTICAL };

/* Registers of a port (§3.3). */
enum {
    PORT_CLB = 0x00, /* command list, 64 bits */
    PORT_FB = 0x08,  /* received FISes, 64 bits */
    PORT_IS = 0x10,
    PORT_IE = 0x14,
    PORT_CMD = 0x18,
    PORT_TFD = 0x20,
    PORT_SIG = 0x24,
    PORT_SSTS = 0x28,
    PORT_SCTL = 0x2c,
    PORT_SERR = 0x30,
    PORT_SACT = 0x34,
    PORT_CI = 0x38,
};

/* Of PORT_TFD: the device's status and error registers. */
#define TFD_ERROR     0x01u
#define TFD_BUSY      0x88u /* BSY, DRQ */
#define TFD_CODE(tfd) ((tfd) >> 8 & 0xff)

struct ahci_port {
    struct ioq q;
    struct ahci *hba;
    unsigned index;
    volatile char *regs;
    uint8_t *memory; /* what the adapter reads and writes: see ahci_command.c */
    enum ahci_kind kind;
    bool active;       /* it takes commands */
    uint32_t error;    /* reasons to mend it, of PORT_IS */
    uint32_t plain;    /* slots under way: one, alone */
    uint32_t queued;   /* slots under way by NCQ */
    uint32_t starting; /* of both, not told to the adapter yet */
    unsigned solo;     /* so many commands go alone, as one of a few has failed */

    struct blkdev dev;
    unsigned name; /* of sd_name.h */
    struct ata_disk disk;
    bool ncq; /* reads and writes are queued */
};

struct ahci {
    struct ioq_host host;
    struct pci_device pci;
    char name[24];
    volatile char *regs;
    uint32_t caps;
    struct ahci_port *port[AHCI_PORTS];
};

/* A command of our own; its data come into one piece of the direct map. */
struct ahci_command {
    struct bio bio;
    struct ahci_port *port;
    uint8_t command;       /* ATA */
    uint8_t cdb[SCSI_CDB]; /* of PACKET */
};

/* An adapter that the scan of PCI found. Sleeps. */
void ahci_probe(const struct pci_device *pci);

/* Whether something stands at a port; asks the link to come up if nobody did yet. Sleeps. */
bool ahci_port_linked(volatile char *regs);
/* The port gets its memory and stands still. 0 or -errno. Sleeps. */
int ahci_port_init(struct ahci_port *port);
/* What the device says it is. Waits until it can. Sleeps. */
enum ahci_kind ahci_port_kind(struct ahci_port *port);
/* Takes commands from now on. -EIO: the device is not ready for it. */
int ahci_port_start(struct ahci_port *port);
/* Forgets commands. -ETIMEDOUT: it has to be reset. Sleeps. */
int ahci_port_stop(struct ahci_port *port);
/* Resets the link and the device. -ENODEV: nothing is there; -ETIMEDOUT. Sleeps. */
int ahci_port_reset(struct ahci_port *port);
uint32_t ahci_port_read(const struct ahci_port *port, unsigned reg);
void ahci_port_write(struct ahci_port *port, unsigned reg, uint32_t v);

#define AHCI_MEMORY_ORDER 3 /* pages of a port */
/* The list and the command tables are set up, `memory` is there. */
void ahci_commands_init(struct ahci_port *port);
void ahci_command_area(const struct ahci_port *port, paddr_t *list, paddr_t *received);
/* Takes what the device has done; notes errors and wakes the thread for them. Any context. */
void ahci_port_reap(struct ahci_port *port);
/*
 * The port was stopped because of an error: the command that stood alone ends as `tfd`
 * says, those that were queued are tried again one by one. Under the lock.
 */
void ahci_port_failed(struct ahci_port *port, uint32_t tfd, struct list *done);
extern const struct ioq_ops ahci_ops;

/* Finds out what the device is and fills port->dev. -ENODEV: no disk, no medium. Sleeps. */
int ahci_disk_identify(struct ahci_port *port);
