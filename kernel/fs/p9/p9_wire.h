/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The wire format of 9P2000.L: little-endian numbers, strings with a 16-bit length,
 * qids; the numbers of the messages. A struct p9_buf is a cursor over bytes: what
 * does not fit sets `bad`, and what is read from then on is 0.
 */
#pragma once

#include "lib/types.h"

/* Requests; the answer has the number that follows, or is P9_RLERROR. */
enum p9_type {
    P9_RLERROR = 7,
    P9_TSTATFS = 8,
    P9_TLOPEN = 12,
    P9_TLCREATE = 14,
    P9_TSYMLINK = 16,
    P9_TMKNOD = 18,
    P9_TREADLINK = 22,
    P9_TGETATTR = 24,
    P9_TSETATTR = 26,
    P9_TXATTRWALK = 30,
    P9_TXATTRCREATE = 32,
    P9_TREADDIR = 40,
    P9_TFSYNC = 50,
    P9_TLINK = 70,
    P9_TMKDIR = 72,
    P9_TRENAMEAT = 74,
    P9_TUNLINKAT = 76,
    P9_TVERSION = 100,
    P9_TATTACH = 104,
    P9_TFLUSH = 108,
    P9_TWALK = 110,
    P9_TREAD = 116,
    P9_TWRITE = 118,
    P9_TCLUNK = 120,
};

#define P9_VERSION "9P2000.L"
#define P9_NOTAG   0xffffu
#define P9_NOFID   0xffffffffu
#define P9_HEAD    7u  /* size, type, tag */
#define P9_QID     13u /* bytes of a qid */

#define P9_QTDIR     0x80 /* qid.type */
#define P9_QTSYMLINK 0x02

struct p9_qid {
    uint8_t type;
    uint32_t version; /* changes with the content */
    uint64_t path;    /* the file's number */
};

#define P9_GETATTR_BASIC 0x7ffull /* all that stat(2) tells */

struct p9_attr {
    uint64_t valid;
    struct p9_qid qid;
    uint32_t mode, uid, gid;
    uint64_t nlink, rdev, size, blocks;
    int64_t atime, mtime, ctime; /* ns since 1970 */
};

#define P9_SETATTR_MODE      1
#define P9_SETATTR_UID       2
#define P9_SETATTR_GID       4
#define P9_SETATTR_SIZE      8
#define P9_SETATTR_ATIME     16 /* to the server's time, unless also _SET */
#define P9_SETATTR_MTIME     32
#define P9_SETATTR_ATIME_SET 128
#define P9_SETATTR_MTIME_SET 256

struct p9_buf {
    uint8_t *data;
    size_t at, size;
    bool bad;
};

void p9_put8(struct p9_buf *b, uint8_t v);
void p9_put16(struct p9_buf *b, uint16_t v);
void p9_put32(struct p9_buf *b, uint32_t v);
void p9_put64(struct p9_buf *b, uint64_t v);
void p9_put_string(struct p9_buf *b, const char *s, size_t len);
uint8_t p9_get8(struct p9_buf *b);
uint16_t p9_get16(struct p9_buf *b);
uint32_t p9_get32(struct p9_buf *b);
uint64_t p9_get64(struct p9_buf *b);
/* A string inside the buffer, not terminated; NULL when it is cut off. */
const char *p9_get_string(struct p9_buf *b, size_t *len);
void p9_get_qid(struct p9_buf *b, struct p9_qid *qid);
/* Rgetattr behind its header; false: it is cut off or says what no file can be. */
bool p9_get_attr(struct p9_buf *b, struct p9_attr *a);
