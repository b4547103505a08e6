/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SCSI commands of a disk (SPC-5, SBC-4): command blocks, and what answers
 * mean. No state; whoever carries commands to a device uses it. Numbers are big
 * endian in all of them.
 */
#pragma once

#include "lib/types.h"

#define SCSI_CDB       16
#define SCSI_TYPE_DISK 0

#define SCSI_VPD_LIMITS    0xb0 /* block limits */
#define SCSI_VPD_PROVISION 0xb2 /* logical block provisioning */
#define SCSI_PAGE_CACHE    0x08 /* mode page */

struct scsi_sense {
    uint8_t key, code, qualifier;
};

/* Sense data, fixed or descriptor format; all zero where it is none. */
struct scsi_sense scsi_sense_read(const uint8_t *data, size_t n);
/* 0, -EAGAIN (to be tried again), -EROFS, -ENOSPC, -EOPNOTSUPP or -EIO. */
int scsi_sense_error(const struct scsi_sense *s);
/* The capacity has changed: it should be read again. */
bool scsi_sense_resized(const struct scsi_sense *s);

/* Each fills SCSI_CDB bytes. */
/* `wide`: the command has 16 bytes, else 10: then 32 and 16 bits must do. */
void scsi_cdb_transfer(uint8_t *cdb, bool write, bool wide, bool durable, uint64_t block,
                       uint32_t count);
void scsi_cdb_flush(uint8_t *cdb);
/* The parameters that follow have SCSI_UNMAP_BYTES. */
#define SCSI_UNMAP_BYTES 24
void scsi_cdb_unmap(uint8_t *cdb, uint8_t *parameters, uint64_t block, uint32_t count);
/* One block that is written to all of them follows; `unmap`: they may be given back. */
void scsi_cdb_write_same(uint8_t *cdb, bool unmap, uint64_t block, uint32_t count);
void scsi_cdb_report_luns(uint8_t *cdb, uint32_t room);
/* page 0: the standard data; else a page of vital product data. */
void scsi_cdb_inquiry(uint8_t *cdb, uint8_t page, uint16_t room);
void scsi_cdb_read_capacity(uint8_t *cdb, bool wide, uint8_t room);
void scsi_cdb_mode_sense(uint8_t *cdb, uint8_t page, uint8_t room);

static inline uint32_t scsi_get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t scsi_get64(const uint8_t *p)
{
    return (uint64_t)scsi_get32(p) << 32 | scsi_get32(p + 4);
}

static inline void scsi_put16(uint8_t *p, unsigned v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void scsi_put32(uint8_t *p, uint32_t v)
{
    scsi_put16(p, v >> 16);
    scsi_put16(p + 2, v & 0xffff);
}

static inline void scsi_put64(uint8_t *p, uint64_t v)
{
    scsi_put32(p, (uint32_t)(v >> 32));
    scsi_put32(p + 4, (uint32_t)v);
}
