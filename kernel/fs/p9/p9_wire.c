/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, strings and attributes of 9P2000.L: see p9_wire.h. No state. */
#include "fs/p9/p9_wire.h"

#include "file/mode.h"
#include "lib/string.h"
#include "sched/clock.h"

static void put_number(struct p9_buf *b, uint64_t v, unsigned n)
{
    if (b->bad || b->size - b->at < n) {
        b->bad = true;
        return;
    }
    for (unsigned i = 0; i < n; i++)
        b->data[b->at++] = (uint8_t)(v >> 8 * i);
}

static uint64_t get_number(struct p9_buf *b, unsigned n)
{
    uint64_t v = 0;
    if (b->bad || b->size - b->at < n) {
        b->bad = true;
        return 0;
    }
    for (unsigned i = 0; i < n; i++)
        v |= (uint64_t)b->data[b->at++] << 8 * i;
    return v;
}

void p9_put8(struct p9_buf *b, uint8_t v)
{
    put_number(b, v, 1);
}

void p9_put16(struct p9_buf *b, uint16_t v)
{
    put_number(b, v, 2);
}

void p9_put32(struct p9_buf *b, uint32_t v)
{
    put_number(b, v, 4);
}

void p9_put64(struct p9_buf *b, uint64_t v)
{
    put_number(b, v, 8);
}

void p9_put_string(struct p9_buf *b, const char *s, size_t len)
{
    p9_put16(b, (uint16_t)len);
    if (b->bad || len > UINT16_MAX || b->size - b->at < len) {
        b->bad = true;
        return;
    }
    memcpy(b->data + b->at, s, len);
    b->at += len;
}

uint8_t p9_get8(struct p9_buf *b)
{
    return (uint8_t)get_number(b, 1);
}

uint16_t p9_get16(struct p9_buf *b)
{
    return (uint16_t)get_number(b, 2);
}

uint32_t p9_get32(struct p9_buf *b)
{
    return (uint32_t)get_number(b, 4);
}

uint64_t p9_get64(struct p9_buf *b)
{
    return get_number(b, 8);
}

const char *p9_get_string(struct p9_buf *b, size_t *len)
{
    *len = p9_get16(b);
    if (b->bad || b->size - b->at < *len) {
        b->bad = true;
        *len = 0;
        return NULL;
    }
    const char *s = (const char *)b->data + b->at;
    b->at += *len;
    return s;
}

void p9_get_qid(struct p9_buf *b, struct p9_qid *qid)
{
    qid->type = p9_get8(b);
    qid->version = p9_get32(b);
    qid->path = p9_get64(b);
}

/* Seconds and nanoseconds; what does not fit becomes the end of time. */
static int64_t get_time(struct p9_buf *b)
{
    int64_t seconds = (int64_t)p9_get64(b);
    uint64_t ns = p9_get64(b);
    const int64_t limit = INT64_MAX / (int64_t)NSEC_PER_SEC - 1;
    seconds = MIN(MAX(seconds, -limit), limit);
    return seconds * (int64_t)NSEC_PER_SEC + (int64_t)MIN(ns, NSEC_PER_SEC - 1);
}

bool p9_get_attr(struct p9_buf *b, struct p9_attr *a)
{
    a->valid = p9_get64(b);
    p9_get_qid(b, &a->qid);
    a->mode = p9_get32(b);
    a->uid = p9_get32(b);
    a->gid = p9_get32(b);
    a->nlink = p9_get64(b);
    a->rdev = p9_get64(b);
    a->size = p9_get64(b);
    p9_get64(b); /* block size */
    a->blocks = p9_get64(b);
    a->atime = get_time(b);
    a->mtime = get_time(b);
    a->ctime = get_time(b);
    if (b->bad || (a->valid & P9_GETATTR_BASIC) != P9_GETATTR_BASIC)
        return false;
    bool known = S_ISREG(a->mode) || S_ISDIR(a->mode) || S_ISLNK(a->mode) || S_ISCHR(a->mode) ||
                 S_ISBLK(a->mode) || S_ISFIFO(a->mode) || S_ISSOCK(a->mode);
    return known && a->size <= INT64_MAX && S_ISDIR(a->mode) == !!(a->qid.type & P9_QTDIR) &&
           S_ISLNK(a->mode) == !!(a->qid.type & P9_QTSYMLINK);
}
