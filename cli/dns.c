/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of DNS: see dns.h. */
#include "dns.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER        12
#define LABEL_MAX     63
#define FLAG_RESPONSE 0x80 /* of byte 2 */
#define OPCODE_BITS   0x78
#define FLAG_OWN      0x04 /* authoritative */
#define FLAG_ASKED    0x01 /* recursion desired */
#define FLAG_ABLE     0x80 /* of byte 3: recursion available */
#define CLASS_IN      1
#define TTL           0 /* machines come and go */

static unsigned get16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static uint8_t *put16(uint8_t *p, unsigned value)
{
    *p++ = (uint8_t)(value >> 8);
    *p++ = (uint8_t)value;
    return p;
}

/* The labels of a name that is not compressed: where it ends; 0: it is malformed. */
static size_t name_read(const uint8_t *message, size_t n, size_t at, char *name)
{
    size_t used = 0;
    while (at < n && message[at]) {
        size_t length = message[at++];
        if (length > LABEL_MAX || at + length >= n || used + length + 2 > DNS_NAME)
            return 0;
        if (used)
            name[used++] = '.';
        for (size_t i = 0; i < length; i++)
            name[used++] = (char)tolower(message[at + i]);
        at += length;
    }
    name[used] = 0;
    return at < n && strlen(name) == used ? at + 1 : 0;
}

bool dns_parse(struct dns_question *q, const uint8_t *message, size_t n)
{
    *q = (struct dns_question){0};
    if (n < HEADER || message[2] & (FLAG_RESPONSE | OPCODE_BITS) || get16(message + 4) != 1 ||
        get16(message + 6))
        return false;
    size_t at = name_read(message, n, HEADER, q->name);
    if (!at || at + 4 > n || get16(message + at + 2) != CLASS_IN)
        return false;
    q->type = get16(message + at);
    q->end = at + 4;
    return true;
}

bool dns_reverse(struct cidr *c, const char *name)
{
    static const char four[] = ".in-addr.arpa", six[] = ".ip6.arpa";
    char text[CIDR_TEXT], rest;
    unsigned b[4];
    size_t n = strlen(name);
    if (n > strlen(four) && strcmp(name + n - strlen(four), four) == 0) {
        if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arp%c", &b[0], &b[1], &b[2], &b[3], &rest) != 5)
            return false;
        snprintf(text, sizeof text, "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
        return cidr_parse_address(c, text);
    }
    if (n != 63 + strlen(six) || strcmp(name + 63, six) != 0)
        return false;
    *c = (struct cidr){.family = AF_INET6, .bits = 128};
    for (unsigned i = 0; i < 32; i++) {
        const char *digits = "0123456789abcdef", *found = strchr(digits, name[2 * i]);
        if (!found || !*found || (i && name[2 * i - 1] != '.'))
            return false;
        c->bytes[15 - i / 2] |= (uint8_t)((found - digits) << (i % 2 ? 4 : 0));
    }
    return true;
}

static uint8_t *name_put(uint8_t *p, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        if (n > LABEL_MAX)
            n = LABEL_MAX;
        *p++ = (uint8_t)n;
        memcpy(p, name, n);
        p += n;
        name += n;
        name += *name == '.';
    }
    *p++ = 0;
    return p;
}

size_t dns_answer(uint8_t *message, const struct dns_question *q, enum dns_code code,
                  const struct cidr *address, const char *name)
{
    uint8_t *p = message + q->end, *length;
    bool some = (q->type == DNS_A && address && address->family == AF_INET) ||
                (q->type == DNS_AAAA && address && address->family == AF_INET6) ||
                (q->type == DNS_PTR && name);
    message[2] = (uint8_t)(FLAG_RESPONSE | FLAG_OWN | (message[2] & FLAG_ASKED));
    message[3] = (uint8_t)(FLAG_ABLE | code);
    memset(message + 6, 0, 6); /* what the query had behind its question is not repeated */
    if (code != DNS_OK || !some)
        return q->end;
    put16(message + 6, 1);
    p = put16(p, 0xc000 | HEADER); /* the question's name */
    p = put16(p, q->type);
    p = put16(p, CLASS_IN);
    p = put16(p, 0);
    p = put16(p, TTL);
    length = p;
    p += 2;
    if (q->type == DNS_PTR) {
        p = name_put(p, name);
    } else {
        size_t n = q->type == DNS_A ? 4 : 16;
        memcpy(p, address->bytes, n);
        p += n;
    }
    put16(length, (unsigned)(p - length - 2));
    return (size_t)(p - message);
}
