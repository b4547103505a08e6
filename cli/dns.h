/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of DNS (RFC 1035), as far as a network's own names need them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cidr.h"

#define DNS_NAME    256 /* a name as text with its NUL */
#define DNS_MESSAGE 65535

#define DNS_A    1
#define DNS_PTR  12
#define DNS_AAAA 28

enum dns_code { DNS_OK = 0, DNS_SERVER_FAILED = 2, DNS_NO_NAME = 3, DNS_REFUSED = 5 };

struct dns_question {
    char name[DNS_NAME]; /* lower case, dots between, none at the end */
    unsigned type;
    size_t end; /* of the question in the message */
};

/* Reads a query with one question of the Internet class; false: it is something else. */
bool dns_parse(struct dns_question *q, const uint8_t *message, size_t n);

/* The address a name for reverse look-up means; false: none. */
bool dns_reverse(struct cidr *c, const char *name);

/* Turns a query in place into its answer: its new length. `address` (NULL: none) goes with DNS_A
 * and DNS_AAAA, `name` (NULL: none) with DNS_PTR. At most 512 bytes behind the question's end
 * must be there. */
size_t dns_answer(uint8_t *message, const struct dns_question *q, enum dns_code code,
                  const struct cidr *address, const char *name);
