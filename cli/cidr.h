/* SPDX-License-Identifier: Apache-2.0 */
/* An IPv4 or IPv6 address with the length of its network's prefix. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CIDR_TEXT 52 /* bytes of "ADDRESS/BITS" with its NUL */

struct cidr {
    int family; /* AF_INET or AF_INET6; 0: none */
    unsigned bits;
    uint8_t bytes[16]; /* network order; IPv4: the first four */
};

/* ADDRESS/BITS. */
bool cidr_parse(struct cidr *c, const char *text);
/* ADDRESS alone, with all bits. */
bool cidr_parse_address(struct cidr *c, const char *text);

void cidr_text(const struct cidr *c, char out[CIDR_TEXT]);
void cidr_address_text(const struct cidr *c, char out[CIDR_TEXT]);

/* The network: the same without the bits behind the prefix. */
struct cidr cidr_network(const struct cidr *c);
/* The address `host` of the network; IPv4, and the last 32 bits of IPv6. */
struct cidr cidr_host(const struct cidr *network, uint32_t host);
/* What cidr_host() took. */
uint32_t cidr_host_number(const struct cidr *c);

bool cidr_equal(const struct cidr *a, const struct cidr *b); /* the addresses */
/* Is the address in the network? */
bool cidr_has(const struct cidr *network, const struct cidr *address);
/* Do the networks share addresses? */
bool cidr_overlap(const struct cidr *a, const struct cidr *b);
