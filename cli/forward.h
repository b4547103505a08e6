/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of this host that lead into the machine (-p), by QEMU's user network. That
 * forwards from IPv4 addresses only: what comes to an IPv6 address goes by a process of
 * ours (port_relay.h) and a port of 127.0.0.1 in between.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "err.h"
#include "strlist.h"

struct forward {
    char address[46]; /* on the host */
    uint16_t host, guest;
    uint16_t between; /* of an IPv6 address: the port of 127.0.0.1 */
    bool udp, v6;
    bool plain; /* no address was given */
};

struct forwards {
    struct forward *items;
    size_t count;
};

/*
 * [ADDRESS:]HOST[:GUEST][/udp], where ADDRESS is IPv4 or [IPv6], HOST and GUEST may be ranges
 * A-B, and several stand behind each other with commas; 127.0.0.1 without an address; HOST 0 is a
 * free port. Errors: OPS_EXIT_USAGE. Freed with forwards_free(), also after a failure.
 */
bool forwards_parse(struct forwards *f, const struct strlist *ports, bool udp, struct err *err);
/* Tries every port, of no address on 127.0.0.1 and on ::1; says who has it. Chooses the free ports
 * asked for with 0. */
bool forwards_check(struct forwards *f, struct err *err);
/* QEMU's words, each with a comma before it; freed with free(). `guest`: the machine's address,
 * "" for the usual one. */
char *forwards_arguments(const struct forwards *f, const char *guest);
/* One line for each address of the host that leads to this TCP port of the guest. */
void forwards_announce(const struct forwards *f, unsigned port, FILE *to);
void forwards_free(struct forwards *f);
