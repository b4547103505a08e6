/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's network: QEMU's user network with forwarded ports (no root), a
 * tap device, or none.
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
    bool udp;
};

struct network {
    enum { NETWORK_USER, NETWORK_TAP, NETWORK_NONE } kind;
    const char *tap; /* interface name */
    struct forward *forwards;
    size_t forward_count;
};

/*
 * `net`: "user" (also for NULL), "none" or "tap:NAME". Ports: [ADDRESS:]HOST[:GUEST][/udp],
 * where HOST and GUEST may be ranges A-B, and several stand behind each other with commas;
 * 127.0.0.1 without an address; HOST 0 is a free port. Errors (OPS_EXIT_USAGE). Freed with
 * network_free(), also after a failure.
 */
bool network_parse(struct network *n, const char *net, const struct strlist *ports,
                   const struct strlist *udp_ports, struct err *err);
/* Tries every forwarded port; says who has it. Chooses the free ports asked for with 0. */
bool network_check(struct network *n, struct err *err);
/*
 * QEMU's words for it; `bus`: "device" or "pci". A tap device that was made for several queues
 * gets one for each of the machine's CPUs, and two at least.
 */
void network_arguments(const struct network *n, const char *bus, unsigned cpus,
                       struct strlist *argv);
/* One line for each address of the host that leads to this TCP port of the guest. */
void network_announce(const struct network *n, unsigned port, FILE *to);
/* The manifest's `interface` line; NULL: none. */
const char *network_interface(const struct network *n);
void network_free(struct network *n);
