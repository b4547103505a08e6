/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session with one 9p server: requests and fids. A `struct p9_request` is one
 * message and its answer, a `struct p9_fid` a file that the server holds for us.
 * Both have a number of their own for ever and go to a free list when they are not
 * used, so there are as many as were ever needed at once. The server is not trusted:
 * an answer of the wrong kind, length or tag is -EIO and a line in the log.
 * Lock: p9_client.lock (interrupts off) guards the free lists.
 */
#pragma once

#include "core/spinlock.h"
#include "dev/p9_channel.h"
#include "fs/p9/p9_wire.h"
#include "sched/waitq.h"

#define P9_PAGES 124                    /* most pieces of data in one message */
#define P9_DATA  (P9_PAGES * PAGE_SIZE) /* most bytes: 496 KiB */
#define P9_MSIZE (P9_DATA + 24)         /* with the largest header before data */
#define P9_SMALL 640                    /* a request without data: two names at most */
#define P9_REPLY 192                    /* an answer without data: Rgetattr has 160 */

struct p9_client {
    struct p9_channel *channel;
    uint32_t msize; /* as agreed on */
    struct spinlock lock;
    struct list requests; /* free */
    struct list fids;     /* free: the server does not know them */
    struct list stale;    /* fids to give back as soon as there is memory for the request */
    uint32_t request_count, fid_count;
    unsigned clunks;     /* under way that nobody waits for; atomic */
    unsigned complaints; /* lines logged about bad answers */
};

struct p9_fid {
    struct p9_client *client;
    uint32_t number;
    uint32_t refs;
    struct list link; /* of a list of the client */
};

struct p9_request {
    struct p9_transfer transfer;
    struct p9_client *client;
    struct p9_fid *fid; /* of a clunk that nobody waits for: free when it is answered */
    struct list link;
    struct waitq wait;
    bool done;
    uint16_t tag;
    uint8_t type;
    bool data_in; /* the pieces of data are for the answer */
    unsigned pieces;
    uint32_t data;         /* bytes of the pieces */
    uint32_t answered;     /* bytes of the answer, when it was a good one */
    struct p9_buf out, in; /* the message behind its header is put in, the answer taken out */
    void *spare;           /* longer buffers than the ones here */
    struct p9_piece piece[P9_PAGES + 3];
    uint8_t out_bytes[P9_SMALL], in_bytes[P9_REPLY];
};

/* A free request, its header not yet filled; NULL when memory is out. */
struct p9_request *p9_request(struct p9_client *c, enum p9_type type);
/* The same with room for that many bytes in the message and in the answer. */
struct p9_request *p9_request_long(struct p9_client *c, enum p9_type type, size_t out, size_t in);
/* Adds a piece of data, all behind the message (out) or behind `head` bytes of the answer (in). */
void p9_data_out(struct p9_request *r, const void *data, uint32_t len);
void p9_data_in(struct p9_request *r, uint32_t head, void *data, uint32_t len);
/*
 * Sends it and waits: 0 with r->in behind the answer's header, or the server's error.
 * -EIO: nonsense, or the channel is broken. A signal is heeded once the server has been
 * silent for a second: a request that it then drops is -ERESTARTSYS.
 */
int p9_call(struct p9_request *r);
/* An answer that p9_call() took and the caller finds wrong: says so; -EIO. */
int p9_nonsense(struct p9_request *r);
/* Says that the answer to such a message was malformed, a few times; -EIO. */
int p9_complain(struct p9_client *c, enum p9_type type);
/* The request is free again; its data pieces are the caller's. Gives back `err`. */
int p9_release(struct p9_request *r, int err);

/* A fid with one reference that the server does not know yet; NULL when memory is out. */
struct p9_fid *p9_fid_alloc(struct p9_client *c);
void p9_fid_get(struct p9_fid *f);
/* The last one makes the server forget it; does not wait for that. NULL is fine. */
void p9_fid_put(struct p9_fid *f);
/* For a fid that the server refused, or has forgotten already. */
void p9_fid_free(struct p9_fid *f);

/* Agrees on version and size of messages. Destroy frees what p9_client_init() made. */
int p9_client_init(struct p9_client *c, struct p9_channel *channel);
void p9_client_destroy(struct p9_client *c);
