/* SPDX-License-Identifier: Apache-2.0 */
/* getsockopt(2) and setsockopt(2): level SOL_SOCKET here, the others by the family. */
#pragma once

#include "net/socket.h"

/* -ENOPROTOOPT: unknown; -EINVAL: too short; -EDOM, -EFAULT, -EOPNOTSUPP (no such level). */
int option_set(struct socket *s, int level, int name, struct uptr value, unsigned len);
/* To a getsockopt: as much as fits. */
int option_put(struct uptr value, unsigned *len, const void *from, unsigned size);
/* *len: room at `value`; the bytes stored there. */
int option_get(struct socket *s, int level, int name, struct uptr value, unsigned *len);
