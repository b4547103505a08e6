/* SPDX-License-Identifier: Apache-2.0 */
/* Which process of the host holds a port. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* "nginx (pid 123)", freed with free(); NULL when it cannot be told (another user's process). */
char *port_owner(uint16_t port, bool udp, bool v6);
