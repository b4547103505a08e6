/* SPDX-License-Identifier: Apache-2.0 */
/* A socket on which lines go both ways, and somebody who may be slow to answer. */
#pragma once

#include <stdbool.h>

#include "buf.h"
#include "err.h"

struct lines {
    int fd;
    const char *whom; /* for messages: "the machine" */
    int silence;      /* ms that lines_next() bears; 0: a minute */
    struct buf in;    /* read, and not taken yet */
    size_t total;     /* bytes that came; there is a bound, but where it is `endless` */
    bool endless;     /* a stream that is taken as it comes: a trace */
    bool ended;       /* the other side closed it */
};

/* Sends all of it, with the descriptor `fd` if that is not -1. */
bool lines_send(struct lines *l, const char *text, int fd, struct err *err);

/* The next line without its newline, freed with free(); NULL: closed, silent for long, or without
 * an end. */
char *lines_next(struct lines *l, struct err *err);

/* Whether lines_next() has one without waiting. */
bool lines_pending(const struct lines *l);

void lines_close(struct lines *l);
