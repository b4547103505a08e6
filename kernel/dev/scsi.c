/* SPDX-License-Identifier: Apache-2.0 */
/* Command blocks and sense data: see scsi.h. No state. */
#include "dev/scsi.h"

#include <errno.h>

#include "lib/string.h"

enum {
    INQUIRY = 0x12,
    MODE_SENSE = 0x1a,
    READ_CAPACITY = 0x25,
    READ = 0x28,
    WRITE = 0x2a,
    FLUSH = 0x35, /* SYNCHRONIZE CACHE */
    UNMAP = 0x42,
    READ_WIDE = 0x88,
    WRITE_WIDE = 0x8a,
    WRITE_SAME_WIDE = 0x93,
    SERVICE_IN = 0x9e,
    REPORT_LUNS = 0xa0,
};
#define SERVICE_READ_CAPACITY 0x10
#define FLAG_DURABLE          0x08 /* FUA */
#define FLAG_UNMAP            0x08

enum {
    KEY_NONE = 0,
    KEY_RECOVERED = 1,
    KEY_NOT_READY = 2,
    KEY_ILLEGAL = 5,
    KEY_ATTENTION = 6,
    KEY_PROTECT = 7,
    KEY_ABORTED = 0xb,
};

struct scsi_sense scsi_sense_read(const uint8_t *data, size_t n)
{
    struct scsi_sense s = {0};
    uint8_t format = n ? data[0] & 0x7f : 0;
    if ((format == 0x70 || format == 0x71) && n >= 3)
        s = (struct scsi_sense){data[2] & 15, n > 12 ? data[12] : 0, n > 13 ? data[13] : 0};
    else if ((format == 0x72 || format == 0x73) && n >= 4)
        s = (struct scsi_sense){data[1] & 15, data[2], data[3]};
    return s;
}

int scsi_sense_error(const struct scsi_sense *s)
{
    switch (s->key) {
    case KEY_NONE: /* with a CHECK CONDITION: sense data that says nothing */
        return -EIO;
    case KEY_RECOVERED:
        return 0;
    case KEY_NOT_READY:
        return s->code == 0x04 && s->qualifier == 0x01 ? -EAGAIN : -EIO; /* becoming ready */
    case KEY_ILLEGAL: /* unknown command, or a field of it */
        return s->code == 0x20 || s->code == 0x24 ? -EOPNOTSUPP : -EIO;
    case KEY_ATTENTION: /* told once; the command was not done */
    case KEY_ABORTED:
        return -EAGAIN;
    case KEY_PROTECT:
        return s->code == 0x27 && s->qualifier == 0x07 ? -ENOSPC : -EROFS;
    default:
        return -EIO;
    }
}

bool scsi_sense_resized(const struct scsi_sense *s)
{
    return s->key == KEY_ATTENTION && s->code == 0x2a && s->qualifier == 0x09;
}

static void begin(uint8_t *cdb, uint8_t code, uint8_t flags)
{
    memset(cdb, 0, SCSI_CDB);
    cdb[0] = code;
    cdb[1] = flags;
}

void scsi_cdb_transfer(uint8_t *cdb, bool write, bool wide, bool durable, uint64_t block,
                       uint32_t count)
{
    begin(cdb, wide ? (write ? WRITE_WIDE : READ_WIDE) : (write ? WRITE : READ),
          durable ? FLAG_DURABLE : 0);
    if (wide) {
        scsi_put64(cdb + 2, block);
        scsi_put32(cdb + 10, count);
    } else {
        scsi_put32(cdb + 2, (uint32_t)block);
        scsi_put16(cdb + 7, count);
    }
}

void scsi_cdb_flush(uint8_t *cdb)
{
    begin(cdb, FLUSH, 0); /* from block 0, 0 blocks: all */
}

void scsi_cdb_unmap(uint8_t *cdb, uint8_t *parameters, uint64_t block, uint32_t count)
{
    begin(cdb, UNMAP, 0);
    scsi_put16(cdb + 7, SCSI_UNMAP_BYTES);
    memset(parameters, 0, SCSI_UNMAP_BYTES);
    scsi_put16(parameters, SCSI_UNMAP_BYTES - 2);
    scsi_put16(parameters + 2, SCSI_UNMAP_BYTES - 8); /* one descriptor */
    scsi_put64(parameters + 8, block);
    scsi_put32(parameters + 16, count);
}

void scsi_cdb_write_same(uint8_t *cdb, bool unmap, uint64_t block, uint32_t count)
{
    begin(cdb, WRITE_SAME_WIDE, unmap ? FLAG_UNMAP : 0);
    scsi_put64(cdb + 2, block);
    scsi_put32(cdb + 10, count);
}

void scsi_cdb_report_luns(uint8_t *cdb, uint32_t room)
{
    begin(cdb, REPORT_LUNS, 0);
    scsi_put32(cdb + 6, room);
}

void scsi_cdb_inquiry(uint8_t *cdb, uint8_t page, uint16_t room)
{
    begin(cdb, INQUIRY, page ? 1 : 0);
    cdb[2] = page;
    scsi_put16(cdb + 3, room);
}

void scsi_cdb_read_capacity(uint8_t *cdb, bool wide, uint8_t room)
{
    begin(cdb, wide ? SERVICE_IN : READ_CAPACITY, wide ? SERVICE_READ_CAPACITY : 0);
    if (wide)
        scsi_put32(cdb + 10, room);
}

void scsi_cdb_mode_sense(uint8_t *cdb, uint8_t page, uint8_t room)
{
    begin(cdb, MODE_SENSE, 0);
    cdb[2] = page;
    cdb[4] = room;
}
