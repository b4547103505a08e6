/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of HTTP/1.1 servers (RFC 9112), taken apart where they lie. No state. */
#pragma once

#include "lib/types.h"

struct http_reply {
    unsigned status;
    const char *head; /* the lines behind the first, with the empty one */
    size_t head_len;
    char *body;
    size_t len;
};

/*
 * Looks at what has come so far, n bytes; `closed`: no more will come. 0: it is whole, a chunked
 * body put together in place; -EAGAIN: more must come; -EPROTO: it is no answer that makes sense.
 */
int http_reply_parse(char *text, size_t n, bool closed, struct http_reply *r);
/* The value of a header, without regard to the case of its name; NULL: it is not there. */
const char *http_reply_header(const struct http_reply *r, const char *name, size_t *len);
