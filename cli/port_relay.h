/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forwarded ports of IPv6 addresses: a process that takes connections and datagrams
 * there and hands them on to the port of 127.0.0.1 that QEMU forwards (forward.h).
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"
#include "forward.h"

/* *pid: 0 when there is nothing to do. Errors: a port cannot be bound. */
bool port_relay_start(const struct forwards *f, pid_t *pid, struct err *err);
