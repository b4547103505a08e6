/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: unix(7). Pairs only so far; nobody listens at a path. */
#pragma once

#include "net/socket.h"

/* type: SOCK_*. -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENOMEM. */
int unix_create(int type, int protocol, uint32_t flags, struct file **out);
int unix_create_pair(int type, int protocol, uint32_t flags, struct file *out[2]);
/* Set by proc/: whether somebody could be reached at a path, as connect(2) says it (an errno). */
extern int (*unix_look_up)(const char *path);
