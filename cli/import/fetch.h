/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file over HTTP, HTTPS or from file:. A redirect goes to HTTP or HTTPS only, never from
 * HTTPS back to HTTP, at most FETCH_REDIRECTS times, and takes no header along to another host.
 * A server that falls silent, sends more than allowed or less than it announced is an error.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"
#include "strlist.h"

#define FETCH_REDIRECTS 5
#define FETCH_STALL     30 /* seconds with less than FETCH_SLOW bytes a second; also to connect */
#define FETCH_SLOW      100

struct fetch {
    /* what is asked */
    const char *url;
    const char *what;              /* for progress; NULL: nothing is shown */
    const struct strlist *headers; /* "Name: value"; NULL: none */
    uint64_t limit;                /* bytes of the whole file */
    unsigned stall;                /* seconds; 0: FETCH_STALL */
    int status;                    /* descriptor for progress (import.h); -1: none */
    int fd;                        /* the file to write; -1: into `body` */
    uint64_t from;                 /* bytes that are in the file already */
    const char *validator;         /* the ETag of those; NULL: unknown */
    bool any_code;                 /* an answer of 400 and more is no error */
    /* what came, freed with fetch_free() */
    long code;           /* 200, 206, ...; 0: no answer, or not HTTP */
    bool broken;         /* the connection failed: what is in the file is good to go on with */
    uint64_t at;         /* bytes in the file or body, also after a failure */
    struct buf body;     /* also the text of an answer of 400 and more, cut off */
    char *challenge;     /* WWW-Authenticate */
    char *type;          /* Content-Type */
    char *digest;        /* Docker-Content-Digest */
    char *new_validator; /* a strong ETag */
};

/* False: see err. */
bool fetch_run(struct fetch *f, struct err *err);

void fetch_free(struct fetch *f);

/* The URL without the name and password in it; freed with free(). */
char *fetch_shown(const char *url);

/* Is its host this machine? */
bool fetch_is_loopback(const char *host);
