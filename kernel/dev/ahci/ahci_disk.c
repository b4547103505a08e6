/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands at an AHCI port: a disk's identity (ACS-3 §7.12), an optical drive's
 * medium (MMC-6). Main struct: ahci_port, whose `dev` is filled here.
 */
#include <errno.h>

#include "dev/ahci/ahci.h"
#include "dev/sd_name.h"
#include "lib/string.h"
#include "mem/kmalloc.h"

#define CAP_NCQ         (1u << 30)
#define CAP_SLOTS(caps) (((caps) >> 8 & 31) + 1)

static void command_submit(struct blkdev *none, struct bio *bio)
{
    (void)none;
    ioq_submit(&CONTAINER_OF(bio, struct ahci_command, bio)->port->q, bio);
}

/* Runs a command that reads `len` bytes (may be 0) into `data`; fails as ahci_ops do. */
static int command_run(struct ahci_port *port, struct ahci_command *cmd, void *data, uint32_t len)
{
    cmd->bio = (struct bio){.op = BIO_COMMAND, .count = len != 0};
    cmd->bio.vec[0] = (struct bio_vec){data, len};
    cmd->port = port;
    return bio_wait(&cmd->bio, command_submit, NULL);
}

static void disk_submit(struct blkdev *dev, struct bio *bio)
{
    struct ahci_port *port = dev->priv;
    if (bio->op == BIO_FLUSH && !port->disk.cache) {
        bio->status = 0;
        bio_complete(bio);
        return;
    }
    ioq_submit(&port->q, bio);
}

static const struct blkdev_ops disk_ops = {.submit = disk_submit};

static int disk_fill(struct ahci_port *port, const uint16_t *identity)
{
    struct blkdev *dev = &port->dev;
    struct ata_disk *disk = &port->disk;
    int err = ata_disk_fill(dev, disk, identity);
    if (err)
        return err;
    if (disk->trim)
        dev->discard_max = AHCI_TRIM_BLOCKS * (dev->block_size / 512);
    unsigned depth = MIN(disk->depth, CAP_SLOTS(port->hba->caps));
    port->ncq = port->hba->caps & CAP_NCQ && depth > 1;
    if (port->ncq)
        ioq_set_depth(&port->q, depth);
    return 0;
}

static int disk_identify(struct ahci_port *port)
{
    struct ahci_command *cmd = kzalloc(sizeof *cmd);
    uint16_t *w = kzalloc(ATA_IDENTITY * 2);
    int err = -ENOMEM;
    if (cmd && w) {
        cmd->command = ATA_IDENTIFY;
        err = command_run(port, cmd, w, ATA_IDENTITY * 2);
        if (!err)
            err = disk_fill(port, w);
        if (!err)
            err = sd_name_take(&port->dev, &port->name);
    }
    kfree(w);
    kfree(cmd);
    return err;
}

/* Its medium: a drive that was just turned on, or has a new one, says so first. */
static int optical_identify(struct ahci_port *port)
{
    struct ahci_command *cmd = kzalloc(sizeof *cmd);
    uint8_t *data = kzalloc(ATA_CAPACITY);
    int err = -ENOMEM;
    if (cmd && data) {
        cmd->command = ATA_PACKET; /* with TEST UNIT READY, which is all zero */
        err = command_run(port, cmd, NULL, 0);
        scsi_cdb_read_capacity(cmd->cdb, false, ATA_CAPACITY);
        if (!err)
            err = command_run(port, cmd, data, ATA_CAPACITY);
        if (!err)
            err = ata_optical_fill(&port->dev, data);
    }
    kfree(data);
    kfree(cmd);
    return err == -EIO ? -ENODEV : err;
}

int ahci_disk_identify(struct ahci_port *port)
{
    port->dev.ops = &disk_ops;
    port->dev.priv = port;
    return port->kind == AHCI_DISK ? disk_identify(port) : optical_identify(port);
}
