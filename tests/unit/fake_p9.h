/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 9P2000.L server for tests: a channel that answers at once from a directory of
 * the host, which it knows, as QEMU does, by paths. Answers can be spoilt.
 */
#pragma once

#include "dev/p9_channel.h"

struct fake_p9 {
    struct p9_channel channel;
    char root[64];
    unsigned messages; /* served so far */
    struct fid *table;
    unsigned fids, fids_most; /* known now; before a test ends there must be one */
    uint8_t spoil_type;       /* requests of this type get a spoilt answer; 0: all */
    /* Changes an answer of `len` bytes with room for `room`; the new length. NULL: none is. */
    uint32_t (*spoil)(uint8_t type, uint8_t *answer, uint32_t len, uint32_t room);
    struct p9_transfer *held; /* a request that is not answered yet */
    uint8_t hold_type;        /* the next of this type is held; 0: none */
    bool drop;                /* a flush drops what is held instead of answering it */
};

/* A channel over an empty directory of its own, called `tag`. */
void fake_p9_start(struct fake_p9 *f, const char *tag);
/* Removes the directory with what is in it. */
void fake_p9_end(struct fake_p9 *f);
