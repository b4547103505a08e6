/* SPDX-License-Identifier: Apache-2.0 */
/* A SCSI controller and a disk for tests: see the header. */
#include "fake_scsi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/virtio_scsi.h>

#include "dev/scsi.h"

struct fake_virtio *dev;
struct fake_scsi_unit unit;
uint8_t disk[BLOCKS * BLOCK];
unsigned commands[256], durable;
uint32_t largest;

static uint32_t unit_block(void)
{
    return unit.block_size ? unit.block_size : BLOCK;
}

static void answer_capacity(const uint8_t *cdb, uint8_t *data)
{
    if (cdb[0] == 0x9e) {
        scsi_put64(data, (uint64_t)unit.blocks - 1);
        scsi_put32(data + 8, unit_block());
        data[14] = unit.unmap || unit.write_same ? 0x80 : 0;
    } else {
        scsi_put32(data, unit.blocks - 1);
        scsi_put32(data + 4, unit_block());
    }
}

static void answer_inquiry(const uint8_t *cdb, uint8_t *data, bool there)
{
    if (!there)
        data[0] = 0x7f;
    else if (cdb[1])
        data[1] = cdb[2];
    if (cdb[2] == SCSI_VPD_LIMITS) {
        scsi_put32(data + 8, unit.transfer_max);
        scsi_put32(data + 20, unit.unmap ? 16 : 0);
        scsi_put64(data + 36, 100);
    } else if (cdb[2] == SCSI_VPD_PROVISION) {
        data[5] = (uint8_t)((unit.unmap ? 0x80 : 0) | (unit.write_same ? 0x40 : 0));
    }
}

static void answer_mode(uint8_t *data)
{
    data[0] = 4 + 20 - 1;
    data[2] = (uint8_t)((unit.protect ? 0x80 : 0) | (unit.fua ? 0x10 : 0));
    data[4] = SCSI_PAGE_CACHE;
    data[5] = 18;
    data[6] = unit.cache ? 4 : 0;
}

static void answer_luns(uint8_t *data, bool any)
{
    scsi_put32(data, any ? 16 : 8);
    data[8 + 1] = 0; /* unit 0: no disk */
    data[16] = 0x40;
    data[17] = LUN;
}

/* Reads or writes the pieces from..to-1 of the chain at `at`. */
static void move(struct fake_chain *c, unsigned from, unsigned to, unsigned skip, uint64_t block,
                 uint32_t count, bool write)
{
    uint8_t *at = disk + block * BLOCK;
    uint32_t left = count * BLOCK;
    assert_true(block + count <= BLOCKS);
    largest = left > largest ? left : largest;
    for (unsigned i = from; i < to; i++, skip = 0) {
        uint32_t n = c->seg[i].len - skip;
        assert_true(n <= left);
        if (write)
            memcpy(at, c->seg[i].data + skip, n);
        else
            memcpy(c->seg[i].data, at, n);
        at += n;
        left -= n;
    }
    assert_int_equal(left, 0);
}

static void serve_unmap(const uint8_t *parameters)
{
    assert_int_equal(parameters[1], SCSI_UNMAP_BYTES - 2);
    assert_int_equal(parameters[3], 16);
    uint64_t block = scsi_get64(parameters + 8);
    uint32_t count = scsi_get32(parameters + 16);
    assert_true(count <= 16 && block + count <= BLOCKS);
    memset(disk + block * BLOCK, 0xdd, count * BLOCK);
}

static void serve_write_same(struct fake_chain *c, const uint8_t *cdb)
{
    uint64_t block = scsi_get64(cdb + 2);
    uint32_t count = scsi_get32(cdb + 10);
    assert_int_equal(c->out, 2);
    assert_int_equal(c->seg[1].len, BLOCK);
    for (uint32_t i = 0; i < count; i++)
        memcpy(disk + (block + i) * BLOCK, c->seg[1].data, BLOCK);
}

