/* SPDX-License-Identifier: Apache-2.0 */
/* An image's User, "NAME|UID[:GROUP|GID]", by its own /etc/passwd and /etc/group. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "err.h"
#include "import/rootpath.h"

/* NULL or "" is root. A number needs no entry; its group is then that of the entry, or 0. */
bool account_find(const struct rootfs_view *v, const char *user, uint32_t *uid, uint32_t *gid,
                  struct err *err);

/* The fields of the first line of passwd(5) or group(5) text whose field 0 is `name`, or whose
 * field 2 is the number (name NULL): numbers of field 2, and 3 if `gid` is not NULL. */
bool account_line(const char *text, const char *name, uint32_t number, uint32_t *id, uint32_t *gid);
