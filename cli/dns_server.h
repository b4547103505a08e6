/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names on the networks of `ops network`, without a daemon: every machine has a process
 * that answers at the networks' port 53, all of one network at the same time
 * (SO_REUSEPORT), from the leases. So a name is known as long as its machine lives, and
 * whoever is left answers. Other names are asked of this host's own name servers, by UDP,
 * if the network leads outside.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "err.h"
#include "nic.h"

/* *pid: 0 when no card is on such a network. A port that others have is told on stderr: then
 * there are no names. */
bool dns_server_start(const struct nic *nics, size_t count, pid_t *pid, struct err *err);