/* The unit does the command; false: it does not know it. */
static bool serve_disk(struct fake_chain *c, const uint8_t *cdb)
{
    uint8_t *data = c->in > 1 ? c->seg[c->out + 1].data : NULL;
    unsigned end = c->out + c->in;
    durable += (cdb[0] == 0x8a || cdb[0] == 0x2a) && cdb[1] & 8;
    switch (cdb[0]) {
    case 0x9e:
        if (unit.narrow)
            return false;
        /* fall through */
    case 0x25:
        answer_capacity(cdb, data);
        return true;
    case 0x1a:
        answer_mode(data);
        return true;
    case 0x28:
        move(c, c->out + 1, end, 0, scsi_get32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8], false);
        return true;
    case 0x2a:
        move(c, 1, c->out, 0, scsi_get32(cdb + 2), (uint32_t)cdb[7] << 8 | cdb[8], true);
        return true;
    case 0x88:
        move(c, c->out + 1, end, 0, scsi_get64(cdb + 2), scsi_get32(cdb + 10), false);
        return true;
    case 0x8a:
        move(c, 1, c->out, 0, scsi_get64(cdb + 2), scsi_get32(cdb + 10), true);
        return true;
    case 0x42:
        assert_int_equal(c->seg[1].len, SCSI_UNMAP_BYTES);
        serve_unmap(c->seg[1].data);
        return true;
    case 0x93:
        serve_write_same(c, cdb);
        return true;
    case 0x35:
        return true;
    default:
        return false;
    }
}

static void sense_fill(struct virtio_scsi_cmd_resp *a, uint8_t key, uint8_t code, uint8_t qualifier)
{
    a->status = 2;
    a->sense_len = 18;
    memset(a->sense, 0, 18);
    a->sense[0] = unit.descriptor ? 0x72 : 0x70;
    a->sense[unit.descriptor ? 1 : 2] = key;
    a->sense[unit.descriptor ? 2 : 12] = code;
    a->sense[unit.descriptor ? 3 : 13] = qualifier;
}

static void serve_command(struct fake_chain *c, const struct virtio_scsi_cmd_req *h,
                          struct virtio_scsi_cmd_resp *a)
{
    const uint8_t *cdb = h->cdb;
    uint8_t *data = c->in > 1 ? c->seg[c->out + 1].data : NULL;
    bool there = h->lun[3] == LUN && h->lun[2] == 0x40;
    *a = (struct virtio_scsi_cmd_resp){0};
    if (h->lun[1] != TARGET || !unit.present) {
        a->response = VIRTIO_SCSI_S_BAD_TARGET;
        return;
    }
    commands[cdb[0]]++;
    if (cdb[0] == 0xa0)
        answer_luns(data, true);
    else if (cdb[0] == 0x12)
        answer_inquiry(cdb, data, there);
    else if (unit.senses)
        unit.senses--, sense_fill(a, unit.key, unit.code, unit.qualifier);
    else if (!there || !serve_disk(c, cdb))
        sense_fill(a, 5, 0x20, 0);
    if (cdb[0] == 0x88 || cdb[0] == 0x8a) { /* what the test wants of transfers */
        a->resid = unit.resid;
        a->response = unit.response;
        a->status = unit.status ? unit.status : a->status;
    }
}

static bool serve_one(unsigned n)
{
    struct fake_queue *q = &dev->queue[n];
    struct fake_chain c;
    struct virtio_scsi_cmd_req h;
    struct virtio_scsi_cmd_resp a;
    if (!q->vq || !fake_queue_next(q, &c))
        return false;
    assert_int_equal(c.seg[0].len, sizeof h);     /* data stand in pieces of their own */
    assert_int_equal(c.seg[c.out].len, sizeof a); /* the answer stands before the data */
    memcpy(&h, c.seg[0].data, sizeof h);
    assert_int_equal(h.lun[0], 1);
    serve_command(&c, &h, &a);
    uint32_t written = 0;
    for (unsigned i = 1; i < c.out + c.in; i++) /* also what was read, as QEMU counts */
        written += c.seg[i].len;
    bool cut = unit.short_answer >= 0 && (h.cdb[0] == 0x88 || h.cdb[0] == 0x8a);
    if (cut)
        written = (uint32_t)unit.short_answer;
    memcpy(c.seg[c.out].data, &a, cut && written < sizeof a ? written : sizeof a);
    fake_queue_use(q, c.head, written);
    return true;
}

void serve_all(void)
{
    for (unsigned n = REQUEST; n < VIRTIO_QUEUES_MAX && dev->queue[n].vq; n++)
        do
            while (serve_one(n))
                ;
        while (fake_queue_interrupt(&dev->queue[n]) ||
               dev->queue[n].avail_seen != dev->queue[n].vq->ring.avail->idx);
}
