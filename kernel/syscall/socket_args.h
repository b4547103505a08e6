/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding that the adapters for sockets share. */
#pragma once

#include "net/socket.h"
#include "syscall/args.h"

/* The socket of a descriptor and its file, referenced. -EBADF, -ENOTSOCK. */
int socket_get(int fd, struct file **f, struct socket **s);
/* The address goes to m->name. -EINVAL (its length), -EFAULT. */
int name_from_user(struct message *m, struct uptr name, int len);
/* An address for the program: as much as fits, and how long it really is. */
int name_to_user(struct uptr name, struct uptr len, const void *from, unsigned size);
