/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a network of `ops network` is on this host: a bridge with an address, forwarding,
 * and a table of nftables (else chains of iptables) of its own, which let machines out by
 * NAT and nobody in who was not asked. Made by ip(8) and nft(8) (iptables(8)); undone whole when
 * a step fails.
 */
#pragma once

#include <stdbool.h>

#include "err.h"
#include "lan.h"
#include "strlist.h"

/* nftables or iptables, by what is installed. Errors: neither, with NAT asked for. */
bool lan_choose_firewall(struct lan *l, struct err *err);

/* The steps as lines for a shell. */
void lan_commands(const struct lan *l, struct strlist *lines);

bool lan_raise(const struct lan *l, struct err *err);
bool lan_lower(const struct lan *l, struct err *err);

/* May we change the host's network? Gives the right on to tools that are started. */
bool lan_privileged(void);
