/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the kernel's own to an HTTP/1.1 server: one a connection, no redirects, no TLS. */
#pragma once

#include "net/http_reply.h"

struct http_request {
    const char *method;
    uint8_t address[4];
    uint16_t port;
    const char *path;
    const char *headers; /* more lines, each with its CRLF; "" */
};

/*
 * Sends it and waits for the answer, until `deadline` (clock_now() based). The answer is put into
 * buf, where *r points to. 0, whatever the status; -EFBIG: it does not fit; -ETIMEDOUT; -EPROTO;
 * what connect(2) says. Sleeps.
 */
int http_ask(const struct http_request *q, char *buf, size_t size, uint64_t deadline,
             struct http_reply *r);
