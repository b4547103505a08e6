/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels to 9p servers: what the driver of a device offers to the file system
 * (fs/p9). A channel carries messages, which it does not look into: a transfer is
 * one message and the room for its answer. Many may be under way at once.
 * Channels are found at boot and stay.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

#define P9_TAG_MAX 32 /* bytes of a channel's name, its terminator included */

struct p9_channel;

struct p9_piece {
    void *data; /* kernel memory of the direct map: physically contiguous, `len` bytes */
    uint32_t len;
};

struct p9_transfer {
    const struct p9_piece *piece; /* `out` that the server reads, then `in` that it writes */
    unsigned out, in;
    uint32_t written; /* bytes of the answer; 0: there is none. Valid in `done`, as status is */
    int status;       /* 0 or -EIO: the channel broke */
    void (*done)(struct p9_transfer *t); /* called once, in any context */
    struct list link;                    /* the driver's while under way */
};

struct p9_channel_ops {
    /* Takes the transfer; always completes it by t->done, maybe before returning. */
    void (*submit)(struct p9_channel *c, struct p9_transfer *t);
};

struct p9_channel {
    const struct p9_channel_ops *ops;
    char tag[P9_TAG_MAX]; /* the mount tag: what the directory is called */
    unsigned pieces;      /* that a transfer may have at most */
    void *priv;           /* the driver's */
    struct list link;
};

/* At boot, one at a time. */
void p9_channel_register(struct p9_channel *c);
/* NULL: there is none of that name. */
struct p9_channel *p9_channel_find(const char *tag);
