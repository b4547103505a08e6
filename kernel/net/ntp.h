/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of the network's servers: an SNTP client (RFC 4330, with the poll intervals and checks
 * of RFC 5905). One server is asked at a time; one that does not answer, or badly, makes room for
 * the next. Small differences are slewed (sched/clock.h), larger ones set the clock. Nothing of it
 * runs where the manifest names no server.
 */
#pragma once

#include "core/manifest.h"

struct ip4_addr;

/* What the manifest says; it must stay. Before the stack starts. */
void ntp_configure(const struct manifest *m);
/* Starts the stack if there is somebody to ask. May sleep. */
void ntp_start(void);
/* Once a second, under the stack lock. */
void ntp_tick(void);
/* The servers of a lease, for a manifest that says `dhcp`. Under the stack lock. */
void ntp_take_servers(const struct ip4_addr *server, unsigned count);
