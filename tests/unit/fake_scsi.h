/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio SCSI controller for tests: a disk in memory at target 3, unit 1, that answers
 * as the test wants it to.
 */
#pragma once

#include "fake_virtio.h"

#define BLOCKS  512
#define BLOCK   4096
#define TARGET  3
#define LUN     1
#define REQUEST 2 /* the first request queue */
#define EVENTS  1

struct fake_scsi_unit {
    bool present;
    uint32_t blocks; /* its size now */
    bool narrow;     /* no READ CAPACITY(16) */
    bool protect;    /* write protected */
    bool cache, fua;
    bool unmap, write_same;
    uint32_t block_size, transfer_max; /* 0: BLOCK; blocks */
    uint8_t key, code, qualifier;      /* sense data of the next `senses` commands */
    unsigned senses;
    bool descriptor;          /* the other format */
    uint8_t status, response; /* of transfers, other than good */
    uint32_t resid;
    int short_answer; /* bytes written, if not -1 */
};

extern struct fake_virtio *dev; /* the controller */
extern struct fake_scsi_unit unit;
extern uint8_t disk[BLOCKS * BLOCK];

/* What was asked. */
extern unsigned commands[256], durable;
extern uint32_t largest; /* bytes of a transfer */

/* The controller does what was asked, on all queues. */
void serve_all(void);
