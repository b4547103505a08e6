/* SPDX-License-Identifier: Apache-2.0 */
/* Identities, capacities and errors of ATA devices: see ata.h. */
#include "dev/ata.h"

#include <errno.h>

#include "core/log.h"
#include "dev/scsi.h"
#include "lib/fmt.h"

#define TRANSFER_MAX    (4u << 20)
#define TRANSFER_NARROW (256u * 512) /* without commands of 48 bits */
#define OPTICAL_BLOCKS  64           /* of a read */

static unsigned optical_count;

/* A number in several words, the lowest first. */
static uint64_t words(const uint16_t *w, unsigned first, unsigned count)
{
    uint64_t v = 0;
    for (unsigned i = count; i--;)
        v = v << 16 | w[first + i];
    return v;
}

/* A word of flags is valid where its upper bits are 01. */
static bool flag(const uint16_t *w, unsigned word, unsigned bit)
{
    return (w[word] & 0xc000) == 0x4000 && w[word] >> bit & 1;
}

static bool block_possible(uint64_t size)
{
    return size >= 512 && size <= PAGE_SIZE && !(size & (size - 1));
}

int ata_disk_fill(struct blkdev *dev, struct ata_disk *out, const uint16_t *w)
{
    bool wide = flag(w, 83, 10);
    uint64_t blocks = wide ? words(w, 100, 4) : words(w, 60, 2);
    uint64_t size = flag(w, 106, 12) ? words(w, 117, 2) * 2 : 512;
    if (!block_possible(size) || !blocks || blocks >> (wide ? 48 : 28)) {
        log_error("ATA: impossible disk: %llu blocks of %llu bytes", (unsigned long long)blocks,
                  (unsigned long long)size);
        return -EINVAL;
    }
    dev->block_size = (uint32_t)size;
    dev->sectors = blocks * (size / 512);
    dev->transfer_max = wide ? TRANSFER_MAX : TRANSFER_NARROW;
    *out = (struct ata_disk){
        .wide = wide,
        .cache = w[82] & 1 << 5,
        .flush_wide = wide && flag(w, 83, 13),
        .trim = wide && w[169] & 1,
        .depth = wide && w[76] != 0xffff && w[76] & 1 << 8 ? (w[75] & 31u) + 1 : 0,
        .multiple = w[47] & 0xff,
    };
    return 0;
}

int ata_optical_fill(struct blkdev *dev, const uint8_t *capacity)
{
    uint32_t last = scsi_get32(capacity), size = scsi_get32(capacity + 4);
    if (!block_possible(size) || last == UINT32_MAX)
        return -EINVAL;
    dev->block_size = size;
    dev->sectors = ((uint64_t)last + 1) * (size / 512);
    dev->transfer_max = OPTICAL_BLOCKS * size;
    dev->read_only = true;
    snprintf(dev->name, sizeof dev->name, "sr%u", optical_count++ % 1000);
    return 0;
}

int ata_disk_error(uint8_t error, const struct bio *bio)
{
    if (error & ATA_ERROR_CRC)
        return -EAGAIN;
    return error & ATA_ERROR_ABORT && bio->op == BIO_DISCARD ? -EOPNOTSUPP : -EIO;
}

int ata_optical_error(uint8_t error)
{
    struct scsi_sense s = {.key = error >> 4}; /* the sense key */
    return scsi_sense_error(&s);
}
