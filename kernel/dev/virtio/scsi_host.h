/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the two halves of the virtio SCSI driver: the controller
 * (virtio_scsi.c) carries commands and hears events; scsi_disk.c finds out what a
 * unit is and makes it a block device.
 */
#pragma once

#include "dev/scsi.h"
#include "dev/virtio/diskq.h"

struct scsi_host;

struct scsi_unit {
    uint8_t target;
    uint16_t lun; /* below 16384 */
};

enum scsi_discard { DISCARD_NONE, DISCARD_UNMAP, DISCARD_WRITE_SAME };

struct scsi_disk {
    struct blkdev dev;
    struct scsi_host *host;
    struct scsi_unit unit;
    unsigned index; /* of its name */
    bool wide;      /* knows the commands of 16 bytes */
    bool cache;     /* volatile: has to be flushed */
    enum scsi_discard discard;
    struct list link; /* on the host's list, under its `scan` mutex */
};

/* A command of our own; its data go to one piece of the direct map. */
struct scsi_command {
    struct bio bio;
    struct scsi_host *host;
    struct scsi_unit unit;
    uint8_t cdb[SCSI_CDB];
    uint32_t got; /* bytes that came */
};

/*
 * Runs the command in cmd->cdb and reads `len` bytes at most. 0, -ENODEV (no such
 * unit), or an error as scsi_sense_error()'s. Sleeps.
 */
int scsi_run(struct scsi_host *host, const struct scsi_unit *unit, struct scsi_command *cmd,
             void *data, uint32_t len);
/* The bytes a request may carry, from the controller. */
uint32_t scsi_host_transfer_max(const struct scsi_host *host);

/*
 * Asks a unit what it is. A disk: *out is made and filled, not registered, ready for
 * `ops`. -ENODEV: nothing, or no disk; -EINVAL: an impossible one (logged); -ENOMEM,
 * -EIO.
 */
int scsi_disk_identify(struct scsi_host *host, const struct scsi_unit *unit,
                       const struct blkdev_ops *ops, struct scsi_disk **out);
/* For blkdev_ops.release. */
void scsi_disk_free(struct blkdev *dev);
/* Reads the capacity again. */
void scsi_disk_measure(struct scsi_disk *disk);
/* Fills the command of a bio's part; `parameters` follow it: their bytes. */
unsigned scsi_disk_command(const struct scsi_disk *disk, struct diskq_request *r, uint8_t *cdb,
                           uint8_t *parameters);
