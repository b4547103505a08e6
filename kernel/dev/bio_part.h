/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bio in parts: a device that takes fewer pieces, or fewer bytes, than a bio has is
 * given it in several commands, one after the other. No lock: the driver's.
 */
#pragma once

#include "dev/blkdev.h"

/* The part that a command carries. */
struct bio_part {
    struct bio *bio;
    unsigned first;  /* the bio's piece where it begins, */
    uint32_t skip;   /* that many bytes into it */
    uint64_t sector; /* the same place on the disk */
    uint32_t bytes;  /* carried; by bio_part_fill() */
    unsigned tries;  /* of this part, so far */
};

/* Physically contiguous memory. */
struct bio_seg {
    paddr_t addr;
    uint32_t len;
};

/* Bytes come from the device, else they go to it. */
static inline bool bio_reads(const struct bio *bio)
{
    return bio->op == BIO_READ || bio->op == BIO_COMMAND;
}

/* At the bio's beginning. */
void bio_part_begin(struct bio_part *p, struct bio *bio);
/*
 * Fills seg[] with the bio's next bytes, neighbours merged, at most `max` segments and
 * the disk's transfer_max; returns how many. Where `join` is not 0, memory that is not
 * contiguous meets only at addresses that are multiples of it (a power of two).
 */
unsigned bio_part_fill(struct bio_part *p, struct bio_seg *seg, unsigned max, uint32_t join);
/* Behind what the part carried; true if the bio has more. */
bool bio_part_advance(struct bio_part *p);
