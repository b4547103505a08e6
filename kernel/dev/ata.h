/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ATA disks (ACS-3) and optical drives (ATAPI, MMC-6) say of themselves: what the
 * drivers of their controllers share. No state but the numbers of optical drives.
 */
#pragma once

#include "dev/blkdev.h"

enum ata_command {
    ATA_DATASET = 0x06,
    ATA_READ_WIDE = 0x25, /* "wide": 48 bits of address */
    ATA_READ_MULTIPLE_WIDE = 0x29,
    ATA_WRITE_WIDE = 0x35,
    ATA_WRITE_MULTIPLE_WIDE = 0x39,
    ATA_READ_QUEUED = 0x60,
    ATA_WRITE_QUEUED = 0x61,
    ATA_PACKET = 0xa0,
    ATA_IDENTIFY_PACKET = 0xa1,
    ATA_READ_MULTIPLE = 0xc4,
    ATA_WRITE_MULTIPLE = 0xc5,
    ATA_SET_MULTIPLE = 0xc6,
    ATA_READ = 0xc8,
    ATA_WRITE = 0xca,
    ATA_FLUSH = 0xe7,
    ATA_FLUSH_WIDE = 0xea,
    ATA_IDENTIFY = 0xec,
};

#define ATA_STATUS_ERROR 0x01u
#define ATA_STATUS_DATA  0x08u /* DRQ */
#define ATA_STATUS_FAULT 0x20u
#define ATA_STATUS_BUSY  0x80u
#define ATA_ERROR_ABORT  0x04u
#define ATA_ERROR_CRC    0x80u /* on the cable */
#define ATA_DEVICE_LBA   0x40u

#define ATA_IDENTITY 256 /* words */
#define ATA_CAPACITY 8   /* bytes of the answer to READ CAPACITY (10) */

struct ata_disk {
    bool wide;         /* it has 48 bits of address */
    bool cache;        /* volatile: has to be flushed */
    bool flush_wide;   /* by ATA_FLUSH_WIDE */
    bool trim;         /* it knows TRIM */
    unsigned depth;    /* of its own queue; 0: none */
    unsigned multiple; /* sectors a READ MULTIPLE moves at once, at most; 0: it has none */
};

/* Fills size and blocks of `dev`, and *out, from the identity. -EINVAL: an impossible disk. */
int ata_disk_fill(struct blkdev *dev, struct ata_disk *out, const uint16_t *identity);
/* Fills `dev` from the answer to READ CAPACITY, and names it. -EINVAL: an impossible medium. */
int ata_optical_fill(struct blkdev *dev, const uint8_t *capacity);
/* What a disk's error register means for a bio: -EAGAIN (to be tried again) or another -errno. */
int ata_disk_error(uint8_t error, const struct bio *bio);
/* The same of an optical drive. */
int ata_optical_error(uint8_t error);
