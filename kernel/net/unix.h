/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX sockets: unix(7). */
#pragma once

#include "fs/seq.h"
#include "net/socket.h"

/* type: SOCK_*. -EPROTONOSUPPORT, -ESOCKTNOSUPPORT, -ENOMEM. */
int unix_create(int type, int protocol, uint32_t flags, struct file **out);
/* /proc/net/unix, and how many sockets there are. */
int unix_text(struct seq *s);
unsigned unix_count(void);
int unix_create_pair(int type, int protocol, uint32_t flags, struct file *out[2]);
