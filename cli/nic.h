/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One network card of the machine, as `--net WORD[,KEY=VALUE...]` says it:
 *   user           QEMU's user network; needs no root
 *   tap            a tap device that lives as long as the machine
 *   tap:IF         a tap device that is there
 *   bridge:IF      a tap device as a port of that bridge of the host
 *   NAME           a network of `ops network`
 * with ip=ADDRESS/BITS, gateway=, dns= (each of either family, dns repeatable), mac=, mtu=,
 * ifname= (of the tap device that is made).
 */
#pragma once

#include <stdbool.h>

#include "cidr.h"
#include "err.h"
#include "forward.h"
#include "lan.h"
#include "lease.h"
#include "strlist.h"

#define NIC_QUEUES  8 /* of a tap device, each with a file */
#define NIC_SERVERS 3 /* as resolv.conf(5) */

struct nic {
    enum nic_kind { NIC_USER, NIC_TAP_MADE, NIC_TAP, NIC_BRIDGE, NIC_LAN } kind;
    char *target; /* interface or network; NULL: none */
    char *ifname; /* of a tap device that is made; NULL: chosen by the kernel */
    char *mac;
    struct cidr ip, ip6, gateway, gateway6; /* family 0: not given */
    struct cidr dns[NIC_SERVERS];
    unsigned dns_count, mtu;
    int taps[NIC_QUEUES]; /* descriptors of its tap device, one for each queue */
    unsigned tap_count;
    struct lan lan;
    struct lease lease;
};

/* Errors: OPS_EXIT_USAGE. Freed with nic_free(), also after a failure. */
bool nic_parse(struct nic *n, const char *text, struct err *err);
/* One more KEY=VALUE, which replaces an earlier one but for dns. */
bool nic_option(struct nic *n, const char *option, struct err *err);
/* Do the addresses fit each other? `index`: among the machine's cards. */
bool nic_check(const struct nic *n, struct err *err);

/* Takes an address of the network, and with `taps` makes the tap device. `names`: the machine's;
 * `index` among its cards; `cpus`: of a machine whose QEMU may not open a tap device that is there,
 * which is opened here then, else 0. */
bool nic_open(struct nic *n, size_t index, const struct strlist *names, bool taps, unsigned cpus,
              struct err *err);

/* The manifest's line; freed with free(). */
char *nic_line(const struct nic *n, size_t index);
/*
 * QEMU's words. `forwards`: for a card of the user network, else NULL. A tap device that was made
 * for several queues gets one for each of the machine's CPUs, and two at least.
 */
void nic_arguments(const struct nic *n, size_t index, const char *bus, unsigned cpus,
                   const struct forwards *forwards, struct strlist *argv);
void nic_free(struct nic *n);
