/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses and their networks: see cidr.h. */
#include "cidr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static unsigned bits_of(int family)
{
    return family == AF_INET ? 32 : 128;
}

bool cidr_parse_address(struct cidr *c, const char *text)
{
    *c = (struct cidr){.family = strchr(text, ':') ? AF_INET6 : AF_INET};
    c->bits = bits_of(c->family);
    return inet_pton(c->family, text, c->bytes) == 1;
}

bool cidr_parse(struct cidr *c, const char *text)
{
    char address[INET6_ADDRSTRLEN], *end;
    const char *slash = strchr(text, '/');
    if (!slash || (size_t)(slash - text) >= sizeof address || slash[1] < '0' || slash[1] > '9')
        return false;
    memcpy(address, text, (size_t)(slash - text));
    address[slash - text] = 0;
    unsigned long bits = strtoul(slash + 1, &end, 10);
    if (*end || !cidr_parse_address(c, address) || bits > c->bits)
        return false;
    c->bits = (unsigned)bits;
    return true;
}

void cidr_address_text(const struct cidr *c, char out[CIDR_TEXT])
{
    if (!inet_ntop(c->family, c->bytes, out, CIDR_TEXT))
        out[0] = 0;
}

void cidr_text(const struct cidr *c, char out[CIDR_TEXT])
{
    cidr_address_text(c, out);
    size_t n = strlen(out);
    snprintf(out + n, CIDR_TEXT - n, "/%u", c->bits);
}

struct cidr cidr_network(const struct cidr *c)
{
    struct cidr n = *c;
    for (unsigned bit = c->bits; bit < bits_of(c->family); bit++)
        n.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
    return n;
}

struct cidr cidr_host(const struct cidr *network, uint32_t host)
{
    struct cidr c = cidr_network(network);
    uint8_t *last = c.bytes + bits_of(c.family) / 8 - 4;
    for (unsigned i = 0; i < 4; i++)
        last[i] |= (uint8_t)(host >> (24 - 8 * i));
    return c;
}

uint32_t cidr_host_number(const struct cidr *c)
{
    const uint8_t *last = c->bytes + bits_of(c->family) / 8 - 4;
    unsigned bits = bits_of(c->family) - c->bits;
    uint32_t all = (uint32_t)last[0] << 24 | (uint32_t)last[1] << 16 | (uint32_t)last[2] << 8 |
                   (uint32_t)last[3];
    return bits >= 32 ? all : all & ((UINT32_C(1) << bits) - 1);
}

bool cidr_equal(const struct cidr *a, const struct cidr *b)
{
    return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool cidr_has(const struct cidr *network, const struct cidr *address)
{
    struct cidr own = *address;
    if (network->family != address->family)
        return false;
    own.bits = network->bits;
    struct cidr a = cidr_network(&own), b = cidr_network(network);
    return cidr_equal(&a, &b);
}

bool cidr_overlap(const struct cidr *a, const struct cidr *b)
{
    return a->family && a->family == b->family &&
           (a->bits < b->bits ? cidr_has(a, b) : cidr_has(b, a));
}
