/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's network: its cards (nic.h), ports that are forwarded to it (forward.h),
 * and what runs beside it for them: names on the networks of `ops network` (dns_server.h),
 * ports of IPv6 (port_relay.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "forward.h"
#include "nic.h"
#include "strlist.h"

#define NETWORK_CARDS 8

struct network {
    struct nic *nics;
    size_t nic_count;
    struct forwards forwards;
    pid_t relay, names; /* processes; 0: none */
};

struct network_wish {
    const struct strlist *nets;    /* --net; empty: user */
    const struct strlist *options; /* KEY=VALUE, of the first card */
    const struct strlist *ports, *udp_ports;
};

/* Errors: OPS_EXIT_USAGE. Freed with network_free(), also after a failure. */
bool network_parse(struct network *n, const struct network_wish *w, struct err *err);
/* Tries every forwarded port; says who has it. Chooses the free ports asked for with 0. */
bool network_check(struct network *n, struct err *err);
/* Takes addresses, and if the machine is really `started` makes devices. As nic_open(). */
bool network_open(struct network *n, const struct strlist *names, bool started, unsigned cpus,
                  struct err *err);
/* Starts what runs beside the machine. */
bool network_start(struct network *n, struct err *err);

/* QEMU's words for it; `bus`: "device" or "pci". */
void network_arguments(const struct network *n, const char *bus, unsigned cpus,
                       struct strlist *argv);
#define NETWORK_KEEP (NETWORK_CARDS * (NIC_QUEUES + 1))

/* Descriptors that QEMU inherits, at most NETWORK_KEEP: how many. */
size_t network_keep(const struct network *n, int *fds);
/* The manifest's `interface` lines. */
void network_interfaces(const struct network *n, struct strlist *lines);
void network_free(struct network *n);
