/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: unix(7). */
#pragma once

#include "net/socket.h"

/* type: SOCK_*. -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENOMEM. */
int unix_create(int type, int protocol, uint32_t flags, struct file **out);
int unix_create_pair(int type, int protocol, uint32_t flags, struct file *out[2]);
